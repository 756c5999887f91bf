"""Writes: one transaction each, retried after a deadlock; their frequent statements."""

import functools
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from pymysql.err import Error as PyMySQLError
from sqlalchemy import Connection, inspect
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError

from post.database.circuit import READ_ONLY
from post.database.faults import error_number, is_transient, was_stale
from post.database.instrumentation import TIMED_EXECUTE
from post.database.reads import Compiled, compile_once
from post.models import db
from post.telemetry import metrics

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

WRITE_ATTEMPTS = 6
WRITE_RETRY_SECONDS = 6


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
                time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - spreads retries; no secret
        return write(*args, **kwargs)

    return run


class Statement:
    """
    A frequent statement of transactions.

    On MySQL it is compiled once, and its text goes straight to the driver: SQLAlchemy's work for each
    statement takes longer than the driver's.
    """

    def __init__(self, statement: Any, *columns: str) -> None:
        """
        Prepare a statement.

        Args:
            statement: Without parameters that are lists.
            columns: The columns that an INSERT or UPDATE gets from its values.
        """
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
        """
        if not _goes_to_driver(connection):
            return connection.execute(self.statement, values)
        compiled = self._compile(connection)
        return send(connection, compiled.sql, {**compiled.values, **values})

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Any]:
        """Return a query's rows, as named tuples. Arguments as for ``run``."""
        found: Sequence[Any] = self.run(connection, values).fetchall()
        return [*map(self._compile(connection).row, found)] if _goes_to_driver(connection) else found

    def _compile(self, connection: Connection) -> Compiled:
        self._compiled = self._compiled or compile_once(self.statement, connection.engine, self.columns)
        return self._compiled


def send(connection: Connection, sql: str, values: Any = None) -> Any:
    """
    Send a statement as text within a transaction. Result as for ``Statement.run``.

    Args:
        connection: The transaction's.
        sql: The statement, with the driver's parameters.
        values: Their values.

    Raises:
        DBAPIError: It failed; SQLAlchemy's own error for it.
    """
    if not _goes_to_driver(connection):
        return connection.exec_driver_sql(sql, values)
    cursor = connection.connection.cursor()
    try:
        connection.get_execution_options()[TIMED_EXECUTE](cursor, sql, values, None)
    except PyMySQLError as exc:
        raise _classified(connection, sql, exc) from exc
    return cursor


def _goes_to_driver(connection: Connection) -> bool:
    # A listener, such as a trace, gets the statement from SQLAlchemy itself.
    return connection.dialect.name != "sqlite" and not connection.engine.dispatch.before_cursor_execute


def _classified(connection: Connection, sql: str, error: PyMySQLError) -> BaseException:
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


# Calls to make after the current transaction.
_afterwards: ContextVar[dict[Callable[[], None], None] | None] = ContextVar("after_transaction", default=None)


@contextmanager
def transaction() -> Iterator[Connection]:
    """
    Run a block as one transaction, which commits when the block ends and rolls back when it raises.

    Yields:
        The connection. On SQLite it holds the write lock from its first statement on.

    Raises:
        RuntimeError: The caller is inside another such block.
    """
    if _afterwards.get() is not None:
        raise RuntimeError("transactions do not nest")
    afterwards: dict[Callable[[], None], None] = {}
    token = _afterwards.set(afterwards)
    try:
        with db.engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection, connection.begin():
            yield connection
    finally:
        _afterwards.reset(token)
        # Also after a failure: a server that was lost during the COMMIT may have stored it.
        for call in afterwards:
            call()


def after_transaction(call: Callable[[], None]) -> None:
    """
    Make a call after the caller's transaction has ended, and before its request is answered.

    Args:
        call: Must not raise. It is made once, however often it is passed.

    Raises:
        RuntimeError: The caller is not in a transaction.
    """
    afterwards = _afterwards.get()
    if afterwards is None:
        raise RuntimeError("not in a transaction")
    afterwards[call] = None
