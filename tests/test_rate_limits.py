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
