"""Workers stopped, killed and besieged under load: who is not on the one that dies is served, and nothing is lost."""

import os
import random
import signal
import time
from contextlib import ExitStack

import pytest

from tests.drills.aftermath import lost_writes, wrong_counters
from tests.drills.test_database_lost import READS
from tests.load import reader, under_load, writer
from tests.servers import (
    UNLIMITED,
    children_of,
    find_mysqld,
    running_mysql,
    running_service,
    wait_until,
    wait_until_healthy,
)
from tests.test_slow_clients import WORST, many

pytestmark = pytest.mark.skipif(find_mysqld() is None, reason="what was acknowledged is looked up in a server's rows")

CLIENTS = 12
ANSWERED_SECONDS = 2
DRAIN_SECONDS = 3
GRACE_SECONDS = 35  # of the pod, less what its preStop takes
REFUSED = "NewConnectionError"  # nobody listens: a load balancer sends such a request to another replica
KILLS = 5
DYING_SECONDS = 0.1  # until the system has closed the connections of a process that was killed


@pytest.fixture(scope="module")
def server():
    with running_mysql() as server:
        yield server


@pytest.fixture
def service(server, tmp_path):
    with running_service(tmp_path, DATABASE_URL=server.url, DRAIN_SECONDS=str(DRAIN_SECONDS), **UNLIMITED) as service:
        yield service


def clients_of(service):
    url = service.url
    writers = [writer(url, f"user{n}") for n in range(CLIENTS // 2)]
    return [*writers, *(reader(url, *READS) for _ in range(CLIENTS // 2))]


def assert_nothing_is_lost(load, server, make_app):
    assert len(load.created) > 20
    assert lost_writes(server, load) == (set(), set())
    assert wrong_counters(make_app, server) == []


def test_told_to_stop_under_load(server, service, make_app):
    with under_load(*clients_of(service)) as load:
        time.sleep(2)
        told = time.monotonic()
        service.process.terminate()
        exit_code = service.process.wait(GRACE_SECONDS)
        took = time.monotonic() - told

    unanswered = [sample for sample in load.samples if sample.status == 0]
    reset = [sample.body for sample in unanswered if REFUSED not in sample.body]
    refused = min(sample.began for sample in unanswered) - told
    lost = lost_writes(server, load)
    print(
        load.figures(
            "told to stop", refused_after=f"{refused:.2f} s", ended_after=f"{took:.2f} s", reset=len(reset), lost=lost
        )
    )
    assert reset == []
    assert exit_code == 0
    # A connection that is begun in the last moment may be refused a little later, when its client asks again.
    assert {sample.status for sample in load.samples if sample.began < told + DRAIN_SECONDS - 0.5} == {200, 201}
    assert_nothing_is_lost(load, server, make_app)


def test_killed_under_load(server, service, make_app):
    kills = []
    with under_load(*clients_of(service)) as load:
        for _ in range(KILLS):
            time.sleep(1.5)
            workers = [*children_of(service.process.pid)]
            kills.append(time.monotonic())
            os.kill(random.choice(workers), signal.SIGKILL)
            wait_until(lambda: service.log.count("Booting worker") == 2 + len(kills), seconds=10, what="no other comes")
        time.sleep(2)
    wait_until_healthy(service)

    failed = [sample for sample in load.samples if sample.status not in (200, 201)]
    in_flight = [
        sample for sample in failed if any(sample.began - DYING_SECONDS <= kill <= sample.ended for kill in kills)
    ]
    print(load.figures("killed workers", kills=KILLS, failed=len(failed), lost=lost_writes(server, load)))
    assert failed == in_flight
    assert {sample.status for sample in failed} <= {0}
    assert len(failed) < KILLS * CLIENTS  # those of the other worker went on
    assert max(sample.seconds for sample in load.samples) < ANSWERED_SECONDS
    assert_nothing_is_lost(load, server, make_app)


def test_besieged_by_slow_clients_under_load(server, service, make_app):
    kinds = ["send their head a byte a second", "never end their head", "never read"]
    with ExitStack() as siege, under_load(*clients_of(service)) as load:
        time.sleep(1)
        for kind in kinds:
            first, then, receives = WORST[kind]
            siege.enter_context(many(service, first, then, receives=receives, clients=200))
        time.sleep(5)

    print(load.figures("600 slow clients", lost=lost_writes(server, load)))
    assert {sample.status for sample in load.samples} == {200, 201}
    assert max(sample.seconds for sample in load.samples) < ANSWERED_SECONDS
    assert_nothing_is_lost(load, server, make_app)
