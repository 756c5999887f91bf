"""Images of posts: at most ten, whatever the concurrency; never a row without its objects."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from post.database import retried
from post.errors import FieldProblem, InvalidFields, MediaLimitReached, MediaNotFound, ServiceError, StorageUnavailable
from post.image_storage import CONTENT_TYPES, StoredObject, image_storage, is_key, new_key
from post.images import IMAGE_EXTENSIONS, IMAGE_MAX_BYTES, CleanImage, ImageRefused, check_beginning, clean_image
from post.models import Media, Post, db, transaction, utc_now
from post.services.media_files import media_files_of
from post.services.posts import check_writable, lock_for_writing
from post.utils import Caller, new_id

logger = logging.getLogger(__name__)

MEDIA_MAX_PER_POST = 10
EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp"}
PRUNE_BATCH = 500


class Upload(NamedTuple):
    """A file of a request: the field it was sent in, its name for people, and its content."""

    field: str
    file_name: str
    file: BinaryIO


class FailedUpload(NamedTuple):
    """A file that was not stored, and why."""

    file_name: str
    error: ServiceError


class Uploaded(NamedTuple):
    """What became of the files of a request: the API's media files, and those that were refused."""

    stored: list[dict[str, Any]]
    failed: list[FailedUpload]


class Pruned(NamedTuple):
    """What ``prune_images`` did: objects removed, their bytes, and objects that were left."""

    removed: int
    removed_bytes: int
    left: int


def upload_media(post_id: str, *, editor: Caller, uploads: Sequence[Upload]) -> Uploaded:
    """
    Add images to a post: those that are good, as long as there is room.

    Each object is stored before the row that names it. Decoding and storing take seconds, so no
    transaction is open meanwhile; the one that ends it asks again whether the post may have them.

    Args:
        post_id: Id of the post, 32 hex characters.
        editor: Who asks.
        uploads: At least one.

    Returns:
        What was stored, at least one image, and what was refused.

    Raises:
        InvalidFields: None was good; a detail for each.
        PostNotFound: It is deleted, hidden from the editor, or was never there.
        Forbidden: The editor is neither its author nor an admin.
        MediaLimitReached: All that was good was too much.
        StorageUnavailable: The storage is away; nothing was added.
    """
    failed: list[FailedUpload] = []
    begun = [upload for upload in uploads if _is_accepted(upload, failed)]
    if not begun:
        raise _of_all(failed)
    room = _room(post_id, editor)
    rows: list[dict[str, Any]] = []
    try:
        for upload in begun[:room]:
            _store(upload, rows, failed)
        stored, left_over = _add(post_id, editor, rows) if rows else ([], [])
    except ServiceError:
        # Raised before anything was committed; after a database's fault nobody knows, and orphans do no harm.
        _discard(rows)
        raise
    _discard(left_over)
    too_many = [row["file_name"] for row in left_over] + [upload.file_name for upload in begun[room:]]
    failed += [FailedUpload(file_name, MediaLimitReached()) for file_name in too_many]
    if not stored:
        raise _of_all(failed)
    return Uploaded(stored, failed)


def _is_accepted(upload: Upload, failed: list[FailedUpload]) -> bool:
    try:
        check_beginning(upload.file)
    except ImageRefused as refusal:
        failed.append(_failure(upload, refusal))
        return False
    return True


def _failure(upload: Upload, refusal: ImageRefused) -> FailedUpload:
    return FailedUpload(upload.file_name, InvalidFields(FieldProblem(upload.field, refusal.key, refusal.params)))


def _of_all(failed: Sequence[FailedUpload]) -> ServiceError:
    """Return the error that stands for those of all files."""
    details = [detail for failure in failed for detail in failure.error.details]
    return InvalidFields(*details) if details else MediaLimitReached()


def _room(post_id: str, editor: Caller) -> int:
    """Return how many more images a post may have; the connection is given back for the time of the decoding."""
    check_writable(
        db.session.execute(select(Post.user_id, Post.status).where(Post.id == post_id)).one_or_none(), editor
    )
    count = _count(db.session(), post_id)
    db.session.rollback()
    if count >= MEDIA_MAX_PER_POST:
        raise MediaLimitReached
    return MEDIA_MAX_PER_POST - count


def _count(session: Session, post_id: str) -> int:
    return session.scalar(select(func.count()).select_from(Media).where(Media.post_id == post_id)) or 0


def _store(upload: Upload, rows: list[dict[str, Any]], failed: list[FailedUpload]) -> None:
    """Clean an upload and store its objects; its row is to be inserted."""
    try:
        image = clean_image(upload.file)
    except ImageRefused as refusal:
        failed.append(_failure(upload, refusal))
        return
    row = _row(upload, image)
    rows.append(row)  # first, so that what is stored of it is removed where the rest cannot be
    image_storage.put(row["object_key"], image.content)
    image_storage.put(row["thumbnail_key"], image.thumbnail)


def _row(upload: Upload, image: CleanImage) -> dict[str, Any]:
    extension = EXTENSIONS[image.format]
    return {
        "id": new_id(),
        "object_key": new_key(image.content, extension),
        "thumbnail_key": new_key(image.thumbnail, EXTENSIONS["WEBP"]),
        "file_name": upload.file_name,
        "content_type": CONTENT_TYPES[extension],
        "file_size": len(image.content),
        "width": image.width,
        "height": image.height,
    }


@retried
def _add(post_id: str, editor: Caller, rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Insert rows while there is room; returns the media files, and the rows that are left over."""
    with transaction() as session:
        lock_for_writing(session, post_id, editor)
        room = MEDIA_MAX_PER_POST - _count(session, post_id)
        added, left_over = rows[: max(0, room)], rows[max(0, room) :]
        if not added:
            return [], left_over
        session.execute(insert(Media), [row | {"post_id": post_id} for row in added])
        session.execute(update(Post).where(Post.id == post_id).values(updated_at=utc_now()))
        ids = {row["id"] for row in added}
        return [media for media in media_files_of(session, [post_id])[post_id] if media["id"] in ids], left_over


def _discard(rows: Sequence[dict[str, Any]]) -> None:
    """Remove the objects of rows that are in no table; what the storage does not remove now is pruned later."""
    keys = [row[name] for row in rows for name in ("object_key", "thumbnail_key")]
    if not keys:
        return
    try:
        image_storage.delete(keys)
    except StorageUnavailable:
        logger.warning("objects_orphaned", extra={"count": len(keys)})


def delete_media(post_id: str, media_id: str, *, editor: Caller) -> dict[str, str]:
    """
    Remove an image from a post, and then its objects.

    Args:
        post_id: Id of the post, 32 hex characters.
        media_id: Id of the image, 32 hex characters.
        editor: Who asks.

    Returns:
        Its id and new status.

    Raises:
        PostNotFound: The post is deleted, hidden from the editor, or was never there.
        Forbidden: The editor is neither its author nor an admin.
        MediaNotFound: The post has no such image.
    """
    _discard([_remove(post_id, media_id, editor)])
    return {"id": media_id, "status": "deleted"}


@retried
def _remove(post_id: str, media_id: str, editor: Caller) -> dict[str, str]:
    with transaction() as session:
        lock_for_writing(session, post_id, editor)
        this = (Media.id == media_id) & (Media.post_id == post_id)
        row = session.execute(select(Media.object_key, Media.thumbnail_key).where(this)).one_or_none()
        if row is None:
            raise MediaNotFound
        session.execute(delete(Media).where(this))
        session.execute(update(Post).where(Post.id == post_id).values(updated_at=utc_now()))
        return {"object_key": row.object_key, "thumbnail_key": row.thumbnail_key}


def read_image(key: str) -> bytes:
    """
    Return a stored object, an image or a thumbnail.

    Args:
        key: The last part of its URL.

    Raises:
        MediaNotFound: There is no such object.
        StorageUnavailable: The storage is away.
    """
    content = image_storage.read(key) if is_key(key) else None
    if content is None:
        raise MediaNotFound
    return content


def upload_permissions(*, is_deactivated: bool) -> dict[str, Any]:
    """
    Return what a caller may upload.

    Args:
        is_deactivated: Whether the caller has deactivated their account.

    Returns:
        ``{has_permission, max_file_size, allowed_image_extensions, max_files}``, sizes in bytes.
    """
    return {
        "has_permission": not is_deactivated,
        "max_file_size": IMAGE_MAX_BYTES,
        "allowed_image_extensions": list(IMAGE_EXTENSIONS),
        "max_files": MEDIA_MAX_PER_POST,
    }


def prune_images(*, older_than: timedelta) -> Pruned:
    """
    Remove the stored objects that no post has: what crashes and failed removals have left.

    Args:
        older_than: Younger ones are left: an upload that is under way has no row yet.

    Raises:
        StorageUnavailable: The storage is away.
    """
    removed = removed_bytes = left = 0
    stored = iter(image_storage.objects())
    while batch := list(islice(stored, PRUNE_BATCH)):
        orphans = _orphans(batch, stored_before=datetime.now(UTC) - older_than)
        image_storage.delete([orphan.key for orphan in orphans])
        removed += len(orphans)
        removed_bytes += sum(orphan.size for orphan in orphans)
        left += len(batch) - len(orphans)
    return Pruned(removed, removed_bytes, left)


def _orphans(batch: Sequence[StoredObject], *, stored_before: datetime) -> list[StoredObject]:
    old = [stored for stored in batch if stored.stored_at < stored_before]
    keys = [stored.key for stored in old]
    named = set(db.session.scalars(select(Media.object_key).where(Media.object_key.in_(keys))))
    named |= set(db.session.scalars(select(Media.thumbnail_key).where(Media.thumbnail_key.in_(keys))))
    db.session.rollback()
    return [stored for stored in old if stored.key not in named]
