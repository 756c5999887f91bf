"""
The cleaning of an uploaded image: it is decoded, and encoded again with nothing but the picture.

``post.images.cleaner`` runs this in a process of its own, which imports nothing of the service and has
none of its environment. Memory and time that hostile bytes cost, and faults of a decoder, end with that
process. It reads the file from stdin. It writes to stdout a line of JSON, the image, and its thumbnail.
"""

import ctypes
import json
import re
import resource
import signal
import struct
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

from PIL import Image

from post.images.program.animations import decode_frame, encode_gif, read_gif
from post.images.program.stills import (
    Refused,
    check_encoded_size,
    check_pixels,
    decode,
    encode,
    make_thumbnail,
    open_image,
    read_orientation,
    to_srgb,
    turn_upright,
)

MAX_FRAMES = 300
MAX_ANIMATION_PIXELS = 75_000_000  # of all frames
MAX_SCANS = 500  # of a JPEG: a scan of 50 bytes takes a decoder milliseconds, and 5 MiB can hold 100,000
# Address space. 730 MiB are used at most, beside 240 MiB of the service; a pod that needs over 1 GiB is killed.
# An opaque WebP of 40 megapixels needs 700 MiB; a transparent one fits with some 30 megapixels.
MAX_MEMORY_BYTES = 760 * 1024**2
MAX_CPU_SECONDS = 10
PR_SET_PDEATHSIG = 1  # prctl(2)
STILL_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 85},
    "PNG": {},
    "WEBP": {"quality": 90, "method": 2},  # slower methods gain little, and take 10 s for 40 megapixels
}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_PARTS = {b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"eXIf", b"IDAT", b"IEND"}  # of an APNG, its first image
ONCE = {b"iCCP", b"eXIf"}
# The segments that a JPEG's picture depends on, with the number needed: JFIF, EXIF (the orientation), ICC, Adobe.
JPEG_PARTS = {(0xE0, b"JFIF\0"): 1, (0xE1, b"Exif\0"): 1, (0xE2, b"ICC_P"): 255, (0xEE, b"Adobe"): 1}
_MARKER = re.compile(rb"\xff+([^\xff\0])")


class Cleaned(NamedTuple):
    """
    An image as it is kept.

    Attributes:
        format: ``JPEG``, ``PNG``, ``GIF`` or ``WEBP``.
        width: In pixels, upright.
        height: In pixels, upright.
        content: The encoded image.
        thumbnail: WebP, at most 480 pixels wide.
    """

    format: str
    width: int
    height: int
    content: bytes
    thumbnail: bytes


def clean(data: bytes) -> Cleaned:
    """
    Decode an image and encode it again, upright and with nothing but the picture.

    Args:
        data: A file that begins as a JPEG, PNG, GIF or WebP.

    Raises:
        Refused: The file breaks a limit, is damaged, or is also a file of another kind.
        Exception: Any error that Pillow raises on damaged files.
    """
    _refuse_polyglots(data)
    if data.startswith(b"GIF"):
        return _clean_gif(data)
    if data.startswith(PNG_SIGNATURE):
        data = _strip_png(data)
    elif data.startswith(b"\xff\xd8"):
        data = _strip_jpeg(data)
    elif data[12:16] == b"VP8X" and data[20] & 2:
        # Parts that no frame covers are transparent, even if no frame has alpha (RFC 9649, 2.7.1.1).
        data = data[:20] + bytes([data[20] | 0x10]) + data[21:]
    with open_image(data) as image:
        kept_format = str(image.format)
        if getattr(image, "n_frames", 1) > 1:
            return _clean_webp(image, data)
        picture, orientation = decode(image, data)
    del image
    picture = turn_upright(picture, orientation)
    return Cleaned(
        kept_format, *picture.size, encode(picture, kept_format, STILL_OPTIONS[kept_format]), make_thumbnail(picture)
    )


def _refuse_polyglots(data: bytes) -> None:
    # Readers of ZIP and PDF would open such an image as theirs (PDF: ISO 32000-1, annex H.3.4.1).
    if _ends_as_zip(data):
        raise Refused("image_is_more", format="ZIP")
    if b"%PDF-" in data[:1024]:
        raise Refused("image_is_more", format="PDF")


def _ends_as_zip(data: bytes) -> bool:
    """Check for a ZIP directory at the end of the file (APPNOTE 4.3.16); its signature alone proves nothing."""
    end = data.rfind(b"PK\5\6", max(0, len(data) - 65_557))
    if end < 0 or end + 22 > len(data):
        return False
    directory = end - int.from_bytes(data[end + 12 : end + 16], "little")
    return data[max(0, directory) :][:4] in (b"PK\1\2", b"PK\5\6") or data[max(0, end - 20) : end][:4] == b"PK\6\7"


def _strip_png(data: bytes) -> bytes:
    """Drop the chunks that are not part of the picture: nothing limits their number and their inflated size."""
    kept, seen = [PNG_SIGNATURE], set()
    for name, chunk in _png_chunks(data):
        if name in PNG_PARTS and name not in seen:
            kept.append(chunk)
            seen |= {name} & ONCE
    return b"".join(kept)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return the name and the bytes of each chunk, up to ``IEND``."""
    position, name = len(PNG_SIGNATURE), b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise ValueError("a chunk is cut off")
        yield name, data[position:end]
        position = end


def _strip_jpeg(data: bytes) -> bytes:
    """Drop the segments that are not part of the picture; everything from the first scan on stays."""
    kept, left, position = [b"\xff\xd8"], dict(JPEG_PARTS), 2
    while (marker := _MARKER.search(data, position)) and marker[1] != b"\xda":
        position = marker.end()
        end = position + int.from_bytes(data[position : position + 2])
        kind = marker[1][0]
        part = (kind, data[position + 2 : position + 7])
        left[part] = left.get(part, 0) - 1
        if left[part] >= 0 or not (0xE0 <= kind <= 0xEF or kind == 0xFE):
            kept.append(b"\xff" + marker[1] + data[position:end])
        position = end
    if data.count(b"\xff\xda", position) > MAX_SCANS:
        raise Refused("image_too_complex")
    return b"".join([*kept, data[marker.start() if marker else len(data) :]])


def _check_frames(frames: int, pixels: int) -> None:
    if frames > MAX_FRAMES:
        raise Refused("too_many_frames", maximum=MAX_FRAMES)
    if frames > 1 and pixels > MAX_ANIMATION_PIXELS:
        raise Refused("animation_too_large", maximum=MAX_ANIMATION_PIXELS // 1_000_000)


def _clean_gif(data: bytes) -> Cleaned:
    gif = read_gif(data, max_frames=MAX_FRAMES)
    for size in [gif.size, *(frame.box[2:] for frame in gif.frames)]:
        check_pixels(size)
    _check_frames(len(gif.frames), sum(frame.box[2] * frame.box[3] for frame in gif.frames))
    if not all(gif.size):  # as some old programs wrote it
        gif = gif._replace(size=gif.frames[0].box[2:])
    for left, top, width, height in (frame.box for frame in gif.frames):
        if left + width > gif.size[0] or top + height > gif.size[1]:
            raise Refused("image_damaged")
    picture = decode_frame(gif, gif.frames[0])
    if picture.size != gif.size:
        part, picture = picture.convert("RGBA"), Image.new("RGBA", gif.size)
        picture.paste(part, gif.frames[0].box[:2])
    return Cleaned("GIF", *gif.size, check_encoded_size(encode_gif(gif)), make_thumbnail(picture))


def _clean_webp(image: Any, data: bytes) -> Cleaned:
    _check_frames(image.n_frames, image.n_frames * image.width * image.height)
    orientation, profile = read_orientation(image), image.info.get("icc_profile")
    durations, pictures, thumbnail = [], [], b""
    for number in range(image.n_frames):
        image.seek(number)
        image.load()
        durations.append(image.info["duration"])
        if orientation != 1 or profile or not thumbnail:
            picture = turn_upright(to_srgb(image.copy(), profile), orientation)
            pictures.append(picture)
            thumbnail = thumbnail or make_thumbnail(picture)
    options = {"quality": 85, "method": 1, "duration": durations, "loop": image.info["loop"], "save_all": True}
    size = pictures[0].size
    if len(pictures) == 1:
        pictures = [open_image(data)]
    options["append_images"] = pictures[1:]
    return Cleaned("WEBP", *size, encode(pictures[0], "WEBP", options), thumbnail)


def _limit_this_process() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a killed worker ends this process too
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def main() -> None:
    """Clean the image on stdin; the service logs what is written to stderr."""
    _limit_this_process()
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    verdict: dict[str, Any]
    content = thumbnail = b""
    try:
        image_format, width, height, content, thumbnail = clean(sys.stdin.buffer.read())
        verdict = {"format": image_format, "width": width, "height": height, "size": len(content)}
    except Refused as refusal:
        verdict = {"refused": refusal.key, "params": refusal.params}
    except MemoryError:
        verdict = {"refused": "image_too_complex", "params": {}}
    except Exception:  # noqa: BLE001 - Pillow raises many types on damaged files
        traceback.print_exc()
        verdict = {"refused": "image_damaged", "params": {}}
    for part in (json.dumps(verdict).encode(), b"\n", content, thumbnail):
        sys.stdout.buffer.write(part)
