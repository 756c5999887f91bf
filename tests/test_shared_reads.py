"""Reads that wait for the same are answered together, by what was asked after all of them."""

import threading

import pytest

from post.database.reads import SharedReads
from tests.conftest import at_once
from tests.servers import HANG_SECONDS, wait_until


class Queries:
    """Queries that each find the value of the moment at which they are sent, and take until they are let go."""

    def __init__(self) -> None:
        self.value, self.sent = 0, 0
        self.is_slow, self.may_end = True, threading.Event()

    def send(self) -> int:
        self.sent += 1
        found = self.value
        if self.is_slow:
            self.may_end.wait(HANG_SECONDS)
        return found


@pytest.fixture
def queries():
    return Queries()


def test_what_is_written_while_a_query_is_under_way_is_read(queries):
    reads = SharedReads()
    answers = {}
    first = threading.Thread(target=lambda: answers.update(first=reads.read("page", queries.send)))
    first.start()
    wait_until(lambda: queries.sent == 1, what="the first query is not sent")

    queries.value = 1
    second = threading.Thread(target=lambda: answers.update(second=reads.read("page", queries.send)))
    second.start()
    queries.may_end.set()
    first.join()
    second.join()

    assert answers == {"first": 0, "second": 1}


def test_those_who_wait_for_the_same_share_one_query(queries):
    reads = SharedReads()
    threads = [threading.Thread(target=reads.read, args=("page", queries.send)) for _ in range(9)]
    threads[0].start()
    wait_until(lambda: queries.sent == 1, what="the first query is not sent")

    for thread in threads[1:]:
        thread.start()
    wait_until(lambda: waiting(reads) == 8, what="the others do not wait")
    queries.may_end.set()
    for thread in threads:
        thread.join()

    assert queries.sent == 2


def waiting(reads):
    """The number of threads that wait: for the query that is under way, or for the next."""
    awaited = [*reads._under_way.values(), *reads._waiting.values()]
    return sum(len(future._condition._waiters) for future in awaited)


def test_what_is_not_the_same_is_not_waited_for(queries):
    reads = SharedReads()
    slow = threading.Thread(target=reads.read, args=("slow", queries.send))
    slow.start()
    wait_until(lambda: queries.sent == 1, what="the slow query is not sent")

    assert reads.read("other", lambda: "found") == "found"

    queries.may_end.set()
    slow.join()


def test_what_a_query_raises_reaches_all_who_wait_for_it(queries):
    reads = SharedReads()
    raised = []

    def fail():
        queries.send()
        raise ValueError(queries.sent)

    def read():
        try:
            reads.read("page", fail)
        except ValueError as exc:
            raised.append(exc.args[0])

    threads = [threading.Thread(target=read) for _ in range(4)]
    threads[0].start()
    wait_until(lambda: queries.sent == 1, what="the first query is not sent")
    for thread in threads[1:]:
        thread.start()
    wait_until(lambda: waiting(reads) == 3, what="the others do not wait")
    queries.may_end.set()
    for thread in threads:
        thread.join()

    assert sorted(raised) == [1, 2, 2, 2]


def test_a_failure_is_not_remembered(queries):
    reads = SharedReads()
    with pytest.raises(ZeroDivisionError):
        reads.read("page", lambda: 1 // 0)

    assert reads.read("page", lambda: "found") == "found"


def test_nothing_is_kept_of_reads_that_are_over(queries):
    queries.is_slow = False
    reads = SharedReads()

    at_once([lambda number=number: reads.read(number % 3, queries.send) for number in range(60)], threads=12)

    assert (reads._under_way, reads._waiting) == ({}, {})


def test_of_many_at_once_each_reads_what_it_has_just_written():
    """A counter that only grows: nobody may read less than what was there when they asked."""
    reads, counter, lock = SharedReads(), [0], threading.Lock()

    def write_and_read():
        for _ in range(200):
            with lock:
                counter[0] += 1
                written = counter[0]
            if reads.read("counter", lambda: counter[0]) < written:
                return False
        return True

    assert all(at_once([write_and_read] * 12))
