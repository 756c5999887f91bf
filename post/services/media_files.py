"""The images of posts as post objects show them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from post.database.reads import read
from post.images.storage import image_storage
from post.models import Media
from post.utils import isoformat_utc

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


def media_files_of(
    post_ids: Sequence[str], *, connection: Connection | None = None
) -> defaultdict[str, list[dict[str, Any]]]:
    """
    Return the images of posts, in one query for all of them.

    Args:
        post_ids: Ids of the posts that have any, as many as a page has at most.
        connection: That of the transaction to read in, if any.

    Returns:
        The API's media files by post id, in the order of their upload; an empty list for every other post.
    """
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    if post_ids:
        values = {"post_ids": post_ids}
        for image in read(_MEDIA, values) if connection is None else connection.execute(_MEDIA, values):
            found[image.post_id].append(to_media_file(image))
    return found


def to_media_file(row: Row[Any]) -> dict[str, Any]:
    """Return the API's media file of a row of ``media``."""
    return {
        "id": row.id,
        "url": image_storage.url(row.object_key),
        "thumbnail_url": image_storage.url(row.thumbnail_key),
        "file_name": row.file_name,
        "content_type": row.content_type,
        "file_size": row.file_size,
        "width": row.width,
        "height": row.height,
        "created_at": isoformat_utc(row.created_at),
    }
