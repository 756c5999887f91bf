"""How many comments a post has, as the Comment Service says."""

from typing import Any

from post.database.writes import retried, transaction
from post.errors import Forbidden, PostNotFound
from post.models import DELETED, Post
from post.services.posts import lock_post, lock_seen_post, set_counter
from post.utils import Caller

COMMENTS_SCOPE = "post-service/comments.write"


@retried
def set_comment_count(post_id: str, comment_count: int, *, caller: Caller) -> dict[str, Any]:
    """
    Store the number of a post's comments; ``updated_at`` stays.

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
        if COMMENTS_SCOPE not in caller.scopes:
            lock_seen_post(connection, post_id, caller)
            raise Forbidden
        row = lock_post(connection, post_id)
        if row is None or row.status == DELETED:
            raise PostNotFound
        set_counter(connection, post_id, Post.comment_count, comment_count)
    return {"id": post_id, "comment_count": comment_count}
