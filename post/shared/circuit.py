"""A circuit breaker: the state of a server, found out once for all threads of a process."""

import logging
import threading
import time
from collections.abc import Callable

from post.telemetry import metrics

logger = logging.getLogger(__name__)

PROBE_SECONDS = 1


class Circuit:
    """
    A server that is up (closed) or away (open), as far as this process knows.

    While it is open, callers do without the server and do not wait. A thread probes the server once a second,
    and closes the circuit when it is back (M. Nygard, "Release It!": Circuit Breaker).
    """

    def __init__(
        self, name: str, *, is_back: Callable[[], bool], after_return: Callable[[], None] = lambda: None
    ) -> None:
        """
        Make a closed circuit.

        Args:
            name: The server's name in the log and the metrics.
            is_back: Probes the server; called only in the thread, so it may take long.
            after_return: Called in that thread when the circuit has closed.
        """
        self.is_open = False
        self.losses = 0  # number of times it was opened
        self._name = name
        self._lost, self._back, self._failed = f"{name}_lost", f"{name}_back", f"{name}_probe_failed"
        self._is_back = is_back
        self._after_return = after_return
        self._probe_seconds = PROBE_SECONDS
        self._changing = threading.Lock()
        self._closed = threading.Event()
        self._opened_at = 0.0

    def open(self, *, losses: int, **reason: object) -> None:
        """
        Open the circuit: the server is lost.

        Args:
            losses: The attribute's value before the failed attempt; a failure from before the last loss is ignored.
            reason: Fields for the log.
        """
        with self._changing:
            if self.is_open or losses != self.losses:
                return
            self._opened_at = time.monotonic()
            self._closed.clear()
            self.losses += 1
            self.is_open = True
        metrics.mark_lost(self._name)
        logger.warning(self._lost, extra=reason)
        threading.Thread(target=self._probe_until_back, name=f"{self._name}-probe", daemon=True).start()

    def is_closed_within(self, seconds: float) -> bool:
        """Return whether the circuit is closed, or closes within so many seconds after it was opened."""
        return not self.is_open or self._closed.wait(max(0, self._opened_at + seconds - time.monotonic()))

    def _probe_until_back(self) -> None:
        while not self._probe():
            time.sleep(self._probe_seconds)
        with self._changing:
            self.is_open = False
            self._closed.set()
        metrics.mark_back(self._name)
        logger.warning(self._back, extra={"away_seconds": round(time.monotonic() - self._opened_at, 1)})
        self._after_return()

    def _probe(self) -> bool:
        try:
            return self._is_back()
        except Exception:  # a fault of ours: the thread goes on, since nothing else closes the circuit
            logger.exception(self._failed)
            return False
