"""The end of a deleted post: its row keeps the number alone, and nothing of it is left anywhere."""

import logging
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from post.database.writes import retried, transaction
from post.errors import PostNotDeleted, PostNotFound, StorageUnavailable
from post.models import DELETED, ErasedObject, IdempotencyKey, Like, Media, Pin, Post, Report, next_moment
from post.services.media import list_erased, remove_erased
from post.services.moderation_log import Deed, record
from post.services.search_index import remove_titles

logger = logging.getLogger(__name__)

PURGED = "purged"
_STATE = select(Post.No, Post.user_id, Post.status, Post.deleted_by, Post.purged_at, Post.title)
_LOCKED = _STATE.add_columns(next_moment().label("next_moment")).with_for_update()
_OF_THE_POST: tuple[Any, ...] = (Like, Media, Report, Pin)
_NOTHING: dict[str, Any] = {
    **dict.fromkeys(("title", "content", "username"), ""),
    **dict.fromkeys(("user_id", "category", "category_id", "hidden_by", "held_since")),
    **dict.fromkeys(("view_count", "like_count", "comment_count", "media_count", "report_count"), 0),
}


def purge_post(post_id: str, *, moderator: str, reason: str | None = None) -> dict[str, Any]:
    """
    Erase a deleted post for good, first in the database, then its images in the storage and at CloudFront.

    If one of these is away, the post is erased all the same, and its images are removed by another call, or by
    ``prune_images``.

    Args:
        post_id: Id of the post, 32 hex characters.
        moderator: The admin's ``sub``, or ``BY_SHELL``.
        reason: The moderator's, for the log.

    Returns:
        ``{id, status, images_removed}``.

    Raises:
        PostNotFound: It was never there, or is purged with its images.
        PostNotDeleted: It is visible or hidden.
    """
    keys = _erase(post_id, moderator, reason)
    try:
        remove_erased(keys)
    except StorageUnavailable:
        logger.warning("images_not_purged", extra={"post_id": post_id, "count": len(keys)})
        return {"id": post_id, "status": PURGED, "images_removed": False}
    return {"id": post_id, "status": PURGED, "images_removed": True}


@retried
def _erase(post_id: str, moderator: str, reason: str | None) -> list[str]:
    """Return the keys of the post's objects, which are to be removed."""
    with transaction() as connection:
        post = connection.execute(_LOCKED.where(Post.id == post_id)).one_or_none()
        if post is None:
            raise PostNotFound
        if post.purged_at is not None:
            left = list_erased(connection, post_id=post_id)
            if not left:
                raise PostNotFound
            return left
        if post.status != DELETED:
            raise PostNotDeleted
        keys = _erase_rows(connection, post_id, post)
        old = {"status": DELETED, "deleted_by": post.deleted_by}
        deed = Deed(moderator, "purge", old, {"status": PURGED}, reason, post_id=post_id, user_id=post.user_id)
        record(connection, deed)
    return keys


def _erase_rows(connection: Connection, post_id: str, post: Any) -> list[str]:
    media = connection.execute(select(Media.object_key, Media.thumbnail_key).where(Media.post_id == post_id)).all()
    keys = [key for row in media for key in row]
    if keys:
        connection.execute(insert(ErasedObject), [{"object_key": key, "post_id": post_id} for key in keys])
    for table in _OF_THE_POST:
        connection.execute(delete(table).where(table.post_id == post_id))
    # The row stays for its 24 hours, with no digest of a request: a repeat creates no post again, but is a conflict.
    answered = update(IdempotencyKey).where(IdempotencyKey.post_id == post_id)
    connection.execute(answered.values(answer=b"", request_hash=""))
    remove_titles(connection, {post.No: post.title})  # there is none, unless the index is wrong
    moments = {"purged_at": post.next_moment, "updated_at": post.next_moment}
    connection.execute(update(Post).where(Post.id == post_id).values(_NOTHING | moments))
    return keys
