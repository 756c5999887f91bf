"""
The SQL of pages: built once for each shape of list, so that SQLAlchemy compiles it once.

An index alone gives a page's keys, and only their rows are read ("late row lookup"), in any order.
"""

from functools import lru_cache
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Integer,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
)

from post.database.reads import Prepared
from post.models import HIDDEN, VISIBLE, Category, Post, PostCount, SearchGram, SearchTitle
from post.paging import SORT_COLUMNS, Sort
from post.services.derived import ALL, AUTHOR, BLOCK, CATEGORY
from post.services.post_rows import POST_COLUMNS, SUMMARY_COLUMNS, VIEWER_COLUMNS
from post.services.versions import joined_versions

# Ways to search titles: "pair" looks up a text of two characters; "pairs" looks up one pair of a longer text and
# compares each title found; "character" looks up all pairs that begin with it; "walk" compares the list's titles.
Search = Literal["pair", "pairs", "character", "walk"]


class Shape(NamedTuple):
    """
    The parts of a request that decide a page's SQL.

    Attributes:
        sort: The list's order.
        filters: Any of ``category_id``, ``category`` (a name) and ``user_id``.
        is_mine: Whether the list is an author's own, with hidden posts.
        search: The way to search titles, if any.
        direction: The end to read from, or the side of a cursor.
        is_bounded: Whether only numbers below ``below`` are wanted.
    """

    sort: Sort = "latest"
    filters: frozenset[str] = frozenset()
    is_mine: bool = False
    search: Search | None = None
    direction: Literal["first", "last", "next", "prev"] = "first"
    is_bounded: bool = False


# The scope of a filter's counts, its column, and its value.
_FILTERS: dict[str, tuple[str, Any, ColumnElement[Any]]] = {
    "category_id": (CATEGORY, Post.category_id, bindparam("category_id")),
    "category": (
        CATEGORY,
        Post.category_id,
        select(Category.id).where(Category.name_key == bindparam("category")).scalar_subquery(),
    ),
    "user_id": (AUTHOR, Post.user_id, bindparam("user_id")),
}
# Without a hint, MySQL takes the index on the number alone for a page next to a cursor, and reads
# every post from one end of the list. For other shapes its own choice is good.
_INDEXES = {
    (frozenset(), "latest"): "ix_posts_status_no",
    (frozenset(), "popular"): "ix_posts_popular",
    (frozenset({"category"}), "latest"): "ix_posts_category_status_no",
    (frozenset({"category"}), "popular"): "ix_posts_category_popular",
    (frozenset({"user_id"}), "latest"): "ix_posts_user_status_no",
}


@lru_cache(maxsize=512)
def page_query(
    shape: Shape, *, view: Literal["full", "summary", "version"], with_total: bool, for_viewer: bool = False
) -> Prepared:
    """
    Build the query for a page.

    Args:
        shape: Of the list.
        view: Whole posts, posts with excerpts, or their versions as one text.
        with_total: Whether each row has ``total`` too.
        for_viewer: Whether posts have ``VIEWER_COLUMNS`` too; with the parameter ``viewer_id``.

    Returns:
        A query with the parameters ``limit``, ``offset``, the filters' names, ``cursor_`` and a column's
        name for each value of a cursor, ``below``, and those of the search.
    """
    keys = _keys(shape).subquery()
    columns = SUMMARY_COLUMNS if view == "summary" else POST_COLUMNS
    if view == "version":
        columns = (joined_versions(for_viewer=for_viewer).label("versions"),)
    elif for_viewer:
        columns = (*columns, *VIEWER_COLUMNS)
    query = select(*columns)
    if with_total:
        query = query.add_columns(total_of(shape).label("total"))
    key = next(iter(keys.c))
    return Prepared(query.select_from(keys.join(Post, getattr(Post, key.name) == key)))


@lru_cache
def total_query(shape: Shape) -> Prepared:
    """Build the query for a list's ``total``: ``maximum`` at most for a search. Other parameters as above."""
    return Prepared(select(total_of(shape).label("total")))


@lru_cache
def blocks_query() -> Prepared:
    """Build the query for the number of visible posts in each block of numbers."""
    total = cast(func.sum(PostCount.visible), Integer).label("visible")
    return Prepared(select(PostCount.subject, total).where(PostCount.scope == BLOCK).group_by(PostCount.subject))


@lru_cache
def frequencies_query(size: int) -> Prepared:
    """Build the query for the number of titles with ``gram_0``, ``gram_1``, …: ``maximum`` at most for each."""
    counts = []
    for index in range(size):
        some = select(literal(1)).where(SearchGram.gram == bindparam(f"gram_{index}")).limit(_number("maximum"))
        counts.append(_count(some).label(f"count_{index}"))
    return Prepared(select(*counts))


def _keys(shape: Shape) -> Select[Any]:
    if shape.is_mine:
        return _own_keys(shape)
    if shape.search is not None and not shape.filters and shape.sort == "latest":
        found = _found(shape.search).subquery()
        return _slice(select(found.c.No), shape, {"No": found.c.No})
    query = select(Post.id).where(*_conditions(shape))
    if shape.search == "walk":
        query = query.where(exists().where(SearchTitle.No == Post.No, _title_matches()))
    elif shape.search is not None:
        found = _found(shape.search).subquery()
        return _slice(query.join(found, found.c.No == Post.No), shape, _order(shape))
    kinds = frozenset("category" if name == "category_id" else name for name in shape.filters)
    index = _INDEXES.get((kinds, shape.sort))
    if index is not None:
        query = query.with_hint(Post, f"FORCE INDEX ({index})", "mysql")
    return _slice(query, shape, _order(shape))


def _own_keys(shape: Shape) -> Select[Any]:
    # One query for each status: the index is in order within a status.
    parts = []
    for status in (VISIBLE, HIDDEN):
        part = select(Post.id, Post.No).where(Post.user_id == bindparam("user_id"), Post.status == status)
        part = part.with_hint(Post, "FORCE INDEX (ix_posts_user_status_no)", "mysql")
        parts.append(select(_slice(part, shape, {"No": Post.No}, skips=False).subquery()))
    both = union_all(*parts).subquery()
    order = both.c.No.asc() if shape.direction in ("prev", "last") else both.c.No.desc()
    return _cut(select(both.c.id).order_by(order))


def _found(search: Search) -> Select[Any]:
    """Build the query for the numbers of the posts that a search finds."""
    if search == "walk":
        return select(SearchTitle.No).where(_title_matches())
    if search == "character":
        begins = (SearchGram.gram >= bindparam("gram")) & (SearchGram.gram < bindparam("gram_end"))
        return select(SearchGram.No).where(begins).distinct()
    having = select(SearchGram.No).where(SearchGram.gram == bindparam("gram"))
    if search == "pair":
        return having
    return having.join(SearchTitle, SearchTitle.No == SearchGram.No).where(_title_matches())


def _title_matches() -> ColumnElement[bool]:
    return SearchTitle.title_key.like(bindparam("pattern"), escape="/")


def _slice(query: Select[Any], shape: Shape, order: dict[str, Any], *, skips: bool = True) -> Select[Any]:
    """Cut a query to the rows next to a cursor, or at an offset."""
    is_reversed = shape.direction in ("prev", "last")
    if shape.direction in ("next", "prev"):
        query = query.where(_beyond(order, is_before=shape.direction == "prev"))
    if shape.is_bounded:
        query = query.where(order["No"] < _number("below"))
    query = query.order_by(*(column.asc() if is_reversed else column.desc() for column in order.values()))
    return _cut(query) if skips else query.limit(_number("reach"))


def _cut(query: Select[Any]) -> Select[Any]:
    return query.limit(_number("limit")).offset(_number("offset"))


def _beyond(order: dict[str, Any], *, is_before: bool) -> ColumnElement[bool]:
    """Return the condition of posts beyond the cursor; MySQL uses no index to compare tuples."""
    (name, column), *others = order.items()
    value = _number(f"cursor_{name}")
    passed: ColumnElement[bool] = column > value if is_before else column < value
    return or_(passed, and_(column == value, _beyond(dict(others), is_before=is_before))) if others else passed


def _order(shape: Shape) -> dict[str, Any]:
    return {name: getattr(Post, name) for name in SORT_COLUMNS[shape.sort]}


def _number(name: str) -> Any:
    return bindparam(name, type_=Integer)


def _conditions(shape: Shape) -> list[ColumnElement[bool]]:
    wanted = (column == value for name, (_, column, value) in _FILTERS.items() if name in shape.filters)
    return [Post.status == VISIBLE, *wanted]


def total_of(shape: Shape) -> ScalarSelect[Any]:
    """Build the expression for a list's total, as in ``total_query``."""
    if shape.search is not None:
        found = _found(shape.search)
        if shape.filters:
            numbers = found.subquery()
            found = select(Post.id).join(numbers, numbers.c.No == Post.No).where(*_conditions(shape))
        return _count(found.limit(_number("maximum")))
    if len(shape.filters) > 1:
        return _count(select(Post.id).where(*_conditions(shape)))
    name = "user_id" if shape.is_mine else next(iter(shape.filters), None)
    scope, _, subject = (ALL, None, literal("")) if name is None else _FILTERS[name]
    counted = PostCount.visible + PostCount.hidden if shape.is_mine else PostCount.visible
    kept = select(func.coalesce(func.sum(counted), 0)).where(PostCount.scope == scope, PostCount.subject == subject)
    return kept.scalar_subquery()


def _count(query: Select[Any]) -> ScalarSelect[Any]:
    return select(func.count()).select_from(query.subquery()).scalar_subquery()
