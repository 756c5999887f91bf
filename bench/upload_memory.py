"""
Measure what uploads cost in memory: of a worker, and of the process that it has images cleaned in.

The service runs under gunicorn with one worker, over SQLite. Ten images of 40 megapixels are uploaded
to it at once, in each format; then every sample of the tests, good and hostile, one after another.
The bar is that the worker stays under 400 MiB, and that nothing is answered with a server's error
but the 503 of those that waited too long for others.

Run it as ``python bench/upload_memory.py``; it needs Linux, for /proc.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import requests

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.image_samples import COSTLY, MAX_BYTES, SAMPLES, growing_png, large
from tests.servers import Service, children_of, running_service

PER_POST = 10
SAMPLING_SECONDS = 0.005
UNLIMITED = "1000000/minute"
COLUMNS = "{:<26} {:<22} {:>8} {:>7} {:>7} {:>7} {:>9} {:>9}"
HEADINGS = ("round", "answers", "seconds", "before", "peak", "after", "child", "together")


class Round(NamedTuple):
    """
    What a round of uploads took.

    Attributes:
        answers: How often each status was answered.
        seconds: From the first request to the last answer.
        before: Of the worker's resident memory, in MiB.
        peak: Likewise.
        after: Likewise.
        child: The most that a child of the worker had resident, in MiB.
        together: The most that both had at one time, in MiB.
    """

    answers: Counter[int]
    seconds: float
    before: int
    peak: int
    after: int
    child: int
    together: int


def memory_of(process_id: int, field: str) -> int:
    """Return ``VmRSS`` or ``VmHWM`` of a process in MiB; 0 once it has ended."""
    try:
        status = Path(f"/proc/{process_id}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    lines = (line.split() for line in status.splitlines() if line.startswith(f"{field}:"))
    return next((int(words[1]) // 1024 for words in lines), 0)


class Watch:
    """The memory of a worker and its children, looked at every few milliseconds."""

    def __init__(self, worker: int) -> None:
        self.worker = worker
        self.child = self.together = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watch for the time of a block."""
        Path(f"/proc/{self.worker}/clear_refs").write_text("5")  # resets VmHWM (proc(5))
        done = threading.Event()
        watcher = threading.Thread(target=self._look, args=(done,))
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def _look(self, done: threading.Event) -> None:
        while not done.wait(SAMPLING_SECONDS):
            children = list(children_of(self.worker))
            self.child = max([self.child, *(memory_of(child, "VmHWM") for child in children)])
            resident = memory_of(self.worker, "VmRSS") + sum(memory_of(child, "VmRSS") for child in children)
            self.together = max(self.together, resident)


class Board:
    """The service as its author's client sees it."""

    def __init__(self, service: Service) -> None:
        self.url = service.url
        (self.worker,) = children_of(service.process.pid)
        answer = requests.post(f"{self.url}/dev/token", json={"username": "ana"}, timeout=10)
        self.headers = {"Authorization": f"Bearer {answer.json()['data']['access_token']}"}

    def new_post(self) -> str:
        """Return the URL of a new post."""
        body = {"title": "제목", "content": "내용"}
        answer = requests.post(f"{self.url}/api/v1/posts", json=body, headers=self.headers, timeout=10)
        return f"{self.url}{answer.headers['Location']}"

    def upload(self, post: str, content: bytes) -> int:
        """Return the status that an upload is answered with."""
        files = {"file": ("image", content)}
        return requests.post(f"{post}/media", files=files, headers=self.headers, timeout=600).status_code

    def measure(self, contents: Iterable[bytes], *, at_once: int) -> Round:
        """Upload files, so many at once, ten to a post."""
        watch, before = Watch(self.worker), memory_of(self.worker, "VmRSS")
        answers: Counter[int] = Counter()
        seconds = 0.0
        with watch.running(), ThreadPoolExecutor(at_once) as pool:
            for batch in batches(contents):
                post, start = self.new_post(), time.monotonic()
                answers += Counter(pool.map(lambda content, post=post: self.upload(post, content), batch))
                seconds += time.monotonic() - start
        peak, after = memory_of(self.worker, "VmHWM"), memory_of(self.worker, "VmRSS")
        return Round(answers, seconds, before, peak, after, watch.child, watch.together)


def batches(contents: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Return files by tens, made when their turn comes."""
    batch: list[bytes] = []
    for content in contents:
        batch.append(content)
        if len(batch) == PER_POST:
            yield batch
            batch = []
    if batch:
        yield batch


def show(name: str, taken: Round) -> None:
    """Print a line of the table."""
    answers = ", ".join(f"{count} x {status}" for status, count in sorted(taken.answers.items()))
    print(COLUMNS.format(name, answers, f"{taken.seconds:.1f}", *taken[2:]), flush=True)


def rounds_of(options: argparse.Namespace) -> Iterator[tuple[str, Iterable[bytes], int]]:
    """Return each round's name, files, and how many are uploaded at once."""
    for image_format in options.formats:
        content = large(image_format, orientation=6 if image_format == "JPEG" else 1)
        if len(content) > MAX_BYTES:
            raise AssertionError(f"{image_format}: {len(content)} bytes")
        yield f"{image_format} of 40 megapixels", [content] * options.uploads, options.uploads
    if options.growing:
        yield "PNG that grows when kept", [growing_png()] * options.uploads, options.uploads
    if options.corpus:
        yield "the tests' samples", (sample.build() for sample in SAMPLES.values()), 1
    if options.costly:
        yield "costly files", (build() for build in COSTLY.values()), 1


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    formats = ["JPEG", "PNG", "WEBP", "GIF"]
    parser.add_argument("--formats", nargs="*", default=formats, choices=formats)
    parser.add_argument("--uploads", type=int, default=10, help="at once (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=400, help="of the worker, in MiB (default: %(default)s)")
    parser.add_argument("--no-corpus", dest="corpus", action="store_false", help="leave out the tests' samples")
    parser.add_argument("--growing", action="store_true", help="also files that are hundredfold once encoded anew")
    parser.add_argument("--costly", action="store_true", help="also files that cost a decoder long")
    return parser.parse_args()


def main() -> int:
    """Measure, print, and return 1 where the bar is missed."""
    options = arguments()
    is_missed = False
    with (
        tempfile.TemporaryDirectory() as folder,
        running_service(
            Path(folder), WEB_CONCURRENCY="1", RATELIMIT_READ=UNLIMITED, RATELIMIT_WRITE=UNLIMITED
        ) as service,
    ):
        board = Board(service)
        print(COLUMNS.format(*HEADINGS), "(MiB)")
        for name, contents, at_once in rounds_of(options):
            taken = board.measure(contents, at_once=at_once)
            show(name, taken)
            is_missed |= taken.peak >= options.limit or any(status >= 500 and status != 503 for status in taken.answers)
    return int(is_missed)


if __name__ == "__main__":
    sys.exit(main())
