"""Counters of a post, changed without moving its ``updated_at``: others than its author keep them."""

import logging
from collections.abc import Mapping
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Connection, Update, bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError

from post.components import components
from post.database.faults import is_away, is_refused
from post.database.reads import Prepared
from post.database.writes import retried, send_last, transaction
from post.errors import Forbidden, PostNotFound
from post.models import DELETED, Post
from post.services.posts import check_seen, lock_post
from post.shared.view_counter import ViewsNotWritten
from post.utils import Caller

logger = logging.getLogger(__name__)

_KEPT_COMMENTS = Prepared(select(Post.status, Post.user_id, Post.comment_count).where(Post.id == bindparam("post_id")))
COMMENTS_SCOPE = "post-service/comments.write"

# As text: SQLAlchemy would keep a statement for each size of a batch.
_ADD_VIEWS = "UPDATE posts SET view_count = view_count + CASE id%s END, updated_at = updated_at WHERE id IN (%s)"


def setting(counter: Any, value: Any, *, post_id: Any) -> Update:
    """Build the update of a counter that leaves ``updated_at`` alone: MySQL's table moves it at each other update."""
    return update(Post).where(Post.id == post_id).values({counter: value, Post.updated_at: Post.updated_at})


def set_counter(connection: Connection, post_id: str, counter: Any, value: int | ColumnElement[int]) -> None:
    """Set one counter of a post, within the caller's transaction; nothing is written if it has the value already."""
    connection.execute(setting(counter, value, post_id=post_id).where(counter != value))


def add_views(views: Mapping[str, int]) -> None:
    """
    Add to the view counts of posts, in one transaction that is not retried: the caller keeps what was not written.

    Args:
        views: Amounts by post id.

    Raises:
        ViewsNotWritten: The database cannot be written to; nothing was.
    """
    is_sent = False
    try:
        with transaction() as connection:
            if connection.dialect.name == "sqlite":
                for post_id, amount in views.items():
                    set_counter(connection, post_id, Post.view_count, Post.view_count + amount)
            else:  # the server locks the rows by rising id, as every other batch locks them
                cases, ids = " WHEN %s THEN %s" * len(views), ", ".join(["%s"] * len(views))
                send_last(connection, _ADD_VIEWS % (cases, ids), (*chain.from_iterable(views.items()), *views))
            is_sent = True
    except SQLAlchemyError as exc:
        if not is_away(exc):
            raise
        if not is_sent or is_refused(exc):
            raise ViewsNotWritten from exc
        # The answer to COMMIT was lost: what may have been counted must not be counted again.
        logger.warning("views_in_doubt", extra={"posts": len(views)})


@retried
def set_comment_count(post_id: str, comment_count: int, *, caller: Caller) -> dict[str, Any]:
    """
    Store a post's number of comments.

    Args:
        post_id: Id of the post, 32 hex characters; a hidden one has comments too.
        comment_count: 0 or more.
        caller: The Comment Service, whose token has the scope.

    Returns:
        ``{id, comment_count}``.

    Raises:
        PostNotFound: It is deleted, was never there, or is hidden from a caller without the scope.
        Forbidden: The token has no such scope.
    """
    with transaction() as connection:
        row = lock_post(connection, post_id, caller)
        if COMMENTS_SCOPE not in caller.scopes:
            check_seen(row, caller)
            raise Forbidden
        if row is None or row.status == DELETED:
            raise PostNotFound
        set_counter(connection, post_id, Post.comment_count, comment_count)
    return {"id": post_id, "comment_count": comment_count}


@retried
def store_comment_total(post_id: str, total: int) -> None:
    """
    Store the number of comments that the Comment Service has told; nothing is written if it is the stored one.

    Args:
        post_id: Id of a post.
        total: 0 or more.
    """
    with transaction() as connection:
        set_counter(connection, post_id, Post.comment_count, total)


def hint_comment_count(post_id: str, *, viewer: Caller | None) -> dict[str, Any]:
    """
    Have the Comment Service asked for a post's number of comments soon, if there is such a service.

    Args:
        post_id: Id of the post, 32 hex characters.
        viewer: The caller; None for an anonymous one.

    Returns:
        ``{id, comment_count}``, with the count stored now.

    Raises:
        PostNotFound: It is deleted, hidden from the viewer, or was never there.
    """
    row = check_seen(next(iter(_KEPT_COMMENTS.read({"post_id": post_id})), None), viewer)
    counter = components().comment_counter
    if counter is not None:
        counter.hint(post_id)
    return {"id": post_id, "comment_count": row.comment_count}
