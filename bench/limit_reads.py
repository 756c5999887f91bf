"""
What the service reads for lists and details, by PyMySQL alone.

The same queries but for the total, which no list needs to be shown. Whoever changes them in
``post/services`` changes them here.
"""

import base64
from collections import defaultdict
from typing import Any, Literal

from bench.limit_database import Row, moment, rows_of

PER_PAGE = 10
Order = Literal["latest", "popular"]

NAMES = (
    "id", "No", "title", "content", "username", "user_id", "category", "category_id",
    "view_count", "like_count", "comment_count", "status", "media_count", "created_at", "updated_at",
)  # fmt: skip
MEDIA_NAMES = (
    "id", "object_key", "thumbnail_key", "file_name", "content_type", "file_size", "width", "height", "created_at",
)  # fmt: skip
POST_COLUMNS = ", ".join(f"posts.`{name}`" for name in NAMES)
SUMMARY_COLUMNS = POST_COLUMNS.replace("posts.`content`", "SUBSTR(posts.content, 1, 200)")
ORDERS: dict[Order, str] = {"latest": "`No` DESC", "popular": "like_count DESC, view_count DESC, `No` DESC"}
# By what a list is filtered and ordered.
INDEXES: dict[tuple[str | None, Order], str] = {
    (None, "latest"): "ix_posts_status_no",
    (None, "popular"): "ix_posts_popular",
    ("category_id", "latest"): "ix_posts_category_status_no",
    ("category_id", "popular"): "ix_posts_category_popular",
    ("user_id", "latest"): "ix_posts_user_status_no",
}
PAGE = (
    "SELECT {columns} FROM (SELECT id FROM posts FORCE INDEX ({index}) WHERE {conditions}"
    " ORDER BY {order} LIMIT {limit}) AS page JOIN posts ON posts.id = page.id"
)
POST = f"SELECT {POST_COLUMNS} FROM posts WHERE id = %s"  # noqa: S608 - columns of our own
MEDIA = f"SELECT post_id, {', '.join(MEDIA_NAMES)} FROM media WHERE post_id IN %s ORDER BY post_id, id"  # noqa: S608 - likewise
_NUMBER, _VIEWS, _LIKES, _MEDIA_COUNT = map(NAMES.index, ("No", "view_count", "like_count", "media_count"))


def page_of(arguments: dict[str, str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the posts and the ``meta`` of a page, by the request's query parameters."""
    order: Order = "popular" if arguments.get("sort") == "popular" else "latest"
    is_summary = arguments.get("view") == "summary"
    conditions, values = ["status = 'visible'"], list[Any]()
    by = next((name for name in ("category_id", "user_id") if name in arguments), None)
    if by:
        conditions.append(f"{by} = %s")
        values.append(arguments[by])
    if "cursor" in arguments:
        conditions.append("`No` < %s")
        values.append(_number_of(arguments["cursor"]))
    query = PAGE.format(
        columns=SUMMARY_COLUMNS if is_summary else POST_COLUMNS,
        index=INDEXES[by, order],
        conditions=" AND ".join(conditions),
        order=ORDERS[order],
        limit=PER_PAGE + 1,
    )
    rows = sorted(rows_of(query, *values), key=_KEYS[order], reverse=True)
    return _shown(rows[:PER_PAGE], is_summary=is_summary), _meta(rows, order, has_cursor="cursor" in arguments)


_KEYS = {
    "latest": lambda row: row[_NUMBER],
    "popular": lambda row: (row[_LIKES], row[_VIEWS], row[_NUMBER]),
}


def _shown(rows: list[Row], *, is_summary: bool) -> list[dict[str, Any]]:
    media = _media_of([row[0] for row in rows if row[_MEDIA_COUNT]])
    posts = [post_of(row, media[row[0]]) for row in rows]
    if is_summary:
        for post in posts:
            post["excerpt"] = post.pop("content")
    return posts


def _meta(rows: list[Row], order: Order, *, has_cursor: bool) -> dict[str, Any]:
    has_next = len(rows) > PER_PAGE
    return {
        "page": None if has_cursor else 1,
        "per_page": PER_PAGE,
        "has_next": has_next,
        "has_prev": has_cursor,
        "next_cursor": _cursor_behind(rows[PER_PAGE - 1], order) if has_next else None,
    }


def post(post_id: str) -> dict[str, Any]:
    """Return the API's post object of an id."""
    (row,) = rows_of(POST, post_id)
    return post_of(row, _media_of([post_id])[post_id] if row[_MEDIA_COUNT] else [])


def post_of(row: Row, media_files: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the API's post object of a row of ``POST_COLUMNS``."""
    post = dict(zip(NAMES, row, strict=True))
    return post | {
        "media_files": media_files,
        "media_count": len(media_files),
        "created_at": moment(post["created_at"]),
        "updated_at": moment(post["updated_at"]),
    }


def _media_of(post_ids: list[str]) -> defaultdict[str, list[dict[str, Any]]]:
    """Return the images of posts, without a query where no post has any."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    if post_ids:
        for post_id, *row in rows_of(MEDIA, post_ids):
            found[post_id].append(_media_file(dict(zip(MEDIA_NAMES, row, strict=True))))
    return found


def _media_file(image: dict[str, Any]) -> dict[str, Any]:
    urls = {
        "url": f"/api/v1/images/{image.pop('object_key')}",
        "thumbnail_url": f"/api/v1/images/{image.pop('thumbnail_key')}",
    }
    return image | urls | {"created_at": moment(image["created_at"])}


def _cursor_behind(row: Row, order: Order) -> str:
    values = (row[_NUMBER],) if order == "latest" else (row[_LIKES], row[_VIEWS], row[_NUMBER])
    plain = ".".join(["next", order, *map(str, values)])
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def _number_of(cursor: str) -> int:
    """Return the number in a cursor of the latest posts."""
    plain = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    return int(plain.rpartition(".")[2])
