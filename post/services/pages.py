"""Pages of posts: filters, the two orders, pages by number and by cursor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from sqlalchemy import Row

from post.components import components
from post.errors import FieldProblem, InvalidFields
from post.models import DELETED, HIDDEN, VISIBLE
from post.paging import PER_PAGE_MAX, SORT_COLUMNS, VALUE_MAX, Cursor, PageRequest, Period, Sort
from post.services.derived import BLOCK_NUMBERS
from post.services.page_queries import (
    AnyView,
    Shape,
    blocks_query,
    chosen_query,
    is_kept,
    moderated_totals_query,
    page_query,
    pins_query,
    total_query,
    walks,
)
from post.services.post_rows import to_dicts
from post.services.search_plans import SEARCH_TOTAL_MAX, like_pattern, plan_search
from post.services.versions import IsKnown, Versioned, common_version, value_unless_cached, version_of
from post.text import name_key
from post.utils import Caller, isoformat_utc

# From this offset on, another query finds the page's place first: skipping posts costs more than that.
DEEP_OFFSET = 1000
ANY_STATUS = (VISIBLE, HIDDEN, DELETED)

Link = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class ListPage:
    """
    One page of a list.

    Attributes:
        items: The API's objects.
        meta: The API's ``meta``.
        next_link: The query parameter of the next page, ``page`` or ``cursor``; None if this is the last.
        prev_link: The same for the previous page.
    """

    items: list[dict[str, Any]]
    meta: dict[str, Any]
    next_link: Link | None
    prev_link: Link | None

    @property
    def links(self) -> dict[str, Link | None]:
        """Both links by their relation (RFC 8288)."""
        return {"next": self.next_link, "prev": self.prev_link}


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
    period: Period | None = None,
    ids: Sequence[str] | None = None,
    viewer: Caller | None = None,
    is_known: IsKnown | None = None,
) -> Versioned[ListPage]:
    """
    Return a page of the visible posts. Page 1 has the pinned posts beside it, unless it is of a search.

    Args:
        wanted: Page, order and view.
        q: Text that titles must contain, letter case ignored; no character of it is a wildcard.
        category_id: Id of the category.
        category: Name of the category, letter case ignored.
        user_id: The author's ``sub``.
        period: The time until now in which they were created, by the database's clock; in the order ``popular``.
        ids: Distinct ids of posts, at most as many as the page has, and no filter beside: those of them that are
            visible are the list, in this order.
        viewer: The caller; None for an anonymous one.
        is_known: Returns whether the client has a version of the page already; its posts are then not read.
    """
    if ids is not None:
        return _chosen_page(wanted, ids, viewer, is_known)
    named = {"category_id": category_id, "category": category and name_key(category), "user_id": user_id}
    filters = {name: value for name, value in named.items() if value is not None}
    shows_pins = wanted.is_first and q is None
    shape = Shape(sort=wanted.sort, filters=frozenset(filters), period=period, shows_pins=shows_pins)
    plan = PagePlan(wanted, shape, filters, viewer=viewer)
    if q is not None:
        found = plan_search(q, plan.shape, filters)
        plan = replace(plan, total=found.total, is_capped=found.is_capped).changed(found.values, search=found.search)
    return _page(plan, is_known)


def list_posts_for_admins(
    wanted: PageRequest,
    *,
    viewer: Caller,
    status: str = "any",
    is_reported: bool = False,
    q: str | None = None,
    **named: str | None,
) -> ListPage:
    """
    Return a page of the posts of any status, without those that are erased, with ``ADMIN_COLUMNS``.

    Args:
        wanted: Page, order and view.
        viewer: An admin.
        status: ``visible``, ``hidden``, ``deleted`` or ``any``.
        is_reported: Whether only posts with open reports are wanted.
        q: As for ``list_posts``. Of hidden, deleted and reported posts, titles are read: of the newest 10,000 of each
            status, or of the 10,000 with the most reports.
        named: ``category_id``, ``category`` and ``user_id``, as for ``list_posts``.

    Raises:
        InvalidFields: The page is behind more than 10,000 posts, and the list not of visible posts alone.
    """
    statuses = ANY_STATUS if status == "any" else (status,)
    filters = {name: value for name, value in named.items() if value is not None}
    if "category" in filters:
        filters["category"] = name_key(filters["category"])
    shape = Shape(sort=wanted.sort, filters=frozenset(filters), statuses=statuses, is_reported=is_reported)
    plan = PagePlan(wanted, shape, {**filters, "maximum": SEARCH_TOTAL_MAX + 1}, viewer=viewer)
    page = _page(_with_moderated_total(plan if q is None else _searching(plan, q, filters)), None).value
    for post in page.items if page else ():
        post["deleted_at"] = post["deleted_at"] and isoformat_utc(post["deleted_at"])
    return cast(ListPage, page)


def _searching(plan: PagePlan, q: str, filters: Mapping[str, str]) -> PagePlan:
    values = {"lower_pattern": like_pattern(q.lower()), "written_pattern": like_pattern(q)}
    if walks(plan.shape, VISIBLE) or VISIBLE not in plan.shape.statuses:
        return plan.changed(values, search="walk")
    found = plan_search(q, Shape(sort=plan.wanted.sort, filters=plan.shape.filters), filters)
    return plan.changed({**found.values, **values}, search=found.search)


def _with_moderated_total(plan: PagePlan) -> PagePlan:
    (row,) = moderated_totals_query(plan.shape).read(plan.values)
    numbers = {name: int(number) for name, number in row._asdict().items()}
    kept = {status for status in plan.shape.statuses if is_kept(plan.shape, status)}
    is_capped = any(number > SEARCH_TOTAL_MAX for name, number in numbers.items() if name not in kept)
    found = {status: numbers[status] for status in plan.shape.statuses}
    total = sum(number if status in kept else min(number, SEARCH_TOTAL_MAX) for status, number in found.items())
    return replace(plan, total=total, is_capped=is_capped)


def list_my_posts(author: Caller, wanted: PageRequest, *, is_known: IsKnown | None = None) -> Versioned[ListPage]:
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
    plan = replace(plan, values={**plan.values, **slice_, **_viewer_id(plan.viewer)})
    if wanted.cursor is not None:
        place = zip(SORT_COLUMNS[wanted.sort], wanted.cursor.values, strict=True)
        values = {f"cursor_{name}": value for name, value in place}
        return plan.changed(values, direction=wanted.cursor.direction)
    if offset < DEEP_OFFSET:
        return plan
    if plan.shape.is_board:
        return _within_block(plan, offset)
    if plan.total is None:
        plan = replace(plan, total=int(_totals(plan).total))
    return _from_the_end(plan, offset)


def _viewer_id(viewer: Caller | None) -> dict[str, str]:
    return {} if viewer is None else {"viewer_id": viewer.user_id}


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


def _totals(plan: PagePlan) -> Any:
    return total_query(plan.shape).read(plan.values)[0]


def _page(plan: PagePlan, is_known: IsKnown | None) -> Versioned[ListPage]:
    plan = _with_offsets(plan)
    is_empty = plan.total is not None and plan.wanted.offset >= plan.total and not plan.is_capped
    if plan.shape.is_moderated and not is_empty and plan.values["offset"] > SEARCH_TOTAL_MAX:
        raise InvalidFields(FieldProblem("page", "page_too_deep", {"maximum": SEARCH_TOTAL_MAX}))
    if is_known is not None and not is_empty:
        version = _read_version(plan)
        if is_known(version):
            return Versioned(version, None)
    rows: Sequence[Any] = [] if is_empty else _rows(plan)
    pins: Sequence[Any] = []
    total = plan.total
    if total is None:
        totals = rows[0] if rows else _totals(plan)
        pins, total = _pins(plan, totals, plan.wanted.view), int(totals.total)
    version = _page_version(plan, total, _versions_of(plan, rows), _versions_of(plan, pins))
    return value_unless_cached(version, is_known, lambda: _post_page(plan, rows, total, pins))


def _chosen_page(
    wanted: PageRequest, ids: Sequence[str], viewer: Caller | None, is_known: IsKnown | None
) -> Versioned[ListPage]:
    values = {f"id_{index}": ids[index % len(ids)] for index in range(PER_PAGE_MAX)}
    plan = PagePlan(wanted, Shape(sort=wanted.sort, shows_pins=True), values | _viewer_id(viewer), viewer=viewer)

    def read(view: AnyView) -> Sequence[Any]:
        return chosen_query(view=view, for_viewer=viewer is not None).read(plan.values)

    if is_known is not None:
        versions = [row.version for row in read("version")]
        version = _page_version(plan, len(versions), versions, [])
        if is_known(version):
            return Versioned(version, None)
    places = {post_id: place for place, post_id in enumerate(ids)}
    rows = sorted(read(wanted.view), key=lambda row: places[row.id])
    version = _page_version(plan, len(rows), _versions_of(plan, rows), [])
    return value_unless_cached(version, is_known, lambda: _post_page(plan, rows, len(rows), []))


def _read(plan: PagePlan, view: AnyView) -> Sequence[Row[Any]]:
    with_total, for_viewer = plan.total is None, plan.viewer is not None
    return page_query(plan.shape, view=view, with_total=with_total, for_viewer=for_viewer).read(plan.values)


def _pins(plan: PagePlan, totals: Any, view: AnyView) -> Sequence[Row[Any]]:
    """Return the pinned posts' rows, the newest pin first; ``totals`` has the columns of ``total_query``."""
    if not (plan.shape.shows_pins and totals.has_pins):
        return []
    pins = pins_query(plan.shape.filters, view=view, for_viewer=plan.viewer is not None).read(plan.values)
    return sorted(pins, key=lambda pin: (pin.pinned_at, pin.No), reverse=True)


def _read_version(plan: PagePlan) -> str:
    (row,) = _read(plan, "version")
    total = row.total if plan.total is None else plan.total
    pins = [pin.version for pin in _pins(plan, row, "version")]
    return _page_version(plan, int(total), row.versions.split(",") if row.versions else [], pins)


def _versions_of(plan: PagePlan, rows: Sequence[Any]) -> list[str]:
    return [version_of(row, for_viewer=plan.viewer is not None) for row in rows]


def _page_version(plan: PagePlan, total: int, versions: Sequence[str], pins: Sequence[str]) -> str:
    # Sorted by text: rows come in any order, and the list's own order follows from their versions. That of the pins
    # follows from nothing else.
    total_version = f"{total}{'+' if plan.is_capped else ''}"
    pinned = ["pinned", *pins] if pins else []
    return " ".join([total_version, *sorted(versions), *pinned]) + common_version(plan.viewer)


def _rows(plan: PagePlan) -> list[Row[Any]]:
    """Return the page's rows in the list's order, and the first of the next page if there is one."""
    return sorted(_read(plan, plan.wanted.view), key=lambda row: _key(row, plan.wanted.sort), reverse=True)


def _post_page(plan: PagePlan, rows: Sequence[Row[Any]], total: int, pins: Sequence[Row[Any]]) -> ListPage:
    page = new_page(plan.wanted, rows, total, is_capped=plan.is_capped, show=partial(_show, plan))
    if plan.shape.shows_pins:
        page.meta["pinned"] = _show(plan, pins)
    return page


def _show(plan: PagePlan, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    comments = components().comment_counter
    if comments is not None:
        comments.refresh(row.id for row in rows)
    return to_dicts(rows, viewer=plan.viewer)


def new_page(
    wanted: PageRequest,
    rows: Sequence[Any],
    total: int,
    *,
    is_capped: bool,
    show: Callable[[Sequence[Any]], list[dict[str, Any]]],
) -> ListPage:
    """
    Return a page of a list, with its place in it.

    Args:
        wanted: The client's request.
        rows: The page's rows in the list's order, and the next one if there is one. They have the columns of the order.
        total: The list's number of rows.
        is_capped: Whether there are more than the total.
        show: Returns rows as the API's objects.
    """
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
    } | ({"total_capped": True} if is_capped else {})
    next_link: Link = {"cursor": next_cursor}
    prev_link: Link = {"cursor": prev_cursor}
    if wanted.cursor is None:
        last_page = wanted.page - 1 if rows else min(wanted.page - 1, pages)
        next_link, prev_link = {"page": wanted.page + 1}, {"page": max(1, last_page)}
    return ListPage(show(rows), meta, next_link if has_next else None, prev_link if has_prev else None)


def _neighbours(wanted: PageRequest, *, has_more: bool, is_empty: bool) -> tuple[bool, bool]:
    """Return whether there is a next and a previous page."""
    if wanted.cursor is None:
        return has_more, wanted.page > 1
    # The post next to the cursor is on its other side.
    return (has_more, not is_empty) if wanted.cursor.direction == "next" else (not is_empty, has_more)


def _cursors(wanted: PageRequest, rows: Sequence[Any]) -> tuple[str, str]:
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
