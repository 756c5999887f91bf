"""The database as a server: its connections and its faults."""

import logging
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Generic, NamedTuple, TypeVar

from pymysql.err import Error as PyMySQLError
from sqlalchemy import Engine, Row, Select
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from post.database.faults import STALE_SECONDS
from post.database.instrumentation import TIMED_EXECUTE
from post.database.servers import reading_engine, replica_to_read, stop_using_replica

logger = logging.getLogger(__name__)


def read(query: Select[Any], values: Mapping[str, Any] | None = None, *, replica_ok: bool = True) -> Sequence[Row[Any]]:
    """
    Run a query that stands alone, and give its connection back.

    Args:
        query: Any.
        values: Of its parameters, by name.
        replica_ok: Whether the replica may answer where the request allows it.

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

    def __init__(self, query: Select[Any], *, replica_ok: bool = True) -> None:
        """
        Prepare a query.

        Args:
            query: Without parameters that are lists.
            replica_ok: Whether the replica may answer where the request allows it.
        """
        self._query = query
        self._replica_ok = replica_ok
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
        # A listener, such as a trace, gets the statement from SQLAlchemy itself.
        if engine.dialect.name == "sqlite" or engine.dispatch.before_cursor_execute:
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
        # As ``read`` does; and SQLAlchemy knows what an error means.
        return read(self._query, values, replica_ok=self._replica_ok)

    def _send(self, engine: Engine, connection: Any, values: Mapping[str, Any]) -> Sequence[Any]:
        self._compiled = compiled = self._compiled or _compile(self._query, engine)
        cursor, values = connection.cursor(), {**compiled.values, **values}
        engine.get_execution_options()[TIMED_EXECUTE](cursor, compiled.sql, values, None)
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


T = TypeVar("T")


class SharedReads(Generic[T]):
    """
    Reads, of which those that wait for the same are answered together.

    Nobody gets what a query has found that was sent before they asked, so that whoever has written
    something reads it: a read never joins a query that is under way, but waits for the one behind it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, Future[T]] = {}
        self._waiting: dict[Hashable, Future[T]] = {}

    def read(self, key: Hashable, send: Callable[[], T]) -> T:
        """
        Return what a query finds, sent by this thread or by another that waits for the same.

        Args:
            key: Equal for queries that find the same.
            send: Sends the query. What it returns is shared, so nobody may change it; what it
                raises is raised to all who wait.
        """
        with self._lock:
            before, joined = self._under_way.get(key), self._waiting.get(key)
            if joined is None:
                own: Future[T] = Future()
                (self._under_way if before is None else self._waiting)[key] = own
        if joined is not None:
            return joined.result()
        if before is not None:
            before.exception()  # waits for it, and raises nothing
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
