"""The database as a server: its connections and its faults."""

import functools
import logging
import random
import time
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar

from pymysql.err import Error as PyMySQLError
from sqlalchemy import Connection, Engine, Row, Select, event, inspect, literal, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import StaticPool

from post.database_signals import WatchedPool, execute
from post.models import db

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

WRITE_ATTEMPTS = 6
WRITE_RETRY_SECONDS = 6
# MySQL error numbers ("Server Error Message Reference", "Client Error Message Reference").
DEADLOCK, LOCK_WAIT_TIMEOUT = 1213, 1205
TRANSIENT = frozenset({DEADLOCK, LOCK_WAIT_TIMEOUT})
AWAY = frozenset({1040, 1053, 1129, 1203, 1226, 1290, 1792, 1836, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 3032, 4031})
SQLITE_AWAY = ("database is locked", "unable to open database", "disk i/o error")

MYSQL_SESSION = (
    "SET SESSION time_zone = '+00:00', sql_mode = 'TRADITIONAL', "
    # Below the driver's read timeout, so that a wait for a row ends as error 1205, which is retried.
    "innodb_lock_wait_timeout = 3, "
    # A list's version is its rows' versions in one text: of 51 rows, the most that a page reads.
    "group_concat_max_len = 16384, "
    # No look into an index before each query: for a frequent pair of characters it took a millisecond of a page's
    # three tenths, and which index a list is read by is said already.
    "eq_range_index_dive_limit = 1"
)
_ANYTHING = select(literal(1))
# What fails sooner was a connection that the server had closed; what takes longer is the server.
STALE_SECONDS = 1
READING = "reading"  # the bind whose connections only read
QUIET = {"hide_parameters": True}  # errors, which the log has, would name the values of a statement


def engine_options(database_url: str, *, pool_size: int) -> dict[str, Any]:
    """
    Return what ``create_engine`` should be given.

    Args:
        database_url: ``mysql+pymysql://…`` or ``sqlite:///…``.
        pool_size: Connections to keep: as many as the process has threads.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        pool = {"poolclass": StaticPool if is_in_memory(url) else WatchedPool}
        return {**QUIET, **pool, "connect_args": {"timeout": 10}}
    return {
        **QUIET,
        "poolclass": WatchedPool,
        # Each statement sees what is committed: what was just inserted by another can be read,
        # and no gap locks stand between concurrent inserts.
        "isolation_level": "READ COMMITTED",
        "pool_size": pool_size,
        "max_overflow": 2,
        "pool_timeout": 10,
        "pool_pre_ping": True,
        "pool_recycle": 280,
        "pool_reset_on_return": None,  # every transaction ends before its connection goes back
        "connect_args": {"connect_timeout": 5, "read_timeout": 15, "write_timeout": 15, "init_command": MYSQL_SESSION},
    }


def reading_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return what ``create_engine`` should be given for connections that only read: a query is then one round trip.

    Args:
        options: What ``engine_options`` gave for MySQL. No transaction is begun or ended, and
            whether a connection is still good is found out by using it.
    """
    reading = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True, "pool_pre_ping": False}
    return {**options, **reading, "pool_logging_name": READING}


def read(query: Select[Any], values: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
    """
    Run a query that stands alone, and give its connection back.

    Args:
        query: Any.
        values: Of its parameters, by name.

    Returns:
        All rows.
    """
    engine, started = _reading_engine(), time.monotonic()
    try:
        return _read(engine, query, values)
    except DBAPIError as exc:
        if not exc.connection_invalidated or time.monotonic() - started > STALE_SECONDS:
            raise
    # The server has closed an idle connection: the pool has given up all it had, and opens another.
    return _read(engine, query, values)


def _reading_engine() -> Engine:
    return db.engines.get(READING, db.engine)


def _read(engine: Engine, query: Select[Any], values: Mapping[str, Any] | None) -> Sequence[Row[Any]]:
    with engine.connect() as connection:
        return connection.execute(query, values or {}).all()


class Prepared:
    """
    A query that stands alone and is run by every other request.

    On MySQL it is compiled once and handed to the driver as it is: what SQLAlchemy does for each
    statement costs more than the answer of a short one.
    """

    def __init__(self, query: Select[Any]) -> None:
        """
        Prepare a query.

        Args:
            query: Without parameters that are lists.
        """
        self._query = query
        self._compiled: _Compiled | None = None

    def read(self, values: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """
        Run it, and give its connection back.

        Args:
            values: Of its parameters, by name.

        Returns:
            All rows, named tuples.
        """
        engine, started = _reading_engine(), time.monotonic()
        if engine.dialect.name == "sqlite":
            return read(self._query, values)
        try:
            connection = engine.raw_connection()
        except PyMySQLError as exc:
            raise OperationalError(None, None, exc) from exc
        try:
            return self._send(engine, connection, values or {})
        except PyMySQLError as exc:
            connection.invalidate(exc)
            if time.monotonic() - started > STALE_SECONDS:
                raise OperationalError(None, None, exc) from exc
        finally:
            connection.close()
        # As ``read`` does; and SQLAlchemy knows what an error means.
        return read(self._query, values)

    def _send(self, engine: Engine, connection: Any, values: Mapping[str, Any]) -> Sequence[Any]:
        self._compiled = compiled = self._compiled or _compile(self._query, engine)
        cursor, values = connection.cursor(), {**compiled.values, **values}
        execute(engine, cursor, compiled.sql, values)
        return [*map(compiled.row, cursor.fetchall())]


class _Compiled(NamedTuple):
    """A query's text, the values that it has already, and what makes a named tuple of a row."""

    sql: str
    values: Mapping[str, Any]
    row: Callable[[Any], Any]


def _compile(query: Select[Any], engine: Engine) -> _Compiled:
    compiled = query.compile(dialect=engine.dialect)
    row: Any = namedtuple("row", [column.name for column in query.selected_columns])  # type: ignore[misc]  # the query knows its names
    return _Compiled(str(compiled), compiled.params, row._make)


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


def error_number(error: DBAPIError) -> int | None:
    """Return MySQL's error number, or None where the driver gave none."""
    args = getattr(error.orig, "args", ())
    return args[0] if args and isinstance(args[0], int) else None


def is_transient(error: DBAPIError) -> bool:
    """Tell whether the statement was chosen as a deadlock's victim or waited too long for a lock."""
    return error_number(error) in TRANSIENT


def is_lock_timeout(error: DBAPIError) -> bool:
    """Tell whether the statement waited too long for a row that another transaction holds."""
    return error_number(error) == LOCK_WAIT_TIMEOUT


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
    Run a write service again when MySQL refuses it for a deadlock or a lock's timeout.

    The service must be one ``transaction()`` and nothing else: that is rolled back whole, so running
    it again is safe. Locks are taken in one order (post, then category or like), so this is rare;
    foreign keys and index gaps still can.

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


def insert_unless_there(connection: Connection, table: Any, values: dict[str, Any]) -> None:
    """
    Insert a row, unless one stands in the way of a unique key.

    Of concurrent transactions that insert the same, one does; the others wait here for its commit.

    Args:
        connection: That of the transaction.
        table: A model.
        values: The row's columns.
    """
    if connection.dialect.name == "sqlite":
        connection.execute(sqlite.insert(table).values(values).on_conflict_do_nothing())
        return
    # Not INSERT IGNORE: it takes a shared lock only, and forgives also what does not fit a column.
    unchanged = {column.name: column for column in inspect(table).primary_key}
    connection.execute(mysql.insert(table).values(values).on_duplicate_key_update(unchanged))


def is_up() -> bool:
    """Tell whether the database answers a query."""
    try:
        read(_ANYTHING)
    except (DBAPIError, PoolTimeout):
        return False
    return True


def is_in_memory(url: URL) -> bool:
    """Tell whether a URL names an SQLite database without a file: one connection is then all there is."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")
