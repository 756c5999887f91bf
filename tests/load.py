"""Clients that ask the service without a pause while something breaks, and take note of every answer."""

import ipaddress
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import requests

from tests.servers import HANG_SECONDS

API = "/api/v1"
GIVEN_UP_SECONDS = 30
VIEW_PAUSE_SECONDS = 0.02
BUSIER_THAN_CALM = 5  # a busy machine's slowest answer, beside its slowest before anything happened


def crowding() -> float:
    """Return the factor by which all is slower for what else runs on this machine, 1 on an idle one."""
    return max(1, os.getloadavg()[0] / (os.cpu_count() or 1))


class Sample(NamedTuple):
    """When a request was sent, how long it took, its answer's status (0 for none), headers and body; what was asked."""

    began: float
    seconds: float
    status: int
    headers: Any
    body: Any
    method: str
    path: str
    sent: Any

    @property
    def ended(self) -> float:
        return self.began + self.seconds

    @property
    def is_acknowledged_write(self) -> bool:
        return self.method != "GET" and 200 <= self.status < 300


def ask(session: requests.Session, url: str, method: str, path: str, **options: Any) -> Sample:
    began, sent = time.monotonic(), options.get("json")
    try:
        answer = session.request(method, url + path, timeout=GIVEN_UP_SECONDS, **options)
    except requests.RequestException as exc:
        return Sample(began, time.monotonic() - began, 0, {}, repr(exc), method, path, sent)
    body = json.loads(answer.content) if answer.content else None
    return Sample(began, time.monotonic() - began, answer.status_code, answer.headers, body, method, path, sent)


def new_post(url: str, name: str) -> str:
    """Create a post; returns its path."""
    body = {"title": "제목", "content": "내용"}
    return ask(requests.Session(), url, "POST", f"{API}/posts", json=body, headers=token(url, name)).headers["Location"]


def token(url: str, name: str) -> dict[str, str]:
    answer = requests.post(f"{url}/dev/token", json={"username": name}, timeout=HANG_SECONDS).json()
    return {"Authorization": f"Bearer {answer['data']['access_token']}"}


@dataclass
class Load:
    """What the clients have seen so far."""

    samples: list[Sample] = field(default_factory=list)

    def between(self, begin: float, end: float) -> list[Sample]:
        return [sample for sample in self.samples if begin <= sample.began and sample.ended <= end]

    def recovery(self, moment: float) -> float:
        """How many seconds after a moment a write was acknowledged again: of those that were sent after it."""
        ended = [sample.ended for sample in self._acknowledged() if sample.began >= moment]
        return min(ended, default=float("inf")) - moment

    def bound(self, seconds: float, *, calm_until: float) -> float:
        """The slowest answer to expect: the promise of a calm machine, and what this one is busier."""
        return seconds + BUSIER_THAN_CALM * max(one.seconds for one in self.samples if one.ended <= calm_until)

    @property
    def created(self) -> set[str]:
        """The paths of posts that the service has said it has created."""
        return {one.headers["Location"] for one in self._acknowledged() if one.path == f"{API}/posts"}

    @property
    def likes(self) -> set[str]:
        """The paths of likes that the service has said it has set."""
        return {one.path for one in self._acknowledged() if one.path.endswith("/like")}

    @property
    def titles(self) -> dict[str, str]:
        """The titles that the service has said it has given to posts, by path: each is changed once."""
        return {one.path: one.sent["title"] for one in self._acknowledged() if one.method == "PATCH"}

    def views(self, path: str) -> tuple[int, int]:
        """How many views of a post were answered, and how many were sent."""
        looks = [one.status for one in self.samples if (one.method, one.path) == ("GET", path)]
        return looks.count(200), len(looks)

    def figures(self, name: str, **more: Any) -> str:
        """A line for people: what was sent, acknowledged, and how long the clients were without an answer."""
        told = {
            "requests": len(self.samples),
            "writes acknowledged": len(self._acknowledged()),
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

    def _acknowledged(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.is_acknowledged_write]

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


def writer(url: str, name: str, headers: dict[str, str] | None = None) -> Callable[[int], Iterator[Sample]]:
    """A client that creates a post, likes it, and changes it; as a user of the local issuer, unless headers say who."""
    session, headers = requests.Session(), headers or token(url, name)

    def write(number: int) -> Iterator[Sample]:
        body = {"title": f"{name} {number}", "content": "내용", "category": name}
        created = ask(session, url, "POST", f"{API}/posts", json=body, headers=headers)
        yield created
        if created.status == 201:
            path = created.headers["Location"]
            yield ask(session, url, "PUT", f"{path}/like", headers=headers)
            yield ask(session, url, "PATCH", path, json={"title": f"{name} {number} neu"}, headers=headers)

    return write


def viewer(url: str, path: str) -> Callable[[int], Iterator[Sample]]:
    """A client that looks at a post as the clients of one trusted proxy do, from another address each time."""
    session = requests.Session()

    def view(number: int) -> Iterator[Sample]:
        address = ipaddress.IPv4Address("10.0.0.0") + number
        yield ask(session, url, "GET", path, headers={"X-Forwarded-For": str(address)})
        time.sleep(VIEW_PAUSE_SECONDS)

    return view


def reader(url: str, *paths: str, pause_seconds: float = 0, **headers: str) -> Callable[[int], Iterator[Sample]]:
    """A client that reads paths by turns."""
    session = requests.Session()

    def read(number: int) -> Iterator[Sample]:
        yield ask(session, url, "GET", paths[number % len(paths)], headers=headers)
        time.sleep(pause_seconds)

    return read
