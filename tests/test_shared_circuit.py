"""The circuit that workers share: opened once, tried by one at a time, closed when nothing was missed."""

import pytest

from post.shared_circuit import SharedCircuit
from tests.conftest import at_once
from tests.test_shared_memory import Clock, in_forks


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(clock: Clock) -> SharedCircuit:
    return SharedCircuit(retry_seconds=1, clock=clock)


def test_it_is_closed_at_first(circuit):
    assert (circuit.is_open, circuit.losses, circuit.missed, circuit.may_try()) == (False, 0, 0, False)


def test_of_many_that_find_the_same_loss_one_opens_it_for_all(circuit):
    opened = in_forks(lambda: sum(at_once([lambda: circuit.open(losses=0)] * 5)), processes=3)

    assert sum(opened) == 1
    assert (circuit.is_open, circuit.losses) == (True, 1)


def test_a_failure_from_before_the_last_loss_does_not_open_it_again(circuit):
    circuit.open(losses=0)
    circuit.close(missed=0)

    opened = circuit.open(losses=0)

    assert (opened, circuit.is_open) == (False, False)
    assert circuit.open(losses=1) is True


def test_one_may_try_when_it_is_time_and_another_only_later(circuit, clock):
    circuit.open(losses=0)
    early = circuit.may_try()
    clock.now += 1

    at_one_second = in_forks(lambda: sum(at_once([circuit.may_try] * 5)), processes=3)
    clock.now += 0.5
    between = circuit.may_try()
    clock.now += 0.5

    assert (early, sum(at_one_second), between, circuit.may_try()) == (False, 1, False, True)


def test_it_stays_open_where_more_was_missed_than_was_made_good(circuit):
    circuit.open(losses=0)
    noted = [circuit.miss(), circuit.miss()]

    closed = [circuit.close(missed=missed) for missed in (1, 2, 2)]

    assert (noted, closed) == ([True, True], [False, True, False])
    assert (circuit.is_open, circuit.miss(), circuit.missed) == (False, False, 2)
