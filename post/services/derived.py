"""Rows derived from posts and kept by the transaction that changes a post: counts of posts, and the search index."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects import sqlite

from post.components import components
from post.database.writes import after_transaction, send_last
from post.models import HIDDEN, VISIBLE, Post, PostCount
from post.services.search_index import add_titles, index_title, remove_titles, search_key

ALL, CATEGORY, AUTHOR, BLOCK, DAY = "all", "category", "author", "block", "day"
# A post is counted in the shard of its number: posts created at the same time have different shards, so their
# transactions do not wait for each other. One author seldom writes twice at a time.
SHARDS = {ALL: 16, CATEGORY: 16, BLOCK: 16, AUTHOR: 4, DAY: 16}
# The count of each block of numbers leads to a deep page, which then skips posts of its own block alone.
BLOCK_NUMBERS = 8192

# As text: SQLAlchemy's own statement names the new row, which MariaDB does not support.
_ADD_ON_MYSQL = (
    "INSERT INTO post_counts (scope, subject, shard, visible, hidden) VALUES %s"
    " ON DUPLICATE KEY UPDATE visible = visible + VALUES(visible), hidden = hidden + VALUES(hidden)"
)
_EXCLUDED = sqlite.insert(PostCount)
_ADD_ON_SQLITE = _EXCLUDED.on_conflict_do_update(
    index_elements=["scope", "subject", "shard"],
    set_={
        "visible": PostCount.visible + _EXCLUDED.excluded.visible,
        "hidden": PostCount.hidden + _EXCLUDED.excluded.hidden,
    },
)
_INDEXED = select(Post.No, Post.status, Post.category_id, Post.user_id, Post.title, Post.created_at).where(
    Post.id.in_(bindparam("post_ids", expanding=True))
)


class IndexedPost(NamedTuple):
    """The columns of a post that counts and the search index are derived from."""

    number: int
    status: str
    category_id: str | None
    user_id: str | None
    title: str
    created_at: datetime

    @classmethod
    def of(cls, row: Any) -> "IndexedPost":
        """Read them from a post's row."""
        return cls(row.No, row.status, row.category_id, row.user_id, row.title, row.created_at)

    @property
    def visible_title(self) -> str | None:
        """The title where the search finds it, else None."""
        return self.title if self.status == VISIBLE else None

    @property
    def created_day(self) -> int:
        """The column of this name: days from the year 0, which Python's calendar lacks, to its creation."""
        return self.created_at.toordinal() + 365


class Count(NamedTuple):
    """The key of a row of counts."""

    scope: str
    subject: str
    shard: int


# Amounts to add to each row: of visible posts, and of hidden ones.
Changes = dict[Count, list[int]]


def update_derived(connection: Connection, before: IndexedPost | None, after: IndexedPost) -> None:
    """
    Bring the search index and the counts up to date with a change of a post, as the transaction's last step.

    Rows of counts are shared by all writers and stay locked until the transaction ends.

    Args:
        connection: The transaction's, which has locked the post's row.
        before: The post before the change; None for a new one.
        after: The post after it.
    """
    index_title(connection, after.number, before=before and before.visible_title, after=after.visible_title)
    add_to_counts(connection, _changes([(before, after)]))


def update_many_derived(connection: Connection, changes: Sequence[tuple[IndexedPost, IndexedPost]]) -> None:
    """
    Do ``update_derived`` for many posts at once.

    Args:
        connection: The transaction's, which has locked their rows.
        changes: Each post before and after the change; some hundred at most.
    """
    removed: dict[int, str] = {}
    for before, after in changes:
        if before.visible_title is not None and after.visible_title is None:
            removed[after.number] = before.visible_title
        else:
            index_title(connection, after.number, before=before.visible_title, after=after.visible_title)
    remove_titles(connection, removed)
    add_to_counts(connection, _changes(changes))


def derive_new(connection: Connection, post_ids: Sequence[str]) -> None:
    """
    Derive the rows of many new posts at once.

    Args:
        connection: That of the transaction that creates them.
        post_ids: Some thousand at most.
    """
    posts = [IndexedPost.of(row) for row in connection.execute(_INDEXED, {"post_ids": post_ids})]
    add_titles(connection, {post.number: search_key(post.title) for post in posts if post.status == VISIBLE})
    add_to_counts(connection, _changes([(None, post) for post in posts]))


def remove_derived(connection: Connection, post_ids: Sequence[str]) -> None:
    """
    Remove the derived rows of posts that the transaction has locked and will delete.

    Args:
        connection: The transaction's.
        post_ids: Some hundred at most.
    """
    posts = [IndexedPost.of(row) for row in connection.execute(_INDEXED, {"post_ids": post_ids})]
    remove_titles(connection, {post.number: post.title for post in posts if post.status == VISIBLE})
    add_to_counts(connection, _changes([(post, None) for post in posts]))


def _changes(posts: Iterable[tuple[IndexedPost | None, IndexedPost | None]]) -> Changes:
    changes: Changes = defaultdict(lambda: [0, 0])
    for before, after in posts:
        for post, amount in ((before, -1), (after, 1)):
            if post is not None and post.status in (VISIBLE, HIDDEN):
                for count in _counts_of(post):
                    changes[count][post.status == HIDDEN] += amount
    return changes


def _counts_of(post: IndexedPost) -> Iterator[Count]:
    subjects = {ALL: "", CATEGORY: post.category_id, AUTHOR: post.user_id, DAY: str(post.created_day)}
    subjects[BLOCK] = str(post.number // BLOCK_NUMBERS)
    for scope, subject in subjects.items():
        if subject is not None:
            yield Count(scope, subject, post.number % SHARDS[scope])


def add_to_counts(connection: Connection, changes: Mapping[Count, Sequence[int]]) -> None:
    """
    Add to counts within the caller's transaction, always in one order, so that transactions cannot deadlock.

    Args:
        connection: The transaction's.
        changes: Visible and hidden posts to add to each row; negative to subtract.
    """
    amounts = sorted(changes.items())
    changed = [(count, visible, hidden) for count, (visible, hidden) in amounts if visible or hidden]
    if any(count.scope == CATEGORY and visible for count, visible, _ in changed):
        after_transaction(components().category_cache.forget)
    if changed and connection.dialect.name == "sqlite":
        rows = [{**count._asdict(), "visible": visible, "hidden": hidden} for count, visible, hidden in changed]
        connection.execute(_ADD_ON_SQLITE, rows)
    elif changed:
        send_last(connection, *counts_on_mysql(changed))


def counts_on_mysql(changed: Sequence[tuple[Count, int, int]]) -> tuple[str, tuple[str, ...]]:
    """Return one statement that adds to all rows, and its parameters."""
    rows = (f"('{each.scope}', %s, {each.shard:d}, {visible:d}, {hidden:d})" for each, visible, hidden in changed)
    return _ADD_ON_MYSQL % ", ".join(rows), tuple(each.subject for each, _, _ in changed)
