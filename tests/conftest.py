"""Fixtures: each test of the service runs on SQLite and on a server of MySQL's protocol."""

import gc
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4
from weakref import WeakSet

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, event, exists, func, literal, select, text, update
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.pool import NullPool

from app import create_app
from config import load_config
from post import services
from post.components import EXTENSION
from post.database.writes import transaction
from post.models import LogEntry, Media, Post, db
from post.services import tasks
from post.services.derived import IndexedPost, update_derived
from post.shared.task_runner import TaskRunner
from post.utils import Caller
from tests.servers import HANG_SECONDS, PATIENT_WITH_MYSQL, UNLIMITED, find_mysqld, private_mysql

# What modules of tests name that start processes (a server, a browser, Terraform), or take much of a processor.
NOT_QUICK = re.compile(
    r"\b(subprocess|playwright|answering|JwksServer|moto_server|private_mysql|private_redis|running_\w+|start_service"
    r"|proxied_service|redis_replicas|pytestmark = pytest\.mark\.slow)\b"
)
TASK_RUNNERS = WeakSet[TaskRunner]()  # of the apps that tests have made
NO_MYSQL = "MYSQL HALF NOT RUN: set TEST_DATABASE_URL, or install mariadb-server or mysql-server"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--db", choices=["sqlite", "mysql"], help="run on this database alone")
    parser.addoption(
        "--quick", action="store_true", help="run on SQLite, and leave out the slow tests and those that start servers"
    )
    parser.addoption("--without-others", action="store_true", help="leave out the tests that need no database")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    only = "sqlite" if config.getoption("--quick") else config.getoption("--db")
    has_mysql = bool(os.environ.get("TEST_DATABASE_URL") or find_mysqld())
    if not has_mysql and os.environ.get("CI") == "true":
        raise pytest.UsageError(NO_MYSQL)
    kept, left = [], []
    for item in items:
        database = item.callspec.params.get("database") if hasattr(item, "callspec") else None
        if database is None and "mysql_server" in item.fixturenames:
            database = "mysql"
        wanted = only in (None, database) and (database != "mysql" or has_mysql)
        if database is None:
            wanted = not config.getoption("--without-others")
        (kept if wanted else left).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


def pytest_collection_finish() -> None:
    """Spare the collector what lives as long as the run, thousands of tests: it took a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Not even import what ``--quick`` leaves out; None leaves the decision to others."""
    if not config.getoption("--quick") or not collection_path.match("test_*.py"):
        return None
    return True if NOT_QUICK.search(collection_path.read_text()) else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """End the threads that a test has woken for long tasks: they would use the database beside all later tests."""
    for runner in [*TASK_RUNNERS]:
        runner.stop()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not (os.environ.get("TEST_DATABASE_URL") or find_mysqld()):
        terminalreporter.write_line(NO_MYSQL, red=True, bold=True)


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[str]:
    """URL of a database on a real server; the database does not exist yet, and is this run's own."""
    given = os.environ.get("TEST_DATABASE_URL")
    with nullcontext(given) if given else private_mysql() as url:
        own = make_url(url).set(database=f"postdb_test_{uuid4().hex[:12]}")
        try:
            yield own.render_as_string(hide_password=False)
        finally:
            drop_database(own.render_as_string(hide_password=False))


def impatient_engine(url: str | URL) -> Engine:
    """An engine of MySQL whose statements fail that wait for ever, as for a lock on a table."""
    return create_engine(url, poolclass=NullPool, connect_args={"read_timeout": HANG_SECONDS})


def drop_database(url: str) -> None:
    with impatient_engine(make_url(url).set(database="")).connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS `{make_url(url).database}`"))


@contextmanager
def further_database(mysql_server: str) -> Iterator[str]:
    """URL of a database beside the run's own, which does not exist yet and is dropped after the block."""
    url = make_url(mysql_server).set(database=f"postdb_test_{uuid4().hex[:12]}").render_as_string(hide_password=False)
    yield url
    drop_database(url)


@pytest.fixture
def new_mysql_database(mysql_server: str) -> Iterator[str]:
    """URL of a further database that does not exist yet."""
    with further_database(mysql_server) as url:
        yield url


@pytest.fixture(scope="module")
def own_mysql_database(mysql_server: str) -> Iterator[str]:
    """URL of a database that the tests of a module have to themselves; it does not exist yet."""
    with further_database(mysql_server) as url:
        yield url


@pytest.fixture(scope="session", params=["sqlite", "mysql"])
def database(request: pytest.FixtureRequest) -> str:
    """Which database this half of the suite runs on."""
    return request.param


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder for what the service keeps: its database file, the local issuer's key."""
    return tmp_path_factory.mktemp("instance")


@pytest.fixture(scope="session")
def make_app(instance: Any) -> Callable[..., Flask]:
    """Build an app with settings of its own; no limit on requests unless it is set."""

    def make(**settings: str) -> Flask:
        defaults = {"INSTANCE_PATH": str(instance), **UNLIMITED, **PATIENT_WITH_MYSQL}
        defaults["SITE_PATH"] = str(instance / "no-site")  # whatever is built on this machine
        defaults["VIEW_FLUSH_SECONDS"] = "0"  # a test finds in the database what it has just done
        app = create_app(load_config({**defaults, **settings}))  # and nothing of this machine's environment
        TASK_RUNNERS.add(app.extensions[EXTENSION].task_runner)  # now: a test may put another in its place
        return app

    return make


@pytest.fixture(scope="session")
def database_url(database: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> str:
    if database == "mysql":
        return request.getfixturevalue("mysql_server")
    return f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/postdb.sqlite3"


@pytest.fixture(scope="session")
def shared_app(make_app: Callable[..., Flask], database_url: str) -> Flask:
    return make_app(DATABASE_URL=database_url)


@pytest.fixture
def app(shared_app: Flask) -> Iterator[Flask]:
    """The service on this half's database, which is empty before and after."""
    yield shared_app
    empty(shared_app)


TABLES = list(reversed(db.metadata.sorted_tables))
HAS_ROWS = select(*(exists(select(literal(1)).select_from(table)).label(table.name) for table in TABLES))


def empty(app: Flask) -> None:
    with app.app_context():
        has_rows = db.session.execute(HAS_ROWS).mappings().one()
        for table in (table for table in TABLES if has_rows[table.name]):
            if table is LogEntry.__table__:
                _empty_log()
            else:
                db.session.execute(table.delete())
        db.session.commit()


def _empty_log() -> None:
    """Empty the moderation log, of which its triggers let nobody delete a row."""
    if db.engine.dialect.name == "mysql":
        db.session.commit()
        db.session.execute(text("TRUNCATE TABLE moderation_log"))
        return
    found = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'moderation_log'")
    triggers = db.session.execute(found).all()
    for trigger in triggers:
        db.session.execute(text(f"DROP TRIGGER {trigger.name}"))
    db.session.execute(LogEntry.__table__.delete())
    for trigger in triggers:
        db.session.execute(text(trigger.sql))


def wrong_in(app: Flask) -> list[services.Mismatch]:
    """Return what the verifications of counters and of the search find."""
    with app.app_context():
        return services.verify_counters(repair=False) + services.verify_search(repair=False)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def as_user(shared_app: Flask) -> Callable[..., dict[str, str]]:
    """Headers of a user: ana wrote it, bo is another, root is an admin; nobody has no token."""
    issuer = shared_app.extensions["post"].dev_issuer

    def headers(name: str, *, token: str = "access_token") -> dict[str, str]:
        if name == "nobody":
            return {}
        return {"Authorization": f"Bearer {issuer.issue(name, ['admin'] if name == 'root' else [])[token]}"}

    return headers


@pytest.fixture(scope="session")
def user_id(shared_app: Flask) -> Callable[[str], str]:
    """The ``sub`` of a name."""
    return cache(lambda name: shared_app.extensions["post"].dev_issuer.issue(name, [])["sub"])


@pytest.fixture
def make_post(app: Flask, user_id: Callable[[str], str]) -> Callable[..., str]:
    """Make a post as if its author had, then set columns that no author can; returns its id."""

    def make(author: str = "ana", title: str = "제목", content: str = "내용", category: str = "일반", **columns) -> str:
        with app.app_context():
            caller = Caller(user_id=user_id(author), username=author)
            post_id = services.create_post(author=caller, title=title, content=content, category=category)["id"]
            if columns:
                _set_columns(post_id, columns)
            return post_id

    return make


def _set_columns(post_id: str, columns: dict[str, Any]) -> None:
    this = select(Post).where(Post.id == post_id).with_only_columns(*Post.__table__.columns)
    with transaction() as session:
        before = IndexedPost.of(session.execute(this).one())
        session.execute(update(Post).where(Post.id == post_id).values(**columns))
        update_derived(session, before, IndexedPost.of(session.execute(this).one()))


@pytest.fixture
def row(app: Flask) -> Callable[[str], Any]:
    """Read a post's row as it is stored."""

    def read(post_id: str) -> Any:
        with app.app_context():
            post = db.session.get(Post, post_id)
            db.session.expunge_all()
            return post

    return read


@pytest.fixture
def stored(app: Flask) -> Callable[[Any], Any]:
    """Read one value from the database."""

    def read(query: Any) -> Any:
        with app.app_context():
            return db.session.scalar(query)

    return read


@pytest.fixture
def rows(app: Flask) -> Callable[[Any], Any]:
    """Read a query's rows."""

    def read(query: Any) -> Any:
        with app.app_context():
            return db.session.execute(query).all()

    return read


@pytest.fixture
def wrong(app: Flask) -> Callable[[], list[services.Mismatch]]:
    """What the verifications of counters and of the search find."""

    return lambda: wrong_in(app)


@pytest.fixture
def count_media(stored: Callable[[Any], Any]) -> Callable[[], int]:
    """Count the rows of images."""
    return lambda: stored(select(func.count()).select_from(Media))


@pytest.fixture
def patient_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a request work at its task until it is done, on a busy machine too."""
    monkeypatch.setattr(tasks, "REQUEST_SECONDS", HANG_SECONDS)


@pytest.fixture
def sending(app: Flask) -> Callable[[], Any]:
    """Note the statements that a block sends to the database, each with its parameters."""
    return lambda: noting(app, lambda *sent: sent)


@pytest.fixture
def count_queries(app: Flask) -> Callable[[], Any]:
    """Count the statements that a block sends to the database."""
    return lambda: noting(app, lambda statement, _parameters: statement)


@contextmanager
def noting(app: Flask, what: Callable[[str, Any], Any]) -> Iterator[list[Any]]:
    sent: list[Any] = []

    def note(_connection, _cursor, statement, parameters, *_rest) -> None:
        sent.append(what(statement, parameters))

    with app.app_context():
        engines = list(db.engines.values())
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)


def at_once(calls: list[Callable[[], Any]], *, threads: int | None = None) -> list[Any]:
    """Run calls in threads that start together; returns what they return, in order."""
    threads = threads or len(calls)
    barrier = threading.Barrier(threads, timeout=HANG_SECONDS)

    def run(call: Callable[[], Any], *, first: bool) -> Any:
        if first:
            barrier.wait()
        return call()

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(run, call, first=index < threads) for index, call in enumerate(calls)]
        return [future.result() for future in futures]
