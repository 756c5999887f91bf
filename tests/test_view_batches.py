"""Views on their way to the database: together, soon, each once, whatever ends meanwhile."""

import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from config import ConfigError, load_config
from post.shared.memory import SharedCounters
from post.shared.view_counter import BATCH_POSTS, IN_DOUBT_SECONDS, ViewCounter, ViewsNotWritten, ViewWindow
from post.utils import new_id
from tests.conftest import at_once
from tests.servers import (
    HANG_SECONDS,
    PATIENT_WITH_MYSQL,
    PROJECT,
    UNLIMITED,
    Service,
    children_of,
    running_service,
    stop,
    wait_until,
)
from tests.test_shared_memory import in_forks

A, B = ("a" * 32, "b" * 32)
LATER = 60  # seconds after which no test is still there
MYSQL, SQLITE = "mysql+pymysql://u:p@h/postdb", "sqlite:////tmp/x.db"


# The setting


@pytest.mark.parametrize(("database_url", "seconds"), [(MYSQL, 1), (SQLITE, 0), ("", 0)])
@pytest.mark.parametrize("unset", [{}, {"VIEW_FLUSH_SECONDS": ""}], ids=["absent", "empty"])
def test_views_are_written_together_on_mysql_and_at_once_on_sqlite(database_url, seconds, unset):
    assert load_config({"DATABASE_URL": database_url, **unset}).view_flush_seconds == seconds


@pytest.mark.parametrize("value", ["0", "0.25", "1", "60"])
@pytest.mark.parametrize("database_url", [MYSQL, SQLITE], ids=["mysql", "sqlite"])
def test_the_setting_is_read_on_any_database(value, database_url):
    settings = load_config({"DATABASE_URL": database_url, "VIEW_FLUSH_SECONDS": value})

    assert settings.view_flush_seconds == float(value)


@pytest.mark.parametrize("value", ["-1", "60.1", "61", "two", "1s", "nan", "inf", "1,5"])
def test_a_wrong_setting_is_refused_with_a_line_that_names_it(value):
    with pytest.raises(ConfigError, match=r"^VIEW_FLUSH_SECONDS: must [^\n]*$"):
        load_config({"VIEW_FLUSH_SECONDS": value})


def test_of_a_wrong_database_no_default_is_made():
    with pytest.raises(ConfigError, match=r"^DATABASE_URL: must [^\n]*$"):
        load_config({"DATABASE_URL": "nonsense"})


# One process, and what stands in for its database


class Rows:
    """Stands in for the posts' rows: adds to them after a while, or refuses as it is told to."""

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.counts: Counter[str] = Counter()
        self.batches: list[dict[str, int]] = []
        self.refusals: list[Exception | None] = []  # of the next attempts
        self.attempts = 0
        self._seconds = seconds

    def add(self, views: Mapping[str, int]) -> None:
        time.sleep(self._seconds)
        self.attempts += 1
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal:
            raise refusal
        self.batches.append(dict(views))
        self.counts.update(views)
        time.sleep(self._seconds)


def new_counter(write: Any, *, flush_seconds: float = LATER, lag_seconds: float = 0) -> ViewCounter:
    window = ViewWindow(SharedCounters(), window_seconds=120)
    return ViewCounter(window, write=write, flush_seconds=flush_seconds, lag_seconds=lag_seconds)


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def counter(rows: Rows) -> ViewCounter:
    """Writes when it is told to: its interval outlasts the test."""
    return new_counter(rows.add)


def flushing_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "views"]


def test_without_an_interval_a_view_is_written_at_once(rows):
    counter, threads = new_counter(rows.add, flush_seconds=0), flushing_threads()

    added = [counter.count(A, address, stored=rows.counts[A]) for address in ("1", "1", "2")]

    assert added == [1, 0, 1]
    assert rows.batches == [{A: 1}, {A: 1}]
    assert (counter.pending(A, stored=2), counter.flush()) == (0, 0)
    assert flushing_threads() == threads


def test_a_view_that_cannot_be_written_at_once_is_not_counted_and_may_be_later(rows):
    counter = new_counter(rows.add, flush_seconds=0)
    rows.refusals = [ViewsNotWritten()]

    added = [counter.count(A, "1", stored=0) for _ in range(3)]

    assert added == [0, 1, 0]
    assert rows.counts == {A: 1}


def test_another_fault_of_writing_at_once_is_the_callers(rows):
    counter = new_counter(rows.add, flush_seconds=0)
    rows.refusals = [ValueError("a fault of ours")]

    with pytest.raises(ValueError, match="ours"):
        counter.count(A, "1", stored=0)


def test_views_wait_and_are_shown_meanwhile(counter, rows):
    added = [counter.count(A, address, stored=10) for address in ("1", "2", "1", "2", "3")]

    assert added == [1, 2, 2, 2, 3]
    assert (counter.pending(A, stored=10), counter.pending(B, stored=10)) == (3, 0)
    assert rows.attempts == 0


def test_a_flush_writes_each_view_once(counter, rows):
    for post_id, address in ((A, "1"), (A, "2"), (A, "2"), (B, "1")):
        counter.count(post_id, address, stored=0)

    written = [counter.flush(), counter.flush()]

    assert written == [3, 0]
    assert rows.batches == [{A: 2, B: 1}]
    assert counter.pending(A, stored=2) == 0


def test_a_flush_writes_no_more_posts_at_a_time_than_it_may(counter, rows):
    ids = [new_id() for _ in range(2 * BATCH_POSTS + 1)]
    for post_id in ids:
        counter.count(post_id, "1", stored=0)

    written = counter.flush()

    assert written == len(ids)
    assert [len(batch) for batch in rows.batches] == [BATCH_POSTS, BATCH_POSTS, 1]
    assert rows.counts == dict.fromkeys(ids, 1)


def test_of_two_batches_the_one_that_fails_waits_on(counter, rows):
    ids = [new_id() for _ in range(BATCH_POSTS + 1)]
    for post_id in ids:
        counter.count(post_id, "1", stored=0)
    rows.refusals = [None, ViewsNotWritten()]

    written = [counter.flush(), counter.flush(), counter.flush()]

    assert written == [BATCH_POSTS, 1, 0]
    assert rows.counts == dict.fromkeys(ids, 1)


def test_views_that_cannot_be_written_are_shown_and_written_later(counter, rows):
    rows.refusals = [ViewsNotWritten(), ViewsNotWritten()]
    counter.count(A, "1", stored=0)

    in_vain = [counter.flush(), counter.flush()]
    added = counter.count(A, "2", stored=0)
    written = counter.flush()

    assert in_vain == [0, 0]
    assert added == written == 2
    assert rows.counts == {A: 2}


def test_what_cannot_be_written_is_told_once_until_it_can(counter, rows, caplog):
    away = ViewsNotWritten()
    rows.refusals = [away, away, away, None, away]
    for address in ("1", "2"):
        counter.count(A, address, stored=0)
        for _ in range(4):
            counter.flush()

    records = [record for record in caplog.records if record.message == "views_not_written"]

    assert [(record.levelno, record.posts) for record in records] == [(logging.WARNING, 1)] * 2
    assert not any(record.exc_info for record in records)
    assert rows.counts == {A: 2}


def test_a_fault_of_ours_is_told_once_with_its_traceback_and_loses_no_views(counter, rows, caplog):
    rows.refusals = [ValueError("a fault of ours")] * 2
    counter.count(A, "1", stored=0)

    written = [counter.flush() for _ in range(3)]

    assert written == [0, 0, 1]
    assert [(record.message, record.levelno) for record in caplog.records] == [("views_not_written", logging.ERROR)]
    assert "a fault of ours" in caplog.text


def test_a_fault_of_ours_is_told_while_the_database_is_away_too(counter, rows, caplog):
    rows.refusals = [ViewsNotWritten(), ValueError("a fault of ours")]
    counter.count(A, "1", stored=0)

    for _ in range(2):
        counter.flush()

    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR]
    assert "a fault of ours" in caplog.text


def test_a_view_for_which_there_is_no_room_is_written_at_once(rows, monkeypatch):
    monkeypatch.setattr("post.shared.view_counter.POSTS_MAX", 8)
    counter = new_counter(rows.add)
    ids = [new_id() for _ in range(9)]

    added = [counter.count(post_id, "1", stored=0) for post_id in ids]

    assert added == [1] * 9
    assert rows.batches == [{ids[8]: 1}]
    counter.flush()
    assert rows.counts == dict.fromkeys(ids, 1)


def test_a_count_that_was_read_before_the_batch_was_written_lacks_it(counter, rows):
    counter.count(A, "1", stored=10)
    counter.flush()

    assert (counter.pending(A, stored=10), counter.pending(A, stored=11), counter.pending(A, stored=12)) == (1, 0, 0)
    assert counter.count(A, "2", stored=10) == 2


@pytest.mark.parametrize("stored", [3, 12])
def test_a_count_that_another_has_changed_is_believed_where_nothing_is_in_doubt(counter, rows, monkeypatch, stored):
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("post.shared.view_counter.time", clock)
    now = 100.0
    counter.count(A, "1", stored=10)
    before = counter.pending(A, stored=stored)
    counter.flush()
    now += IN_DOUBT_SECONDS + 0.1

    assert (before, counter.pending(A, stored=stored)) == (1, 0)


def test_a_count_is_believed_after_a_batch_that_failed(counter, rows):
    rows.refusals = [ViewsNotWritten()]
    counter.count(A, "1", stored=10)
    counter.flush()

    assert counter.pending(A, stored=3) == 1


def test_an_older_count_is_corrected_for_as_long_as_the_replica_may_lag(rows, monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("post.shared.view_counter.time", clock)
    now = 100.0
    counter = new_counter(rows.add, lag_seconds=5)
    counter.count(A, "1", stored=10)
    counter.flush()

    now += IN_DOUBT_SECONDS + 4.9
    behind = 10 + counter.pending(A, stored=10)
    now += 0.2
    given_up = 10 + counter.pending(A, stored=10)

    assert (behind, given_up) == (11, 10)


def test_a_batch_that_fails_does_not_hold_back_the_others(counter, rows):
    ids = [new_id() for _ in range(BATCH_POSTS + 1)]
    for post_id in ids:
        counter.count(post_id, "1", stored=0)
    rows.refusals = [ValueError("a fault of ours")]
    counter.flush()
    counter.flush()

    assert ids[-1] in rows.batches[0]


def test_a_post_is_forgotten_once_its_views_are_written_and_not_in_doubt(counter, rows, monkeypatch):
    monkeypatch.setattr("post.shared.view_counter.time", SimpleNamespace(monotonic=lambda: now))
    now = 100.0
    counter.count(A, "1", stored=0)
    counter.flush()
    now += IN_DOUBT_SECONDS + 0.1
    counter.count(B, "1", stored=0)
    counter.flush()

    assert list(counter._posts) == [B]


def test_views_are_written_by_themselves_within_the_interval(rows):
    counter = new_counter(rows.add, flush_seconds=1)
    counter.count(A, "1", stored=0)

    wait_until(lambda: rows.counts == {A: 1}, what="the first view is not written")
    time.sleep(1.4)  # to the middle of an interval
    for address in ("2", "3"):
        counter.count(A, address, stored=1)
    before = dict(rows.counts)

    wait_until(lambda: rows.counts == {A: 3}, what="later views are not written")
    assert before == {A: 1}
    assert rows.batches == [{A: 1}, {A: 2}]


def test_views_are_written_by_themselves_once_the_database_is_back(rows):
    rows.refusals = [ViewsNotWritten(), ValueError("a fault of ours"), ViewsNotWritten()]
    counter = new_counter(rows.add, flush_seconds=0.05)

    counter.count(A, "1", stored=0)

    wait_until(lambda: rows.counts == {A: 1}, what="the view is not written")
    assert rows.attempts == 4


def test_a_database_that_is_away_is_not_asked_more_often_than_the_interval_says(rows):
    rows.refusals = [ViewsNotWritten()] * 1000
    counter = new_counter(rows.add, flush_seconds=0.2)
    began = time.monotonic()
    for number in range(100):
        counter.count(A, str(number), stored=0)
        time.sleep(0.01)

    assert 2 <= rows.attempts <= (time.monotonic() - began) / 0.2 + 1
    rows.refusals.clear()
    wait_until(lambda: rows.counts == {A: 100}, what="the views are not written")


def test_one_thread_writes_and_only_where_views_are_counted(rows):
    before, counter = len(flushing_threads()), new_counter(rows.add)
    counter.flush()
    counter.pending(A, stored=0)
    idle = len(flushing_threads())

    at_once([lambda number=number: counter.count(A, str(number), stored=0) for number in range(20)])

    assert (idle - before, len(flushing_threads()) - before) == (0, 1)


@pytest.mark.parametrize("repetition", range(3))
def test_every_view_is_answered_with_a_number_of_its_own_while_others_are_written(repetition):
    """Whatever is committed between the reading of the row and the counting of the view."""
    rows = Rows(seconds=0.002)
    counter, numbers = new_counter(rows.add, lag_seconds=HANG_SECONDS), iter(range(10_000))
    is_over = threading.Event()

    def view_50() -> list[int]:
        shown = []
        for _ in range(50):
            stored = rows.counts[A]
            time.sleep(0.001)
            shown.append(stored + counter.count(A, str(next(numbers)), stored=stored))
        return shown

    def flush_for_ever() -> None:
        while not is_over.is_set():
            rows.refusals = [ViewsNotWritten()] if len(rows.batches) % 5 == 0 and rows.attempts % 2 else []
            counter.flush()

    flusher = threading.Thread(target=flush_for_ever)
    flusher.start()
    try:
        shown = at_once([view_50] * 8)
    finally:
        is_over.set()
        flusher.join(HANG_SECONDS)
    counter.flush()

    assert sorted(number for of_one in shown for number in of_one) == list(range(1, 401))
    assert all(of_one == sorted(of_one) for of_one in shown)
    assert rows.counts == {A: 400}
    assert len(rows.batches) > 3


# Processes


class Ledger:
    """Stands in for the rows where several processes write: a file with a line for each batch."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, views: Mapping[str, int]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(views) + "\n")

    @property
    def batches(self) -> list[dict[str, int]]:
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return [json.loads(line) for line in lines]

    @property
    def counts(self) -> Counter[str]:
        return sum(map(Counter, self.batches), Counter())


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


def test_each_process_writes_one_batch_in_each_interval(ledger):
    counter, began = new_counter(ledger.add, flush_seconds=0.5), time.monotonic()

    def view() -> None:
        for number in range(100):
            counter.count(A, f"{os.getpid()}-{number}", stored=0)
            time.sleep(0.02)
        wait_until(lambda: ledger.counts == {A: 400}, what="not all views are written")

    in_forks(view, processes=4)

    assert len(ledger.batches) <= 4 * ((time.monotonic() - began) / 0.5 + 1)


def test_a_fork_of_a_process_that_counts_writes_by_itself(ledger):
    counter = new_counter(ledger.add, flush_seconds=0.1)
    counter.count(A, "parent", stored=0)
    wait_until(lambda: ledger.counts == {A: 1}, what="the parent writes nothing")

    def view() -> bool:
        counter.count(A, str(os.getpid()), stored=1)
        is_started = [thread.name for thread in threading.enumerate()].count("views") == 1
        wait_until(lambda: ledger.counts == {A: 3}, what="the forks' views are not written")
        return is_started

    assert in_forks(view, processes=2) == [True, True]


PRELUDE = """
import json, os, sys, threading, time
from post.shared.memory import SharedCounters
from post.shared.view_counter import ViewCounter, ViewsNotWritten, ViewWindow

A = "a" * 32

def write(views):
    with open(sys.argv[1], "a") as ledger:
        print(json.dumps(views), file=ledger)

def new_counter(write=write, flush_seconds=60):
    window = ViewWindow(SharedCounters(), window_seconds=120)
    return ViewCounter(window, write=write, flush_seconds=flush_seconds)
"""


def run(code: str, ledger: Ledger) -> subprocess.CompletedProcess[str]:
    """Run a program that counts views; it ends, or the test fails."""
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(code), str(ledger._path)]
    return subprocess.run(command, cwd=PROJECT, check=False, capture_output=True, text=True, timeout=HANG_SECONDS)


@pytest.mark.parametrize(
    "end", ["", "sys.exit(3)", "raise ValueError", "threading.Thread(target=time.sleep, args=[0.2]).start()"]
)
def test_a_process_that_ends_writes_what_waits(ledger, end):
    done = run(f"counter = new_counter()\nfor n in range(5): counter.count(A, str(n), stored=0)\n{end}", ledger)

    assert ledger.batches == [{A: 5}]
    assert done.returncode == {"sys.exit(3)": 3, "raise ValueError": 1}.get(end, 0)


def test_a_process_that_ends_waits_for_the_batch_that_is_being_written(ledger):
    done = run(
        """
        def write_slowly(views):
            begun.set()
            time.sleep(0.5)
            write(views)

        begun = threading.Event()
        counter = new_counter(write_slowly, flush_seconds=0.05)
        counter.count(A, "1", stored=0)
        begun.wait(120)
        """,
        ledger,
    )

    assert ledger.counts == {A: 1}
    assert done.stderr == ""


@pytest.mark.parametrize("repetition", range(3))
def test_a_process_ends_in_silence_while_it_counts(repetition, ledger):
    done = run(
        """
        counter = new_counter(flush_seconds=0.0005)
        for n in range(200): counter.count(A, str(n), stored=0)
        """,
        ledger,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert ledger.counts == {A: 200}


def test_a_process_that_has_counted_nothing_writes_nothing_at_its_end(ledger):
    done = run(
        """
        counter = new_counter()
        if os.fork() == 0:
            counter.count(A, "1", stored=0)
            if os.fork() == 0:
                sys.exit()  # a fork of one that has counted
            os.wait()
            os._exit(os.path.exists(sys.argv[1]))  # as if it were killed
        print(os.waitstatus_to_exitcode(os.wait()[1]), counter.pending(A, stored=0))
        """,
        ledger,
    )

    assert done.stdout == "0 0\n", done.stderr
    assert ledger.batches == []


def test_a_fork_leaves_to_its_parent_what_that_has_yet_to_write(ledger):
    done = run(
        """
        counter = new_counter()
        counter.count(A, "parent", stored=0)
        if os.fork() == 0:
            counter.count(A, "child", stored=0)
            sys.exit()
        os.wait()
        """,
        ledger,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert ledger.batches == [{A: 1}, {A: 1}]


def test_what_a_killed_process_has_yet_to_write_is_lost_and_nothing_else_is(ledger):
    done = run(
        """
        counter = new_counter()
        if os.fork() == 0:
            counter.count(A, "child", stored=0)
            os.kill(os.getpid(), 9)
        os.wait()
        print(counter.count(A, "parent", stored=0))
        """,
        ledger,
    )

    assert done.stdout == "1\n", done.stderr
    assert ledger.batches == [{A: 1}]


def test_a_process_ends_although_its_views_cannot_be_written(ledger):
    done = run(
        """
        def refuse(views):
            raise ViewsNotWritten
        new_counter(refuse).count(A, "1", stored=0)
        """,
        ledger,
    )

    assert (done.returncode, done.stderr) == (0, "views_not_written\n")


# The service


class Viewers:
    """Clients of a running service that each have an address of their own, and a post that they view."""

    def __init__(self, service: Service) -> None:
        body, name = {"title": "제목", "content": "내용"}, {"username": "ana"}
        data = requests.post(f"{service.url}/dev/token", json=name, timeout=HANG_SECONDS).json()["data"]
        token = data["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        made = requests.post(f"{service.url}/api/v1/posts", json=body, headers=headers, timeout=HANG_SECONDS)
        self.service, self._url = service, service.url + made.headers["Location"]
        self._addresses = iter(f"192.0.{number // 250}.{number % 250}" for number in range(10_000))

    def view(self, address: str | None = None) -> int:
        headers = {"X-Forwarded-For": address or next(self._addresses)}
        return requests.get(self._url, headers=headers, timeout=HANG_SECONDS).json()["data"]["view_count"]

    def view_together(self, viewers: int, *, threads: int = 8) -> list[int]:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda _: self.view(), range(viewers)))


@contextmanager
def viewed_service(folder: Path, **settings: str) -> Iterator[Viewers]:
    defaults = {"WEB_CONCURRENCY": "2", "TRUSTED_PROXY_HOPS": "1", **UNLIMITED, **PATIENT_WITH_MYSQL}
    with running_service(folder, **defaults | settings) as service:
        yield Viewers(service)


def stored_views(url: str) -> int:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return connection.scalar(text("SELECT view_count FROM posts"))


def workers_of(service: Service) -> list[int]:
    return list(children_of(service.process.pid))


def test_views_through_several_workers_are_stored_within_the_interval(new_mysql_database, tmp_path):
    with viewed_service(tmp_path, DATABASE_URL=new_mysql_database) as viewers:
        shown = viewers.view_together(60)
        wait_until(lambda: stored_views(new_mysql_database) == 60, what="not all views are stored")
        again = viewers.view("192.0.0.0")

    assert min(shown) >= 1, "each includes itself"
    assert max(shown) <= 60
    assert again == 60
    assert stored_views(new_mysql_database) == 60


def test_a_worker_shows_its_views_at_once(new_mysql_database, tmp_path):
    with viewed_service(tmp_path, DATABASE_URL=new_mysql_database, WEB_CONCURRENCY="1") as viewers:
        shown = viewers.view_together(60)
        again = viewers.view("192.0.0.0")

    assert sorted(shown) == list(range(1, 61))
    assert again == 60


def test_one_viewer_after_another_sees_one_view_more_while_views_are_being_written(new_mysql_database, tmp_path):
    with viewed_service(
        tmp_path, DATABASE_URL=new_mysql_database, VIEW_FLUSH_SECONDS="0.02", WEB_CONCURRENCY="1"
    ) as viewers:
        shown = [(viewers.view(), viewers.view("192.0.0.0")) for _ in range(100)]

    assert shown == [(number, number) for number in range(1, 101)]
    assert stored_views(new_mysql_database) == 100


@pytest.mark.parametrize("seconds", ["0.05", "30"], ids=["while some are written", "before any is"])
def test_a_service_that_is_told_to_stop_loses_no_view(new_mysql_database, tmp_path, seconds):
    with viewed_service(tmp_path, DATABASE_URL=new_mysql_database, VIEW_FLUSH_SECONDS=seconds) as viewers:
        viewers.view_together(40)
        exit_code = stop(viewers.service.process)
        log = viewers.service.log

    assert stored_views(new_mysql_database) == 40
    assert exit_code == 0
    assert "views_not_written" not in log


def test_a_service_on_sqlite_may_collect_views_too(tmp_path):
    with viewed_service(tmp_path, VIEW_FLUSH_SECONDS="0.2", WEB_CONCURRENCY="1") as viewers:
        shown = viewers.view_together(40)

    assert sorted(shown) == list(range(1, 41))
    assert stored_views(f"sqlite:///{tmp_path}/instance/postdb.sqlite3") == 40


def test_a_worker_that_is_killed_takes_at_most_the_views_of_its_last_interval_with_it(new_mysql_database, tmp_path):
    with viewed_service(tmp_path, DATABASE_URL=new_mysql_database) as viewers:
        viewers.view_together(40)
        wait_until(lambda: stored_views(new_mysql_database) == 40, what="not all views are stored")
        viewers.view_together(10)
        os.kill(workers_of(viewers.service)[0], signal.SIGKILL)
        wait_until(lambda: viewers.service.log.count("Booting worker") == 3, what="no new worker")
        shown = [viewers.view() for _ in range(5)]

    assert min(shown) > 40
    assert 45 <= stored_views(new_mysql_database) <= 55


def test_workers_that_are_killed_while_they_write_lose_one_batch_each_at_most_and_count_nothing_twice(
    new_mysql_database, tmp_path
):
    with viewed_service(tmp_path, DATABASE_URL=new_mysql_database, VIEW_FLUSH_SECONDS="0.02") as viewers:
        answered = len(viewers.view_together(50))
        wait_until(lambda: stored_views(new_mysql_database) == answered, what="not all views are stored")
        at_risk = 0
        for round_ in range(3):
            with ThreadPoolExecutor(1) as pool:
                killing = pool.submit(kill_one_later, viewers.service, 0.05 + 0.01 * round_)
                for _ in range(50):
                    at_risk += not killing.done()  # a batch is as long as the machine is slow
                    answered += view_or_fail(viewers)
                killing.result()
            wait_until(lambda: len(workers_of(viewers.service)) == 2, what="no new worker")
        shown = viewers.view()

    assert answered > 170, "the other worker goes on"
    assert answered + 1 - at_risk <= stored_views(new_mysql_database) <= 201
    assert answered + 1 - at_risk <= shown <= 201


def kill_one_later(service: Service, seconds: float) -> None:
    time.sleep(seconds)
    os.kill(workers_of(service)[0], signal.SIGKILL)


def view_or_fail(viewers: Viewers) -> bool:
    """View as a new address; tells whether it was answered. The view may have been counted even so."""
    try:
        viewers.view()
    except requests.RequestException:
        return False
    return True


def test_a_crash_of_everything_loses_the_views_of_one_interval_at_most(new_mysql_database, tmp_path):
    with viewed_service(tmp_path, DATABASE_URL=new_mysql_database) as viewers:
        viewers.view_together(30)
        wait_until(lambda: stored_views(new_mysql_database) == 30, what="not all views are stored")
        viewers.view_together(10)
        for pid in (viewers.service.process.pid, *workers_of(viewers.service)):
            os.kill(pid, signal.SIGKILL)
        viewers.service.process.wait()
    after_the_crash = stored_views(new_mysql_database)

    with running_service(tmp_path, DATABASE_URL=new_mysql_database):
        pass

    assert 30 <= after_the_crash <= 40
    assert stored_views(new_mysql_database) == after_the_crash


def test_views_of_a_post_that_others_hold_locked_are_answered_at_once_and_written_later(new_mysql_database, tmp_path):
    settings = {"VIEW_FLUSH_SECONDS": "0.2", "WEB_CONCURRENCY": "1"}
    settings["DATABASE_READ_TIMEOUT_SECONDS"] = "2"  # a wait for a lock then ends after 1 s
    with viewed_service(tmp_path, DATABASE_URL=new_mysql_database, **settings) as viewers:
        with create_engine(new_mysql_database, poolclass=NullPool).connect() as other:
            other.execute(text("SELECT id FROM posts FOR UPDATE"))
            shown = viewers.view_together(20)  # while the lock is held
            time.sleep(4)  # until a batch has been given up, and tried again
        wait_until(lambda: stored_views(new_mysql_database) == 20, what="not all views are stored")
        log = viewers.service.log

    assert sorted(shown) == list(range(1, 21))
    assert stored_views(new_mysql_database) == 20
    assert log.count("views_not_written") <= 2
    assert "Traceback" not in log
