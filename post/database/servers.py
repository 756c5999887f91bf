"""Servers of the database: the primary, and a replica for reads if there is one."""

import logging
from contextvars import ContextVar
from typing import Literal

from sqlalchemy import Engine, literal, select
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from post.database.circuit import DatabaseCircuit, is_open
from post.database.engines import READING, REPLICA
from post.models import db

logger = logging.getLogger(__name__)

_ANYTHING = select(literal(1))


def guard_servers() -> None:
    """Give each server of the application its circuit breaker."""
    primary, replica = DatabaseCircuit("database"), DatabaseCircuit("replica")
    for key, engine in db.engines.items():
        (replica if key == REPLICA else primary).guard(engine)


def reading_engine() -> Engine:
    """Return the engine for reads on the primary."""
    return db.engines.get(READING, db.engine)


def replica_to_read() -> Engine | None:
    """Return the engine for reads on the replica, if there is one and the request may use it."""
    if not is_replica_allowed():
        return None
    replica = db.engines.get(REPLICA)
    if replica is None or is_open(replica):
        allow_replica(False)  # nor later in this request, which would then read older rows
        return None
    return replica


def stop_using_replica(error: SQLAlchemyError) -> None:
    """Read on the primary for the rest of the request, after a failure of the replica."""
    allow_replica(False)
    # The circuit logs a server that is away, once. Other causes are an old schema or a missing grant.
    if not isinstance(error, (OperationalError, PoolTimeout)):
        logger.warning("replica_failed", exc_info=error)


def server_states() -> dict[str, Literal["up", "down"]]:
    """Return the state of the ``database`` and, if there is one, of the ``replica``, as a query finds it."""
    states = {"database": _is_up(reading_engine())}
    replica = db.engines.get(REPLICA)
    if replica is not None:
        # If both hang, it would take too long to wait for both.
        states["replica"] = _is_up(replica) if states["database"] else not is_open(replica)
    return {name: "up" if is_up else "down" for name, is_up in states.items()}


def _is_up(engine: Engine) -> bool:
    for _ in range(2):  # the server may have closed the first connection
        try:
            with engine.connect() as connection:
                connection.execute(_ANYTHING)
        except (DBAPIError, PoolTimeout) as exc:
            if not getattr(exc, "connection_invalidated", False):
                return False
        else:
            return True
    return False


_is_allowed: ContextVar[bool] = ContextVar("may_read_on_replica", default=False)


def allow_replica(allowed: bool) -> None:
    """Set whether this thread's reads may use the replica from now on. Before the first call they may not."""
    _is_allowed.set(allowed)


def is_replica_allowed() -> bool:
    """Return the last value passed to ``allow_replica``."""
    return _is_allowed.get()
