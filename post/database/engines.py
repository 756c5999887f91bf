"""Engines: their pools, their sessions, their timeouts."""

import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from pymysql.constants import CLIENT
from pymysql.err import Error as PyMySQLError
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from config import Settings
from post.database.circuit import GuardedPool
from post.database.instrumentation import MeteredPool

READING = "reading"  # the bind whose connections only read
REPLICA = "replica"  # the same for the replica, if there is one
LOCK_WAIT_SECONDS = 3
# A replica that hangs for longer is given up for the primary; both together then take less than a second.
REPLICA_SECONDS = 0.75
QUIET = {"hide_parameters": True}  # errors go to the log, and would quote a statement's values


class Timeouts(NamedTuple):
    """Limits on the time to connect, to read from the server and to wait for the pool, and on a connection's age."""

    connect_seconds: float
    read_seconds: float
    pool_seconds: float
    recycle_seconds: int


# For commands: their queries read whole tables, and no client waits for them.
PATIENT = Timeouts(connect_seconds=5, read_seconds=15, pool_seconds=10, recycle_seconds=280)


def database_config(url: str, settings: Settings, *, for_command: bool) -> dict[str, Any]:
    """
    Return Flask-SQLAlchemy's configuration.

    Args:
        url: URL of the primary, or of SQLite.
        settings: Their threads, timeouts and replica are used.
        for_command: True for a command of ``flask``, which waits longer than the service.
    """
    timeouts = PATIENT if for_command else _timeouts(settings)
    options = engine_options(url, pool_size=settings.web_threads, timeouts=timeouts)
    config: dict[str, Any] = {"SQLALCHEMY_ENGINE_OPTIONS": options}
    if "pool_size" in options:  # MySQL; SQLite reads and writes on the same connections
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
    Return the first statement of each connection to MySQL.

    Args:
        lock_wait_seconds: Limit on the wait for a row that another transaction has locked.
    """
    return (
        "SET SESSION time_zone = '+00:00', sql_mode = 'TRADITIONAL', "
        f"innodb_lock_wait_timeout = {lock_wait_seconds}, "
        # A list's version joins the versions of its rows, 51 at most.
        "group_concat_max_len = 16384, "
        # No index dives before a query: for a frequent bigram they took a millisecond, beside 0.3 for the page
        # itself, and the query names its index already.
        "eq_range_index_dive_limit = 1"
    )


def engine_options(database_url: str, *, pool_size: int, timeouts: Timeouts) -> dict[str, Any]:
    """
    Return the arguments of ``create_engine``.

    Args:
        database_url: ``mysql+pymysql://…`` or ``sqlite:///…``.
        pool_size: Connections to keep, one for each thread of the process.
        timeouts: For MySQL; SQLite has its own.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        pool = StaticPool if is_in_memory(url) else MeteredPool
        return {**QUIET, "poolclass": pool, "connect_args": {"timeout": 10}}
    # Below the driver's timeout, so that a wait for a row ends with error 1205, which is retried.
    lock_wait_seconds = max(1, min(LOCK_WAIT_SECONDS, math.ceil(timeouts.read_seconds) - 1))
    return {
        **QUIET,
        # Each statement reads the latest committed rows, and concurrent inserts take no gap locks.
        "isolation_level": "READ COMMITTED",
        "poolclass": GuardedPool,
        "pool_size": pool_size,
        "max_overflow": 2,
        "pool_timeout": timeouts.pool_seconds,
        "pool_events": POOL_EVENTS,
        "pool_recycle": timeouts.recycle_seconds,
        "pool_reset_on_return": None,  # every transaction ends before its connection goes back
        "connect_args": {
            # The last statements of a transaction are sent together with its COMMIT.
            "client_flag": CLIENT.FOUND_ROWS | CLIENT.MULTI_STATEMENTS,
            "connect_timeout": timeouts.connect_seconds,
            "read_timeout": timeouts.read_seconds,
            "write_timeout": timeouts.read_seconds,
            "init_command": mysql_session(lock_wait_seconds),
        },
    }


def reading_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the arguments of ``create_engine`` for connections that only read: a query is then one round trip.

    No transaction begins or ends, and no ping checks a connection before its use.

    Args:
        options: Result of ``engine_options`` for MySQL.
    """
    arguments = {**options["connect_args"], "client_flag": CLIENT.FOUND_ROWS}
    reading = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True, "pool_events": []}
    return {**options, **reading, "connect_args": arguments}


def reading_binds(options: Mapping[str, Any], *, database_url: str, replica_url: str | None) -> dict[str, Any]:
    """
    Return the binds for reads.

    Args:
        options: As for ``reading_options``.
        database_url: URL of the primary.
        replica_url: URL of the replica, if there is one.
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
    """Return whether a URL names an SQLite database without a file, which has a single connection."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


@event.listens_for(Engine, "connect")
def _set_up_sqlite(connection: Any, _record: Any) -> None:
    if not type(connection).__module__.startswith("sqlite3"):
        return
    connection.isolation_level = None  # else the driver begins transactions itself, too late
    connection.executescript("PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")


@event.listens_for(Engine, "begin")
def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads and then writes fails at once if another wrote in between
    # (SQLITE_BUSY_SNAPSHOT). A transaction that begins IMMEDIATE waits for its turn.
    if connection.dialect.name == "sqlite":
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")


IDLE_SECONDS = 1


def record_checkin(_connection: Any, record: ConnectionPoolEntry) -> None:
    """Record the time at which a connection is returned: for the pool's event ``checkin``."""
    record.info["used_at"] = time.monotonic()


def ping_idle(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """
    Ping a pooled connection on checkout only if it was idle for over a second: for the pool's event ``checkout``.

    Raises:
        DisconnectionError: The connection is dead; the pool then opens another.
    """
    if time.monotonic() - record.info.get("used_at", math.inf) > IDLE_SECONDS:
        try:
            connection.ping(reconnect=False)
        except PyMySQLError as exc:
            raise DisconnectionError from exc


POOL_EVENTS = [(record_checkin, "checkin"), (ping_idle, "checkout")]
