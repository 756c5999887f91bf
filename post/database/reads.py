"""The database as a server: its connections and its faults."""

import functools
import logging
import random
import time
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar

from pymysql.err import Error as PyMySQLError
from sqlalchemy import Connection, Engine, Row, Select, event, inspect
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from post.database.instrumentation import execute
from post.database.servers import leave_replica, primary_to_read, replica_to_read
from post.shared_reads import SharedReads
from post.telemetry import metrics

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

WRITE_ATTEMPTS = 6
WRITE_RETRY_SECONDS = 6
# MySQL error numbers ("Server Error Message Reference", "Client Error Message Reference").
DEADLOCK, LOCK_WAIT_TIMEOUT = 1213, 1205
TRANSIENT = frozenset({DEADLOCK, LOCK_WAIT_TIMEOUT})
AWAY = frozenset({1040, 1053, 1129, 1203, 1226, 1290, 1792, 1836, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 3032, 4031})
CUT_OFF = frozenset({2006, 2013, 4031})
SQLITE_AWAY = ("database is locked", "unable to open database", "disk i/o error")

# What fails sooner was a connection that the server had closed; what takes longer is the server.
STALE_SECONDS = 1


def read(query: Select[Any], values: Mapping[str, Any] | None = None, *, may_lag: bool = True) -> Sequence[Row[Any]]:
    """
    Run a query that stands alone, and give its connection back.

    Args:
        query: Any.
        values: Of its parameters, by name.
        may_lag: Whether the replica may answer where the request allows it.

    Returns:
        All rows.
    """
    replica = replica_to_read() if may_lag else None
    if replica is not None:
        try:
            return _read(replica, query, values)
        except SQLAlchemyError as exc:
            leave_replica(exc)
    engine, started = primary_to_read(), time.monotonic()
    try:
        return _read(engine, query, values)
    except DBAPIError as exc:
        if not exc.connection_invalidated or time.monotonic() - started > STALE_SECONDS:
            raise
    # The server has closed an idle connection: the pool has given up all it had, and opens another.
    return _read(engine, query, values)


def _read(engine: Engine, query: Select[Any], values: Mapping[str, Any] | None) -> Sequence[Row[Any]]:
    with engine.connect() as connection:
        return connection.execute(query, values or {}).all()


class Prepared:
    """
    A query that stands alone and is run by every other request.

    On MySQL it is compiled once and handed to the driver as it is: what SQLAlchemy does for each
    statement costs more than the answer of a short one.
    """

    def __init__(self, query: Select[Any], *, may_lag: bool = True) -> None:
        """
        Prepare a query.

        Args:
            query: Without parameters that are lists.
            may_lag: Whether the replica may answer where the request allows it.
        """
        self._query = query
        self._may_lag = may_lag
        self._compiled: _Compiled | None = None
        self._shared = SharedReads[Sequence[Any]]()

    def read(self, values: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """
        Run it, and give its connection back. Threads that wait for the same are answered together.

        Args:
            values: Of its parameters, by name.

        Returns:
            All rows, named tuples. Nobody may change them.
        """
        replica, values = replica_to_read() if self._may_lag else None, values or {}
        if replica is not None:
            try:
                return self._read_shared(replica, values)
            except SQLAlchemyError as exc:
                leave_replica(exc)
        return self._read_shared(primary_to_read(), values)

    def _read_shared(self, engine: Engine, values: Mapping[str, Any]) -> Sequence[Any]:
        return self._shared.read((engine, *values.items()), lambda: self._read(engine, values))

    def _read(self, engine: Engine, values: Mapping[str, Any]) -> Sequence[Any]:
        started = time.monotonic()
        if engine.dialect.name == "sqlite":
            return read(self._query, values)
        try:
            connection = engine.raw_connection()
        except PyMySQLError as exc:
            raise OperationalError(None, None, exc) from exc
        try:
            return self._send(engine, connection, values)
        except PyMySQLError as exc:
            connection.invalidate(exc)
            if time.monotonic() - started > STALE_SECONDS:
                raise OperationalError(None, None, exc) from exc
        finally:
            connection.close()
        # As ``read`` does; and SQLAlchemy knows what an error means.
        return read(self._query, values, may_lag=self._may_lag)

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


def _was_stale(error: DBAPIError, started: float) -> bool:
    """Tell whether the server had closed the connection: seen in a statement, not in COMMIT, which has no text."""
    is_cut_off = error.statement is not None and error_number(error) in CUT_OFF
    return is_cut_off and time.monotonic() - started <= STALE_SECONDS


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
    Run a write service again when MySQL refuses it for a deadlock or a lock's timeout, or had closed its connection.

    The service must be one ``transaction()`` and nothing else: that is rolled back whole, so running
    it again is safe. Only what was cut off in its COMMIT may have been stored, and is not run again.
    Locks are taken in one order (post, then category or like), so deadlocks are rare; foreign keys and
    index gaps still can.

    Raises:
        OperationalError: It failed so ``WRITE_ATTEMPTS`` times, or for ``WRITE_RETRY_SECONDS``.
    """

    @functools.wraps(write)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        deadline = time.monotonic() + WRITE_RETRY_SECONDS
        for attempt in range(1, WRITE_ATTEMPTS):
            started = time.monotonic()
            try:
                return write(*args, **kwargs)
            except OperationalError as exc:
                if not (is_transient(exc) or _was_stale(exc, started)) or time.monotonic() > deadline:
                    raise
                metrics.WRITE_RETRIES.add(str(error_number(exc)))
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
