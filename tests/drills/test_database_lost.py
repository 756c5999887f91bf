"""The database lost under load and back: the service says so in time, loses nothing, and needs no restart."""

import time
from contextlib import contextmanager, suppress

import pymysql
import pytest

from tests.drills.aftermath import assert_nothing_is_lost, assert_views_are_counted
from tests.load import API, new_post, reader, under_load, viewer, writer
from tests.servers import UNLIMITED, find_mysqld, running_mysql, running_service

pytestmark = pytest.mark.skipif(find_mysqld() is None, reason="it needs a server of its own to break")

ANSWERED_SECONDS = 2  # the service's promise while the database is away
BACK_SECONDS = 3  # and after its return
NOTICED_SECONDS = 0.5  # of what was under way when it was lost, some was still answered
READS = (f"{API}/posts", f"{API}/posts?q=ana", f"{API}/categories")


@pytest.fixture(scope="module")
def server():
    with running_mysql() as server:  # whose commits are safe on disk
        # An administrator may write to a server that is read-only, and connect to one that is full.
        server.run("CREATE USER post", "GRANT ALL ON postdb_test.* TO post")
        yield server


@pytest.fixture(scope="module")
def service(server, tmp_path_factory):
    url = server.url.replace("root@", "post@")
    settings = {"DATABASE_URL": url, "TRUSTED_PROXY_HOPS": "1", **UNLIMITED}
    with running_service(tmp_path_factory.mktemp("service"), **settings) as service:
        yield service


@pytest.fixture
def post(service):
    """The path of a post that is looked at while the database goes."""
    return new_post(service.url, "ana")


@contextmanager
def load_of(service, post, *, writers=6, readers=6):
    """Clients of all kinds, two who look after the service's health among them."""
    url = service.url
    health = [reader(url, path, pause_seconds=0.1) for path in ("/health", "/health/ready")]
    clients = [*(writer(url, f"user{n}") for n in range(writers)), *(reader(url, *READS) for _ in range(readers))]
    with under_load(*clients, viewer(url, post), *health) as load:
        yield load


def assert_told_as_away(samples):
    """That what needs the database is 503 within its time, and the process is known to live."""
    alive = [sample for sample in samples if sample.path == "/health"]
    ready = [sample for sample in samples if sample.path == "/health/ready"]
    others = [sample for sample in samples if not sample.path.startswith("/health")]
    assert min(map(len, (alive, ready, others))) > 0
    assert {sample.status for sample in alive} == {200}
    assert {(sample.status, sample.body["checks"]["database"]) for sample in ready} == {(503, "down")}
    assert {(sample.status, sample.body["error"]["code"]) for sample in others} == {(503, "database_unavailable")}
    assert all(int(sample.headers["Retry-After"]) > 0 for sample in others)


def settle(load, *, calm_until):
    """Wait until all is as before, and a moment longer."""
    time.sleep(load.bound(BACK_SECONDS, calm_until=calm_until) + 1)


def assert_recovered(load, back, *, calm_until):
    within = load.bound(BACK_SECONDS, calm_until=calm_until)
    before = {sample.status for sample in load.between(0, calm_until)}  # a busy machine's database is late at any time
    afterwards = {sample.status for sample in load.between(back + within, float("inf"))}
    assert load.recovery(back) < within
    assert {200} <= afterwards <= {200, 201} | before
    assert {sample.status for sample in load.samples} <= {200, 201, 503}  # no reset, no crash
    assert max(sample.seconds for sample in load.samples) < load.bound(ANSWERED_SECONDS, calm_until=calm_until)


def test_killed_under_load_and_restarted(server, service, post, make_app):
    with load_of(service, post) as load:
        time.sleep(3)
        killed = time.monotonic()
        server.kill()
        time.sleep(10)
        away = load.between(killed + NOTICED_SECONDS, time.monotonic())
        server.start()
        back = time.monotonic()
        settle(load, calm_until=killed)

    assert_nothing_is_lost("killed", server, load, make_app, recovery=f"{load.recovery(back):.2f} s")
    assert_told_as_away(away)
    assert_recovered(load, back, calm_until=killed)
    assert len(load.created) > 50
    assert_views_are_counted(server, service, load, post)


def test_a_server_that_hangs_is_told_as_one_that_is_gone_though_all_threads_met_it(server, service, post, make_app):
    with load_of(service, post, writers=15, readers=20) as load:  # more than the service has threads
        time.sleep(2)
        hung = time.monotonic()
        server.hang()
        time.sleep(7)
        away = load.between(hung + NOTICED_SECONDS, time.monotonic())
        server.go_on()
        back = time.monotonic()
        settle(load, calm_until=hung)

    assert_nothing_is_lost("hung", server, load, make_app, recovery=f"{load.recovery(back):.2f} s")
    assert_told_as_away(away)
    assert_recovered(load, back, calm_until=hung)
    assert_views_are_counted(server, service, load, post)


def test_a_server_that_turns_read_only_is_still_read_from(server, service, post, make_app):
    with load_of(service, post) as load:
        time.sleep(1)
        server.run("SET GLOBAL read_only = 1")
        refusing = time.monotonic()
        time.sleep(3)
        meanwhile = load.between(refusing + NOTICED_SECONDS, time.monotonic())
        server.run("SET GLOBAL read_only = 0")
        back = time.monotonic()
        settle(load, calm_until=refusing)

    written = [sample for sample in meanwhile if sample.method != "GET"]
    assert_nothing_is_lost("read-only", server, load, make_app, recovery=f"{load.recovery(back):.2f} s")
    assert {(sample.status, sample.body["error"]["code"]) for sample in written} == {(503, "database_unavailable")}
    before = {sample.status for sample in load.between(0, refusing)}
    assert {200} <= {sample.status for sample in meanwhile if sample.method == "GET"} <= {200} | before
    assert_recovered(load, back, calm_until=refusing)
    assert_views_are_counted(server, service, load, post)


def test_a_server_with_too_many_connections_is_told_as_away_and_used_again(server, service, post, make_app):
    with server.administrator() as cursor, load_of(service, post, writers=10, readers=10) as load:
        cursor.execute("SELECT @@max_connections")
        (maximum,) = cursor.fetchone()
        time.sleep(1)
        cursor.execute("SET GLOBAL max_connections = 10")
        close_connections(cursor)
        full = time.monotonic()
        time.sleep(3)
        meanwhile = load.between(full, time.monotonic())
        cursor.execute(f"SET GLOBAL max_connections = {maximum}")
        back = time.monotonic()
        settle(load, calm_until=full)

    refused = {sample.body["error"]["code"] for sample in meanwhile if sample.status == 503}
    assert_nothing_is_lost("too many connections", server, load, make_app, recovery=f"{load.recovery(back):.2f} s")
    assert refused == {"database_unavailable"}
    assert_recovered(load, back, calm_until=full)
    assert_views_are_counted(server, service, load, post)


def close_connections(cursor):
    """End the service's connections."""
    cursor.execute("SELECT id FROM information_schema.processlist WHERE user = 'post'")
    for row in cursor.fetchall():
        with suppress(pymysql.OperationalError):  # it has ended by itself
            cursor.execute(f"KILL {row[0]}")
