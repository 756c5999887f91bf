"""A read replica: what goes there, what never does, and what happens without it."""

import time
from contextlib import contextmanager

import pytest
import requests
from flask import Flask

from config import load_config
from post.database.servers import is_replica_allowed
from post.shared.memory import SharedCounters
from post.shared.view_counter import IN_DOUBT_SECONDS
from post.web.read_routing import RecentWriters, init_read_routing
from tests.drills.aftermath import assert_nothing_is_lost
from tests.load import API, reader, token, under_load, writer
from tests.servers import (
    HANG_SECONDS,
    PATIENT_WITH_MYSQL,
    UNLIMITED,
    find_mariadbd,
    replicated_mysql,
    running_service,
    wait_until,
)

needs_two_servers = pytest.mark.skipif(find_mariadbd() is None, reason="it needs MariaDB, to run two of it")

LAG_SECONDS = 2
FALLBACK_SECONDS = 1
BACK_SECONDS = 3


@pytest.fixture(scope="module")
def servers():
    with replicated_mysql() as (primary, replica):
        yield primary, replica


@pytest.fixture(scope="module")
def service(servers, tmp_path_factory):
    primary, replica = servers
    settings = {"DATABASE_URL": primary.url, "DATABASE_REPLICA_URL": replica.url, **PATIENT_WITH_MYSQL, **UNLIMITED}
    settings["DATABASE_REPLICA_LAG_SECONDS"] = str(LAG_SECONDS)
    with running_service(tmp_path_factory.mktemp("service"), **settings) as service:
        caught_up(*servers)
        yield service


def caught_up(primary, replica):
    """Wait until the replica has all that the primary had."""
    (position,) = primary.run("SELECT @@gtid_binlog_pos")
    assert replica.run(f"SELECT MASTER_GTID_WAIT('{position[0]}', 30)") == ((0,),)


@contextmanager
def lagging(primary, replica):
    """Keep the replica as it is for the block."""
    caught_up(primary, replica)
    replica.run("STOP SLAVE SQL_THREAD")
    try:
        yield
    finally:
        replica.run("START SLAVE SQL_THREAD")
        caught_up(primary, replica)


class Person:
    """Somebody who uses the service from one browser."""

    def __init__(self, service, name=None):
        self._url, self._session = service.url, requests.Session()
        self._session.headers.update(token(service.url, name) if name else {})

    def ask(self, method, path, **options):
        return self._session.request(method, self._url + path, timeout=HANG_SECONDS, **options)

    def create(self, title="제목", category="일반"):
        answer = self.ask("POST", f"{API}/posts", json={"title": title, "content": "내용", "category": category})
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]["id"]

    def titles(self, **query):
        return [post["title"] for post in self.ask("GET", f"{API}/posts", params=query).json()["data"]]


@pytest.fixture
def ana(service):
    return Person(service, "ana")


@pytest.fixture
def bo(service):
    return Person(service, "bo")


@pytest.fixture
def nobody(service):
    return Person(service)


# What is read where


@needs_two_servers
def test_who_has_written_sees_it_and_others_see_the_replica_until_it_has_caught_up(servers, ana, bo, nobody):
    post_id = ana.create("alt", "Travel")
    seen = {}
    with lagging(*servers):
        for _ in range(8):  # whichever worker answers
            ana.ask("PATCH", f"{API}/posts/{post_id}", json={"title": "neu"})  # of late, however slow this machine is
            for name, person in {"ana": ana, "bo": bo, "nobody": nobody}.items():
                seen.setdefault(name, set()).update(
                    [person.ask("GET", f"{API}/posts/{post_id}").json()["data"]["title"], *person.titles(q="neu")]
                )
    caught_up_with = bo.titles(q="neu")

    assert seen == {"ana": {"neu"}, "bo": {"alt"}, "nobody": {"alt"}}
    assert caught_up_with == ["neu"]


@needs_two_servers
def test_who_has_written_reads_on_the_replica_again_after_a_while(servers, ana):
    post_id = ana.create("alt")
    with lagging(*servers):
        ana.ask("PATCH", f"{API}/posts/{post_id}", json={"title": "neu"})
        at_once = ana.ask("GET", f"{API}/posts/{post_id}").json()["data"]["title"]
        time.sleep(2 * LAG_SECONDS + 0.2)
        later = ana.ask("GET", f"{API}/posts/{post_id}").json()["data"]["title"]

    assert (at_once, later) == ("neu", "alt")


@needs_two_servers
def test_a_like_without_a_token_is_seen_from_its_address_alone(servers, make_app, ana):
    primary, replica = servers
    app = make_app(DATABASE_URL=primary.url, DATABASE_REPLICA_URL=replica.url, LIKE_REQUIRES_AUTH="false")
    path = f"{API}/posts/{ana.create()}/like"
    status, here, elsewhere = f"{path}/status?user_id=guest", {"REMOTE_ADDR": "10.0.0.1"}, {"REMOTE_ADDR": "10.0.0.2"}
    with lagging(primary, replica):
        app.test_client().post(path, json={"user_id": "guest"}, environ_base=here)
        states = [app.test_client().get(status, environ_base=base).json["data"] for base in (here, elsewhere)]

    assert [state["like_count"] for state in states] == [1, 0]


@needs_two_servers
def test_every_kind_of_read_goes_to_the_replica_and_no_write_nor_check_of_one(servers, service, ana):
    primary, replica = servers
    post_id = ana.create()
    caught_up(primary, replica)
    time.sleep(2 * LAG_SECONDS + 0.2)
    reads = ["posts", "posts?q=a", "posts/my", f"posts/{post_id}", f"posts/{post_id}/like/status", "categories"]

    with logged(primary) as on_primary, logged(replica) as on_replica:
        for path in reads:
            assert ana.ask("GET", f"{API}/{path}").status_code == 200
        ana.ask("GET", f"{API}/posts/media/check-permissions")
        time.sleep(1.5)  # until the view is written
        ana.ask("PUT", f"{API}/posts/{post_id}/like")

    on_primary = [query for query in on_primary if "FROM tasks" not in query]  # of a thread that looks for long tasks
    assert len([query for query in on_replica if query.startswith("SELECT posts") or "FROM" in query]) >= len(reads)
    assert not [query for query in on_replica if "deactivated_accounts" in query or "FOR UPDATE" in query]
    assert len([query for query in on_primary if "deactivated_accounts" in query]) == 2
    sent = [
        statement for query in on_primary for statement in query.split("; ")
    ]  # those of one text are logged together
    assert {statement.split()[0] for statement in sent if "posts" in statement} == {"SELECT", "UPDATE"}
    assert [query for query in on_primary if "posts" in query and query.startswith("SELECT")] == [
        query for query in on_primary if "FOR UPDATE" in query
    ]


@contextmanager
def logged(server):
    """The statements that a server is sent during the block."""
    server.run("SET GLOBAL log_output = 'TABLE'", "TRUNCATE mysql.general_log", "SET GLOBAL general_log = 1")
    statements = []
    try:
        yield statements
    finally:
        query = "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE command_type = 'Query'"
        rows = server.run("SET GLOBAL general_log = 0", query)
        statements += [row[0] for row in rows if "general_log" not in row[0]]


# Entity tags and views over a replica that lags


@needs_two_servers
def test_a_tag_stands_for_what_was_shown_wherever_it_was_read(servers, ana, bo):
    post_id = ana.create("alt")
    path = f"{API}/posts/{post_id}"
    bo.ask("GET", path)
    ana.ask("GET", path)
    with lagging(*servers):
        ana.ask("PATCH", path, json={"title": "neu"})
        new, old = ana.ask("GET", path), bo.ask("GET", path)
        crossed = [
            ana.ask("GET", path, headers={"If-None-Match": old.headers["ETag"]}),
            bo.ask("GET", path, headers={"If-None-Match": new.headers["ETag"]}),
        ]
        same = [
            ana.ask("GET", path, headers={"If-None-Match": new.headers["ETag"]}),
            bo.ask("GET", path, headers={"If-None-Match": old.headers["ETag"]}),
        ]

    assert [answer.status_code for answer in crossed] == [200, 200]
    assert [answer.json()["data"]["title"] for answer in crossed] == ["neu", "alt"]
    assert [answer.status_code for answer in same] == [304, 304]


@needs_two_servers
def test_views_do_not_go_backwards_while_the_replica_lags(servers, service, ana, bo):
    post_id = ana.create()
    path = f"{API}/posts/{post_id}"
    caught_up(*servers)
    with lagging(*servers):
        seen = [bo.ask("GET", path).json()["data"]["view_count"]]
        time.sleep(IN_DOUBT_SECONDS + 1.2)  # until the view is written, and was in doubt for long without a replica
        seen += [bo.ask("GET", path).json()["data"]["view_count"] for _ in range(3)]
    assert seen == [1, 1, 1, 1]


# A replica that is lost


def readers_of(service):
    url = service.url
    paths = [f"{API}/posts", f"{API}/categories", f"{API}/posts?q=a"]
    return [
        *(reader(url, *paths) for _ in range(8)),
        reader(url, "/health/ready", pause_seconds=0.1),
        writer(url, "cy"),
    ]


@needs_two_servers
@pytest.mark.parametrize("fault", ["kill", "hang"])
def test_a_lost_replica_is_done_without_and_used_again(fault, servers, service, make_app):
    primary, replica = servers
    logged_before = len(service.log)
    with under_load(*readers_of(service)) as load:
        time.sleep(1)
        lost = time.monotonic()
        getattr(replica, fault)()
        time.sleep(5)
        meanwhile = load.between(lost + FALLBACK_SECONDS, time.monotonic())
        replica.start() if fault == "kill" else replica.go_on()
        back, asked = time.monotonic(), selects(replica)
        within = load.bound(BACK_SECONDS, calm_until=lost)
        wait_until(lambda: selects(replica) > asked + 50, seconds=within, what="the replica is not used again")
        used_again = time.monotonic() - back
        wait_until(
            lambda: service.log[logged_before:].count("replica_back") >= service.workers,
            what="not every worker uses the replica again",
        )
        wait_until(lambda: len(load.created) > 20, what="nobody writes")
        ready = requests.get(f"{service.url}/health/ready", timeout=HANG_SECONDS)
    caught_up(primary, replica)

    log = service.log[logged_before:]
    states = {(one.status, one.body["checks"]["replica"]) for one in meanwhile if one.path == "/health/ready"}
    assert_nothing_is_lost(f"replica, {fault}", primary, load, make_app, recovery=f"{used_again:.2f} s")
    assert {sample.status for sample in load.samples} <= {200, 201}
    assert max(sample.seconds for sample in load.samples) < load.bound(FALLBACK_SECONDS, calm_until=lost)
    assert states == {(200, "down")}
    assert ready.json() == {"status": "ready", "checks": {"database": "up", "replica": "up"}}
    assert (log.count("replica_lost"), log.count("replica_back")) == (service.workers, service.workers)


def selects(server):
    """How many queries a server has answered since its start."""
    return int(server.run("SHOW GLOBAL STATUS LIKE 'Com_select'")[0][1])


@needs_two_servers
def test_the_service_starts_without_its_replica(servers, tmp_path):
    nowhere = "mysql+pymysql://root@127.0.0.1:1/postdb_test"
    with running_service(tmp_path, DATABASE_URL=servers[0].url, DATABASE_REPLICA_URL=nowhere) as service:
        listed = requests.get(f"{service.url}{API}/posts", timeout=HANG_SECONDS)
        ready = requests.get(f"{service.url}/health/ready", timeout=HANG_SECONDS)

    assert (listed.status_code, ready.status_code) == (200, 200)
    assert ready.json()["checks"] == {"database": "up", "replica": "down"}


@needs_two_servers
def test_a_replica_without_the_schema_is_done_without(servers, make_app):
    primary, replica = servers
    elsewhere = replica.url.replace("postdb_test", "mysql")
    app = make_app(DATABASE_URL=primary.url, DATABASE_REPLICA_URL=elsewhere)

    answers = [app.test_client().get(f"{API}/{path}") for path in ("posts", "posts?q=a", "categories")]

    assert [answer.status_code for answer in answers] == [200] * 3


# Who has written of late


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_a_writer_is_remembered_from_the_last_write_on():
    clock = Clock()
    writers = RecentWriters(SharedCounters(entries=64, clock=clock), seconds=5, clock=clock)
    remembered = []
    for _ in range(4):
        writers.remember("user:ana")
        clock.now += 4.9
        remembered.append(writers.wrote_recently("user:ana"))
    clock.now += 5.2

    assert remembered == [True] * 4
    assert not writers.wrote_recently("user:ana")
    assert not writers.wrote_recently("user:bo")


def test_a_thread_may_not_read_there_once_its_request_has_ended():
    app = Flask(__name__)
    allowed = []

    @app.get("/")
    def look():
        allowed.append(is_replica_allowed())
        return ""

    init_read_routing(app, settings_with_replica(), SharedCounters(entries=64))
    app.test_client().get("/")

    assert allowed == [True]
    assert not is_replica_allowed()


def settings_with_replica():
    url = "mysql+pymysql://root@127.0.0.1:1/postdb"
    return load_config({"DATABASE_URL": url, "DATABASE_REPLICA_URL": url})


def test_nothing_is_routed_without_a_replica(app):
    names = [function.__name__ for function in app.before_request_funcs[None]]

    assert "choose_server" not in names
