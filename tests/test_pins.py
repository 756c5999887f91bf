"""Pinned posts: who pins how many, where they are shown, and what a list's tag says of them."""

import itertools
from datetime import datetime

import pytest
from sqlalchemy import func, select, update

from post.models import LogEntry, Pin, db
from tests.answers import UNKNOWN_ID, fault, wrong_fields
from tests.conftest import at_once

POSTS = "/api/v1/posts"
LIMIT = 10


@pytest.fixture
def pin(client, as_user):
    return lambda post_id, scope="all", who="root", **body: client.put(
        f"{POSTS}/{post_id}/pin", json={"scope": scope, **body}, headers=as_user(who)
    )


@pytest.fixture
def unpin(client, as_user):
    """Take a pin away; without a scope there is no body."""

    def send(post_id, scope=None, who="root", **body):
        body |= {"scope": scope} if scope else {}
        return client.delete(f"{POSTS}/{post_id}/pin", headers=as_user(who), **({"json": body} if body else {}))

    return send


@pytest.fixture
def spread(app):
    """Give the pins of posts moments that rise in this order: two may be of one millisecond."""

    def order(*post_ids):
        with app.app_context():
            for number, post_id in enumerate(post_ids):
                moment = datetime(2026, 1, 1, 0, 0, number)  # noqa: DTZ001 - naive, as it is stored
                db.session.execute(update(Pin).where(Pin.post_id == post_id).values(created_at=moment))
            db.session.commit()

    return order


@pytest.fixture
def pinned(client, as_user):
    """The ids of the posts that are pinned on the first page of a list."""

    def read(who="nobody", **query):
        response = client.get(POSTS, query_string=query, headers=as_user(who))
        assert response.status_code == 200, response.json
        return [post["id"] for post in response.json["meta"]["pinned"]]

    return read


@pytest.fixture
def log(rows):
    columns = (LogEntry.action, LogEntry.actor, LogEntry.post_id, LogEntry.user_id, LogEntry.category_id)
    query = select(*columns, LogEntry.reason, LogEntry.state_before, LogEntry.state_after).order_by(LogEntry.No)
    return lambda: [tuple(row) for row in rows(query)]


# Pinning


def test_a_pin_is_set_once_and_logged_once(make_post, pin, log, row, user_id, stored):
    post_id = make_post(author="ana")

    first, again = (pin(post_id, "category", reason="공지") for _ in range(2))

    assert first.json["data"] == again.json["data"] == {"id": post_id, "scope": "category", "pinned": True}
    assert (first.status_code, again.status_code) == (200, 200)
    states = '{"scope":"category","pinned":false}', '{"scope":"category","pinned":true}'
    who = (user_id("root"), post_id, user_id("ana"), row(post_id).category_id)
    assert log() == [("pin", *who, "공지", *states)]
    assert stored(select(func.count()).select_from(Pin)) == 1


def test_a_pin_is_taken_away_once_and_logged_once(make_post, pin, unpin, log, pinned):
    post_id = make_post()
    pin(post_id)
    pin(post_id, "category")

    answers = [unpin(post_id, "all", reason="지났음"), unpin(post_id, "all")]

    assert [answer.json["data"] for answer in answers] == [{"id": post_id, "scope": "all", "pinned": False}] * 2
    assert [(entry[0], entry[5]) for entry in log()] == [("pin", None), ("pin", None), ("unpin", "지났음")]
    assert (pinned(), pinned(category="일반")) == ([], [post_id])


def test_without_a_scope_both_pins_are_taken_away(make_post, pin, unpin, log, pinned, stored):
    post_id = make_post()
    pin(post_id)
    pin(post_id, "category")

    answer = unpin(post_id)

    assert answer.json["data"] == {"id": post_id, "scope": None, "pinned": False}
    assert [entry[0] for entry in log()] == ["pin", "pin", "unpin", "unpin"]
    assert stored(select(func.count()).select_from(Pin)) == 0


@pytest.mark.parametrize("body", [{}, {"scope": None}, {"scope": "board"}, {"scope": ["all"]}])
def test_a_pin_needs_a_scope(body, make_post, client, as_user):
    response = client.put(f"{POSTS}/{make_post()}/pin", json=body, headers=as_user("root"))

    assert wrong_fields(response) == {"scope"}


@pytest.mark.parametrize(("who", "refusal"), [("nobody", 401), ("ana", 403), ("bo", 403)])
def test_only_admins_pin(who, refusal, make_post, pin, unpin, log):
    post_id = make_post(author="ana")
    pin(post_id)

    assert (pin(post_id, who=who).status_code, unpin(post_id, who=who).status_code) == (refusal, refusal)
    assert len(log()) == 1


def test_no_post_is_pinned_that_nobody_would_see(make_post, pin, log):
    posts = [UNKNOWN_ID, make_post(status="hidden"), make_post(status="deleted")]

    assert [fault(pin(post_id)) for post_id in posts] == [(404, "post_not_found")] * 3
    assert fault(pin("null")) == (400, "invalid_post_id")
    assert log() == []


def test_the_pin_of_a_post_that_is_not_shown_can_be_taken_away(make_post, pin, unpin, client, as_user, stored):
    hidden, deleted = make_post(), make_post()
    for post_id in (hidden, deleted):
        pin(post_id)
    client.patch(f"{POSTS}/{hidden}", json={"status": "hidden"}, headers=as_user("ana"))
    client.delete(f"{POSTS}/{deleted}", headers=as_user("ana"))

    assert [unpin(post_id).status_code for post_id in (hidden, deleted)] == [200, 200]
    assert stored(select(func.count()).select_from(Pin)) == 0
    assert fault(unpin(UNKNOWN_ID)) == (404, "post_not_found")


# The limit


def test_ten_posts_are_pinned_in_a_scope(make_post, pin, unpin, log):
    travel = [make_post(category="여행") for _ in range(LIMIT + 1)]
    food = make_post(category="맛집")

    assert [pin(post_id, "category").status_code for post_id in travel[:LIMIT]] == [200] * LIMIT
    assert fault(pin(travel[LIMIT], "category")) == (409, "pin_limit_reached")
    assert pin(travel[0], "category").status_code == 200  # it is there already
    assert [pin(food, "category").status_code, pin(travel[LIMIT], "all").status_code] == [200, 200]
    assert len(log()) == LIMIT + 2
    unpin(travel[3], "category")
    assert pin(travel[LIMIT], "category").status_code == 200


def test_a_post_that_is_not_shown_takes_no_room(make_post, pin, client, as_user, pinned, spread):
    posts = [make_post() for _ in range(LIMIT + 1)]
    for post_id in posts[:LIMIT]:
        pin(post_id)
    client.delete(f"{POSTS}/{posts[0]}", headers=as_user("ana"))
    assert pin(posts[LIMIT]).status_code == 200
    spread(*posts)

    client.patch(f"{POSTS}/{posts[0]}", json={"status": "visible"}, headers=as_user("root"))

    assert pinned() == posts[:0:-1]  # the newest ten: the oldest pin is shown again when there is room


@pytest.mark.parametrize("scope", ["all", "category"])
def test_the_limit_holds_for_admins_at_once(scope, make_post, app, as_user, stored, log):
    posts, headers = [make_post() for _ in range(LIMIT + 4)], as_user("root")

    def pin_one(post_id):
        body = {"json": {"scope": scope}, "headers": headers}
        return lambda: app.test_client().put(f"{POSTS}/{post_id}/pin", **body).status_code

    answers = at_once([pin_one(post_id) for post_id in posts * 2], threads=8)

    for post_id_answers in zip(answers[: len(posts)], answers[len(posts) :], strict=True):
        assert len(set(post_id_answers)) == 1
    assert sorted(answers[: len(posts)]) == [200] * LIMIT + [409] * 4
    assert stored(select(func.count()).select_from(Pin)) == LIMIT
    assert len(log()) == LIMIT


def test_one_pin_by_many_at_once_is_one(make_post, app, as_user, stored, log):
    post_id, headers = make_post(), as_user("root")
    body = {"json": {"scope": "all"}, "headers": headers}

    at_once([lambda: app.test_client().put(f"{POSTS}/{post_id}/pin", **body)] * 6)
    at_once([lambda: app.test_client().delete(f"{POSTS}/{post_id}/pin", **body)] * 6)

    assert [entry[0] for entry in log()] == ["pin", "unpin"]
    assert stored(select(func.count()).select_from(Pin)) == 0


# Lists


def test_pins_stand_apart_from_the_list_the_newest_first(make_post, pin, client, spread):
    posts = [make_post(title=str(number)) for number in range(4)]
    for post_id in (posts[2], posts[0]):
        pin(post_id)
    spread(posts[2], posts[0])

    page = client.get(POSTS, query_string={"per_page": 3}).json

    assert [post["id"] for post in page["meta"]["pinned"]] == [posts[0], posts[2]]
    assert [post["id"] for post in page["data"]] == posts[:0:-1]
    assert page["meta"]["total"] == 4
    assert page["meta"]["pinned"][1] == page["data"][1]


def test_a_pinned_post_is_shown_as_the_list_s_posts_are(make_post, pin, client, as_user):
    post_id = make_post(author="ana", content="내용" * 200)
    pin(post_id)
    client.put(f"{POSTS}/{post_id}/like", headers=as_user("ana"))

    for who, view in itertools.product(("nobody", "ana", "bo", "root"), ("full", "summary")):
        page = client.get(POSTS, query_string={"view": view}, headers=as_user(who)).json
        assert page["meta"]["pinned"] == page["data"]


def test_each_list_has_its_own_pins(make_post, pin, pinned, spread, user_id, row):
    board, travel = make_post(author="ana", category="맛집"), make_post(author="bo", category="여행")
    both, food = make_post(author="ana", category="여행"), make_post(author="bo", category="맛집")
    for post_id, scope in ((board, "all"), (travel, "category"), (both, "all"), (both, "category"), (food, "category")):
        assert pin(post_id, scope).status_code == 200
    spread(board, travel, both, food)

    assert pinned() == pinned(sort="popular") == [both, board]
    assert pinned(category="여행") == pinned(category_id=row(both).category_id) == [both, travel, board]
    assert pinned(category="맛집", sort="popular") == [food, both, board]
    assert pinned(category="없는 것") == [both, board]
    assert pinned(user_id=user_id("ana")) == [both, board]
    assert pinned(user_id=user_id("bo")) == []
    assert pinned(user_id=user_id("bo"), category="여행") == [travel]
    assert pinned(ids=board) == []


def test_only_page_1_without_a_search_has_pins(make_post, pin, client, as_user):
    for number in range(3):
        pin(make_post(title=f"글 {number}"))
    first = client.get(POSTS, query_string={"per_page": 1}).json["meta"]

    others = ({"page": 2, "per_page": 1}, {"cursor": first["next_cursor"]}, {"q": "글"}, {"page": 9})
    metas = [client.get(POSTS, query_string=query).json["meta"] for query in others]
    metas.append(client.get(f"{POSTS}/my", headers=as_user("ana")).json["meta"])

    assert len(first["pinned"]) == 3
    assert ["pinned" in meta for meta in metas] == [False] * 5


def test_a_pin_is_shown_while_its_post_is_visible_and_follows_its_category(make_post, pin, pinned, client, as_user):
    post_id = make_post(category="여행")
    make_post(category="맛집")
    pin(post_id, "category")
    change = lambda **body: client.patch(f"{POSTS}/{post_id}", json=body, headers=as_user("root"))  # noqa: E731 - said shortly

    shown = [pinned(category="여행")]
    for status in ("hidden", "visible"):
        change(status=status)
        shown.append(pinned(category="여행"))
    client.delete(f"{POSTS}/{post_id}", headers=as_user("ana"))
    shown.append(pinned(category="여행"))
    change(status="visible")
    change(category="맛집")

    assert shown == [[post_id], [], [post_id], []]
    assert (pinned(category="여행"), pinned(category="맛집")) == ([], [post_id])


# Tags


@pytest.mark.parametrize("query", [{}, {"category": "여행"}, {"view": "summary", "sort": "popular"}], ids=str)
@pytest.mark.parametrize("who", ["nobody", "bo"])
def test_a_tag_changes_with_the_pins_and_what_they_show(query, who, make_post, pin, unpin, client, as_user, spread):
    make_post(category="여행")  # and the pinned ones are on no page that is asked for
    old_post, new_post = make_post(category="맛집"), make_post(category="여행")
    newer = [make_post(category="여행", like_count=5) for _ in range(3)]
    ana, root = as_user("ana"), as_user("root")

    def ask(tag=None):
        headers = as_user(who) | ({"If-None-Match": tag} if tag else {})
        return client.get(POSTS, query_string=query | {"per_page": 2}, headers=headers)

    old = ask()
    for name, change in {
        "pin": lambda: pin(old_post),
        "pin-another": lambda: pin(new_post),
        "like": lambda: client.put(f"{POSTS}/{old_post}/like", headers=as_user("bo")),
        "edit": lambda: client.patch(f"{POSTS}/{old_post}", json={"title": "새 제목"}, headers=ana),
        "hide": lambda: client.patch(f"{POSTS}/{new_post}", json={"status": "hidden"}, headers=ana),
        "show": lambda: client.patch(f"{POSTS}/{new_post}", json={"status": "visible"}, headers=ana),
        "order": lambda: spread(new_post, old_post) or client.get(POSTS),
        "other-order": lambda: spread(old_post, new_post) or client.get(POSTS),
        "delete": lambda: client.delete(f"{POSTS}/{new_post}", headers=root),
        "unpin": lambda: unpin(old_post),
    }.items():
        known = ask(old.headers["ETag"])
        assert (name, known.status_code, known.headers["ETag"]) == (name, 304, old.headers["ETag"])
        assert change().status_code == 200
        new = ask(old.headers["ETag"])
        assert (name, new.status_code, new.headers["ETag"] == old.headers["ETag"]) == (name, 200, False)
        assert new.json == ask().json != old.json, name
        old = new
    assert {post["id"] for post in old.json["data"]} <= {*newer}


def test_a_board_without_pins_costs_no_further_query(make_post, count_queries, client, pin):
    post_id = make_post()
    tag = client.get(POSTS).headers["ETag"]

    def sent(**headers):
        with count_queries() as statements:
            client.get(POSTS, headers=headers)
        return len([statement for statement in statements if not statement.startswith("BEGIN")])

    assert (sent(), sent(**{"If-None-Match": tag})) == (1, 1)
    pin(post_id)
    assert sent() == 2
    tag = client.get(POSTS).headers["ETag"]
    assert sent(**{"If-None-Match": tag}) == 2
