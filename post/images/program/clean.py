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
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from PIL import Image

from post.images.program.animations import decode_frame, encode_gif, read_gif
from post.images.program.stills import (
    Refused,
    check_kept_bytes,
    check_pixels,
    decode,
    encode,
    make_thumbnail,
    open_image,
    read_orientation,
    to_srgb,
    turn_upright,
)
from post.images.program.webps import (
    NOT_BLENDED,
    decode_webp_frame,
    encode_webp_frame,
    is_lossless_webp,
    join_webp_frames,
    lossless_options,
    read_webp_frames,
)

MAX_FRAMES = 300
MAX_ANIMATION_PIXELS = 75_000_000  # of all frames
# Of a JPEG, over all components of all scans: a scan of 50 bytes costs a decoder as much as a picture. Twenty for 40
# megapixels; encoders write some 14.
MAX_SCAN_PIXELS = 800_000_000
SCAN_PIXELS_AT_LEAST = 100_000  # the cost of a scan of a small picture
MAX_SEGMENTS = 2000  # of a JPEG
LARGE_PIXELS = 12_000_000
# Address space. 730 MiB are used at most, beside 240 MiB of the service; a pod that needs over 1 GiB is killed.
# An opaque WebP of 40 megapixels needs 700 MiB; a transparent one fits with some 30 megapixels.
MAX_MEMORY_BYTES = 760 * 1024**2
MAX_CPU_SECONDS = 6  # three times what the limits above leave
PR_SET_PDEATHSIG = 1  # prctl(2)
STILL_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 85},
    "PNG": {"compress_level": 6},
    "WEBP": {"quality": 90, "method": 2},  # slower methods gain little, and take 10 s for 40 megapixels
}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_PARTS = {b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"eXIf"}  # beside the data; of an APNG, of its first image
# The segments that a JPEG's picture depends on, with the number needed: JFIF, EXIF (the orientation), ICC, Adobe.
JPEG_PARTS = {(0xE0, b"JFIF\0"): 1, (0xE1, b"Exif\0"): 1, (0xE2, b"ICC_P"): 255, (0xEE, b"Adobe"): 1}
FRAMES = {0xC0, 0xC1, 0xC2}  # kinds of JPEG that browsers show: Huffman codes, baseline to progressive
OTHER_FRAMES = set(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}
SCAN, END = 0xDA, 0xD9
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])")  # of a segment, or of the end


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
            return _clean_animated_webp(image, data)
        picture, orientation = decode(image, data)
    del image
    picture = turn_upright(picture, orientation)
    options, pixels = STILL_OPTIONS[kept_format], picture.width * picture.height
    if kept_format == "WEBP" and is_lossless_webp(data):
        options = lossless_options(pixels)
    elif kept_format == "PNG" and pixels > LARGE_PIXELS:
        options = {"compress_level": 5}  # half the time, for 3 % more bytes
    return Cleaned(kept_format, *picture.size, encode(picture, kept_format, options), make_thumbnail(picture))


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
    parts: dict[bytes, bytes] = {}
    pixels = []
    for name, chunk in _png_chunks(data):
        if name == b"IDAT":
            pixels.append(chunk[8:-4])
        elif name in PNG_PARTS:
            parts.setdefault(name, chunk)
    joined = b"IDAT" + b"".join(pixels)  # in one chunk: Pillow takes microseconds for each
    framed = struct.pack(">I", len(joined) - 4) + joined + struct.pack(">I", zlib.crc32(joined))
    return b"".join([PNG_SIGNATURE, *parts.values(), framed if pixels else b"", chunk])


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
    """Drop the segments that are not part of the picture, and what is behind its end; limit the work of its scans."""
    kept, left, position, kind, pixels, work = [b"\xff\xd8"], dict(JPEG_PARTS), 2, 0, 0, 0
    for kind, start, end in _jpeg_segments(data):
        if work:  # compressed data, up to the next segment
            kept.append(data[position:start])
        part = (kind, data[start + 4 : start + 9])
        left[part] = left.get(part, 0) - 1
        if left[part] >= 0 or not (0xE0 <= kind <= 0xEF or kind == 0xFE):
            kept.append(data[start:end])
        if kind in OTHER_FRAMES:
            raise Refused("image_damaged")
        if kind in FRAMES:
            height, width = struct.unpack_from(">HH", data, start + 5)
            check_pixels((width, height))
            pixels = max(SCAN_PIXELS_AT_LEAST, height * width)
        elif kind == SCAN:
            work += pixels * data[start + 4]
        if work > MAX_SCAN_PIXELS:
            raise Refused("image_too_complex")
        position = end
    if not work:  # a flood of fill bytes, it may be
        raise Refused("image_damaged")
    return b"".join([*kept, data[position:] if kind != END else b""])


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Return the kind, start and end of each segment, up to the end of the image."""
    kind, end, count = 0, 2, 0
    while kind != END and (marker := _MARKER.search(data, end)):
        count += 1
        if count > MAX_SEGMENTS:
            raise Refused("image_too_complex")
        kind, end = marker[1][0], marker.end()
        end += 0 if kind == END else int.from_bytes(data[end : end + 2])
        yield kind, marker.start(), end


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
    picture = _on_canvas(decode_frame(gif, gif.frames[0]), gif.frames[0].box, gif.size)
    content = encode_gif(gif)
    check_kept_bytes(len(content))
    return Cleaned("GIF", *gif.size, content, make_thumbnail(picture))


def _on_canvas(picture: Image.Image, box: tuple[int, int, int, int], size: tuple[int, int]) -> Image.Image:
    """Return the first frame of an animation as it is seen."""
    if picture.size == size:
        return picture
    canvas = Image.new("RGBA", size)
    canvas.paste(picture.convert("RGBA"), box[:2])
    return canvas


def _clean_animated_webp(image: Any, data: bytes) -> Cleaned:
    orientation, profile = read_orientation(image), image.info.get("icc_profile")
    frames = read_webp_frames(data)
    if len(frames) != image.n_frames:
        raise Refused("image_damaged")
    size: tuple[int, int] = image.size[::-1] if orientation >= 5 else image.size
    if orientation != 1:  # turned, a frame might begin at an odd pixel, which the format has no number for
        frames = [frame._replace(box=(0, 0, *size), flags=NOT_BLENDED) for frame in frames]
    pixels = sum(frame.box[2] * frame.box[3] for frame in frames)
    _check_frames(len(frames), pixels)
    encoded, thumbnail = [], b""
    for number, frame in enumerate(frames):
        image.seek(0 if orientation == 1 else number)
        picture = decode_webp_frame(frame) if orientation == 1 else image.copy()
        picture = turn_upright(to_srgb(picture, profile), orientation)
        encoded.append(encode_webp_frame(frame, picture, pixels=pixels))
        check_kept_bytes(sum(map(len, encoded)))
        thumbnail = thumbnail or make_thumbnail(_on_canvas(picture, frame.box, size))
    return Cleaned("WEBP", *size, join_webp_frames(size, encoded, plays=image.info["loop"]), thumbnail)


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
