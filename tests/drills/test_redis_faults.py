"""Redis away, hanging, refusing, back: the service goes on without it, and returns to it by itself."""

import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.load import crowding
from tests.redis_replicas import PATIENT, asked_seconds, own_redis, redis_of, view, wait_for_return
from tests.servers import RedisServer, wait_until

SLOWEST_SECONDS = 0.1
# Longer than a busy machine is away for, where a test counts losses.
CALM = {"REDIS_TIMEOUT_MS": "300"}
READ = "/api/v1/categories"


@pytest.fixture
def redis(tmp_path) -> Iterator[RedisServer]:
    with own_redis(tmp_path) as server:
        yield server


@pytest.fixture
def make_replica(make_app, tmp_path, redis) -> Callable[..., Flask]:
    def make(**settings: str) -> Flask:
        settings = {"SECRET_KEY": PATIENT["SECRET_KEY"], "REDIS_URL": redis.url} | settings
        return make_app(DATABASE_URL=f"sqlite:///{tmp_path}/postdb.sqlite3", **settings)

    return make


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.message.startswith("redis_")]


def new_post(client: FlaskClient) -> str:
    made = client.post("/dev/token", json={"username": "ana"}).json["data"]["access_token"]
    headers = {"Authorization": f"Bearer {made}"}
    return client.post("/api/v1/posts", json={"title": "제목", "content": "내용"}, headers=headers).json["data"]["id"]


# Each of these breaks a Redis that is in use; the second of a pair mends it.


def kill(redis: RedisServer) -> Callable[[], None]:
    redis.kill()
    return redis.start


def hang(redis: RedisServer) -> Callable[[], None]:
    redis.pause()
    return redis.resume


def hold_writes(redis: RedisServer) -> Callable[[], None]:
    redis.client().client_pause(60_000, all=False)
    return lambda: redis.client().client_unpause()


def fill(redis: RedisServer) -> Callable[[], None]:
    redis.client().config_set("maxmemory", "1")
    return lambda: redis.client().config_set("maxmemory", "0")


def make_read_only(redis: RedisServer) -> Callable[[], None]:
    redis.client().replicaof("127.0.0.1", "1")
    return lambda: redis.client().replicaof("NO", "ONE")


def lock(redis: RedisServer) -> Callable[[], None]:
    client = redis.client()
    client.config_set("requirepass", "changed")
    client.client_kill_filter(_type="normal", skipme=True)
    return lambda: client.config_set("requirepass", "")


def load_slowly(redis: RedisServer) -> Callable[[], None]:
    client = redis.client()
    client.mset({f"key:{number}": os.urandom(200) for number in range(4000)})
    client.save()
    redis.kill()
    redis.start("--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
    return lambda: None


@pytest.mark.parametrize("break_it", [kill, hang, hold_writes, fill, make_read_only, lock, load_slowly])
def test_redis_is_lost_with_one_line_and_returned_to(break_it, redis, make_replica, caplog):
    app = make_replica(**CALM)
    client = app.test_client()
    post_id = new_post(client)
    view(client, post_id)
    redis_of(app)._circuit._probe_seconds = 0.05
    mend = break_it(redis)

    answers = []
    for _ in range(5):
        answers += [client.get(path) for path in (READ, f"/api/v1/posts/{post_id}", "/health/ready")]
        time.sleep(0.1)  # for another try, which must fail
    said = events(caplog)
    mend()
    wait_for_return(app)
    wait_until(lambda: events(caplog) != said, what="its return is not told")

    assert {answer.status_code for answer in answers} == {200}
    assert answers[-1].json == {"status": "ready", "checks": {"database": "up", "redis": "down"}}
    assert said == ["redis_lost"]
    assert events(caplog) == ["redis_lost", "redis_back"]
    assert client.get("/health/ready").json["checks"]["redis"] == "up"


@pytest.mark.parametrize("break_it", [kill, hang, hold_writes])
def test_no_request_waits_long_for_a_redis_that_is_lost(break_it, redis, make_replica, monkeypatch):
    app = make_replica()
    client = app.test_client()
    post_id, seconds = new_post(client), asked_seconds(app, monkeypatch)
    break_it(redis)

    def asked(path: str) -> float:
        seconds()
        assert client.get(path).status_code == 200
        return seconds()

    times = [asked(path) for path in [f"/api/v1/posts/{post_id}", READ] * 20]

    assert max(times) < SLOWEST_SECONDS * crowding()


def test_a_redis_that_is_away_from_the_start_is_gone_without(redis, make_replica, caplog):
    redis.kill()
    client = make_replica(RATELIMIT_READ="3/hour").test_client()

    statuses = [client.get(READ).status_code for _ in range(5)]

    assert statuses == [200, 200, 200, 429, 429]
    assert events(caplog) == ["redis_lost"]


def test_requests_that_flow_through_a_loss_and_a_return_all_succeed(redis, make_replica, caplog):
    app = make_replica(**CALM)
    post_id, ended, statuses = new_post(app.test_client()), threading.Event(), []

    def read() -> None:
        client = app.test_client()
        while not ended.is_set():
            statuses.extend(client.get(path).status_code for path in (READ, f"/api/v1/posts/{post_id}"))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for break_it in (kill, hang):
            mend = break_it(redis)
            wait_until(lambda: redis_of(app).is_lost, what="nobody finds Redis lost")
            time.sleep(0.3)
            mend()
            wait_until(lambda: events(caplog)[-1:] == ["redis_back"], what="nobody finds Redis back")
    finally:
        ended.set()
        for thread in threads:
            thread.join()

    assert set(statuses) == {200}
    assert events(caplog) == ["redis_lost", "redis_back"] * 2


def test_a_redis_that_was_restarted_between_two_requests_is_not_lost(redis, make_replica, caplog):
    client = make_replica(**PATIENT, RATELIMIT_READ="2/hour").test_client()
    before = client.get(READ).status_code
    redis.kill()
    redis.start()

    after = [client.get(READ).status_code for _ in range(3)]

    assert (before, after) == (200, [200, 200, 429])
    assert events(caplog) == []


# What is counted meanwhile


def test_a_view_is_counted_once_whatever_becomes_of_redis(redis, make_replica):
    app = make_replica(**PATIENT)
    client = app.test_client()
    before, meanwhile = new_post(client), new_post(client)

    views = [view(client, before)]
    redis.kill()
    views += [view(client, post_id) for post_id in (before, meanwhile, meanwhile)]
    redis.start()
    wait_for_return(app)
    views += [view(client, post_id) for post_id in (before, meanwhile)]

    assert views == [1] * 6


def test_views_at_the_moment_of_a_loss_count_once(redis, make_replica, monkeypatch):
    """One that Redis has taken note of just before the loss, and one that comes just after it."""
    app = make_replica(**PATIENT)
    window = app.extensions["post"].view_counter._window
    memory = window._memory
    noted = memory.is_first_view

    def lose_first(post_id: str, address: str) -> bool:
        monkeypatch.setattr(memory, "is_first_view", noted)
        redis.kill()
        others.append(window.is_first_view(post_id, address))
        return noted(post_id, address)

    others: list[bool] = []
    monkeypatch.setattr(memory, "is_first_view", lose_first)

    mine = window.is_first_view("0" * 32, "203.0.113.7")

    assert sorted([mine, *others]) == [False, True]


def test_limits_go_on_in_memory_and_are_shared_again_afterwards(redis, make_replica):
    apps = [make_replica(**PATIENT, RATELIMIT_READ="3/hour") for _ in range(2)]
    clients = [app.test_client() for app in apps]

    def statuses() -> list[list[int]]:
        return [[client.get(READ).status_code for _ in range(4)] for client in clients]

    redis.pause()
    lost = statuses()
    redis.resume()
    for app in apps:
        wait_for_return(app)
    back = statuses()

    assert lost == [[200, 200, 200, 429]] * 2
    assert [status for each in back for status in each] == [200] * 3 + [429] * 5
