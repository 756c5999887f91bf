"""Which requests are read on the replica: those that read, of whoever has written nothing of late."""

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
        counters: Where it is kept who has written of late.
    """
    if settings.database_replica_url is None:
        return
    writers = RecentWriters(counters, seconds=settings.database_replica_lag_seconds)

    def who() -> str | None:
        caller = optional_caller()
        if caller is not None:
            return f"user:{caller.user_id}"
        return None if settings.like_requires_auth else f"address:{request.remote_addr}"

    @app.before_request
    def choose_server() -> None:
        reader = who() if request.method in READS else None
        allow_replica(request.method in READS and not (reader is not None and writers.wrote_lately(reader)))

    @app.after_request
    def note_writer(response: Response) -> Response:
        # After a 5xx it may have been written all the same.
        is_refused = 400 <= response.status_code < 500
        writer = None if request.method in READS or is_refused else who()
        if writer is not None:
            writers.note(writer)
        return response

    @app.teardown_request
    def forget(_error: BaseException | None) -> None:
        allow_replica(False)


class RecentWriters:
    """Remembers for a while who has written: they must see what they wrote, so they read where they wrote."""

    def __init__(self, counters: Counters, *, seconds: float, clock: Callable[[], float] = time.time) -> None:
        """
        Make a memory.

        Args:
            counters: Where it is kept.
            seconds: For how long at least; for twice as long at most.
            clock: Seconds since the epoch.
        """
        self._counters = counters
        self._seconds = seconds
        self._clock = clock

    def note(self, who: str) -> None:
        """Take note that somebody has written: any text that stands for them."""
        self._counters.add(self._key(who, 0), ttl_seconds=2 * self._seconds)

    def wrote_lately(self, who: str) -> bool:
        """Tell whether they have, of late."""
        return any(self._counters.get(self._key(who, spans_ago)) for spans_ago in (0, 1))

    def _key(self, who: str, spans_ago: int) -> str:
        # A counter's end cannot be put off, so each span of time has one of its own.
        return f"wrote:{int(self._clock() // self._seconds) - spans_ago}:{who}"
