"""A thread of each process that works at long tasks, those of processes that have ended too."""

import atexit
import logging
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from random import SystemRandom
from typing import Any

logger = logging.getLogger(__name__)

EVERY_SECONDS = 5

_CHANCE = SystemRandom()  # no state: none that forks share, and none of the process that a thread moves


class TasksUnavailable(Exception):
    """The database cannot be read or written to now; the tasks wait."""


class TaskRunner:
    """
    Looks for tasks every few seconds, and works at them in one thread.

    When the process ends, the thread ends after its present batch.
    """

    def __init__(
        self,
        work: Callable[[Callable[[], bool]], None],
        *,
        context: Callable[[], AbstractContextManager[Any]] = nullcontext,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        """
        Make a runner; its thread begins with ``start``.

        Args:
            work: Works at all tasks that wait. It asks its argument before each batch, and stops if that is True.
                It raises ``TasksUnavailable`` if it must be called again later.
            context: Context of ``work``.
            every_seconds: Mean time between two looks.
        """
        self._work = work
        self._context = context
        self._every_seconds = every_seconds
        self._lock = threading.Lock()
        self._process: int | None = None  # a fork inherits the attribute, but not the thread
        self._woken, self._ended = threading.Event(), threading.Event()
        self._thread: threading.Thread  # of that process
        self._logged: type[Exception] | None = None  # the failure logged last

    def start(self) -> None:
        """Begin, unless this process has begun already."""
        with self._lock:
            if self._process == os.getpid():
                return
            self._process = os.getpid()
            self._woken, self._ended = threading.Event(), threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=[self._ended, self._woken], name="tasks", daemon=True
            )
            self._thread.start()
            atexit.register(self.stop)

    def stop(self) -> None:
        """End the thread of this process, if there is one, after its present batch; ``start`` begins another."""
        with self._lock:
            if self._process != os.getpid():  # a fork has no thread
                return
            thread, self._process = self._thread, None
            self._ended.set()
            self._woken.set()
            atexit.unregister(self.stop)
        thread.join()

    def wake(self) -> None:
        """Look for tasks at once; begins if needed."""
        self.start()
        self._woken.set()

    def _run(self, ended: threading.Event, woken: threading.Event) -> None:
        while True:
            # At random, so that the processes of all machines do not ask together.
            woken.wait(self._every_seconds * _CHANCE.uniform(0.5, 1.5))
            woken.clear()
            if ended.is_set():
                return
            try:
                with self._context():
                    self._work(ended.is_set)
                self._logged = None
            except Exception as exc:  # noqa: BLE001 - logged; the tasks wait and the thread goes on
                self._log(exc)

    def _log(self, fault: Exception) -> None:
        if type(fault) is not self._logged:  # once, not at each look while the database is away
            is_ours = not isinstance(fault, TasksUnavailable)
            level, shown = (logging.ERROR, fault) if is_ours else (logging.WARNING, None)
            logger.log(level, "tasks_not_done", exc_info=shown)
        self._logged = type(fault)
