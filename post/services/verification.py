"""The comparison of counters and search index with the posts' rows, and their repair, while others write."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Row,
    Select,
    String,
    bindparam,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    union_all,
)

from post.database.reads import read
from post.database.writes import retried, transaction
from post.models import HIDDEN, VISIBLE, Like, Media, Post, PostCount, SearchGram, SearchTitle
from post.paging import VALUE_MAX
from post.services.counters import set_counter
from post.services.derived import ALL, AUTHOR, BLOCK, BLOCK_NUMBERS, CATEGORY, SHARDS, Count, add_to_counts
from post.services.posts import lock_post
from post.services.search_index import add_titles, grams_of, search_key

SEARCH_BATCH = 100_000  # posts whose pairs are read at a time
_SUBJECTS: dict[str, ColumnElement[Any]] = {
    ALL: literal(""),
    CATEGORY: cast(Post.category_id, String),
    AUTHOR: cast(Post.user_id, String),
    BLOCK: cast(Post.No // BLOCK_NUMBERS, String),
}
# The rows that each counter of a post counts.
_OF_POSTS = {"like_count": Like, "media_count": Media}
_TITLES = select(Post.id, Post.No, Post.status, Post.title).order_by(Post.No)
_BETWEEN = {"last": bindparam("last", type_=BigInteger), "end": bindparam("end", type_=BigInteger)}
_KEPT_TITLES = select(SearchTitle.No, SearchTitle.title_key).where(
    SearchTitle.No > _BETWEEN["last"], SearchTitle.No <= _BETWEEN["end"]
)
_KEPT_GRAMS = (
    select(SearchGram.No, func.count().label("size"), func.sum(SearchGram.gram).label("total"))
    .where(SearchGram.No > _BETWEEN["last"], SearchGram.No <= _BETWEEN["end"])
    .group_by(SearchGram.No)
)


class Mismatch(NamedTuple):
    """
    A stored value that differs from its rows.

    Attributes:
        what: A scope of ``post_counts``, a counter of posts, or ``search``.
        of: Its subject and shard, its post's id, or a number that no post has.
        kept: The stored value; for ``post_counts``, of visible and hidden posts.
        counted: The value from the rows.
    """

    what: str
    of: str
    kept: Any
    counted: Any


def verify_counters(*, repair: bool) -> list[Mismatch]:
    """
    Compare every counter with its rows.

    Args:
        repair: Whether to correct wrong values. Only one caller may do that at a time.

    Returns:
        The wrong values.
    """
    wrong = [mismatch for scope in SHARDS for mismatch in _verify_counts(scope, repair=repair)]
    for name, table in _OF_POSTS.items():
        for row in read(_miscounted(name, table)):
            wrong.append(Mismatch(name, row.id, row.kept, row.counted))
            if repair:
                _recount(row.id, name, table)
    return wrong


@retried
def _verify_counts(scope: str, *, repair: bool) -> list[Mismatch]:
    with transaction() as connection:
        # One statement finds the differences at one moment. Adding them keeps what others add meanwhile.
        differences = connection.execute(_differences(scope)).all()
        if repair:
            changes = {Count(scope, row.subject, row.shard): [int(row.visible), int(row.hidden)] for row in differences}
            add_to_counts(connection, changes)
    return [_mismatch(scope, row) for row in differences]


def _mismatch(scope: str, row: Row[Any]) -> Mismatch:
    visible, hidden = int(row.kept_visible), int(row.kept_hidden)
    counted = f"{visible + int(row.visible)}+{hidden + int(row.hidden)}"
    return Mismatch(scope, f"{row.subject}/{row.shard}", f"{visible}+{hidden}", counted)


def _differences(scope: str) -> Select[Any]:
    """Build the query for the differences of a scope's counts, by subject and shard."""
    subject, shard = _SUBJECTS[scope].label("subject"), (Post.No % SHARDS[scope]).label("shard")
    visible, hidden = (func.sum(cast(Post.status == status, Integer)) for status in (VISIBLE, HIDDEN))
    none = literal(0)
    counted = select(subject, shard, visible.label("visible"), hidden.label("hidden"), none.label("kept_visible"))
    counted = (
        counted.add_columns(none.label("kept_hidden"))
        .where(Post.status.in_([VISIBLE, HIDDEN]), subject.isnot(None))
        .group_by(subject, shard)
    )
    keys = PostCount.subject, PostCount.shard
    kept = select(*keys, -PostCount.visible, -PostCount.hidden, PostCount.visible, PostCount.hidden)
    both = union_all(counted, kept.where(PostCount.scope == scope)).subquery()
    sums = [func.sum(both.c[name]).label(name) for name in ("visible", "hidden", "kept_visible", "kept_hidden")]
    query = select(both.c.subject, both.c.shard, *sums).group_by(both.c.subject, both.c.shard)
    return query.having(or_(sums[0] != 0, sums[1] != 0))


def _miscounted(name: str, table: Any) -> Select[Any]:
    counted = select(table.post_id, func.count().label("counted")).group_by(table.post_id).subquery()
    right, kept = func.coalesce(counted.c.counted, 0), getattr(Post, name)
    query = select(Post.id, kept.label("kept"), right.label("counted"))
    return query.join(counted, counted.c.post_id == Post.id, isouter=True).where(kept != right)


@retried
def _recount(post_id: str, name: str, table: Any) -> None:
    with transaction() as connection:
        lock_post(connection, post_id)  # under which its likes and images are written
        counted = select(func.count()).where(table.post_id == post_id).scalar_subquery()
        set_counter(connection, post_id, getattr(Post, name), counted)


def verify_search(*, repair: bool) -> list[Mismatch]:
    """Compare the search index with the titles of posts. Arguments and result as for ``verify_counters``."""
    checked = (_verify_title(number, repair=repair) for number in _suspects())
    return [mismatch for mismatch in checked if mismatch is not None]


def _suspects() -> Iterator[int]:
    """Return the numbers that seem wrong; a concurrent change may make a right one seem so."""
    last, end = -1, 0
    while end < VALUE_MAX:
        posts = read(_TITLES.where(Post.No > last).limit(SEARCH_BATCH))
        end = posts[-1].No if len(posts) == SEARCH_BATCH else VALUE_MAX
        keys = {post.No: search_key(post.title) for post in posts if post.status == VISIBLE}
        titles = {row.No: row.title_key for row in read(_KEPT_TITLES, {"last": last, "end": end})}
        sums = {row.No: (int(row.size), int(row.total)) for row in read(_KEPT_GRAMS, {"last": last, "end": end})}
        for number in sorted(keys.keys() | titles.keys() | sums.keys()):
            grams = grams_of(keys.get(number, ""))
            if titles.get(number) != keys.get(number) or sums.get(number, (0, 0)) != (len(grams), sum(grams)):
                yield number
        last = end


@retried
def _verify_title(number: int, *, repair: bool) -> Mismatch | None:
    this = SearchGram.No == number
    with transaction() as connection:
        post = connection.execute(_TITLES.where(Post.No == number).with_for_update()).one_or_none()
        key = search_key(post.title) if post is not None and post.status == VISIBLE else None
        kept = connection.scalar(select(SearchTitle.title_key).where(SearchTitle.No == number))
        grams = set(connection.scalars(select(SearchGram.gram).where(this)))
        if kept == key and grams == set(grams_of(key or "")):
            return None
        if repair:
            connection.execute(delete(SearchTitle).where(SearchTitle.No == number))
            connection.execute(delete(SearchGram).where(this, SearchGram.gram.in_(grams)))
            add_titles(connection, {} if key is None else {number: key})
    return Mismatch("search", str(number) if post is None else post.id, kept, key)
