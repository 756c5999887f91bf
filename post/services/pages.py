"""Pages of posts: filters, the two orders, pages by number and by cursor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import Row

from post.components import components
from post.paging import SORT_COLUMNS, VALUE_MAX, Cursor, PageRequest, Sort, View
from post.services.derived import BLOCK_NUMBERS
from post.services.page_queries import Shape, blocks_query, page_query, total_query
from post.services.post_rows import to_dicts
from post.services.search_plans import plan_search
from post.services.versions import IsKnown, Versioned, common_version, value_unless_cached, version_of
from post.text import name_key
from post.utils import Caller

# From this offset on, another query finds the page's place first: skipping posts costs more than that.
DEEP_OFFSET = 1000

Link = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class PostPage:
    """
    One page of a list.

    Attributes:
        posts: The API's post objects.
        meta: The API's ``meta``.
        next_link: The query parameter of the next page, ``page`` or ``cursor``; None if this is the last.
        prev_link: The same for the previous page.
    """

    posts: list[dict[str, Any]]
    meta: dict[str, Any]
    next_link: Link | None
    prev_link: Link | None


@dataclass(frozen=True, slots=True)
class PagePlan:
    """
    The way to read a page.

    Attributes:
        wanted: The client's request.
        shape: The shape of the query.
        values: The values of the query's parameters.
        total: The list's number of posts, if it is known already.
        is_capped: Whether there are more than the total.
        viewer: The caller; None for an anonymous one.
    """

    wanted: PageRequest
    shape: Shape
    values: Mapping[str, Any]
    total: int | None = None
    is_capped: bool = False
    viewer: Caller | None = None

    def changed(self, values: Mapping[str, Any], **shape: Any) -> "PagePlan":
        """Return the plan with more values, and with a shape of which some parts are others."""
        return replace(self, shape=self.shape._replace(**shape), values={**self.values, **values})


def list_posts(
    wanted: PageRequest,
    *,
    q: str | None = None,
    category_id: str | None = None,
    category: str | None = None,
    user_id: str | None = None,
    viewer: Caller | None = None,
    is_known: IsKnown | None = None,
) -> Versioned[PostPage]:
    """
    Return a page of the visible posts.

    Args:
        wanted: Page, order and view.
        q: Text that titles must contain, letter case ignored; no character of it is a wildcard.
        category_id: Id of the category.
        category: Name of the category, letter case ignored.
        user_id: The author's ``sub``.
        viewer: The caller; None for an anonymous one.
        is_known: Returns whether the client has a version of the page already; its posts are then not read.
    """
    named = {"category_id": category_id, "category": category and name_key(category), "user_id": user_id}
    filters = {name: value for name, value in named.items() if value is not None}
    plan = PagePlan(wanted, Shape(sort=wanted.sort, filters=frozenset(filters)), filters, viewer=viewer)
    if q is not None:
        found = plan_search(q, plan.shape, filters)
        plan = replace(plan, total=found.total, is_capped=found.is_capped).changed(found.values, search=found.search)
    return _page(plan, is_known)


def list_my_posts(author: Caller, wanted: PageRequest, *, is_known: IsKnown | None = None) -> Versioned[PostPage]:
    """
    Return a page of a user's own posts, visible and hidden.

    Args:
        author: From the verified token.
        wanted: Page and view.
        is_known: As for ``list_posts``.
    """
    return _page(PagePlan(wanted, Shape(is_mine=True), {"user_id": author.user_id}, viewer=author), is_known)


def _with_offsets(plan: PagePlan) -> PagePlan:
    """Return the plan with its offset and limit, or the values of its cursor."""
    wanted = plan.wanted
    offset, limit = wanted.offset, wanted.per_page + 1
    slice_ = {"limit": limit, "offset": offset, "reach": offset + limit}
    viewer = {} if plan.viewer is None else {"viewer_id": plan.viewer.user_id}
    plan = replace(plan, values={**plan.values, **slice_, **viewer})
    if wanted.cursor is not None:
        place = zip(SORT_COLUMNS[wanted.sort], wanted.cursor.values, strict=True)
        values = {f"cursor_{name}": value for name, value in place}
        return plan.changed(values, direction=wanted.cursor.direction)
    if offset < DEEP_OFFSET:
        return plan
    if plan.shape == Shape():
        return _within_block(plan, offset)
    if plan.total is None:
        plan = replace(plan, total=_total(plan))
    return _from_the_end(plan, offset)


def _within_block(plan: PagePlan, offset: int) -> PagePlan:
    """Return the plan that skips whole blocks of numbers, newest first, by their counts."""
    blocks = sorted(((int(row.subject), int(row.visible)) for row in blocks_query().read()), reverse=True)
    total = sum(visible for _, visible in blocks)
    plan = replace(plan, total=total)
    for block, visible in blocks:
        if offset < visible:
            return plan.changed({"below": (block + 1) * BLOCK_NUMBERS, "offset": offset}, is_bounded=True)
        offset -= visible
    return plan


def _from_the_end(plan: PagePlan, offset: int) -> PagePlan:
    """Return the plan that reads from the list's end, if that is nearer."""
    total, limit = plan.total or 0, plan.wanted.per_page + 1
    if plan.is_capped or offset >= total or offset < total / 2:
        return plan
    end = max(0, total - offset - limit)
    limit = min(limit, total - offset)
    return plan.changed({"offset": end, "limit": limit, "reach": end + limit}, direction="last")


def _total(plan: PagePlan) -> int:
    return int(total_query(plan.shape).read(plan.values)[0].total)


def _page(plan: PagePlan, is_known: IsKnown | None) -> Versioned[PostPage]:
    plan = _with_offsets(plan)
    is_empty = plan.total is not None and plan.wanted.offset >= plan.total and not plan.is_capped
    if is_known is not None and not is_empty:
        version = _read_version(plan)
        if is_known(version):
            return Versioned(version, None)
    rows = [] if is_empty else _rows(plan)
    total = plan.total
    if total is None:
        total = int(rows[0].total) if rows else _total(plan)
    version = _page_version(plan, total, [version_of(row, for_viewer=plan.viewer is not None) for row in rows])
    return value_unless_cached(version, is_known, lambda: _post_page(plan, rows, total))


def _read(plan: PagePlan, view: View | Literal["version"]) -> Sequence[Row[Any]]:
    with_total, for_viewer = plan.total is None, plan.viewer is not None
    return page_query(plan.shape, view=view, with_total=with_total, for_viewer=for_viewer).read(plan.values)


def _read_version(plan: PagePlan) -> str:
    (row,) = _read(plan, "version")
    total = row.total if plan.total is None else plan.total
    return _page_version(plan, int(total), row.versions.split(",") if row.versions else [])


def _page_version(plan: PagePlan, total: int, versions: Sequence[str]) -> str:
    # Sorted by text: rows come in any order, and the list's own order follows from their versions.
    total_version = f"{total}{'+' if plan.is_capped else ''}"
    return " ".join([total_version, *sorted(versions)]) + common_version(plan.viewer)


def _rows(plan: PagePlan) -> list[Row[Any]]:
    """Return the page's rows in the list's order, and the first of the next page if there is one."""
    return sorted(_read(plan, plan.wanted.view), key=lambda row: _key(row, plan.wanted.sort), reverse=True)


def _post_page(plan: PagePlan, rows: list[Row[Any]], total: int) -> PostPage:
    wanted = plan.wanted
    has_more = len(rows) > wanted.per_page
    if has_more:
        rows = rows[1:] if wanted.cursor and wanted.cursor.direction == "prev" else rows[: wanted.per_page]
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
    if plan.is_capped:
        meta["total_capped"] = True
    next_link: Link = {"cursor": next_cursor}
    prev_link: Link = {"cursor": prev_cursor}
    if wanted.cursor is None:
        last_page = wanted.page - 1 if rows else min(wanted.page - 1, pages)
        next_link, prev_link = {"page": wanted.page + 1}, {"page": max(1, last_page)}
    comments = components().comment_counter
    if comments is not None:
        comments.refresh(row.id for row in rows)
    posts = to_dicts(rows, viewer=plan.viewer)
    return PostPage(posts, meta, next_link if has_next else None, prev_link if has_prev else None)


def _neighbours(wanted: PageRequest, *, has_more: bool, is_empty: bool) -> tuple[bool, bool]:
    """Return whether there is a next and a previous page."""
    if wanted.cursor is None:
        return has_more, wanted.page > 1
    # The post next to the cursor is on its other side.
    return (has_more, not is_empty) if wanted.cursor.direction == "next" else (not is_empty, has_more)


def _cursors(wanted: PageRequest, rows: list[Row[Any]]) -> tuple[str, str]:
    """Return the cursors of the next and the previous page; empty if a numbered page has no posts."""
    if rows:
        first, last = _key(rows[0], wanted.sort), _key(rows[-1], wanted.sort)
    elif wanted.cursor is not None:
        # No posts are left on this side; the other side begins with the post next to the cursor.
        *counts, number = wanted.cursor.values
        first, last = (*counts, max(0, number - 1)), (*counts, min(number + 1, VALUE_MAX))
    else:
        return "", ""
    return Cursor("next", wanted.sort, last).encode(), Cursor("prev", wanted.sort, first).encode()


def _key(row: Row[Any], sort: Sort) -> tuple[int, ...]:
    return tuple(getattr(row, name) for name in SORT_COLUMNS[sort])
