"""All posts of a user deleted by an admin: in batches, with counts, search and log exact at each moment."""

import json
import threading
from collections import Counter
from dataclasses import replace

import pytest
from sqlalchemy import func, select, update

from post import services
from post.models import LogEntry, Post, Report, SearchTitle, Task, db
from post.services import tasks, user_posts
from post.utils import Caller
from tests.answers import fault
from tests.conftest import at_once
from tests.servers import HANG_SECONDS

pytestmark = pytest.mark.usefixtures("patient_requests")

API = "/api/v1"
POSTS = f"{API}/posts"


@pytest.fixture
def delete_all(client, as_user, user_id):
    """Delete all posts of a user as an admin; returns the answer."""
    return lambda name, **body: client.delete(
        f"{API}/admin/users/{user_id(name)}/posts", headers=as_user("root"), **({"json": body} if body else {})
    )


@pytest.fixture
def make_posts(app, user_id):
    """Make posts of a user, every third a draft; returns their ids."""

    def make(name: str, count: int, *, title: str = "광고 글") -> list[str]:
        author = Caller(user_id=user_id(name), username=name)
        with app.app_context():
            return [
                services.create_post(
                    author=author,
                    title=f"{title} {n}",
                    content="내용",
                    category="일반",
                    status="hidden" if n % 3 == 2 else "visible",
                )["id"]
                for n in range(count)
            ]

    return make


@pytest.fixture
def statuses(rows):
    """The number of posts by author and status."""
    query = select(Post.username, Post.status, func.count()).group_by(Post.username, Post.status)
    return lambda: {(name, status): count for name, status, count in rows(query)}


@pytest.fixture
def log(rows):
    """The log's rows: action, post, states."""
    query = select(LogEntry.action, LogEntry.post_id, LogEntry.state_before, LogEntry.state_after, LogEntry.reason)
    return lambda: rows(query.order_by(LogEntry.No))


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(tasks, "BATCH_MAX", 3)
    monkeypatch.setattr(tasks, "FIRST_BATCH", 2)


def test_all_posts_of_a_user_are_deleted_and_no_other(
    delete_all, make_posts, statuses, log, small_batches, *, user_id, wrong, row, stored
):
    ids, others = make_posts("ana", 10), make_posts("bo", 2)

    answer = delete_all("ana", reason="광고")

    assert answer.status_code == 200
    data = answer.json["data"]
    assert (data["kind"], data["state"], data["total"], data["done"]) == ("delete_posts", "done", 10, 10)
    assert statuses() == {("ana", "deleted"): 10, ("bo", "visible"): 2}
    post = row(ids[0])
    assert (post.deleted_by, post.deleted_at is not None, post.updated_at > post.created_at) == (
        "moderator",
        True,
        True,
    )
    assert wrong() == []
    assert stored(select(func.count()).select_from(SearchTitle)) == 2
    first, *each = log()
    assert (first.action, first.post_id, json.loads(first.state_before)) == (
        "delete_posts",
        None,
        {"visible": 7, "hidden": 3},
    )
    assert Counter(entry.post_id for entry in each) == Counter(ids)
    assert {(entry.action, entry.reason) for entry in each} == {("delete", "광고")}
    befores = Counter(json.loads(entry.state_before)["status"] for entry in each)
    assert befores == {"visible": 7, "hidden": 3}
    assert others


def test_reports_of_the_posts_are_resolved(client, as_user, user_id, delete_all, make_posts, row, *, rows, log):
    reported, other = make_posts("ana", 2)
    client.post(f"{POSTS}/{reported}/reports", json={"reason": "spam"}, headers=as_user("bo"))
    assert row(reported).report_count == 1

    delete_all("ana")

    found = rows(select(Report.state, Report.resolution, Report.resolved_by))
    assert found == [("resolved", "delete", user_id("root"))]
    assert (row(reported).report_count, row(reported).held_since) == (0, None)
    after = {entry.post_id: json.loads(entry.state_after) for entry in log() if entry.post_id}
    assert after[reported] == {"status": "deleted", "deleted_by": "moderator", "resolution": "delete", "reports": 1}
    assert after[other] == {"status": "deleted", "deleted_by": "moderator"}


def test_the_same_request_again_shows_the_task_and_logs_nothing(delete_all, make_posts, log):
    make_posts("ana", 3)
    first = delete_all("ana").json["data"]
    count = len(log())

    again = delete_all("ana")

    assert (again.status_code, again.json["data"]) == (200, first)
    assert len(log()) == count == 4


def test_of_a_user_without_posts_nothing_is_logged(delete_all, log):
    answer = delete_all("ana")

    assert (answer.status_code, answer.json["data"]["done"]) == (200, 0)
    assert log() == []


def test_posts_that_are_written_afterwards_are_another_task_s(delete_all, make_posts, log, statuses):
    make_posts("ana", 2)
    first = delete_all("ana").json["data"]
    make_posts("ana", 1)

    second = delete_all("ana").json["data"]

    assert second["id"] != first["id"]
    assert statuses() == {("ana", "deleted"): 3}
    assert [entry.action for entry in log()].count("delete_posts") == 2


def test_what_takes_longer_is_under_way_and_goes_on(app, delete_all, make_posts, monkeypatch, statuses, *, wrong):
    """Without a thread that goes on, so that another request does."""
    make_posts("ana", 5)
    monkeypatch.setattr(tasks, "REQUEST_SECONDS", 0)
    idle = type("Idle", (), {"wake": lambda _self: None})()
    monkeypatch.setitem(app.extensions, "post", replace(app.extensions["post"], task_runner=idle))
    first = delete_all("ana")
    monkeypatch.setattr(tasks, "REQUEST_SECONDS", HANG_SECONDS)

    second = delete_all("ana")

    assert (first.status_code, first.json["data"]["state"], first.json["data"]["done"]) == (202, "running", 0)
    assert (second.status_code, second.json["data"]["done"]) == (200, 5)
    assert second.json["data"]["id"] == first.json["data"]["id"]
    assert statuses() == {("ana", "deleted"): 5}
    assert wrong() == []


def test_an_admin_s_own_posts_are_deleted_as_their_author_s(delete_all, make_posts, row):
    (post_id,) = make_posts("root", 1)

    delete_all("root")

    assert row(post_id).deleted_by == "author"


def test_a_deleted_post_is_restored_as_others_are(client, as_user, delete_all, make_posts, wrong):
    (post_id,) = make_posts("ana", 1)
    delete_all("ana")

    restored = client.patch(f"{POSTS}/{post_id}", json={"status": "visible"}, headers=as_user("root"))

    assert restored.json["data"]["status"] == "visible"
    assert client.get(f"{POSTS}?q=광고").json["meta"]["total"] == 1
    assert wrong() == []


@pytest.mark.parametrize("who", ["nobody", "ana"])
def test_only_admins_delete_all_posts(client, as_user, user_id, make_posts, statuses, who):
    make_posts("ana", 1)

    answer = client.delete(f"{API}/admin/users/{user_id('ana')}/posts", headers=as_user(who))

    assert fault(answer) == ((401, "token_missing") if who == "nobody" else (403, "forbidden"))
    assert statuses() == {("ana", "visible"): 1}


def test_a_batch_sends_as_many_statements_for_many_posts_as_for_few(app, make_posts, user_id, count_queries):
    """But for those that go with its COMMIT."""
    sent = []
    for count in (3, 30):
        make_posts("ana", count)
        values = {"kind": user_posts.DELETE_POSTS, "subject": user_id("ana"), "actor": "root"}
        with app.app_context():
            task = type("Row", (), {**values, "reason": None})()
            with count_queries() as statements, user_posts.transaction() as connection:
                assert user_posts._delete_some(connection, task, None, 100).done == count - count // 3
        kept = [
            one for one in statements if not one.startswith(("DELETE FROM search_grams", "INSERT INTO post_counts"))
        ]
        sent.append(len(kept))

    assert sent[0] == sent[1]


def test_a_title_that_the_index_has_wrong_leaves_nothing_of_it(app, delete_all, make_posts, wrong, stored):
    make_posts("ana", 2)
    with app.app_context():
        db.session.execute(update(SearchTitle).values(title_key="다른 제목"))
        db.session.commit()

    delete_all("ana")

    assert stored(select(func.count()).select_from(SearchTitle)) == 0
    assert wrong() == []


def test_posts_written_meanwhile_are_deleted_until_their_author_is_suspended(
    app, client, as_user, user_id, make_posts, *, statuses, wrong, small_batches, log, monkeypatch
):
    """Ana writes, hides and shows in threads; an admin suspends her, then deletes all she has."""
    ids = make_posts("ana", 12)
    headers, admin = as_user("ana"), as_user("root")
    is_suspended = threading.Event()

    def keep_writing(number: int) -> None:
        own = app.test_client()
        for turn in range(200):
            answer = own.post(POSTS, json={"title": f"새 글 {turn}", "content": "내용"}, headers=headers)
            post = ids[(number + turn) % len(ids)]
            own.patch(f"{POSTS}/{post}", json={"status": ["hidden", "visible"][turn % 2]}, headers=headers)
            if answer.status_code == 403 and is_suspended.is_set():
                return

    def moderate() -> None:
        own, url = app.test_client(), f"{API}/admin/users/{user_id('ana')}"
        own.delete(f"{url}/posts", headers=admin)
        own.put(f"{url}/suspension", headers=admin)
        is_suspended.set()

    with monkeypatch.context() as hurried:
        hurried.setattr(tasks, "REQUEST_SECONDS", 2)  # as in production: while ana writes on, it may never be done
        at_once([*(lambda number=number: keep_writing(number) for number in range(3)), moderate])
    answer = client.delete(f"{API}/admin/users/{user_id('ana')}/posts", headers=admin)

    assert answer.json["data"]["state"] == "done"
    found = statuses()
    assert set(found) == {("ana", "deleted")}
    assert found["ana", "deleted"] == [entry.action for entry in log()].count("delete")
    assert wrong() == []


def test_two_admins_at_once_share_one_task(app, as_user, user_id, make_posts, statuses, *, wrong, log, stored):
    make_posts("ana", 25)
    headers, url = as_user("root"), f"{API}/admin/users/{user_id('ana')}/posts"

    answers = at_once([lambda: app.test_client().delete(url, headers=headers)] * 4)

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json["data"]["id"] for answer in answers}) == 1
    assert statuses() == {("ana", "deleted"): 25}
    assert Counter(entry.action for entry in log()) == {"delete_posts": 1, "delete": 25}
    assert stored(select(Task.done)) == 25
    assert wrong() == []
