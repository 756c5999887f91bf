"""Replicas in one process: applications over one database and one Redis."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from post.shared.redis_state import RedisState
from tests.servers import RedisServer, private_redis, wait_until

# The time that a busy machine may take: where a test is about what Redis decides, it must not be lost by the way.
PATIENT = {"SECRET_KEY": "a-secret-of-the-tests", "REDIS_TIMEOUT_MS": "1000"}
RETURN_SECONDS = 10


@contextmanager
def own_redis(folder: Path) -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None and os.environ.get("CI") != "true":
        pytest.skip("redis-server is not installed")
    with private_redis(folder) as server:
        yield server


def redis_of(app: Flask) -> RedisState:
    return app.extensions["post"].redis


def wait_for_return(app: Flask) -> None:
    """Until the app uses Redis again, which a thread of it tries."""
    wait_until(redis_of(app).is_up, seconds=RETURN_SECONDS, what="Redis is not used again")


def asked_seconds(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """Tell how long this thread has been with Redis since it was last told."""
    spent, run = threading.local(), RedisState.run

    def timed(self: RedisState, *args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return run(self, *args, **kwargs)
        finally:
            spent.seconds = getattr(spent, "seconds", 0.0) + time.perf_counter() - started

    def seconds() -> float:
        told, spent.seconds = getattr(spent, "seconds", 0.0), 0.0
        return told

    monkeypatch.setattr(RedisState, "run", timed)
    return seconds


def view(client: FlaskClient, post_id: str, address: str = "203.0.113.7") -> int:
    """Views that a post shows to who looks at it from an address."""
    response = client.get(f"/api/v1/posts/{post_id}", environ_base={"REMOTE_ADDR": address})
    assert response.status_code == 200
    return response.json["data"]["view_count"]
