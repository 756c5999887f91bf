"""The comment count: set by the Comment Service, by the scope of its token."""

import random
from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.answers import UNKNOWN_ID, fault, wrong_fields
from tests.conftest import at_once

POSTS = "/api/v1/posts"
SCOPE = "post-service/comments.write"
LONG_AGO = datetime(2020, 1, 2, 3, 4, 5, 678000, UTC).replace(tzinfo=None)  # as the database has it
COUNT = {"comment_count": 3}
COUNT_MAX = 2**31 - 1


def count_url(post_id: str) -> str:
    return f"{POSTS}/{post_id}/comment-count"


@pytest.fixture
def with_scope(shared_app):
    """Headers of a service whose access token has a scope."""
    issuer = shared_app.extensions["post"].dev_issuer

    def headers(scope: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {issuer.issue('comment-service', [], scope)['access_token']}"}

    return headers


@pytest.fixture
def as_comment_service(with_scope):
    return with_scope(SCOPE)


# What is stored


def test_the_comment_service_sets_the_count(client, make_post, as_comment_service, row):
    post_id = make_post()

    response = client.put(count_url(post_id), json=COUNT, headers=as_comment_service)

    assert response.status_code == 200
    assert response.json["success"] is True
    assert response.json["data"] == {"id": post_id, "comment_count": 3}
    assert row(post_id).comment_count == 3


def test_the_post_and_the_lists_show_it(client, make_post, as_comment_service, as_user):
    post_id = make_post(author="ana")
    client.put(count_url(post_id), json=COUNT, headers=as_comment_service)

    shown = [
        client.get(f"{POSTS}/{post_id}").json["data"],
        client.get(POSTS).json["data"][0],
        client.get(f"{POSTS}?view=summary").json["data"][0],
        client.get(f"{POSTS}/my", headers=as_user("ana")).json["data"][0],
    ]

    assert [post["comment_count"] for post in shown] == [3] * 4


@pytest.mark.parametrize("count", [0, 2, COUNT_MAX], ids=["none", "fewer", "most"])
def test_a_later_count_replaces_the_one_before(client, make_post, as_comment_service, row, count):
    post_id = make_post(comment_count=7)

    response = client.put(count_url(post_id), json={"comment_count": count}, headers=as_comment_service)

    assert response.json["data"]["comment_count"] == count
    assert row(post_id).comment_count == count


def test_the_same_count_again_is_no_error(client, make_post, as_comment_service):
    post_id = make_post()

    statuses = [client.put(count_url(post_id), json=COUNT, headers=as_comment_service).status_code for _ in range(2)]

    assert statuses == [200, 200]


def test_nothing_else_of_the_post_moves(client, make_post, as_comment_service, row):
    post_id = make_post(view_count=5, like_count=4, created_at=LONG_AGO, updated_at=LONG_AGO)

    client.put(count_url(post_id), json=COUNT, headers=as_comment_service)

    post = row(post_id)
    assert (post.created_at, post.updated_at) == (LONG_AGO, LONG_AGO)
    assert (post.view_count, post.like_count, post.title, post.status) == (5, 4, "제목", "visible")


def test_no_other_post_is_counted(client, make_post, as_comment_service, row):
    counted, other = make_post(), make_post()

    client.put(count_url(counted), json=COUNT, headers=as_comment_service)

    assert row(other).comment_count == 0


def test_a_hidden_post_has_comments_too(client, make_post, as_comment_service, row):
    post_id = make_post(status="hidden")

    response = client.put(count_url(post_id), json=COUNT, headers=as_comment_service)

    assert response.status_code == 200
    assert (row(post_id).comment_count, row(post_id).status) == (3, "hidden")


def test_unknown_fields_are_ignored(client, make_post, as_comment_service, row):
    post_id = make_post()

    response = client.put(count_url(post_id), json=COUNT | {"like_count": 9}, headers=as_comment_service)

    assert response.status_code == 200
    assert row(post_id).like_count == 0


def test_counts_likes_and_edits_of_one_post_at_once_lose_nothing(app, make_post, as_comment_service, as_user, row):
    post_id = make_post(author="ana")
    url = f"{POSTS}/{post_id}"

    def send(method, path, headers, body=None):
        return lambda: app.test_client().open(path, method=method, headers=headers, json=body)

    calls = [send("PUT", count_url(post_id), as_comment_service, COUNT)] * 20
    calls += [send("PUT", f"{url}/like", as_user(f"user{n}")) for n in range(20)]
    calls += [send("PATCH", url, as_user("ana"), {"title": "새 제목"})] * 10
    random.Random(1).shuffle(calls)

    answers = at_once(calls, threads=25)

    assert Counter(answer.status_code for answer in answers) == {200: 50}
    post = row(post_id)
    assert (post.comment_count, post.like_count, post.title) == (3, 20, "새 제목")


def test_a_whole_number_may_be_written_with_a_point(client, make_post, as_comment_service):
    """As JSON Schema, and so the OpenAPI document, has it: 3.0 is an integer."""
    response = client.put(count_url(make_post()), json={"comment_count": 3.0}, headers=as_comment_service)

    assert b'"comment_count":3}' in response.data


# What is refused


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="missing"),
        pytest.param({"comment_count": -1}, id="negative"),
        pytest.param({"comment_count": COUNT_MAX + 1}, id="over-an-INT"),
        pytest.param({"comment_count": 10**400}, id="huge"),
        pytest.param({"comment_count": True}, id="true"),
        pytest.param({"comment_count": False}, id="false"),
        pytest.param({"comment_count": 1.5}, id="fraction"),
        pytest.param({"comment_count": COUNT_MAX + 1.0}, id="over-an-INT-with-a-point"),
        pytest.param({"comment_count": float("1e300")}, id="huge-with-an-exponent"),
        pytest.param({"comment_count": "3"}, id="text"),
        pytest.param({"comment_count": None}, id="null"),
        pytest.param({"comment_count": [3]}, id="list"),
        pytest.param({"comment_count": {"n": 3}}, id="object"),
        pytest.param({"commentCount": 3}, id="another-name"),
    ],
)
def test_what_is_no_count_is_refused_by_its_name(client, make_post, as_comment_service, row, body):
    post_id = make_post(comment_count=7)

    response = client.put(count_url(post_id), json=body, headers=as_comment_service)

    assert wrong_fields(response) == {"comment_count"}
    assert row(post_id).comment_count == 7


@pytest.mark.parametrize(
    ("data", "content_type", "expected"),
    [
        pytest.param(b"", "application/json", (400, "invalid_json"), id="empty"),
        pytest.param(b"{", "application/json", (400, "invalid_json"), id="broken"),
        pytest.param(b"3", "application/json", (400, "validation_error"), id="number"),
        pytest.param(b'{"comment_count": 3}', "text/plain", (415, "unsupported_media_type"), id="plain-text"),
        pytest.param(b" " * (1024 * 1024 + 1), "application/json", (413, "payload_too_large"), id="over-1-MiB"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(
    client, make_post, as_comment_service, *, data, content_type, expected
):
    url = count_url(make_post())

    response = client.put(url, data=data, content_type=content_type, headers=as_comment_service)

    assert fault(response) == expected


@pytest.mark.parametrize("bad_id", ["null", "undefined", "A" * 32, "a" * 31, "a" * 33])
def test_an_id_of_another_shape_is_refused(client, as_comment_service, bad_id):
    response = client.put(count_url(bad_id), json=COUNT, headers=as_comment_service)

    assert fault(response) == (400, "invalid_post_id")


def test_a_deleted_post_is_not_there(client, make_post, as_comment_service, row):
    post_id = make_post(status="deleted")

    response = client.put(count_url(post_id), json=COUNT, headers=as_comment_service)

    assert fault(response) == (404, "post_not_found")
    assert row(post_id).comment_count == 0


def test_nor_is_one_that_never_was(client, as_comment_service):
    response = client.put(count_url(UNKNOWN_ID), json=COUNT, headers=as_comment_service)

    assert fault(response) == (404, "post_not_found")


# Who may


@pytest.mark.parametrize("who", ["ana", "bo", "root"])
def test_a_user_s_token_is_refused_be_it_the_author_s_or_an_admin_s(client, make_post, as_user, row, who):
    post_id = make_post(author="ana")

    response = client.put(count_url(post_id), json=COUNT, headers=as_user(who))

    assert fault(response) == (403, "forbidden")
    assert row(post_id).comment_count == 0


@pytest.mark.parametrize(
    "scope",
    [f"openid {SCOPE}", f"{SCOPE} openid", f"openid {SCOPE} profile"],
    ids=["last", "first", "between"],
)
def test_the_scope_may_stand_among_others(client, make_post, with_scope, scope):
    response = client.put(count_url(make_post()), json=COUNT, headers=with_scope(scope))

    assert response.status_code == 200


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "comments.write",
        "post-service",
        "post-service/",
        "post-service/comments.read",
        "post-service/comments.write.all",
        "post-service/comments.writer",
        "other/post-service/comments.write",
        "POST-SERVICE/COMMENTS.WRITE",
        "post-service/comments.write,openid",
        "post-service/comments. write",
    ],
    ids=repr,
)
def test_another_scope_is_not_the_one(client, make_post, with_scope, scope):
    response = client.put(count_url(make_post()), json=COUNT, headers=with_scope(scope))

    assert fault(response) == (403, "forbidden")


def test_the_scope_allows_nothing_else(client, make_post, as_comment_service):
    response = client.patch(f"{POSTS}/{make_post()}", json={"title": "새 제목"}, headers=as_comment_service)

    assert fault(response) == (403, "forbidden")


# In which order it is checked


def test_the_token_is_checked_before_the_body_and_the_id(client):
    response = client.put(count_url("null"), data=b"{", content_type="text/plain")

    assert fault(response) == (401, "token_missing")


@pytest.mark.parametrize("who", ["ana", "comment-service"])
def test_the_body_is_checked_before_existence_and_scope(client, as_user, as_comment_service, who):
    headers = as_comment_service if who == "comment-service" else as_user(who)

    response = client.put(count_url(UNKNOWN_ID), json={"comment_count": -1}, headers=headers)

    assert wrong_fields(response) == {"comment_count"}


@pytest.mark.parametrize("status", [None, "deleted"], ids=["never-was", "deleted"])
def test_existence_is_checked_before_the_scope(client, make_post, as_user, status):
    post_id = make_post(author="ana", status=status) if status else UNKNOWN_ID

    response = client.put(count_url(post_id), json=COUNT, headers=as_user("ana"))

    assert fault(response) == (404, "post_not_found")
