"""The circuit of a process: opened once for all its threads, tried by one, closed when the server is back."""

import threading
import time
from collections.abc import Callable

import pytest

from post.shared.circuit import Circuit
from tests.conftest import at_once
from tests.servers import HANG_SECONDS, wait_until


class Server:
    """A server that can be away; what the circuit's thread does with it."""

    def __init__(self) -> None:
        self.is_there = threading.Event()
        self.fault: Exception | None = None
        self.tries, self.returns = 0, 0

    def is_back(self) -> bool:
        self.tries += 1
        if self.fault:
            raise self.fault
        return self.is_there.is_set()

    def note_return(self) -> None:
        self.returns += 1


@pytest.fixture
def server() -> Server:
    server = Server()
    yield server
    server.fault = None
    server.is_there.set()
    for thread in threading.enumerate():
        if thread.name == "printer-probe":
            thread.join(HANG_SECONDS)


@pytest.fixture
def circuit(server: Server) -> Circuit:
    circuit = Circuit("printer", is_back=server.is_back, after_return=server.note_return)
    circuit._probe_seconds = 0.02
    return circuit


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    return lambda: [record.message for record in caplog.records]


def wait_for_return(circuit: Circuit, server: Server, *, returns: int = 1) -> None:
    server.is_there.set()
    wait_until(lambda: server.returns == returns, what="it stays open")


def test_it_is_closed_at_first(circuit, server):
    assert (circuit.is_open, circuit.losses, server.tries) == (False, 0, 0)
    assert circuit.is_closed_within(HANG_SECONDS)


def test_of_many_threads_that_find_the_same_loss_one_opens_it(circuit, events):
    at_once([lambda: circuit.open(losses=0, reason="fire")] * 10)

    assert (circuit.is_open, circuit.losses, events()) == (True, 1, ["printer_lost"])


def test_it_is_tried_until_the_server_is_back(circuit, server, events, caplog):
    circuit.open(losses=0, reason="fire")
    wait_until(lambda: server.tries > 2, what="it is not tried again")
    was_open = circuit.is_open

    wait_for_return(circuit, server)
    tries = server.tries
    time.sleep(0.1)

    assert (was_open, circuit.is_open) == (True, False)
    assert events() == ["printer_lost", "printer_back"]
    assert (caplog.records[0].reason, caplog.records[1].away_seconds >= 0) == ("fire", True)
    assert server.tries == tries


def test_a_failure_from_before_the_last_loss_does_not_open_it_again(circuit, server):
    circuit.open(losses=0)
    wait_for_return(circuit, server)

    circuit.open(losses=0)
    was_open = circuit.is_open
    server.is_there.clear()
    circuit.open(losses=1)

    assert (was_open, circuit.is_open, circuit.losses) == (False, True, 2)


def test_a_fault_of_ours_is_logged_and_does_not_end_the_trying(circuit, server, events):
    server.fault = KeyError("ours")
    circuit.open(losses=0)
    wait_until(lambda: "printer_probe_failed" in events(), what="the fault is not logged")

    server.fault = None
    wait_for_return(circuit, server)

    assert not circuit.is_open


def test_it_may_be_lost_again_by_what_follows_a_return(server):
    def lose_once() -> None:
        server.note_return()
        if server.returns == 1:
            circuit.open(losses=circuit.losses)

    circuit = Circuit("printer", is_back=server.is_back, after_return=lose_once)
    server.is_there.set()

    circuit.open(losses=0)

    wait_until(lambda: server.returns == 2, what="nobody tries again")
    assert (circuit.is_open, circuit.losses) == (False, 2)


def test_callers_wait_for_the_first_moments_of_a_loss_alone(circuit, server):
    circuit.open(losses=0)

    assert not circuit.is_closed_within(0.05)
    waiting = threading.Timer(0.1, server.is_there.set)
    waiting.start()

    assert circuit.is_closed_within(HANG_SECONDS)
    waiting.join()
