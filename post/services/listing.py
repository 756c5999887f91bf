"""What lists are made of besides the posts themselves: counts, and what the search looks up."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session

from post.models import VISIBLE, Post
from post.search_grams import search_key
from post.services.counts import Listed, add_to_counts, changes_of, count_post
from post.services.search import add_titles, index_title

_LISTED = select(Post.No, Post.status, Post.category_id, Post.user_id, Post.title).where(
    Post.id.in_(bindparam("post_ids", expanding=True))
)


def listed(row: Row[Any]) -> Listed:
    """Return what decides in which lists a post is, of its row."""
    return Listed(row.No, row.status, row.category_id, row.user_id, row.title)


def relist(session: Session, before: Listed | None, after: Listed) -> None:
    """
    Bring all of it up to date with a change of a post: the last that a transaction does.

    Args:
        session: The session of the transaction that changes the post, whose row it has locked.
        before: The post before the change; None for a new one.
        after: The post after it.
    """
    index_title(session, before, after)
    count_post(session, before, after)


def list_new(session: Session, post_ids: Sequence[str]) -> None:
    """
    Do for many new posts what ``relist`` does for one.

    Args:
        session: The session of the transaction that creates them.
        post_ids: Some thousand at most.
    """
    posts = [listed(row) for row in session.execute(_LISTED, {"post_ids": post_ids})]
    add_titles(session, {post.number: search_key(post.title) for post in posts if post.status == VISIBLE})
    add_to_counts(session, changes_of([(None, post) for post in posts]))
