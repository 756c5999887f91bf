"""Counting of views: the first of an address on a post within a window counts; batches are written."""

import atexit
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from post.shared.memory import SharedCounters
from post.telemetry import metrics

logger = logging.getLogger(__name__)

_COUNTED, _REPEATED = metrics.VIEWS.labels("counted"), metrics.VIEWS.labels("repeated")
BATCH_POSTS = 500
POSTS_MAX = 1 << 16  # posts whose views may wait in a process; views of more posts are written at once
# A caller's ``stored`` may be older than a batch for so long after it was written.
IN_DOUBT_SECONDS = 0.5


class ViewsNotWritten(Exception):
    """The database cannot be written to now; nothing was written."""


class RememberedViews(Protocol):
    """Stores for a while the views of posts by address."""

    def is_first_view(self, post_id: str, address: str) -> bool:
        """
        Record a view, and return whether it is new. Of concurrent equal calls, one returns True.

        Args:
            post_id: Id of the post.
            address: The client's IP address.
        """

    def forget(self, post_id: str, address: str) -> None:
        """Remove a view that could not be counted. Arguments as for ``is_first_view``."""


class ViewWindow:
    """``RememberedViews`` in memory that the workers of one gunicorn share."""

    def __init__(self, counters: SharedCounters, *, window_seconds: int) -> None:
        """
        Make a window.

        Args:
            counters: Stores the views.
            window_seconds: Time after a counted view in which the same address does not count again.
        """
        self._counters = counters
        self._window_seconds = window_seconds

    def is_first_view(self, post_id: str, address: str) -> bool:
        """Record a view, as described in ``RememberedViews``."""
        return self._counters.add(_key(post_id, address), ttl_seconds=self._window_seconds) == 1

    def has_viewed(self, post_id: str, address: str) -> bool:
        """Return whether a view is recorded, and record none. Arguments as for ``is_first_view``."""
        return self._counters.get(_key(post_id, address)) > 0

    def forget(self, post_id: str, address: str) -> None:
        """Remove a view, as described in ``RememberedViews``."""
        self._counters.remove(_key(post_id, address))


@dataclass(slots=True)
class _PostViews:
    waiting: int = 0
    total: int = 0  # written and waiting, when the last view was answered
    in_doubt_until: float = 0


class ViewCounter:
    """
    Counts views, and writes each at once, or all of this process together.

    In the second case a thread flushes waiting views every ``flush_seconds``, and the process flushes the rest
    when it ends. A killed process loses the views of ``flush_seconds`` at most. No view is counted twice. Other
    processes show the views of this one once they are written.
    """

    def __init__(
        self,
        window: RememberedViews,
        *,
        write: Callable[[Mapping[str, int]], None],
        flush_seconds: float = 0,
        lag_seconds: float = 0,
        context: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        """
        Make a counter.

        Args:
            window: Decides which views count.
            write: Adds views to posts by their ids, all of them or none; raises ``ViewsNotWritten``
                if it must be retried later.
            flush_seconds: Maximum time that a view waits; 0 writes each at once.
            lag_seconds: Maximum lag of callers' reads behind a write.
            context: Context of ``write`` outside of a request.
        """
        self._window = window
        self._write = write
        self._flush_seconds = flush_seconds
        self._in_doubt_seconds = IN_DOUBT_SECONDS + lag_seconds
        self._context = context
        self._posts: dict[str, _PostViews] = {}
        self._lock = threading.Lock()
        self._flushing_process: int | None = None  # its id: a fork inherits the attribute, but not the thread
        self._logged: type[Exception] | None = None  # the failure logged last

    def count(self, post_id: str, address: str, *, stored: int) -> int:
        """
        Count a view if it is the address's first within the window.

        Args:
            post_id: Id of an existing post, 32 hex characters.
            address: The client's IP address.
            stored: The post's views as just read from the database.

        Returns:
            The views to add to ``stored``: this one if it counts, and those that this process has yet to write.
        """
        is_first = self._window.is_first_view(post_id, address)
        (_COUNTED if is_first else _REPEATED).inc()
        if not is_first:
            return self.pending(post_id, stored=stored)
        with self._lock:
            self._ensure_thread()
            if self._flush_seconds and (post_id in self._posts or len(self._posts) < POSTS_MAX):
                views = self._posts.setdefault(post_id, _PostViews())
                missing = _missing(views, stored) + 1
                views.waiting, views.total = views.waiting + 1, stored + missing
                return missing
        return self._write_at_once(post_id, address)

    def pending(self, post_id: str, *, stored: int) -> int:
        """Return the views to add to ``stored``. Arguments as for ``count``."""
        with self._lock:
            return _missing(self._posts.get(post_id, _PostViews()), stored)

    def flush(self) -> int:
        """
        Write the waiting views; views that cannot be written go on waiting. Only one thread at a time may call this.

        Returns:
            The number of views written.
        """
        written = 0
        try:
            for _ in range(self._count_waiting() // BATCH_POSTS + 1):
                written += self._write_batch()
        except Exception as exc:  # noqa: BLE001 - logged; the views wait and the thread goes on
            self._log(exc)
        else:
            self._logged = None
        return written

    def _count_waiting(self) -> int:
        with self._lock:
            return sum(1 for views in self._posts.values() if views.waiting)

    def _write_batch(self) -> int:
        with self._lock:
            waiting = ((post_id, views.waiting) for post_id, views in self._posts.items() if views.waiting)
            batch = dict(islice(waiting, BATCH_POSTS))
            for post_id in batch:
                self._posts[post_id].waiting, self._posts[post_id].in_doubt_until = 0, math.inf
        if not batch:
            return 0
        try:
            with self._context():
                self._write(batch)
        except Exception:
            self._put_back(batch)
            raise
        self._mark_written(batch)
        return sum(batch.values())

    def _put_back(self, batch: Mapping[str, int]) -> None:
        with self._lock:
            for post_id, count in batch.items():
                views = self._posts[post_id] = self._posts.pop(post_id)  # behind those not tried yet
                views.waiting, views.in_doubt_until = views.waiting + count, 0

    def _mark_written(self, batch: Mapping[str, int]) -> None:
        with self._lock:
            now = time.monotonic()
            for post_id in batch:
                self._posts[post_id].in_doubt_until = now + self._in_doubt_seconds
            done = [key for key, views in self._posts.items() if not views.waiting and views.in_doubt_until < now]
            for post_id in done:
                del self._posts[post_id]

    def _write_at_once(self, post_id: str, address: str) -> int:
        """Return 1, or 0 if the post can be read but its count cannot be written."""
        try:
            self._write({post_id: 1})
        except ViewsNotWritten:
            logger.warning("view_not_counted", extra={"post_id": post_id})
            self._window.forget(post_id, address)
            return 0
        return 1

    def _log(self, fault: Exception) -> None:
        # Logged once for each kind of failure, not at every attempt while the database is away.
        if type(fault) is not self._logged:
            is_ours = not isinstance(fault, ViewsNotWritten)
            level, shown = (logging.ERROR, fault) if is_ours else (logging.WARNING, None)
            logger.log(level, "views_not_written", exc_info=shown, extra={"posts": self._count_waiting()})
        self._logged = type(fault)

    def _ensure_thread(self) -> None:
        if not self._flush_seconds or self._flushing_process == os.getpid():
            return
        self._posts.clear()  # inherited by a fork; the parent writes them
        ended = threading.Event()
        thread = threading.Thread(target=self._flush_until, args=[ended], name="views", daemon=True)
        thread.start()
        atexit.register(self._flush_at_exit, os.getpid(), thread, ended)
        self._flushing_process = os.getpid()

    def _flush_until(self, ended: threading.Event) -> None:
        while not ended.wait(self._flush_seconds):
            self.flush()

    def _flush_at_exit(self, process: int, thread: threading.Thread, ended: threading.Event) -> None:
        if process == os.getpid():  # not in a fork
            ended.set()
            thread.join()
            self.flush()


def _missing(views: _PostViews, stored: int) -> int:
    # While a batch is written, and a little longer, ``stored`` may contain its views or not; the total has them once.
    # At other times ``stored`` is right, even if another process has changed it.
    is_in_doubt = time.monotonic() < views.in_doubt_until
    return max(views.waiting, views.total - stored) if is_in_doubt else views.waiting


def _key(post_id: str, address: str) -> str:
    return f"{post_id}:{address}"
