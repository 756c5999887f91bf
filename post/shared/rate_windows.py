"""Counts of requests in windows of time, for rate limits."""

import math
import time
from typing import NamedTuple, Protocol

from post.shared.memory import SharedCounters


class Hit(NamedTuple):
    """
    The result of counting a request.

    Attributes:
        is_allowed: Whether the request is within its limit.
        previous: Requests of the previous window.
        current: Requests of this window, this one included if it is allowed.
        remaining_seconds: Time until this window ends.
    """

    is_allowed: bool
    previous: int
    current: int
    remaining_seconds: float


class RateWindows(Protocol):
    """Counts requests of the current window, and of the previous one, whose weight falls from 1 to 0."""

    def hit(self, key: str, limit: int, expiry: int) -> Hit:
        """
        Count a request, unless its limit is reached.

        Args:
            key: Key of the client and the limit.
            limit: Maximum of requests in a window.
            expiry: Length of a window in seconds.
        """


class MemoryRateWindows:
    """``RateWindows`` in memory that the workers of one gunicorn share."""

    def __init__(self, counters: SharedCounters) -> None:
        """Count in ``counters``."""
        self._counters = counters

    def hit(self, key: str, limit: int, expiry: int) -> Hit:
        """Count a request, as described in ``RateWindows``."""
        now = time.time()
        window, remaining = int(now // expiry), expiry - now % expiry

        def room(previous: int) -> int:
            return math.floor(limit - previous * remaining / expiry)

        previous, current = self._counters.add_beside(
            f"{key}/{window - 1}", f"{key}/{window}", ttl_seconds=2 * expiry, maximum=room
        )
        is_allowed = current <= room(previous)
        return Hit(is_allowed, previous, current if is_allowed else current - 1, remaining)
