"""Uploads of images to a post: at most ten, also under concurrency; never a row without its objects."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

from sqlalchemy import insert, select

from post.components import components
from post.database.reads import read
from post.database.writes import retried, transaction
from post.errors import FieldProblem, InvalidFields, MediaLimitReached, Overloaded, ServiceError
from post.images.cleaner import CleanImage, ImageRefused, check_beginning
from post.images.storage import CONTENT_TYPES, new_key
from post.models import Media, Post
from post.services.media import MEDIA_MAX_PER_POST, count_media, discard_objects
from post.services.post_rows import MediaRow, to_media_file
from post.services.posts import check_writable, lock_post
from post.utils import Caller, new_id

FILES_MAX_PER_REQUEST = 20  # more than a post may have: some may be damaged
UPLOAD_SECONDS = 15  # until the last file of a request begins; the proxy waits for 30
EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp"}

Row = dict[str, Any]
Errors = dict[int, ServiceError]  # of the refused files, by their number in the request


class Upload(NamedTuple):
    """A file of a request: its field, its name for people, and its content."""

    field: str
    file_name: str
    file: BinaryIO


class FailedUpload(NamedTuple):
    """A file that was not stored, and the reason."""

    file_name: str
    error: ServiceError


class Uploaded(NamedTuple):
    """The result of a request: the API's media files, and the refused files."""

    stored: list[dict[str, Any]]
    failed: list[FailedUpload]


def upload_media(post_id: str, *, editor: Caller, uploads: Sequence[Upload]) -> Uploaded:
    """
    Add the valid images of a request to a post, as long as there is room.

    Each object is stored before its row. Decoding and storing take seconds, so no transaction is open
    meanwhile; the last step checks again if the post may have them. Checks that need no decoding come
    before the post is read. Files after one that takes too much work, or for which there is no time, are refused.

    Args:
        post_id: Id of the post, 32 hex characters.
        editor: The caller.
        uploads: At least one.

    Returns:
        The stored images, at least one, and the refused files.

    Raises:
        InvalidFields: No file is valid; a detail for each.
        PostNotFound: It is deleted, hidden from the editor, or was never there.
        Forbidden: The editor is neither its author nor an admin.
        MediaLimitReached: There was no room for any.
        Overloaded: Too many files are waiting; nothing was added.
        StorageUnavailable: The storage cannot be reached; nothing was added.
    """
    errors: Errors = {}
    for number, upload in enumerate(uploads):
        with _collecting_refusal(errors, number, upload):
            if number >= FILES_MAX_PER_REQUEST:
                raise ImageRefused("too_many_items", maximum=FILES_MAX_PER_REQUEST)
            check_beginning(upload.file)
    if len(errors) == len(uploads):
        raise _combined_error(errors)
    rows: dict[int, Row] = {}
    try:
        _store_all(uploads, editor, rows, errors, room=_room(post_id, editor))
        stored = _add(post_id, editor, list(rows.values()))
    except ServiceError:
        # Nothing is committed yet. After a database fault this is uncertain, so the objects stay for a later prune.
        discard_objects(rows.values())
        raise
    done = [*rows][: len(stored)]  # room is given in the order of the request
    discard_objects(row for number, row in rows.items() if number not in done)
    for number, upload in enumerate(uploads):
        if number not in done:
            errors.setdefault(number, MediaLimitReached(FieldProblem(upload.field, MediaLimitReached.code)))
    if not stored:
        raise _combined_error(errors)
    return Uploaded(stored, [FailedUpload(uploads[number].file_name, errors[number]) for number in sorted(errors)])


def _store_all(uploads: Sequence[Upload], editor: Caller, rows: dict[int, Row], errors: Errors, *, room: int) -> None:
    """Store the files that have no error, while there is room; adds their rows and errors, by number."""
    deadline = time.monotonic() + UPLOAD_SECONDS
    for number in [n for n in range(len(uploads)) if n not in errors]:
        if len(rows) >= room:
            return
        with _collecting_refusal(errors, number, uploads[number]):
            rows[number] = _store(uploads[number], editor, deadline)
        if number in errors and (reason := _reason_to_stop(errors[number])):
            for later in range(number + 1, len(uploads)):
                errors.setdefault(later, reason)
            return


@contextmanager
def _collecting_refusal(errors: Errors, number: int, upload: Upload) -> Iterator[None]:
    """Collect the error if the block refuses the file."""
    try:
        yield
    except Overloaded as error:
        errors[number] = error
    except ImageRefused as refusal:
        errors[number] = InvalidFields(FieldProblem(upload.field, refusal.key, refusal.params))


def _reason_to_stop(error: ServiceError) -> ServiceError | None:
    """Return the error of a request's remaining files after that of one, if they are not to be cleaned."""
    if isinstance(error, Overloaded):
        return error
    too_complex = next((detail for detail in error.details if detail.key == "image_too_complex"), None)
    return InvalidFields(too_complex._replace(key="file_not_reached")) if too_complex else None


def _combined_error(errors: Errors) -> ServiceError:
    """Return one error for those of all files."""
    if all(isinstance(error, MediaLimitReached) for error in errors.values()):
        return MediaLimitReached()
    if any(isinstance(error, Overloaded) for error in errors.values()):
        return Overloaded()
    return InvalidFields(*(detail for _, error in sorted(errors.items()) for detail in error.details))


def _room(post_id: str, editor: Caller) -> int:
    """Return the number of images that a post may still get."""
    columns = select(Post.user_id, Post.status, Post.media_count)
    row = next(iter(read(columns.where(Post.id == post_id), replica_ok=False)), None)
    return MEDIA_MAX_PER_POST - int(check_writable(row, editor).media_count)


def _store(upload: Upload, editor: Caller, deadline: float) -> Row:
    """Clean an upload and store its objects; returns the row to insert."""
    image = components().image_cleaner.clean(upload.file, user_id=editor.user_id, deadline=deadline)
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
    """Insert the first rows while there is room; returns their media files."""
    with transaction() as connection:
        post = check_writable(lock_post(connection, post_id, editor), editor)
        known = {"post_id": post_id, "created_at": post.next_moment}
        added = [row | known for row in rows[: max(0, MEDIA_MAX_PER_POST - post.media_count)]]
        if added:
            connection.execute(insert(Media), added)
            count_media(connection, post_id, len(added))
        return [to_media_file(MediaRow(**row)) for row in added]
