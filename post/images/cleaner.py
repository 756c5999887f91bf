"""
Uploaded images: judged by their content, decoded and encoded anew in a process apart.

Decoding 40 megapixels takes hundreds of megabytes, and bytes from strangers find faults in decoders;
both stay in that process (``post.images.program.clean``), which this service's workers start one at a time.
"""

import json
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, NoReturn

from post.errors import StorageUnavailable
from post.shared.memory import SharedLock

logger = logging.getLogger(__name__)

IMAGE_MAX_BYTES = 5 * 1024 * 1024
PATIENCE_SECONDS = 1.5
IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "gif", "webp")
CLEANING_TIMEOUT_SECONDS = 60
_CLEANER = Path(__file__).with_name("program") / "__main__.py"
# The first bytes of each type (WHATWG MIME Sniffing, 6.1); of WebP, whose bytes 4 to 8 are its length.
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")

Format = Literal["JPEG", "PNG", "GIF", "WEBP"]


class ImageRefused(Exception):
    """The image is not accepted: a key of the message catalogue, with its parameters."""

    def __init__(self, key: str, **params: Any) -> None:
        super().__init__(key)
        self.key, self.params = key, params


class CleanImage(NamedTuple):
    """
    An image as it is kept: upright, with nothing but the picture.

    Attributes:
        format: Of ``content``; a thumbnail is WebP.
        width: In pixels.
        height: In pixels.
        content: The encoded image.
        thumbnail: At most 480 pixels wide.
    """

    format: Format
    width: int
    height: int
    content: bytes
    thumbnail: bytes


def check_beginning(file: BinaryIO) -> None:
    """
    Check what can be told without decoding: the size, and that the file begins as an image.

    Args:
        file: The upload, at any position.

    Raises:
        ImageRefused: It is empty, over 5 MiB, or of another type.
    """
    size = file.seek(0, 2)
    if size == 0:
        raise ImageRefused("file_empty")
    if size > IMAGE_MAX_BYTES:
        raise ImageRefused("file_too_large", maximum=IMAGE_MAX_BYTES // 1024**2)
    file.seek(0)
    beginning = file.read(12)
    is_webp = beginning.startswith(b"RIFF") and beginning.endswith(b"WEBP")
    if not (is_webp or beginning.startswith(_BEGINNINGS)):
        raise ImageRefused("not_an_image")


class ImageCleaner:
    """
    Has uploads cleaned, one at a time for all workers.

    A worker lets so many of its threads wait for it that others are left for everything else. More
    may wait only as long as images follow each other quickly.
    """

    def __init__(self, *, waiting_max: int) -> None:
        """
        Make a cleaner, before the workers are forked.

        Args:
            waiting_max: How many threads of this process may wait for longer than a moment.
        """
        self._turn = SharedLock()
        self._waiting = threading.BoundedSemaphore(waiting_max)
        self._begun_at = time.monotonic()  # the last image of this process

    def clean(self, file: BinaryIO, *, deadline: float) -> CleanImage:
        """
        Decode an upload and encode it anew.

        Args:
            file: What ``check_beginning`` has found good.
            deadline: By ``time.monotonic()``; what has not begun by then is given up.

        Returns:
            The image as it is to be kept.

        Raises:
            ImageRefused: It breaks a limit or is damaged.
            StorageUnavailable: Too many others are waiting for the same.
        """
        try:
            with self._place(), self._turn.held(timeout_seconds=max(0, deadline - time.monotonic())):
                self._begun_at = time.monotonic()
                file.seek(0)
                done = _run_cleaner(file.read())
        except (TimeoutError, subprocess.TimeoutExpired) as exc:
            logger.warning("image_cleaning_busy")
            raise StorageUnavailable from exc
        return _read(done)

    @contextmanager
    def _place(self) -> Iterator[None]:
        while not self._waiting.acquire(timeout=PATIENCE_SECONDS / 10):
            if time.monotonic() - self._begun_at > PATIENCE_SECONDS:
                raise TimeoutError
        try:
            yield
        finally:
            self._waiting.release()


def _run_cleaner(data: bytes) -> subprocess.CompletedProcess[bytes]:
    # Isolated (-I), and without this process's environment, where the secrets are.
    command = [sys.executable, "-I", str(_CLEANER)]
    return subprocess.run(  # noqa: S603 - the command is ours alone
        command, input=data, capture_output=True, timeout=CLEANING_TIMEOUT_SECONDS, env={}, check=False
    )


def _read(done: subprocess.CompletedProcess[bytes]) -> CleanImage:
    if done.stderr:
        logger.warning("image_damaged", extra={"reason": done.stderr.decode(errors="replace")})
    if done.returncode:
        _refuse(done.returncode)
    verdict, _, encoded = done.stdout.partition(b"\n")
    said = json.loads(verdict)
    if "refused" in said:
        raise ImageRefused(said["refused"], **said["params"])
    size = said["size"]
    return CleanImage(said["format"], said["width"], said["height"], encoded[:size], encoded[size:])


def _refuse(returncode: int) -> NoReturn:
    """Tell why the process ended without a verdict: by its limits or a decoder's fault, the image is to blame."""
    logger.warning("image_cleaning_died", extra={"returncode": returncode})
    if -returncode in (signal.SIGXCPU, signal.SIGKILL):
        raise ImageRefused("image_too_complex")
    if returncode < 0:
        raise ImageRefused("image_damaged")
    raise RuntimeError(f"the image cleaner ended with status {returncode}")
