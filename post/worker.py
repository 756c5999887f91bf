"""Gunicorn's threaded worker, with connections shared out among the workers."""

import mmap
import struct
import time
from typing import Any

from post.draining_worker import DrainingWorker

_ENTRY = struct.Struct("=dq")  # when a worker last told (seconds of the monotonic clock), and its connections
_ENTRIES = 256
SILENT_SECONDS = 3  # a worker tells once a second: one that has not for so long is gone, or hangs
ASIDE_SECONDS = 0.02  # a worker that has a processor takes a connection within this
LEEWAY = 1 / 8  # of what the worker with the fewest has: to be exact about hundreds would cost a burst seconds


class ConnectionCounts:
    """How many connections each worker of a master has, in memory that is made before they are forked."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _ENTRIES * _ENTRY.size)

    def tell(self, worker: int, connections: int) -> None:
        """Say how many connections a worker has, by its number: gunicorn's ``age``."""
        _ENTRY.pack_into(self._memory, worker % _ENTRIES * _ENTRY.size, time.monotonic(), connections)

    def leave(self, worker: int) -> None:
        """Say that a worker takes no more connections."""
        _ENTRY.pack_into(self._memory, worker % _ENTRIES * _ENTRY.size, 0.0, 0)

    def is_anyone_there(self) -> bool:
        """Return whether any worker takes connections."""
        since = time.monotonic() - SILENT_SECONDS
        return any(told_at > since for told_at, _ in _ENTRY.iter_unpack(self._memory))

    def fewest(self) -> int:
        """Return how many connections the worker with the fewest has."""
        since = time.monotonic() - SILENT_SECONDS
        return min((count for told_at, count in _ENTRY.iter_unpack(self._memory) if told_at > since), default=0)


class BalancedWorker(DrainingWorker):
    """
    A worker that leaves a new connection to one that has fewer.

    A connection stays with the worker that accepted it. Gunicorn's worker takes whatever comes, so that
    one of them may get all of a burst, and keep it while the others are idle.
    """

    _counts = ConnectionCounts()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._aside_until = 0.0
        self._has_stood_aside = False  # for the connection that waits

    def accept(self, listener: Any) -> None:
        """Accept a connection, unless another worker has clearly fewer and takes it within ``ASIDE_SECONDS``."""
        if not self._has_stood_aside and self.nr_conns > (1 + LEEWAY) * self._counts.fewest():
            self._has_stood_aside = True
            self._aside_until = time.monotonic() + ASIDE_SECONDS
            self.set_accept_enabled(False)
            return
        self._has_stood_aside = False
        super().accept(listener)
        self._counts.tell(self.age, self.nr_conns)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Listen, or do not: the main loop asks for it again at each turn."""
        super().set_accept_enabled(enabled and time.monotonic() >= self._aside_until)

    def is_last_to_listen(self) -> bool:
        """Return whether all others have left, or are silent."""
        self._counts.leave(self.age)
        return not self._counts.is_anyone_there()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for what happens, at most until this worker listens again."""
        if self.alive:
            self._counts.tell(self.age, self.nr_conns)
        else:
            self._counts.leave(self.age)
        aside = self._aside_until - time.monotonic()
        super().wait_for_and_dispatch_events(min(timeout, aside) if aside > 0 else timeout)
