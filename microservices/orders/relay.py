"""The orders service's second process, ``python -m orders.relay``: it relays, sweeps and measures until SIGTERM."""

import signal
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from threading import Event

import psycopg
from botocore.exceptions import BotoCoreError, ClientError

from orders import faults
from orders.backlog import measure
from orders.outbox import EventsRefused, Topic, relay_events
from orders.placing import reservations
from orders.sweep import expired_age, pending_age, sweep
from shared import postgres, traces
from shared.container_log import logger, start_log

SWEEPS = 4  # beside each other: after an outage of products, hundreds of orders wait
IDLE_SECONDS = 0.25
SWEEP_SECONDS = 1.0
MEASURE_SECONDS = 60.0  # the finest that CloudWatch keeps
PAUSE_MAX_SECONDS = 4.0
AWAY = (psycopg.OperationalError, BotoCoreError, ClientError, EventsRefused)


def repeat(work: Callable[[], bool], stop: Event, pause_seconds: float) -> None:
    """
    Repeat a piece of work until the process shall end, which the piece that is under way finishes first.

    Args:
        work: The work; True if there may be more of it at once.
        stop: Set at the end.
        pause_seconds: Pause where there is no more; it doubles while something that the work needs is away.
    """
    away_seconds = pause_seconds
    while not stop.is_set():
        try:
            pause = 0.0 if work() else pause_seconds
            away_seconds = pause_seconds
        except AWAY as exc:
            logger.warning("relay_waits", extra={"reason": type(exc).__name__, "seconds": away_seconds})
            pause = away_seconds
            away_seconds = min(2 * away_seconds, PAUSE_MAX_SECONDS)
        stop.wait(pause)


def main() -> None:
    """
    Relay, sweep and measure until SIGTERM.

    Raises:
        SettingInvalid: A setting is missing or wrong.
    """
    start_log("orders-relay")
    traces.start("orders-relay")
    for check in (faults.check_setting, reservations, pending_age, expired_age, postgres.pool):
        check()
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    run(stop)


def run(stop: Event) -> None:
    """
    Relay, sweep and measure.

    Args:
        stop: Set to end.
    """
    topic = Topic()
    tasks: list[Callable[[], None]] = [lambda: repeat(lambda: relay_events(topic) > 0, stop, IDLE_SECONDS)]
    tasks += [lambda: repeat(lambda: sweep(stop), stop, SWEEP_SECONDS)] * SWEEPS  # each pass is a whole one
    tasks.append(lambda: repeat(measure, stop, MEASURE_SECONDS))
    with ThreadPoolExecutor(len(tasks)) as threads:
        running = [threads.submit(task) for task in tasks]
        wait(running, return_when=FIRST_COMPLETED)
        stop.set()  # a fault in one ends all, and the process, which is then started anew
    for task in running:
        task.result()


if __name__ == "__main__":
    main()
