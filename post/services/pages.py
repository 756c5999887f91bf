"""Lists of posts: filters, the two orders, pages by number and by cursor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row

from post.paging import SORT_COLUMNS, VALUE_MAX, Cursor, PageRequest, Sort
from post.services.derived import BLOCK_NUMBERS
from post.services.page_queries import Shape, blocks_query, page_query, total_query
from post.services.post_rows import to_dicts
from post.services.search_plans import plan_search
from post.services.versions import IsKnown, Versioned, unless_known, version_of
from post.utils import fold_case

# From here on a page's place is looked for before its rows are read: to skip posts costs more than another query.
DEEP_OFFSET = 1000

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


@dataclass(frozen=True, slots=True)
class Listing:
    """
    How a page of a list is read.

    Attributes:
        wanted: What was asked for.
        shape: Of the query.
        values: Of the query's parameters.
        total: How many posts the list has, where that is known already.
        is_capped: Whether there are more than the total.
    """

    wanted: PageRequest
    shape: Shape
    values: Mapping[str, Any]
    total: int | None = None
    is_capped: bool = False


def list_posts(
    wanted: PageRequest,
    *,
    q: str | None = None,
    category_id: str | None = None,
    category: str | None = None,
    user_id: str | None = None,
    is_known: IsKnown | None = None,
) -> Versioned[PostPage]:
    """
    Return a page of the visible posts.

    Args:
        wanted: Page, order and view.
        q: Text that titles must contain, letter case ignored; all its characters mean themselves.
        category_id: Id of the category.
        category: Name of the category, letter case ignored.
        user_id: The author's ``sub``.
        is_known: Tells whether the caller has a version of the page already: its posts are then not read.
    """
    named = {"category_id": category_id, "category": category and fold_case(category), "user_id": user_id}
    filters = {name: value for name, value in named.items() if value is not None}
    listing = Listing(wanted, Shape(sort=wanted.sort, filters=frozenset(filters)), filters)
    if q is not None:
        plan = plan_search(q, listing.shape, filters)
        shape = listing.shape._replace(search=plan.search)
        listing = Listing(wanted, shape, {**filters, **plan.values}, plan.total, plan.is_capped)
    return _page(_placed(listing), is_known)


def list_my_posts(user_id: str, wanted: PageRequest, *, is_known: IsKnown | None = None) -> Versioned[PostPage]:
    """
    Return a page of a user's own posts, visible and hidden.

    Args:
        user_id: ``sub`` of the verified token.
        wanted: Page and view.
        is_known: As for ``list_posts``.
    """
    return _page(_placed(Listing(wanted, Shape(is_mine=True), {"user_id": user_id})), is_known)


def _placed(listing: Listing) -> Listing:
    """Say from where a page is walked to, and how far."""
    wanted = listing.wanted
    offset, limit = wanted.offset, wanted.per_page + 1
    slice_ = {"limit": limit, "offset": offset, "reach": offset + limit}
    listing = replace(listing, values={**listing.values, **slice_})
    if wanted.cursor is not None:
        place = zip(SORT_COLUMNS[wanted.sort], wanted.cursor.values, strict=True)
        values = {**listing.values, **{f"cursor_{name}": value for name, value in place}}
        return replace(listing, shape=listing.shape._replace(direction=wanted.cursor.direction), values=values)
    if offset < DEEP_OFFSET:
        return listing
    if listing.shape == Shape():
        return _placed_in_block(listing, offset)
    if listing.total is None:
        listing = replace(listing, total=_total(listing))
    return _placed_from_the_end(listing, offset)


def _placed_in_block(listing: Listing, offset: int) -> Listing:
    """Skip whole blocks of numbers by their counts, from the newest on."""
    blocks = sorted(((int(row.subject), int(row.visible)) for row in blocks_query().read()), reverse=True)
    total = sum(visible for _, visible in blocks)
    listing = replace(listing, total=total)
    for block, visible in blocks:
        if offset < visible:
            values = {"below": (block + 1) * BLOCK_NUMBERS, "offset": offset}
            return replace(listing, shape=listing.shape._replace(is_bounded=True), values={**listing.values, **values})
        offset -= visible
    return listing


def _placed_from_the_end(listing: Listing, offset: int) -> Listing:
    """Walk from the list's end where that is nearer."""
    total, limit = listing.total or 0, listing.wanted.per_page + 1
    if listing.is_capped or offset >= total or offset < total / 2:
        return listing
    end = max(0, total - offset - limit)
    limit = min(limit, total - offset)
    values = {"offset": end, "limit": limit, "reach": end + limit}
    return replace(listing, shape=listing.shape._replace(direction="last"), values={**listing.values, **values})


def _total(listing: Listing) -> int:
    return int(total_query(listing.shape).read(listing.values)[0].total)


def _page(listing: Listing, is_known: IsKnown | None) -> Versioned[PostPage]:
    is_empty = listing.total is not None and listing.wanted.offset >= listing.total and not listing.is_capped
    if is_known is not None and not is_empty:
        version = _version(listing)
        if is_known(version):
            return Versioned(version, None)
    rows = [] if is_empty else _rows(listing)
    total = listing.total
    if total is None:
        total = int(rows[0].total) if rows else _total(listing)
    version = _joined(listing, total, [version_of(row) for row in rows])
    return unless_known(version, is_known, lambda: _post_page(listing, rows, total))


def _version(listing: Listing) -> str:
    with_total = listing.total is None
    (row,) = page_query(listing.shape, view="version", with_total=with_total).read(listing.values)
    total = row.total if listing.total is None else listing.total
    return _joined(listing, int(total), row.versions.split(",") if row.versions else [])


def _joined(listing: Listing, total: int, versions: Sequence[str]) -> str:
    # In any order: it follows from what the versions say.
    return " ".join([f"{total}{'+' if listing.is_capped else ''}", *sorted(versions)])


def _rows(listing: Listing) -> list[Row[Any]]:
    """Return the page's rows in the list's order, with one more where there are more."""
    with_total = listing.total is None
    query = page_query(listing.shape, view=listing.wanted.view, with_total=with_total)
    return sorted(query.read(listing.values), key=lambda row: _key(row, listing.wanted.sort), reverse=True)


def _post_page(listing: Listing, rows: list[Row[Any]], total: int) -> PostPage:
    wanted = listing.wanted
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
    if listing.is_capped:
        meta["total_capped"] = True
    next_link: Link = {"cursor": next_cursor}
    prev_link: Link = {"cursor": prev_cursor}
    if wanted.cursor is None:
        last_page = wanted.page - 1 if rows else min(wanted.page - 1, pages)
        next_link, prev_link = {"page": wanted.page + 1}, {"page": max(1, last_page)}
    posts = to_dicts(rows)
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


def _key(row: Row[Any], sort: Sort) -> tuple[int, ...]:
    return tuple(getattr(row, name) for name in SORT_COLUMNS[sort])
