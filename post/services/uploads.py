"""Adding images to a post: at most ten, whatever the concurrency; never a row without its objects."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

from sqlalchemy import insert, select

from post.components import components
from post.database.reads import read
from post.database.writes import retried, transaction
from post.errors import FieldProblem, InvalidFields, MediaLimitReached, ServiceError
from post.images.cleaner import CleanImage, ImageRefused, check_beginning
from post.images.storage import CONTENT_TYPES, new_key
from post.models import Media, Post
from post.services.media import MEDIA_MAX_PER_POST, count_media, discard_objects
from post.services.post_rows import media_files_of
from post.services.posts import check_writable, lock_for_writing
from post.utils import Caller, new_id

FILES_MAX_PER_REQUEST = 20  # some may turn out to be damaged, and make no use of the room
UPLOAD_SECONDS = 30  # for all files of a request
EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp"}

Row = dict[str, Any]
Errors = dict[int, ServiceError]  # of the files that are refused, by their number in the request


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


def upload_media(post_id: str, *, editor: Caller, uploads: Sequence[Upload]) -> Uploaded:
    """
    Add images to a post: those that are good, as long as there is room.

    Each object is stored before the row that names it. Decoding and storing take seconds, so no
    transaction is open meanwhile; the one that ends it asks again whether the post may have them.
    What can be told of a file without decoding it is checked before the post is looked for.

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
        MediaLimitReached: There was no room for any.
        StorageUnavailable: The storage is away; nothing was added.
    """
    errors: Errors = {}
    for number, upload in enumerate(uploads):
        with _noted(errors, number, upload):
            if number >= FILES_MAX_PER_REQUEST:
                raise ImageRefused("too_many_items", maximum=FILES_MAX_PER_REQUEST)
            check_beginning(upload.file)
    if len(errors) == len(uploads):
        raise _of_all(errors)
    room = _room(post_id, editor)
    rows: dict[int, Row] = {}
    deadline = time.monotonic() + UPLOAD_SECONDS
    try:
        for number in [n for n in range(len(uploads)) if n not in errors]:
            if len(rows) < room:
                with _noted(errors, number, uploads[number]):
                    rows[number] = _store(uploads[number], deadline)
        stored = _add(post_id, editor, list(rows.values()))
    except ServiceError:
        # Raised before anything was committed; after a database's fault nobody knows, and orphans do no harm.
        discard_objects(rows.values())
        raise
    added = {media["id"] for media in stored}
    discard_objects(row for row in rows.values() if row["id"] not in added)
    _note_the_rest(errors, uploads, done={number for number, row in rows.items() if row["id"] in added})
    if not stored:
        raise _of_all(errors)
    return Uploaded(stored, [FailedUpload(uploads[number].file_name, errors[number]) for number in sorted(errors)])


@contextmanager
def _noted(errors: Errors, number: int, upload: Upload) -> Iterator[None]:
    """Take note of a file that the block refuses."""
    try:
        yield
    except ImageRefused as refusal:
        errors[number] = InvalidFields(FieldProblem(upload.field, refusal.key, refusal.params))


def _note_the_rest(errors: Errors, uploads: Sequence[Upload], *, done: set[int]) -> None:
    """Take note of the good files for which there was no room."""
    for number, upload in enumerate(uploads):
        if number not in done and number not in errors:
            errors[number] = MediaLimitReached(FieldProblem(upload.field, MediaLimitReached.code))


def _of_all(errors: Errors) -> ServiceError:
    """Return the error that stands for those of all files."""
    if all(isinstance(error, MediaLimitReached) for error in errors.values()):
        return MediaLimitReached()
    return InvalidFields(*(detail for _, error in sorted(errors.items()) for detail in error.details))


def _room(post_id: str, editor: Caller) -> int:
    """Return how many more images a post may have."""
    columns = select(Post.user_id, Post.status, Post.media_count)
    row = next(iter(read(columns.where(Post.id == post_id), replica_ok=False)), None)
    media_count: int = check_writable(row, editor).media_count
    return MEDIA_MAX_PER_POST - media_count


def _store(upload: Upload, deadline: float) -> Row:
    """Clean an upload and store its objects; returns the row to insert."""
    image = components().image_cleaner.clean(upload.file, deadline=deadline)
    row = _row(upload, image)
    storage = components().image_storage
    try:
        storage.put(row["object_key"], image.content)
        storage.put(row["thumbnail_key"], image.thumbnail)
    except ServiceError:
        discard_objects([row])
        raise
    return row


def _row(upload: Upload, image: CleanImage) -> Row:
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
def _add(post_id: str, editor: Caller, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Insert rows while there is room; returns the media files that they make."""
    with transaction() as connection:
        room = MEDIA_MAX_PER_POST - lock_for_writing(connection, post_id, editor).media_count
        added = [row | {"post_id": post_id} for row in rows[: max(0, room)]]
        if not added:
            return []
        connection.execute(insert(Media), added)
        count_media(connection, post_id, len(added))
        ids = {row["id"] for row in added}
        return [media for media in media_files_of([post_id], connection=connection)[post_id] if media["id"] in ids]
