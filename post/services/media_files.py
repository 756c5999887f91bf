"""The images of posts as post objects show them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from post.image_storage import image_storage
from post.models import Media
from post.utils import isoformat_utc


def media_files_of(session: Session, post_ids: Sequence[str]) -> defaultdict[str, list[dict[str, Any]]]:
    """
    Return the images of posts, in one query for all of them.

    Args:
        session: Where to read.
        post_ids: Ids of the posts, as many as a page has at most.

    Returns:
        The API's media files by post id, in the order of their upload; an empty list for a post without.
    """
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    if post_ids:
        of_posts = select_media().where(Media.post_id.in_(post_ids)).order_by(Media.post_id, Media.id)
        for row in session.execute(of_posts):
            found[row.post_id].append(to_media_file(row))
    return found


def select_media() -> Select[Any]:
    """Return the query for images as rows."""
    return select(
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


def to_media_file(row: Row[Any]) -> dict[str, Any]:
    """Return the API's media file of a row of ``select_media``."""
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
