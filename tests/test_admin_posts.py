"""Moderators' list of posts: of any status, with filters, pages and cursors, and what a moderator needs to know."""

from datetime import datetime

import pytest

from post.services import search_plans
from tests.answers import OWNER_FIELDS, POST_FIELDS, fault, wrong_fields

API = "/api/v1"
LIST = f"{API}/admin/posts"


@pytest.fixture
def listed(client, as_user):
    """Return the list's answer for an admin."""
    return lambda **query: client.get(LIST, query_string=query, headers=as_user("root"))


@pytest.fixture
def titles(listed):
    return lambda **query: [post["title"] for post in listed(**query).json["data"]]


@pytest.fixture
def board(client, as_user, make_post):
    """Two posts of each status, and an erased one, the oldest first; returns the ids by title."""
    ids = {}
    for number in (1, 2):
        for kind, method, body in (
            ("visible", None, None),
            ("hidden", "PATCH", {"status": "hidden"}),
            ("deleted", "DELETE", {"reason": "광고"}),
        ):
            title = f"봄 Tea {kind} {number}"
            ids[title] = make_post(author=("ana", "bo")[number - 1], title=title, category=f"차 {number}")
            if method:
                who = as_user(("ana", "root")[number - 1])
                url = f"{API}/posts/{ids[title]}"
                assert client.open(url, method=method, json=body, headers=who).status_code == 200
    gone = make_post(title="봄 Tea erased")
    client.delete(f"{API}/posts/{gone}", headers=as_user("root"))
    assert client.delete(f"{API}/admin/posts/{gone}", headers=as_user("root")).status_code == 200
    return ids


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["deleted 2", "hidden 2", "visible 2", "deleted 1", "hidden 1", "visible 1"]),
        ({"status": "any"}, ["deleted 2", "hidden 2", "visible 2", "deleted 1", "hidden 1", "visible 1"]),
        ({"status": "visible"}, ["visible 2", "visible 1"]),
        ({"status": "hidden"}, ["hidden 2", "hidden 1"]),
        ({"status": "deleted"}, ["deleted 2", "deleted 1"]),
        ({"category": "차 1"}, ["deleted 1", "hidden 1", "visible 1"]),
        ({"category": "차 1", "status": "deleted"}, ["deleted 1"]),
        ({"q": "tEA"}, ["deleted 2", "hidden 2", "visible 2", "deleted 1", "hidden 1", "visible 1"]),
        ({"q": "tEA visible"}, ["visible 2", "visible 1"]),
        ({"q": "tEA h", "status": "any"}, ["hidden 2", "hidden 1"]),
        ({"q": "1", "category": "차 1"}, ["deleted 1", "hidden 1", "visible 1"]),
        ({"q": "%"}, []),
        ({"sort": "popular"}, ["deleted 2", "hidden 2", "visible 2", "deleted 1", "hidden 1", "visible 1"]),
    ],
    ids=str,
)
@pytest.mark.usefixtures("board")
def test_posts_are_listed_by_status_and_filters(listed, titles, query, expected):
    assert titles(**query) == [f"봄 Tea {title}" for title in expected]
    meta = listed(**query).json["meta"]
    assert (meta["total"], "total_capped" in meta, "pinned" in meta) == (len(expected), False, False)


@pytest.mark.usefixtures("board")
def test_posts_of_one_author_are_listed(titles, user_id):
    assert titles(user_id=user_id("bo"), status="any") == [
        f"봄 Tea {kind} 2" for kind in ("deleted", "hidden", "visible")
    ]
    assert titles(user_id=user_id("bo"), q="deleted", category="차 2") == ["봄 Tea deleted 2"]


@pytest.mark.parametrize("sort", ["latest", "popular"])
@pytest.mark.usefixtures("board")
def test_pages_and_cursors_lead_through_the_whole_list_and_back(listed, titles, sort):
    whole = titles(sort=sort)

    by_page = [title for page in (1, 2, 3) for title in titles(sort=sort, page=page, per_page=2)]
    by_cursor, query = [], {"sort": sort, "per_page": 2}
    while True:
        answer = listed(**query)
        by_cursor += [post["title"] for post in answer.json["data"]]
        if not answer.json["meta"]["has_next"]:
            break
        query["cursor"] = answer.json["meta"]["next_cursor"]

    assert by_page == by_cursor == whole
    assert 'rel="prev"' in answer.headers["Link"]
    assert titles(sort=sort, page=9) == []


def test_a_moderator_sees_who_has_hidden_and_deleted_a_post_and_its_reports(client, as_user, listed, board):
    reported = f"{API}/posts/{board['봄 Tea visible 1']}/reports"
    assert client.post(reported, json={"reason": "spam"}, headers=as_user("zoe")).status_code == 201

    posts = {post["title"].removeprefix("봄 Tea "): post for post in listed().json["data"]}

    assert set(posts["visible 1"]) == POST_FIELDS | OWNER_FIELDS | {"report_count", "deleted_at", "deleted_by"}
    shown = {title: (post["hidden_by"], post["deleted_by"], post["report_count"]) for title, post in posts.items()}
    assert shown == {
        "visible 1": (None, None, 1),
        "visible 2": (None, None, 0),
        "hidden 1": ("author", None, 0),
        "hidden 2": ("moderator", None, 0),
        "deleted 1": (None, "author", 0),
        "deleted 2": (None, "moderator", 0),
    }
    assert posts["visible 1"]["deleted_at"] is None
    deleted = posts["deleted 2"]
    assert deleted["deleted_at"] == deleted["updated_at"] > deleted["created_at"]
    assert datetime.fromisoformat(deleted["deleted_at"])


def test_reported_posts_alone(client, as_user, listed, titles, board):
    for title in ("봄 Tea visible 1", "봄 Tea visible 2"):
        url = f"{API}/posts/{board[title]}/reports"
        assert client.post(url, json={"reason": "abuse"}, headers=as_user("zoe")).status_code == 201
    client.patch(f"{API}/posts/{board['봄 Tea visible 2']}", json={"status": "hidden"}, headers=as_user("bo"))

    assert titles(reported="true") == ["봄 Tea visible 2", "봄 Tea visible 1"]
    assert titles(reported="true", status="hidden") == ["봄 Tea visible 2"]
    assert titles(reported="true", q="tea", category="차 1") == ["봄 Tea visible 1"]
    assert listed(reported="true").json["meta"]["total"] == 2
    assert len(titles(reported="false")) == 6


@pytest.mark.usefixtures("board")
def test_a_summary_has_excerpts(listed):
    assert {"excerpt", "content"} & set(listed(view="summary").json["data"][0]) == {"excerpt"}


@pytest.mark.usefixtures("board")
def test_more_than_is_counted_is_said_to_be_more(listed, monkeypatch):
    monkeypatch.setattr("post.services.pages.SEARCH_TOTAL_MAX", 1)
    monkeypatch.setattr(search_plans, "SEARCH_TOTAL_MAX", 1)

    # Two visible and two hidden ones are kept counts; of the deleted ones one is counted.
    assert [listed().json["meta"][name] for name in ("total", "total_capped")] == [5, True]
    assert [listed(q="tea").json["meta"][name] for name in ("total", "total_capped")] == [3, True]
    assert len(listed(q="tea").json["data"]) == 6
    assert "total_capped" not in listed(status="hidden").json["meta"]


@pytest.mark.parametrize("title", ["λόγος Straße", "100% _a_ /b\\", "ΛΌΓΟΣ"])
@pytest.mark.parametrize("status", ["visible", "hidden", "deleted"])
def test_a_title_is_found_as_it_is_written(titles, make_post, title, status):
    make_post(title=title, status=status)
    make_post(title="another", status=status)

    assert titles(q=title) == titles(q=title[1:]) == titles(q=title, status=status) == [title]


def test_titles_of_the_newest_hidden_and_deleted_posts_alone_are_read(listed, titles, make_post, monkeypatch):
    for module in ("pages", "search_plans"):
        monkeypatch.setattr(f"post.services.{module}.SEARCH_TOTAL_MAX", 2)
    for status in ("hidden", "deleted"):
        for title in ("old tea", "tea", "milk", "more tea"):
            make_post(title=f"{title} {status}", status=status)

    found = [f"{title} {status}" for status in ("deleted", "hidden") for title in ("more tea", "tea")]
    assert titles(q="tea") == found
    assert [listed(q="tea").json["meta"][name] for name in ("total", "total_capped")] == [4, True]
    assert titles(q="old", status="hidden") == []


def test_the_most_reported_posts_are_listed_where_there_are_too_many(listed, titles, make_post, monkeypatch):
    monkeypatch.setattr("post.services.pages.SEARCH_TOTAL_MAX", 2)
    for number in (3, 1, 9, 7, 0):
        make_post(title=str(number), report_count=number)

    assert titles(reported="true") == ["7", "9", "3"]
    assert [listed(reported="true").json["meta"][name] for name in ("total", "total_capped")] == [2, True]


@pytest.mark.parametrize("query", [{}, {"status": "hidden"}, {"status": "deleted"}], ids=str)
def test_deep_pages_end_where_a_cursor_has_to_lead_on(listed, make_post, monkeypatch, query):
    monkeypatch.setattr("post.services.pages.SEARCH_TOTAL_MAX", 5)
    monkeypatch.setattr("post.services.pages.DEEP_OFFSET", 1)
    for number in range(20):
        make_post(title=str(number), status=query.get("status") or ("visible", "hidden")[number % 2])

    there = [listed(**query, page=page, per_page=1) for page in (6, 20, 21, 10**6)]
    far = listed(**query, page=10, per_page=1)
    shown = [[post["title"] for post in answer.json["data"]] for answer in there if answer.status_code == 200]

    if query.get("status") == "deleted":  # their number is not known
        assert [answer.status_code for answer in there] == [200, 400, 400, 400]
        assert shown == [["14"]]
    else:
        assert shown == [["14"], ["0"], [], []]
    assert wrong_fields(far) == {"page"}
    assert "cursor" in far.json["message"]
    on = listed(**query, cursor=listed(**query, page=6, per_page=1).json["meta"]["next_cursor"], per_page=2)
    assert [post["title"] for post in on.json["data"]] == ["13", "12"]


def test_visible_posts_alone_have_pages_as_deep_as_in_the_list_for_all(listed, client, make_post, monkeypatch):
    monkeypatch.setattr("post.services.pages.SEARCH_TOTAL_MAX", 5)
    monkeypatch.setattr("post.services.pages.DEEP_OFFSET", 1)
    for number in range(20):
        make_post(title=str(number), status=("visible", "visible", "deleted")[number % 3])

    for page in (1, 6, 9, 14, 15):
        for_all = client.get(f"{API}/posts", query_string={"page": page, "per_page": 1}).json
        mine = listed(status="visible", page=page, per_page=1).json
        assert [post["id"] for post in mine["data"]] == [post["id"] for post in for_all["data"]]
        assert mine["meta"] == {name: value for name, value in for_all["meta"].items() if name != "pinned"}


@pytest.mark.parametrize("who", ["nobody", "ana"])
def test_only_admins_list_them(client, as_user, who):
    answer = client.get(LIST, headers=as_user(who))

    assert fault(answer) == ((401, "token_missing") if who == "nobody" else (403, "forbidden"))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"status": "x"}, "status"),
        ({"reported": "1"}, "reported"),
        ({"page": "0"}, "page"),
        ({"cursor": "x"}, "cursor"),
    ],
    ids=str,
)
def test_a_wrong_value_is_named(listed, query, field):
    assert wrong_fields(listed(**query)) == {field}
