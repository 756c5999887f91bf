"""``GET /posts?ids=…``: the visible ones of some posts, in the order they are asked for, by one query."""

import pytest

from tests.answers import POST_FIELDS, UNKNOWN_ID, wrong_fields

POSTS = "/api/v1/posts"


@pytest.fixture
def ask(client, as_user):
    """GET posts by their ids; returns the response."""

    def get(*ids, who="nobody", tag=None, **query):
        headers = as_user(who) | ({"If-None-Match": tag} if tag else {})
        return client.get(POSTS, query_string={"ids": ",".join(ids), **query}, headers=headers)

    return get


def ids_of(response):
    assert response.status_code == 200, response.json
    return [post["id"] for post in response.json["data"]]


def test_they_come_in_the_order_asked_for_and_each_once(make_post, ask):
    a, b, c = (make_post(title=title) for title in "abc")

    assert ids_of(ask(b, c, a)) == [b, c, a]
    assert ids_of(ask(b, c, b, a, c, b)) == [b, c, a]
    assert ids_of(ask(a, c, sort="popular")) == [a, c]


def test_only_visible_ones_are_there_whoever_asks(make_post, ask):
    visible, hidden, deleted = (make_post(author="ana", status=status) for status in ("visible", "hidden", "deleted"))

    for who in ("nobody", "ana", "root"):
        assert ids_of(ask(hidden, UNKNOWN_ID, visible, deleted, who=who)) == [visible]


def test_meta_is_that_of_one_page(make_post, ask):
    found = [make_post() for _ in range(3)]
    rest = {"page": 1, "has_next": False, "has_prev": False, "next_cursor": None, "pinned": []}

    assert ask(*found).json["meta"] == rest | {"per_page": 3, "total": 3, "pages": 1}
    assert ask(*found, UNKNOWN_ID).json["meta"] == rest | {"per_page": 4, "total": 3, "pages": 1}
    assert ask(*found, per_page=20, page=1).json["meta"] == rest | {"per_page": 20, "total": 3, "pages": 1}
    assert ask(*found, per_page=2).json["meta"] == rest | {"per_page": 3, "total": 3, "pages": 1}
    assert ask(UNKNOWN_ID).json == ask(UNKNOWN_ID).json | {"data": []}
    assert ask(UNKNOWN_ID).json["meta"] == rest | {"per_page": 1, "total": 0, "pages": 0}
    assert "Link" not in ask(*found).headers


def test_they_are_shown_as_in_every_list(make_post, ask, client, as_user):
    post_id = make_post(content="내용" * 200)
    client.put(f"{POSTS}/{post_id}/like", headers=as_user("bo"))

    alone, liked = ask(post_id).json["data"][0], ask(post_id, who="bo").json["data"][0]
    brief = ask(post_id, view="summary").json["data"][0]

    assert set(alone) == POST_FIELDS
    assert liked["is_liked"] is True
    assert "hidden_by" in ask(post_id, who="root").json["data"][0]
    assert brief["excerpt"] == alone["content"][:200]
    assert alone == client.get(POSTS).json["data"][0]


def test_fifty_are_one_query(make_post, ask, count_queries):
    found = [make_post() for _ in range(50)]

    with count_queries() as statements:
        response = ask(*found, who="ana")
    with count_queries() as again:
        known = ask(*found, who="ana", tag=response.headers["ETag"])

    assert ids_of(response) == found
    assert known.status_code == 304
    for sent in (statements, again):
        assert [text.split()[0] for text in sent if "BEGIN" not in text] == ["SELECT"]


def test_a_tag_stands_for_what_is_shown(make_post, ask, client, as_user):
    a, b = make_post(), make_post()
    old = ask(a, b, UNKNOWN_ID)

    for change in (
        lambda: client.put(f"{POSTS}/{b}/like", headers=as_user("bo")),
        lambda: client.patch(f"{POSTS}/{a}", json={"title": "새 제목"}, headers=as_user("ana")),
        lambda: client.patch(f"{POSTS}/{b}", json={"status": "hidden"}, headers=as_user("ana")),
        lambda: client.patch(f"{POSTS}/{b}", json={"status": "visible"}, headers=as_user("ana")),
        lambda: client.delete(f"{POSTS}/{a}", headers=as_user("ana")),
    ):
        assert ask(a, b, UNKNOWN_ID, tag=old.headers["ETag"]).status_code == 304
        assert change().status_code == 200
        new = ask(a, b, UNKNOWN_ID, tag=old.headers["ETag"])
        assert (new.status_code, new.headers["ETag"] == old.headers["ETag"]) == (200, False)
        assert new.json == ask(a, b, UNKNOWN_ID).json != old.json
        old = new


@pytest.mark.parametrize(
    "ids",
    ["", ",", "x", UNKNOWN_ID.upper().replace("0", "A"), f"{UNKNOWN_ID},", f",{UNKNOWN_ID}", f"{UNKNOWN_ID} ", "null"],
)
def test_other_texts_are_no_ids(ids, ask):
    response = ask(ids)

    assert wrong_fields(response) == {"ids"}
    assert response.json["message"] == "ID 목록: ID 형식이 올바르지 않습니다."


@pytest.mark.parametrize("ids", [[UNKNOWN_ID] * 51, [""] * 51, ["x"] * 2000], ids=["equal", "empty", "many"])
def test_there_are_fifty_at_most(ids, ask):
    response = ask(*ids)

    assert wrong_fields(response) == {"ids"}
    assert response.json["message"] == "ID 목록: 50개 이하여야 합니다."


CURSOR = "bmV4dC5sYXRlc3QuNQ"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("q", "a"),
        ("category", "일반"),
        ("category_id", UNKNOWN_ID),
        ("user_id", "u"),
        ("cursor", CURSOR),
        ("page", "2"),
    ],
)
def test_nothing_else_chooses_posts_beside_them(name, value, ask):
    response = ask(UNKNOWN_ID, **{name: value})

    assert wrong_fields(response) == {"ids"}
    assert response.json["message"] == f"ID 목록: {name}와(과) 함께 쓸 수 없습니다. 그 매개변수를 빼 주세요."


def test_an_empty_filter_is_none_beside_them_too(make_post, ask):
    post_id = make_post()

    assert ids_of(ask(post_id, q="", category="", cursor="", page=1)) == [post_id]
