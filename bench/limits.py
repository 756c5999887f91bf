"""
The limits that the service is compared with: the same answers with as little code as possible.

Flask's routes, PyMySQL, orjson and the service's own statements, and nothing else: no checks, tokens,
rate limits, CORS, totals or ORM. ``/bare`` is Flask alone, which answers with bytes that are there
already. Gunicorn runs this as it runs the service. Callers name themselves in ``X-User-Id`` and
``X-Username``.
"""

import os
from functools import cache, partial
from pathlib import Path
from typing import Any

import orjson
from flask import Flask, Response, request
from pymysql.cursors import Cursor

from bench.limit_database import Statement, Values, retried, transaction
from post import paging
from post.services import categories, derived, likes, posts, search_index
from post.services.page_queries import Shape, page_query
from post.services.search_index import grams_of, search_key
from post.text import name_key
from post.utils import isoformat_utc, new_id

PER_PAGE = 10

POST = Statement(posts._POST)
LOCKED_POST = Statement.of(likes._LOCKED)
ADD_LIKE = Statement.of(likes._ADD)
REMOVE_LIKE = Statement.of(likes._REMOVE)
COUNT_LIKE = Statement.of(likes._COUNT)
CATEGORY = Statement.of(categories._KEYED)
ADD_POST = Statement.of(posts._INSERT)
ADD_TITLE = Statement.of(search_index._ADD)

app = Flask(__name__)


def _answer(message: str, data: Any, *, status: int = 200, **beside: Any) -> Response:
    body = {"success": True, "message": message, "data": data} | beside
    return Response(orjson.dumps(body), status=status, mimetype="application/json")


@app.get("/health")
def health() -> Response:
    """Answer while the server is up."""
    return _answer("healthy", None)


@cache
def bare_body() -> bytes:
    """A page of the list, as the service has answered it."""
    return Path(os.environ["BARE_BODY"]).read_bytes()


@app.get("/bare")
def bare() -> Response:
    """Answer with as many bytes as a page of the list has."""
    return Response(bare_body(), mimetype="application/json")


@cache
def page_statement(shape: Shape, view: paging.View) -> Statement:
    """The service's statement for a page, without the total."""
    return Statement(page_query(shape, view=view, with_total=False)._query)


@app.get("/api/v1/posts")
def list_posts() -> Response:
    """Answer with a page of the list."""
    arguments = request.args
    cursor = paging.Cursor.decode(arguments["cursor"]) if "cursor" in arguments else None
    filters = {name: arguments[name] for name in ("category_id", "user_id") if name in arguments}
    sort: paging.Sort = "popular" if arguments.get("sort") == "popular" else "latest"
    period: Any = arguments.get("period")
    shape = Shape(sort=sort, filters=frozenset(filters), period=period, direction="next" if cursor else "first")
    values: dict[str, Any] = {"limit": PER_PAGE + 1, "reach": PER_PAGE + 1, "offset": 0, **filters}
    names = paging.SORT_COLUMNS[sort]
    if cursor:
        values |= {f"cursor_{name}": value for name, value in zip(names, cursor.values, strict=True)}
    statement = page_statement(shape, "summary" if arguments.get("view") == "summary" else "full")
    rows = sorted(statement.read(values), key=lambda row: [row[name] for name in names], reverse=True)
    has_next, shown = len(rows) > PER_PAGE, rows[:PER_PAGE]
    behind = paging.Cursor("next", sort, tuple(shown[-1][name] for name in names)) if has_next else None
    meta = {
        "page": None if cursor else 1,
        "per_page": PER_PAGE,
        "has_next": has_next,
        "has_prev": cursor is not None,
        "next_cursor": behind and behind.encode(),
    }
    return _answer("게시글 목록입니다.", [*map(post_of, shown)], meta=meta)


def post_of(row: dict[str, Any]) -> dict[str, Any]:
    """The API's post object of a row; posts of the demo data have no images."""
    times = {name: isoformat_utc(row[name]) for name in ("created_at", "updated_at")}
    post = row | times | {"media_files": []}
    del post["moves"]
    return post


@app.get("/api/v1/posts/<post_id>")
def get_post(post_id: str) -> Response:
    """Answer with a post."""
    (row,) = POST.read({"post_id": post_id})
    return _answer("게시글입니다.", post_of(row))


@app.post("/api/v1/posts/<post_id>/like")
def toggle_like(post_id: str) -> Response:
    """Like a post, or take the like back."""
    mine = {"post_id": post_id, "user_id": request.headers["X-User-Id"]}
    return _answer("좋아요를 눌렀습니다.", retried(partial(_toggle_like, mine)))


def _toggle_like(mine: Values) -> dict[str, Any]:
    with transaction() as cursor:
        (post,) = LOCKED_POST.run(cursor, {**mine, "caller_id": mine["user_id"]})
        is_new = post["is_anonymous"] is None
        if is_new:
            ADD_LIKE.run(cursor, {"id": new_id(), "is_anonymous": False, **mine})
        else:
            REMOVE_LIKE.run(cursor, mine)
        amount = 1 if is_new else -1
        COUNT_LIKE.run(cursor, {"this_id": mine["post_id"], "amount": amount})
    action = "added" if is_new else "removed"
    return {"action": action, "is_liked": is_new, "like_count": post["like_count"] + amount}


@app.post("/api/v1/posts")
def create_post() -> Response:
    """Create a post in a category that is there."""
    author = {"user_id": request.headers["X-User-Id"], "username": request.headers["X-Username"]}
    row = retried(partial(_create_post, author | orjson.loads(request.get_data())))
    return _answer("게시글을 작성했습니다.", post_of(row) | {"is_liked": False, "hidden_by": None}, status=201)


def _create_post(values: Values) -> dict[str, Any]:
    key = {"name_key": name_key(values["category"]), "caller_id": values["user_id"]}
    with transaction() as cursor:
        (category,) = CATEGORY.run(cursor, key)
        row = {**values, "id": new_id(), "status": "visible", "hidden_by": None, **posts._COUNTS}
        row |= {"category_id": category["id"], "category": category["name"]}
        row |= {"created_at": category["now"], "updated_at": category["now"]}
        ADD_POST.run(cursor, row)
        row["No"] = cursor.lastrowid
        _derive(cursor, row)
    return row


def _derive(cursor: Cursor, row: dict[str, Any]) -> None:
    """Add a new post to the search index and the counts."""
    number, key = row["No"], search_key(row["title"])
    ADD_TITLE.run(cursor, {"No": number, "title_key": key})
    rows = ",".join(f"({gram},{number})" for gram in sorted(grams_of(key)))
    cursor.execute(f"INSERT INTO search_grams (gram, No) VALUES {rows}")  # noqa: S608 - of numbers alone
    post = derived.IndexedPost(
        number, row["status"], row["category_id"], row["user_id"], row["title"], row["created_at"]
    )
    cursor.execute(*derived.counts_on_mysql([(count, 1, 0) for count in sorted(derived._counts_of(post))]))
