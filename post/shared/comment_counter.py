"""Counts of comments: a thread reads them from the Comment Service, each post's once a minute at most."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import requests
from cachetools import TTLCache

from post.fetching import fetch_json
from post.shared.memory import Counters
from post.telemetry import metrics

logger = logging.getLogger(__name__)

EVERY_SECONDS = 60
WAITING_MAX = 1000  # posts; beyond it a post waits for its next read
ASKED_MAX = 1 << 16
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1, 30  # while the Comment Service is away
TIMEOUT_SECONDS = (1, 2)  # to connect, and for each piece
FETCH_SECONDS = 3  # for all of it
MAX_BYTES = 1 << 16
COUNT_MAX = 2**31 - 1  # MySQL's INT


def fetch_comment_total(base_url: str, post_id: str) -> int:
    """
    Ask the Comment Service for a post's number of comments.

    Args:
        base_url: Its URL.
        post_id: Id of the post.

    Raises:
        requests.RequestException: It does not answer in time, or with an error.
        ValueError: Its answer has no such number.
    """
    url = f"{base_url}/api/v1/posts/{post_id}/comments?page=1&size=1"
    answer = fetch_json(url, timeout_seconds=TIMEOUT_SECONDS, total_seconds=FETCH_SECONDS, max_bytes=MAX_BYTES)
    data = answer.get("data") if isinstance(answer, dict) else None
    total = data.get("total") if isinstance(data, dict) else None
    if type(total) is not int or not 0 <= total <= COUNT_MAX:  # a bool is an int too
        raise ValueError("data.total is no number of comments")
    return total


class _Waiting(NamedTuple):
    due: float
    is_hint: bool


class CommentCounter:
    """
    Keeps counts of comments up to date. Callers only name posts, and never wait.

    A read names a post whose count may be old. A hint says that a count has changed: if the post was asked for
    within the minute, it is asked for again after it.
    """

    def __init__(
        self,
        asked: Counters,
        *,
        fetch: Callable[[str], int],
        write: Callable[[str, int], None],
        context: Callable[[], AbstractContextManager[Any]] = nullcontext,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        """
        Make a counter; its thread starts with the first post.

        Args:
            asked: Counts who has asked for a post, for all processes.
            fetch: Returns a post's number of comments; raises as ``fetch_comment_total`` does.
            write: Stores it.
            context: Context of ``write``.
            every_seconds: Time in which a post is asked for once at most.
        """
        self._asked_by_all = asked
        self._fetch = fetch
        self._write = write
        self._context = context
        self._every_seconds = every_seconds
        self._changed = threading.Condition()  # and the lock of all that follows
        self._waiting: dict[str, _Waiting] = {}
        self._asked: TTLCache[str, float] = TTLCache(ASKED_MAX, every_seconds, timer=time.monotonic)
        self._process: int | None = None  # a fork inherits the attribute, but not the thread
        self._is_away = False

    def refresh(self, post_ids: Iterable[str]) -> None:
        """Ask soon for the posts that were not asked for within the minute."""
        with self._changed:
            for post_id in post_ids:
                if post_id not in self._asked:
                    self._add(post_id, _Waiting(time.monotonic(), is_hint=False))

    def hint(self, post_id: str) -> None:
        """Ask for a post as soon as it may be asked for again."""
        with self._changed:
            now = time.monotonic()
            due = self._asked[post_id] + self._every_seconds if post_id in self._asked else now
            self._add(post_id, _Waiting(due, is_hint=True))

    def _add(self, post_id: str, waiting: _Waiting) -> None:
        self._ensure_thread()
        if post_id not in self._waiting and len(self._waiting) < WAITING_MAX:
            self._waiting[post_id] = waiting
            self._changed.notify()

    def _ensure_thread(self) -> None:
        if self._process != os.getpid():
            self._waiting.clear()  # inherited by a fork
            threading.Thread(target=self._run, name="comments", daemon=True).start()
            self._process = os.getpid()

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            post_id, is_hint = self._next()
            try:
                self._count(post_id, is_hint=is_hint)
                pause, self._is_away = FIRST_PAUSE_SECONDS, False
            except Exception as exc:  # noqa: BLE001 - logged; the last count stays and the thread goes on
                self._log(exc)
                if not _concerns_one_post(exc):
                    time.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _next(self) -> tuple[str, bool]:
        """Wait until a post may be asked for; returns it, and whether a hint has named it."""
        with self._changed:
            while True:
                now = time.monotonic()
                post_id = min(self._waiting, key=lambda one: self._waiting[one].due, default=None)
                if post_id is None:
                    self._changed.wait()
                elif self._waiting[post_id].due > now:
                    self._changed.wait(self._waiting[post_id].due - now)
                else:
                    return post_id, self._waiting.pop(post_id).is_hint

    def _count(self, post_id: str, *, is_hint: bool) -> None:
        is_first = not self._asked_by_all.get(post_id)
        is_first = is_first and self._asked_by_all.add(post_id, ttl_seconds=self._every_seconds) == 1
        with self._changed:
            now = self._asked[post_id] = time.monotonic()
            if is_hint and not is_first:  # another process has asked, perhaps before the change
                self._add(post_id, _Waiting(now + self._every_seconds, is_hint=False))
        if not is_first:
            return
        total = self._fetch(post_id)
        with self._context():
            self._write(post_id, total)
        metrics.COMMENT_FETCHES.labels("success").inc()

    def _log(self, fault: Exception) -> None:
        metrics.COMMENT_FETCHES.labels("failure").inc()
        is_expected = isinstance(fault, (requests.RequestException, ValueError))
        if not is_expected:
            logger.error("comments_not_counted", exc_info=fault)
        elif not self._is_away:  # once for each outage
            logger.warning("comments_not_counted", extra={"reason": type(fault).__name__})
        self._is_away = True


def _concerns_one_post(fault: Exception) -> bool:
    response = fault.response if isinstance(fault, requests.HTTPError) else None
    return response is not None and response.status_code < 500
