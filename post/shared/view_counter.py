"""Which views count, the first of an address on a post within a window; and their way to the database, in batches."""

import atexit
import logging
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from post.shared.memory import SharedCounters
from post.shared_tally import SharedTally
from post.telemetry import metrics

logger = logging.getLogger(__name__)

BATCH_POSTS = 500


class ViewsNotWritten(Exception):
    """The database cannot be written now; nothing was."""


class RememberedViews(Protocol):
    """Remembers for a while who has viewed what."""

    def is_first_view(self, post_id: str, address: str) -> bool:
        """
        Take note of a view; of concurrent equal calls one returns True.

        Args:
            post_id: Id of the post.
            address: The client's IP address.
        """

    def forget(self, post_id: str, address: str) -> None:
        """Take a note back: the view could not be counted after all. Arguments as for ``is_first_view``."""


class ViewWindow:
    """``RememberedViews`` in the memory of one gunicorn's workers."""

    def __init__(self, counters: SharedCounters, *, window_seconds: int) -> None:
        """
        Make a window.

        Args:
            counters: Where views are remembered.
            window_seconds: How long after a counted view another by the same address is not counted.
        """
        self._counters = counters
        self._window_seconds = window_seconds

    def is_first_view(self, post_id: str, address: str) -> bool:
        """Take note of a view, as ``RememberedViews`` does."""
        return self._counters.add(_key(post_id, address), ttl_seconds=self._window_seconds) == 1

    def has_viewed(self, post_id: str, address: str) -> bool:
        """Tell whether there is a note, and take none. Arguments as for ``is_first_view``."""
        return self._counters.get(_key(post_id, address)) > 0

    def forget(self, post_id: str, address: str) -> None:
        """Take a note back, as ``RememberedViews`` does."""
        self._counters.remove(_key(post_id, address))


class ViewCounter:
    """
    Counts views, and has them written: each at once, or together with those of all workers.

    In the second case a thread of each process that has counted a view writes what has waited for
    ``flush_seconds``, and the process writes the rest when it ends.
    """

    def __init__(
        self,
        window: RememberedViews,
        *,
        write: Callable[[Mapping[str, int]], None],
        flush_seconds: float = 0,
        tally: SharedTally | None = None,
        context: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        """
        Make a counter.

        Args:
            window: Which views count.
            write: Adds views to posts by their ids, all of them or none; raises ``ViewsNotWritten``
                when that must be tried again later.
            flush_seconds: How long a view waits at most.
            tally: Where views wait, made before the fork; None writes each at once.
            context: What ``write`` runs in where no request runs it.
        """
        self._window = window
        self._write = write
        self._flush_seconds = flush_seconds
        self._tally = tally
        self._context = context
        self._starting = threading.Lock()
        self._flushing_process: int | None = None  # its id: a fork inherits the attribute, and no thread
        self._told: type[Exception] | None = None  # the kind of failure that the log has last

    def count(self, post_id: str, address: str, *, stored: int) -> int:
        """
        Count a view if it is the address's first within the window.

        Args:
            post_id: Id of a post that is there, 32 hex characters.
            address: The client's IP address.
            stored: The post's views as the database has just told them.

        Returns:
            What ``stored`` lacks of the post's views: this one where it counts, and those that
            were yet to be written.
        """
        is_first = self._window.is_first_view(post_id, address)
        metrics.VIEWS.add("counted" if is_first else "repeated")
        if not is_first:
            return self.pending(post_id, stored=stored)
        pending = None if self._tally is None else self._tally.add(post_id, stored=stored)
        if pending is None:
            return self._write_at_once(post_id, address)
        self._see_to_flushes()
        return pending

    def pending(self, post_id: str, *, stored: int) -> int:
        """Return what ``stored`` lacks of a post's views. Arguments as for ``count``."""
        return 0 if self._tally is None else self._tally.pending(post_id, stored=stored)

    def flush(self) -> int:
        """
        Write what waits; what cannot be written waits on.

        Returns:
            How many views were written.
        """
        written = 0
        if self._tally is None:
            return written
        try:
            for _ in range(self._tally.waiting() // BATCH_POSTS + 1):
                written += self._write_batch(self._tally)
        except Exception as exc:  # noqa: BLE001 - the log tells of it, the views wait on and the thread lives
            self._tell(exc)
        else:
            self._told = None
        return written

    def _write_batch(self, tally: SharedTally) -> int:
        # Also where nothing waits: at the end of the process, a batch that is being written must be waited for.
        with tally.taken(limit=BATCH_POSTS) as views:
            if views:
                with self._context():
                    self._write(views)
        return sum(views.values())

    def _write_at_once(self, post_id: str, address: str) -> int:
        """Return 1, or 0 where the post can be read and its count cannot be written."""
        try:
            self._write({post_id: 1})
        except ViewsNotWritten:
            logger.warning("view_not_counted", extra={"post_id": post_id})
            self._window.forget(post_id, address)
            return 0
        return 1

    def _tell(self, fault: Exception) -> None:
        # Of each kind once, not at every attempt for as long as the database is away.
        if type(fault) is not self._told and self._tally is not None:
            is_ours = not isinstance(fault, ViewsNotWritten)
            level, shown = (logging.ERROR, fault) if is_ours else (logging.WARNING, None)
            logger.log(level, "views_not_written", exc_info=shown, extra={"posts": self._tally.waiting()})
        self._told = type(fault)

    def _see_to_flushes(self) -> None:
        if self._flushing_process == os.getpid():
            return
        with self._starting:
            if self._flushing_process != os.getpid():
                ended = threading.Event()
                thread = threading.Thread(target=self._flush_until, args=[ended], name="views", daemon=True)
                thread.start()
                atexit.register(self._flush_at_exit, os.getpid(), thread, ended)
                self._flushing_process = os.getpid()

    def _flush_until(self, ended: threading.Event) -> None:
        while self._tally is not None and not ended.is_set():
            # Each worker waits for the same moment, and whichever comes first writes for all.
            left_seconds = self._flush_seconds - self._tally.waited_seconds()
            if left_seconds > 0:
                ended.wait(left_seconds)
            else:
                self.flush()

    def _flush_at_exit(self, process: int, thread: threading.Thread, ended: threading.Event) -> None:
        if process == os.getpid():  # and not a fork of it
            ended.set()
            thread.join()
            self.flush()


def _key(post_id: str, address: str) -> str:
    return f"{post_id}:{address}"
