"""
Merge two large categories while others read and write, and measure what the readers notice.

The demo posts are put into two categories by halves. Readers read pages, posts and the list of categories;
writers create, edit, move, hide and delete posts of both. After a while an admin merges one category
into the other. Meanwhile the kept counts are compared with the posts, each time in one statement. Then the
service stops, and ``flask counters verify`` and ``flask search verify`` compare all.

It prints the slowest read and the 99th percentile before and during the merge, the answers by status, and the
batches. The exit status is 1 if an answer was an error of the server, a count was wrong at any moment, or
the slowest read took more than twice the slowest before.

Run it as ``python bench/merge.py``; DATABASE_URL names the server as for ``bench/run.py``.
"""

import argparse
import os
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import NamedTuple

import requests

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import databases
from bench.board import API, TIMEOUT_SECONDS
from bench.processes import Size, running, service_starter
from bench.writers import Writer
from post.utils import new_id
from tests.servers import Service

NAME = "postdb_bench_merge"
SOURCE, INTO = "합칠 글", "모을 글"
SLOWER_MAX = 2
SAMPLES = 100
POLL_SECONDS = 1  # between two requests for the progress of the merge
# Every kept count beside what it counts, at one moment: visible posts of the board, and of each category.
COUNTS = """
    SELECT (SELECT SUM(visible) FROM post_counts WHERE scope = 'category'),
           (SELECT SUM(visible) FROM post_counts WHERE scope = 'all'),
           (SELECT COUNT(*) FROM posts WHERE status = 'visible'),
           (SELECT COALESCE(SUM(visible), 0) FROM post_counts WHERE scope = 'category' AND subject = %s),
           (SELECT COUNT(*) FROM posts WHERE status = 'visible' AND category_id = %s)
"""


class Read(NamedTuple):
    """A read: when it began, by ``time.monotonic``, its milliseconds, and its status."""

    began: float
    ms: float
    status: int


class Board(NamedTuple):
    """The URLs of the service and its database, and the ids of the two categories and of some posts."""

    url: str
    database_url: str
    source: str
    into: str
    posts: Sequence[str]


class MergeWriter(Writer):
    """A writer of posts in the two categories."""

    names = (SOURCE, INTO)


def fill(url: str, folder: Path) -> tuple[str, str, list[str]]:
    """Put all posts into two categories by halves; returns the ids of both, and of some posts."""
    source, into = new_id(), new_id()
    with databases.cursor_of(url) as cursor:
        for category_id, name in ((source, SOURCE), (into, INTO)):
            cursor.execute("INSERT INTO categories (id, name, name_key) VALUES (%s, %s, %s)", (category_id, name, name))
        cursor.execute(
            "UPDATE posts SET category_id = IF(`No` %% 2, %s, %s), category = IF(`No` %% 2, %s, %s)",
            (source, into, SOURCE, INTO),
        )
        cursor.execute("ANALYZE TABLE posts")
        some = databases.rows_of(cursor, "SELECT id FROM posts WHERE status = 'visible' ORDER BY `No` DESC LIMIT 2000")
    databases.require(databases.flask(url, folder, "counters", "verify", "--repair"))
    with databases.cursor_of(url) as cursor:
        databases.wait_until_quiet(cursor)
    return source, into, [post_id for (post_id,) in some]


def read_until(is_over: threading.Event, board: Board, number: int, pause_seconds: float) -> list[Read]:
    """Read one thing after another; returns all reads."""
    random, session, reads = Random(number), requests.Session(), list[Read]()  # noqa: S311 - nothing here is secret
    paths: list[Callable[[], str]] = [
        lambda: "/posts",
        lambda: f"/posts?page={random.randint(1, 500)}",
        lambda: f"/posts?category_id={board.into}",
        lambda: f"/posts?category_id={board.source}&sort=popular",
        lambda: "/categories",
        lambda: f"/posts/{random.choice(board.posts)}",
    ]
    while not is_over.is_set():
        url, began = board.url + API + random.choice(paths)(), time.monotonic()
        status = session.get(url, timeout=TIMEOUT_SECONDS).status_code
        reads.append(Read(began, (time.monotonic() - began) * 1000, status))
        time.sleep(pause_seconds)
    return reads


def write_until(is_over: threading.Event, writer: Writer) -> Counter[tuple[str, int]]:
    """Write in turns of a quarter of a second; returns the number of answers by action and status."""
    while not is_over.is_set():
        writer.write_until(time.monotonic() + 0.25)
    return writer.answers


def merge(board: Board, headers: dict[str, str]) -> list[int]:
    """Merge, and ask for the progress until it is done; returns the statuses."""
    url, statuses = f"{board.url}{API}/categories/{board.source}/merge", list[int]()
    while True:
        answer = requests.post(url, json={"into": board.into}, headers=headers, timeout=TIMEOUT_SECONDS)
        statuses.append(answer.status_code)
        answer.raise_for_status()
        task = answer.json()["data"]
        print(f"  {task['done']:,} of {task['total']:,}", flush=True)
        if task["state"] == "done":
            return statuses
        time.sleep(POLL_SECONDS)


def sample_until(is_over: threading.Event, board: Board, every_seconds: float) -> list[tuple[int, ...]]:
    """Compare the kept counts with the posts again and again; returns all samples."""
    samples = list[tuple[int, ...]]()
    with databases.cursor_of(board.database_url) as cursor:
        while not is_over.is_set():
            (row,) = databases.rows_of(cursor, COUNTS, board.source, board.source)
            samples.append(tuple(map(int, row)))
            is_over.wait(every_seconds)
    return samples


class Measured(NamedTuple):
    """Reads before and during the merge, answers to writers, the merge's own statuses, its seconds, and counts."""

    before: list[Read]
    during: list[Read]
    writes: Counter[tuple[str, int]]
    merges: list[int]
    seconds: float
    samples: list[tuple[int, ...]]


def measure(options: argparse.Namespace, board: Board) -> Measured:
    """Run readers, writers and the merge."""
    is_over, is_merged = threading.Event(), threading.Event()
    admin = {"username": "bench-admin", "groups": ["admin"]}
    token = requests.post(f"{board.url}/dev/token", json=admin, timeout=TIMEOUT_SECONDS).json()["data"]["access_token"]
    writers = [MergeWriter(number, board.url, board.posts[0]) for number in range(1, options.writers + 1)]
    with ThreadPoolExecutor(options.readers + options.writers + 1) as pool:
        numbers = range(options.readers)
        reading = [pool.submit(read_until, is_over, board, number, options.pause_ms / 1000) for number in numbers]
        writing = [pool.submit(write_until, is_over, writer) for writer in writers]
        try:
            time.sleep(options.seconds)
            sampling = pool.submit(sample_until, is_merged, board, options.sample_ms / 1000)
            began = time.monotonic()
            merges = merge(board, {"Authorization": f"Bearer {token}"})
            ended = time.monotonic()
        finally:
            is_over.set()
            is_merged.set()
        reads = [read for each in reading for read in each.result()]
        writes: Counter[tuple[str, int]] = sum((each.result() for each in writing), start=Counter())
    warm = min(read.began for read in reads) + options.warm_seconds
    before = [read for read in reads if warm < read.began and read.began + read.ms / 1000 < began]
    during = [read for read in reads if began < read.began + read.ms / 1000 and read.began < ended]
    return Measured(before, during, writes, merges, ended - began, sampling.result())


def present(measured: Measured, log: str) -> list[str]:
    """Print the figures; returns a line for each fault."""
    slowest = []
    for name, reads in (("before", measured.before), ("during", measured.during)):
        times = sorted(read.ms for read in reads)
        slowest.append(times[-1])
        p50, p99 = (times[int(len(times) * part)] for part in (0.5, 0.99))
        print(f"reads {name}: {len(times):,}, p50 {p50:.1f} ms, p99 {p99:.1f} ms, slowest {times[-1]:.1f} ms")
    statuses = Counter(read.status for read in [*measured.before, *measured.during])
    for (_, status), number in measured.writes.items():
        statuses[status] += number
    statuses.update(measured.merges)
    errors = sum(number for status, number in statuses.items() if status >= 500)
    print(f"answers by status: {dict(sorted(statuses.items()))}; errors of the server: {errors}")
    wrong = [each for each in measured.samples if len({*each[:3]}) > 1 or each[3] != each[4]]
    print(f"samples of counts: {len(measured.samples)}, wrong: {len(wrong)}")
    batches = [
        (int(number), int(ms)) for number, ms in re.findall(r"task_batches.*?batches=(\d+).*?longest_ms=(\d+)", log)
    ]
    number, longest = sum(one for one, _ in batches), max((ms for _, ms in batches), default=0)
    print(f"merge: {measured.seconds:.1f} s, {number} batches, the longest {longest} ms")
    print(f"writes that a deadlock or a lock's timeout had the service repeat: {log.count('write_retried')}")
    faults = [f"{errors} errors of the server"] if errors else []
    faults += [f"{len(wrong)} samples of counts, as {wrong[0]}"] if wrong else []
    faults += [f"{len(measured.samples)} samples only"] if len(measured.samples) < SAMPLES else []
    if slowest[1] > SLOWER_MAX * slowest[0]:
        faults.append(f"slowest read: {slowest[1] / slowest[0]:.2f} times that before")
    return faults


def run_and_verify(options: argparse.Namespace, url: str, folder: Path) -> list[str]:
    """
    Measure, then verify.

    Args:
        options: The command line's.
        url: The database's URL.
        folder: A folder for temporary files.

    Returns:
        A line for each fault.
    """
    databases.prepare(url, folder, posts=2 * options.posts, fresh=True)
    source, into, some = fill(url, folder)
    start = service_starter(folder, url, Size(options.workers, options.threads), TRUSTED_PROXY_HOPS="1")
    service: Service
    with running(start) as service:
        measured = measure(options, Board(service.url, url, source, into, some))
    faults = present(measured, service.log)
    with databases.cursor_of(url) as cursor:
        ((left,),) = databases.rows_of(cursor, "SELECT COUNT(*) FROM posts WHERE category_id = %s", source)
    faults += [f"{left} posts were not moved"] if left else []
    return faults + databases.verify(url, folder)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--posts", type=int, default=50_000, help="posts of each category (default: %(default)s)")
    add("--readers", type=int, default=16, help="default: %(default)s")
    add("--writers", type=int, default=4, help="default: %(default)s")
    add("--seconds", type=int, default=30, help="before the merge (default: %(default)s)")
    add("--warm-seconds", type=int, default=5, help="of these, not measured (default: %(default)s)")
    add("--pause-ms", type=int, default=20, help="of a reader between two reads (default: %(default)s)")
    add("--sample-ms", type=int, default=150, help="between two samples of counts (default: %(default)s)")
    add("--database-url", default=os.environ.get("DATABASE_URL") or None, help="a server (default: a private one)")
    add("--workers", type=int, default=2, help="of gunicorn (default: %(default)s)")
    add("--threads", type=int, default=8, help="of each worker (default: %(default)s)")
    return parser.parse_args()


def main() -> int:
    """Run and print; return 1 if there is a fault."""
    options = arguments()
    with databases.server_of(options.database_url, name=NAME) as url, tempfile.TemporaryDirectory() as folder:
        try:
            faults = run_and_verify(options, url, Path(folder))
        finally:
            databases.drop(url)
    for line in faults:
        print(f"wrong: {line}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
