"""Counts that workers share until they are written: nothing is lost, and nothing counted twice."""

import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from post.shared_tally import IN_DOUBT_SECONDS, SharedTally
from post.utils import new_id
from tests.conftest import at_once
from tests.test_shared_memory import Clock, in_forks

A, B, C = ("a" * 32, "b" * 32, "c" * 32)
ALL = 1000


class NotWrittenError(Exception):
    """What a writer raises."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tally(clock: Clock) -> SharedTally:
    return SharedTally(clock=clock)


def take(tally: SharedTally, limit: int = ALL) -> dict[str, int]:
    with tally.taken(limit=limit) as counts:
        return counts


def take_in_vain(tally: SharedTally, limit: int = ALL) -> dict[str, int]:
    tried: dict[str, int] = {}
    with suppress(NotWrittenError), tally.taken(limit=limit) as counts:
        tried |= counts
        raise NotWrittenError
    return tried


def test_what_is_counted_is_what_the_stored_count_lacks(tally):
    lacking = [tally.add(A, stored=10) for _ in range(3)]

    assert lacking == [1, 2, 3]
    assert (tally.pending(A, stored=10), tally.pending(B, stored=10)) == (3, 0)


def test_what_is_taken_is_counted_once(tally):
    for key in (A, B, A):
        tally.add(key, stored=0)

    taken = [take(tally), take(tally)]

    assert taken == [{A: 2, B: 1}, {}]


def test_what_could_not_be_written_waits_on(tally):
    tally.add(A, stored=0)

    tried = take_in_vain(tally)
    tally.add(A, stored=0)

    assert tried == {A: 1}
    assert tally.pending(A, stored=0) == 2
    assert [take(tally), take(tally)] == [{A: 2}, {}]


def test_what_is_counted_while_others_are_in_flight_is_not_among_them(tally):
    tally.add(A, stored=0)

    with tally.taken(limit=ALL) as first:
        tally.add(A, stored=0)
        tally.add(B, stored=0)

    assert first == {A: 1}
    assert take(tally) == {A: 1, B: 1}


def test_what_fails_in_flight_joins_what_was_counted_meanwhile(tally):
    tally.add(A, stored=0)
    tally.add(B, stored=0)

    with suppress(NotWrittenError), tally.taken(limit=ALL):
        tally.add(A, stored=0)
        raise NotWrittenError

    assert [take(tally), take(tally)] == [{A: 2, B: 1}, {}]


def test_no_more_keys_are_taken_than_asked_for_and_those_that_failed_come_last(tally):
    for key in (A, B, C):
        tally.add(key, stored=0)

    tried = take_in_vain(tally, limit=2)
    taken = [take(tally, limit=2) for _ in range(3)]

    assert tried == {A: 1, B: 1}
    assert taken == [{C: 1, A: 1}, {B: 1}, {}]


def test_what_a_signal_interrupts_is_forgotten_since_it_may_be_written(tally):
    tally.add(A, stored=0)

    with suppress(SystemExit), tally.taken(limit=ALL):
        tally.add(B, stored=0)
        raise SystemExit

    assert take(tally) == {B: 1}


def test_how_many_keys_wait_and_for_how_long(tally, clock):
    seen = [(tally.waiting(), tally.waited_seconds())]
    for key in (A, B, A):
        tally.add(key, stored=0)
        clock.now += 2
    seen.append((tally.waiting(), tally.waited_seconds()))
    take_in_vain(tally)
    clock.now += 1
    seen.append((tally.waiting(), tally.waited_seconds()))
    take(tally)
    seen.append((tally.waiting(), tally.waited_seconds()))

    assert seen == [(0, 0), (2, 6), (2, 1), (0, 0)]


def test_what_failed_waits_anew(tally, clock):
    tally.add(A, stored=0)

    with suppress(NotWrittenError), tally.taken(limit=ALL):
        tally.add(B, stored=0)
        clock.now += 5
        raise NotWrittenError
    clock.now += 1

    assert tally.waited_seconds() == 1


# What the stored count lacks


def test_a_flight_is_counted_once_whether_or_not_the_stored_count_has_it(tally):
    for _ in range(3):
        tally.add(A, stored=10)

    with tally.taken(limit=ALL):
        shown = [stored + tally.pending(A, stored=stored) for stored in (10, 13)]
        shown += [stored + tally.add(A, stored=stored) for stored in (10, 13)]

    assert shown == [13, 13, 14, 15]


def test_a_count_that_was_read_before_the_flight_landed_lacks_it(tally, clock):
    for _ in range(3):
        tally.add(A, stored=10)
    take(tally)
    clock.now += IN_DOUBT_SECONDS / 2

    shown = [stored + tally.pending(A, stored=stored) for stored in (10, 13)]
    shown += [stored + tally.add(A, stored=stored) for stored in (10, 13)]

    assert shown == [13, 13, 14, 15]


def test_what_another_has_written_is_seen_during_a_flight(tally):
    tally.add(A, stored=10)

    with tally.taken(limit=ALL):
        assert tally.pending(A, stored=50) == 0
        assert tally.add(A, stored=50) == 1


@pytest.mark.parametrize("stored", [0, 500])
def test_a_count_that_another_has_changed_is_believed_once_flights_are_over(tally, clock, stored):
    for _ in range(3):
        tally.add(A, stored=10)
    take(tally)
    clock.now += IN_DOUBT_SECONDS

    assert tally.pending(A, stored=stored) == 0
    assert [tally.add(A, stored=stored) for _ in range(2)] == [1, 2]


def test_a_stored_count_is_believed_after_a_flight_that_failed(tally):
    tally.add(A, stored=10)
    take_in_vain(tally)

    assert (tally.pending(A, stored=10), tally.pending(A, stored=3)) == (1, 1)


# Room


def test_a_full_table_counts_only_the_keys_it_has(clock):
    tally = SharedTally(entries=8, clock=clock)
    keys = [new_id() for _ in range(9)]

    lacking = [tally.add(key, stored=0) for key in (*keys, keys[0])]

    assert lacking == [1] * 8 + [None, 2]
    assert tally.pending(keys[8], stored=0) == 0
    assert sorted(take(tally)) == sorted(keys[:8])


def test_what_is_in_flight_or_has_failed_keeps_its_room_and_what_is_written_gives_way(clock):
    tally = SharedTally(entries=8, clock=clock)
    for _ in range(8):
        tally.add(new_id(), stored=0)

    with suppress(NotWrittenError), tally.taken(limit=ALL):
        in_flight = tally.add(A, stored=0)
        raise NotWrittenError
    failed = tally.add(A, stored=0)
    take(tally)
    written = [tally.add(new_id(), stored=0) for _ in range(8)]

    assert (in_flight, failed) == (None, None)
    assert written == [1] * 8


def test_what_was_written_first_gives_way_first(clock):
    tally = SharedTally(entries=8, clock=clock)
    keys = [new_id() for _ in range(8)]
    for key in keys:
        tally.add(key, stored=10)
        take(tally)
        clock.now += 0.01

    tally.add(A, stored=0)

    assert [tally.pending(key, stored=10) for key in keys] == [0] + [1] * 7


def test_a_flood_of_keys_takes_no_memory_and_loses_nothing(clock):
    tally = SharedTally(entries=64, clock=clock)
    size, taken, counted = len(tally._memory), Counter(), 0

    for _ in range(2000):
        counted += tally.add(new_id(), stored=0) is not None
        if random.random() < 0.05:
            taken.update(take(tally, limit=random.randrange(1, 20)))
    taken.update(take(tally))

    assert len(tally._memory) == size
    assert taken.total() == counted > 64


def test_ids_of_posts_fill_the_table_evenly(clock):
    tally = SharedTally(entries=1 << 12, clock=clock)

    assert sum(tally.add(new_id(), stored=0) is None for _ in range(1 << 10)) < 5


@settings(deadline=None, database=None, max_examples=100)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["add", "add", "add", "wait", "take", "fail"]), st.integers(0, 11)), max_size=60
    )
)
def test_any_run_of_calls_counts_as_a_dictionary_would(steps):
    clock = Clock()
    tally, keys = SharedTally(entries=8, clock=clock), [new_id() for _ in range(12)]
    waiting, stored = Counter(), Counter()

    for what, number in steps:
        if what == "wait":
            clock.now += number / 10
        elif what == "fail":
            take_in_vain(tally, limit=number)
        elif what == "take":
            counts = take(tally, limit=number)
            assert counts == {key: waiting.pop(key) for key in counts}
            stored.update(counts)
        elif (lacking := tally.add(keys[number], stored=stored[keys[number]])) is not None:
            waiting[keys[number]] += 1
            assert lacking == waiting[keys[number]]
        assert {key: tally.pending(key, stored=stored[key]) for key in keys} == {key: waiting[key] for key in keys}
        assert tally.waiting() == len(waiting)

    assert take(tally) == waiting


# Several threads and processes


def test_threads_lose_no_count(tally):
    def add_500() -> None:
        for _ in range(500):
            tally.add(A, stored=0)

    at_once([add_500] * 8)

    assert take(tally) == {A: 4000}


def test_processes_lose_no_count(tally):
    def add_500() -> None:
        for key in (A, B, C, A, A) * 100:
            tally.add(key, stored=0)

    in_forks(add_500, processes=4)

    assert take(tally) == {A: 1200, B: 400, C: 400}


def test_processes_that_count_and_write_at_once_lose_nothing():
    tally, keys = SharedTally(), [new_id() for _ in range(40)]

    def work() -> dict[str, int]:
        written: Counter[str] = Counter()
        for turn in range(1000):
            tally.add(keys[turn % 40], stored=0)
            if turn % 50 == 0:
                written.update(take(tally, limit=15))
                take_in_vain(tally, limit=7)
        return dict(written)

    written = sum(map(Counter, in_forks(work, processes=4)), Counter(take(tally)))

    assert written == dict.fromkeys(keys, 100)


def test_one_at_a_time_writes_and_the_next_one_waits_for_it(tally):
    tally.add(A, stored=0)
    order: list[str] = []

    def take_after() -> None:
        order.append(f"then {take(tally)}")

    with tally.taken(limit=ALL):
        other = threading.Thread(target=take_after)
        other.start()
        other.join(0.2)
        order.append("first")
    other.join(30)

    assert order == ["first", "then {}"]


def kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_what_a_killed_process_was_writing_is_forgotten_and_blocks_nobody(tally):
    tally.add(A, stored=0)
    tally.add(B, stored=0)
    is_writing, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - the child is killed
        with tally.taken(limit=ALL):
            tally.add(A, stored=0)
            os.write(writing, b"!")
            signal.pause()
        os._exit(1)
    os.close(writing)
    os.read(is_writing, 1)
    os.close(is_writing)
    taken: list[dict[str, int]] = []
    waiter = threading.Thread(target=lambda: taken.append(take(tally)), daemon=True)
    waiter.start()
    waiter.join(0.2)
    had_to_wait = waiter.is_alive()

    kill(child)
    waiter.join(30)

    assert had_to_wait
    assert taken == [{A: 1}]
    assert [tally.pending(key, stored=0) for key in (A, B)] == [1, 0]
    assert take(tally) == {}


def count_and_write_for_ever(tally: SharedTally, added: int, written: int) -> None:  # pragma: no cover - it is killed
    """Count and write until killed, telling of each count before it, and of each writing as it is done."""
    keys = [new_id() for _ in range(30)]
    while True:
        for key in keys:
            os.write(added, b"+")
            tally.add(key, stored=0)
        with suppress(NotWrittenError), tally.taken(limit=random.randrange(1, 20)) as counts:
            if random.random() < 0.3:
                raise NotWrittenError
            os.write(written, b"+" * sum(counts.values()))


@pytest.mark.parametrize("seed", range(40))
def test_a_process_killed_at_any_moment_counts_nothing_twice_and_leaves_a_table_that_counts(seed):
    tally = SharedTally(entries=64)
    (tells_added, added), (tells_written, written) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - the child is killed
        random.seed(seed)
        count_and_write_for_ever(tally, added, written)
    os.close(added)
    os.close(written)
    begun = os.read(tells_added, 1)
    time.sleep(random.Random(seed).uniform(0, 0.02))

    kill(child)
    counted, told = len(begun + read_all(tells_added)), len(read_all(tells_written))
    left = [take(tally, limit=20) for _ in range(10)]

    assert told + sum(sum(taken.values()) for taken in left) <= counted
    assert left[-1] == {}
    keys = [new_id() for _ in range(8)]
    assert all(tally.add(key, stored=0) for key in keys)
    assert take(tally) == dict.fromkeys(keys, 1)


def read_all(pipe: int) -> bytes:
    with os.fdopen(pipe, "rb") as reader:
        return reader.read()
