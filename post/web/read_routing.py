"""The choice between primary and replica: a user who has just written reads from the primary."""

import time
from collections.abc import Callable

from flask import Flask, Response, request

from config import Settings
from post.auth_utils.guards import READS, optional_caller
from post.database.servers import allow_replica
from post.shared.memory import Counters


def init_read_routing(app: Flask, settings: Settings, counters: Counters) -> None:
    """
    Route the reads of an app, if it has a replica.

    Args:
        app: The application.
        settings: ``database_replica_url``, ``database_replica_lag_seconds`` and ``like_requires_auth``.
        counters: The memory of recent writers.
    """
    if settings.database_replica_url is None:
        return
    writers = RecentWriters(counters, seconds=settings.database_replica_lag_seconds)

    def identity() -> str | None:
        caller = optional_caller()
        if caller is not None:
            return f"user:{caller.user_id}"
        return None if settings.like_requires_auth else f"address:{request.remote_addr}"

    @app.before_request
    def choose_server() -> None:
        reader = identity() if request.method in READS else None
        allow_replica(request.method in READS and not (reader is not None and writers.wrote_recently(reader)))

    @app.after_request
    def remember_writer(response: Response) -> Response:
        # A request that ends in a 5xx may have written all the same.
        is_refused = 400 <= response.status_code < 500
        writer = None if request.method in READS or is_refused else identity()
        if writer is not None:
            writers.remember(writer)
        return response

    @app.teardown_request
    def forget(_error: BaseException | None) -> None:
        allow_replica(False)


class RecentWriters:
    """Remembers recent writers: they read from the primary, so that they see what they wrote."""

    def __init__(self, counters: Counters, *, seconds: float, clock: Callable[[], float] = time.time) -> None:
        """
        Make a memory.

        Args:
            counters: Counters with a time to live.
            seconds: The time that a writer is remembered, at least; at most twice as long.
            clock: Returns seconds since the epoch.
        """
        self._counters = counters
        self._seconds = seconds
        self._clock = clock

    def remember(self, who: str) -> None:
        """Remember a writer, by any text that identifies them."""
        self._counters.add(self._key(who, 0), ttl_seconds=2 * self._seconds)

    def wrote_recently(self, who: str) -> bool:
        """Check for a recent write."""
        return any(self._counters.get(self._key(who, spans_ago)) for spans_ago in (0, 1))

    def _key(self, who: str, spans_ago: int) -> str:
        # A counter's time to live cannot be extended, so each span of time has its own counter.
        return f"wrote:{int(self._clock() // self._seconds) - spans_ago}:{who}"
