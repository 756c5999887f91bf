"""Which reads may go to a replica of the database, whose rows are a little behind."""

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol

_is_allowed: ContextVar[bool] = ContextVar("may_read_on_replica", default=False)


class Counters(Protocol):
    """Counters that all workers see and that expire, as ``SharedCounters``."""

    def add(self, key: str, *, ttl_seconds: float) -> int:
        """Add to a counter and return its new count."""

    def get(self, key: str) -> int:
        """Return a counter's count: 0 when it is unknown or has expired."""


class RecentWriters:
    """Remembers for a while who has written: they must see what they wrote, so they read where they wrote."""

    def __init__(self, counters: Counters, *, seconds: float, clock: Callable[[], float] = time.time) -> None:
        """
        Make a memory.

        Args:
            counters: Where it is kept.
            seconds: For how long at least; for twice as long at most.
            clock: Seconds since the epoch.
        """
        self._counters = counters
        self._seconds = seconds
        self._clock = clock

    def note(self, who: str) -> None:
        """Take note that somebody has written: any text that stands for them."""
        self._counters.add(self._key(who, 0), ttl_seconds=2 * self._seconds)

    def wrote_lately(self, who: str) -> bool:
        """Tell whether they have, of late."""
        return any(self._counters.get(self._key(who, spans_ago)) for spans_ago in (0, 1))

    def _key(self, who: str, spans_ago: int) -> str:
        # A counter's end cannot be put off, so each span of time has one of its own.
        return f"wrote:{int(self._clock() // self._seconds) - spans_ago}:{who}"


def allow_replica(allowed: bool) -> None:
    """Say whether this thread's reads may go to the replica from now on: at the beginning, nothing's may."""
    _is_allowed.set(allowed)


def is_replica_allowed() -> bool:
    """Tell what ``allow_replica`` has said last."""
    return _is_allowed.get()
