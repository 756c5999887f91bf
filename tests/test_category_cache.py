"""The list of categories in Redis: as fresh as the database's for whoever has written, on every replica."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from post import services
from post.database.writes import after_transaction, transaction
from post.models import db
from post.shared import redis_backends
from tests.conftest import at_once
from tests.redis_replicas import PATIENT, own_redis, redis_of, wait_for_return
from tests.servers import HANG_SECONDS, RedisServer, wait_until
from tests.test_shared_memory import in_forks

PATH = "/api/v1/categories"


@pytest.fixture
def redis(tmp_path) -> Iterator[RedisServer]:
    with own_redis(tmp_path) as server:
        yield server


@pytest.fixture
def replicas(app, make_app, database_url, redis) -> list[Flask]:
    """Two replicas beside each other, over this half's database and one Redis."""
    return [make_app(DATABASE_URL=database_url, REDIS_URL=redis.url, **PATIENT) for _ in range(2)]


def counts(client: FlaskClient) -> dict[str, int]:
    """How many posts each category has, as the list says."""
    response = client.get(PATH)
    assert response.status_code == 200
    return {category["name"]: category["post_count"] for category in response.json["data"]}


@pytest.fixture
def statements(replicas) -> Iterator[list[str]]:
    """What the replicas have sent to the database."""
    sent: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        sent.append(statement)

    engines = []
    for replica in replicas:
        with replica.app_context():
            engines += db.engines.values()
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield sent
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


def test_what_one_replica_has_read_the_other_does_not_read_again(replicas, make_post, statements):
    make_post(category="여행")
    clients = [replica.test_client() for replica in replicas]
    first = clients[0].get(PATH)
    statements.clear()

    again = [client.get(PATH) for client in clients]

    assert [answer.json for answer in again] == [first.json] * 2
    assert {answer.headers["ETag"] for answer in again} == {first.headers["ETag"]}
    assert statements == []


def test_a_version_that_the_caller_has_is_304_from_the_cache_too(replicas, make_post, statements):
    make_post()
    etag = replicas[0].test_client().get(PATH).headers["ETag"]
    statements.clear()

    answer = replicas[1].test_client().get(PATH, headers={"If-None-Match": etag})

    assert (answer.status_code, statements) == (304, [])


def test_what_changes_no_list_forgets_none(replicas, as_user, statements):
    client, ana = replicas[0].test_client(), as_user("ana")
    body = {"title": "제목", "content": "내용"}
    post = client.post("/api/v1/posts", json=body, headers=ana).headers["Location"]
    client.get(PATH)
    client.patch(post, json={"title": "다른 제목"}, headers=ana)
    client.put(f"{post}/like", headers=ana)
    client.get(post)
    statements.clear()

    counts(client)

    assert statements == []


def test_every_write_is_seen_at_once_on_both_replicas(replicas, as_user):
    clients = [replica.test_client() for replica in replicas]
    ana, root = as_user("ana"), as_user("root")
    seen = []

    def write(client: FlaskClient, method: str, path: str, headers: dict[str, str], **body: str) -> str | None:
        response = client.open(path, method=method, json=body, headers=headers)
        assert response.status_code in (200, 201)
        lists = [counts(each) for each in clients]
        assert lists[0] == lists[1]
        seen.append(lists[0])
        return response.headers.get("Location")

    one, other = clients
    write(one, "POST", PATH, ana, name="여행")
    post = write(other, "POST", "/api/v1/posts", ana, title="제목", content="내용", category="여행")
    write(one, "PATCH", post, ana, category="새것")
    write(other, "PATCH", post, ana, status="hidden")
    write(one, "PATCH", post, ana, status="visible")
    write(other, "DELETE", post, ana)
    write(one, "PATCH", post, root, status="visible")
    write(
        other, "POST", "/api/v1/posts", {**ana, "Idempotency-Key": "k"}, title="제목", content="내용", category="여행"
    )

    shown = [(each.get("여행"), each.get("새것")) for each in seen]
    assert shown == [(0, None), (1, None), (0, 1), (0, 0), (0, 1), (0, 0), (0, 1), (1, 1)]


def test_whoever_has_written_sees_it_while_others_read_and_write(replicas, as_user):
    """Each writer has a category of its own, so knows what the list must say of it."""
    ended = threading.Event()

    def read(app: Flask) -> None:
        client = app.test_client()
        while not ended.is_set():
            counts(client)

    def write(name: str) -> list[int]:
        writer, reader, user = replicas[0].test_client(), replicas[1].test_client(), as_user(name)
        seen = []
        for number in range(15):
            client, other = (writer, reader) if number % 2 else (reader, writer)
            body = {"title": "제목", "content": "내용", "category": name}
            assert client.post("/api/v1/posts", json=body, headers=user).status_code == 201
            seen += [counts(other)[name], counts(client)[name]]
        return seen

    readers = [threading.Thread(target=read, args=[replica]) for replica in replicas]
    for reader in readers:
        reader.start()
    try:
        seen = at_once([lambda name=name: write(name) for name in ("ana", "bo", "cho")])
    finally:
        ended.set()
        for reader in readers:
            reader.join()

    assert seen == [[count for count in range(1, 16) for _ in range(2)]] * 3


def read(cache, load):
    return cache.read(load, load_from_primary=load)


def test_a_list_that_was_read_before_a_write_and_is_kept_after_it_is_not_used(replicas, make_post):
    caches = [replica.extensions["post"].category_cache for replica in replicas]

    def load_while_another_writes() -> list[dict[str, str]]:
        caches[1].forget()
        return [{"name": "old"}]

    first = read(caches[0], load_while_another_writes)
    second = read(caches[0], lambda: [{"name": "new"}])
    third = read(caches[1], lambda: [{"name": "not asked"}])

    assert [first, second, third] == [[{"name": "old"}], [{"name": "new"}], [{"name": "new"}]]


def test_an_old_list_is_not_used_where_redis_has_lost_the_generation(replicas, redis):
    caches = [replica.extensions["post"].category_cache for replica in replicas]
    read(caches[0], lambda: [{"name": "old"}])

    redis.client().delete(*redis.client().scan_iter("*:generation"))

    assert read(caches[1], lambda: [{"name": "new"}]) == [{"name": "new"}]


def test_a_write_while_redis_is_lost_is_seen_at_once_and_after_its_return(replicas, redis, make_post, as_user):
    app = replicas[0]
    clients = [replica.test_client() for replica in replicas]
    make_post(category="여행")
    before = [counts(client) for client in clients]
    redis.pause()  # which keeps the list
    body = {"title": "제목", "content": "내용", "category": "여행"}

    created = clients[0].post("/api/v1/posts", json=body, headers=as_user("ana"))
    meanwhile = counts(clients[0])
    redis.resume()
    wait_for_return(app)
    back = [counts(client) for client in clients]

    assert created.status_code == 201
    assert before == [{"여행": 1}] * 2
    assert meanwhile == {"여행": 2}
    assert back == [{"여행": 2}] * 2


def test_a_write_while_redis_is_just_being_returned_to_is_seen(replicas, redis, monkeypatch):
    """After the return was prepared, and before anyone asks Redis again."""
    app = replicas[0]
    circuit, cache = redis_of(app)._circuit, app.extensions["post"].category_cache
    other, is_back = replicas[1].extensions["post"].category_cache, circuit._is_back
    read(cache, lambda: [{"name": "old"}])

    def return_as_another_writes() -> bool:
        if not is_back():
            return False
        monkeypatch.setattr(circuit, "_is_back", is_back)
        read(other, lambda: [{"name": "old"}])
        cache.forget()
        return True

    monkeypatch.setattr(circuit, "_is_back", return_as_another_writes)
    redis.pause()
    lost = not redis_of(app).is_up()
    redis.resume()
    wait_for_return(app)

    assert lost
    assert [read(each, lambda: [{"name": "new"}]) for each in (cache, other)] == [[{"name": "new"}]] * 2


@contextmanager
def refusing(redis: RedisServer) -> Iterator[None]:
    """Have Redis refuse to be written to; one that is paused does later what it was asked meanwhile."""
    redis.client().config_set("maxmemory", "1")
    yield
    redis.client().config_set("maxmemory", "0")


def test_a_write_while_redis_was_lost_is_seen_on_the_other_replica_once_this_one_is_back(replicas, redis, monkeypatch):
    """Where nobody reads the list on the replica that has written, and not because an old list has ended."""
    monkeypatch.setattr(redis_backends, "_LIST_SECONDS", 10 * HANG_SECONDS)
    cache, other = (replica.extensions["post"].category_cache for replica in replicas)
    read(other, lambda: [{"name": "old"}])
    with refusing(redis):
        cache.forget()

    wait_for_return(replicas[0])

    new = [{"name": "new"}]
    wait_until(lambda: read(other, lambda: new) == new, what="the list is not renewed")


def test_a_worker_that_never_lost_redis_sees_what_another_wrote_without_it(replicas, redis):
    cache = replicas[0].extensions["post"].category_cache
    read(cache, lambda: [{"name": "old"}])
    with refusing(redis):
        in_forks(cache.forget, processes=1)  # which ends before it finds Redis back

    seen = [read(cache, lambda: [{"name": "new"}]) for _ in range(2)]

    assert not redis_of(replicas[0]).is_lost
    assert seen == [[{"name": "new"}]] * 2


def test_after_a_write_without_redis_a_worker_reads_the_list_once(replicas, statements, make_post):
    client = replicas[0].test_client()
    make_post(category="여행")
    replicas[0].extensions["post"].category_cache._change_mark()
    first = client.get(PATH)
    statements.clear()

    again = [client.get(PATH) for _ in range(3)]

    assert {answer.headers["ETag"] for answer in again} == {first.headers["ETag"]}
    assert statements == []


def test_the_demo_and_a_repair_are_seen_too(replicas, make_post, app):
    make_post(category="여행")
    client = replicas[1].test_client()
    before = counts(client)
    with app.app_context(), transaction() as connection:
        connection.exec_driver_sql("UPDATE post_counts SET visible = 5 WHERE scope = 'category'")

    with replicas[0].app_context():
        services.verify_counters(repair=True)
    repaired = counts(client)
    seeded = replicas[0].test_cli_runner().invoke(args=["seed-demo", "--posts", "3"])
    after = counts(client)

    assert seeded.exit_code == 0, seeded.output
    assert (before, repaired) == ({"여행": 1}, {"여행": 1})
    assert sum(after.values()) == 4


# After a transaction


def test_what_follows_a_transaction_is_done_once_and_after_it(app):
    done: list[str] = []

    def first() -> None:
        done.append("first")

    with app.app_context(), transaction():
        after_transaction(first)
        after_transaction(first)
        done.append("within")

    assert done == ["within", "first"]


def test_what_follows_a_transaction_is_done_where_its_commit_fails_too(app, monkeypatch):
    done: list[bool] = []
    with app.app_context():
        monkeypatch.setattr(db.engine.dialect, "do_commit", lost)

        with pytest.raises(OperationalError):
            note_in_transaction(done)

    assert done == [True]


def note_in_transaction(done: list[bool]) -> None:
    with transaction() as connection:
        connection.exec_driver_sql("SELECT 1")
        after_transaction(lambda: done.append(True))


def lost(_connection) -> None:
    raise OperationalError(None, None, Exception("Lost connection to server during query"))


def test_outside_a_transaction_nothing_can_follow_one():
    with pytest.raises(RuntimeError):
        after_transaction(lambda: None)
