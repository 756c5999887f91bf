"""Deep pages by number: each is the slice of the list that its number says, from wherever it is walked to."""

import random
from itertools import count
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import delete, update

from post.database.writes import transaction
from post.models import DELETED, HIDDEN, VISIBLE, Post
from post.paging import Cursor
from post.services import derived, pages, search_plans
from post.services.derived import IndexedPost, update_derived
from post.services.page_queries import page_query
from tests.test_lists import links
from tests.test_search import Board, sort_key, store_posts

pytestmark = pytest.mark.slow

POSTS = "/api/v1/posts"
MINE = {"is_mine": True}
BLOCK_NUMBERS = 8
SIZE = 160
PER_PAGE = (2, 3, 7, 50)
# Queries by what they are; names stand for ids that the database gives.
LISTS = {
    "newest": {},
    "popular": {"sort": "popular"},
    "category": {"category": "여행"},
    "category-id": {"category_id": "여행"},
    "category-popular": {"category": "여행", "sort": "popular"},
    "author": {"user_id": "ana"},
    "author-popular": {"user_id": "ana", "sort": "popular"},
    "author-and-category": {"user_id": "ana", "category": "여행"},
    "my": MINE,
    "character": {"q": "A"},
    "character-popular": {"q": "a", "sort": "popular"},
    "pair": {"q": "aB"},
    "pair-popular": {"q": "ab", "sort": "popular"},
    "pair-category": {"q": "ab", "category": "여행"},
    "pairs": {"q": "aBc"},
    "pairs-author-popular": {"q": "abc", "user_id": "ana", "sort": "popular"},
    "nothing": {"q": "xyz"},
    "no-category": {"category": "없는 것"},
}
every_list = pytest.mark.parametrize("query", LISTS.values(), ids=LISTS)
filled_lists = pytest.mark.parametrize("query", list(LISTS.values())[:-2], ids=list(LISTS)[:-2])
searches = pytest.mark.parametrize(
    "query", [query for query in LISTS.values() if query.get("q", "xyz") != "xyz"], ids=str
)


# The posts


@pytest.fixture
def small(monkeypatch):
    """Make short lists deep, and blocks of few numbers."""
    monkeypatch.setattr(pages, "DEEP_OFFSET", 5)
    for module in (derived, pages):
        monkeypatch.setattr(module, "BLOCK_NUMBERS", BLOCK_NUMBERS)


@pytest.fixture
def authors(user_id):
    return {name: user_id(name) for name in ("ana", "bo")}


@pytest.fixture
def board(app, small, authors):
    """Posts with hidden and deleted ones among them, numbers that no post has, and blocks that have none to show."""
    chance = random.Random(2)
    posts = [random_post(chance, authors) for _ in range(SIZE)]
    for post in posts[40:70]:
        post["status"] = "deleted"
    stored = store_posts(app, posts)
    gone = {post.No for post in stored if post.status == "deleted" and chance.random() < 0.5}
    deleted = {post.No for post in stored[90 : 90 + 2 * BLOCK_NUMBERS]} - gone
    with app.app_context(), transaction() as connection:
        connection.execute(delete(Post).where(Post.No.in_(gone)))
        connection.execute(update(Post).where(Post.No.in_(deleted)).values(status=DELETED))
        for post in stored:
            if post.No in deleted:
                update_derived(connection, IndexedPost.of(post), IndexedPost.of(post)._replace(status=DELETED))
    return Board([post for post in stored if post.No not in gone | deleted])


def random_post(chance, authors):
    return {
        "title": chance.choice(["a", "ab", "abc", "ABCD", "bca", "cab", "글"]),
        "status": chance.choice(["visible"] * 5 + ["hidden", "deleted"]),
        "user_id": authors[chance.choice(["ana", "ana", "bo"])],
        "category": chance.choice(["여행", "여행", "맛집"]),
        "like_count": chance.choice([0, 0, 1, 5]),
        "view_count": chance.randrange(3),
    }


@pytest.fixture
def expected(board, authors):
    """The posts of a list, in its order, by the plain model."""
    by_number = {post.No: post for post in board.posts}

    def listed(query):
        if query is MINE:
            mine = [post for post in board.posts if post.user_id == authors["ana"]]
            return sorted((post for post in mine if post.status in (VISIBLE, HIDDEN)), key=lambda post: -post.No)
        filters = {name: value for name, value in query.items() if name not in ("q", "user_id", "category_id")}
        if "category_id" in query:
            filters["category"] = query["category_id"]
        if "user_id" in query:
            filters["user_id"] = authors[query["user_id"]]
        return [by_number[number] for number in board.numbers(query.get("q", ""), **filters)]

    return listed


@pytest.fixture
def ask(client, as_user, authors, small):
    """Get a page of a list."""
    headers = as_user("ana")

    def get(query, *, tag=None, **place):
        asked = {name: value for name, value in query.items() if name != "is_mine"}
        if "user_id" in query:
            asked["user_id"] = authors[query["user_id"]]
        if "category_id" in query:
            named = {category["name"]: category["id"] for category in client.get("/api/v1/categories").json["data"]}
            asked["category_id"] = named.get(query["category_id"], "0" * 32)
        url = f"{POSTS}/my" if query is MINE else POSTS
        conditional = {"If-None-Match": tag} if tag else {}
        response = client.get(url, query_string=asked | place, headers=headers | conditional)
        assert response.status_code in (200, 304), response.data
        return response

    return get


def numbers(posts):
    return [post.No for post in posts]


def shown(response):
    return [post["No"] for post in response.json["data"]]


def meta_of(posts, sort, page, per_page):
    """The ``meta`` that a page of a list should have."""
    end = page * per_page
    has_next = end < len(posts)
    return {
        "page": page,
        "per_page": per_page,
        "total": len(posts),
        "pages": -(-len(posts) // per_page),
        "has_next": has_next,
        "has_prev": page > 1,
        "next_cursor": Cursor("next", sort, sort_key(posts[end - 1], sort)).encode() if has_next else None,
    }


def pins_of(query, page):
    """Return the further fields of ``meta``, on a board without pins."""
    return {"pinned": []} if page == 1 and query is not MINE and "q" not in query else {}


def linked_pages(response):
    """The pages that the ``Link`` header leads to."""
    return {rel: int(parse_qs(urlsplit(url).query)["page"][0]) for rel, url in links(response).items()}


def links_of(meta):
    """Where the ``Link`` header of a page should lead."""
    back = max(1, min(meta["page"] - 1, meta["pages"]))
    return ({"next": meta["page"] + 1} if meta["has_next"] else {}) | ({"prev": back} if meta["has_prev"] else {})


# Every page


@every_list
def test_every_page_is_its_slice_of_the_list(ask, expected, query):
    posts, sort = expected(query), query.get("sort", "latest")

    for per_page in PER_PAGE:
        for page in range(1, len(posts) // per_page + 3):
            response = ask(query, page=page, per_page=per_page)

            meta = meta_of(posts, sort, page, per_page)
            assert shown(response) == numbers(posts[(page - 1) * per_page : page * per_page])
            assert response.json["meta"] == meta | pins_of(query, page)
            assert linked_pages(response) == links_of(meta)


@every_list
def test_from_every_page_the_cursor_leads_on_and_the_tag_says_that_nothing_changed(ask, expected, query):
    posts = expected(query)

    for page in range(1, len(posts) // 4 + 2):
        response = ask(query, page=page, per_page=4)
        cursor = response.json["meta"]["next_cursor"]

        assert (shown(ask(query, cursor=cursor)) if cursor else []) == numbers(posts[page * 4 :][:10])
        assert ask(query, page=page, per_page=4, tag=response.headers["ETag"]).status_code == 304


@every_list
def test_far_past_the_end_are_empty_pages(ask, expected, query):
    posts = expected(query)

    for page in (10**6, 2**31 - 1):
        response = ask(query, page=page, per_page=50)

        assert shown(response) == []
        assert (response.json["meta"]["total"], response.json["meta"]["has_next"]) == (len(posts), False)
        assert linked_pages(response) == {"prev": max(1, -(-len(posts) // 50))}


@every_list
def test_a_list_without_posts_has_no_page(ask, monkeypatch, query):
    monkeypatch.setattr(pages, "DEEP_OFFSET", 0)

    for page in (1, 2, 3):
        response = ask(query, page=page)

        assert response.json["data"] == []
        assert response.json["meta"] == meta_of([], "latest", page, 10) | pins_of(query, page)


@pytest.mark.parametrize(
    ("query", "ways"),
    [
        pytest.param({}, {("first", False), ("first", True)}, id="newest"),
        pytest.param({"sort": "popular"}, {("first", False), ("last", False)}, id="popular"),
        pytest.param({"category": "여행"}, {("first", False), ("last", False)}, id="category"),
        pytest.param(MINE, {("first", False), ("last", False)}, id="my"),
        pytest.param({"q": "ab"}, {("first", False), ("last", False)}, id="search"),
    ],
)
def test_pages_are_walked_to_by_blocks_or_from_both_ends(ask, expected, monkeypatch, query, ways):
    shapes = []
    monkeypatch.setattr(pages, "page_query", lambda shape, **view: shapes.append(shape) or page_query(shape, **view))

    for page in range(1, len(expected(query)) // 5 + 1):
        ask(query, page=page, per_page=5)

    assert {(shape.direction, shape.is_bounded) for shape in shapes} == ways


# Beyond a search's total


@searches
@pytest.mark.parametrize("cap", [1, 6])
def test_beyond_its_total_a_search_has_every_page(ask, expected, monkeypatch, query, cap):
    monkeypatch.setattr(search_plans, "SEARCH_TOTAL_MAX", cap)
    monkeypatch.setattr(pages, "DEEP_OFFSET", 0)
    posts = expected(query)

    for page in range(1, len(posts) // 3 + 3):
        response = ask(query, page=page, per_page=3)

        assert shown(response) == numbers(posts[(page - 1) * 3 : page * 3])
        meta = response.json["meta"]
        assert (meta["total"], meta["total_capped"], meta["has_next"]) == (cap, True, len(posts) > page * 3)


# While others write


@pytest.fixture
def create(make_post, row):
    """Create the first post of every list that there are posts of; returns its number."""
    views = count()
    return lambda: row(make_post(title="abc", category="여행", like_count=99, view_count=next(views))).No


@filled_lists
def test_a_page_is_of_the_list_as_it_is_when_posts_have_been_created(ask, expected, create, query):
    now, per_page = numbers(expected(query)), 4

    for page in range(1, len(now) // per_page + 2):
        now = [create(), *now]
        response = ask(query, page=page, per_page=per_page)

        assert shown(response) == now[(page - 1) * per_page : page * per_page]
        assert response.json["meta"]["total"] == len(now)


@filled_lists
def test_the_cursor_of_a_page_leads_on_when_posts_have_been_created(ask, expected, create, query):
    posts, per_page = numbers(expected(query)), 3

    for made, page in enumerate(range(2, len(posts) // per_page + 1, 2)):
        response = ask(query, page=page, per_page=per_page)
        create()
        rest = ask(query, cursor=response.json["meta"]["next_cursor"], per_page=per_page)

        end = page * per_page - made
        assert shown(response)[-per_page:] == posts[max(0, end - per_page) : end][-per_page:]
        assert shown(rest) == posts[end : end + per_page]


@filled_lists
def test_a_page_is_of_one_list_where_a_post_is_created_while_it_is_looked_for(
    ask, expected, create, monkeypatch, query
):
    """Its place is found by one statement, its posts are read by another."""
    now, per_page = numbers(expected(query)), 3
    place, made = pages._with_offsets, []
    monkeypatch.setattr(pages, "_with_offsets", lambda plan: (place(plan), made.append(create()))[0])

    for page in range(1, len(now) // per_page + 1):
        response = ask(query, page=page, per_page=per_page)
        before, now = now, [made[-1], *now]

        start, end = (page - 1) * per_page, page * per_page
        assert shown(response) in (before[start:end], now[start:end])
        assert response.json["meta"]["total"] in (len(before), len(now))
