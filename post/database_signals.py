"""What the database's connections and statements tell of themselves: numbers, and which statements were slow."""

import logging
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from post import metrics

logger = logging.getLogger(__name__)

WRITING = "writing"  # the pool of whatever else is done than reading alone
SQL_MAX_CHARS = 4000
KINDS = {"SELECT": "select", "INSERT": "insert", "UPDATE": "update", "DELETE": "delete"}
_HELD = "post_held"


class WatchedPool(QueuePool):
    """SQLAlchemy's pool, which tells how long callers wait for a connection."""

    def __init__(self, creator: Any, pool_size: int = 5, max_overflow: int = 10, **options: Any) -> None:
        """Make a pool. Arguments as for ``QueuePool``."""
        super().__init__(creator, pool_size, max_overflow, **options)
        self._most = pool_size + max_overflow

    def connect(self) -> PoolProxiedConnection:
        """Return a connection; where none is free, count the wait too if it was in vain."""
        if self.checkedout() < self._most:
            return super().connect()
        started = time.perf_counter()
        try:
            return super().connect()
        finally:
            name = self.logging_name or WRITING
            metrics.POOL_WAITS.add(name)
            metrics.POOL_WAIT_SECONDS.add(name, amount=time.perf_counter() - started)


def execute(engine: Engine, cursor: Any, sql: str, values: Mapping[str, Any]) -> None:
    """
    Send a statement that SQLAlchemy knows nothing of, and tell those who listen as of its own.

    Args:
        engine: To which they listen.
        cursor: The driver's.
        sql: The statement.
        values: Of its parameters.
    """
    sending = SimpleNamespace(engine=engine)  # stands for a connection and for a context, as far as they look at these
    for listener in engine.dispatch.before_cursor_execute:
        listener(sending, cursor, sql, values, sending, False)
    try:
        cursor.execute(sql, values)
    finally:  # of one that has failed too, which SQLAlchemy tells otherwise
        for listener in engine.dispatch.after_cursor_execute:
            listener(sending, cursor, sql, values, sending, False)


def watch(engine: Engine, *, slow_query_ms: int) -> None:
    """
    Listen to an engine.

    Args:
        engine: One of MySQL's or SQLite's.
        slow_query_ms: A statement that takes as long is logged, without its values; 0 logs none.
    """
    if metrics.is_on():
        _watch_connections(engine)
    if metrics.is_on() or slow_query_ms:
        _watch_statements(engine, slow_seconds=slow_query_ms / 1000 if slow_query_ms else float("inf"))


def _watch_connections(engine: Engine) -> None:
    name = engine.pool.logging_name or WRITING
    metrics.CONNECTIONS.series(name)
    metrics.POOL_WAITS.series(name)

    @event.listens_for(engine, "checkout")
    def held(_connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        _notes(record)[_HELD] = True
        metrics.CONNECTIONS.add(name)

    @event.listens_for(engine, "checkin")
    def let_go(_connection: Any, record: ConnectionPoolEntry) -> None:
        # One that turned out to be dead before anybody had it comes back without having gone.
        if _notes(record).pop(_HELD, False):
            metrics.CONNECTIONS.add(name, amount=-1)


def _notes(record: ConnectionPoolEntry) -> dict[Any, Any]:
    return cast(dict[Any, Any], record.record_info)  # which is None of a connection without a pool alone


def _watch_statements(engine: Engine, *, slow_seconds: float) -> None:
    @event.listens_for(engine, "before_cursor_execute")
    def begin(_connection: Any, _cursor: Any, _sql: str, _values: Any, context: Any, _many: bool) -> None:
        context.post_began = time.perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def end(_connection: Any, _cursor: Any, sql: str, _values: Any, context: Any, _many: bool) -> None:
        seconds = time.perf_counter() - context.post_began
        metrics.QUERY_SECONDS.observe(seconds, _kind(sql))
        if seconds >= slow_seconds:
            _tell(sql, seconds)

    @event.listens_for(engine, "handle_error")
    def fail(error: ExceptionContext) -> None:
        began: float | None = getattr(error.execution_context, "post_began", None)
        if began is None or error.statement is None:  # of a connection, or of values that no statement can have
            return
        seconds = time.perf_counter() - began
        metrics.QUERY_ERRORS.add(_kind(error.statement))
        if seconds >= slow_seconds:
            _tell(error.statement, seconds)


def _kind(sql: str) -> str:
    return KINDS.get(sql[:6], "other")


def _tell(sql: str, seconds: float) -> None:
    logger.warning("slow_query", extra={"ms": round(seconds * 1000, 1), "sql": " ".join(sql.split())[:SQL_MAX_CHARS]})
