"""The database as a server: its connections and its faults."""

import logging
import time
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pymysql.err import Error as PyMySQLError
from sqlalchemy import Engine, Row, Select
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from post.database.faults import STALE_SECONDS
from post.database.instrumentation import execute
from post.database.servers import leave_replica, primary_to_read, replica_to_read
from post.shared_reads import SharedReads

logger = logging.getLogger(__name__)


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
