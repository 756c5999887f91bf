"""Which requests are read on the replica: those that read, of whoever has written nothing of late."""

from flask import Flask, Response, request

from config import Settings
from post.auth_utils import READS, optional_caller
from post.replica import Counters, RecentWriters, allow_replica


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
