"""The thread of each process that works at long tasks: its start, its looks, its faults, its end."""

import logging
import os
import subprocess
import sys
import threading

import pytest

from post.shared.task_runner import TaskRunner, TasksUnavailable
from tests.servers import HANG_SECONDS, PROJECT

NEVER = 10_000  # seconds


def work_threads():
    return [thread for thread in threading.enumerate() if thread.name == "tasks"]


@pytest.fixture
def new_runner():
    """Make a runner, whose thread ends after the test."""
    made = []

    def make(work, every_seconds=NEVER):
        runner = TaskRunner(work, every_seconds=every_seconds)
        made.append(runner)
        return runner

    yield make
    for runner in made:
        runner.stop()


def test_no_thread_runs_before_the_start_and_one_after_it(new_runner):
    before = len(work_threads())
    runner = new_runner(lambda _should_stop: None)
    made = len(work_threads())

    runner.start()
    runner.start()
    runner.wake()

    assert (made - before, len(work_threads()) - before) == (0, 1)


def test_waking_works_at_once_and_again(new_runner):
    calls = threading.Semaphore(0)
    runner = new_runner(lambda _should_stop: calls.release())

    for _ in range(3):
        runner.wake()
        assert calls.acquire(timeout=HANG_SECONDS)


def test_it_looks_by_itself(new_runner):
    calls = threading.Semaphore(0)

    new_runner(lambda _should_stop: calls.release(), every_seconds=0.001).start()

    assert all(calls.acquire(timeout=HANG_SECONDS) for _ in range(3))


@pytest.mark.parametrize(("fault", "level"), [(TasksUnavailable, logging.WARNING), (ValueError, logging.ERROR)])
def test_a_fault_is_logged_once_and_the_thread_goes_on(new_runner, caplog, fault, level):
    calls = threading.Semaphore(0)

    def fail(_should_stop):
        calls.release()
        raise fault

    runner = new_runner(fail, every_seconds=0.001)
    runner.start()

    assert all(calls.acquire(timeout=HANG_SECONDS) for _ in range(4))
    runner.stop()
    assert [(record.message, record.levelno) for record in caplog.records] == [("tasks_not_done", level)]


def test_a_stopped_runner_has_no_thread_and_begins_again_when_it_is_woken(new_runner):
    before = len(work_threads())
    calls = threading.Semaphore(0)
    runner = new_runner(lambda _should_stop: calls.release())

    for _ in range(2):
        runner.wake()
        assert calls.acquire(timeout=HANG_SECONDS)
        runner.stop()
        runner.stop()
        assert len(work_threads()) == before


def test_a_fork_has_no_thread_until_it_starts_its_own(new_runner):
    runner = new_runner(lambda _should_stop: None)
    runner.start()
    child = os.fork()
    if child == 0:  # pragma: no cover - in another process
        woken = threading.Event()
        runner._work = lambda _should_stop: woken.set()
        is_alone = not work_threads()
        runner.wake()
        os._exit(0 if is_alone and woken.wait(HANG_SECONDS) else 1)

    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0


ENDING = """
import threading

from post.shared.task_runner import TaskRunner

def work(should_stop):
    print("begins", flush=True)
    begun.set()
    while not should_stop():
        pause.wait(0.01)
    print("ends after its batch", flush=True)

begun, pause = threading.Event(), threading.Event()
TaskRunner(work).wake()
begun.wait()
"""


def test_a_process_that_ends_waits_for_the_present_batch():
    done = subprocess.run(
        [sys.executable, "-c", ENDING], cwd=PROJECT, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "begins\nends after its batch\n", "")
