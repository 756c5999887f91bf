"""Reads: queries outside of a transaction, on the replica or the primary."""

import logging
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

import orjson
from pymysql.err import Error as PyMySQLError
from sqlalchemy import Boolean, DateTime, Engine, Integer, Row, Select, String, func
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from post.database.faults import STALE_SECONDS
from post.database.instrumentation import TIMED_EXECUTE
from post.database.servers import reading_engine, replica_to_read, stop_using_replica

logger = logging.getLogger(__name__)


def read(query: Select[Any], values: Mapping[str, Any] | None = None, *, replica_ok: bool = True) -> Sequence[Row[Any]]:
    """
    Run a query outside of a transaction, and return its connection to the pool.

    Args:
        query: The query.
        values: Values of its parameters, by name.
        replica_ok: True if the replica may answer, should the request allow it.

    Returns:
        All rows.
    """
    replica = replica_to_read() if replica_ok else None
    if replica is not None:
        try:
            return _read(replica, query, values)
        except SQLAlchemyError as exc:
            stop_using_replica(exc)
    engine, started = reading_engine(), time.monotonic()
    try:
        return _read(engine, query, values)
    except DBAPIError as exc:
        if not exc.connection_invalidated or time.monotonic() - started > STALE_SECONDS:
            raise
    # The server had closed an idle connection: the pool has dropped its connections, and opens another.
    return _read(engine, query, values)


def _read(engine: Engine, query: Select[Any], values: Mapping[str, Any] | None) -> Sequence[Row[Any]]:
    with engine.connect() as connection:
        return connection.execute(query, values or {}).all()


class Prepared:
    """
    A frequent query outside of a transaction.

    On MySQL it is compiled once, and its text goes straight to the driver: SQLAlchemy's work for each
    statement takes longer than a short query.
    """

    def __init__(self, query: Select[Any], *, replica_ok: bool = True) -> None:
        """
        Prepare a query.

        Args:
            query: The query, without parameters that are lists.
            replica_ok: True if the replica may answer, should the request allow it.
        """
        self._query = query
        self._replica_ok = replica_ok
        self._compiled: Compiled | None = None
        self._shared = SharedReads[Sequence[Any]]()

    def read(self, values: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """
        Run the query, and return its connection to the pool. Threads that wait for the same rows share them.

        Args:
            values: Values of its parameters, by name.

        Returns:
            All rows, as named tuples. Callers must not change them.
        """
        replica, values = replica_to_read() if self._replica_ok else None, values or {}
        if replica is not None:
            try:
                return self._read_shared(replica, values)
            except SQLAlchemyError as exc:
                stop_using_replica(exc)
        return self._read_shared(reading_engine(), values)

    def _read_shared(self, engine: Engine, values: Mapping[str, Any]) -> Sequence[Any]:
        return self._shared.read((engine, *values.items()), lambda: self._read(engine, values))

    def _read(self, engine: Engine, values: Mapping[str, Any]) -> Sequence[Any]:
        if not goes_to_driver(engine):
            return read(self._query, values, replica_ok=self._replica_ok)
        started = time.monotonic()
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
        # Retried like a stale connection in ``read``, by SQLAlchemy, which classifies another error.
        return read(self._query, values, replica_ok=self._replica_ok)

    def _send(self, engine: Engine, connection: Any, values: Mapping[str, Any]) -> Sequence[Any]:
        self._compiled = compiled = self._compiled or compile_once(self._query, engine)
        cursor, values = connection.cursor(), {**compiled.values, **values}
        engine.get_execution_options()[TIMED_EXECUTE](cursor, compiled.sql, values, None)
        return [*map(compiled.row, cursor.fetchall())]


def goes_to_driver(engine: Engine) -> bool:
    """Return whether statements go straight to the driver; a listener, such as a trace, gets them from SQLAlchemy."""
    return engine.dialect.name != "sqlite" and not engine.dispatch.before_cursor_execute


class Compiled(NamedTuple):
    """A statement's text, the values that it contains, and the function that makes a named tuple of a driver's row."""

    sql: str
    values: Mapping[str, Any]
    row: Callable[[Any], Any]


def compile_once(statement: Any, engine: Engine, columns: Sequence[str] = ()) -> Compiled:
    """
    Compile a statement for the driver.

    Args:
        statement: Without parameters that are lists.
        engine: The engine that will send it.
        columns: The columns that an INSERT or UPDATE gets from its values.
    """
    selected = getattr(statement, "selected_columns", ())
    row = row_type(column.name for column in selected)._make
    if len(selected) > 1 and all(isinstance(column.type, (String, *_READ_VALUE)) for column in selected):
        statement, row = _as_json(statement, row)
    compiled = statement.compile(dialect=engine.dialect, column_keys=columns or None)
    return Compiled(str(compiled), compiled.params, row)


# Values that JSON has not, or that MariaDB writes as text where it knows a subquery's value beforehand.
_READ_VALUE: dict[type[Any], Callable[[Any], Any]] = {
    DateTime: datetime.fromisoformat,
    Integer: int,
    Boolean: lambda value: bool(int(value)),
}


def _as_json(query: Select[Any], row: Callable[[Any], Any]) -> tuple[Select[Any], Callable[[Any], Any]]:
    """Return a query for the same rows as one column of JSON: the driver takes its time for each column."""
    columns = query.selected_columns
    readers = [
        (place, read_value)
        for place, column in enumerate(columns)
        for kind, read_value in _READ_VALUE.items()
        if isinstance(column.type, kind)
    ]

    def read_row(found: Sequence[str]) -> Any:
        values = orjson.loads(found[0])
        for place, read_value in readers:
            if values[place] is not None:
                values[place] = read_value(values[place])
        return row(values)

    return query.with_only_columns(func.json_array(*columns), maintain_column_froms=True), read_row


def row_type(names: Iterable[str]) -> Any:
    """Return a type of named tuples."""
    return namedtuple("row", names)


T = TypeVar("T")


class SharedReads(Generic[T]):
    """
    Reads that share one answer among the threads that wait for it.

    No thread gets the result of a query sent before its call, so that a user who has just written reads
    the change. A read never joins a query that is under way, but waits for the next.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, Future[T]] = {}
        self._waiting: dict[Hashable, Future[T]] = {}

    def read(self, key: Hashable, send: Callable[[], T]) -> T:
        """
        Return the result of a query, sent by this thread or by another that waits for the same.

        Args:
            key: Equal for queries with equal results.
            send: Sends the query. Its result is shared, so callers must not change it; its exception
                is raised in all threads that wait.
        """
        with self._lock:
            before, joined = self._under_way.get(key), self._waiting.get(key)
            if joined is None:
                own: Future[T] = Future()
                (self._under_way if before is None else self._waiting)[key] = own
        if joined is not None:
            return joined.result()
        if before is not None:
            before.exception()  # waits, and raises nothing
            with self._lock:
                self._under_way[key] = self._waiting.pop(key)
        return self._answered(key, own, send)

    def _answered(self, key: Hashable, own: Future[T], send: Callable[[], T]) -> T:
        try:
            found = send()
        except BaseException as exc:
            own.set_exception(exc)
            raise
        else:
            own.set_result(found)
            return found
        finally:
            with self._lock:
                if self._under_way.get(key) is own:
                    del self._under_way[key]
