"""A circuit breaker that gunicorn's workers share."""

import mmap
import struct
import time
from collections.abc import Callable

from post.shared.memory import SharedLock

# Whether it is open, how often it was opened, how many tasks were missed, when a try was last made or put off.
_STATE = struct.Struct("=?IId")


class SharedCircuit:
    """
    Keeps callers away from a thing that is lost (M. Nygard, "Release It!": Circuit Breaker).

    It is made before gunicorn forks, so what one worker finds out all of them know, and it is
    found out once. While it is open one caller at a time may try whether the thing is back.
    """

    def __init__(self, *, retry_seconds: float = 1, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Make a circuit that is closed.

        Args:
            retry_seconds: How long after one try the next may be made.
            clock: Seconds since any moment that is the same for all processes.
        """
        self._memory = mmap.mmap(-1, _STATE.size)
        self._lock = SharedLock()
        self._retry_seconds = retry_seconds
        self._clock = clock

    @property
    def is_open(self) -> bool:
        """Whether the thing is lost."""
        return self._state()[0]

    @property
    def losses(self) -> int:
        """How often it has been lost."""
        return self._state()[1]

    @property
    def missed(self) -> int:
        """How many tasks ``miss`` has noted."""
        return self._state()[2]

    def open(self, *, losses: int) -> bool:
        """
        Open the circuit: the thing is lost.

        Args:
            losses: What ``losses`` was before the thing was found so: an older failure says nothing of now.

        Returns:
            Whether this call has opened it.
        """
        with self._lock:
            is_open, known, missed, _ = self._state()
            if is_open or known != losses:
                return False
            self._put(True, known + 1, missed, self._clock())
            return True

    def may_try(self) -> bool:
        """Tell whether the caller is the one to try now, where the circuit is open."""
        if not self._is_time_to_try():
            return False
        with self._lock:  # which the many that find it open do not wait for
            if not self._is_time_to_try():
                return False
            self._put(*self._state()[:3], self._clock())
            return True

    def miss(self) -> bool:
        """Note that a task is not done because the circuit is open; returns False where it is closed."""
        with self._lock:
            is_open, losses, missed, tried_at = self._state()
            if is_open:
                self._put(True, losses, missed + 1, tried_at)
            return is_open

    def close(self, *, missed: int) -> bool:
        """
        Close the circuit: the thing is back.

        Args:
            missed: What ``missed`` was before that was made good which is missed by now.

        Returns:
            Whether this call has closed it: it stays open where more was missed meanwhile.
        """
        with self._lock:
            is_open, losses, known, tried_at = self._state()
            if not is_open or known != missed:
                return False
            self._put(False, losses, known, tried_at)
            return True

    def _is_time_to_try(self) -> bool:
        is_open, _, _, tried_at = self._state()
        return is_open and self._clock() - tried_at >= self._retry_seconds

    def _state(self) -> tuple[bool, int, int, float]:
        return _STATE.unpack_from(self._memory)

    def _put(self, is_open: bool, losses: int, missed: int, tried_at: float) -> None:
        _STATE.pack_into(self._memory, 0, is_open, losses, missed, tried_at)
