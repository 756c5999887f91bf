"""Storage of images: files of this machine, or objects in a bucket of S3. An object never changes."""

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
    """An object in a storage's list: its key, its size in bytes, and the time of its storing, in UTC."""

    key: str
    size: int
    stored_at: datetime


class ImageStorage(Protocol):
    """
    A place for images.

    Every method raises ``StorageUnavailable`` if the place cannot be reached or refuses.
    """

    def put(self, key: str, content: bytes) -> None:
        """Store an object durably, as a whole or not at all."""

    def read(self, key: str) -> bytes | None:
        """Return an object, or None if there is none."""

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; missing ones are skipped."""

    def objects(self) -> Iterator[StoredObject]:
        """List the stored objects, and those that a crash has left half written."""

    def url(self, key: str) -> str:
        """Return the URL of an object for browsers."""


def new_key(content: bytes, extension: str) -> str:
    """
    Return a random key that ends with the content's SHA-256.

    Args:
        content: The object.
        extension: One of ``CONTENT_TYPES``.
    """
    return f"{secrets.token_hex(16)}-{hashlib.sha256(content).hexdigest()}.{extension}"


def is_key(text: str) -> bool:
    """Check if a text has the shape of a key; no other text reaches a storage."""
    return _KEY.fullmatch(text) is not None


def digest_of(key: str) -> str:
    """Return the SHA-256 in a key, in hex."""
    return key.partition("-")[2].partition(".")[0]


def content_type_of(key: str) -> str:
    """Return the media type of a key's object."""
    return CONTENT_TYPES[key.rpartition(".")[2]]


class FileStorage:
    """Images as files in one folder."""

    def __init__(self, folder: Path, *, base_url: str) -> None:
        """
        Make a storage; the first ``put`` makes the folder.

        Args:
            folder: The folder of the files.
            base_url: The URL before a key, such as ``http://localhost:8082/api/v1/images/``.
        """
        self._folder = folder
        self._base_url = base_url

    def put(self, key: str, content: bytes) -> None:
        """Write under another name and rename, so that no crash or power cut leaves half a file."""
        with _reporting_failures("put"):
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
        with _reporting_failures("read"):
            try:
                return (self._folder / key).read_bytes()
            except FileNotFoundError:
                return None

    def delete(self, keys: Sequence[str]) -> None:
        """Unlink files."""
        with _reporting_failures("delete"):
            for key in keys:
                (self._folder / key).unlink(missing_ok=True)

    def objects(self) -> Iterator[StoredObject]:
        """List the files with the name of a key, and unfinished ones."""
        with _reporting_failures("list"):
            if not self._folder.exists():
                return
            for file in os.scandir(self._folder):
                if is_key(file.name) or (file.name.startswith(".") and file.name.endswith(".tmp")):
                    with contextlib.suppress(FileNotFoundError):  # removed or finished in the meantime
                        found = file.stat()
                        yield StoredObject(file.name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def url(self, key: str) -> str:
        """Return an object's URL at the service."""
        return f"{self._base_url}{key}"


class S3Storage:
    """Images as objects in a bucket; objects without the name of a key are left alone."""

    def __init__(self, client: Any, *, bucket: str, prefix: str, base_url: str) -> None:
        """
        Make a storage.

        Args:
            client: boto3's client of ``s3``.
            bucket: The bucket's name.
            prefix: The prefix of keys there: empty, or ending with a slash.
            base_url: The URL before a key: CloudFront's domain with the prefix, or the service's own.
        """
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._base_url = base_url

    def put(self, key: str, content: bytes) -> None:
        """Store an object with the headers that CloudFront sends to browsers."""
        headers = {"ContentType": content_type_of(key), "CacheControl": CACHE_CONTROL, "ContentDisposition": "inline"}
        with _reporting_failures("put"):
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=content, **headers)

    def read(self, key: str) -> bytes | None:
        """Fetch an object."""
        with _reporting_failures("read"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
                return cast(bytes, answer["Body"].read())
            except self._client.exceptions.NoSuchKey:
                return None

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects, up to 1,000 at a time."""
        with _reporting_failures("delete"):
            for start in range(0, len(keys), DELETE_BATCH):
                named = [{"Key": self._prefix + key} for key in keys[start : start + DELETE_BATCH]]
                answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": named, "Quiet": True})
                for error in answer.get("Errors", []):
                    raise ClientError({"Error": error}, "DeleteObjects")

    def objects(self) -> Iterator[StoredObject]:
        """List the objects under the prefix that have the name of a key."""
        with _reporting_failures("list"):
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
def _reporting_failures(action: str) -> Iterator[None]:
    """Log a storage's failure with its reason, and raise ``StorageUnavailable``, which has none."""
    try:
        yield
    except (OSError, BotoCoreError, ClientError) as exc:
        logger.warning("storage_failed", extra={"action": action, "reason": f"{type(exc).__name__}: {exc}"})
        raise StorageUnavailable from exc
