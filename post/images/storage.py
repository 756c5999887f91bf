"""Where images are kept: in files of this machine, or in a bucket of S3. What a key names never changes."""

import contextlib
import hashlib
import logging
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

from botocore.exceptions import BotoCoreError, ClientError

from post.errors import StorageUnavailable

logger = logging.getLogger(__name__)

CONTENT_TYPES = {"jpg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp"}
CACHE_CONTROL = "public, max-age=31536000, immutable"
DELETE_BATCH = 1000  # the most that S3's DeleteObjects takes
_KEY = re.compile(rf"[0-9a-f]{{32}}-[0-9a-f]{{64}}\.({'|'.join(CONTENT_TYPES)})")


class StoredObject(NamedTuple):
    """An object as a storage lists it: its key, its size in bytes, and when it was stored, in UTC."""

    key: str
    size: int
    stored_at: datetime


class ImageStorage(Protocol):
    """
    A place for images.

    Every method raises ``StorageUnavailable`` where the place cannot be reached or refuses.
    """

    def put(self, key: str, content: bytes) -> None:
        """Store an object: whole, for good, or not at all."""

    def read(self, key: str) -> bytes | None:
        """Return an object, or None where there is none."""

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; those that are not there are passed over."""

    def objects(self) -> Iterator[StoredObject]:
        """List what is stored, what a crash has left half written included."""

    def url(self, key: str) -> str:
        """Return where browsers find an object."""


def new_key(content: bytes, extension: str) -> str:
    """
    Return a key that nobody can guess, with the content's SHA-256.

    Args:
        content: The object.
        extension: One of ``CONTENT_TYPES``.
    """
    return f"{secrets.token_hex(16)}-{hashlib.sha256(content).hexdigest()}.{extension}"


def is_key(text: str) -> bool:
    """Tell whether a text has the shape of a key; no other ever reaches a storage."""
    return _KEY.fullmatch(text) is not None


def digest_of(key: str) -> str:
    """Return the SHA-256, in hex, of what a key names."""
    return key.partition("-")[2].partition(".")[0]


def content_type_of(key: str) -> str:
    """Return the media type of what a key names."""
    return CONTENT_TYPES[key.rpartition(".")[2]]


class FileStorage:
    """Images as files of one folder."""

    def __init__(self, folder: Path, *, base_url: str) -> None:
        """
        Make a storage; the folder is made with the first object.

        Args:
            folder: Where the files are.
            base_url: Where the service answers with them, such as ``/api/v1/images/``.
        """
        self._folder = folder
        self._base_url = base_url

    def put(self, key: str, content: bytes) -> None:
        """Write under another name and rename, so that neither a crash nor a power cut leaves half a file."""
        with _reported("put"):
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor, unfinished = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".tmp")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                Path(unfinished).replace(self._folder / key)
                self._sync_folder()
            except OSError:
                Path(unfinished).unlink(missing_ok=True)
                (self._folder / key).unlink(missing_ok=True)
                raise

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def read(self, key: str) -> bytes | None:
        """Return a file's content."""
        with _reported("read"):
            try:
                return (self._folder / key).read_bytes()
            except FileNotFoundError:
                return None

    def delete(self, keys: Sequence[str]) -> None:
        """Unlink files."""
        with _reported("delete"):
            for key in keys:
                (self._folder / key).unlink(missing_ok=True)

    def objects(self) -> Iterator[StoredObject]:
        """List the files of our names, and the unfinished ones."""
        with _reported("list"):
            if not self._folder.exists():
                return
            for file in os.scandir(self._folder):
                if is_key(file.name) or (file.name.startswith(".") and file.name.endswith(".tmp")):
                    with contextlib.suppress(FileNotFoundError):  # removed, or finished, since
                        found = file.stat()
                        yield StoredObject(file.name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def url(self, key: str) -> str:
        """Return the service's own path of an object."""
        return f"{self._base_url}{key}"


class S3Storage:
    """Images as objects of a bucket; others' objects there are left alone."""

    def __init__(self, client: Any, *, bucket: str, prefix: str, base_url: str) -> None:
        """
        Make a storage.

        Args:
            client: boto3's, of ``s3``.
            bucket: The bucket's name.
            prefix: What our keys begin with there: empty, or ending with a slash.
            base_url: What makes a URL of a key: CloudFront's domain with the prefix, or the service's path.
        """
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._base_url = base_url

    def put(self, key: str, content: bytes) -> None:
        """Store an object with the headers that CloudFront passes on."""
        headers = {"ContentType": content_type_of(key), "CacheControl": CACHE_CONTROL, "ContentDisposition": "inline"}
        with _reported("put"):
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=content, **headers)

    def read(self, key: str) -> bytes | None:
        """Fetch an object."""
        with _reported("read"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
                return cast(bytes, answer["Body"].read())
            except self._client.exceptions.NoSuchKey:
                return None

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects, up to 1,000 at a time."""
        with _reported("delete"):
            for start in range(0, len(keys), DELETE_BATCH):
                named = [{"Key": self._prefix + key} for key in keys[start : start + DELETE_BATCH]]
                answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": named, "Quiet": True})
                for error in answer.get("Errors", []):
                    raise ClientError({"Error": error}, "DeleteObjects")

    def objects(self) -> Iterator[StoredObject]:
        """List the objects under the prefix that have names of ours."""
        with _reported("list"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            for page in pages:
                for found in page.get("Contents", []):
                    key = found["Key"].removeprefix(self._prefix)
                    if is_key(key):
                        yield StoredObject(key, found["Size"], found["LastModified"])

    def url(self, key: str) -> str:
        """Return an object's URL."""
        return f"{self._base_url}{key}"


@contextlib.contextmanager
def _reported(action: str) -> Iterator[None]:
    """Log why a storage failed, and say only that it did."""
    try:
        yield
    except (OSError, BotoCoreError, ClientError) as exc:
        logger.warning("storage_failed", extra={"action": action, "reason": f"{type(exc).__name__}: {exc}"})
        raise StorageUnavailable from exc
