"""Whether what is kept agrees with the rows that it stands for, and its repair, while others write."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, String, cast, func, literal, or_, select, union_all

from post.database import read, retried
from post.models import HIDDEN, VISIBLE, Like, Media, Post, PostCount, SearchTitle, transaction
from post.search_grams import search_key
from post.services.counts import ALL, AUTHOR, BLOCK, BLOCK_NUMBERS, CATEGORY, SHARDS, Count, add_to_counts
from post.services.posts import lock_post, set_counter
from post.services.search import add_titles, forget_title

SEARCH_BATCH = 1000
_SUBJECTS: dict[str, ColumnElement[Any]] = {
    ALL: literal(""),
    CATEGORY: cast(Post.category_id, String),
    AUTHOR: cast(Post.user_id, String),
    BLOCK: cast(Post.No // BLOCK_NUMBERS, String),
}
# What is counted of a post's own, by the column that keeps it.
_OF_POSTS = {"like_count": Like, "media_count": Media}
_TITLES = (
    select(Post.id, Post.No, Post.status, Post.title, SearchTitle.title_key)
    .join(SearchTitle, SearchTitle.No == Post.No, isouter=True)
    .order_by(Post.No)
    .limit(SEARCH_BATCH)
)


class Mismatch(NamedTuple):
    """
    Something kept that is not what its rows say.

    Attributes:
        what: A scope of ``post_counts``, a count of posts, or ``search``.
        of: What it is kept of: a subject and shard, or a post's id.
        kept: As it is kept; of counts, visible and hidden together.
        counted: As it should be.
    """

    what: str
    of: str
    kept: Any
    counted: Any


def verify_counters(*, repair: bool) -> list[Mismatch]:
    """
    Compare every counter with its rows.

    Args:
        repair: Whether to set right what is wrong. Only one caller may do that at a time.

    Returns:
        What was wrong.
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
        # What lacks is found by one statement, so at one moment, and added: what others add meanwhile stays.
        lacking = connection.execute(_lacking(scope)).all()
        if repair:
            changes = {Count(scope, row.subject, row.shard): [int(row.visible), int(row.hidden)] for row in lacking}
            add_to_counts(connection, changes)
    return [
        Mismatch(scope, f"{row.subject}/{row.shard}", int(row.kept), int(row.kept + row.visible + row.hidden))
        for row in lacking
    ]


def _lacking(scope: str) -> Select[Any]:
    """Return the query for what a scope's counts lack, by subject and shard."""
    subject, shard = _SUBJECTS[scope].label("subject"), (Post.No % SHARDS[scope]).label("shard")
    visible, hidden = (func.sum(cast(Post.status == status, Integer)) for status in (VISIBLE, HIDDEN))
    counted = select(subject, shard, visible.label("visible"), hidden.label("hidden"), literal(0).label("kept"))
    counted = counted.where(Post.status.in_([VISIBLE, HIDDEN]), subject.isnot(None)).group_by(subject, shard)
    kept = select(
        PostCount.subject, PostCount.shard, -PostCount.visible, -PostCount.hidden, PostCount.visible + PostCount.hidden
    ).where(PostCount.scope == scope)
    both = union_all(counted, kept).subquery()
    sums = [func.sum(column).label(column.name) for column in (both.c.visible, both.c.hidden, both.c.kept)]
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
    """Compare what the search looks up with the titles of posts. Arguments and result as for ``verify_counters``."""
    wrong = list(_unsearchable())
    if repair:
        for mismatch in wrong:
            _index_again(mismatch.of)
    return wrong


def _unsearchable() -> Iterator[Mismatch]:
    number = 0
    while rows := read(_TITLES.where(Post.No > number)):
        for row in rows:
            key = search_key(row.title) if row.status == VISIBLE else None
            if key != row.title_key:
                yield Mismatch("search", row.id, row.title_key, key)
        number = rows[-1].No


@retried
def _index_again(post_id: str) -> None:
    with transaction() as connection:
        row = lock_post(connection, post_id)
        if row is not None:
            forget_title(connection, row.No, row.title)
            if row.status == VISIBLE:
                add_titles(connection, {row.No: search_key(row.title)})
