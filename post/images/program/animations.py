"""
GIFs taken apart and put together again, without their metadata.

Every frame is decoded and encoded by itself. Its place, its time and its disposal are copied as numbers.
No frame is drawn on another: Pillow does not always draw as browsers do, and would have to reduce the
result to 256 colours again.
"""

import io
import re
import struct
from typing import NamedTuple

from PIL import Image

_BLOCK = re.compile(rb"[!,;]")
INVISIBLE = b"\x05"  # flags of a frame that draws nothing and is not cleared: index 0 is transparent


class GifFrame(NamedTuple):
    """
    A frame as it stands in a GIF.

    Attributes:
        box: Its place: left, top, width, height.
        control: From its graphic control extension: flags, delay and transparent index.
        flags: From its descriptor.
        table: Its own colours, or none.
        data: Its compressed indexes.
    """

    box: tuple[int, int, int, int]
    control: bytes
    flags: int
    table: bytes
    data: bytes


class Gif(NamedTuple):
    """A GIF: its size, its global colours, its number of plays (None: once) and its frames."""

    size: tuple[int, int]
    flags: int
    table: bytes
    plays: bytes | None
    frames: list[GifFrame]


def read_gif(data: bytes, *, max_frames: int) -> Gif:
    """
    Take a GIF apart as browsers do; only its pictures and their times are kept.

    The trailer may be missing, and other bytes may stand between blocks. The first frame extends the screen.

    Args:
        data: The file.
        max_frames: The limit; reading stops after one more.

    Raises:
        IndexError, struct.error: The file is cut off, or has no frame.
    """
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position = 13 + _table_bytes(flags)
    table, plays, control = data[13:position], None, b""
    frames: list[GifFrame] = []
    while (block := _BLOCK.search(data, position)) and block[0] != b";" and len(frames) <= max_frames:
        position = block.start()
        if block[0] == b"!":
            end = _blocks_end(data, position + 2)
            if data[position + 1] == 0xF9:
                control = data[position + 3 : position + 7]
            elif data[position + 3 : position + 14] in (b"NETSCAPE2.0", b"ANIMEXTS1.0") and data[position + 15] == 1:
                plays = data[position + 16 : position + 18]
        else:
            *box, own = struct.unpack_from("<4HB", data, position + 1)
            start = position + 10 + _table_bytes(own)
            end = _blocks_end(data, start + 1)
            frames.append(GifFrame(tuple(box), control, own, data[position + 10 : start], data[start:end]))
            control = b""
        position = end
    left, top, first_width, first_height = frames[0].box
    return Gif((max(width, left + first_width), max(height, top + first_height)), flags, table, plays, frames)


def decode_frame(gif: Gif, frame: GifFrame) -> Image.Image:
    """Decode a frame by itself: a picture of indexes, or of greys equal to its indexes."""
    flags, table = (frame.flags, frame.table) if frame.table else (gif.flags, gif.table)
    place = struct.pack("<4HB", 0, 0, *frame.box[2:], frame.flags & 0x40)
    screen = struct.pack("<HHBBB", *frame.box[2:], flags & 0x87, 0, 0) + table
    control = b"!\xf9\x04" + frame.control + b"\0" if frame.control and frame.control[0] & 1 else b""
    picture = Image.open(io.BytesIO(b"GIF89a" + screen + control + b"," + place + frame.data + b";"), formats=["GIF"])
    picture.load()
    return picture


def encode_gif(gif: Gif) -> bytes:
    """Put a GIF together from its frames, each decoded and encoded again."""
    output = [b"GIF89a", struct.pack("<HHBBB", *gif.size, gif.flags & 0x87, 0, 0), gif.table]
    if gif.plays is not None:
        output += [b"!\xff\x0bNETSCAPE2.0\x03\x01", gif.plays, b"\0"]
    for frame, picture in (_clip(gif, frame) for frame in gif.frames):
        if frame.control:
            output += [b"!\xf9\x04", frame.control[:1], frame.control[1:], b"\0"]
        output += [struct.pack("<c4HB", b",", *frame.box, frame.flags & 0x87), frame.table, _compress(picture)]
    return b"".join([*output, b";"])


def _clip(gif: Gif, frame: GifFrame) -> tuple[GifFrame, Image.Image]:
    """Return the part of a frame that is on the screen, and its picture."""
    left, top, width, height = frame.box
    width, height = min(width, gif.size[0] - left), min(height, gif.size[1] - top)
    if min(width, height) <= 0:
        control = INVISIBLE + (frame.control[1:3] or bytes(2)) + b"\0"
        return frame._replace(box=(0, 0, 1, 1), control=control), Image.new("L", (1, 1))
    return frame._replace(box=(left, top, width, height)), decode_frame(gif, frame).crop((0, 0, width, height))


def _compress(picture: Image.Image) -> bytes:
    indexes = Image.frombytes("L", picture.size, picture.tobytes())
    output = io.BytesIO()
    indexes.save(output, "GIF", optimize=False, interlace=False)
    # After the screen, a table of 256 greys and the descriptor; before the trailer.
    return output.getvalue()[13 + 768 + 10 : -1]


def _table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _blocks_end(data: bytes, position: int) -> int:
    """Return the end of a row of blocks; where the file ends with one, the last is taken as such."""
    while position != len(data) and data[position]:
        position += 1 + data[position]
    return position + 1
