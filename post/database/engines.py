"""How connections to the database are made: whose session, and how long anything of theirs may take."""

import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from pymysql.err import Error as PyMySQLError
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from config import Settings
from post.database.circuit import GuardedPool
from post.database.instrumentation import MeteredPool

READING = "reading"  # the bind whose connections only read
REPLICA = "replica"  # the one of the same kind that leads to the replica, where there is one
LOCK_WAIT_SECONDS = 3
# For so long a replica may hang until the primary is asked instead: both take less than a second then.
REPLICA_SECONDS = 0.75
QUIET = {"hide_parameters": True}  # errors, which the log has, would name the values of a statement


class Timeouts(NamedTuple):
    """How long to wait at most: to connect, for the server's next word, for a connection of the pool; and its age."""

    connect_seconds: float
    read_seconds: float
    pool_seconds: float
    recycle_seconds: int


# Of commands, whose queries read whole tables, and which nobody waits for.
PATIENT = Timeouts(connect_seconds=5, read_seconds=15, pool_seconds=10, recycle_seconds=280)


def database_config(url: str, settings: Settings, *, for_command: bool) -> dict[str, Any]:
    """
    Return Flask-SQLAlchemy's configuration.

    Args:
        url: The primary's, or SQLite's.
        settings: Of threads, timeouts and the replica.
        for_command: For a command of ``flask``, which waits longer, rather than for the service.
    """
    timeouts = PATIENT if for_command else _timeouts(settings)
    options = engine_options(url, pool_size=settings.web_threads, timeouts=timeouts)
    config: dict[str, Any] = {"SQLALCHEMY_ENGINE_OPTIONS": options}
    if "pool_size" in options:  # MySQL's: SQLite reads and writes by the same connections
        binds = reading_binds(options, database_url=url, replica_url=settings.database_replica_url)
        config["SQLALCHEMY_BINDS"] = binds
    return config


def _timeouts(settings: Settings) -> Timeouts:
    return Timeouts(
        connect_seconds=settings.database_connect_timeout_seconds,
        read_seconds=settings.database_read_timeout_seconds,
        pool_seconds=settings.database_pool_timeout_seconds,
        recycle_seconds=settings.database_pool_recycle_seconds,
    )


def mysql_session(lock_wait_seconds: int = LOCK_WAIT_SECONDS) -> str:
    """
    Return the statement that a connection to MySQL begins with.

    Args:
        lock_wait_seconds: How long a statement waits for a row that another transaction holds.
    """
    return (
        "SET SESSION time_zone = '+00:00', sql_mode = 'TRADITIONAL', "
        f"innodb_lock_wait_timeout = {lock_wait_seconds}, "
        # A list's version is its rows' versions in one text: of 51 rows, the most that a page reads.
        "group_concat_max_len = 16384, "
        # No look into an index before each query: for a frequent pair of characters it took a millisecond of a page's
        # three tenths, and which index a list is read by is said already.
        "eq_range_index_dive_limit = 1"
    )


def engine_options(database_url: str, *, pool_size: int, timeouts: Timeouts) -> dict[str, Any]:
    """
    Return what ``create_engine`` should be given.

    Args:
        database_url: ``mysql+pymysql://…`` or ``sqlite:///…``.
        pool_size: Connections to keep: as many as the process has threads.
        timeouts: Of MySQL; SQLite has its own.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        pool = StaticPool if is_in_memory(url) else MeteredPool
        return {**QUIET, "poolclass": pool, "connect_args": {"timeout": 10}}
    # Below the driver's timeout, so that a wait for a row ends as error 1205, which is retried.
    lock_wait_seconds = max(1, min(LOCK_WAIT_SECONDS, math.ceil(timeouts.read_seconds) - 1))
    return {
        **QUIET,
        # Each statement sees what is committed: what was just inserted by another can be read,
        # and no gap locks stand between concurrent inserts.
        "isolation_level": "READ COMMITTED",
        "poolclass": GuardedPool,
        "pool_size": pool_size,
        "max_overflow": 2,
        "pool_timeout": timeouts.pool_seconds,
        "pool_events": POOL_EVENTS,
        "pool_recycle": timeouts.recycle_seconds,
        "pool_reset_on_return": None,  # every transaction ends before its connection goes back
        "connect_args": {
            "connect_timeout": timeouts.connect_seconds,
            "read_timeout": timeouts.read_seconds,
            "write_timeout": timeouts.read_seconds,
            "init_command": mysql_session(lock_wait_seconds),
        },
    }


def reading_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return what ``create_engine`` should be given for connections that only read: a query is then one round trip.

    Args:
        options: What ``engine_options`` gave for MySQL. No transaction is begun or ended, and
            whether a connection is still good is found out by using it.
    """
    return {**options, "isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True, "pool_events": []}


def reading_binds(options: Mapping[str, Any], *, database_url: str, replica_url: str | None) -> dict[str, Any]:
    """
    Return the binds to read by.

    Args:
        options: As for ``reading_options``.
        database_url: The primary's.
        replica_url: The replica's, where there is one.
    """
    reading = reading_options(options)
    binds = {READING: {**reading, "url": database_url, "pool_logging_name": READING}}
    if replica_url is not None:
        arguments = dict(reading["connect_args"])
        for name in ("connect_timeout", "read_timeout", "write_timeout"):
            arguments[name] = min(arguments[name], REPLICA_SECONDS)
        binds[REPLICA] = {**reading, "url": replica_url, "pool_logging_name": REPLICA, "connect_args": arguments}
    return binds


def is_in_memory(url: URL) -> bool:
    """Tell whether a URL names an SQLite database without a file: one connection is then all there is."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


@event.listens_for(Engine, "connect")
def _set_up_sqlite(connection: Any, _record: Any) -> None:
    if not type(connection).__module__.startswith("sqlite3"):
        return
    connection.isolation_level = None  # else the driver begins transactions by itself, too late
    connection.executescript("PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")


@event.listens_for(Engine, "begin")
def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and then writes would fail at once when another wrote in
    # between (SQLITE_BUSY_SNAPSHOT); one that begins IMMEDIATE waits for its turn.
    if connection.dialect.name == "sqlite":
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")


IDLE_SECONDS = 1


def note_use(_connection: Any, record: ConnectionPoolEntry) -> None:
    """Note when a connection was given back: for the pool's event ``checkin``."""
    record.info["used_at"] = time.monotonic()


def ping_idle(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """
    Ask an idle connection whether it is still good: for the pool's event ``checkout``.

    Raises:
        DisconnectionError: It is not; the pool then opens another.
    """
    if time.monotonic() - record.info.get("used_at", math.inf) > IDLE_SECONDS:
        try:
            connection.ping(reconnect=False)
        except PyMySQLError as exc:
            raise DisconnectionError from exc


POOL_EVENTS = [(note_use, "checkin"), (ping_idle, "checkout")]
