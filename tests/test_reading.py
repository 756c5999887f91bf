"""Reads: one round trip each, on connections that the server may close, and never an old state for who has written."""

from collections import Counter

import pymysql
import pytest
from sqlalchemy import create_engine, event, func, literal_column, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from post.database import circuit, reads
from post.database.engines import READING
from post.database.reads import read
from post.models import Post, db
from tests.answers import fault
from tests.conftest import at_once, empty
from tests.servers import HANG_SECONDS

POSTS = "/api/v1/posts"
COM_QUERY = 3  # of MySQL's client/server protocol; a ping is another


@pytest.fixture
def mysql_app(make_app, own_mysql_database):
    """A service with connections of its own, as many as it has opened, on a database where no other test has any."""
    app = make_app(DATABASE_URL=own_mysql_database)
    yield app
    with app.app_context():  # first: the test may have had them closed
        for engine in db.engines.values():
            engine.dispose()
    empty(app)
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()


@pytest.fixture
def headers(mysql_app):
    """Headers of a user."""
    issuer = mysql_app.extensions["post"].dev_issuer
    return lambda name: {"Authorization": f"Bearer {issuer.issue(name, [])['access_token']}"}


@pytest.fixture
def server(own_mysql_database, mysql_app):
    """A connection to the server beside the service's."""
    with create_engine(own_mysql_database, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as other:
        yield other


@pytest.fixture
def reading(mysql_app):
    """What the service reads by."""
    with mysql_app.app_context():
        return db.engines[READING]


@pytest.fixture
def commands(monkeypatch):
    """What the driver sends to the server: each is a round trip."""
    sent = []
    send = pymysql.connections.Connection._execute_command

    def note(connection, command, sql):
        sent.append((command, sql.encode() if isinstance(sql, str) else sql))
        return send(connection, command, sql)

    monkeypatch.setattr(pymysql.connections.Connection, "_execute_command", note)
    return sent


def create(client, headers, title="제목", category="일반"):
    body = {"title": title, "content": "내용", "category": category}
    response = client.post(POSTS, headers=headers, json=body)
    assert response.status_code == 201, response.json
    return response.json["data"]


READS = {
    "list": POSTS,
    "summary": f"{POSTS}?view=summary&sort=popular",
    "by-category": f"{POSTS}?category=Travel",
    "from-a-cursor": f"{POSTS}?cursor=bmV4dC5sYXRlc3QuOTk5OTk5OTk5OQ",
    "detail": f"{POSTS}/{{id}}",
    "like-status": f"{POSTS}/{{id}}/like/status?user_id=ana",
    "categories": "/api/v1/categories",
}


@pytest.mark.parametrize("url", READS.values(), ids=READS)
def test_a_read_is_one_round_trip(url, mysql_app, headers, commands):
    client = mysql_app.test_client()
    url = url.format(**create(client, headers("ana"), category="Travel"))
    client.get(url)  # counts the view, opens the connection
    commands.clear()

    answers = [client.get(url) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200] * 5
    assert [command for command, _ in commands] == [COM_QUERY] * 5
    assert {sql[:6] for _, sql in commands} == {b"SELECT"}


def test_the_server_counts_no_more_than_it_is_asked(mysql_app, headers, reading):
    client = mysql_app.test_client()
    create(client, headers("ana"))

    def status():
        with reading.connect() as connection:
            id_ = connection.scalar(select(func.connection_id()))
            query = text("SHOW SESSION STATUS WHERE Variable_name IN ('Questions', 'Com_select', 'Com_rollback')")
            return id_, {name: int(value) for name, value in connection.execute(query)}

    client.get(POSTS)
    connection, before = status()
    for _ in range(20):
        client.get(POSTS)
    same, after = status()

    assert same == connection
    counted = {name: after[name] - before[name] for name in before}
    assert counted == {"Questions": 20 + 2, "Com_select": 20 + 1, "Com_rollback": 0}  # with what is asked here


def test_a_request_that_is_still_good_is_one_round_trip(mysql_app, headers, commands):
    client = mysql_app.test_client()
    url = f"{POSTS}/{create(client, headers('ana'))['id']}"
    client.get(url)
    tags = {path: client.get(path).headers["ETag"] for path in (url, POSTS, "/api/v1/categories")}
    commands.clear()

    answers = [client.get(path, headers={"If-None-Match": tag}) for path, tag in tags.items()]

    assert [answer.status_code for answer in answers] == [304] * 3
    assert [command for command, _ in commands] == [COM_QUERY] * 3


def test_reads_see_what_others_commit_and_leave_nothing_open(app, make_post, client):
    """On SQLite too, where a connection is the same for both."""
    seen = []
    for _ in range(3):
        make_post()
        seen.append(client.get(POSTS).json["meta"]["total"])

    assert seen == [1, 2, 3]
    with app.app_context():
        assert [engine.pool.checkedout() for engine in db.engines.values()] == [0] * len(db.engines)


def test_a_connection_that_reads_is_in_no_transaction(reading):
    with reading.connect() as connection:
        autocommit, zone = connection.execute(text("SELECT @@autocommit, @@time_zone")).one()

    assert (autocommit, zone) == (1, "+00:00")


# Connections that the server has closed


def close_all(server):
    """Close every other connection to the database, as a server's timeout or restart does; returns how many."""
    query = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    ids = server.scalars(text(query)).all()
    for id_ in ids:
        server.execute(text(f"KILL {int(id_)}"))
    return len(ids)


def test_reads_go_on_when_idle_connections_were_closed(mysql_app, headers, server):
    client = mysql_app.test_client()
    url = f"{POSTS}/{create(client, headers('ana'))['id']}"
    paths = [POSTS, url, "/api/v1/categories", f"{url}/like/status?user_id=ana", f"{POSTS}?q=%EC%A0%9C%EB%AA%A9"]

    for path in paths:
        assert client.get(path).status_code == 200
        assert close_all(server) > 0
        assert client.get(path).status_code == 200, path


def test_reads_at_once_go_on_when_all_their_connections_were_closed(mysql_app, headers, server, reading, monkeypatch):
    monkeypatch.setattr(reads, "STALE_SECONDS", HANG_SECONDS)  # a busy machine finds it out late
    create(mysql_app.test_client(), headers("ana"))
    # Each asks for something else: the same would be read by one query for all.
    calls = [lambda page=page: mysql_app.test_client().get(f"{POSTS}?page={page}") for page in range(1, 25)]
    at_once(calls, threads=12)
    opened = reading.pool.checkedin()

    closed = close_all(server)
    answers = at_once(calls, threads=12)

    assert closed >= opened > 1
    assert Counter(answer.status_code for answer in answers) == {200: 24}
    assert reading.pool.checkedout() == 0


def test_writes_and_the_checks_of_tokens_go_on_when_connections_were_closed(mysql_app, headers, server):
    client, ana = mysql_app.test_client(), headers("ana")
    post = create(client, ana)
    client.get(POSTS)

    close_all(server)
    answers = [
        client.put(f"{POSTS}/{post['id']}/like", headers=ana),
        client.patch(f"{POSTS}/{post['id']}", headers=ana, json={"title": "고침"}),
        client.get(f"{POSTS}/my", headers=ana),
    ]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert answers[2].json["data"][0]["title"] == "고침"


def test_a_read_is_not_tried_again_for_ever(mysql_app, server, commands, reading):
    """A server that closes new connections too is away."""

    def lose(_connection, cursor, *_rest):
        server.execute(text(f"KILL {cursor.connection.thread_id()}"))

    client = mysql_app.test_client()
    client.get(POSTS)
    commands.clear()
    event.listen(reading, "before_cursor_execute", lose)

    refused = client.get(POSTS)
    event.remove(reading, "before_cursor_execute", lose)
    tried = [sql for _, sql in commands if b"posts" in sql]

    assert fault(refused) == (503, "database_unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    assert len(tried) in (2, 3)
    assert client.get(POSTS).status_code == 200


def test_a_query_that_fails_for_another_reason_is_not_tried_again(app, count_queries):
    with app.app_context(), count_queries() as statements, pytest.raises(DBAPIError):
        read(select(literal_column("no_such_column")).select_from(Post))

    assert sum("no_such_column" in statement for statement in statements) == 1


def test_a_query_that_takes_too_long_is_not_tried_again(mysql_app, server, commands, reading, monkeypatch):
    """It would cost a server that has too much to do already twice as much, and the caller twice the time."""
    monkeypatch.setattr(circuit, "GRACE_SECONDS", HANG_SECONDS)  # a busy machine takes its time for the first look
    event.listen(reading, "connect", lambda connection, _record: setattr(connection, "_read_timeout", 3))  # not 15 s
    server.execute(text("LOCK TABLES posts WRITE"))

    refused = mysql_app.test_client().get(POSTS)
    tried = [sql for _, sql in commands if sql.startswith(b"SELECT") and b"posts" in sql]
    server.execute(text("UNLOCK TABLES"))

    assert fault(refused) == (503, "database_unavailable")
    assert len(tried) == 1
    assert mysql_app.test_client().get(POSTS).status_code == 200


def test_after_a_fault_the_connection_is_given_back(app, client):
    with app.app_context():
        for _ in range(30):  # more than the pool has
            with pytest.raises(DBAPIError):
                read(select(literal_column("no_such_column")).select_from(Post))

    assert client.get(POSTS).status_code == 200


# What who has written sees


def test_each_of_eight_writers_sees_their_writes_at_once(app, as_user):
    def write_and_look(name):
        client, own, wrong = app.test_client(), as_user(name), []
        for number in range(6):
            post = create(client, own, title=f"{name} {number}", category=name)
            url = f"{POSTS}/{post['id']}"
            mine = client.get(f"{POSTS}/my", headers=own).json
            listed = client.get(POSTS, query_string={"category": name}).json
            found = client.get(POSTS, query_string={"q": f"{name} {number}"}).json
            counted = {one["name"]: one["post_count"] for one in client.get("/api/v1/categories").json["data"]}
            client.patch(url, headers=own, json={"title": f"{name} {number} neu"})
            edited = client.get(url).json["data"]["title"]
            wrong += [
                seen
                for seen, expected in (
                    ([one["id"] for one in mine["data"]][:1], [post["id"]]),
                    ([one["id"] for one in listed["data"]][:1], [post["id"]]),
                    ([one["id"] for one in found["data"]], [post["id"]]),
                    ((mine["meta"]["total"], listed["meta"]["total"]), (number + 1, number + 1)),
                    (counted[name], number + 1),
                    (edited, f"{name} {number} neu"),
                )
                if seen != expected
            ]
        client.delete(url, headers=own)
        return wrong, client.get(url).status_code, client.get(f"{POSTS}/my", headers=own).json["meta"]["total"]

    results = at_once([lambda name=f"user{n}": write_and_look(name) for n in range(8)])

    assert results == [([], 404, 5)] * 8
