"""A server that is away, slow, or cut off in the middle of something: who waits, who is refused, what is written."""

import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from post.database import circuit
from post.database.circuit import DatabaseCircuit, is_open
from post.database.engines import Timeouts, engine_options
from post.models import Like, Post, db
from post.shared.circuit import PROBE_SECONDS
from tests.answers import fault
from tests.conftest import at_once, empty
from tests.load import API, crowding
from tests.servers import HANG_SECONDS, wait_until

QUICK = Timeouts(connect_seconds=0.5, read_seconds=1.1, pool_seconds=1, recycle_seconds=280)
REFUSED_SECONDS = 0.3


class Proxy:
    """A way to a server that can be cut as soon as something is on it."""

    def __init__(self, port):
        self._port, self.cut_after = port, None
        self._ends, self._threads = [], []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    def _start(self, run, *args):
        thread = threading.Thread(target=run, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                self._ends += [client, server]
                self._start(self._pass_on, client, server, client)
                self._start(self._pass_on, server, client, client)

    def _pass_on(self, source, target, client):
        with suppress(OSError):
            while data := source.recv(65536):
                if source is client and self.cut_after is not None and self.cut_after in data:
                    self.cut_after = None
                    client.shutdown(socket.SHUT_RDWR)  # before the server has its word, whose answer is then lost
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._ends):
            end.close()


@pytest.fixture
def proxy(mysql_server):
    proxy = Proxy(make_url(mysql_server).port or 3306)
    yield proxy
    proxy.close()


@pytest.fixture
def proxied(proxy, make_app, mysql_server):
    """A service whose way to its database can be cut."""
    url = (
        make_url(mysql_server).set(port=proxy.port).update_query_dict({"ssl_disabled": "true"})
    )  # to be read on its way
    app = make_app(DATABASE_URL=url.render_as_string(hide_password=False))
    yield app
    empty(app)
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()


def as_ana(app):
    return {"Authorization": f"Bearer {app.extensions['post'].dev_issuer.issue('ana', [])['access_token']}"}


def create(app, **headers):
    body = {"title": "제목", "content": "내용"}
    return app.test_client().post(f"{API}/posts", json=body, headers={**as_ana(app), **headers})


def count(url, table):
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return connection.scalar(select(func.count()).select_from(table))


# A write whose COMMIT is not answered


def test_a_write_whose_commit_is_not_answered_is_told_as_failed_and_done_once(proxied, proxy, mysql_server):
    create(proxied)
    proxy.cut_after = b"COMMIT"

    refused = create(proxied)

    assert fault(refused) == (503, "database_unavailable")
    assert proxy.cut_after is None
    wait_until(lambda: count(mysql_server, Post) == 2, what="the server had the COMMIT")


def test_a_toggle_whose_commit_is_not_answered_is_not_toggled_back(proxied, proxy, mysql_server):
    path = f"{create(proxied).headers['Location']}/like"
    proxy.cut_after = b"COMMIT"

    refused = proxied.test_client().post(path, headers=as_ana(proxied))

    assert fault(refused) == (503, "database_unavailable")
    wait_until(lambda: count(mysql_server, Like) == 1, what="the server had the COMMIT")


def test_a_creation_in_doubt_is_found_again_by_its_key(proxied, proxy, mysql_server):
    create(proxied)
    proxy.cut_after = b"COMMIT"

    first = create(proxied, **{"Idempotency-Key": "once"})
    again = create(proxied, **{"Idempotency-Key": "once"})

    assert fault(first) == (503, "database_unavailable")
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert count(mysql_server, Post) == 2


# A server that is slow


def test_a_slow_query_costs_nobody_else_an_answer(make_app, mysql_server, monkeypatch):
    monkeypatch.setattr(circuit, "GRACE_SECONDS", HANG_SECONDS)  # a busy machine takes its time for the first look
    app = make_app(DATABASE_URL=mysql_server, DATABASE_READ_TIMEOUT_SECONDS="3")
    with create_engine(mysql_server, poolclass=NullPool).connect() as other:
        other.execute(text("LOCK TABLES posts WRITE"))
        answers = at_once([lambda: app.test_client().get(f"{API}/posts")] * 3)
        beside = [app.test_client().get(f"{API}/categories") for _ in range(20)]

    assert [fault(answer) for answer in answers] == [(503, "database_unavailable")] * 3
    assert {answer.status_code for answer in beside} == {200}
    assert app.test_client().get(f"{API}/posts").status_code == 200


# A server that is away


@contextmanager
def nobody_answers():
    """The port of a server that accepts connections and says nothing; with how many it has accepted."""
    accepted = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            with suppress(OSError):
                while True:
                    accepted.append(listener.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1], accepted
        listener.shutdown(socket.SHUT_RDWR)
    for connection in accepted:
        connection.close()


@contextmanager
def black_hole():
    """A port where connections are not even accepted, as behind an address that leads nowhere."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as first:
        first.connect(listener.getsockname())  # takes the only place in the queue
        yield listener.getsockname()[1], []


@pytest.mark.parametrize("server", [nobody_answers, black_hole])
def test_callers_are_refused_at_once_while_one_thread_asks_a_server_that_hangs(server):
    with server() as (port, accepted):
        url = f"mysql+pymysql://root@127.0.0.1:{port}/any"
        engine = create_engine(url, **engine_options(url, pool_size=4, timeouts=QUICK))
        DatabaseCircuit("database").guard(engine)
        with pytest.raises(OperationalError):
            engine.connect()

        def refused():
            began = time.monotonic()
            with pytest.raises(OperationalError):
                engine.connect()
            return time.monotonic() - began

        waited = at_once([refused] * 60, threads=12)
        time.sleep(2 * (PROBE_SECONDS + QUICK.read_seconds))

        assert is_open(engine)
        assert max(waited) < REFUSED_SECONDS * crowding()
        assert len(accepted) <= 1 + 3  # the caller's, and a probe in each span


def test_a_pool_that_is_made_anew_stays_guarded():
    url = "mysql+pymysql://root@127.0.0.1:1/any"
    guard = DatabaseCircuit("database")
    engine = create_engine(url, **engine_options(url, pool_size=1, timeouts=QUICK))
    guard.guard(engine)

    engine.dispose()

    assert engine.pool.circuit is guard


def test_an_engine_without_such_a_pool_is_left_alone():
    engine = create_engine("sqlite://")
    DatabaseCircuit("database").guard(engine)

    assert not is_open(engine)
    assert engine.connect().execute(text("SELECT 1")).scalar() == 1
    engine.dispose()


@pytest.mark.parametrize(("read_seconds", "lock_seconds"), [(1.1, 1), (1.25, 1), (2, 1), (3, 2), (4, 3), (15, 3)])
def test_a_wait_for_a_row_ends_before_the_drivers_patience(read_seconds, lock_seconds):
    timeouts = QUICK._replace(read_seconds=read_seconds)

    options = engine_options("mysql+pymysql://root@127.0.0.1/any", pool_size=1, timeouts=timeouts)

    assert f"innodb_lock_wait_timeout = {lock_seconds}," in options["connect_args"]["init_command"]
    assert lock_seconds < read_seconds
