"""Memory that workers share: counters, the views that are remembered, the limits' windows."""

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing.process import BaseProcess
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from post.shared.memory import SharedCounters, SharedLock
from post.shared.rate_windows import Hit, MemoryRateWindows
from post.shared.view_counter import ViewWindow
from tests.conftest import at_once
from tests.servers import HANG_SECONDS

FORK = multiprocessing.get_context("fork")
MINUTE = 60


class Clock:
    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counters(clock: Clock) -> SharedCounters:
    return SharedCounters(clock=clock)


@contextmanager
def forked(work: Callable[[], Any], *, processes: int = 1) -> Iterator[list[BaseProcess]]:
    """Run work in forks of this process until the block ends; yields them."""

    def run() -> None:
        signal.alarm(HANG_SECONDS)  # ends it when pytest's process is gone, which xdist sees once all its forks are
        work()

    children = [FORK.Process(target=run) for _ in range(processes)]
    try:
        for child in children:
            child.start()
        yield children
    finally:
        for child in children:
            if child.pid:
                child.kill()
                child.join()
            child.close()


def in_forks(work: Callable[[], Any], *, processes: int) -> list[Any]:
    """Run work in processes that begin together; returns what each returns."""
    barrier, answers = FORK.Barrier(processes), FORK.SimpleQueue()

    def run() -> None:
        barrier.wait(HANG_SECONDS)
        answers.put(work())

    with closing(answers), forked(run, processes=processes) as children:
        for child in children:
            child.join(HANG_SECONDS)
        assert [child.exitcode for child in children] == [0] * processes
        return [answers.get() for _ in children]


# Counters


def add_times(counters: SharedCounters, key: str, times: int) -> None:
    for _ in range(times):
        counters.add(key, ttl_seconds=60)


def test_a_counter_adds_up(counters):
    counts = [counters.add("a", ttl_seconds=60) for _ in range(3)]

    assert counts == [1, 2, 3]
    assert counters.get("a") == 3


def test_an_unknown_counter_is_0_and_is_not_made_by_looking(counters):
    assert counters.get("a") == 0
    assert counters.add("a", ttl_seconds=60) == 1


@pytest.mark.parametrize("key", ["", "a" * 10_000, "가나다", "a\x00b", "\ud800", "view:1:::1"], ids=ascii)
def test_any_text_is_a_key(counters, key):
    counters.add(key, ttl_seconds=60)

    assert counters.get(key) == 1


def test_a_counter_expires(counters, clock):
    counters.add("a", ttl_seconds=60)

    clock.now += 59.9
    before = counters.get("a")
    clock.now += 0.2
    after = counters.get("a")

    assert (before, after) == (1, 0)


def test_a_later_add_does_not_prolong_a_counter(counters, clock):
    counters.add("a", ttl_seconds=60)
    clock.now += 30
    counters.add("a", ttl_seconds=60)

    clock.now += 29.9
    before = counters.get("a")
    clock.now += 0.2
    after = counters.get("a")

    assert (before, after) == (2, 0)


def test_a_counter_begins_anew_once_it_has_expired(counters, clock):
    add_times(counters, "a", 9)
    clock.now += 61
    begun = counters.add("a", ttl_seconds=60)

    clock.now += 59.9
    before = counters.get("a")
    clock.now += 0.2
    after = counters.get("a")

    assert (begun, before, after) == (1, 1, 0)


def test_a_removed_counter_begins_anew(counters):
    add_times(counters, "a", 9)
    counters.add("b", ttl_seconds=60)

    counters.remove("a")
    counters.remove("unknown")

    assert (counters.get("a"), counters.get("b")) == (0, 1)
    assert counters.add("a", ttl_seconds=60) == 1


@pytest.mark.parametrize("maximum", [0, -1])
def test_a_counter_without_room_is_not_made(counters, maximum):
    _, count = counters.add_beside("other", "a", ttl_seconds=60, maximum=lambda _: maximum)

    assert count > maximum
    assert counters.get("a") == 0


def test_a_counters_maximum_may_depend_on_another(counters):
    add_times(counters, "other", 2)

    counts = [counters.add_beside("other", "a", ttl_seconds=60, maximum=lambda other: 5 - other) for _ in range(5)]

    assert counts == [(2, 1), (2, 2), (2, 3), (2, 4), (2, 4)]
    assert (counters.get("other"), counters.get("a")) == (2, 3)


def test_the_other_counter_is_0_when_it_is_unknown_or_has_expired(counters, clock):
    unknown = counters.add_beside("other", "a", ttl_seconds=60, maximum=lambda _: 9)
    add_times(counters, "other", 7)
    clock.now += 61

    expired = counters.add_beside("other", "a", ttl_seconds=60, maximum=lambda _: 9)

    assert (unknown, expired) == ((0, 1), (0, 1))
    assert counters.get("other") == 0


def test_processes_never_pass_a_maximum_that_another_counter_tells(counters):
    add_times(counters, "other", 20)

    def taken() -> int:
        room = 120
        return sum(
            counters.add_beside("other", "a", ttl_seconds=60, maximum=lambda other: room - other)[1] <= 100
            for _ in range(60)
        )

    assert sum(in_forks(taken, processes=4)) == 100
    assert counters.get("a") == 100


def test_a_counter_that_begins_anew_takes_no_second_place(clock):
    counters = SharedCounters(entries=8, clock=clock)
    counters.add("again", ttl_seconds=10)
    for number in range(6):  # one place is still empty
        counters.add(f"long-{number}", ttl_seconds=1000)
    clock.now += 11

    for _ in range(2):
        counters.add("again", ttl_seconds=100)
    counters.add("last", ttl_seconds=1000)

    assert [counters.get(key) for key in ("again", "last", *(f"long-{number}" for number in range(6)))] == [2] + [1] * 7


def test_many_counters_do_not_share(counters):
    amounts = {f"key-{number}": number % 7 + 1 for number in range(5000)}

    for key, amount in amounts.items():
        add_times(counters, key, amount)

    assert {key: counters.get(key) for key in amounts} == amounts


def test_a_flood_of_keys_takes_no_memory(clock):
    counters = SharedCounters(entries=64, clock=clock)
    size = len(counters._memory)

    for number in range(5000):
        counters.add(str(number), ttl_seconds=60)

    assert len(counters._memory) == size
    assert sum(counters.get(str(number)) for number in range(5000)) <= 64


def test_a_flood_never_shows_one_key_the_count_of_another(clock):
    counters = SharedCounters(entries=16, clock=clock)

    for number in range(1, 100):
        counts = [counters.add(str(number), ttl_seconds=60 + number) for _ in range(number)]
        assert counts == list(range(1, number + 1))

    assert all(counters.get(str(number)) in (0, number) for number in range(1, 100))


def test_in_a_full_table_what_expires_first_gives_way(clock):
    counters = SharedCounters(entries=8, clock=clock)
    for number in range(7):
        counters.add(f"long-{number}", ttl_seconds=1000)
    counters.add("short", ttl_seconds=10)

    counters.add("new", ttl_seconds=100)

    assert [counters.get(f"long-{number}") for number in range(7)] == [1] * 7
    assert (counters.get("short"), counters.get("new")) == (0, 1)


def test_in_a_full_table_what_has_expired_gives_way_first(clock):
    counters = SharedCounters(entries=8, clock=clock)
    counters.add("short", ttl_seconds=10)
    for number in range(7):
        counters.add(f"long-{number}", ttl_seconds=1000)
    clock.now += 11

    counters.add("new", ttl_seconds=20)

    assert [counters.get(key) for key in ("new", *(f"long-{number}" for number in range(7)))] == [1] * 8


@settings(deadline=None, database=None, max_examples=100)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.sampled_from("abc"), st.none() | st.integers(0, 12)),
            st.tuples(st.just("remove"), st.sampled_from("abc")),
            st.tuples(st.just("wait"), st.integers(1, 40)),
        ),
        max_size=40,
    )
)
def test_any_run_of_calls_counts_as_a_dictionary_would(steps):
    clock = Clock()
    counters, model = SharedCounters(entries=256, clock=clock), {}

    for what, *values in steps:
        if what == "wait":
            clock.now += values[0]
        elif what == "remove":
            counters.remove(values[0])
            model.pop(values[0], None)
        else:
            key, maximum = values
            if maximum is None:
                counters.add(key, ttl_seconds=60)
            else:
                counters.add_beside("other", key, ttl_seconds=60, maximum=lambda _, maximum=maximum: maximum)
            expires, count = model.get(key, (0, 0))
            expires, count = (expires, count) if expires > clock.now else (clock.now + 60, 0)
            if maximum is None or count + 1 <= maximum:
                model[key] = (expires, count + 1)

    assert {key: counters.get(key) for key in "abc"} == {
        key: model[key][1] if key in model and model[key][0] > clock.now else 0 for key in "abc"
    }


# Counters of several threads and processes


def test_threads_lose_no_count(counters):
    def add_500() -> None:
        for _ in range(500):
            counters.add("a", ttl_seconds=60)

    at_once([add_500] * 8)

    assert counters.get("a") == 4000


def test_processes_lose_no_count(counters):
    def add_500() -> None:
        for _ in range(500):
            counters.add("a", ttl_seconds=60)

    in_forks(add_500, processes=4)

    assert counters.get("a") == 2000


def test_what_one_process_forgets_is_forgotten_by_all(counters):
    counters.add("removed", ttl_seconds=60)
    counters.add("kept", ttl_seconds=60)

    in_forks(lambda: counters.remove("removed"), processes=1)

    assert (counters.get("removed"), counters.get("kept")) == (0, 1)


def test_a_process_killed_while_it_holds_the_lock_blocks_nobody(counters):
    is_locked = FORK.Event()

    def keep() -> None:
        with counters._lock.held():
            is_locked.set()
            signal.pause()

    counts: list[int] = []
    waiter = threading.Thread(target=lambda: counts.append(counters.add("a", ttl_seconds=60)), daemon=True)
    with forked(keep):
        assert is_locked.wait(HANG_SECONDS)
        waiter.start()
        waiter.join(0.2)
        had_to_wait = waiter.is_alive()

    waiter.join(HANG_SECONDS)

    assert had_to_wait
    assert counts == [1]


def test_threads_of_two_processes_may_wait_crosswise_over_two_locks():
    """With locks that belong to processes the kernel would see a deadlock, where no thread waits in a circle."""
    first, second = SharedLock(), SharedLock()
    may_begin, is_ready, may_end = (FORK.Event() for _ in range(3))

    def cross() -> None:
        may_begin.wait()
        with second.held():
            threading.Thread(target=lambda: first.held().__enter__(), daemon=True).start()
            is_ready.set()
            may_end.wait()
        signal.pause()

    with forked(cross), first.held():
        may_begin.set()
        assert is_ready.wait(HANG_SECONDS)
        time.sleep(0.2)  # until the child's thread waits
        came_through: list[bool] = []
        waiter = threading.Thread(target=lambda: hold_once(second, came_through), daemon=True)
        waiter.start()
        waiter.join(0.2)
        had_to_wait = waiter.is_alive()
        may_end.set()
        waiter.join(HANG_SECONDS)

    assert had_to_wait
    assert came_through == [True]


@pytest.mark.parametrize("hold", [lambda lock: lock, SharedLock.held], ids=["itself", "held"])
def test_a_lock_is_free_again_after_a_block_that_raises(hold):
    lock, came_through = SharedLock(), []

    with pytest.raises(KeyError), hold(lock):
        raise KeyError
    at_once([lambda: hold_once(lock, came_through)] * 3)

    assert came_through == [True] * 3


@pytest.mark.parametrize(
    ("first", "second"), [(lambda lock: lock, SharedLock.held), (SharedLock.held, lambda lock: lock)]
)
def test_the_two_ways_to_hold_a_lock_exclude_each_other(first, second):
    lock, order = SharedLock(), []

    def wait() -> None:
        with second(lock):
            order.append("second")

    with first(lock):
        waiter = threading.Thread(target=wait)
        waiter.start()
        waiter.join(0.2)
        order.append("first")
    waiter.join(HANG_SECONDS)

    assert order == ["first", "second"]


def hold_once(lock: SharedLock, came_through: list[bool]) -> None:
    with lock.held():
        came_through.append(True)


# Views


def test_only_the_first_view_of_an_address_counts(counters):
    window = ViewWindow(counters, window_seconds=120)

    views = [window.is_first_view("post", "10.0.0.1") for _ in range(3)]

    assert views == [True, False, False]


def test_another_address_and_another_post_are_views_of_their_own(counters):
    window = ViewWindow(counters, window_seconds=120)
    window.is_first_view("post", "10.0.0.1")

    others = [("post", "10.0.0.2"), ("other", "10.0.0.1"), ("other", "10.0.0.2"), ("post", "::1")]

    assert [window.is_first_view(*other) for other in others] == [True] * 4


def test_a_view_counts_again_when_the_window_since_the_counted_one_is_over(counters, clock):
    window = ViewWindow(counters, window_seconds=120)

    views = []
    for wait in (0, 60, 59.9, 0.2, 60, 59.9, 0.2):
        clock.now += wait
        views.append(window.is_first_view("post", "10.0.0.1"))

    assert views == [True, False, False, True, False, False, True]


def test_of_50_views_at_once_exactly_one_counts(counters):
    window = ViewWindow(counters, window_seconds=120)

    views = at_once([lambda: window.is_first_view("post", "10.0.0.1")] * 50)

    assert sorted(views) == [False] * 49 + [True]


def test_of_views_in_several_processes_exactly_one_counts(counters):
    window = ViewWindow(counters, window_seconds=120)

    views = in_forks(lambda: window.is_first_view("post", "10.0.0.1"), processes=4)

    assert sorted(views) == [False, False, False, True]


# Limits


class Limits:
    """The limits' windows as the service uses them, at a time that the test sets."""

    def __init__(self, clock: Clock, counters: SharedCounters, *, limit: int) -> None:
        self._windows = MemoryRateWindows(counters)
        self._limit = limit
        self._clock = clock

    def at(self, seconds: float, *, hits: int, client: str = "ana") -> int:
        """How many of so many hits are let in, so many seconds after a window's beginning."""
        self._clock.now = 1_000_020 + seconds  # a multiple of 60
        return sum(self.hit(client).is_allowed for _ in range(hits))

    def hit(self, client: str = "ana") -> Hit:
        return self._windows.hit(client, self._limit, MINUTE)


@pytest.fixture
def limits(clock: Clock, counters: SharedCounters, monkeypatch: pytest.MonkeyPatch) -> Limits:
    """Ten a minute."""
    monkeypatch.setattr("post.shared.rate_windows.time", SimpleNamespace(time=clock))
    return Limits(clock, counters, limit=10)


def test_a_window_starts_at_a_multiple_of_its_length():
    assert 1_000_020 % MINUTE == 0


def test_a_limit_lets_in_so_many_and_no_more(limits):
    assert limits.at(5, hits=25) == 10
    assert limits.at(50, hits=5) == 0


def test_each_client_has_a_limit_of_its_own(limits):
    assert [limits.at(5, hits=25, client=client) for client in ("ana", "bo")] == [10, 10]


def test_what_was_counted_is_told(limits):
    limits.at(0, hits=9)
    limits.at(75, hits=0)

    told = [limits.hit() for _ in range(5)]

    assert [(hit.is_allowed, hit.previous, hit.current) for hit in told] == [
        (True, 9, 1),
        (True, 9, 2),
        (True, 9, 3),
        (False, 9, 3),
        (False, 9, 3),
    ]
    assert {hit.remaining_seconds for hit in told} == {45}


@pytest.mark.parametrize("boundary", [60, 60.001, 61], ids=["exactly", "just after", "a second after"])
def test_a_burst_on_both_sides_of_a_boundary_is_not_let_in_twice(limits, boundary):
    before = limits.at(59, hits=10)

    after = limits.at(boundary, hits=10)

    assert (before, after) == (10, 0)


def test_room_returns_as_the_window_slides(limits):
    limits.at(0, hits=10)

    let_in = [limits.at(seconds, hits=10) for seconds in (60, 66, 72, 90, 119)]

    assert let_in == [0, 1, 1, 3, 4]


def test_after_two_idle_windows_all_of_the_limit_is_back(limits):
    limits.at(59, hits=10)

    assert limits.at(180, hits=25) == 10


def test_a_refused_request_uses_nothing_up(limits):
    limits.at(0, hits=10)
    limits.at(59, hits=1000)

    assert limits.at(90, hits=10) == 5


@pytest.mark.parametrize(("seconds", "room"), [(5, 10), (90, 5)], ids=["in one window", "across a boundary"])
def test_processes_share_a_limit(limits, seconds, room):
    if seconds > MINUTE:
        limits.at(0, hits=10)

    let_in = in_forks(lambda: limits.at(seconds, hits=8), processes=2)

    assert sum(let_in) == room
    assert limits.at(seconds, hits=5) == 0


def test_threads_share_a_limit(limits):
    limits.at(0, hits=0)

    let_in = at_once([lambda: limits.at(5, hits=1)] * 30)

    assert sum(let_in) == 10
