"""Likes: toggled, set, unset and asked for, one request after another."""

import pytest

from post.models import Like, Post, db
from tests.answers import UNKNOWN_ID, fault, wrong_fields

POSTS = "/api/v1/posts"
BAD_IDS = ["null", "undefined", "A" * 32, "a" * 31, "a" * 33]
METHODS = ["POST", "PUT", "DELETE"]
for_writes = pytest.mark.parametrize("method", METHODS)


def like_url(post_id: str) -> str:
    return f"{POSTS}/{post_id}/like"


@pytest.fixture
def stored_likes(app):
    """The rows of a post's likes, and the count that stands on the post."""

    def read(post_id: str) -> tuple[int, int]:
        with app.app_context():
            rows = db.session.scalar(db.select(db.func.count()).select_from(Like).where(Like.post_id == post_id))
            return rows, db.session.scalar(db.select(Post.like_count).where(Post.id == post_id))

    return read


@pytest.fixture
def open_client(app, make_app, database_url):
    """A client of a service with ``LIKE_REQUIRES_AUTH=false``, on this half's database."""
    open_app = make_app(DATABASE_URL=database_url, LIKE_REQUIRES_AUTH="false")
    yield open_app.test_client()
    with open_app.app_context():
        db.engine.dispose()


# Toggling


def test_a_first_toggle_adds_a_like(client, make_post, as_user, stored_likes):
    post_id = make_post()

    response = client.post(like_url(post_id), headers=as_user("bo"))

    assert response.status_code == 200
    assert response.json["success"] is True
    assert response.json["data"] == {"action": "added", "is_liked": True, "like_count": 1}
    assert stored_likes(post_id) == (1, 1)


def test_a_second_toggle_takes_the_like_back(client, make_post, as_user, stored_likes):
    post_id = make_post()
    client.post(like_url(post_id), headers=as_user("bo"))

    response = client.post(like_url(post_id), headers=as_user("bo"))

    assert response.status_code == 200
    assert response.json["data"] == {"action": "removed", "is_liked": False, "like_count": 0}
    assert stored_likes(post_id) == (0, 0)


def test_a_third_toggle_adds_it_again(client, make_post, as_user):
    post_id = make_post()

    actions = [client.post(like_url(post_id), headers=as_user("bo")).json["data"]["action"] for _ in range(3)]

    assert actions == ["added", "removed", "added"]


def test_each_user_has_a_like_of_their_own(client, make_post, as_user, stored_likes):
    post_id = make_post()
    client.post(like_url(post_id), headers=as_user("ana"))
    client.post(like_url(post_id), headers=as_user("root"))

    added = client.post(like_url(post_id), headers=as_user("bo"))
    removed = client.post(like_url(post_id), headers=as_user("ana"))

    assert added.json["data"]["like_count"] == 3
    assert removed.json["data"] == {"action": "removed", "is_liked": False, "like_count": 2}
    assert stored_likes(post_id) == (2, 2)


def test_a_like_is_counted_on_its_post_alone(client, make_post, as_user):
    liked, other = make_post(), make_post()

    client.post(like_url(liked), headers=as_user("bo"))

    assert client.get(f"{POSTS}/{liked}").json["data"]["like_count"] == 1
    assert client.get(f"{POSTS}/{other}").json["data"]["like_count"] == 0


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"data": b"", "content_type": "application/json"}, id="empty-json"),
        pytest.param({"data": b"", "content_type": "text/plain"}, id="empty-text"),
        pytest.param({"json": {}}, id="object"),
        pytest.param({"json": {"action": "remove", "like": [1]}}, id="unknown-fields"),
    ],
)
def test_the_body_of_a_toggle_is_optional(client, make_post, as_user, body):
    response = client.post(like_url(make_post()), headers=as_user("bo"), **body)

    assert response.status_code == 200


def test_the_body_may_name_the_token_s_own_user(client, make_post, as_user, user_id):
    response = client.post(like_url(make_post()), json={"user_id": user_id("bo")}, headers=as_user("bo"))

    assert response.json["data"]["action"] == "added"


@pytest.mark.parametrize(
    ("who", "named"), [("bo", "ana"), ("root", "ana"), ("bo", ""), ("bo", "x" * 40), ("bo", "\x00")]
)
def test_nobody_toggles_for_another_user(client, make_post, as_user, user_id, stored_likes, *, who, named):
    post_id = make_post()
    another = user_id(named) if named == "ana" else named

    response = client.post(like_url(post_id), json={"user_id": another}, headers=as_user(who))

    assert fault(response) == (403, "forbidden")
    assert stored_likes(post_id) == (0, 0)


@pytest.mark.parametrize("value", [None, 1, True, [], {}], ids=repr)
def test_a_user_id_that_is_no_text_is_refused_by_its_name(client, make_post, as_user, value):
    response = client.post(like_url(make_post()), json={"user_id": value}, headers=as_user("bo"))

    assert wrong_fields(response) == {"user_id"}


@pytest.mark.parametrize(
    ("data", "content_type", "expected"),
    [
        pytest.param(b"{", "application/json", (400, "invalid_json"), id="broken"),
        pytest.param(b"[]", "application/json", (400, "validation_error"), id="list"),
        pytest.param(b"{}", "text/plain", (415, "unsupported_media_type"), id="plain-text"),
        pytest.param(b" " * (1024 * 1024 + 1), "application/json", (413, "payload_too_large"), id="over-1-MiB"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(client, make_post, as_user, *, data, content_type, expected):
    response = client.post(like_url(make_post()), data=data, content_type=content_type, headers=as_user("bo"))

    assert fault(response) == expected


# Setting and unsetting


@pytest.mark.parametrize(
    ("liked_before", "method", "expected"),
    [
        pytest.param(False, "PUT", {"action": "added", "is_liked": True, "like_count": 2}, id="set"),
        pytest.param(True, "PUT", {"action": "unchanged", "is_liked": True, "like_count": 2}, id="set-again"),
        pytest.param(True, "DELETE", {"action": "removed", "is_liked": False, "like_count": 1}, id="unset"),
        pytest.param(False, "DELETE", {"action": "unchanged", "is_liked": False, "like_count": 1}, id="unset-again"),
    ],
)
def test_setting_and_unsetting_are_idempotent(
    client, make_post, as_user, stored_likes, *, liked_before, method, expected
):
    post_id = make_post()
    client.put(like_url(post_id), headers=as_user("root"))
    if liked_before:
        client.put(like_url(post_id), headers=as_user("bo"))

    response = client.open(like_url(post_id), method=method, headers=as_user("bo"))

    assert response.status_code == 200
    assert response.json["data"] == expected
    assert stored_likes(post_id) == (expected["like_count"], expected["like_count"])


def test_a_like_that_was_set_is_toggled_off(client, make_post, as_user):
    post_id = make_post()
    client.put(like_url(post_id), headers=as_user("bo"))

    response = client.post(like_url(post_id), headers=as_user("bo"))

    assert response.json["data"]["action"] == "removed"


# Who may, and in which order it is checked


@pytest.mark.parametrize(("who", "status"), [("ana", 200), ("bo", 200), ("root", 200), ("nobody", 401)])
@for_writes
def test_whoever_has_a_token_likes(client, make_post, as_user, *, method, who, status):
    post_id = make_post(author="ana")

    response = client.open(like_url(post_id), method=method, headers=as_user(who))

    assert response.status_code == status
    if status == 401:
        assert response.json["error"]["code"] == "token_missing"
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("status", "who", "expected"),
    [
        ("hidden", "ana", 200),
        ("hidden", "root", 200),
        ("hidden", "bo", 404),
        ("deleted", "ana", 404),
        ("deleted", "root", 404),
        ("deleted", "bo", 404),
    ],
)
@for_writes
def test_a_post_is_liked_by_those_who_see_it(client, make_post, as_user, *, method, status, who, expected):
    post_id = make_post(author="ana", status=status)

    response = client.open(like_url(post_id), method=method, headers=as_user(who))

    assert response.status_code == expected
    if expected == 404:
        assert response.json["error"]["code"] == "post_not_found"


@for_writes
def test_a_post_that_never_was_is_404(client, as_user, method):
    response = client.open(like_url(UNKNOWN_ID), method=method, headers=as_user("bo"))

    assert fault(response) == (404, "post_not_found")


@pytest.mark.parametrize("bad_id", BAD_IDS)
@for_writes
def test_an_id_of_another_shape_is_refused(client, as_user, method, bad_id):
    response = client.open(like_url(bad_id), method=method, headers=as_user("bo"))

    assert fault(response) == (400, "invalid_post_id")


@for_writes
def test_the_token_is_checked_before_the_id(client, method):
    response = client.open(like_url("null"), method=method)

    assert fault(response) == (401, "token_missing")


def test_the_token_is_checked_before_the_body(client):
    response = client.post(like_url(UNKNOWN_ID), data=b"{", content_type="text/plain")

    assert fault(response) == (401, "token_missing")


def test_the_body_is_checked_before_existence(client, as_user):
    response = client.post(like_url(UNKNOWN_ID), json={"user_id": 1}, headers=as_user("bo"))

    assert wrong_fields(response) == {"user_id"}


@pytest.mark.parametrize("status", [None, "deleted", "hidden"], ids=["never-was", "deleted", "hidden"])
def test_existence_is_checked_before_whose_like_it_is(client, make_post, as_user, user_id, status):
    post_id = make_post(author="root", status=status) if status else UNKNOWN_ID

    response = client.post(like_url(post_id), json={"user_id": user_id("ana")}, headers=as_user("bo"))

    assert fault(response) == (404, "post_not_found")


# Without a token, where the setting allows it


def test_without_a_token_the_body_says_who_likes(open_client, make_post, stored_likes):
    post_id = make_post()

    actions = [
        open_client.post(like_url(post_id), json={"user_id": name}).json["data"]["action"]
        for name in ("u1", "u2", "u1")
    ]

    assert actions == ["added", "added", "removed"]
    assert stored_likes(post_id) == (1, 1)


@pytest.mark.parametrize(
    "body",
    [{}, {"json": {}}, {"json": {"user_id": ""}}, {"json": {"user_id": "x" * 37}}, {"json": {"user_id": "a\x00"}}],
    ids=["no-body", "no-user", "empty", "too-long", "control-character"],
)
def test_with_neither_token_nor_a_user_there_can_be_the_user_is_wrong(open_client, make_post, body):
    response = open_client.post(like_url(make_post()), **body)

    assert wrong_fields(response) == {"user_id"}


def test_a_bad_token_is_401_also_where_none_is_needed(open_client, make_post):
    headers = {"Authorization": "Bearer broken"}

    response = open_client.post(like_url(make_post()), json={"user_id": "u1"}, headers=headers)

    assert fault(response) == (401, "token_invalid")


def test_a_token_decides_also_where_none_is_needed(open_client, make_post, as_user, user_id):
    post_id = make_post()

    own = open_client.post(like_url(post_id), headers=as_user("bo"))
    another = open_client.post(like_url(post_id), json={"user_id": user_id("ana")}, headers=as_user("bo"))

    assert own.json["data"]["action"] == "added"
    assert fault(another) == (403, "forbidden")


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_without_a_token_nobody_takes_away_a_like_that_was_made_with_one(
    open_client, make_post, as_user, user_id, stored_likes, method
):
    post_id = make_post()
    open_client.open(like_url(post_id), method=method, headers=as_user("bo"))

    refused = open_client.post(like_url(post_id), json={"user_id": user_id("bo")})

    assert fault(refused) == (403, "forbidden")
    assert stored_likes(post_id) == (1, 1)


def test_without_a_token_a_like_that_was_made_without_one_is_taken_away(open_client, make_post, user_id, stored_likes):
    post_id, body = make_post(), {"user_id": user_id("bo")}
    open_client.post(like_url(post_id), json=body)

    removed = open_client.post(like_url(post_id), json=body)

    assert removed.json["data"] == {"action": "removed", "is_liked": False, "like_count": 0}
    assert stored_likes(post_id) == (0, 0)


def test_a_user_with_a_token_takes_away_a_like_that_was_made_without_one(open_client, make_post, as_user, user_id):
    post_id = make_post()
    open_client.post(like_url(post_id), json={"user_id": user_id("bo")})

    removed = open_client.post(like_url(post_id), headers=as_user("bo"))

    assert removed.json["data"]["action"] == "removed"


def test_a_like_made_without_a_token_is_its_user_s_once_they_set_it_with_one(open_client, make_post, as_user, user_id):
    post_id, body = make_post(), {"user_id": user_id("bo")}
    open_client.post(like_url(post_id), json=body)

    kept = open_client.put(like_url(post_id), headers=as_user("bo"))
    refused = open_client.post(like_url(post_id), json=body)

    assert kept.json["data"] == {"action": "unchanged", "is_liked": True, "like_count": 1}
    assert fault(refused) == (403, "forbidden")


@pytest.mark.parametrize("status", ["hidden", "deleted"])
def test_without_a_token_only_visible_posts_are_liked(open_client, make_post, user_id, status):
    post_id = make_post(author="ana", status=status)

    response = open_client.post(like_url(post_id), json={"user_id": user_id("ana")})

    assert fault(response) == (404, "post_not_found")


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_setting_and_unsetting_need_a_token_whatever_the_setting(open_client, make_post, method):
    response = open_client.open(like_url(make_post()), method=method, json={"user_id": "u1"})

    assert fault(response) == (401, "token_missing")


def test_by_default_a_user_id_is_no_token(client, make_post, user_id):
    response = client.post(like_url(make_post()), json={"user_id": user_id("ana")})

    assert fault(response) == (401, "token_missing")


# Asking


def test_the_status_is_the_token_s_user_s(client, make_post, as_user):
    post_id = make_post()
    client.put(like_url(post_id), headers=as_user("bo"))

    liker = client.get(f"{like_url(post_id)}/status", headers=as_user("bo"))
    other = client.get(f"{like_url(post_id)}/status", headers=as_user("ana"))

    assert liker.status_code == 200
    assert liker.json["data"] == {"is_liked": True, "like_count": 1}
    assert other.json["data"] == {"is_liked": False, "like_count": 1}


@pytest.mark.parametrize("who", ["nobody", "ana"])
def test_the_status_of_a_named_user_needs_no_token_and_prevails_over_it(client, make_post, as_user, user_id, *, who):
    post_id = make_post()
    client.put(like_url(post_id), headers=as_user("bo"))

    response = client.get(f"{like_url(post_id)}/status?user_id={user_id('bo')}", headers=as_user(who))

    assert response.json["data"] == {"is_liked": True, "like_count": 1}


def test_the_status_of_a_user_without_likes_is_false(client, make_post):
    response = client.get(f"{like_url(make_post())}/status?user_id=somebody")

    assert response.json["data"] == {"is_liked": False, "like_count": 0}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer broken"}], ids=["no-token", "bad-token"])
def test_the_status_of_no_user_is_400(client, make_post, headers):
    response = client.get(f"{like_url(make_post())}/status", headers=headers)

    assert wrong_fields(response) == {"user_id"}


def test_the_status_with_a_bad_token_is_the_named_user_s(client, make_post):
    response = client.get(
        f"{like_url(make_post())}/status?user_id=somebody", headers={"Authorization": "Bearer broken"}
    )

    assert response.status_code == 200


def test_the_status_of_a_user_that_none_can_be_is_400(client, make_post):
    response = client.get(f"{like_url(make_post())}/status", query_string={"user_id": "x" * 37})

    assert wrong_fields(response) == {"user_id"}


@pytest.mark.parametrize(
    ("status", "who", "expected"),
    [
        ("hidden", "ana", 200),
        ("hidden", "root", 200),
        ("hidden", "bo", 404),
        ("hidden", "nobody", 404),
        ("deleted", "ana", 404),
        ("deleted", "root", 404),
        ("deleted", "nobody", 404),
    ],
)
def test_the_status_is_told_to_those_who_see_the_post(client, make_post, as_user, *, status, who, expected):
    post_id = make_post(author="ana", status=status)

    response = client.get(f"{like_url(post_id)}/status?user_id=somebody", headers=as_user(who))

    assert response.status_code == expected


@pytest.mark.parametrize("bad_id", BAD_IDS)
def test_the_status_of_an_id_of_another_shape_is_400(client, bad_id):
    response = client.get(f"{like_url(bad_id)}/status?user_id=somebody")

    assert fault(response) == (400, "invalid_post_id")


def test_the_status_of_a_post_that_never_was_is_404(client):
    response = client.get(f"{like_url(UNKNOWN_ID)}/status?user_id=somebody")

    assert fault(response) == (404, "post_not_found")


def test_likes_outlive_a_deletion_that_is_undone(client, make_post, as_user):
    post_id = make_post(author="ana")
    client.put(like_url(post_id), headers=as_user("bo"))
    client.delete(f"{POSTS}/{post_id}", headers=as_user("ana"))
    client.patch(f"{POSTS}/{post_id}", json={"status": "visible"}, headers=as_user("root"))

    response = client.get(f"{like_url(post_id)}/status", headers=as_user("bo"))

    assert response.json["data"] == {"is_liked": True, "like_count": 1}
