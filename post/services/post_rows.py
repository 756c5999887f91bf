"""Rows of posts and images as the API's objects."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from post.components import components
from post.database.reads import read, row_type
from post.models import BY_AUTHOR, HIDDEN, Like, Media, Post
from post.utils import Caller, isoformat_utc

EXCERPT_CHARS = 200
EXCERPT = func.substr(Post.content, 1, EXCERPT_CHARS).label("excerpt")

# A summary has the same columns in the same order, with an excerpt in place of the text.
_BEFORE_TEXT = (Post.id, Post.No, Post.title)
_AFTER_TEXT = (
    Post.username,
    Post.user_id,
    Post.category,
    Post.category_id,
    Post.view_count,
    Post.like_count,
    Post.comment_count,
    Post.status,
    Post.media_count,
    Post.moves,  # of its version alone
    Post.created_at,
    Post.updated_at,
)
POST_COLUMNS: tuple[Any, ...] = (*_BEFORE_TEXT, Post.content, *_AFTER_TEXT)
SUMMARY_COLUMNS: tuple[Any, ...] = (*_BEFORE_TEXT, EXCERPT, *_AFTER_TEXT)
# In the query that reads the post: a page needs no other.
IS_LIKED = select(Like.id).where(Like.post_id == Post.id, Like.user_id == bindparam("viewer_id")).exists()
# Further columns, for a caller with a token: their ``sub`` is the parameter ``viewer_id``.
VIEWER_COLUMNS: tuple[Any, ...] = (Post.hidden_by, IS_LIKED.label("is_liked"))
# Further columns in lists of moderators.
ADMIN_COLUMNS: tuple[Any, ...] = (Post.report_count, Post.deleted_at, Post.deleted_by)
# A row of both, made of values that are known already.
PostRow = row_type(column.name for column in (*POST_COLUMNS, *VIEWER_COLUMNS))


def to_dicts(
    rows: Sequence[Any], *, viewer: Caller | None = None, connection: Connection | None = None
) -> list[dict[str, Any]]:
    """
    Return posts as the API shows them, with their images.

    Args:
        rows: ``POST_COLUMNS`` or ``SUMMARY_COLUMNS`` of at most one page of posts; with ``VIEWER_COLUMNS`` for a
            viewer.
        viewer: The caller; None for an anonymous one.
        connection: The transaction's, if they were read in one.
    """
    media_files = media_files_of([row.id for row in rows if row.media_count], connection=connection)
    names = rows[0]._fields if rows else ()
    return [_to_dict(names, row, media_files[row.id], viewer) for row in rows]


def _to_dict(
    names: Sequence[str], row: Any, media_files: list[dict[str, Any]], viewer: Caller | None
) -> dict[str, Any]:
    post: dict[str, Any] = dict(zip(names, row, strict=True))
    post.pop("total", None)  # of a list, in each of its rows
    post.pop("has_pins", None)
    post.pop("pinned_at", None)
    del post["moves"], post["media_count"], post["created_at"], post["updated_at"]  # to follow the images
    post["media_files"] = media_files
    post["media_count"] = len(media_files)
    post["created_at"] = isoformat_utc(row.created_at)
    post["updated_at"] = isoformat_utc(row.updated_at)
    if viewer is not None:
        _show_to(viewer, post)
    return post


def _show_to(viewer: Caller, post: dict[str, Any]) -> None:
    """Replace the values of ``VIEWER_COLUMNS`` by those that this viewer is shown."""
    hidden_by, is_liked = post.pop("hidden_by"), post.pop("is_liked")
    post["is_liked"] = bool(is_liked)
    if viewer.is_admin or viewer.user_id == post["user_id"]:
        post["hidden_by"] = (hidden_by or BY_AUTHOR) if post["status"] == HIDDEN else None


_MEDIA = (
    select(
        Media.id,
        Media.post_id,
        Media.object_key,
        Media.thumbnail_key,
        Media.file_name,
        Media.content_type,
        Media.file_size,
        Media.width,
        Media.height,
        Media.created_at,
    )
    .where(Media.post_id.in_(bindparam("post_ids", expanding=True)))
    .order_by(Media.post_id, Media.id)
)
MediaRow = row_type(column.name for column in _MEDIA.selected_columns)


def media_files_of(
    post_ids: Sequence[str], *, connection: Connection | None = None
) -> defaultdict[str, list[dict[str, Any]]]:
    """
    Return the images of posts, in one query for all of them.

    Args:
        post_ids: At most one page of posts that have any.
        connection: That of the transaction to read in, if any.

    Returns:
        The API's media files by post id, in the order of their upload; an empty list for any other post.
    """
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    if post_ids:
        values = {"post_ids": post_ids}
        for image in read(_MEDIA, values) if connection is None else connection.execute(_MEDIA, values):
            found[image.post_id].append(to_media_file(image))
    return found


def to_media_file(row: Any) -> dict[str, Any]:
    """Return a row of ``media`` as the API's media file."""
    storage = components().image_storage
    return {
        "id": row.id,
        "url": storage.url(row.object_key),
        "thumbnail_url": storage.url(row.thumbnail_key),
        "file_name": row.file_name,
        "content_type": row.content_type,
        "file_size": row.file_size,
        "width": row.width,
        "height": row.height,
        "created_at": isoformat_utc(row.created_at),
    }
