"""How many posts there are: kept in the transaction that changes it, so that no reader counts rows."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.dialects import sqlite

from post.components import components
from post.database.writes import after_transaction
from post.models import HIDDEN, VISIBLE, PostCount

ALL, CATEGORY, AUTHOR, BLOCK = "all", "category", "author", "block"
# A post is counted in the shard of its number: those that are created at one time stand in different rows, and
# their transactions do not wait for each other. One author seldom writes twice at a time.
SHARDS = {ALL: 16, CATEGORY: 16, BLOCK: 16, AUTHOR: 4}
# A deep page is found by its block's place in the list, and skips posts of that block alone.
BLOCK_NUMBERS = 8192

# As text: SQLAlchemy's own statement names the new row, and that MariaDB does not know; nor does
# PyMySQL then send all rows in one statement.
_ADD_ON_MYSQL = text(
    "INSERT INTO post_counts (scope, subject, shard, visible, hidden)"
    " VALUES (:scope, :subject, :shard, :visible, :hidden)"
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


class Listed(NamedTuple):
    """What decides in which lists a post is, and so by which counts it is counted."""

    number: int
    status: str
    category_id: str | None
    user_id: str | None
    title: str


class Count(NamedTuple):
    """The key of a row of counts."""

    scope: str
    subject: str
    shard: int


# How many visible and hidden posts to add to each.
Changes = dict[Count, list[int]]


def count_post(connection: Connection, before: Listed | None, after: Listed) -> None:
    """
    Bring every count up to date with a change of a post.

    It comes last in a transaction: these rows are shared, and locked until it ends; always in
    one order, so that no two transactions wait for each other.

    Args:
        connection: That of the transaction that changes the post.
        before: The post before the change; None for a new one.
        after: The post after it.
    """
    add_to_counts(connection, changes_of([(before, after)]))


def changes_of(posts: Iterable[tuple[Listed | None, Listed]]) -> Changes:
    """Return what changes of posts change in counts. Of each the post before and after it, as for ``count_post``."""
    changes: Changes = defaultdict(lambda: [0, 0])
    for before, after in posts:
        for post, amount in ((before, -1), (after, 1)):
            if post is not None and post.status in (VISIBLE, HIDDEN):
                for count in _counts_of(post):
                    changes[count][post.status == HIDDEN] += amount
    return changes


def _counts_of(post: Listed) -> Iterator[Count]:
    subjects = {ALL: "", CATEGORY: post.category_id, AUTHOR: post.user_id, BLOCK: str(post.number // BLOCK_NUMBERS)}
    for scope, subject in subjects.items():
        if subject is not None:
            yield Count(scope, subject, post.number % SHARDS[scope])


def add_to_counts(connection: Connection, changes: Mapping[Count, Sequence[int]]) -> None:
    """
    Add to counts within the caller's transaction.

    Args:
        connection: The transaction's.
        changes: How many visible and hidden posts to add to each; below 0 to take away.
    """
    rows = [
        {**count._asdict(), "visible": visible, "hidden": hidden}
        for count, (visible, hidden) in sorted(changes.items())
        if visible or hidden
    ]
    if any(row["scope"] == CATEGORY and row["visible"] for row in rows):
        after_transaction(components().category_cache.forget)
    if rows:
        add = _ADD_ON_SQLITE if connection.dialect.name == "sqlite" else _ADD_ON_MYSQL
        connection.execute(add, rows)
