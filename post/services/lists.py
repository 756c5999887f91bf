"""Lists of posts: filters, the two orders, pages by number and by cursor."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, literal, select, tuple_

from post.models import HIDDEN, VISIBLE, Category, Post, db, lower_case
from post.paging import SORT_COLUMNS, VALUE_MAX, Cursor, PageRequest, Sort
from post.services.media_files import media_files_of
from post.services.posts import select_posts, to_dict
from post.utils import fold_case

SEARCH_TOTAL_MAX = 10_000

Link = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class PostPage:
    """
    One page of a list.

    Attributes:
        posts: The API's post objects.
        meta: The API's ``meta``.
        next_link: The query parameter that leads to the next page, ``page`` or ``cursor``; or None.
        prev_link: The one that leads back, likewise.
    """

    posts: list[dict[str, Any]]
    meta: dict[str, Any]
    next_link: Link | None
    prev_link: Link | None


def list_posts(
    wanted: PageRequest,
    *,
    q: str | None = None,
    category_id: str | None = None,
    category: str | None = None,
    user_id: str | None = None,
) -> PostPage:
    """
    Return a page of the visible posts.

    Args:
        wanted: Page, order and view.
        q: Text that titles must contain, letter case ignored; all its characters mean themselves.
        category_id: Id of the category.
        category: Name of the category, letter case ignored.
        user_id: The author's ``sub``.
    """
    conditions: list[ColumnElement[bool]] = [Post.status == VISIBLE]
    if user_id is not None:
        conditions.append(Post.user_id == user_id)
    if category_id is not None:
        conditions.append(Post.category_id == category_id)
    if category is not None:
        named = select(Category.id).where(Category.name_key == fold_case(category)).scalar_subquery()
        conditions.append(Post.category_id == named)
    if q is not None:
        conditions.append(_title_contains(q))
    return _page(conditions, wanted, total_max=SEARCH_TOTAL_MAX if q is not None else None)


def list_my_posts(user_id: str, wanted: PageRequest) -> PostPage:
    """
    Return a page of a user's own posts, visible and hidden.

    Args:
        user_id: ``sub`` of the verified token.
        wanted: Page and view.
    """
    return _page([Post.user_id == user_id, Post.status.in_([VISIBLE, HIDDEN])], wanted)


def _title_contains(q: str) -> ColumnElement[bool]:
    pattern = "%" + "".join(f"/{char}" if char in "/%_" else char for char in q) + "%"
    return lower_case(Post.title).like(lower_case(pattern), escape="/")


def _page(conditions: list[ColumnElement[bool]], wanted: PageRequest, *, total_max: int | None = None) -> PostPage:
    total, is_capped = _count(conditions, total_max)
    offset = 0 if wanted.cursor else (wanted.page - 1) * wanted.per_page
    is_past_the_end = offset >= total and not is_capped
    rows, has_more = ([], False) if is_past_the_end else _rows(conditions, wanted, offset)
    pages = -(-total // wanted.per_page)
    has_next, has_prev = _neighbours(wanted, has_more=has_more, is_empty=total == 0)
    next_cursor, prev_cursor = _cursors(wanted, rows)
    meta = {
        "page": None if wanted.cursor else wanted.page,
        "per_page": wanted.per_page,
        "total": total,
        "pages": pages,
        "has_next": has_next,
        "has_prev": has_prev,
        "next_cursor": next_cursor if has_next else None,
    }
    if is_capped:
        meta["total_capped"] = True
    next_link: Link = {"cursor": next_cursor}
    prev_link: Link = {"cursor": prev_cursor}
    if wanted.cursor is None:
        last_page = wanted.page - 1 if rows else min(wanted.page - 1, pages)
        next_link, prev_link = {"page": wanted.page + 1}, {"page": max(1, last_page)}
    media_files = media_files_of(db.session(), [row.id for row in rows])
    posts = [to_dict(row, media_files[row.id]) for row in rows]
    return PostPage(posts, meta, next_link if has_next else None, prev_link if has_prev else None)


def _neighbours(wanted: PageRequest, *, has_more: bool, is_empty: bool) -> tuple[bool, bool]:
    """Return whether there is a next and a previous page."""
    if wanted.cursor is None:
        return has_more, wanted.page > 1
    # What a cursor stands next to lies on its other side.
    return (has_more, not is_empty) if wanted.cursor.direction == "next" else (not is_empty, has_more)


def _cursors(wanted: PageRequest, rows: list[Row[Any]]) -> tuple[str, str]:
    """Return the cursors that lead on from a page and back, empty where a numbered page has no posts."""
    if rows:
        first, last = _key(rows[0], wanted.sort), _key(rows[-1], wanted.sort)
    elif wanted.cursor is not None:
        # On this side nothing is left; the other begins with the very post that the cursor stands next to.
        *counts, number = wanted.cursor.values
        first, last = (*counts, max(0, number - 1)), (*counts, min(number + 1, VALUE_MAX))
    else:
        return "", ""
    return Cursor("next", wanted.sort, last).encode(), Cursor("prev", wanted.sort, first).encode()


def _count(conditions: list[ColumnElement[bool]], maximum: int | None) -> tuple[int, bool]:
    if maximum is None:
        return db.session.scalar(select(func.count()).select_from(Post).where(*conditions)) or 0, False
    some = select(literal(1)).select_from(Post).where(*conditions).limit(maximum + 1).subquery()
    counted = db.session.scalar(select(func.count()).select_from(some)) or 0
    return min(counted, maximum), counted > maximum


def _rows(conditions: list[ColumnElement[bool]], wanted: PageRequest, offset: int) -> tuple[list[Row[Any]], bool]:
    """Return the page's rows in the list's order, and whether more lie beyond them."""
    query = select_posts(excerpt=wanted.view == "summary").where(*conditions).limit(wanted.per_page + 1)
    if wanted.cursor is not None:
        query = _beyond(query, wanted.cursor)
    else:
        query = query.order_by(*(column.desc() for column in _order(wanted.sort))).offset(offset)
    rows = list(db.session.execute(query))
    has_more = len(rows) > wanted.per_page
    rows = rows[: wanted.per_page]
    if wanted.cursor is not None and wanted.cursor.direction == "prev":
        rows.reverse()
    return rows, has_more


def _beyond(query: Select[Any], cursor: Cursor) -> Select[Any]:
    columns = _order(cursor.sort)
    here, there = tuple_(*columns), tuple_(*(literal(value) for value in cursor.values))
    if cursor.direction == "next":
        return query.where(here < there).order_by(*(column.desc() for column in columns))
    return query.where(here > there).order_by(*(column.asc() for column in columns))


def _order(sort: Sort) -> list[Any]:
    return [getattr(Post, name) for name in SORT_COLUMNS[sort]]


def _key(row: Row[Any], sort: Sort) -> tuple[int, ...]:
    return tuple(getattr(row, name) for name in SORT_COLUMNS[sort])
