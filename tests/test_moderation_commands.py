"""The effects of ``flask moderation``; the routes' tests show all else of its services."""

import pytest
from sqlalchemy import select

from post.models import LogEntry, Post
from post.services import tasks
from tests.answers import UNKNOWN_ID, fault

POSTS = "/api/v1/posts"
NEW = {"title": "제목", "content": "내용"}


@pytest.fixture
def moderation(app):
    """Run a command of ``flask moderation``; returns its exit status and its output."""

    def run(*arguments: str) -> tuple[int, str]:
        result = app.test_cli_runner().invoke(args=["moderation", *arguments])
        return result.exit_code, result.output

    return run


@pytest.fixture
def log(rows):
    """The log's rows: actor, action, reason."""
    query = select(LogEntry.actor, LogEntry.action, LogEntry.reason).order_by(LogEntry.No)
    return lambda: [tuple(row) for row in rows(query)]


def test_a_user_is_suspended_and_may_write_again(client, as_user, user_id, moderation, log):
    sub = user_id("ana")

    suspended = moderation("suspend", sub, "--until", "2099-01-31T15:00:00.1239Z", "--reason", "광고")
    refused = client.post(POSTS, json=NEW, headers=as_user("ana"))
    ended = moderation("unsuspend", sub)
    written = client.post(POSTS, json=NEW, headers=as_user("ana"))

    assert suspended == (0, f"Suspended {sub} until 2099-01-31T15:00:00.123Z.\n")
    assert fault(refused) == (403, "account_suspended")
    assert ended == (0, f"{sub} may write again.\n")
    assert written.status_code == 201
    assert log() == [("shell", "suspend", "광고"), ("shell", "unsuspend", None)]


def test_a_suspension_without_a_time_has_no_end(moderation, user_id):
    assert moderation("suspend", user_id("ana")) == (0, f"Suspended {user_id('ana')} without end.\n")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["unsuspend", "nobody-s"], 1, "Error: nobody-s is not suspended"),
        (["suspend", "a", "--until", "2020-01-01"], 2, "this time has passed already"),
        (["suspend", "a", "--until", "soon"], 2, "soon is no time"),
        (["suspend", " a"], 2, "has 1 to 36 characters"),
        (["suspend", "a" * 37], 2, "has 1 to 36 characters"),
        (["delete-posts", ""], 2, "has 1 to 36 characters"),
        (["purge", UNKNOWN_ID], 1, "Error: There is no such post."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_logged(moderation, log, arguments, status, words):
    code, output = moderation(*arguments)

    assert code == status
    assert words in output
    assert log() == []


def test_all_posts_of_a_user_are_deleted(moderation, make_post, user_id, rows, log, monkeypatch):
    """In steps, as far as a request would get in its time."""
    monkeypatch.setattr(tasks, "REQUEST_SECONDS", 0.05)
    for _ in range(5):
        make_post(author="ana")

    done = moderation("delete-posts", user_id("ana"), "--reason", "광고")

    assert done == (0, "Deleted 5 posts; none is left.\n")
    assert {row.status for row in rows(select(Post.status))} == {"deleted"}
    assert log() == [("shell", "delete_posts", "광고"), *[("shell", "delete", "광고")] * 5]


def test_a_deleted_post_is_erased(moderation, make_post, row, log):
    post_id = make_post(author="ana")
    refused = moderation("purge", post_id)
    deleted = make_post(author="ana", status="deleted")

    done = moderation("purge", deleted, "--reason", "불법")

    assert refused == (1, "Error: Only a deleted post can be erased. Please delete it first.\n")
    assert done == (0, f"Erased {deleted} for good.\n")
    assert (row(post_id).title, row(deleted).title) == ("제목", "")
    assert log() == [("shell", "purge", "불법")]


# Posts and categories


@pytest.fixture
def seen(client):
    """Return the titles that everybody sees."""
    return lambda: [post["title"] for post in client.get("/api/v1/posts").json["data"]]


def test_a_post_is_hidden_restored_deleted_and_restored(moderation, make_post, seen, row, log):
    post_id = make_post(title="글")

    for action, shown in (("hide", []), ("restore", ["글"]), ("delete", []), ("restore", ["글"])):
        status, output = moderation(action, post_id, "--reason", "광고")
        assert (status, seen()) == (0, shown), output

    assert log() == [("shell", action, "광고") for action in ("hide", "restore", "delete", "restore")]
    assert (row(post_id).hidden_by, row(post_id).deleted_by) == (None, None)


def test_a_post_is_pinned_and_unpinned(moderation, make_post, client):
    post_id = make_post()

    for action, pinned in (("pin", [post_id]), ("unpin", [])):
        assert moderation(action, post_id)[0] == 0
        assert [post["id"] for post in client.get("/api/v1/posts").json["meta"]["pinned"]] == pinned


@pytest.mark.parametrize("action", ["hide", "restore", "delete", "pin", "unpin"])
def test_a_post_that_is_not_there_is_said_so(moderation, action):
    assert moderation(action, UNKNOWN_ID) == (1, "Error: There is no such post.\n")


def test_categories_are_renamed_closed_merged_and_deleted(moderation, client, make_post, row, log):
    post_id = make_post(category="여행")
    make_post(category="맛집")

    outputs = [
        moderation(*arguments)[1]
        for arguments in (
            ("edit-category", "여행", "--rename", "Travel", "--close", "--position", "3"),
            ("edit-category", "TRAVEL", "--open"),
            ("merge-category", "travel", "맛집"),
            ("delete-category", "맛집"),
            ("edit-category", "맛집"),
            ("edit-category", "맛집", "--rename", "x" * 51),
            ("delete-category", "없음"),
        )
    ]

    assert outputs[:3] == ["Changed Travel.\n", "Changed Travel.\n", "Moved 1 posts.\n"]
    assert "has posts" in outputs[3]
    assert "say what to change" in outputs[4]
    assert "at most 50" in outputs[5]
    assert outputs[6] == "Error: there is no category 없음\n"
    assert row(post_id).category == "맛집"
    assert [category["name"] for category in client.get("/api/v1/categories").json["data"]] == ["맛집"]
    assert [action for _, action, _ in log()] == ["edit_category", "edit_category", "merge_category"]
