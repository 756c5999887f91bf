"""Drafts: posts that their author has written hidden, until they make them visible."""

import pytest

from tests.answers import fault, wrong_fields

POSTS = "/api/v1/posts"
DRAFT = {"title": "초안", "content": "내용", "category": "초안함", "status": "hidden"}


@pytest.fixture
def draft(client, as_user):
    """The answer to ana's draft."""
    return client.post(POSTS, json=DRAFT, headers=as_user("ana"))


def test_a_draft_is_its_authors_and_admins(client, as_user, draft):
    url = draft.headers["Location"]

    statuses = {who: client.get(url, headers=as_user(who)).status_code for who in ("ana", "root", "bo", "nobody")}

    assert draft.status_code == 201
    assert (draft.json["data"]["status"], draft.json["data"]["hidden_by"]) == ("hidden", "author")
    assert statuses == {"ana": 200, "root": 200, "bo": 404, "nobody": 404}


def test_a_draft_is_in_no_list_but_its_authors_own(client, as_user, draft):
    found = {
        (path, who): client.get(f"{POSTS}{path}", headers=as_user(who)).json["meta"]["total"]
        for path in ("", "?q=초안", "?category=초안함", "/my")
        for who in ("ana", "bo", "root")
    }

    assert {where for where, total in found.items() if total} == {("/my", "ana")}
    (category,) = client.get("/api/v1/categories").json["data"]
    assert (category["name"], category["post_count"]) == ("초안함", 0)


def test_a_draft_that_is_made_visible_is_a_post_like_any_other(client, as_user, draft, wrong):
    url = draft.headers["Location"]

    shown = client.patch(url, json={"status": "visible"}, headers=as_user("ana"))

    assert (shown.json["data"]["status"], shown.json["data"]["hidden_by"]) == ("visible", None)
    assert client.get(url).json["data"]["view_count"] == 1
    assert client.get(POSTS, query_string={"q": "초안"}).json["meta"]["total"] == 1
    assert client.get("/api/v1/categories").json["data"][0]["post_count"] == 1
    assert wrong() == []


def test_an_admins_draft_is_hidden_by_its_author(client, as_user):
    assert client.post(POSTS, json=DRAFT, headers=as_user("root")).json["data"]["hidden_by"] == "author"


def test_visible_is_the_default_and_may_be_named(client, as_user):
    named = client.post(POSTS, json=DRAFT | {"status": "visible"}, headers=as_user("ana")).json["data"]

    assert (named["status"], named["hidden_by"]) == ("visible", None)


@pytest.mark.parametrize("status", ["deleted", "draft", "", None, 1, ["hidden"]], ids=repr)
def test_another_status_is_refused_by_its_name(client, as_user, status):
    response = client.post(POSTS, json=DRAFT | {"status": status}, headers=as_user("ana"))

    assert wrong_fields(response) == {"status"}


def test_a_draft_and_a_post_are_different_requests_of_one_key(client, as_user):
    headers = as_user("ana") | {"Idempotency-Key": "a"}

    first, again = (client.post(POSTS, json=DRAFT, headers=headers) for _ in range(2))
    other = client.post(POSTS, json=DRAFT | {"status": "visible"}, headers=headers)

    assert (first.status_code, first.data) == (again.status_code, again.data) == (201, first.data)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert fault(other) == (409, "idempotency_conflict")
