"""Connections that each wait for something, and not for ever."""

import time
from collections.abc import Iterator
from itertools import takewhile

from post.connections import Connection


class Waiting:
    """Connections that may each wait so long, in the order in which they began to."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: dict[Connection, float] = {}

    def all(self) -> list[Connection]:
        """Return them, who has waited longest first."""
        return list(self._until)

    def add(self, conn: Connection) -> None:
        """Let it wait from now on, behind the others."""
        self._until.pop(conn, None)
        self._until[conn] = time.monotonic() + self._seconds

    def remove(self, conn: Connection) -> None:
        """Let it wait no longer, if it does."""
        self._until.pop(conn, None)

    def oldest(self) -> Connection | None:
        """Return who has waited longest."""
        return next(iter(self._until), None)

    def longer_than(self, seconds: float, now: float) -> list[Connection]:
        """Return those that have waited so long."""
        begun = now - seconds + self._seconds
        return list(takewhile(lambda conn: self._until[conn] < begun, self._until))

    def take_expired(self, now: float) -> Iterator[Connection]:
        """Remove, and yield, those that have waited too long."""
        while self._until:
            conn, until = next(iter(self._until.items()))
            if until > now:
                return
            del self._until[conn]
            yield conn
