"""What replicas share in Redis: views and limits, under names that tell nothing."""

import math
import threading
import time
from itertools import chain

import pytest
import requests
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from post.shared import redis_state
from post.shared.memory import SharedCounters
from post.shared.redis_backends import RedisCounters, RedisRateWindows
from post.shared.redis_state import RedisState
from post.web.read_routing import RecentWriters
from tests.certificates import Authority
from tests.conftest import at_once
from tests.redis_replicas import PATIENT, own_redis, view
from tests.servers import (
    HANG_SECONDS,
    PATIENT_WITH_MYSQL,
    RedisServer,
    free_port,
    start_service,
    stop,
    wait_until,
    wait_until_healthy,
)
from tests.test_config import python
from tests.test_service import rows, token
from tests.test_shared_memory import in_forks

ADDRESS = "203.0.113.7"
PERIOD = 1000


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with own_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def make_replicas(app, make_app, database_url, redis):
    """Make two replicas beside each other, over this half's database and an empty Redis."""
    redis.client().flushall()

    def make(**settings: str) -> list[Flask]:
        return [make_app(DATABASE_URL=database_url, REDIS_URL=redis.url, **PATIENT, **settings) for _ in range(2)]

    return make


# Views


def test_a_reload_on_the_other_replica_is_not_counted(make_replicas, make_post):
    clients, post_id = [replica.test_client() for replica in make_replicas()], make_post()

    views = [view(client, post_id) for client in clients * 3]
    other = view(clients[1], post_id, address="203.0.113.8")

    assert views == [1] * 6
    assert other == 2


def test_of_views_on_two_replicas_at_once_exactly_one_counts(make_replicas, make_post, row):
    replicas, post_id = make_replicas(), make_post()

    at_once([lambda app=app: view(app.test_client(), post_id) for app in replicas * 10])

    assert row(post_id).view_count == 1


def test_a_view_counts_again_after_the_window(make_replicas, make_post):
    clients, post_id = [replica.test_client() for replica in make_replicas(VIEW_WINDOW_SECONDS="1")], make_post()
    first = view(clients[0], post_id)

    time.sleep(1.1)
    second = view(clients[1], post_id)

    assert (first, second) == (1, 2)


def test_a_view_that_was_not_counted_after_all_counts_on_the_other_replica(make_replicas, make_post):
    windows = [replica.extensions["post"].view_counter._window for replica in make_replicas()]
    post_id = make_post()
    windows[0].is_first_view(post_id, ADDRESS)

    windows[0].forget(post_id, ADDRESS)

    assert [window.is_first_view(post_id, ADDRESS) for window in windows] == [True, False]


# Limits


def test_a_limit_holds_across_replicas(make_replicas):
    replicas = make_replicas(RATELIMIT_READ="10/hour")

    answers = at_once([lambda app=app: app.test_client().get("/api/v1/categories") for app in replicas * 12])

    assert sorted(answer.status_code for answer in answers) == [200] * 10 + [429] * 14
    let_in = sorted(int(answer.headers["RateLimit-Remaining"]) for answer in answers if answer.status_code == 200)
    assert let_in == list(range(10))


def test_limits_that_are_apart_stay_so(make_replicas):
    client, other = (
        replica.test_client() for replica in make_replicas(RATELIMIT_READ="2/hour", RATELIMIT_WRITE="1/hour")
    )

    reads = [each.get("/api/v1/categories").status_code for each in (client, other, client)]
    writes = [each.post("/api/v1/categories").status_code for each in (client, other)]
    stranger = other.get("/api/v1/categories", environ_base={"REMOTE_ADDR": "203.0.113.8"}).status_code

    assert (reads, writes, stranger) == ([200, 200, 429], [401, 429], 200)


@pytest.fixture
def windows(redis) -> RedisRateWindows:
    redis.client().flushall()
    state = RedisState(redis.url, timeout_seconds=1, names_key="s")
    yield RedisRateWindows(state, memory=None)  # Redis alone: a loss would be an error
    state._client.close()


@given(
    limit=st.integers(1, 100),
    age=st.integers(-1, 3),
    previous=st.integers(0, 100),
    current=st.integers(0, 100),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_request_is_counted_in_redis_as_it_is_in_memory(windows, redis, limit, age, previous, current):
    """By the rule of a sliding window (limits docs: "Sliding Window Counter"), whatever was counted when."""
    name, client = windows._redis.name("limit", "ana"), redis.client()
    now = int(time.time()) // PERIOD
    client.hset(name, mapping={"window": now - age, "previous": previous, "current": current})
    before, this = {-1: (previous, current), 0: (previous, current), 1: (current, 0)}.get(age, (0, 0))

    hit = windows.hit("ana", limit, PERIOD)

    is_allowed = this + 1 <= math.floor(limit - before * hit.remaining_seconds / PERIOD)
    assert hit[:3] == (is_allowed, before, this + is_allowed)
    assert abs(hit.remaining_seconds - (PERIOD - time.time() % PERIOD)) < 5
    if is_allowed:
        kept = {"window": max(now, now - age), "previous": before, "current": this + 1}
        assert client.hgetall(name) == {key.encode(): b"%d" % value for key, value in kept.items()}
        assert client.expiretime(name) == (kept["window"] + 2) * PERIOD


def test_processes_share_a_limit_and_no_connection(windows):
    windows.hit("ana", 100, PERIOD)  # so that there is a connection to inherit

    let_in = in_forks(lambda: sum(windows.hit("ana", 41, PERIOD).is_allowed for _ in range(30)), processes=3)

    assert sum(let_in) == 40


# What Redis knows


def everything_in(client) -> dict[bytes, bytes]:
    return {key: key + client.dump(key) for key in client.scan_iter()}


def test_nobody_is_named_in_redis_and_all_of_it_expires(make_replicas, make_post, as_user, user_id, redis):
    client, post_id = make_replicas()[0].test_client(), make_post()
    at_home = {"environ_base": {"REMOTE_ADDR": ADDRESS}}

    view(client, post_id, address=ADDRESS)
    client.get("/api/v1/categories", **at_home)
    client.get("/api/v1/posts/my", headers=as_user("ana"), **at_home)

    kept = everything_in(redis.client())
    assert {key.split(b":")[1] for key in kept} == {b"view", b"limit", b"categories"}
    secrets = [ADDRESS.encode(), post_id.encode(), user_id("ana").encode()]
    assert [key for key, content in kept.items() if any(secret in content for secret in secrets)] == []
    assert {key: redis.client().ttl(key) for key in kept if redis.client().ttl(key) <= 0} == {}


def test_a_name_depends_on_the_key_and_on_nothing_else_that_differs():
    def name(names_key: str, of: str = ADDRESS) -> str:
        url = f"redis://127.0.0.1:{free_port()}"
        return RedisState(url, timeout_seconds=1, names_key=names_key).name("view", of)

    assert name("a") == name("a")
    assert len({name("a"), name("b"), name("a", of="203.0.113.8")}) == 3


# Whole services


def test_views_and_limits_hold_across_two_gunicorns(new_mysql_database, redis, tmp_path):
    redis.client().flushall()
    shared = {"DATABASE_URL": new_mysql_database, "REDIS_URL": redis.url, "RATELIMIT_READ": "40/hour"}
    shared |= PATIENT | PATIENT_WITH_MYSQL
    services = [start_service(tmp_path, **shared) for _ in range(2)]
    try:
        for service in services:
            wait_until_healthy(service)
        first, second = (service.url for service in services)
        body = {"title": "제목", "content": "내용"}
        created = requests.post(f"{first}/api/v1/posts", json=body, headers=token(first), timeout=HANG_SECONDS)
        path = created.headers["Location"]
        counted = requests.get(first + path, timeout=HANG_SECONDS).json()["data"]["view_count"]
        reloads = at_once(
            [lambda url=url: requests.get(url + path, timeout=HANG_SECONDS) for url in (first, second) * 15]
        )
        rest = at_once([lambda url=url: requests.get(url + path, timeout=HANG_SECONDS) for url in (first, second) * 10])
        query = "SELECT view_count FROM posts"
        wait_until(lambda: rows(new_mysql_database, query) == [(1,)], what="the view is not written")
        told = [requests.get(f"{url}/health/ready", timeout=HANG_SECONDS).json()["checks"] for url in (first, second)]
    finally:
        for service in services:
            stop(service.process)

    assert counted == 1
    assert [answer.status_code for answer in reloads] == [200] * 30
    assert sorted(answer.status_code for answer in rest) == [200] * 9 + [429] * 11
    assert rows(new_mysql_database, query) == [(1,)]
    assert told == [{"database": "up", "redis": "up"}] * 2
    assert [service.log.count("redis_") for service in services] == [0, 0]


def test_without_a_redis_its_client_is_not_even_imported(tmp_path):
    done = python("import app, sys; app.app; print('redis' in sys.modules)", tmp_path)

    assert (done.returncode, done.stdout.split()[-1]) == (0, "False")


# Who has written


def test_who_has_written_is_known_on_the_other_replica(redis, tmp_path):
    redis.client().flushall()
    state = RedisState(redis.url, timeout_seconds=1, names_key="a-secret-of-the-tests")
    one, other = (RecentWriters(RedisCounters(state, SharedCounters(), kind="writer"), seconds=60) for _ in range(2))

    one.remember("user:ana")

    assert other.wrote_recently("user:ana")
    assert not other.wrote_recently("user:bo")
    assert not any(b"ana" in key for key in redis.client().scan_iter())


def test_without_redis_a_replica_knows_its_own_writers(tmp_path):
    url = f"redis://127.0.0.1:{free_port()}"
    state = RedisState(url, timeout_seconds=1, names_key="a-secret-of-the-tests")
    writers = RecentWriters(RedisCounters(state, SharedCounters(), kind="writer"), seconds=60)

    writers.remember("user:ana")

    assert writers.wrote_recently("user:ana")
    assert not writers.wrote_recently("user:bo")


# TLS


@pytest.fixture
def rediss(tmp_path, monkeypatch):
    """Make the state of a Redis with a certificate; the system knows one authority."""
    servers = []

    def make(issuer: Authority, known: Authority) -> RedisState:
        monkeypatch.setenv("SSL_CERT_FILE", str(known.write(tmp_path / "known.pem")))
        redis_state._tls.cache_clear()
        certificate, key = issuer.issue("127.0.0.1", tmp_path)
        port = free_port()
        servers.append(RedisServer(tmp_path))
        options = {
            "port": port,
            "auth-clients": "no",
            "cert-file": certificate,
            "key-file": key,
            "ca-cert-file": certificate,
        }
        servers[0].start(*chain.from_iterable((f"--tls-{name}", str(value)) for name, value in options.items()))
        url = f"rediss://127.0.0.1:{port}/0"
        return RedisState(url, timeout_seconds=5, names_key="s")

    yield make
    servers[0].kill()
    redis_state._tls.cache_clear()


def test_the_systems_authorities_are_read_once_for_all_connections(rediss):
    authority = Authority()
    state, all_connected = rediss(authority, known=authority), threading.Barrier(12)

    def is_up_by_a_connection_of_its_own() -> bool:
        with state._client.client() as client:
            all_connected.wait(HANG_SECONDS)
            return client.ping()

    answers = at_once([is_up_by_a_connection_of_its_own] * 12)

    state._client.close()
    assert answers == [True] * 12
    assert redis_state._tls.cache_info().misses == 1
    assert redis_state._tls.cache_info().hits >= 12


def test_a_redis_with_another_authoritys_certificate_is_not_used(rediss):
    assert not rediss(Authority(), known=Authority()).is_up()
