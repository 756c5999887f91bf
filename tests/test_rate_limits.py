import pytest
from hypothesis import given
from hypothesis import strategies as st

from post.rate_limits import seconds_until_room

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


def test_images_do_not_use_up_what_a_client_may_read(make_app, tmp_path):
    app = make_app(RATELIMIT_READ="2/minute", DATABASE_URL=f"sqlite:///{tmp_path}/postdb.sqlite3")
    client = app.test_client()
    image = f"/api/v1/images/{'0' * 32}-{'0' * 64}.png"

    images = [client.get(image).status_code for _ in range(3)]
    reads = [client.get("/api/v1/categories").status_code for _ in range(3)]

    assert images == [404, 404, 429]
    assert reads == [200, 200, 429]
