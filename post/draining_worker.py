"""A worker that stops without losing a client."""

import time
from typing import Any

from post import lifecycle, listeners
from post.patient_worker import PatientWorker


class DrainingWorker(PatientWorker):
    """
    A worker that serves on for a while after SIGTERM, and answers whom the kernel has let in.

    Gunicorn's accepts no more at once, while load balancers still send, and closes its listeners last of all:
    whoever came meanwhile is reset.
    """

    drain_seconds: float = 0  # from being told to stop to accepting no more
    alive: bool  # gunicorn's: whether the worker is to go on

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stop_at: float | None = None

    def run(self) -> None:
        """Serve."""
        for listener in self.sockets:
            listeners.heed_new(listener)  # the last worker may have left it deaf
        super().run()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for what happens, at most until it is time to accept no more."""
        if self._stop_at is not None and self.alive:
            timeout = max(0.0, min(timeout, self._stop_at - time.monotonic()))
        super().wait_for_and_dispatch_events(timeout)
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.alive = False

    def handle_exit(self, _signal: int, _frame: Any) -> None:
        """
        Begin to stop, at SIGTERM: serve on for a while, not ready, and with no connection kept alive.

        Load balancers are told while this process is, and send new connections until they have heard of it.
        """
        if self._stop_at is None:
            lifecycle.begin_stop()
            self._stop_at = time.monotonic() + self.drain_seconds
            self.max_keepalived = 0
            self.method_queue.defer(lambda: None)  # wakes the main loop

    def set_accept_enabled(self, enabled: bool) -> None:
        """Listen, or do not; a worker that stops takes whom the kernel has let in, and leaves the listeners."""
        super().set_accept_enabled(enabled)
        if self.alive:
            return
        is_last = self.is_last_to_listen()
        for listener in self.sockets:
            if is_last:
                listeners.ignore_new(listener)
            while self.take_connection(listener) or (is_last and listeners.is_anyone_in(listener)):
                pass
            listener.close()  # gunicorn does so at the end of all, and would reset whoever came meanwhile

    def is_last_to_listen(self) -> bool:
        """Return whether no other worker serves the listeners any more, as far as can be known."""
        return False
