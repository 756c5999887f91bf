"""Images of posts: removed, served, and pruned."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, union_all, update

from post.components import components
from post.database.reads import Prepared, read
from post.database.writes import retried, transaction
from post.errors import MediaNotFound, StorageUnavailable
from post.images.cleaner import IMAGE_EXTENSIONS, IMAGE_MAX_BYTES
from post.images.storage import StoredObject, is_key
from post.models import VISIBLE, ErasedObject, Media, Post, next_moment
from post.services.posts import check_writable, lock_seen_post
from post.utils import Caller

logger = logging.getLogger(__name__)

MEDIA_MAX_PER_POST = 10
PRUNE_BATCH = 500

_OF_VISIBLE = select(Media.id).join(Post, Post.id == Media.post_id).where(Post.status == VISIBLE)
# Not OR: each half finds its row by a unique index.
_SHOWN = select(
    union_all(*(_OF_VISIBLE.where(column == bindparam("key")) for column in (Media.object_key, Media.thumbnail_key)))
    .subquery()
    .c.id
)
_SHOWN_BY_KEY, _SHOWN_BY_KEY_ON_PRIMARY = Prepared(_SHOWN), Prepared(_SHOWN, replica_ok=False)


class Pruned(NamedTuple):
    """The result of ``prune_images``: objects removed, their bytes, and objects kept."""

    removed: int
    removed_bytes: int
    kept: int


def discard_objects(rows: Iterable[Mapping[str, Any]]) -> None:
    """
    Remove the objects of rows that are in no table; if the storage fails, a later prune removes them.

    Args:
        rows: Each with ``object_key`` and ``thumbnail_key``.
    """
    keys = [row[name] for row in rows for name in ("object_key", "thumbnail_key")]
    if not keys:
        return
    try:
        components().image_storage.delete(keys)
    except StorageUnavailable:
        logger.warning("objects_orphaned", extra={"count": len(keys)})


def list_erased(connection: Connection, *, post_id: str) -> list[str]:
    """Return the keys of an erased post's objects that may not be removed yet, within the caller's transaction."""
    return [*connection.scalars(select(ErasedObject.object_key).where(ErasedObject.post_id == post_id))]


def remove_erased(keys: Sequence[str]) -> None:
    """
    Remove objects of erased posts from the storage, then from CloudFront, which would fetch them again before.

    Args:
        keys: Of rows of ``ErasedObject``, which end with it.

    Raises:
        StorageUnavailable: One of the two cannot be reached; another call with the same keys completes it.
    """
    if not keys:
        return
    components().image_storage.delete(keys)
    cdn = components().image_cdn
    if cdn is not None:
        cdn.forget(keys)
    _end_erased(keys)


@retried
def _end_erased(keys: Sequence[str]) -> None:
    with transaction() as connection:
        connection.execute(delete(ErasedObject).where(ErasedObject.object_key.in_(keys)))


def delete_media(post_id: str, media_id: str, *, editor: Caller) -> dict[str, str]:
    """
    Remove an image from a post, and then its objects.

    Args:
        post_id: Id of the post, 32 hex characters.
        media_id: Id of the image, 32 hex characters.
        editor: The caller.

    Returns:
        Its id and new status.

    Raises:
        PostNotFound: The post is deleted, hidden from the editor, or was never there.
        Forbidden: The editor is neither its author nor an admin.
        MediaNotFound: The post has no such image.
    """
    discard_objects([_remove(post_id, media_id, editor)])
    return {"id": media_id, "status": "deleted"}


@retried
def _remove(post_id: str, media_id: str, editor: Caller) -> dict[str, str]:
    with transaction() as connection:
        post = lock_seen_post(connection, post_id, editor)
        this = (Media.id == media_id) & (Media.post_id == post_id)
        row = connection.execute(select(Media.object_key, Media.thumbnail_key).where(this)).one_or_none()
        if row is None:
            raise MediaNotFound
        check_writable(post, editor)
        connection.execute(delete(Media).where(this))
        count_media(connection, post_id, -1)
        return {"object_key": row.object_key, "thumbnail_key": row.thumbnail_key}


def count_media(connection: Connection, post_id: str, amount: int) -> None:
    """Add to a post's number of images, in a transaction that has locked the post and changes its images' rows."""
    values = {Post.media_count: Post.media_count + amount, Post.updated_at: next_moment()}
    connection.execute(update(Post).where(Post.id == post_id).values(values))


def read_image(key: str, *, is_known: bool = False) -> bytes:
    """
    Return a stored object, an image or a thumbnail of a visible post.

    Args:
        key: The last part of its URL.
        is_known: Whether the client has the object already; it is then not read.

    Returns:
        The object; empty if the client has it.

    Raises:
        MediaNotFound: There is no such object, or its post is hidden or deleted.
        StorageUnavailable: The storage cannot be reached.
    """
    if not is_key(key) or not _is_shown(key):
        raise MediaNotFound
    content = b"" if is_known else components().image_storage.read(key)
    if content is None:
        raise MediaNotFound
    return content


def _is_shown(key: str) -> bool:
    # A replica may lack the row of a new image: browsers ask for it at once, and without a token.
    values = {"key": key}
    return bool(_SHOWN_BY_KEY.read(values) or _SHOWN_BY_KEY_ON_PRIMARY.read(values))


def upload_permissions(*, is_restricted: bool) -> dict[str, Any]:
    """
    Return the limits on the uploads of a caller, whose account may be restricted.

    Returns:
        ``{has_permission, max_file_size, allowed_image_extensions, max_files}``, sizes in bytes.
    """
    return {
        "has_permission": not is_restricted,
        "max_file_size": IMAGE_MAX_BYTES,
        "allowed_image_extensions": list(IMAGE_EXTENSIONS),
        "max_files": MEDIA_MAX_PER_POST,
    }


def prune_images(*, older_than: timedelta) -> Pruned:
    """
    Remove stored objects that belong to no post, left by crashes and failed removals.

    Args:
        older_than: Younger objects are kept: an upload in progress has no row yet. Those of erased posts are not.

    Raises:
        StorageUnavailable: The storage cannot be reached, or CloudFront.
    """
    erased = dict.fromkeys(row.object_key for row in read(select(ErasedObject.object_key), replica_ok=False))
    removed = removed_bytes = kept = 0
    stored = iter(components().image_storage.objects())
    while batch := list(islice(stored, PRUNE_BATCH)):
        orphans = _orphans(batch, stored_before=datetime.now(UTC) - older_than, erased=erased)
        components().image_storage.delete([orphan.key for orphan in orphans])
        removed += len(orphans)
        removed_bytes += sum(orphan.size for orphan in orphans)
        kept += len(batch) - len(orphans)
    keys = iter(erased)
    while some := [*islice(keys, PRUNE_BATCH)]:
        remove_erased(some)
    return Pruned(removed, removed_bytes, kept)


def _orphans(batch: Sequence[StoredObject], *, stored_before: datetime, erased: Collection[str]) -> list[StoredObject]:
    old = [stored for stored in batch if stored.stored_at < stored_before or stored.key in erased]
    keys = [stored.key for stored in old]
    named: set[str] = set()
    for column in (Media.object_key, Media.thumbnail_key):
        named.update(row[0] for row in read(select(column).where(column.in_(keys)), replica_ok=False))
    return [stored for stored in old if stored.key not in named]
