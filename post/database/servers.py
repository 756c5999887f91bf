"""The servers of the database: the primary, and a replica to read on where there is one."""

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
    """Watch over the application's servers from now on, each of which may be away for a while."""
    primary, replica = DatabaseCircuit("database"), DatabaseCircuit("replica")
    for key, engine in db.engines.items():
        (replica if key == REPLICA else primary).guard(engine)


def reading_engine() -> Engine:
    """Return the engine that reads on the primary."""
    return db.engines.get(READING, db.engine)


def replica_to_read() -> Engine | None:
    """Return the engine that reads on the replica, where there is one and this request may."""
    if not is_replica_allowed():
        return None
    replica = db.engines.get(REPLICA)
    if replica is None or is_open(replica):
        allow_replica(False)  # nor later in this request: its rows would be newer than what it then found beside them
        return None
    return replica


def stop_using_replica(error: SQLAlchemyError) -> None:
    """Read on the primary for the rest of the request, since the replica has failed."""
    allow_replica(False)
    # Of a server that is away its circuit tells, once. What else it may be: a schema that is behind, a missing right.
    if not isinstance(error, (OperationalError, PoolTimeout)):
        logger.warning("replica_failed", exc_info=error)


def server_states() -> dict[str, Literal["up", "down"]]:
    """Return whether the ``database`` answers a query, and the ``replica`` where there is one."""
    states = {"database": _is_up(reading_engine())}
    replica = db.engines.get(REPLICA)
    if replica is not None:
        # Where both hang, to wait for both would take too long.
        states["replica"] = _is_up(replica) if states["database"] else not is_open(replica)
    return {name: "up" if is_up else "down" for name, is_up in states.items()}


def _is_up(engine: Engine) -> bool:
    for _ in range(2):  # the first connection may be one that the server has closed
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
    """Say whether this thread's reads may go to the replica from now on: at the beginning, nothing's may."""
    _is_allowed.set(allowed)


def is_replica_allowed() -> bool:
    """Tell what ``allow_replica`` has said last."""
    return _is_allowed.get()
