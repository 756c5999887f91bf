"""Metrics of connections and statements, and the log of slow statements."""

import logging
import time
from collections.abc import Callable
from typing import Any, cast

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry, ManagesConnection, PoolProxiedConnection, QueuePool

from post.telemetry import metrics

logger = logging.getLogger(__name__)

WRITING = "writing"  # the pool of all connections that do not only read
SQL_MAX_CHARS = 4000
KINDS = {"SELECT": "select", "INSERT": "insert", "UPDATE": "update", "DELETE": "delete"}
_SECONDS = {kind: metrics.QUERY_SECONDS.labels(kind) for kind in (*KINDS.values(), "other")}
TIMED_EXECUTE = "timed_execute"  # execution option of a watched engine: the function that sends and times a statement
TIMED_EXECUTE_ALL = "timed_execute_all"  # likewise, for statements in one text, that are timed as one
_IN_USE = "post_in_use"


class MeteredPool(QueuePool):
    """
    SQLAlchemy's pool with metrics: connections checked out, and waits for one.

    The pool's events would do, at three times the cost for each use of a connection.
    """

    def __init__(self, creator: Any, pool_size: int = 5, max_overflow: int = 10, **options: Any) -> None:
        """Make a pool. Arguments as for ``QueuePool``."""
        super().__init__(creator, pool_size, max_overflow, **options)
        self._most = pool_size + max_overflow
        name = self.logging_name or WRITING
        self._in_use = metrics.CONNECTIONS.labels(name)
        self._waits, self._wait_seconds = metrics.POOL_WAITS.labels(name), metrics.POOL_WAIT_SECONDS.labels(name)

    def connect(self) -> PoolProxiedConnection:
        """Return a connection. A wait for a free one is counted, also if it fails."""
        connection = super().connect() if self.checkedout() < self._most else self._wait_and_connect()
        _info(connection)[_IN_USE] = True
        self._in_use.inc()
        return connection

    def _wait_and_connect(self) -> PoolProxiedConnection:
        started = time.perf_counter()
        try:
            return super().connect()
        finally:
            self._waits.inc()
            self._wait_seconds.inc(time.perf_counter() - started)

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        # A connection that was found dead on checkout is returned without having been in use.
        if _info(record).pop(_IN_USE, False):
            self._in_use.dec()
        super()._do_return_conn(record)


def _info(connection: ManagesConnection) -> dict[Any, Any]:
    return cast(dict[Any, Any], connection.record_info)  # None only for a connection without a pool


def watch(engine: Engine, *, slow_query_ms: int) -> None:
    """
    Count and time the statements of an engine.

    Args:
        engine: For MySQL or SQLite.
        slow_query_ms: Log statements that take as long, without their values; 0 logs none.
    """
    slow_seconds = slow_query_ms / 1000 if slow_query_ms else float("inf")

    def timed(send: Callable[..., None]) -> Callable[..., bool]:
        def send_timed(cursor: Any, sql: str, values: Any, context: Any) -> bool:
            began = time.perf_counter()
            try:
                send(cursor, sql, values, context)
            except Exception:
                metrics.QUERY_ERRORS.labels(_kind(sql)).inc()
                raise
            finally:
                seconds = time.perf_counter() - began
                _SECONDS[_kind(sql)].observe(seconds)
                if seconds >= slow_seconds:
                    _log_slow(sql, seconds)
            return True  # SQLAlchemy need not send it

        return send_timed

    # Not by events before and after a cursor's execution: with a listener SQLAlchemy does more for each statement.
    execute = timed(engine.dialect.do_execute)
    event.listen(engine, "do_execute", execute)
    event.listen(engine, "do_executemany", timed(engine.dialect.do_executemany))
    engine.update_execution_options(**{TIMED_EXECUTE: execute, TIMED_EXECUTE_ALL: timed(_execute_all)})


def _execute_all(cursor: Any, _sql: str, together: str, _context: Any) -> None:
    cursor.execute(together)
    while cursor.nextset():  # raises the error of the first statement that failed: the server ends there
        pass


def _kind(sql: str) -> str:
    return KINDS.get(sql[:6], "other")


def _log_slow(sql: str, seconds: float) -> None:
    logger.warning("slow_query", extra={"ms": round(seconds * 1000, 1), "sql": " ".join(sql.split())[:SQL_MAX_CHARS]})
