"""
WebPs taken apart and put together again (RFC 9649), without their metadata.

Each frame of an animation is decoded and encoded by itself, as lossless or lossy as it was. Its place, its time and
its way of drawing are copied as numbers.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from PIL import Image

from post.images.program.stills import Refused, check_pixels, encode, open_image

PICTURE_CHUNKS = (b"ALPH", b"VP8 ", b"VP8L")
# Quality and method of lossless pictures of up to so many pixels; each step takes up to two seconds.
EFFORTS = {6_000_000: (75, 4), 25_000_000: (0, 2), 75_000_000: (0, 0)}
LOSSY_OPTIONS = {"quality": 85, "method": 1}  # of a frame
ANIMATED, WITH_ALPHA = 0x02, 0x10  # flags of VP8X
NOT_BLENDED = 2  # a frame's flag


class WebpFrame(NamedTuple):
    """
    A frame as it stands in an animated WebP.

    Attributes:
        box: Its place: left, top, width, height.
        milliseconds: Its time.
        flags: Its ways of drawing and of disposal.
        chunks: Its compressed picture, as names and contents.
    """

    box: tuple[int, int, int, int]
    milliseconds: int
    flags: int
    chunks: list[tuple[bytes, bytes]]


def read_webp_frames(data: bytes) -> list[WebpFrame]:
    """Return the frames of an animated WebP."""
    frames = []
    for name, content in _top_chunks(data):
        if name == b"ANMF":
            left, top, width, height, milliseconds = (_uint24(content, 3 * place) for place in range(5))
            box = (2 * left, 2 * top, width + 1, height + 1)
            chunks = [(kind, part) for kind, part in _chunks(content[16:]) if kind in PICTURE_CHUNKS]
            frames.append(WebpFrame(box, milliseconds, content[15] & 3, chunks))
    return frames


def decode_webp_frame(frame: WebpFrame) -> Image.Image:
    """Decode a frame by itself."""
    check_pixels(frame.box[2:])
    extended = [_canvas(WITH_ALPHA, frame.box[2:])] if frame.chunks[0][0] == b"ALPH" else []
    with open_image(_riff([*extended, *frame.chunks])) as image:
        image.load()
        if image.size != frame.box[2:]:
            raise Refused("image_damaged")
        return image._new(image.im)  # noqa: SLF001 - frees the file and the decoder


def encode_webp_frame(frame: WebpFrame, picture: Image.Image, *, pixels: int) -> bytes:
    """Encode a picture as a frame like another, of an animation of so many pixels in all."""
    options = lossless_options(pixels) if _is_lossless(frame.chunks) else LOSSY_OPTIONS
    still = encode(picture, "WEBP", options)
    left, top, width, height = frame.box
    numbers = b"".join(
        number.to_bytes(3, "little") for number in (left // 2, top // 2, width - 1, height - 1, frame.milliseconds)
    )
    parts = [_chunk(*chunk) for chunk in _top_chunks(still) if chunk[0] in PICTURE_CHUNKS]
    return _chunk(b"ANMF", numbers + bytes([frame.flags]) + b"".join(parts))


def join_webp_frames(size: tuple[int, int], frames: list[bytes], *, plays: int) -> bytes:
    """Return an animated WebP of encoded frames."""
    return _riff(
        [_canvas(ANIMATED | WITH_ALPHA, size), (b"ANIM", struct.pack("<IH", 0, plays))], frames=b"".join(frames)
    )


def is_lossless_webp(data: bytes) -> bool:
    """Check if a WebP's picture is lossless; of an animation, that of its first frame."""
    frames = read_webp_frames(data)
    return _is_lossless(frames[0].chunks if frames else _top_chunks(data))


def lossless_options(pixels: int) -> dict[str, Any]:
    """Return the options to encode so many pixels in all without loss."""
    quality, method = next(effort for limit, effort in EFFORTS.items() if pixels <= limit)
    return {"lossless": True, "exact": True, "quality": quality, "method": method}


def _is_lossless(chunks: Iterable[tuple[bytes, bytes]]) -> bool:
    return next((name for name, _ in chunks if name in (b"VP8 ", b"VP8L")), b"") == b"VP8L"


def _top_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    return _chunks(data[12 : 8 + int.from_bytes(data[4:8], "little")])


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        yield name, data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _canvas(flags: int, size: tuple[int, int]) -> tuple[bytes, bytes]:
    edges = [(edge - 1).to_bytes(3, "little") for edge in size]
    return b"VP8X", bytes([flags, 0, 0, 0]) + b"".join(edges)


def _riff(chunks: list[tuple[bytes, bytes]], *, frames: bytes = b"") -> bytes:
    content = b"WEBP" + b"".join(_chunk(*chunk) for chunk in chunks) + frames
    return b"RIFF" + struct.pack("<I", len(content)) + content


def _uint24(data: bytes, position: int) -> int:
    return int.from_bytes(data[position : position + 3], "little")
