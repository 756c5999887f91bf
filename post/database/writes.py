"""Writes: one transaction each, retried after a deadlock; their frequent statements."""

import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from random import SystemRandom
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

from pymysql.err import Error as PyMySQLError
from sqlalchemy import Connection, inspect
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError

from post.database.circuit import DriverConnection
from post.database.faults import READ_ONLY, error_number, is_transient, was_stale
from post.database.instrumentation import TIMED_EXECUTE, TIMED_EXECUTE_ALL
from post.database.reads import Compiled, compile_once, goes_to_driver
from post.models import db
from post.telemetry import metrics

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

WRITE_ATTEMPTS = 6
WRITE_RETRY_SECONDS = 6

_CHANCE = SystemRandom()  # no state that forks share


def retried(write: Callable[P, R]) -> Callable[P, R]:
    """
    Retry a write service after a deadlock, a lock's timeout, or on a connection that the server had closed.

    The service must be one ``transaction()`` and nothing else: a rollback undoes all of it, so a retry is
    safe. A transaction that was cut off in its COMMIT may be stored, and is not retried. Locks are acquired
    in one order (post, then category or like), so deadlocks are rare: foreign keys and index gaps cause them.

    Raises:
        OperationalError: It failed ``WRITE_ATTEMPTS`` times, or for ``WRITE_RETRY_SECONDS``.
    """

    @functools.wraps(write)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        deadline = time.monotonic() + WRITE_RETRY_SECONDS
        for attempt in range(1, WRITE_ATTEMPTS):
            started = time.monotonic()
            try:
                return write(*args, **kwargs)
            except OperationalError as exc:
                if not (is_transient(exc) or was_stale(exc, started)) or time.monotonic() > deadline:
                    raise
                metrics.WRITE_RETRIES.labels(error_number(exc)).inc()
                logger.warning("write_retried", extra={"attempt": attempt, "error": error_number(exc)})
                time.sleep(_CHANCE.uniform(0, 0.02 * 2**attempt))  # spreads retries
        return write(*args, **kwargs)

    return run


class Statement:
    """
    A frequent statement of transactions.

    On MySQL it is compiled once, and its text goes straight to the driver: SQLAlchemy's work for each
    statement takes longer than the driver's.
    """

    def __init__(self, statement: Any, *columns: str) -> None:
        """Prepare a statement. Arguments as for ``compile_once``."""
        self.statement, self.columns = statement, columns
        self._compiled: Compiled | None = None

    def run(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """
        Run it in a transaction.

        Args:
            connection: The transaction's.
            values: Values of its parameters and columns, by name.

        Returns:
            The driver's cursor, or SQLAlchemy's: both have ``rowcount``, and ``lastrowid`` on MySQL.

        Raises:
            DBAPIError: It failed; SQLAlchemy's own error for it.
        """
        return self._run(_send, connection, values)

    def run_last(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Run it as ``send_last`` does. Arguments as for ``run``."""
        self._run(send_last, connection, values)

    def _run(self, send: Callable[..., Any], connection: Connection, values: Mapping[str, Any]) -> Any:
        if not goes_to_driver(connection.engine):
            return connection.execute(self.statement, values)
        compiled = self._compile(connection)
        return send(connection, compiled.sql, {**compiled.values, **values})

    def first(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Return a query's first row as a named tuple; None if there is none. Arguments as for ``run``."""
        found = next(iter(self.run(connection, values).fetchall()), None)
        return found if found is None or not goes_to_driver(connection.engine) else self._compile(connection).row(found)

    def _compile(self, connection: Connection) -> Compiled:
        self._compiled = self._compiled or compile_once(self.statement, connection.engine, self.columns)
        return self._compiled


def _send(connection: Connection, sql: str, values: Any) -> Any:
    cursor = connection.connection.cursor()
    try:
        connection.get_execution_options()[TIMED_EXECUTE](cursor, sql, values, None)
    except PyMySQLError as exc:
        raise _classified(connection, sql, exc) from exc
    return cursor


def send_last(connection: Connection, sql: str, values: Any = None) -> None:
    """
    Send a statement together with the COMMIT of the caller's transaction, in one round trip.

    So the rows that it locks are locked for the shortest time. Nothing else in the transaction may read its effect.

    Args:
        connection: The transaction's.
        sql: The statement, with the driver's parameters.
        values: Their values.

    Raises:
        RuntimeError: The caller is not in a transaction.
    """
    ending = _this_transaction()
    if goes_to_driver(connection.engine):
        ending.last.append((sql, values))
    else:
        connection.exec_driver_sql(sql, values)


def _commit(connection: Connection, last: Sequence[tuple[str, Any]]) -> None:
    """Send the statements that were kept for the end, and COMMIT. An error has no text, as that of a COMMIT."""
    driver = cast(DriverConnection, connection.connection.dbapi_connection)
    cursor = driver.cursor()
    together = "; ".join([*(cursor.mogrify(sql, values) for sql, values in last), "COMMIT"])
    try:
        connection.get_execution_options()[TIMED_EXECUTE_ALL](cursor, "; ".join(sql for sql, _ in last), together, None)
    except PyMySQLError as exc:
        raise _classified(connection, None, exc) from exc
    driver.is_committed = True


def _classified(connection: Connection, sql: str | None, error: PyMySQLError) -> BaseException:
    """Return SQLAlchemy's error for the driver's; a connection that it has ended is given up, as SQLAlchemy does."""
    dialect, driver = connection.dialect, connection.connection.dbapi_connection
    is_lost = dialect.is_disconnect(error, driver, None) or (error.args and error.args[0] in READ_ONLY)  # type: ignore[arg-type]  # the driver's own
    if is_lost:
        connection.invalidate(error)
    return DBAPIError.instance(
        sql, None, error, PyMySQLError, hide_parameters=True, connection_invalidated=bool(is_lost), dialect=dialect
    )


def insert_unless_there(connection: Connection, table: Any, values: dict[str, Any]) -> None:
    """
    Insert a row, unless a row with the same unique key exists.

    If concurrent transactions insert the same key, one succeeds; the others wait here for its commit.

    Args:
        connection: The transaction's.
        table: A model.
        values: The row's columns.
    """
    if connection.dialect.name == "sqlite":
        connection.execute(sqlite.insert(table).values(values).on_conflict_do_nothing())
        return
    # Not INSERT IGNORE: it acquires a shared lock only, and also ignores values that do not fit a column.
    unchanged = {column.name: column for column in inspect(table).primary_key}
    connection.execute(mysql.insert(table).values(values).on_duplicate_key_update(unchanged))


class _Ending(NamedTuple):
    """The end of a transaction: statements to send with its COMMIT, and calls to make once it is stored, or ended."""

    last: list[tuple[str, Any]]
    stored: list[Callable[[], None]]
    calls: dict[Callable[[], None], None]


_ending: ContextVar[_Ending | None] = ContextVar("ending", default=None)


@contextmanager
def transaction() -> Iterator[Connection]:
    """
    Run a block as one transaction, which commits when the block ends and rolls back when it raises.

    Yields:
        The connection. On SQLite it holds the write lock from its first statement on.

    Raises:
        RuntimeError: The caller is inside another such block.
    """
    if _ending.get() is not None:
        raise RuntimeError("transactions do not nest")
    ending = _Ending([], [], {})
    token = _ending.set(ending)
    try:
        with db.engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection, connection.begin():
            yield connection
            if ending.last:
                _commit(connection, ending.last)
        for call in ending.stored:
            call()
    finally:
        _ending.reset(token)
        # Also after a failure: a server that was lost during the COMMIT may have stored it.
        for call in ending.calls:
            call()


def after_transaction(call: Callable[[], None]) -> None:
    """
    Make a call after the caller's transaction has ended, and before its request is answered.

    Args:
        call: Must not raise. It is made once, however often it is passed.

    Raises:
        RuntimeError: The caller is not in a transaction.
    """
    _this_transaction().calls[call] = None


def after_commit(call: Callable[[], None]) -> None:
    """
    Make a call once the caller's transaction is stored; none where it fails. Other words as for ``after_transaction``.

    Args:
        call: Must not raise. It is made as often as it is passed.
    """
    _this_transaction().stored.append(call)


def _this_transaction() -> _Ending:
    ending = _ending.get()
    if ending is None:
        raise RuntimeError("not in a transaction")
    return ending
