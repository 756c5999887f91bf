"""What the database's connections and statements tell of themselves: numbers, and which statements were slow."""

import logging
import time
from collections.abc import Callable
from typing import Any, cast

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry, ManagesConnection, PoolProxiedConnection, QueuePool

from post.telemetry import metrics

logger = logging.getLogger(__name__)

WRITING = "writing"  # the pool of whatever else is done than reading alone
SQL_MAX_CHARS = 4000
KINDS = {"SELECT": "select", "INSERT": "insert", "UPDATE": "update", "DELETE": "delete"}
_SECONDS = {kind: metrics.QUERY_SECONDS.labels(kind) for kind in (*KINDS.values(), "other")}
TIMED_EXECUTE = "timed_execute"  # execution option of a watched engine: the function that sends and times a statement
_IN_USE = "post_in_use"


class MeteredPool(QueuePool):
    """
    SQLAlchemy's pool, which tells how many connections are in use, and how long callers wait for one.

    Its events would tell as much; to have any costs each use of a connection three times what this does.
    """

    def __init__(self, creator: Any, pool_size: int = 5, max_overflow: int = 10, **options: Any) -> None:
        """Make a pool. Arguments as for ``QueuePool``."""
        super().__init__(creator, pool_size, max_overflow, **options)
        self._most = pool_size + max_overflow
        name = self.logging_name or WRITING
        self._in_use = metrics.CONNECTIONS.labels(name)
        self._waits, self._wait_seconds = metrics.POOL_WAITS.labels(name), metrics.POOL_WAIT_SECONDS.labels(name)

    def connect(self) -> PoolProxiedConnection:
        """Return a connection; where none is free, count the wait too if it was in vain."""
        connection = super().connect() if self.checkedout() < self._most else self._connect_late()
        _notes(connection)[_IN_USE] = True
        self._in_use.inc()
        return connection

    def _connect_late(self) -> PoolProxiedConnection:
        started = time.perf_counter()
        try:
            return super().connect()
        finally:
            self._waits.inc()
            self._wait_seconds.inc(time.perf_counter() - started)

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        # One that turned out to be dead before anybody had it comes back without having been in use.
        if _notes(record).pop(_IN_USE, False):
            self._in_use.dec()
        super()._do_return_conn(record)


def _notes(connection: ManagesConnection) -> dict[Any, Any]:
    return cast(dict[Any, Any], connection.record_info)  # which is None of a connection without a pool alone


def watch(engine: Engine, *, slow_query_ms: int) -> None:
    """
    Listen to an engine.

    Args:
        engine: One of MySQL's or SQLite's.
        slow_query_ms: A statement that takes as long is logged, without its values; 0 logs none.
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
                    _tell(sql, seconds)
            return True  # there is nothing left to do for SQLAlchemy

        return send_timed

    # Not before and after a cursor's execution: SQLAlchemy then does more for each statement, for who may listen.
    execute = timed(engine.dialect.do_execute)
    event.listen(engine, "do_execute", execute)
    event.listen(engine, "do_executemany", timed(engine.dialect.do_executemany))
    engine.update_execution_options(**{TIMED_EXECUTE: execute})


def _kind(sql: str) -> str:
    return KINDS.get(sql[:6], "other")


def _tell(sql: str, seconds: float) -> None:
    logger.warning("slow_query", extra={"ms": round(seconds * 1000, 1), "sql": " ".join(sql.split())[:SQL_MAX_CHARS]})
