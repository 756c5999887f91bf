"""
Animations taken apart and put together again, without their metadata.

Every frame is decoded and encoded by itself; where it stands, how long it is seen, and what becomes
of it afterwards is copied as numbers. Nothing is drawn on anything: what Pillow draws is not always
what browsers do, and has to be brought back to 256 colours for a GIF.
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
Box = tuple[int, int, int, int]  # left, top, width, height


class GifFrame(NamedTuple):
    """
    A frame as it stands in a GIF.

    Attributes:
        box: Where it is drawn.
        control: Of its graphic control extension: flags, delay and transparent index.
        flags: Of its descriptor.
        table: Its own colours, or none.
        data: Its compressed indexes.
    """

    box: Box
    control: bytes
    flags: int
    table: bytes
    data: bytes


class Gif(NamedTuple):
    """A GIF's size, its global colours, how often it plays (None: once) and its frames."""

    size: tuple[int, int]
    flags: int
    table: bytes
    plays: bytes | None
    frames: list[GifFrame]


def read_gif(data: bytes, *, max_frames: int) -> Gif:
    """
    Take a GIF apart; what is not of its pictures is left out.

    Args:
        data: The file.
        max_frames: After one more the rest is left unread.

    Raises:
        IndexError, ValueError, struct.error: It is cut off.
    """
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position = 13 + _table_bytes(flags)
    table, plays, control = data[13:position], None, b""
    frames: list[GifFrame] = []
    while position < len(data) and data[position] != 0x3B and len(frames) <= max_frames:
        if data[position] == 0x21:
            end = _blocks_end(data, position + 2)
            if data[position + 1] == 0xF9:
                control = data[position + 3 : position + 7]
            elif data[position + 3 : position + 14] in (b"NETSCAPE2.0", b"ANIMEXTS1.0") and data[position + 15] == 1:
                plays = data[position + 16 : position + 18]
        elif data[position] == 0x2C:
            *box, own = struct.unpack_from("<4HB", data, position + 1)
            start = position + 10 + _table_bytes(own)
            end = _blocks_end(data, start + 1)
            frames.append(GifFrame(tuple(box), control, own, data[position + 10 : start], data[start:end]))
            control = b""
        else:
            raise ValueError("neither an extension nor a frame")
        position = end
    if position >= len(data):
        raise ValueError("the trailer is cut off")
    return Gif((width, height), flags, table, plays, frames)


def gif_picture(gif: Gif, frame: GifFrame) -> Image.Image:
    """Decode a frame by itself: a picture of indexes, or of greys that are its indexes."""
    flags, table = (frame.flags, frame.table) if frame.table else (gif.flags, gif.table)
    place = struct.pack("<4HB", 0, 0, *frame.box[2:], frame.flags & 0x40)
    screen = struct.pack("<HHBBB", *frame.box[2:], flags & 0x87, 0, 0) + table
    control = b"!\xf9\x04" + frame.control + b"\0" if frame.control and frame.control[0] & 1 else b""
    picture = Image.open(io.BytesIO(b"GIF89a" + screen + control + b"," + place + frame.data + b";"), formats=["GIF"])
    picture.load()
    return picture


def written_gif(gif: Gif) -> bytes:
    """Put a GIF together, of its frames decoded and encoded anew."""
    output = [b"GIF89a", struct.pack("<HHBBB", *gif.size, gif.flags & 0x87, 0, 0), gif.table]
    if gif.plays is not None:
        output += [b"!\xff\x0bNETSCAPE2.0\x03\x01", gif.plays, b"\0"]
    for frame in gif.frames:
        if frame.control:
            output += [b"!\xf9\x04", frame.control[:1], frame.control[1:], b"\0"]
        output += [struct.pack("<c4HB", b",", *frame.box, frame.flags & 0x87), frame.table]
        output.append(_compressed(gif_picture(gif, frame)))
    return b"".join([*output, b";"])


def _compressed(picture: Image.Image) -> bytes:
    indexes = Image.frombytes("L", picture.size, picture.tobytes())
    output = io.BytesIO()
    indexes.save(output, "GIF", optimize=False, interlace=False)
    # Behind the screen, a table of 256 greys, and the descriptor; before the trailer.
    return output.getvalue()[13 + 768 + 10 : -1]


def _table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _blocks_end(data: bytes, position: int) -> int:
    while data[position]:
        position += 1 + data[position]
    return position + 1


class Apng(NamedTuple):
    """
    An APNG taken apart.

    Attributes:
        header: Of its IHDR chunk.
        shared: The chunks that every frame needs: palette, transparency, profile.
        plays: How often it plays; 0 is for ever.
        frames: Each frame's control and data; without a control, the image for viewers that know no animations.
    """

    header: bytes
    shared: bytes
    plays: bytes
    frames: list[tuple[bytes, bytes]]


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """
    Return each chunk's name, its content, and all of it; what is behind the last is left out.

    Raises:
        ValueError, struct.error: The file is cut off.
    """
    position, name = len(PNG_SIGNATURE), b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise ValueError("a chunk is cut off")
        yield name, data[position + 8 : end - 4], data[position:end]
        position = end


def read_apng(data: bytes) -> Apng | None:
    """Take an APNG apart; None, where the file is no animation."""
    header = shared = plays = b""
    declared = 0
    frames: list[tuple[bytes, list[bytes]]] = []
    for name, content, whole in png_chunks(data):
        if name == b"IHDR":
            header = content
        elif name in (b"PLTE", b"tRNS", b"iCCP"):
            shared += whole
        elif name == b"acTL":
            declared, plays = int.from_bytes(content[:4]), content[4:8]
        elif name == b"fcTL":
            frames.append((content, []))
        elif name in (b"IDAT", b"fdAT"):
            if not frames:
                frames.append((b"", []))
            frames[-1][1].append(content[4:] if name == b"fdAT" else content)
    if declared == 0 or len(frames) < 2:
        return None
    is_further = not frames[0][0]  # the first image is not of the animation
    shown = frames[: declared + is_further]
    return Apng(header, shared, plays, [(control, b"".join(parts)) for control, parts in shown])


def apng_size(apng: Apng, control: bytes) -> tuple[int, int]:
    """Return a frame's size."""
    width, height = struct.unpack(">II", control[4:12] if control else apng.header[:8])
    return width, height


def apng_pictures(apng: Apng) -> Iterator[bytes]:
    """Return each frame as a PNG of its own."""
    for control, data in apng.frames:
        header = struct.pack(">II", *apng_size(apng, control)) + apng.header[8:]
        yield PNG_SIGNATURE + chunk(b"IHDR", header) + apng.shared + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def written_apng(apng: Apng, size: tuple[int, int], place: Callable[[Box], Box], pictures: Iterator[bytes]) -> bytes:
    """
    Put an APNG together.

    Args:
        apng: Whose frames they were.
        size: Of the whole.
        place: Tells where a frame is now.
        pictures: The frames, as PNGs that are alike but for their sizes.
    """
    output, number = [PNG_SIGNATURE], 0
    for (control, _), picture in zip(apng.frames, pictures, strict=True):
        parts = list(png_chunks(picture))
        is_first = len(output) == 1
        if is_first:
            count = sum(bool(control) for control, _ in apng.frames)
            output.append(chunk(b"IHDR", struct.pack(">II", *size) + parts[0][1][8:]))
            output += [whole for name, _, whole in parts if name in (b"PLTE", b"tRNS")]
            output.append(chunk(b"acTL", struct.pack(">I", count) + apng.plays))
        if control:
            left, top, width, height = place((*struct.unpack(">II", control[12:20]), *apng_size(apng, control)))
            output.append(chunk(b"fcTL", struct.pack(">5I", number, width, height, left, top) + control[20:26]))
            number += 1
        for content in (content for name, content, _ in parts if name == b"IDAT"):
            if is_first:
                output.append(chunk(b"IDAT", content))
            else:
                output.append(chunk(b"fdAT", struct.pack(">I", number) + content))
                number += 1
    return b"".join([*output, chunk(b"IEND", b"")])


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk with its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
