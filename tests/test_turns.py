"""Turns that all workers share: held by one at a time, and by users in rotation."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from post.shared import turns as module
from post.shared.turns import FairTurns
from tests.servers import HANG_SECONDS, wait_until
from tests.test_shared_memory import FORK, forked, in_forks


def soon() -> float:
    return time.monotonic() + HANG_SECONDS


def places(turns: FairTurns) -> int:
    with turns._state() as state:
        return len(state["places"])


@contextmanager
def queue(turns: FairTurns, *users: str):
    """Hold the turn, let users queue up one after another, and yield who has had theirs; let all go at the end."""
    had: list[str] = []

    def ask(user: str) -> None:
        try:
            with turns.held(user, deadline=soon()):
                had.append(user)
        except TimeoutError:
            had.append(f"not {user}")

    with ThreadPoolExecutor(len(users) + 1) as pool, turns.held("first", deadline=soon()):
        for user in users:
            before = places(turns)
            pool.submit(ask, user)
            wait_until(lambda before=before: places(turns) > before or had, what="nobody queues")
        yield had


def test_users_have_turns_in_rotation_however_many_places_each_has():
    with queue(FairTurns(waiting_max=9), "hog", "hog", "hog", "hog", "ana", "ana", "bo") as had:
        assert had == []

    assert had == ["hog", "ana", "bo", "hog", "ana", "hog", "hog"]


def test_a_user_who_comes_again_is_before_one_who_has_had_a_turn_since():
    turns = FairTurns(waiting_max=9)
    for user in ("ana", "hog"):
        with turns.held(user, deadline=soon()):
            pass

    with queue(turns, "hog", "hog", "ana") as had:
        pass

    assert had == ["ana", "hog", "hog"]


def test_one_has_the_turn_at_a_time_in_all_processes():
    turns, value = FairTurns(waiting_max=9), FORK.Value("i", 0, lock=False)

    def count() -> None:
        for _ in range(20):
            with turns.held(f"user {os.getpid()}", deadline=soon()):
                before = value.value
                time.sleep(0.002)
                value.value = before + 1

    in_forks(count, processes=3)

    assert value.value == 60


def test_rotation_holds_across_processes():
    turns, had = FairTurns(waiting_max=9), FORK.Value("i", 0, lock=False)
    meanwhile = []

    def hog() -> None:
        while True:
            with turns.held("hog", deadline=soon()):
                had.value += 1
                time.sleep(0.2)

    def wait() -> int:
        with turns.held("ana", deadline=soon()):
            return had.value

    with forked(hog, processes=3), ThreadPoolExecutor(1) as pool:
        for _ in range(5):
            wait_until(lambda: places(turns) == 3, what="not all hogs have a place")
            waiting = pool.submit(wait)
            wait_until(lambda: places(turns) == 4 or waiting.done(), what="ana has no place")  # noqa: B023 - called now
            before = had.value
            meanwhile.append(waiting.result(HANG_SECONDS) - before)

    assert max(meanwhile) <= 1  # a turn that had begun without being counted, not three


def test_a_process_that_dies_loses_its_turn():
    turns = FairTurns(waiting_max=9)

    def keep() -> None:
        with turns.held("hog", deadline=soon()):
            signal.pause()

    with forked(keep):
        wait_until(lambda: places(turns) == 1, what="no turn is taken")
        time.sleep(0.1)

    with turns.held("ana", deadline=time.monotonic()):
        assert places(turns) == 1


def test_where_all_places_are_taken_the_greediest_user_gives_up_the_newest():
    with queue(FairTurns(waiting_max=4), "hog", "bo", "hog", "ana") as had:
        wait_until(lambda: had, what="nobody gives way")
        given_up = list(had)

    assert given_up == ["not hog"]
    assert had[1:] == ["hog", "bo", "ana"]


@pytest.mark.parametrize("user", ["hog", "ana"])
def test_who_finds_no_place_has_patience_while_there_was_room_just_before(user, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.3)
    turns = FairTurns(waiting_max=2)
    others = ("hog",) if user == "hog" else ("bo",)

    with queue(turns, *others):
        time.sleep(0.4)
        with pytest.raises(TimeoutError), turns.held(user, deadline=soon()):
            pass
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 30)
    with queue(turns, *others):
        waiting = threading.Thread(target=lambda: turns.held(user, deadline=soon()).__enter__())
        waiting.start()
    waiting.join(HANG_SECONDS)

    assert not waiting.is_alive()


def test_a_turn_that_does_not_come_by_its_deadline_is_given_up():
    turns = FairTurns(waiting_max=9)

    with (
        turns.held("hog", deadline=soon()),
        pytest.raises(TimeoutError),
        turns.held("ana", deadline=time.monotonic()),
    ):
        pass

    assert places(turns) == 0
