"""Where the requests of a limit are counted."""

from typing import NamedTuple, Protocol


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
