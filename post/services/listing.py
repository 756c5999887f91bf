"""What lists are made of besides the posts themselves: counts, and what the search looks up."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from post.models import VISIBLE, Post
from post.services.derived import Listed, add_to_counts, changes_of, count_post
from post.services.search_grams import search_key
from post.services.search_index import add_titles, index_title

_LISTED = select(Post.No, Post.status, Post.category_id, Post.user_id, Post.title).where(
    Post.id.in_(bindparam("post_ids", expanding=True))
)


def listed(row: Row[Any]) -> Listed:
    """Return what decides in which lists a post is, of its row."""
    return Listed(row.No, row.status, row.category_id, row.user_id, row.title)


def relist(connection: Connection, before: Listed | None, after: Listed) -> None:
    """
    Bring all of it up to date with a change of a post: the last that a transaction does.

    Args:
        connection: That of the transaction that changes the post, whose row it has locked.
        before: The post before the change; None for a new one.
        after: The post after it.
    """
    index_title(connection, before, after)
    count_post(connection, before, after)


def list_new(connection: Connection, post_ids: Sequence[str]) -> None:
    """
    Do for many new posts what ``relist`` does for one.

    Args:
        connection: That of the transaction that creates them.
        post_ids: Some thousand at most.
    """
    posts = [listed(row) for row in connection.execute(_LISTED, {"post_ids": post_ids})]
    add_titles(connection, {post.number: search_key(post.title) for post in posts if post.status == VISIBLE})
    add_to_counts(connection, changes_of([(None, post) for post in posts]))
