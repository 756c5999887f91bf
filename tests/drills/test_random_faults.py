"""Random operations while workers are killed and the database is cut: what was acknowledged holds, and all adds up."""

import os
import random
import secrets
import signal
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from itertools import combinations

import pytest
import requests
from sqlalchemy import func, select

from post.models import Category, Like, Post
from tests.drills.aftermath import rows, wrong_counters
from tests.load import API, Load, Sample, ask, token
from tests.servers import (
    HANG_SECONDS,
    UNLIMITED,
    children_of,
    find_mysqld,
    running_mysql,
    running_service,
    wait_until,
    wait_until_healthy,
)

pytestmark = pytest.mark.skipif(find_mysqld() is None, reason="it needs a server of its own to break")

OPERATIONS, CLIENTS = 2000, 8
CATEGORIES = ("Travel", "TRAVEL", "travel", "일반", "Spring Boot", "카페")
NO_ANSWER, AWAY = 0, 503  # after which nobody knows whether it was done
DELETED = "deleted"


class Board:
    """What the clients have seen of the board, together."""

    def __init__(self) -> None:
        self.posts: list[str] = []
        self.creations: list[tuple[float, float, int]] = []  # first sent, acknowledged, number
        self.viewers: defaultdict[str, set[str]] = defaultdict(set)
        self.load = Load()
        self.surprises: list[str] = []


class Client:
    """
    One user, who does one thing after another and knows what each post of theirs, and each like, may be by now.

    An answer leaves one possibility of what a request has done; without one, or with a 503, there are two.
    """

    def __init__(self, board: Board, url: str, name: str, seed: str) -> None:
        self.name = name
        self._board, self._url = board, url
        self._random = random.Random(seed)
        self._session, self._headers = requests.Session(), token(url, name)
        self.user_id: str | None = None
        self.own: dict[str, set[tuple[str, str, str]]] = {}  # possible titles, categories (letter case aside), statuses
        self.likes: defaultdict[str, set[bool]] = defaultdict(lambda: {False})

    def run(self) -> None:
        kinds = {self._create: 20, self._edit: 20, self._delete: 5, self._like: 30, self._look: 20, self._list: 5}
        for number in range(OPERATIONS // CLIENTS):
            (operation,) = self._random.choices([*kinds], [*kinds.values()]) if self.own else (self._create,)
            operation(number)
            time.sleep(self._random.uniform(0, 0.08))

    def _ask(self, method: str, path: str, **options) -> Sample:
        headers = self._headers | options.pop("headers", {})
        sample = ask(self._session, self._url, method, path, headers=headers, **options)
        self._board.load.samples.append(sample)
        if sample.status in (NO_ANSWER, AWAY):
            time.sleep(0.2)
        return sample

    def _expect(self, is_right: bool, sample: Sample) -> None:
        if not is_right:
            self._board.surprises.append(f"{self.name}: {sample.method} {sample.path} {sample.status} {sample.body}")

    def _create(self, number: int) -> None:
        """As a careful client does: again, with the same key, until there is an answer."""
        title, category = f"{self.name} {number}", self._random.choice(CATEGORIES)
        body = {"title": title, "content": "내용", "category": category}
        key, began = {"Idempotency-Key": f"{self.name}-{number}"}, time.monotonic()
        while (made := self._ask("POST", f"{API}/posts", json=body, headers=key)).status in (NO_ANSWER, AWAY):
            pass
        self._expect(made.status == 201, made)
        post = made.body["data"]
        self.user_id = post["user_id"]
        self.own[post["id"]] = {(title, category.casefold(), "visible")}
        self._board.creations.append((began, made.ended, post["No"]))
        self._board.posts.append(post["id"])

    def _edit(self, number: int) -> None:
        title, category = f"{self.name} {number} neu", self._random.choice(CATEGORIES)
        status = self._random.choice(["visible", "visible", "hidden"])
        self._change("PATCH", (title, category.casefold(), status), title=title, category=category, status=status)

    def _delete(self, _number: int) -> None:
        self._change("DELETE", None)

    def _change(self, method: str, becomes: tuple[str, str, str] | None, **body: str) -> None:
        post = self._random.choice([*self.own])
        done = self._ask(method, f"{API}/posts/{post}", json=body or None)
        gone = {state for state in self.own[post] if state[2] == DELETED}
        changed = {becomes or (*state[:2], DELETED) for state in self.own[post] - gone}
        match done.status:
            case 200:
                self.own[post] = changed
            case 404:
                self.own[post] = gone
            case _:
                self.own[post] |= changed
        self._expect(done.status in (200, 404, NO_ANSWER, AWAY) and bool(self.own[post]), done)

    def _like(self, _number: int) -> None:
        post, method = self._random.choice(self._board.posts), self._random.choice(["PUT", "DELETE", "POST"])
        done = self._ask(method, f"{API}/posts/{post}/like")
        before = self.likes[post]
        after = {{"PUT": True, "DELETE": False, "POST": not liked}[method] for liked in before}
        if done.status == 200:
            is_liked, has_changed = done.body["data"]["is_liked"], done.body["data"]["action"] != "unchanged"
            self._expect(is_liked in after and is_liked ^ has_changed in before, done)
            self.likes[post] = {is_liked}
        elif done.status != 404:
            self._expect(done.status in (NO_ANSWER, AWAY), done)
            self.likes[post] = before | after

    def _look(self, _number: int) -> None:
        post, address = self._random.choice(self._board.posts), f"10.0.0.{self._random.randrange(12)}"
        self._board.viewers[post].add(address)
        seen = self._ask("GET", f"{API}/posts/{post}", headers={"X-Forwarded-For": address})
        self._expect(seen.status in (200, 404, NO_ANSWER, AWAY), seen)
        if post in self.own and seen.status == 200:
            told = seen.body["data"]
            self._expect((told["title"], told["category"].casefold(), told["status"]) in self.own[post], seen)
        if post in self.own and seen.status == 404:
            self._expect(DELETED in {status for _, _, status in self.own[post]}, seen)

    def _list(self, _number: int) -> None:
        listed = self._ask("GET", f"{API}/posts", params={"sort": self._random.choice(["latest", "popular"])})
        self._expect(listed.status in (200, NO_ANSWER, AWAY), listed)


class Faults:
    """Kills workers, and kills or stops the database, by turns that chance decides, until it is told to end."""

    def __init__(self, service, server, seed: str) -> None:
        self._service, self._server = service, server
        self._random = random.Random(seed)
        self._ended = threading.Event()
        self.done: Counter[str] = Counter()
        self.mended: list[float] = []

    def run(self) -> None:
        faults = {self._kill_worker: 3, self._kill_database: 1, self._stop_database: 1}
        planned = self._random.sample([*faults], k=len(faults))  # each at least once
        while not self._ended.wait(self._random.uniform(0.5, 2)):
            fault = planned.pop() if planned else self._random.choices([*faults], [*faults.values()])[0]
            fault()
            self.done[fault.__name__.strip("_")] += 1
            self.mended.append(time.monotonic())

    def end(self) -> None:
        self._ended.set()

    def _kill_worker(self) -> None:
        workers = [*children_of(self._service.process.pid)]
        with suppress(ProcessLookupError):
            os.kill(self._random.choice(workers), signal.SIGKILL)

    def _kill_database(self) -> None:
        self._server.kill()
        time.sleep(self._random.uniform(0, 2))
        self._server.start()

    def _stop_database(self) -> None:
        self._server.hang()
        time.sleep(self._random.uniform(0.1, 2))
        self._server.go_on()


@pytest.fixture(scope="module")
def server():
    with running_mysql() as server:
        yield server


@pytest.fixture(scope="module")
def service(server, tmp_path_factory):
    settings = {**UNLIMITED, "TRUSTED_PROXY_HOPS": "1", "VIEW_WINDOW_SECONDS": "3600"}
    with running_service(tmp_path_factory.mktemp("service"), DATABASE_URL=server.url, **settings) as service:
        yield service


def test_what_was_acknowledged_holds_whatever_breaks(server, service, make_app):
    seed = os.environ.get("DRILL_SEED") or str(secrets.randbelow(2**32))
    print(f"\nDRILL_SEED={seed}")
    board = Board()
    clients = [Client(board, service.url, f"user{n}", f"{seed} {n}") for n in range(CLIENTS)]
    faults = Faults(service, server, f"{seed} faults")
    began = time.monotonic()
    _run(clients, faults)
    took = time.monotonic() - began
    wait_until_healthy(service)
    wait_until(lambda: requests.get(f"{service.url}/health/ready", timeout=HANG_SECONDS).ok, what="it is not ready")
    time.sleep(2)  # views are written once a second

    statuses = Counter(sample.status for sample in board.load.samples)
    lost = _lost(server, clients)
    # After the last ones nobody may have asked any more.
    recoveries = [seconds for seconds in map(board.load.recovery, faults.mended) if seconds < float("inf")]
    more = {"operations": _operations(board), "lost": len(lost), "recovery": f"{max(recoveries):.2f} s"}
    print(board.load.figures("random faults", seconds=f"{took:.0f}", **more, statuses=dict(statuses), **faults.done))
    assert _operations(board) == OPERATIONS
    assert lost == set()
    assert board.surprises == []
    assert set(statuses) <= {200, 201, 404, NO_ANSWER, AWAY}
    assert min(faults.done[name] for name in ("kill_worker", "kill_database", "stop_database")) > 0
    assert wrong_counters(make_app, server) == []
    _check_rows(server, board)


def _operations(board: Board) -> int:
    """How many operations have asked something; a creation is one, however often it was sent."""
    others = [sample for sample in board.load.samples if (sample.method, sample.path) != ("POST", f"{API}/posts")]
    return len(others) + len(board.creations)


def _run(clients: list[Client], faults: Faults) -> None:
    breaking, *using = (threading.Thread(target=one.run) for one in (faults, *clients))
    for thread in (breaking, *using):
        thread.start()
    for thread in using:
        thread.join()
    faults.end()
    breaking.join()


def _lost(server, clients: list[Client]) -> set[tuple[str, ...]]:
    """The posts and likes that are not what was acknowledged has made of them: whose, of which post."""
    posts = {row.id: (row.title, row.category.casefold(), row.status) for row in rows(server, select(Post.__table__))}
    liked = rows(server, select(Like.user_id, Like.post_id))
    lost: set[tuple[str, ...]] = set()
    for client in clients:
        mine = {like.post_id for like in liked if like.user_id == client.user_id}
        lost |= {(client.name, post) for post, known in client.own.items() if posts.get(post) not in known}
        lost |= {(client.name, post, "like") for post, known in client.likes.items() if (post in mine) not in known}
    return lost


def _check_rows(server, board: Board) -> None:
    posts = {row.id: row for row in rows(server, select(Post.__table__))}
    likes = dict(rows(server, select(Like.post_id, func.count()).group_by(Like.post_id)))
    categories = {row.id: row.name for row in rows(server, select(Category.id, Category.name))}

    assert sorted(posts) == sorted(board.posts), "each creation once, with the same key however often it was sent"
    assert [pair for pair in combinations(sorted(board.creations), 2) if _is_disordered(*pair)] == []
    assert len({post.No for post in posts.values()}) == len(posts)
    assert {post.id for post in posts.values() if categories[post.category_id] != post.category} == set()
    assert len({name.casefold() for name in categories.values()}) == len(categories)
    assert {post.id for post in posts.values() if post.like_count != likes.get(post.id, 0)} == set()
    assert {post.id for post in posts.values() if post.view_count > len(board.viewers[post.id])} == set()
    assert sum(post.view_count for post in posts.values()) > 0


def _is_disordered(earlier: tuple[float, float, int], later: tuple[float, float, int]) -> bool:
    """Tell whether the number of what was acknowledged before another was sent is not below its."""
    return earlier[1] < later[0] and earlier[2] >= later[2]
