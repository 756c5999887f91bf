"""How databases read lists: in one statement, by an index alone, and no row beyond the page."""

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, delete, event, insert
from sqlalchemy.engine import make_url

from post.models import Pin, db
from post.paging import Cursor
from post.services import derived, pages, search_plans
from post.services.pages import DEEP_OFFSET
from tests.conftest import drop_database
from tests.test_search import sort_key, store_posts

POSTS = "/api/v1/posts"
BLOCK_NUMBERS = 256
SIZE = 3000
PER_PAGE = 10
SHARDS = max(derived.SHARDS.values())  # rows that a count may be the sum of

on_mysql = pytest.mark.parametrize("database", ["mysql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

NEWEST, POPULAR = "ix_posts_status_no", "ix_posts_popular"
BY_CATEGORY, POPULAR_BY_CATEGORY = "ix_posts_category_status_no", "ix_posts_category_popular"
BY_AUTHOR = "ix_posts_user_status_no"
# Lists, and the index that should give their keys.
LISTS = {
    "?": NEWEST,
    "?view=summary": NEWEST,
    "?sort=popular": POPULAR,
    "?category_id={category_id}": BY_CATEGORY,
    "?category=여행": BY_CATEGORY,
    "?category=여행&sort=popular": POPULAR_BY_CATEGORY,
    "?category_id={category_id}&sort=popular": POPULAR_BY_CATEGORY,
    "?user_id={ana}": BY_AUTHOR,
    "?cursor={next}": NEWEST,
    "?cursor={prev}": NEWEST,
    "?sort=popular&cursor={popular_next}": POPULAR,
    "?sort=popular&cursor={popular_prev}": POPULAR,
    "?category=여행&cursor={next}": BY_CATEGORY,
    "?category_id={category_id}&cursor={prev}": BY_CATEGORY,
    "?category=여행&sort=popular&cursor={popular_next}": POPULAR_BY_CATEGORY,
    "?user_id={ana}&cursor={next}": BY_AUTHOR,
}
WALKED = 40  # posts of a status that a search through titles may read
MINE = {"/my?": BY_AUTHOR, "/my?cursor={next}": BY_AUTHOR, "/my?cursor={prev}": BY_AUTHOR}
# The most popular posts of a time, and their days.
PERIODS = {"?sort=popular&period=day": 1, "?sort=popular&period=week": 7, "?sort=popular&period=month": 30}
BY_DAY, BY_TIME = "ix_posts_day_popular", "ix_posts_status_created_at"
BOARD_DAYS = 60  # before now, on which its posts are created
DAY_POSTS = 2 * SIZE // BOARD_DAYS  # of one day, and more than there are
every_period = pytest.mark.parametrize(("url", "days"), PERIODS.items())
OF_AUTHOR_OR_CATEGORY = ["&user_id={ana}", "&category_id={category_id}", "&category=여행&user_id={ana}"]
PAIRS = ["?q=여행", "?q=여행&cursor={next}", "?q=여행&cursor={prev}"]
START = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=BOARD_DAYS)
every_list = pytest.mark.parametrize(("url", "index"), [*LISTS.items(), *MINE.items()])


@dataclass(frozen=True)
class Board:
    """An app on a database of its own with posts, and what URLs name."""

    app: Flask
    engine: Engine
    names: dict[str, Any]
    headers: dict[str, str]
    path: str = POSTS

    def get(self, url, **headers):
        response = self.app.test_client().get(f"{self.path}{url.format(**self.names)}", headers=self.headers | headers)
        assert response.status_code in (200, 304), response.data
        return response

    def patch(self, url, **changes):
        client = self.app.test_client()
        response = client.patch(f"{POSTS}{url.format(**self.names)}", json=changes, headers=self.headers)
        assert response.status_code == 200, response.data

    @contextmanager
    def sending(self):
        """Note the statements that a block sends, each with its parameters."""
        sent = []

        def note(_connection, _cursor, statement, parameters, *_rest):
            if not statement.startswith("BEGIN"):  # SQLite's, which is not sent anywhere
                sent.append((statement, parameters))

        with self.app.app_context():
            engines = list(db.engines.values())
        for engine in engines:
            event.listen(engine, "before_cursor_execute", note)
        try:
            yield sent
        finally:
            for engine in engines:
                event.remove(engine, "before_cursor_execute", note)

    def statements(self, url, **headers):
        with self.sending() as sent:
            self.get(url, **headers)
        return sent


@pytest.fixture(scope="module")
def own_url(database, request, tmp_path_factory):
    """A database that no other test empties."""
    if database == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('plans')}/postdb.sqlite3"
        return
    url = make_url(request.getfixturevalue("mysql_server"))
    url = url.set(database=f"{url.database}_plans").render_as_string(hide_password=False)
    yield url
    drop_database(url)


@pytest.fixture(scope="module")
def board(make_app, own_url):
    app = make_app(DATABASE_URL=own_url)
    with app.app_context():
        engine = db.engine
    token = app.extensions["post"].dev_issuer.issue("ana", [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(derived, "BLOCK_NUMBERS", BLOCK_NUMBERS)
        patch.setattr(pages, "BLOCK_NUMBERS", BLOCK_NUMBERS)
        posts = store_posts(app, [numbered_post(number, token["sub"]) for number in range(SIZE)])
        if engine.dialect.name == "mysql":
            with engine.connect() as connection:
                connection.exec_driver_sql("ANALYZE TABLE posts, post_counts, search_grams, search_titles, categories")
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        yield Board(app, engine, names_of(posts, token["sub"]), headers)
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()


def numbered_post(number, ana):
    return {
        "title": "봄 여행 후기" if number % 5 else "맛집 이야기",
        "status": ["hidden", "deleted", *["visible"] * 18][number % 20],
        "user_id": ana if number % 6 else "bo",
        "category": "여행" if number % 7 else "맛집",
        "like_count": number * 7919 % 13,
        "view_count": number * 104_729 % 101,
        "created_at": START + timedelta(days=BOARD_DAYS * number / SIZE),
    }


def names_of(posts, ana):
    """What stands in URLs: an author, a category, cursors in the middle of the list."""
    visible = [post for post in posts if post.status == "visible"]
    names = {"ana": ana, "category_id": next(post.category_id for post in posts if post.category == "여행")}
    for sort, prefix in (("latest", ""), ("popular", "popular_")):
        middle = sorted(sort_key(post, sort) for post in visible)[len(visible) // 2]
        names |= {f"{prefix}{way}": Cursor(way, sort, middle).encode() for way in ("next", "prev")}
    names["ids"] = [post.id for post in visible][:: len(visible) // 50][:50]
    return names | {"post_id": next(post.id for post in visible if post.user_id == ana), "visible": len(visible)}


@dataclass(frozen=True)
class Step:
    """A row of MySQL's EXPLAIN."""

    table: str
    type: str
    key: str
    rows: int
    extra: str


def explained(engine, statement, parameters):
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN FORMAT=TRADITIONAL {statement}", parameters).mappings().all()
    return [
        Step(row["table"] or "", row["type"], row["key"], int(row["rows"] or 0), row["Extra"] or "") for row in rows
    ]


def reads(engine, statement, parameters):
    """Run a statement; returns the rows that it makes the storage engine read, by how they are found."""
    with engine.connect() as connection:
        connection.exec_driver_sql("FLUSH STATUS")
        result = connection.exec_driver_sql(statement, parameters)
        _ = result.all() if result.returns_rows else None
        rows = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read_%%'", ()).all()
    return {name.removeprefix("Handler_read_"): int(count) for name, count in rows}


def index_steps(read):
    """How many entries of indexes lie between the first that is looked up and the last that is read."""
    return read["next"] + read["prev"]


def sorts_or_copies(steps):
    return [step for step in steps if re.search("filesort|temporary", step.extra)]


# Statements


@every_list
def test_a_page_is_one_statement(board, url, index):
    assert len(board.statements(url)) == 1


@every_list
def test_a_page_that_the_caller_has_is_one_statement(board, url, index):
    tag = board.get(url).headers["ETag"]

    assert len(board.statements(url, **{"If-None-Match": tag})) == 1
    assert board.get(url, **{"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(
    "url", ["?per_page=50", "?view=summary&per_page=50", *[f"{url}&per_page=50" for url in PERIODS]]
)
def test_fifty_posts_with_their_callers_likes_are_one_statement(board, url):
    with board.sending() as sent:
        posts = board.get(url).json["data"]

    assert len(sent) == 1
    assert len(posts) == 50 or url == "?sort=popular&period=day&per_page=50"
    assert {post["is_liked"] for post in posts} == {False}


@pytest.mark.parametrize("url", PERIODS)
def test_a_period_s_page_is_one_statement_and_so_is_its_version(board, url):
    tag = board.get(url).headers["ETag"]

    assert len(board.statements(url)) == len(board.statements(url, **{"If-None-Match": tag})) == 1


@pytest.mark.parametrize("url", PAIRS)
def test_a_search_for_two_characters_is_its_total_and_its_page(board, url):
    assert len(board.statements(url)) == 2


@pytest.mark.parametrize(("q", "statements"), [("봄", 2), ("봄 여", 3), ("봄 여행 후기", 3), ("?!", 1), ("없", 1)])
def test_a_search_is_three_statements_at_most_and_one_where_it_finds_nothing(board, q, statements):
    assert len(board.statements(f"?q={q}")) == statements


def test_a_post_is_one_statement(board):
    board.get("/{post_id}")  # the view is counted

    assert len(board.statements("/{post_id}")) == 1


@pytest.mark.parametrize(
    "url", ["?page=200", "?page=100000", "?sort=popular&page=200", "/my?page=200", "?q=여행&page=200"]
)
def test_a_deep_page_is_two_statements_at_most(board, url):
    assert len(board.statements(url)) <= 2


@pytest.mark.parametrize(
    ("url", "statements"),
    [
        pytest.param("?page=100000", 1, id="deep"),
        pytest.param("?sort=popular&page=100000", 1, id="deep-popular"),
        pytest.param("?category=맛집&page=100000", 1, id="deep-category"),
        pytest.param("/my?page=100000", 1, id="deep-my"),
        pytest.param("?category=맛집&page=90", 2, id="category"),
        pytest.param("?category=없는 것&page=1", 2, id="no-category"),
        pytest.param("?q=맛집&page=90", 1, id="search"),
    ],
)
def test_past_the_end_no_page_is_looked_for_where_the_total_tells(board, url, statements):
    with board.sending() as sent:
        response = board.get(url)

    assert response.json["data"] == []
    assert len(sent) == statements


# MySQL and MariaDB


@on_mysql
@every_list
def test_keys_come_in_order_from_a_covering_index(board, url, index):
    ((statement, parameters),) = board.statements(url)

    steps = explained(board.engine, statement, parameters)

    keys = [step for step in steps if step.key == index]
    rows = [step for step in steps if step.table == "posts" and step.key != index]
    assert len(keys) == (2 if url.startswith("/my") else 1)
    assert all(step.table == "posts" and "Using index" in step.extra.split("; ") for step in keys)
    assert [(step.type, step.key) for step in rows] == [("eq_ref", "PRIMARY")]


@on_mysql
@pytest.mark.parametrize(("url", "index"), LISTS.items())
def test_nothing_is_sorted_nor_copied_for_a_page(board, url, index):
    ((statement, parameters),) = board.statements(url)

    assert sorts_or_copies(explained(board.engine, statement, parameters)) == []


@on_mysql
@pytest.mark.parametrize("url", MINE)
def test_of_an_author_s_own_posts_two_pages_keys_are_sorted(board, url):
    ((statement, parameters),) = board.statements(f"{url}&per_page={PER_PAGE}")

    sorted_ones = sorts_or_copies(explained(board.engine, statement, parameters))

    assert all(step.table.startswith("<") and step.rows <= 2 * (PER_PAGE + 1) for step in sorted_ones)


@on_mysql
@every_list
def test_a_page_s_version_is_read_by_the_same_index(board, url, index):
    tag = board.get(url).headers["ETag"]
    ((statement, parameters),) = board.statements(url, **{"If-None-Match": tag})

    steps = explained(board.engine, statement, parameters)

    keys = [step for step in steps if step.key == index]
    assert keys
    assert all("Using index" in step.extra.split("; ") for step in keys)
    assert [step for step in sorts_or_copies(steps) if not step.table.startswith("<")] == []
    assert index_steps(reads(board.engine, statement, parameters)) <= 2 * (PER_PAGE + 1) + SHARDS


@on_mysql
@pytest.mark.parametrize("url", PAIRS)
def test_the_keys_of_a_pair_come_in_order_from_the_grams_alone(board, url):
    _, (statement, parameters) = board.statements(url)

    steps = explained(board.engine, statement, parameters)

    (keys,) = [step for step in steps if step.table == "search_grams"]
    assert keys.key == "PRIMARY"
    assert "Using index" in keys.extra.split("; ")
    assert [(step.type, step.key) for step in steps if step.table == "posts"] == [("eq_ref", "uq_posts_no")]
    assert sorts_or_copies(steps) == []


@on_mysql
@pytest.mark.parametrize("per_page", [1, PER_PAGE, 50])
@pytest.mark.parametrize("url", [*LISTS, *MINE, *PAIRS])
def test_no_row_beyond_the_page_is_read(board, url, per_page):
    statement, parameters = board.statements(f"{url}&per_page={per_page}")[-1]

    read = reads(board.engine, statement, parameters)

    keys = (per_page + 1) * (2 if url.startswith("/my") else 1)
    assert index_steps(read) <= keys + SHARDS
    # A key is read from the index, written to and read from the derived table, and its row is looked up.
    assert sum(read.values()) <= 6 * keys + 2 * SHARDS


@on_mysql
def test_a_post_is_one_row_and_the_look_up_of_its_callers_like(board):
    board.get("/{post_id}")  # the view is counted
    ((statement, parameters),) = board.statements("/{post_id}")

    assert sum(reads(board.engine, statement, parameters).values()) == 2


@on_mysql
@pytest.mark.parametrize("page", [101, 135, 200, 269], ids=["first-deep", "middle", "200", "near-the-end"])
def test_a_deep_page_reads_no_more_keys_than_a_block_has(board, page):
    blocks, (statement, parameters) = board.statements(f"?page={page}&per_page={PER_PAGE}")

    assert (page - 1) * PER_PAGE >= DEEP_OFFSET
    assert index_steps(reads(board.engine, statement, parameters)) <= BLOCK_NUMBERS + PER_PAGE + 1
    assert index_steps(reads(board.engine, *blocks)) <= SHARDS * (SIZE // BLOCK_NUMBERS + 2)
    steps = explained(board.engine, statement, parameters)
    assert [step.extra for step in steps if step.key == NEWEST and "Using index" not in step.extra.split("; ")] == []
    assert sorts_or_copies(steps) == []


@on_mysql
@pytest.mark.parametrize(
    ("url", "index"),
    [
        ("?sort=popular", POPULAR),
        ("?category=여행", BY_CATEGORY),
        ("?category=여행&sort=popular", POPULAR_BY_CATEGORY),
        ("?user_id={ana}", BY_AUTHOR),
        ("/my?", BY_AUTHOR),
        ("?q=여행", "PRIMARY"),
    ],
)
def test_a_deep_page_is_walked_to_from_the_nearer_end(board, url, index):
    total = board.get(url).json["meta"]["total"]
    last = -(-total // PER_PAGE)

    _, middle = board.statements(f"{url}&per_page={PER_PAGE}&page={DEEP_OFFSET // PER_PAGE + 30}")
    _, end = board.statements(f"{url}&per_page={PER_PAGE}&page={last}")

    keys_of_page = 2 * (PER_PAGE + 1)
    assert index_steps(reads(board.engine, *middle)) <= 2 * (total / 2 + keys_of_page)
    assert index_steps(reads(board.engine, *end)) <= keys_of_page
    steps = explained(board.engine, *end)
    assert all("Using index" in step.extra.split("; ") for step in steps if step.key == index != "PRIMARY")
    assert [step for step in sorts_or_copies(steps) if not step.table.startswith("<")] == []


@on_mysql
@pytest.mark.parametrize("size", [2, 20, 200])
def test_the_grams_of_an_edited_title_are_found_by_their_key(board, size):
    long = "".join(chr(ord("가") + number) for number in range(size))
    board.patch("/{post_id}", title=long)
    with board.sending() as sent:
        board.patch("/{post_id}", title="봄 여행 후기")

    ((statement, parameters),) = [some for some in sent if some[0].startswith("DELETE FROM search_grams")]

    steps = explained(board.engine, statement, parameters)
    assert [(step.key, step.rows <= size) for step in steps] == [("PRIMARY", True)]
    assert sum(reads(board.engine, statement, parameters).values()) <= 2 * size


# A period, on MySQL


def of_posts(steps):
    """Split the steps that read posts: those that read a covering index, and others."""
    steps = [step for step in steps if step.table == "posts"]
    covered = [step for step in steps if "Using index" in step.extra.split("; ")]
    return covered, [step for step in steps if step not in covered]


@on_mysql
@every_period
@pytest.mark.parametrize("place", ["", "&cursor={popular_next}", "&cursor={popular_prev}"])
def test_each_day_s_keys_come_in_order_from_a_covering_index(board, url, days, place):
    ((statement, parameters),) = board.statements(url + place)

    steps = explained(board.engine, statement, parameters)

    keys, rows = of_posts(steps)
    assert [step.key for step in keys if step.key != BY_TIME] == [BY_DAY] * (days + 1)
    assert len(keys) <= days + 2  # either before the nearest midnight some posts are counted, or after it
    assert [(step.type, step.key) for step in rows] == [("eq_ref", "PRIMARY")]
    assert [step.key for step in steps if step.table == "post_counts"] == ["PRIMARY"]
    merged = 2 * (days + 1) * (PER_PAGE + 1)
    assert all(step.table.startswith("<") and step.rows <= merged for step in sorts_or_copies(steps))


@on_mysql
@every_period
@pytest.mark.parametrize("per_page", [1, PER_PAGE, 50])
def test_of_each_day_a_page_at_most_is_read_and_the_first_one_whole(board, url, days, per_page):
    ((statement, parameters),) = board.statements(f"{url}&per_page={per_page}")

    read = reads(board.engine, statement, parameters)

    assert index_steps(read) <= (days + 1) * (per_page + 1) + 2 * DAY_POSTS + days * SHARDS


@on_mysql
@every_period
def test_a_period_s_deep_page_is_walked_to_from_the_nearer_end(board, url, days, monkeypatch):
    monkeypatch.setattr(pages, "DEEP_OFFSET", PER_PAGE)
    total = board.get(url).json["meta"]["total"]

    _, (statement, parameters) = board.statements(f"{url}&page={-(-total // PER_PAGE)}")
    read = index_steps(reads(board.engine, statement, parameters))
    _, (statement, parameters) = board.statements(f"{url}&page={total // 2 // PER_PAGE + 1}")

    assert read <= (days + 1) * (PER_PAGE + 1) + DAY_POSTS
    assert index_steps(reads(board.engine, statement, parameters)) <= total + DAY_POSTS


@on_mysql
@every_period
@pytest.mark.parametrize("filters", OF_AUTHOR_OR_CATEGORY)
def test_of_filtered_posts_no_more_are_read_than_a_period_has(board, url, days, filters):
    ((statement, parameters),) = board.statements(url + filters)

    steps = explained(board.engine, statement, parameters)

    assert {step.key for step in of_posts(steps)[0]} <= {BY_DAY, BY_CATEGORY, BY_AUTHOR}
    # For the page, and for its total.
    assert index_steps(reads(board.engine, statement, parameters)) <= 2 * (days + 1) * DAY_POSTS


@on_mysql
@pytest.mark.parametrize("size", [1, 50])
def test_chosen_posts_are_looked_up_by_their_ids(board, size):
    ((statement, parameters),) = board.statements(f"?ids={','.join(board.names['ids'][:size])}")

    steps = explained(board.engine, statement, parameters)

    assert {(step.table, step.key) for step in steps if step.table == "posts"} == {("posts", "PRIMARY")}
    # Each id, its row, and the look-up of its caller's like.
    assert sum(reads(board.engine, statement, parameters).values()) <= 3 * size


MODERATED = {
    "": NEWEST,
    "status=hidden": NEWEST,
    "status=deleted": NEWEST,
    "sort=popular": POPULAR,
    "category=여행": BY_CATEGORY,
    "category_id={category_id}&sort=popular": POPULAR_BY_CATEGORY,
    "user_id={ana}&status=deleted": BY_AUTHOR,
    "cursor={next}": NEWEST,
    "sort=popular&cursor={popular_prev}": POPULAR,
}


@pytest.fixture
def moderators_board(board):
    """The board as an admin reads its list of all posts."""
    token = board.app.extensions["post"].dev_issuer.issue("root", ["admin"])
    return replace(board, headers={"Authorization": f"Bearer {token['access_token']}"}, path="/api/v1/admin/posts?")


@on_mysql
@pytest.mark.parametrize(("query", "index"), MODERATED.items())
def test_of_each_status_a_page_of_keys_comes_in_order_from_its_index(moderators_board, query, index):
    *_, (statement, parameters) = moderators_board.statements(query)

    steps = explained(moderators_board.engine, statement, parameters)

    statuses = 1 if "status=" in query else 3
    assert [step.key for step in steps if step.table == "posts" and step.key != "PRIMARY"] == [index] * statuses
    found = statuses * (PER_PAGE + 1)
    assert all(step.table.startswith("<") and step.rows <= 2 * found for step in sorts_or_copies(steps))
    assert index_steps(reads(moderators_board.engine, statement, parameters)) <= found + statuses


@on_mysql
@pytest.mark.parametrize(
    "query", ["status=hidden&q=여행", "q=여행", "reported=true", "reported=true&q=여행&sort=popular"]
)
@pytest.mark.parametrize("filters", ["", "&category=여행", "&user_id={ana}"])
def test_no_more_posts_are_read_than_a_walk_may(moderators_board, query, filters, monkeypatch):
    for module in (pages, search_plans):
        monkeypatch.setattr(module, "SEARCH_TOTAL_MAX", WALKED - 1)
    *_, totals, page = moderators_board.statements(f"{query}{filters}")

    for statement, parameters in (totals, page):
        steps = explained(moderators_board.engine, statement, parameters)
        assert [step for step in steps if step.table == "posts" and step.type == "ALL"] == []
        # Keys of each status, their rows and their place in a sorted table; visible posts are found by the search.
        read = reads(moderators_board.engine, statement, parameters)
        visible = 0 if "reported" in query or "status" in query else moderators_board.names["visible"]
        assert index_steps(read) <= 6 * WALKED + visible + SHARDS


@pytest.fixture
def pinned_board(board):
    """The board with 50 pins of each scope: many more than are shown."""
    pins = [{"post_id": post_id, "scope": scope} for post_id in board.names["ids"] for scope in ("all", "category")]
    with board.engine.begin() as connection:
        connection.execute(insert(Pin), pins)
    yield board
    with board.engine.begin() as connection:
        connection.execute(delete(Pin))


@pytest.mark.parametrize("url", ["?", "?category=여행", "?category_id={category_id}", "?user_id={ana}"])
def test_a_page_with_pins_is_two_statements(pinned_board, url):
    tag = pinned_board.get(url).headers["ETag"]

    assert len(pinned_board.statements(url)) == 2
    assert len(pinned_board.statements(url, **{"If-None-Match": tag})) == 2


@on_mysql
@pytest.mark.parametrize("url", ["?", "?category=여행", "?category=여행&user_id={ana}"])
def test_pins_come_in_order_from_the_index_of_their_scope(pinned_board, url):
    _, (statement, parameters) = pinned_board.statements(url)

    steps = explained(pinned_board.engine, statement, parameters)

    pins = [step for step in steps if step.table == "pins"]
    assert {(step.key, "Using index" in step.extra) for step in pins} == {("ix_pins_scope_created_at", True)}
    assert {(step.type, step.key) for step in steps if step.table == "posts"} == {("eq_ref", "PRIMARY")}
    assert index_steps(reads(pinned_board.engine, statement, parameters)) <= len(pinned_board.names["ids"]) + 10 + 2


# SQLite


@on_sqlite
@every_period
def test_on_sqlite_each_day_s_keys_come_in_order_from_the_index(board, url, days):
    ((statement, parameters),) = board.statements(url)

    with board.engine.connect() as connection:
        plan = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]

    assert [line for line in plan if "SCAN posts" in line] == []
    assert len([line for line in plan if f"INDEX {BY_DAY} " in line]) == days
    # For the total, and for the first day: SQLite, which takes no hints, reads the time's posts and sorts that day's.
    assert len([line for line in plan if f"INDEX {BY_TIME} " in line]) == 3


@on_sqlite
@every_list
def test_on_sqlite_keys_come_in_order_from_the_index(board, url, index):
    ((statement, parameters),) = board.statements(url)

    with board.engine.connect() as connection:
        plan = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]

    assert [line for line in plan if "SCAN posts" in line] == []
    assert len([line for line in plan if f"USING INDEX {index} " in line]) == (2 if url.startswith("/my") else 1)
    assert url.startswith("/my") or [line for line in plan if "TEMP B-TREE" in line] == []
