"""
The SQL of pages: built once for each shape of list, so that SQLAlchemy compiles it once.

An index alone gives a page's keys, and only their rows are read ("late row lookup"), in any order.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Integer,
    ScalarSelect,
    Select,
    String,
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
from post.models import (
    DELETED,
    HIDDEN,
    VISIBLE,
    Category,
    Pin,
    Post,
    PostCount,
    SearchGram,
    SearchTitle,
    day_of,
    hours_ago,
)
from post.paging import PER_PAGE_MAX, PERIOD_HOURS, SORT_COLUMNS, Period, Sort, View
from post.services.derived import ALL, AUTHOR, BLOCK, CATEGORY, DAY
from post.services.post_rows import ADMIN_COLUMNS, POST_COLUMNS, SUMMARY_COLUMNS, VIEWER_COLUMNS
from post.services.versions import joined_versions, version_column

# Ways to search titles: "pair" looks up a text of two characters; "pairs" looks up one pair of a longer text and
# compares each title found; "character" looks up all pairs that begin with it; "walk" compares the list's titles.
Search = Literal["pair", "pairs", "character", "walk"]
AnyView = View | Literal["version"]

ON_ALL, IN_CATEGORY = "all", "category"  # scopes of pins
PINS_MAX = 10  # of the board, and of each category


class Shape(NamedTuple):
    """
    The parts of a request that decide a page's SQL.

    Attributes:
        sort: The list's order.
        filters: Any of ``category_id``, ``category`` (a name) and ``user_id``.
        period: The time until now in which its posts were created; None for any time.
        is_mine: Whether the list is an author's own, with hidden posts.
        search: The way to search titles, if any.
        direction: The end to read from, or the side of a cursor.
        is_bounded: Whether only numbers below ``below`` are wanted.
        statuses: The statuses of a list of moderators, with ``ADMIN_COLUMNS``; empty for any other list.
        is_reported: Whether only posts with open reports are wanted; of a list of moderators.
        shows_pins: Whether pinned posts are shown beside the page: ``has_pins`` then comes with the total.
    """

    sort: Sort = "latest"
    filters: frozenset[str] = frozenset()
    period: Period | None = None
    is_mine: bool = False
    search: Search | None = None
    direction: Literal["first", "last", "next", "prev"] = "first"
    is_bounded: bool = False
    statuses: tuple[str, ...] = ()
    is_reported: bool = False
    shows_pins: bool = False

    @property
    def is_moderated(self) -> bool:
        """True for a list that others than moderators have not."""
        return self.is_reported or not {*self.statuses} <= {VISIBLE}

    @property
    def is_board(self) -> bool:
        """True for all visible posts, the newest first, from the first one on."""
        return not self.is_moderated and self._replace(statuses=()) == Shape()


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

_BY_DAY = "ix_posts_day_popular"
# Of filtered posts of a period: all of that time are read, or all of an author or a category if these are fewer.
_OF_PERIOD = f"{_BY_DAY}, ix_posts_category_status_no, ix_posts_user_status_no"


@lru_cache(maxsize=512)
def page_query(shape: Shape, *, view: AnyView, with_total: bool, for_viewer: bool = False) -> Prepared:
    """
    Build the query for a page.

    Args:
        shape: Of the list.
        view: Whole posts, posts with excerpts, or their versions as one text.
        with_total: Whether each row has the columns of ``total_query`` too.
        for_viewer: Whether posts have ``VIEWER_COLUMNS`` too; with the parameter ``viewer_id``.

    Returns:
        A query with the parameters ``limit``, ``offset``, the filters' names, ``cursor_`` and a column's
        name for each value of a cursor, ``below``, and those of the search.
    """
    keys = _keys(shape).subquery()
    is_version = view == "version"
    versions = (joined_versions(for_viewer=for_viewer).label("versions"),)
    query = select(*(versions if is_version else _columns(view, for_viewer=for_viewer)))
    if shape.statuses:
        query = query.add_columns(*ADMIN_COLUMNS)
    if with_total:
        query = query.add_columns(*_totals(shape))
    key = next(iter(keys.c))
    return Prepared(query.select_from(keys.join(Post, getattr(Post, key.name) == key)))


def _columns(view: AnyView, *, for_viewer: bool) -> tuple[Any, ...]:
    if view == "version":
        return (version_column(for_viewer=for_viewer).label("version"),)
    columns = SUMMARY_COLUMNS if view == "summary" else POST_COLUMNS
    return (*columns, *VIEWER_COLUMNS) if for_viewer else columns


@lru_cache
def chosen_query(*, view: AnyView, for_viewer: bool) -> Prepared:
    """
    Build the query for visible posts by their ids, in any order. Arguments as for ``page_query``.

    Returns:
        A query with the parameters ``id_0`` to ``id_49``, of which any may be equal; for versions, each in a row.
    """
    ids = [bindparam(f"id_{index}", type_=Post.id.type) for index in range(PER_PAGE_MAX)]
    return Prepared(select(*_columns(view, for_viewer=for_viewer)).where(Post.id.in_(ids), Post.status == VISIBLE))


@lru_cache
def pins_query(filters: frozenset[str], *, view: AnyView, for_viewer: bool) -> Prepared:
    """
    Build the query for the posts that are pinned where a list is, in any order: to sort their texts takes the server
    longer than all else.

    Args:
        filters: Of the list. Pins on all posts are pins in each category; a list of an author has the author's alone.
        view: As for ``page_query``; for versions, each in a row.
        for_viewer: As for ``page_query``.

    Returns:
        A query with the parameters of the filters, and ``viewer_id``. Its rows have ``No`` and ``pinned_at`` too.
    """
    found = {name: column == value for name, (_, column, value) in _FILTERS.items() if name in filters}
    by_author = [found.pop("user_id")] if "user_id" in found else []
    parts = [_pins(ON_ALL, *by_author)]
    if found:
        parts.append(_pins(IN_CATEGORY, *found.values(), *by_author))
    both = union_all(*(select(part.subquery()) for part in parts)).subquery()
    moment = func.max(both.c.created_at).label("pinned_at")  # a post may be pinned in both scopes
    pins = select(both.c.post_id, moment).group_by(both.c.post_id).subquery()
    query = select(*_columns(view, for_viewer=for_viewer), pins.c.pinned_at, *([Post.No] if view == "version" else []))
    return Prepared(query.join(pins, pins.c.post_id == Post.id))


def _pins(scope: str, *conditions: ColumnElement[bool]) -> Select[Any]:
    query = select(Pin.post_id, Pin.created_at).select_from(Pin).join(Post, Post.id == Pin.post_id)
    # Without the hint, MySQL may read all posts of a category to find the few pinned ones.
    query = query.prefix_with("STRAIGHT_JOIN", dialect="mysql")
    query = query.where(Pin.scope == scope, Post.status == VISIBLE, *conditions)
    return query.order_by(Pin.created_at.desc(), Pin.post_id.desc()).limit(PINS_MAX)


@lru_cache
def total_query(shape: Shape) -> Prepared:
    """
    Build the query for a list's ``total``: ``maximum`` at most for a search. Other parameters as above.

    Of a shape that shows pins, it has ``has_pins`` too: False if no post is pinned where the list is.
    """
    return Prepared(select(*_totals(shape)))


def _totals(shape: Shape) -> list[Any]:
    totals: list[Any] = [total_of(shape).label("total")]
    if shape.shows_pins:
        of_board = [] if shape.filters - {"user_id"} else [Pin.scope == ON_ALL]
        totals.append(exists(select(Pin.post_id).where(*of_board)).label("has_pins"))
    return totals


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
    if shape.is_moderated:
        return _merged(shape, (_moderated(shape, status) for status in shape.statuses))
    if shape.search is not None and not shape.filters and shape.sort == "latest":
        found = _found(shape.search).subquery()
        return _slice(select(found.c.No), shape, {"No": found.c.No})
    if shape.period is not None and (shape.search == "walk" or not (shape.search or shape.filters)):
        return _keys_by_day(shape, shape.period)
    query = select(Post.id).where(*_conditions(shape), *_searched(shape))
    if shape.search not in (None, "walk"):
        found = _found(shape.search).subquery()
        return _slice(query.join(found, found.c.No == Post.No), shape, _order(shape))
    index = _INDEXES.get((_kinds(shape), shape.sort)) if shape.period is None else _OF_PERIOD
    if index is not None:
        query = _forced(query, index)
    return _slice(query, shape, _order(shape))


def _kinds(shape: Shape) -> frozenset[str]:
    return frozenset("category" if name == "category_id" else name for name in shape.filters)


def _own_keys(shape: Shape) -> Select[Any]:
    # One query for each status: the index is in order within a status.
    mine = Post.user_id == bindparam("user_id")
    parts = (_ordered(shape).where(mine, Post.status == status) for status in (VISIBLE, HIDDEN))
    return _merged(shape, (_forced(part, "ix_posts_user_status_no") for part in parts))


def _keys_by_day(shape: Shape, period: Period) -> Select[Any]:
    # One query for each day: the index is in order within a day. The first day is wanted from some time on.
    wanted = [*_conditions(shape._replace(period=None)), *_searched(shape)]
    days = [[Post.created_day == day_of(hours_ago(age))] for age in range(0, PERIOD_HOURS[period], 24)]
    parts = (_ordered(shape).where(*wanted, *day) for day in (*days, _first_day(period)))
    return _merged(shape, (_forced(part, _BY_DAY) for part in parts))


def _moderated(shape: Shape, status: str) -> Select[Any]:
    """Build the query for the posts of one status in a list of moderators, in any order."""
    query = _ordered(shape).where(*_moderated_conditions(shape, status))
    if walks(shape, status):
        walked = _walked(shape, status).subquery()
        query = query.select_from(walked).join(Post, Post.id == walked.c.id)
        query = query.prefix_with("STRAIGHT_JOIN", dialect="mysql")
        return query if shape.search is None else query.where(_own_title_matches())
    if shape.search not in (None, "walk"):
        found = _found(shape.search).subquery()
        return query.join(found, found.c.No == Post.No)
    index = _INDEXES.get((_kinds(shape), shape.sort))
    query = query.where(*_searched(shape))
    return query if index is None else _forced(query, index)


def _moderated_conditions(shape: Shape, status: str) -> list[ColumnElement[bool]]:
    kept = [Post.purged_at.is_(None)] if status == DELETED else []
    return [Post.status == status, *_filtered(shape), *kept]


def walks(shape: Shape, status: str) -> bool:
    """Return whether no index leads to the wanted posts of a status: ``maximum`` of them are then read at most."""
    return shape.is_reported or (shape.search is not None and status != VISIBLE)


def _walked(shape: Shape, status: str) -> Select[Any]:
    """Build the query for the posts to read: the most reported ones, or the newest ones of a status."""
    if shape.is_reported:
        query = _forced(select(Post.id).where(Post.report_count > 0), "ix_posts_report_count_No")
        return query.order_by(Post.report_count.desc(), Post.No.desc()).limit(_number("maximum"))
    query = select(Post.id).where(*_moderated_conditions(shape, status))
    index = _INDEXES.get((_kinds(shape), "latest"))
    query = query if index is None else _forced(query, index)
    return query.order_by(Post.No.desc()).limit(_number("maximum"))


def _own_title_matches() -> ColumnElement[bool]:
    # The search index has the titles of visible posts alone. A database may fold some letters in another way than it:
    # a title as it is written is found all the same.
    lower = func.lower(Post.title).like(bindparam("lower_pattern"), escape="/")
    return or_(lower, Post.title.like(bindparam("written_pattern"), escape="/"))


def moderated_totals_query(shape: Shape) -> Prepared:
    """
    Build the query for the numbers of posts of a list of moderators.

    Returns:
        A query with a column for each status: exact where counts are kept, else ``maximum`` at most. Where the list
        ``walks``, the column ``walked_`` and the status has the number of posts read. Parameters as for ``page_query``.
    """
    return _moderated_totals_query(shape._replace(sort="latest"))


@lru_cache
def _moderated_totals_query(shape: Shape) -> Prepared:
    columns = [_moderated_total(shape, status).label(status) for status in shape.statuses]
    walked = (status for status in shape.statuses if walks(shape, status))
    return Prepared(select(*columns, *(_count(_walked(shape, status)).label(f"walked_{status}") for status in walked)))


def _moderated_total(shape: Shape, status: str) -> ColumnElement[Any]:
    if is_kept(shape, status):
        return _kept(shape, PostCount.visible if status == VISIBLE else PostCount.hidden)
    posts = _moderated(shape, status).with_only_columns(Post.id, maintain_column_froms=True)
    return _count(posts.limit(_number("maximum")))


def is_kept(shape: Shape, status: str) -> bool:
    """Return whether the number of a status's posts in a list of moderators is kept, and so exact at any size."""
    return not (status == DELETED or shape.is_reported or shape.search or len(shape.filters) > 1)


def _first_day(period: Period) -> list[ColumnElement[bool]]:
    """Return the conditions of the posts of a period's first day, which began before the period."""
    start = hours_ago(PERIOD_HOURS[period])
    return [Post.created_day == day_of(start), Post.created_at >= start]


def _ordered(shape: Shape) -> Select[Any]:
    return select(Post.id, *_order(shape).values())


def _merged(shape: Shape, parts: Iterable[Select[Any]]) -> Select[Any]:
    """Build the query for the keys of a list in parts, which begin with ``_ordered``."""
    order = _order(shape)
    slices = [select(_slice(part, shape, order, skips=False).subquery()) for part in parts]
    both = union_all(*slices).subquery()
    columns = [both.c[name] for name in order]
    return _cut(select(both.c.id).order_by(*(_turned(column, shape) for column in columns)))


def _forced(query: Select[Any], index: str) -> Select[Any]:
    return query.with_hint(Post, f"FORCE INDEX ({index})", "mysql")


def _searched(shape: Shape) -> list[ColumnElement[bool]]:
    """Return the condition of a walk through a list's titles."""
    matches = exists().where(SearchTitle.No == Post.No, _title_matches())
    return [matches] if shape.search == "walk" else []


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
    if shape.direction in ("next", "prev"):
        query = query.where(_beyond(order, is_before=shape.direction == "prev"))
    if shape.is_bounded:
        query = query.where(order["No"] < _number("below"))
    query = query.order_by(*(_turned(column, shape) for column in order.values()))
    return _cut(query) if skips else query.limit(_number("reach"))


def _turned(column: Any, shape: Shape) -> Any:
    return column.asc() if shape.direction in ("prev", "last") else column.desc()


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
    return [Post.status == VISIBLE, *_filtered(shape), *([] if shape.period is None else _within(shape.period))]


def _filtered(shape: Shape) -> list[ColumnElement[bool]]:
    return [column == value for name, (_, column, value) in _FILTERS.items() if name in shape.filters]


def _within(period: Period) -> list[ColumnElement[bool]]:
    start = hours_ago(PERIOD_HOURS[period])
    return [Post.created_day.between(day_of(start), day_of(hours_ago(0))), Post.created_at >= start]


def total_of(shape: Shape) -> ColumnElement[Any]:
    """Build the expression for a list's total, as in ``total_query``."""
    if shape.search is not None:
        found = _found(shape.search)
        if shape.filters or shape.period is not None:
            numbers = found.subquery()
            found = select(Post.id).join(numbers, numbers.c.No == Post.No).where(*_conditions(shape))
        return _count(found.limit(_number("maximum")))
    if shape.period is not None:
        return _total_of_period(shape, shape.period)
    if len(shape.filters) > 1:
        return _count(select(Post.id).where(*_conditions(shape)))
    return _kept(shape, PostCount.visible + PostCount.hidden if shape.is_mine else PostCount.visible)


def _kept(shape: Shape, counted: Any) -> ColumnElement[Any]:
    """Build the expression for a kept count: of all posts, or of the list's one filter."""
    name = "user_id" if shape.is_mine else next(iter(shape.filters), None)
    scope, _, subject = (ALL, None, literal("")) if name is None else _FILTERS[name]
    kept = select(func.coalesce(func.sum(counted), 0)).where(PostCount.scope == scope, PostCount.subject == subject)
    return kept.scalar_subquery()


def _total_of_period(shape: Shape, period: Period) -> ColumnElement[Any]:
    if shape.filters:
        return _count(_forced(select(Post.id).where(*_conditions(shape)), _OF_PERIOD))
    # Whole days are kept, from the midnight on that is nearest to the start; what lies between both is counted.
    start, nearest = hours_ago(PERIOD_HOURS[period]), hours_ago(PERIOD_HOURS[period] - 12)
    days = cast(day_of(nearest), String), cast(day_of(hours_ago(0)), String)
    kept = select(func.coalesce(func.sum(PostCount.visible), 0))
    kept = kept.where(PostCount.scope == DAY, PostCount.subject.between(*days))
    missing, surplus = _count_between(start, func.date(nearest)), _count_between(func.date(nearest), start)
    return kept.scalar_subquery() + missing - surplus


def _count_between(start: ColumnElement[Any], end: ColumnElement[Any]) -> ScalarSelect[Any]:
    created = select(Post.id).where(Post.status == VISIBLE, Post.created_at >= start, Post.created_at < end)
    return _count(_forced(created, "ix_posts_status_created_at"))


def _count(query: Select[Any]) -> ScalarSelect[Any]:
    return select(func.count()).select_from(query.subquery()).scalar_subquery()
