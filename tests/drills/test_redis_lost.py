"""Redis killed, hung and back under load: no client of a gunicorn's sees it, and nothing is lost or counted twice."""

import time

import pytest
import requests

from tests.drills.aftermath import assert_nothing_is_lost, assert_views_are_counted
from tests.drills.test_database_lost import READS
from tests.load import new_post, reader, under_load, viewer, writer
from tests.redis_replicas import PATIENT, RETURN_SECONDS, own_redis
from tests.servers import PATIENT_WITH_MYSQL, UNLIMITED, running_service, wait_until

# Longer than a busy machine is away for, since losses are counted.
SETTINGS = {**PATIENT, **PATIENT_WITH_MYSQL, **UNLIMITED, "REDIS_TIMEOUT_MS": "300", "TRUSTED_PROXY_HOPS": "1"}
ANSWERED_SECONDS = 2
AWAY_SECONDS = 2


@pytest.fixture
def redis(tmp_path):
    with own_redis(tmp_path) as redis:
        yield redis


@pytest.fixture
def service(server, redis, tmp_path):
    with running_service(tmp_path, DATABASE_URL=server.url, REDIS_URL=redis.url, **SETTINGS) as service:
        yield service


def clients_of(service, post):
    url = service.url
    writers = [writer(url, f"user{n}") for n in range(4)]
    readers = [reader(url, *READS) for _ in range(4)]
    return [*writers, *readers, viewer(url, post), reader(url, "/health/ready", pause_seconds=0.1)]


def test_killed_and_hung_under_load_and_back(server, redis, service, make_app):
    """Each time a worker loses it with one line of the log, and returns to it with one."""
    post, broken, away, recovered, lines = new_post(service.url, "ana"), [], [], [], []
    with under_load(*clients_of(service, post)) as load:
        for break_it, mend in [(redis.kill, redis.start), (redis.pause, redis.resume)]:
            time.sleep(1)
            before = logged(service, "redis_lost")
            broken.append(time.monotonic())
            break_it()
            wait_until(
                lambda before=before: logged(service, "redis_lost") > before, seconds=5, what="nobody finds Redis lost"
            )
            lost = time.monotonic()
            time.sleep(AWAY_SECONDS)
            wait_until(lambda lost=lost: len(writes(load, lost)) > 20, what="nobody writes")
            away.append(load.between(lost, time.monotonic()))
            mend()
            back = time.monotonic()
            wait_until(lambda: is_used(service), seconds=RETURN_SECONDS, what="Redis is not used again")
            recovered.append(time.monotonic() - back)
            lines.append(logged(service, "redis_lost") - before)
        time.sleep(1)

    recovery = f"{max(recovered):.2f} s"
    assert_nothing_is_lost("Redis killed and hung", server, load, make_app, recovery=recovery)
    assert_views_are_counted(server, service, load, post)
    assert {sample.status for sample in load.samples} == {200, 201}
    assert max(sample.seconds for sample in load.samples) < load.bound(ANSWERED_SECONDS, calm_until=broken[0])
    assert [states(samples) for samples in away] == [{"down"}, {"down"}]
    assert all(1 <= count <= service.workers for count in lines)
    assert logged(service, "redis_lost") == logged(service, "redis_back") == sum(lines)


def writes(load, since):
    return [sample for sample in load.between(since, time.monotonic()) if sample.is_acknowledged_write]


def logged(service, event):
    return service.log.count(event)


def is_used(service):
    """Whether every worker that has lost Redis is back, and says so."""
    is_up = requests.get(f"{service.url}/health/ready", timeout=10).json()["checks"]["redis"] == "up"
    return is_up and logged(service, "redis_back") == logged(service, "redis_lost")


def states(samples):
    """What the service has said of Redis."""
    return {sample.body["checks"]["redis"] for sample in samples if sample.path == "/health/ready"}
