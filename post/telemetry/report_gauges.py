"""The gauges of open reports, which a thread of each worker reads from the database."""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from post.telemetry import metrics

logger = logging.getLogger(__name__)

EVERY_SECONDS = 15


class ReportGauges:
    """Sets the gauges every ``EVERY_SECONDS``. While the database is away they stay as they are."""

    def __init__(
        self,
        read: Callable[[], tuple[int, float]],
        *,
        context: Callable[[], AbstractContextManager[Any]] = nullcontext,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        """
        Prepare the gauges; their thread begins with ``start``.

        Args:
            read: Returns the number of open reports, and the age of the oldest in seconds.
            context: Context of ``read``.
            every_seconds: Time between two reads.
        """
        self._read = read
        self._context = context
        self._every_seconds = every_seconds
        self._process: int | None = None  # a fork inherits the attribute, but not the thread
        self._has_failed = False

    def start(self) -> None:
        """Begin, unless this process has begun already."""
        if self._process != os.getpid():
            self._process = os.getpid()
            threading.Thread(target=self._run, name="report gauges", daemon=True).start()

    def _run(self) -> None:
        while True:
            self.refresh()
            time.sleep(self._every_seconds)

    def refresh(self) -> None:
        """Set the gauges; a failure is logged, once for each outage."""
        try:
            with self._context():
                number, oldest_seconds = self._read()
        except Exception as exc:  # noqa: BLE001 - logged; the gauges stay and the thread goes on
            if not self._has_failed:
                logger.warning("reports_not_counted", extra={"reason": type(exc).__name__})
            self._has_failed = True
            return
        self._has_failed = False
        metrics.REPORTS_OPEN.set(number)
        metrics.REPORTS_OLDEST.set(oldest_seconds)
