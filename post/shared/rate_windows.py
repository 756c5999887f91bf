"""Where the requests of a limit are counted."""

import math
import time
from typing import NamedTuple, Protocol

from post.shared.memory import SharedCounters


class Hit(NamedTuple):
    """
    What the counting of a request has found.

    Attributes:
        is_let_in: Whether the request is within its limit.
        previous: Requests of the window before this one.
        current: Requests of this window, with this one where it is let in.
        remaining_seconds: Until this window ends.
    """

    is_let_in: bool
    previous: int
    current: int
    remaining_seconds: float


class RateWindows(Protocol):
    """Counts the requests of windows: of this one, and of the one before, which counts less and less."""

    def hit(self, key: str, limit: int, expiry: int) -> Hit:
        """
        Count a request, unless its limit is reached.

        Args:
            key: Whose requests, of which limit.
            limit: How many a window may have.
            expiry: Seconds of a window.
        """


class MemoryRateWindows:
    """``RateWindows`` in the memory of one gunicorn's workers."""

    def __init__(self, counters: SharedCounters) -> None:
        """Count in ``counters``."""
        self._counters = counters

    def hit(self, key: str, limit: int, expiry: int) -> Hit:
        """Count a request, as ``RateWindows`` does."""
        now = time.time()
        window, remaining = int(now // expiry), expiry - now % expiry

        def room(previous: int) -> int:
            return math.floor(limit - previous * remaining / expiry)

        previous, current = self._counters.add_beside(
            f"{key}/{window - 1}", f"{key}/{window}", ttl_seconds=2 * expiry, maximum=room
        )
        is_let_in = current <= room(previous)
        return Hit(is_let_in, previous, current if is_let_in else current - 1, remaining)
