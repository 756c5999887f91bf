"""
Uploaded images: checked by their content, then decoded and encoded again in a separate process.

Decoding 40 megapixels takes hundreds of megabytes, and hostile bytes find faults in decoders. Both stay in
that process (``post.images.program.clean``). The service's workers start one at a time.
"""

import json
import logging
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, NoReturn

from post.errors import Overloaded
from post.shared.turns import FairTurns

logger = logging.getLogger(__name__)

IMAGE_MAX_BYTES = 5 * 1024 * 1024
IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "gif", "webp")
CLEANING_TIMEOUT_SECONDS = 25  # a little less than the proxy waits
_CLEANER = Path(__file__).with_name("program") / "__main__.py"
# The first bytes of each type but WebP (WHATWG MIME Sniffing, 6.1).
_FIRST_BYTES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")

Format = Literal["JPEG", "PNG", "GIF", "WEBP"]


class ImageRefused(Exception):
    """The image is not accepted: a key of the message catalogue, with its parameters."""

    def __init__(self, key: str, **params: Any) -> None:
        super().__init__(key)
        self.key, self.params = key, params


class CleanImage(NamedTuple):
    """
    A cleaned image: upright, with nothing but the picture.

    Attributes:
        format: The format of ``content``; a thumbnail is WebP.
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
    Check a file without decoding it: its size and its first bytes.

    Args:
        file: The upload, at any position.

    Raises:
        ImageRefused: The file is empty, over 5 MiB, or of another type.
    """
    size = file.seek(0, 2)
    if size == 0:
        raise ImageRefused("file_empty")
    if size > IMAGE_MAX_BYTES:
        raise ImageRefused("file_too_large", maximum=IMAGE_MAX_BYTES // 1024**2)
    file.seek(0)
    beginning = file.read(12)
    is_webp = beginning.startswith(b"RIFF") and beginning.endswith(b"WEBP")
    if not (is_webp or beginning.startswith(_FIRST_BYTES)):
        raise ImageRefused("not_an_image")


class ImageCleaner:
    """
    Cleans uploads, one at a time for all workers, and of users in rotation.

    Only some of a worker's threads may wait for their turn, so that others are free for other requests.
    """

    def __init__(self, *, waiting_max: int) -> None:
        """
        Make a cleaner, before the workers are forked.

        Args:
            waiting_max: The number of each process's threads that may clean or wait.
        """
        self._turns = FairTurns(waiting_max=waiting_max)

    def clean(self, file: BinaryIO, *, user_id: str, deadline: float) -> CleanImage:
        """
        Decode an upload and encode it again.

        Args:
            file: A file that has passed ``check_beginning``.
            user_id: ``sub`` of the user who sent it.
            deadline: Latest start, by ``time.monotonic()``.

        Returns:
            The cleaned image.

        Raises:
            ImageRefused: The image breaks a limit or is damaged.
            Overloaded: Too many files are waiting, of this user first.
        """
        try:
            with self._turns.held(user_id, deadline=deadline):
                file.seek(0)
                done = _run_cleaner(file.read())
        except (TimeoutError, subprocess.TimeoutExpired) as exc:
            logger.warning("image_cleaning_busy")
            raise Overloaded from exc
        return _read_outcome(done)


def _run_cleaner(data: bytes) -> subprocess.CompletedProcess[bytes]:
    # Isolated (-I), and without this process's environment, which has secrets.
    command = [sys.executable, "-I", str(_CLEANER)]
    return subprocess.run(  # noqa: S603 - the command has no input of users
        command, input=data, capture_output=True, timeout=CLEANING_TIMEOUT_SECONDS, env={}, check=False
    )


def _read_outcome(done: subprocess.CompletedProcess[bytes]) -> CleanImage:
    if done.stderr:
        logger.warning("image_damaged", extra={"reason": done.stderr.decode(errors="replace")})
    if done.returncode:
        _refuse(done.returncode)
    verdict, _, encoded = done.stdout.partition(b"\n")
    outcome = json.loads(verdict)
    if "refused" in outcome:
        raise ImageRefused(outcome["refused"], **outcome["params"])
    size = outcome["size"]
    return CleanImage(outcome["format"], outcome["width"], outcome["height"], encoded[:size], encoded[size:])


def _refuse(returncode: int) -> NoReturn:
    """Raise for a process that ended without a verdict; its limits and crashes of a decoder are the image's fault."""
    logger.warning("image_cleaning_died", extra={"returncode": returncode})
    if -returncode in (signal.SIGXCPU, signal.SIGKILL):
        raise ImageRefused("image_too_complex")
    if returncode < 0:
        raise ImageRefused("image_damaged")
    raise RuntimeError(f"the image cleaner ended with status {returncode}")
