"""Search in titles: against a plain model and against SQL, by every plan, and through every change of a post."""

import random
import unicodedata
from itertools import chain
from typing import get_args
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text

from post import services
from post.database.writes import transaction
from post.models import VISIBLE, Post, SearchGram, SearchTitle, db
from post.paging import SORT_COLUMNS, Cursor, PageRequest
from post.services import derived, pages, search_plans
from post.services.categories import ensure_category
from post.services.derived import derive_new
from post.services.page_queries import Search, Shape
from post.services.search_index import grams_of, pairs_of, search_key
from post.services.search_plans import plan_search
from post.utils import Caller, new_id
from tests.conftest import at_once

POSTS = "/api/v1/posts"
STATUSES = ["visible"] * 8 + ["hidden", "deleted"]
AUTHORS = ["ana", "bo", "cy"]
CATEGORIES = ["일반", "여행", "맛집"]
# Small, so that titles share parts; each title is of one of them, and some of all.
ALPHABETS = [
    "가나다한글 ",
    "ㅋㅠ가각\u1100\u1161\u11a8 ",
    "aAbB1 ",
    "aB%_\\/",
    "'\"-[]*.,?%;a ",
    "😀😁👩\u200d\U00010400\U00010428a",
    "éÉeE\u0301àÅ ",
    "İIıi\u0307",
    "ßẞsSſ",
    "Σσςs",
    "ＡａKkK",
]
ALPHABETS.append("".join(ALPHABETS))
SIZES = [1, 2, 2, 3, 3, 4, 5, 8, 12, 20]
TITLES = 2000
# A search's total ends here: the last is above what any search finds.
CAPS = [3, 25, 150, 10_000]
# These are folded to ASCII by Python, or by MySQL's LOWER; by SQLite's LOWER none are.
FOLDED_TO_ASCII = set("İſ\u212a")
once_for_each_query = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


# The plain model


class Board:
    """Posts as they are stored, and the lists that they should make."""

    def __init__(self, posts):
        self.posts = posts
        self._visible = [(search_key(post.title), post) for post in posts if post.status == VISIBLE]

    def numbers(self, q, *, sort="latest", **filters):
        """The numbers of the posts that a search finds, in its order."""
        looked_for = search_key(q)
        found = [
            post
            for key, post in self._visible
            if looked_for in key and all(getattr(post, name) == value for name, value in filters.items())
        ]
        return [post.No for post in sorted(found, key=lambda post: sort_key(post, sort), reverse=True)]


def sort_key(post, sort):
    return tuple(getattr(post, name) for name in SORT_COLUMNS[sort])


def store_posts(app, posts):
    """Store posts as the commands do, many at a time; returns the rows of all there are."""
    with app.app_context():
        with transaction() as connection:
            author = Caller(user_id="ana", username="ana")
            ids = {
                name: ensure_category(connection, name, author=author)[0]
                for name in sorted({post["category"] for post in posts})
            }
            given_by_us = {"content": "내용", "username": "이름"}
            rows = [given_by_us | post | {"id": new_id(), "category_id": ids[post["category"]]} for post in posts]
            connection.execute(insert(Post), rows)
            derive_new(connection, [row["id"] for row in rows])
        columns = [column for column in Post.__table__.columns if column.name != "content"]
        return db.session.execute(select(*columns).order_by(Post.No)).all()


def random_title(chance):
    while True:
        some = chance.choices(chance.choice(ALPHABETS), k=200 if chance.random() < 0.005 else chance.choice(SIZES))
        title = as_asked("".join(some))
        if title:
            return title


def random_post(chance):
    return {
        "title": random_title(chance),
        "status": chance.choice(STATUSES),
        "user_id": chance.choice(AUTHORS),
        "category": chance.choice(CATEGORIES),
        "like_count": chance.choice([0, 0, 1, 5]),
        "view_count": chance.randrange(4),
    }


def as_asked(text):
    """What the service makes of a text before it stores or looks for it."""
    return unicodedata.normalize("NFC", text).strip()


@pytest.fixture
def board(app):
    chance = random.Random(1)
    return Board(store_posts(app, [random_post(chance) for _ in range(TITLES)]))


# What is looked for

TURNS = [str, str.lower, str.upper, str.swapcase, str.casefold]
CHARACTERS = st.sampled_from(sorted(set(ALPHABETS[-1])))


def queries(board):
    whole = sorted({post.title for post in board.posts})
    titles, turn = st.sampled_from(whole), st.sampled_from(TURNS)
    places = st.integers(0, 19), st.sampled_from([1, 1, 2, 2, 3, 4, 8, 100])
    parts = st.builds(lambda title, start, size, turn: turn(title[start % len(title) :][:size]), titles, *places, turn)
    random_ones = st.sampled_from(ALPHABETS).flatmap(
        lambda some: st.text(st.sampled_from(some), min_size=1, max_size=4)
    )
    altered = st.builds(
        lambda part, char, at: part[: at % len(part)] + char + part[at % len(part) :], parts, CHARACTERS, places[0]
    )
    long = st.text(CHARACTERS, min_size=90, max_size=100)
    any_of_them = st.one_of(parts, parts, parts, random_ones, altered, st.tuples(parts, parts).map("".join), long)
    return any_of_them.map(lambda q: as_asked(as_asked(q)[:100])).filter(bool)


def filter_sets(board):
    ids = sorted({post.category_id for post in board.posts})
    by_id, by_name = st.sampled_from(ids), st.sampled_from(CATEGORIES)
    author = st.sampled_from(AUTHORS)
    return st.one_of(
        st.just({}),
        st.just({}),
        st.fixed_dictionaries({"category_id": by_id}),
        st.fixed_dictionaries({"category": by_name}),
        st.fixed_dictionaries({"user_id": author}),
        st.fixed_dictionaries({"category": by_name, "user_id": author}),
    )


# What the service finds


@pytest.fixture
def plans(monkeypatch):
    """The plans that searches have had: how they were done, and how they would have been, were they not capped."""
    met = set()

    def noting(q, *args):
        plan = plan_search(q, *args)
        met.add((plan.search, min(len(q), 3), plan.is_capped))
        return plan

    monkeypatch.setattr(pages, "plan_search", noting)
    return met


def search(q, *, page=1, per_page=50, cursor=None, sort="latest", **filters):
    wanted = PageRequest(page=page, per_page=per_page, cursor=cursor, sort=sort)
    return services.list_posts(wanted, q=q, **filters).value


def numbers_of(page):
    return [post["No"] for post in page.items]


def find_by_sql(q):
    """The numbers of visible posts whose titles hold a text, as SQL alone tells."""
    pattern = "%" + "".join(f"/{char}" if char in "/%_" else char for char in q) + "%"
    query = text("SELECT `No` FROM posts WHERE status = 'visible' AND LOWER(title) LIKE LOWER(:pattern) ESCAPE '/'")
    with db.engine.connect() as connection:
        return set(connection.scalars(query, {"pattern": pattern}))


# Against the model


@pytest.mark.slow
def test_every_search_finds_what_the_model_does_by_every_plan(app, board, plans):
    @settings(once_for_each_query, max_examples=800)
    @given(
        q=queries(board),
        filters=filter_sets(board),
        cap=st.sampled_from(CAPS),
        per_page=st.integers(1, 50),
        place=st.integers(0, 10**6),
    )
    def agrees(q, filters, cap, per_page, place):
        with patch.object(search_plans, "SEARCH_TOTAL_MAX", cap):
            for asked, sort, some in [(q, "latest", {}), (q.swapcase(), "latest", filters), (q, "popular", filters)]:
                expected = board.numbers(asked, sort=sort, **some)
                page = place % (len(expected) // per_page + 2) + 1

                found = search(asked, page=page, per_page=per_page, sort=sort, **some)

                assert numbers_of(found) == expected[(page - 1) * per_page : page * per_page]
                assert (found.meta["total"], found.meta["has_next"], found.meta.get("total_capped", False)) == (
                    min(cap, len(expected)),
                    len(expected) > page * per_page,
                    len(expected) > cap,
                )

    with app.app_context():
        agrees()

    assert {plan for plan, *_ in plans} == set(get_args(Search))
    uncapped = {("character", 1, False), ("pair", 2, False), ("pairs", 3, False)}
    assert plans == uncapped | {("walk", 1, True), ("walk", 2, True), ("walk", 3, True), ("pair", 2, True)}


@pytest.mark.slow
def test_of_ascii_sql_finds_the_same(app, board):
    titles = {post.No: post.title for post in board.posts}

    @settings(once_for_each_query, max_examples=400)
    @given(q=queries(board).filter(str.isascii))
    def agrees(q):
        by_sql = {number for number in find_by_sql(q) if not FOLDED_TO_ASCII & set(titles[number])}

        expected = {number for number in board.numbers(q) if not FOLDED_TO_ASCII & set(titles[number])}
        assert expected == by_sql

    with app.app_context():
        agrees()


def walk(page, link, ask):
    """Follow the cursors from a page on; yields each page's numbers, the page's first."""
    while True:
        yield numbers_of(page)
        query = page.next_link if link == "next" else page.prev_link
        if query is None:
            return
        page = ask(**query)


def asking(q, **query):
    """Ask for another page of a search, by a cursor or a number."""

    def ask(cursor=None, page=1):
        return search(q, cursor=cursor and Cursor.decode(cursor), page=page, **query)

    return ask


@pytest.mark.slow
def test_pages_by_number_and_by_cursor_both_ways_hold_every_post_once(app, board):
    @settings(once_for_each_query, max_examples=60)
    @given(
        q=queries(board),
        filters=filter_sets(board),
        sort=st.sampled_from(["latest", "popular"]),
        cap=st.sampled_from(CAPS),
        size=st.integers(1, 12),
    )
    def agrees(q, filters, sort, cap, size):
        expected = board.numbers(q, sort=sort, **filters)
        per_page = max(1, min(50, max(size, len(expected) // 8)))
        pages = [expected[start : start + per_page] for start in range(0, len(expected), per_page)] or [[]]
        ask = asking(q, per_page=per_page, sort=sort, **filters)

        with patch.object(search_plans, "SEARCH_TOTAL_MAX", cap):
            first, last = ask(), ask(page=len(pages))
            by_number, back_by_number = list(walk(first, "next", ask)), list(walk(last, "prev", ask))
            next_cursor = first.meta["next_cursor"]
            by_cursor = list(walk(ask(cursor=next_cursor), "next", ask)) if next_cursor else []
            end = [ask(cursor=Cursor("prev", sort, (0,) * len(SORT_COLUMNS[sort])).encode())]
            back_by_cursor = list(walk(end[0], "prev", ask))

        assert by_number == back_by_number[::-1] == pages
        assert [first.items and numbers_of(first), *by_cursor] == pages
        assert list(chain(*reversed(back_by_cursor))) == expected

    with app.app_context():
        agrees()


# Plans


def plan_of(app, q, shape, filters=None):
    with app.app_context():
        return plan_search(q, shape, filters or {})


@pytest.mark.parametrize(
    ("q", "cap", "search", "capped_by_filters_or_likes"),
    [
        pytest.param("A", 5, "character", "character", id="character"),
        pytest.param("A", 4, "walk", "walk", id="character-of-many"),
        pytest.param("Ab", 5, "pair", "pair", id="pair"),
        pytest.param("Ab", 4, "pair", "walk", id="pair-of-many"),
        pytest.param("aBc", 5, "pairs", "pairs", id="pairs"),
        pytest.param("aBc", 4, "walk", "walk", id="pairs-of-many"),
    ],
)
def test_a_plan_follows_from_the_length_of_the_text_and_the_number_of_its_posts(
    app, make_post, monkeypatch, user_id, *, q, cap, search, capped_by_filters_or_likes
):
    monkeypatch.setattr(search_plans, "SEARCH_TOTAL_MAX", cap)
    for _ in range(5):
        make_post(title="abc")
    by_author = Shape(filters=frozenset({"user_id"}))

    plans = [
        plan_of(app, q, Shape()),
        plan_of(app, q, Shape(sort="popular")),
        plan_of(app, q, by_author, {"user_id": user_id("ana")}),
    ]

    assert [plan.search for plan in plans] == [search] + [capped_by_filters_or_likes] * 2
    assert {(plan.total, plan.is_capped) for plan in plans} == {(cap, cap < 5)}


def test_a_long_text_is_looked_up_by_its_rarest_pair(app, make_post):
    for title in ("abcd", "ab", "ab", "bcd", "bc"):
        make_post(title=title)

    plan = plan_of(app, "ABCD", Shape())

    assert (plan.search, plan.total) == ("pairs", 1)
    assert plan.values["gram"] == pairs_of("cd")[0]


@pytest.mark.parametrize("size", [3, 8, 9, 10, 17, 99, 100])
def test_of_a_text_of_any_length_8_pairs_at_most_are_looked_at(app, make_post, count_queries, size):
    title = "".join(chr(ord("가") + number) for number in range(size))
    make_post(title=title)

    with count_queries() as statements:
        plan = plan_of(app, title, Shape())

    assert plan.total == 1
    frequencies, _total = [statement for statement in statements if statement.startswith("SELECT")]
    assert 1 <= frequencies.count("FROM search_grams") <= 8


# Changes of a post


@pytest.fixture
def found(client):
    """The ids of the posts that a search finds, the latest first."""

    def find(q, **query):
        response = client.get(POSTS, query_string={"q": q, **query})
        assert response.json["meta"]["total"] == len(response.json["data"])
        return [post["id"] for post in response.json["data"]]

    return find


@pytest.fixture
def change(client, as_user):
    """Change a post through the API."""

    def send(post_id, who="ana", **changes):
        response = client.patch(f"{POSTS}/{post_id}", json=changes, headers=as_user(who))
        assert response.status_code == 200, response.data

    return send


def kept_of(app):
    """What the search looks up: each number's title, and its grams."""
    with app.app_context():
        titles = db.session.execute(select(SearchTitle.No, SearchTitle.title_key)).all()
        grams = db.session.execute(select(SearchGram.No, SearchGram.gram)).all()
    return {row.No: row.title_key for row in titles}, {tuple(row) for row in grams}


def wanted_of(app):
    """What the search should look up, as the titles of the posts say."""
    with app.app_context():
        posts = db.session.execute(select(Post.No, Post.title).where(Post.status == VISIBLE)).all()
    titles = {post.No: search_key(post.title) for post in posts}
    return titles, {(number, gram) for number, key in titles.items() for gram in grams_of(key)}


parts = pytest.mark.parametrize("q", ["봄", "여행", "봄 여행", "E"], ids=["character", "pair", "pairs", "ascii"])


@parts
def test_an_edited_title_is_found_by_what_it_says_now(app, make_post, found, change, q):
    post_id, other = make_post(title="봄 여행 e"), make_post(title="봄 여행 e")

    change(post_id, title="가을 산책")
    without = found(q), found("산책")
    change(post_id, title="다시 봄 여행 E")

    assert without == ([other], [post_id])
    assert (found(q), found("산책")) == ([other, post_id], [])
    assert kept_of(app) == wanted_of(app)


@parts
def test_a_hidden_post_is_not_found_until_it_is_visible_again(app, make_post, found, change, q):
    post_id = make_post(title="봄 여행 e")

    change(post_id, status="hidden")
    change(post_id, title="가을 봄 여행 e")
    while_hidden = found(q), kept_of(app)
    change(post_id, status="visible")

    assert while_hidden == ([], ({}, set()))
    assert found(q) == found("가을") == [post_id]
    assert kept_of(app) == wanted_of(app)


@parts
def test_a_deleted_post_is_not_found_until_an_admin_restores_it(app, client, make_post, as_user, found, change, q):
    post_id = make_post(title="봄 여행 e")

    client.delete(f"{POSTS}/{post_id}", headers=as_user("ana"))
    while_deleted = found(q), kept_of(app)
    change(post_id, "root", status="visible", title="봄 여행 E 2")

    assert while_deleted == ([], ({}, set()))
    assert found(q) == found("e 2") == [post_id]
    assert kept_of(app) == wanted_of(app)


def test_a_post_is_found_by_the_filters_of_its_category_at_once(make_post, found, change):
    post_id = make_post(title="봄 여행", category="여행")

    change(post_id, category="맛집")

    assert (found("봄", category="여행"), found("봄", category="맛집")) == ([], [post_id])


@pytest.mark.parametrize(
    "changes", [{"content": "다른 내용"}, {"title": "봄 E"}, {"title": "봄 e"}, {"status": "visible"}], ids=str
)
def test_a_change_that_no_search_sees_leaves_the_tables_alone(app, make_post, change, count_queries, changes):
    post_id = make_post(title="봄 e")

    with count_queries() as statements:
        change(post_id, **changes)

    assert [statement for statement in statements if "search_" in statement] == []
    assert kept_of(app) == wanted_of(app)


def test_posts_stored_many_at_a_time_are_found_as_those_stored_alone(app, make_post):
    chance = random.Random(3)
    some = [random_post(chance) | {"status": chance.choice(["visible", "hidden", "deleted"])} for _ in range(60)]

    for post in some[:20]:
        make_post(title=post["title"], status=post["status"])
    store_posts(app, some[20:])

    assert kept_of(app) == wanted_of(app)


@pytest.mark.parametrize("status", ["hidden", "deleted"])
def test_posts_stored_many_at_a_time_may_all_be_out_of_sight(app, status):
    store_posts(app, [random_post(random.Random(4)) | {"status": status} for _ in range(3)])

    assert kept_of(app) == ({}, set())


def test_a_creation_that_is_rolled_back_leaves_nothing_to_find(app, found, monkeypatch):
    ana = Caller(user_id="ana", username="ana")
    monkeypatch.setattr(derived, "add_to_counts", lambda *_: 1 / 0)

    with app.app_context(), pytest.raises(ZeroDivisionError):
        services.create_post(author=ana, title="봄 여행", content="내용", category="일반")

    assert kept_of(app) == ({}, set())
    assert found("봄") == []


def test_an_edit_that_fails_at_its_end_leaves_the_old_title(app, make_post, found, monkeypatch):
    post_id = make_post(title="봄 여행")
    ana = Caller(user_id="ana", username="ana", is_admin=True)
    monkeypatch.setattr(derived, "add_to_counts", lambda *_: 1 / 0)

    with app.app_context(), pytest.raises(ZeroDivisionError):
        services.edit_post(post_id, editor=ana, changes={"title": "가을 산책"})

    assert (found("봄"), found("가을")) == ([post_id], [])
    assert kept_of(app) == wanted_of(app)


# Changes at once


def patching(app, post_id, headers, **changes):
    # A client for each call: clients are not made for threads.
    return lambda: app.test_client().patch(f"{POSTS}/{post_id}", json=changes, headers=headers)


@pytest.mark.parametrize("repetition", range(5))
def test_of_two_edits_of_a_title_at_once_one_is_found_whole(repetition, app, make_post, as_user, found):
    post_id, headers = make_post(title="봄 여행 사진"), as_user("ana")
    titles = ["봄 여행 이야기", "가을 여행 사진"]

    answers = at_once([patching(app, post_id, headers, title=title) for title in titles])

    assert [answer.status_code for answer in answers] == [200, 200]
    assert sorted(found(title) for title in titles) == [[], [post_id]]
    assert found("여행") == [post_id]
    assert kept_of(app) == wanted_of(app)


def test_random_edits_at_once_leave_what_the_titles_say(app, make_post, as_user):
    chance = random.Random(5)
    ids = [make_post(title=random_title(chance)) for _ in range(4)]
    calls = []
    for _ in range(80):
        some = [{"title": random_title(chance)}, {"status": "hidden"}, {"status": "visible"}]
        calls.append(patching(app, chance.choice(ids), as_user("root"), **chance.choice([*some, some[0] | some[2]])))

    answers = at_once(calls, threads=16)

    assert {answer.status_code for answer in answers} == {200}
    assert kept_of(app) == wanted_of(app)


def test_posts_created_edited_and_deleted_at_once_are_found_as_they_are(app, make_post, as_user):
    chance, headers = random.Random(6), as_user("root")

    def send(method, url, body=None):
        return lambda: app.test_client().open(url, method=method, json=body, headers=headers)

    urls = [f"{POSTS}/{make_post(title='봄 여행')}" for _ in range(10)]
    create = [send("POST", POSTS, {"title": random_title(chance), "content": "내용"}) for _ in range(20)]
    edit = [send("PATCH", url, {"title": "가을 여행"}) for url in urls]
    calls = [*create, *edit, *(send("DELETE", url) for url in urls)]
    chance.shuffle(calls)

    answers = at_once(calls, threads=20)

    assert {answer.status_code for answer in answers} <= {200, 201, 404}
    assert len(kept_of(app)[0]) == 20
    assert kept_of(app) == wanted_of(app)
