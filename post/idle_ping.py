"""Whether a connection of the pool is still good: asked where it has been idle, not each time, a round trip."""

import math
import time
from typing import Any

from pymysql.err import Error as PyMySQLError
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

IDLE_SECONDS = 1


def note_use(_connection: Any, record: ConnectionPoolEntry) -> None:
    """Note when a connection was given back: for the pool's event ``checkin``."""
    record.info["used_at"] = time.monotonic()


def ping_idle(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """
    Ask an idle connection whether it is still good: for the pool's event ``checkout``.

    Raises:
        DisconnectionError: It is not; the pool then opens another.
    """
    if time.monotonic() - record.info.get("used_at", math.inf) > IDLE_SECONDS:
        try:
            connection.ping(reconnect=False)
        except PyMySQLError as exc:
            raise DisconnectionError from exc


POOL_EVENTS = [(note_use, "checkin"), (ping_idle, "checkout")]
