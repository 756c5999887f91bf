"""The database as a server: its connections, its faults, its schema."""

import fcntl
import functools
import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import flask_migrate
from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool, StaticPool

from post.models import db

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

MIGRATIONS_DIR = Path(__file__).resolve().parent.parent / "migrations"
UPGRADE_LOCK_SECONDS = 120
WRITE_ATTEMPTS = 6
WRITE_RETRY_SECONDS = 6
# MySQL error numbers ("Server Error Message Reference", "Client Error Message Reference").
UNKNOWN_DATABASE = 1049
DEADLOCK, LOCK_WAIT_TIMEOUT = 1213, 1205
TRANSIENT = frozenset({DEADLOCK, LOCK_WAIT_TIMEOUT})
AWAY = frozenset({1040, 1053, 1129, 1203, 1226, 1290, 1792, 1836, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 3032, 4031})
SQLITE_AWAY = ("database is locked", "unable to open database", "disk i/o error", "database is busy")

MYSQL_SESSION = (
    "SET SESSION time_zone = '+00:00', sql_mode = 'TRADITIONAL', "
    # Below the driver's read timeout, so that a wait for a row ends as error 1205, which is retried.
    "innodb_lock_wait_timeout = 3"
)


def engine_options(database_url: str, *, pool_size: int) -> dict[str, Any]:
    """
    Return what ``create_engine`` should be given.

    Args:
        database_url: ``mysql+pymysql://…`` or ``sqlite:///…``.
        pool_size: Connections to keep: as many as the process has threads.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": 10}} | ({"poolclass": StaticPool} if _is_in_memory(url) else {})
    return {
        # Each statement sees what is committed: what was just inserted by another can be read,
        # and no gap locks stand between concurrent inserts.
        "isolation_level": "READ COMMITTED",
        "pool_size": pool_size,
        "max_overflow": 2,
        "pool_timeout": 10,
        "pool_pre_ping": True,
        "pool_recycle": 280,
        "connect_args": {"connect_timeout": 5, "read_timeout": 15, "write_timeout": 15, "init_command": MYSQL_SESSION},
    }


@event.listens_for(Engine, "connect")
def _set_up_sqlite(connection: Any, _record: Any) -> None:
    if not type(connection).__module__.startswith("sqlite3"):
        return
    connection.isolation_level = None  # else the driver begins transactions by itself, too late
    connection.executescript(
        "PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 10000"
    )


@event.listens_for(Engine, "begin")
def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and then writes would fail at once when another wrote in
    # between (SQLITE_BUSY_SNAPSHOT); one that begins IMMEDIATE waits for its turn.
    if connection.dialect.name == "sqlite":
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")


def error_number(error: DBAPIError) -> int | None:
    """Return MySQL's error number, or None where the driver gave none."""
    args = getattr(error.orig, "args", ())
    return args[0] if args and isinstance(args[0], int) else None


def is_transient(error: DBAPIError) -> bool:
    """Tell whether the statement was chosen as a deadlock's victim or waited too long for a lock."""
    return error_number(error) in TRANSIENT


def is_away(error: Exception) -> bool:
    """Tell whether an error means that the database cannot be used now, rather than a fault of ours."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or is_transient(error) or error_number(error) in AWAY:
        return True
    reason = str(error.orig).lower()
    return isinstance(error, OperationalError) and any(words in reason for words in SQLITE_AWAY)


def retried(write: Callable[P, R]) -> Callable[P, R]:
    """
    Run a write service again when MySQL ends its transaction for a deadlock or a lock's timeout.

    Such a transaction is rolled back whole, so running it again is safe. Locks are taken in one
    order (post, then category or like), so this is rare; foreign keys and index gaps still can.

    Raises:
        OperationalError: It failed so ``WRITE_ATTEMPTS`` times, or for ``WRITE_RETRY_SECONDS``.
    """

    @functools.wraps(write)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        deadline = time.monotonic() + WRITE_RETRY_SECONDS
        for attempt in range(1, WRITE_ATTEMPTS):
            try:
                return write(*args, **kwargs)
            except OperationalError as exc:
                if not is_transient(exc) or time.monotonic() > deadline:
                    raise
                logger.warning("write_retried", extra={"attempt": attempt, "error": error_number(exc)})
                time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - spreads retries, hides nothing
        return write(*args, **kwargs)

    return run


def is_up() -> bool:
    """Tell whether the database answers a query."""
    try:
        db.session.execute(text("SELECT 1"))
    except (DBAPIError, PoolTimeout):
        db.session.rollback()
        return False
    return True


def prepare_database(app: Flask, *, upgrade: bool = True) -> None:
    """
    Create the database when it is missing and bring its schema up to date.

    Any number of processes may do this at once: one works while the others wait.

    Args:
        app: The application.
        upgrade: Whether to see to the schema too.

    Raises:
        DBAPIError: The server cannot be reached, or refuses.
    """
    url = make_url(app.config["SQLALCHEMY_DATABASE_URI"])
    create_missing_database(url)
    if not upgrade:
        return
    with app.app_context():
        with _upgrade_lock(url):
            flask_migrate.upgrade(directory=str(MIGRATIONS_DIR))
        if not _is_in_memory(url):
            db.engine.dispose()  # connections must not cross a fork: workers open their own


def create_missing_database(url: URL) -> None:
    """Create the database that a URL names, where it does not exist."""
    if url.get_backend_name() == "sqlite":
        if not _is_in_memory(url):
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        return
    try:
        _run(url, "SELECT 1")
    except OperationalError as exc:
        if error_number(exc) != UNKNOWN_DATABASE:
            raise
        name = str(url.database).replace("`", "``")
        _run(
            url.set(database=""),
            f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        )


def _run(url: URL, statement: str) -> None:
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 5})
    with engine.connect() as connection:
        connection.execute(text(statement))


def _is_in_memory(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


@contextmanager
def _upgrade_lock(url: URL) -> Iterator[None]:
    if url.get_backend_name() != "sqlite":
        with _mysql_lock(url):
            yield
    elif _is_in_memory(url):
        yield
    else:
        with Path(f"{url.database}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


@contextmanager
def _mysql_lock(url: URL) -> Iterator[None]:
    # Of a connection of its own: DDL commits, and the lock must outlive that.
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 5})
    with engine.connect() as connection:
        name = f"post-service:{url.database}"[:64]  # GET_LOCK's limit
        taken = connection.scalar(
            text("SELECT GET_LOCK(:name, :seconds)"), {"name": name, "seconds": UPGRADE_LOCK_SECONDS}
        )
        if taken != 1:
            raise TimeoutError(f"another process has held the schema's lock for {UPGRADE_LOCK_SECONDS} s")
        try:
            yield
        finally:
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": name})
