from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from post.shared.memory import SharedCounters
from post.web.rate_limits import seconds_until_room

PERIOD = 60


def weighted(previous: int, current: int, elapsed: float) -> float:
    """Requests that count, ``elapsed`` seconds into a window (limits docs: "Sliding Window Counter")."""
    return previous * (1 - elapsed / PERIOD) + current


@given(
    amount=st.integers(1, 1000),
    previous=st.integers(0, 1000),
    current=st.integers(0, 1000),
    elapsed=st.floats(0, PERIOD, exclude_max=True),
)
def test_there_is_room_after_the_wait_and_none_before(amount, previous, current, elapsed):
    previous, current = min(previous, amount), min(current, amount)
    remaining = PERIOD - elapsed

    wait = seconds_until_room(amount, PERIOD, previous=previous, current=current, remaining_seconds=remaining)

    def counted_after(seconds: float) -> float:
        into_next = elapsed + seconds - PERIOD
        if into_next >= 0:
            return weighted(current, 0, min(into_next, PERIOD))
        return weighted(previous, current, elapsed + seconds)

    assert 0 <= wait <= 2 * PERIOD
    assert counted_after(wait + 1e-6) <= amount - 1 + 1e-3
    if wait > 1e-3:
        assert counted_after(wait - 1e-3) > amount - 1 - 1e-3


@pytest.mark.parametrize(
    ("other", "is_the_same_client"),
    [("2001:db8::2", True), ("2001:DB8:0:0:ffff::1", True), ("2001:db8:0:1::1", False), ("192.0.2.1", False)],
)
def test_the_addresses_of_one_ipv6_network_share_a_budget(other, is_the_same_client, make_app, tmp_path):
    app = make_app(DATABASE_URL=f"sqlite:///{tmp_path}/postdb.sqlite3", RATELIMIT_READ="1/minute")

    def read(address: str) -> int:
        return app.test_client().get("/api/v1/posts", environ_base={"REMOTE_ADDR": address}).status_code

    statuses = [read("2001:db8::1"), read(other)]

    assert statuses == [200, 429 if is_the_same_client else 200]


@pytest.fixture
def limited(make_app, tmp_path) -> Callable[..., FlaskClient]:
    """A service with limits of its own."""

    def make(**rates: str) -> FlaskClient:
        return make_app(DATABASE_URL=f"sqlite:///{tmp_path}/postdb.sqlite3", **rates).test_client()

    return make


def told(response: TestResponse) -> tuple[int, str | None, str | None]:
    headers = response.headers
    return response.status_code, headers.get("RateLimit-Limit"), headers.get("RateLimit-Remaining")


def test_of_several_limits_the_shortest_is_told_until_one_is_used_up(limited):
    client = limited(RATELIMIT_READ="3/hour;1000/second")

    responses = [client.get("/api/v1/categories") for _ in range(4)]

    assert [told(response)[:2] for response in responses] == [(200, "1000")] * 3 + [(429, "3")]
    assert told(responses[3])[2] == "0"
    assert 1 <= int(responses[3].headers["Retry-After"]) <= 3600


def test_whoever_waits_for_the_reset_that_the_last_request_was_told_is_let_in(limited, monkeypatch):
    client = limited(RATELIMIT_READ="3/minute")
    clock = {"time": 1_000_020 + 59}  # a second before a window's end
    monkeypatch.setattr("post.shared.rate_windows.time", SimpleNamespace(time=lambda: clock["time"]))

    last = [client.get("/api/v1/categories") for _ in range(3)][-1]
    clock["time"] += int(last.headers["RateLimit-Reset"])
    after = client.get("/api/v1/categories")

    assert told(last) == (200, "3", "0")
    assert "Retry-After" not in last.headers
    assert after.status_code == 200


def test_a_request_uses_up_one_of_its_own_limit_and_none_of_the_others(limited):
    client = limited(RATELIMIT_READ="5/minute", RATELIMIT_WRITE="5/minute")
    image = f"/api/v1/images/{'0' * 32}-{'0' * 64}.png"

    kinds = [
        [told(client.open(path, method=method))[2] for _ in range(2)]
        for method, path in (("GET", "/api/v1/categories"), ("GET", image), ("POST", "/api/v1/categories"))
    ]

    assert kinds == [["4", "3"]] * 3


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health"),
        ("GET", "/health/ready"),
        ("GET", "/internal/uploader"),
        ("POST", "/dev/token"),
        ("OPTIONS", "/api/v1/posts"),
        ("GET", "/nothing"),
        ("DELETE", "/api/v1/posts"),
    ],
)
def test_what_has_no_limit_tells_none_and_uses_none_up(limited, method, path):
    client = limited(RATELIMIT_READ="2/minute", RATELIMIT_WRITE="2/minute")

    free = [client.open(path, method=method) for _ in range(4)]
    counted = client.get("/api/v1/categories")

    assert {told(response)[1:] for response in free} == {(None, None)}
    assert 429 not in {response.status_code for response in free}
    assert told(counted) == (200, "2", "1")


def test_a_request_is_counted_in_one_look_at_the_counters(limited, monkeypatch):
    client = limited(RATELIMIT_READ="5/minute")
    looks: list[str] = []

    class Watched(SharedCounters):
        def __getattribute__(self, name: str) -> Any:
            if not name.startswith("_"):
                looks.append(name)
            return super().__getattribute__(name)

    monkeypatch.setattr(client.application.extensions["post"].limiter.windows, "_counters", Watched())

    response = client.get("/api/v1/categories")

    assert told(response) == (200, "5", "4")
    assert looks == ["add_beside"]


def test_images_do_not_use_up_what_a_client_may_read(make_app, tmp_path):
    app = make_app(RATELIMIT_READ="2/minute", DATABASE_URL=f"sqlite:///{tmp_path}/postdb.sqlite3")
    client = app.test_client()
    image = f"/api/v1/images/{'0' * 32}-{'0' * 64}.png"

    images = [client.get(image).status_code for _ in range(3)]
    reads = [client.get("/api/v1/categories").status_code for _ in range(3)]

    assert images == [404, 404, 429]
    assert reads == [200, 200, 429]
