"""Moderators and users at work at random while workers are killed: counts, search and the log tell the same story."""

import json
import os
import random
import secrets
import signal
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress

import pytest
import requests
from sqlalchemy import select

from post.models import DELETED, HIDDEN, OPEN, Category, LogEntry, Pin, Post, Report, RestrictedAccount, Task
from tests.drills.aftermath import rows, wrong_counters
from tests.load import API, Load, Sample, ask
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
USERS = [f"user{number}" for number in range(6)]
CATEGORIES = ("여행", "맛집", "Spring Boot", "카페")
TITLES = ("봄 여행", "싼 약 팝니다", "Spring Boot", "카페 추천")
NO_ANSWER, AWAY = 0, 503  # after which nobody knows whether it was done
REFUSED = {400, 403, 404, 409}


class Board:
    """The clients' knowledge of the board, together."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.posts: list[str] = []
        self.load = Load()
        self.unexpected: list[Sample] = []
        self.granted: dict[str, Sample] = {}  # the answers to admins' actions, by the action's reason
        self.users = {name: self._user(name, []) for name in USERS}
        self.admins = {name: self._user(name, ["admin"]) for name in ("root", "toor")}

    def _user(self, name: str, groups: list[str]) -> dict[str, str]:
        body = {"username": name, "groups": groups}
        told = requests.post(f"{self.url}/dev/token", json=body, timeout=HANG_SECONDS).json()["data"]
        return {"sub": told["sub"], "Authorization": f"Bearer {told['access_token']}"}


class Client:
    """Somebody who does as any of the users or admins, at random."""

    def __init__(self, board: Board, name: str, seed: str) -> None:
        self._board, self._name = board, name
        self._random, self._session = random.Random(seed), requests.Session()
        self.done: Counter[str] = Counter()

    def run(self) -> None:
        kinds = {
            self._create: 22,
            self._edit: 8,
            self._like: 8,
            self._remove_own: 3,
            self._report: 16,
            self._resolve: 8,
            self._hide: 8,
            self._restore: 8,
            self._delete: 6,
            self._purge: 4,
            self._pin: 5,
            self._unpin: 3,
            self._suspend: 2,
            self._unsuspend: 4,
            self._delete_all: 1,
            self._change_category: 2,
        }
        for number in range(OPERATIONS // CLIENTS):
            [kind] = self._random.choices([*kinds], [*kinds.values()]) if self._board.posts else [self._create]
            kind(f"{self._name}-{number}")
            self.done[kind.__name__.strip("_")] += 1

    def _ask(self, method: str, path: str, who: dict[str, str], **options) -> Sample:
        headers = {"Authorization": who["Authorization"]} | options.pop("headers", {})
        sample = ask(self._session, self._board.url, method, f"{API}{path}", headers=headers, **options)
        self._board.load.samples.append(sample)
        if sample.status not in {200, 201, 202, *REFUSED, NO_ANSWER, AWAY}:
            self._board.unexpected.append(sample)
        if sample.status in (NO_ANSWER, AWAY):
            time.sleep(0.2)
        return sample

    def _as_admin(self, reason: str, method: str, path: str, **body) -> None:
        who = self._board.admins[self._random.choice([*self._board.admins])]
        self._board.granted[reason] = self._ask(method, path, who, json={"reason": reason, **body})

    @property
    def _user(self) -> dict[str, str]:
        return self._board.users[self._random.choice(USERS)]

    @property
    def _post(self) -> str:
        return f"/posts/{self._random.choice(self._board.posts)}"

    def _create(self, key: str) -> None:
        body = {"title": self._random.choice(TITLES), "content": "내용", "category": self._random.choice(CATEGORIES)}
        made = self._ask("POST", "/posts", self._user, json=body, headers={"Idempotency-Key": key})
        if made.status == 201:
            self._board.posts.append(made.body["data"]["id"])

    def _edit(self, _key: str) -> None:
        body = {"title": self._random.choice(TITLES), "status": self._random.choice(["visible", "hidden"])}
        self._ask("PATCH", self._post, self._user, json=body)

    def _like(self, _key: str) -> None:
        self._ask("POST", f"{self._post}/like", self._user)

    def _remove_own(self, _key: str) -> None:
        self._ask("DELETE", self._post, self._user)

    def _report(self, _key: str) -> None:
        self._ask("POST", f"{self._post}/reports", self._user, json={"reason": "spam", "text": "광고"})

    def _resolve(self, reason: str) -> None:
        listed = self._ask("GET", "/admin/reports", self._board.admins["root"])
        if listed.status == 200 and listed.body["data"]:
            report = self._random.choice(listed.body["data"])["id"]
            action = self._random.choice(["dismiss", "hide", "delete"])
            self._as_admin(reason, "POST", f"/admin/reports/{report}/resolve", action=action)

    def _hide(self, reason: str) -> None:
        self._as_admin(reason, "PATCH", self._post, status="hidden")

    def _restore(self, reason: str) -> None:
        self._as_admin(reason, "PATCH", self._post, status="visible")

    def _delete(self, reason: str) -> None:
        self._as_admin(reason, "DELETE", self._post)

    def _purge(self, reason: str) -> None:
        self._as_admin(reason, "DELETE", f"/admin{self._post}")

    def _pin(self, reason: str) -> None:
        self._as_admin(reason, "PUT", f"{self._post}/pin", scope=self._random.choice(["all", "category"]))

    def _unpin(self, reason: str) -> None:
        self._as_admin(reason, "DELETE", f"{self._post}/pin", scope=self._random.choice(["all", "category"]))

    def _suspend(self, reason: str) -> None:
        self._as_admin(reason, "PUT", f"/admin/users/{self._user['sub']}/suspension")

    def _unsuspend(self, reason: str) -> None:
        self._as_admin(reason, "DELETE", f"/admin/users/{self._user['sub']}/suspension")

    def _delete_all(self, reason: str) -> None:
        self._as_admin(reason, "DELETE", f"/admin/users/{self._user['sub']}/posts")

    def _change_category(self, reason: str) -> None:
        listed = self._ask("GET", "/categories", self._user)
        if listed.status != 200 or len(listed.body["data"]) < 2:
            return
        one, other = (category["id"] for category in self._random.sample(listed.body["data"], 2))
        if self._random.random() < 0.5:
            self._as_admin(reason, "POST", f"/categories/{one}/merge", into=other)
        else:
            self._as_admin(reason, "PATCH", f"/categories/{one}", name=f"새 이름 {reason}")


def kill_workers(service, seed: str, ended: threading.Event) -> int:
    """Kill a worker every second or so until it is told to end; returns how many it has killed."""
    chance, killed = random.Random(seed), 0
    while not ended.wait(chance.uniform(0.5, 1.5)):
        workers = [*children_of(service.process.pid)]
        with suppress(ProcessLookupError, IndexError):
            os.kill(chance.choice(workers), signal.SIGKILL)
            killed += 1
    return killed


@pytest.fixture(scope="module")
def server():
    with running_mysql() as server:
        yield server


@pytest.fixture(scope="module")
def service(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    with running_service(folder, DATABASE_URL=server.url, REPORTS_TO_HIDE="3", **UNLIMITED) as service:
        yield service


def test_the_log_tells_what_moderators_have_done_whoever_is_killed_meanwhile(server, service, make_app):
    seed = os.environ.get("DRILL_SEED") or str(secrets.randbelow(2**32))
    print(f"\nDRILL_SEED={seed}")
    board = Board(service.url)
    clients = [Client(board, f"{number}", f"{seed} {number}") for number in range(CLIENTS)]
    killed = _run(clients, service, seed)
    wait_until_healthy(service)
    wait_until(lambda: _tasks_running(server) == 0, what="a task has not ended")

    kinds = sum((client.done for client in clients), Counter())
    statuses = Counter(sample.status for sample in board.load.samples)
    print(f"{kinds.total()} operations, {killed} workers killed, {dict(statuses)}, {dict(kinds)}")
    assert kinds.total() == OPERATIONS
    assert killed > 0
    assert board.unexpected == []
    assert wrong_counters(make_app, server) == []
    _check_log(server, board)


def _run(clients: list[Client], service, seed: str) -> int:
    ended, killed = threading.Event(), []
    killer = threading.Thread(target=lambda: killed.append(kill_workers(service, f"{seed} kills", ended)))
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in (killer, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    ended.set()
    killer.join()
    return killed[0]


def _tasks_running(server) -> int:
    return len(rows(server, select(Task.id).where(Task.ended_at.is_(None))))


def _check_log(server, board: Board) -> None:
    log = rows(server, select(LogEntry.__table__).order_by(LogEntry.No))
    assert [row for row in log if "싼 약" in f"{row.state_before}{row.state_after}"] == []
    _check_answers(log, board)
    _check_posts(server, log)
    _check_pins_and_suspensions(server, log)


def _check_answers(log, board: Board) -> None:
    """Each action that was granted has one row, besides those of each post that all of a user's deletes; none more."""
    logged = Counter(row.reason for row in log if row.reason is not None and row.action != "delete")
    logged += Counter({row.reason for row in log if row.action == "delete" and row.reason not in logged})
    for reason, answer in board.granted.items():
        assert logged[reason] <= 1, reason
        if answer.status in REFUSED:
            assert logged[reason] == 0, (reason, answer)
    assert set(logged) - {None} <= set(board.granted)


def _check_posts(server, log) -> None:
    posts = {row.id: row for row in rows(server, select(Post.__table__))}
    last: dict[str, tuple[str, dict]] = {}
    for row in log:
        if row.post_id is not None and row.action not in ("pin", "unpin"):
            last[row.post_id] = (row.action, json.loads(row.state_after or "{}"))
    reports = defaultdict(list)
    for report in rows(server, select(Report.__table__)):
        reports[report.post_id].append(report.state)
    for post in posts.values():
        action, after = last.get(post.id, (None, {}))
        assert (action == "purge") == (post.purged_at is not None), post
        assert post.report_count == reports[post.id].count(OPEN), post
        if post.purged_at is None and post.status == HIDDEN and post.hidden_by == "moderator":
            assert after["status"] == HIDDEN, (post, action, after)
        if post.purged_at is None and post.status == DELETED and post.deleted_by == "moderator":
            assert after["status"] == DELETED, (post, action, after)
        if after.get("status") == DELETED:
            assert post.status == DELETED, (post, action, after)
        if after.get("hidden_by") == "moderator":
            assert post.status == DELETED or post.hidden_by == "moderator", (post, action, after)
    categories = dict(tuple(row) for row in rows(server, select(Category.id, Category.name)))
    assert {
        post.id for post in posts.values() if post.category_id and categories[post.category_id] != post.category
    } == set()


def _check_pins_and_suspensions(server, log) -> None:
    pinned, suspended = set(), set()
    for row in log:
        after = json.loads(row.state_after or "{}")
        match row.action:
            case "pin":
                pinned.add((row.post_id, after["scope"]))
            case "unpin":
                pinned -= {
                    (row.post_id, scope)
                    for scope in ("all", "category")
                    if scope == json.loads(row.state_before)["scope"]
                }
            case "purge":
                pinned -= {(row.post_id, scope) for scope in ("all", "category")}
            case "suspend":
                suspended.add(row.user_id)
            case "unsuspend":
                suspended.discard(row.user_id)
    assert {tuple(row) for row in rows(server, select(Pin.post_id, Pin.scope))} == pinned
    is_suspended = RestrictedAccount.suspended_at.isnot(None)
    assert {row.user_id for row in rows(server, select(RestrictedAccount.user_id).where(is_suspended))} == suspended
