"""Clients that ask the service without a pause while something breaks, and take note of every answer."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import requests

API = "/api/v1"
GIVEN_UP_SECONDS = 30


class Sample(NamedTuple):
    """A request: when it was sent, how long it took, its answer's status (0 for none), headers and body."""

    began: float
    seconds: float
    status: int
    headers: Any
    body: Any
    method: str
    path: str

    @property
    def ended(self) -> float:
        return self.began + self.seconds

    @property
    def is_acknowledged_write(self) -> bool:
        return self.method != "GET" and 200 <= self.status < 300


def ask(session: requests.Session, url: str, method: str, path: str, **options: Any) -> Sample:
    began = time.monotonic()
    try:
        answer = session.request(method, url + path, timeout=GIVEN_UP_SECONDS, **options)
    except requests.RequestException as exc:
        return Sample(began, time.monotonic() - began, 0, {}, repr(exc), method, path)
    body = json.loads(answer.content) if answer.content else None
    return Sample(began, time.monotonic() - began, answer.status_code, answer.headers, body, method, path)


def token(url: str, name: str) -> dict[str, str]:
    answer = requests.post(f"{url}/dev/token", json={"username": name}, timeout=10).json()
    return {"Authorization": f"Bearer {answer['data']['access_token']}"}


@dataclass
class Load:
    """What the clients have seen so far."""

    samples: list[Sample] = field(default_factory=list)

    def between(self, begin: float, end: float) -> list[Sample]:
        return [sample for sample in self.samples if begin <= sample.began and sample.ended <= end]

    def first_success_after(self, moment: float) -> float:
        """How long until an answer came again that was no fault: of requests sent after that moment."""
        ended = [sample.ended for sample in self._board() if sample.began >= moment and 200 <= sample.status < 400]
        return min(ended, default=float("inf")) - moment

    @property
    def created(self) -> list[str]:
        """The ids of posts that the service has said it has created."""
        return [
            one.body["data"]["id"] for one in self.samples if one.is_acknowledged_write and one.path == f"{API}/posts"
        ]

    @property
    def likes(self) -> set[tuple[str, str]]:
        """Paths and actions of likes that the service has said it has set."""
        return {(one.path, "like") for one in self.samples if one.is_acknowledged_write and one.path.endswith("/like")}

    def figures(self, name: str, **more: Any) -> str:
        """A line for people: what was sent, acknowledged, and how long the clients were without an answer."""
        writes = [sample for sample in self.samples if sample.method != "GET"]
        told = {
            "requests": len(self.samples),
            "writes acknowledged": sum(sample.is_acknowledged_write for sample in writes),
            "503": sum(sample.status == 503 for sample in self.samples),
            "slowest": f"{max(sample.seconds for sample in self.samples):.2f} s",
            "longest outage": f"{self.longest_outage():.2f} s",
            **more,
        }
        return f"\n{name}: " + ", ".join(f"{key} {value}" for key, value in told.items())

    def longest_outage(self) -> float:
        """The longest time in which no request succeeded."""
        ends = sorted(sample.ended for sample in self._board() if 200 <= sample.status < 400)
        return max((after - before for before, after in pairwise(ends)), default=float("inf"))

    def _board(self) -> list[Sample]:
        """What needs the database."""
        return [sample for sample in self.samples if not sample.path.startswith("/health")]


@contextmanager
def under_load(*clients: Callable[[int], Iterator[Sample]]) -> Iterator[Load]:
    """Run clients in a thread each for the block; each is called again and again with how often it was called."""
    load, ended = Load(), threading.Event()

    def run(client: Callable[[int], Iterator[Sample]]) -> None:
        number = 0
        while not ended.is_set():
            load.samples.extend(client(number))
            number += 1

    threads = [threading.Thread(target=run, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def writer(url: str, name: str) -> Callable[[int], Iterator[Sample]]:
    """A client that creates a post, likes it, and changes it."""
    session, headers = requests.Session(), token(url, name)

    def write(number: int) -> Iterator[Sample]:
        body = {"title": f"{name} {number}", "content": "내용", "category": name}
        created = ask(session, url, "POST", f"{API}/posts", json=body, headers=headers)
        yield created
        if created.status == 201:
            path = created.headers["Location"]
            yield ask(session, url, "PUT", f"{path}/like", headers=headers)
            yield ask(session, url, "PATCH", path, json={"title": f"{name} {number} neu"}, headers=headers)

    return write


def reader(url: str, *paths: str, pause_seconds: float = 0, **headers: str) -> Callable[[int], Iterator[Sample]]:
    """A client that reads paths by turns."""
    session = requests.Session()

    def read(number: int) -> Iterator[Sample]:
        yield ask(session, url, "GET", paths[number % len(paths)], headers=headers)
        time.sleep(pause_seconds)

    return read
