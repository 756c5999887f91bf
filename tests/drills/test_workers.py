"""Workers stopped, killed and besieged under load: who is not on the one that dies is served, and nothing is lost."""

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.drills.aftermath import assert_nothing_is_lost
from tests.drills.test_database_lost import READS
from tests.load import BUSIER_THAN_CALM, Load, reader, under_load, writer
from tests.nginx import proxied_service
from tests.servers import PATIENT_WITH_MYSQL, UNLIMITED, children_of, wait_until, wait_until_healthy
from tests.test_slow_clients import WORST, many

CLIENTS = 12
ANSWERED_SECONDS = 2  # of a machine that does nothing else
CALM_SECONDS = 1.5  # before anything happens
DRAIN_SECONDS = 3  # of the 120 for which the pod's hooks wait (k8s/deployment.yaml)
REFUSED = "NewConnectionError"  # nobody listens: a load balancer sends such a request to another replica
KNOCKING = "ConnectionResetError"
CUT_OFF = "ChunkedEncodingError"  # an answer that had begun
KILLS = 5
ON_ONE_WORKER = CLIENTS // 2 + 2  # two share them evenly, but for a few


@pytest.fixture(scope="module")
def service(server, tmp_path_factory):
    """The service behind nginx, which the last test of this module stops."""
    folder = tmp_path_factory.mktemp("service")
    with proxied_service(folder, DATABASE_URL=server.url, **PATIENT_WITH_MYSQL, **UNLIMITED) as proxied:
        yield proxied


def clients_of(service):
    url = service.url
    writers = [writer(url, f"user{n}") for n in range(CLIENTS // 2)]
    return [*writers, *(reader(url, *READS) for _ in range(CLIENTS // 2))]


def test_killed_under_load(server, service, make_app):
    load, kills, calm, master = Load(), [], [], service.service.process.pid
    gone: list[float] = []  # when the system has closed the connections of the killed, too
    for _ in range(KILLS):
        # New ones each time, whose connections the workers share evenly: those of the dead all go to the other one.
        with under_load(*clients_of(service)) as until_another_comes:
            time.sleep(1)
            workers = [*children_of(master)]
            kills.append(time.monotonic())
            os.kill(victim := random.choice(workers), signal.SIGKILL)
            wait_until(lambda: victim not in children_of(master), what="it is not reaped", pause=0.01)
            gone.append(time.monotonic())
            wait_until(lambda: service.service.log.count("Booting worker") == 2 + len(kills), what="no other comes")
            time.sleep(0.5)
        load.samples += until_another_comes.samples
        calm += until_another_comes.between(0, kills[-1])
    wait_until_healthy(service.service)

    failed = [sample for sample in load.samples if sample.status not in (200, 201)]
    in_flight = [
        sample
        for sample in failed
        if any(sample.began <= end and kill <= sample.ended for kill, end in zip(kills, gone, strict=True))
    ]
    recovery = max(load.recovery(kill) for kill in kills)
    more = {"kills": KILLS, "failed": len(failed), "recovery": f"{recovery:.2f} s"}
    assert_nothing_is_lost("killed workers", server, load, make_app, **more)
    assert len(load.created) > 20
    assert failed == in_flight
    assert {sample.status for sample in failed} <= {0, 502}
    assert all(CUT_OFF in sample.body for sample in failed if sample.status == 0)
    assert {sample.method for sample in failed if sample.status == 502} <= {"POST", "PATCH"}  # others are sent again
    assert len(failed) <= KILLS * ON_ONE_WORKER  # those of the other worker went on
    slowest = max(sample.seconds for sample in calm)
    assert max(sample.seconds for sample in load.samples) < ANSWERED_SECONDS + BUSIER_THAN_CALM * slowest


def test_besieged_by_slow_clients_under_load(server, service, make_app):
    kinds = ["send their head a byte a second", "never end their head", "never read"]
    with ExitStack() as siege, under_load(*clients_of(service)) as load:
        time.sleep(CALM_SECONDS)
        siege_began = time.monotonic()
        for kind in kinds:
            first, then, receives = WORST[kind]
            siege.enter_context(many(service, first, then, receives=receives, clients=200))
        time.sleep(5)

    assert_nothing_is_lost("600 slow clients", server, load, make_app)
    assert len(load.created) > 20
    assert {sample.status for sample in load.samples} == {200, 201}
    assert max(sample.seconds for sample in load.samples) < load.bound(ANSWERED_SECONDS, calm_until=siege_began)


def test_told_to_stop_under_load(server, service, make_app):
    """As a pod: not ready first, which sends new requests elsewhere; then nginx ends, and gunicorn after it."""
    with ThreadPoolExecutor(1) as pool:
        with under_load(*clients_of(service)) as load:
            time.sleep(2)
            told = time.monotonic()
            service.nginx.begin_stop()
            time.sleep(DRAIN_SECONDS)
            drained = time.monotonic()
            quitting = pool.submit(lambda: time.sleep(0.02) or service.nginx.quit())  # the last requests are under way
        quit_code = quitting.result()
    service.service.process.terminate()
    exit_code = service.service.process.wait(60)

    took = time.monotonic() - told
    unanswered = [sample for sample in load.samples if sample.status == 0 and REFUSED not in sample.body]
    # nginx resets who still knocks when it closes its door; a load balancer sends nobody there any more.
    reset = [sample.body for sample in unanswered if sample.began < drained or KNOCKING not in sample.body]
    more = {"ended after": f"{took:.2f} s", "reset": len(reset)}
    assert_nothing_is_lost("told to stop", server, load, make_app, **more)
    assert len(load.created) > 20
    assert reset == []
    assert {sample.status for sample in load.between(0, drained)} == {200, 201}
    assert (quit_code, exit_code) == (0, 0)
