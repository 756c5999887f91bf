"""
Image files, good and hostile, made as bytes when they are asked for, with what is to become of each.

``SAMPLES`` has them by name. The writers of formats below it say what Pillow's cannot: frames that
are parts of a canvas, damaged metadata, headers that lie.
"""

import functools
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from PIL import Image, ImageCms

MIB = 1024 * 1024
MAX_BYTES = 5 * MIB
# Stands in all metadata that is planted, and must stand in nothing that is kept.
MARKER = b"planted-marker"
RED, GREEN, BLUE, WHITE = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255), (255, 255, 255, 255)
CLEAR = (0, 0, 0, 0)


class Sample(NamedTuple):
    """
    A file and what is right to do with it.

    Attributes:
        build: Makes the file.
        refused: The key of the message that it is refused with; None where it must be kept.
        may_be_kept: It may be refused or kept; what is kept is clean all the same.
        size: Of what is kept, in pixels.
        pixels: Colours of what is kept (of its first frame), red, green, blue and alpha, by place.
        tolerance: How far a colour may be off.
    """

    build: Callable[[], bytes]
    refused: str | None = None
    may_be_kept: bool = False
    size: tuple[int, int] | None = None
    pixels: Mapping[tuple[int, int], tuple[int, ...]] = {}
    tolerance: int = 0


# Pictures


def scene(size: tuple[int, int] = (96, 64)) -> Image.Image:
    """A picture that is different everywhere."""
    chance = random.Random(11)
    small = Image.frombytes("RGB", (24, 16), bytes(chance.randrange(256) for _ in range(24 * 16 * 3)))
    return small.resize(size, Image.Resampling.BICUBIC)


def corners(size: tuple[int, int] = (48, 32)) -> Image.Image:
    """A picture whose corners are red, green, blue and white, clockwise from the upper left."""
    width, height = size
    picture = Image.new("RGB", size, "red")
    picture.paste("#00ff00", (width // 2, 0, width, height // 2))
    picture.paste("blue", (width // 2, height // 2, width, height))
    picture.paste("white", (0, height // 2, width // 2, height))
    return picture


def faded(size: tuple[int, int]) -> Image.Image:
    """The corners, the less to be seen the higher they are."""
    picture = corners(size)
    picture.putalpha(Image.linear_gradient("L").resize(size))
    return picture


# Where the corners of ``corners`` are once the picture is upright, by its orientation (Exif 2.3, 4.6.4).
UPRIGHT_CORNERS = {
    1: (RED, GREEN, BLUE, WHITE),
    2: (GREEN, RED, WHITE, BLUE),
    3: (BLUE, WHITE, RED, GREEN),
    4: (WHITE, BLUE, GREEN, RED),
    5: (RED, WHITE, BLUE, GREEN),
    6: (WHITE, RED, GREEN, BLUE),
    7: (BLUE, GREEN, RED, WHITE),
    8: (GREEN, BLUE, WHITE, RED),
}


def upright_pixels(orientation: int) -> dict[tuple[int, int], tuple[int, ...]]:
    """The colours of ``corners`` upright, by place."""
    width, height = upright_size(orientation)
    places = [(4, 4), (width - 5, 4), (width - 5, height - 5), (4, height - 5)]
    return dict(zip(places, UPRIGHT_CORNERS[orientation], strict=True))


def upright_size(orientation: int) -> tuple[int, int]:
    return (48, 32) if orientation < 5 else (32, 48)


def encoded(picture: Image.Image, image_format: str, **options: Any) -> bytes:
    output = io.BytesIO()
    picture.save(output, image_format, **options)
    return output.getvalue()


@functools.cache
def large(image_format: str, size: tuple[int, int] = (8000, 5000), *, orientation: int = 1) -> bytes:
    """A picture of 40 megapixels unless told otherwise, under 5 MiB in each format."""
    tile = scene((500, 500))
    if image_format == "GIF":
        tile = tile.quantize(8, dither=Image.Dither.NONE)
    picture = Image.new(tile.mode, size)
    if tile.mode == "P":
        picture.putpalette(tile.getpalette())
    for left in range(0, size[0], 500):
        for top in range(0, size[1], 500):
            picture.paste(tile, (left, top))
    options: dict[str, Any] = {"JPEG": {"quality": 50}, "WEBP": {"quality": 20, "method": 0}}.get(image_format, {})
    if orientation != 1:
        options = options | {"exif": b"Exif\0\0" + exif(orientation)}
    return encoded(picture, image_format, **options)


def transparent_webp(size: tuple[int, int]) -> bytes:
    """A large picture of one half-transparent colour, on its side."""
    return encoded(Image.new("RGBA", size, (9, 99, 200, 77)), "WEBP", lossless=True, method=0, exif=exif(6))


# EXIF (TIFF 6.0) and ICC profiles (ICC.1:2001-04)


def ifd(entries: Sequence[tuple[int, int, int, bytes]], *, at: int = 8, following: int = 0) -> bytes:
    """A directory of tags: tag, type, count and value of each; long values stand behind it."""
    table, values = b"", b""
    behind = at + 2 + 12 * len(entries) + 4
    for tag, kind, count, value in entries:
        inline = value if len(value) <= 4 else struct.pack("<I", behind + len(values))
        table += struct.pack("<HHI", tag, kind, count) + inline.ljust(4, b"\0")
        values += value if len(value) > 4 else b""
    return struct.pack("<H", len(entries)) + table + struct.pack("<I", following) + values


def short(tag: int, value: int) -> tuple[int, int, int, bytes]:
    return tag, 3, 1, struct.pack("<H", value)


def text(tag: int, value: bytes) -> tuple[int, int, int, bytes]:
    return tag, 2, len(value) + 1, value + b"\0"


TIFF = b"II*\0" + struct.pack("<I", 8)


def exif(orientation: int = 1) -> bytes:
    """Metadata as phones write it: the maker, the orientation, and where the picture was taken."""
    place = [(1, 2, 2, b"N\0"), (2, 5, 3, struct.pack("<6I", 37, 1, 33, 1, 59, 1)), text(0x1B, MARKER)]
    entries = [text(0x010F, MARKER), short(0x0112, orientation), (0x8825, 4, 1, b"\0\0\0\0")]
    length = len(ifd(entries))
    entries[2] = (0x8825, 4, 1, struct.pack("<I", 8 + length))
    return TIFF + ifd(entries) + ifd(place, at=8 + length)


def _fixed(number: float) -> bytes:
    return struct.pack(">i", round(number * 65536))


def _xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(x) + _fixed(y) + _fixed(z)


def _profile(space: bytes, tags: Mapping[bytes, bytes], name: bytes) -> bytes:
    described = b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name + bytes(1 + 78)
    entries = {b"desc": described, b"cprt": b"text\0\0\0\0" + MARKER + b"\0", b"wtpt": _xyz(0.9642, 1, 0.8249), **tags}
    table, values = struct.pack(">I", len(entries)), b""
    for signature, value in entries.items():
        table += signature + struct.pack(">II", 132 + 12 * len(entries) + len(values), len(value))
        values += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", 128 + len(table + values), bytes(4), 0x02400000, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + _fixed(0.9642) + _fixed(1) + _fixed(0.8249)
    return head.ljust(128, b"\0") + table + values


def _gamma(exponent: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(exponent * 256))


def rgb_profile(name: bytes = b"Display P3", *, gamma: float = 2.2) -> bytes:
    """A profile with the primaries of Display P3, whatever its name says."""
    primaries = {
        b"rXYZ": _xyz(0.5151, 0.2412, -0.0011),
        b"gXYZ": _xyz(0.2919, 0.6922, 0.0419),
        b"bXYZ": _xyz(0.1571, 0.0666, 0.7841),
    }
    return _profile(b"RGB ", primaries | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _gamma(gamma)), name)


def grey_profile(gamma: float = 1.0) -> bytes:
    """A profile for greys, linear light unless told otherwise."""
    return _profile(b"GRAY", {b"kTRC": _gamma(gamma)}, b"Linear grey")


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


# What (200, 100, 60) of ``rgb_profile`` and 100 of ``grey_profile`` are in sRGB, by LittleCMS.
P3_COLOUR, P3_IN_SRGB = (200, 100, 60), (216, 93, 43, 255)
LINEAR_GREY, GREY_IN_SRGB = 100, (168, 168, 168, 255)


def p3_flat(mode: str = "RGB") -> Image.Image:
    return Image.new("RGB", (16, 16), P3_COLOUR).convert(mode)


# JPEG (ITU-T T.81, annex B)

EXIF, XMP, COMMENT = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", 0xFE


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jpeg(*segments: bytes, picture: Image.Image | None = None, end: bytes = b"", **options: Any) -> bytes:
    """A JPEG with segments at its beginning, and bytes behind its end."""
    data = encoded(picture or scene(), "JPEG", **{"quality": 95, "subsampling": 0, **options})
    return data[:2] + b"".join(segments) + data[2:] + end


def padded_jpeg(size: int) -> bytes:
    """A JPEG of just so many bytes, by comments."""
    data = jpeg()
    missing = size - len(data)
    comments = b""
    while missing > 65_537:
        length = min(65_537, missing - 4)
        comments += segment(COMMENT, bytes(length - 4))
        missing -= length
    return data[:2] + comments + segment(COMMENT, bytes(missing - 4)) + data[2:]


def ycck_jpeg(cyan: int, magenta: int, yellow: int, black: int) -> bytes:
    """One colour as Photoshop writes it: inverted, and its first three inks as YCbCr (Adobe TN 5116)."""
    inks = Image.new("RGB", (16, 16), (cyan, magenta, yellow)).convert("YCbCr").split()
    # Pillow inverts what it writes, and names it CMYK; the transform of Adobe's segment says otherwise.
    stored = [band.point(lambda value: 255 - value) for band in inks] + [Image.new("L", (16, 16), black)]
    data = encoded(Image.merge("CMYK", stored), "JPEG", quality=100)
    transform = data.index(b"Adobe") + 11
    return data[:transform] + b"\x02" + data[transform + 1 :]


def jpeg_of_scans(scans: int, size: tuple[int, int] = (8000, 5000)) -> bytes:
    """A progressive JPEG whose every scan says in 50 bytes that nothing changes, for all of its blocks."""
    width, height = size
    blocks = -(-width // 8) * -(-height // 8)
    frame = segment(0xC2, struct.pack(">BHHB3B", 8, height, width, 1, 1, 0x11, 0))
    # Of each table one code of one bit: no difference, and an end of band of up to 32,767 blocks.
    tables = [bytes([0, 1, *[0] * 15, 0]), bytes([0x10, 1, *[0] * 15, 0xE0])]
    direct = segment(0xDA, bytes([1, 1, 0, 0, 0, 0])) + bytes(-(-blocks // 8))
    runs, left = "", blocks
    while left > 0:
        run = min(max(left, 16_384), 32_767)
        runs, left = f"{runs}0{run - 16_384:014b}", left - run
    runs += "1" * (-len(runs) % 8)
    packed = int(runs, 2).to_bytes(len(runs) // 8, "big").replace(b"\xff", b"\xff\0")
    nothing = segment(0xDA, bytes([1, 1, 0, 1, 63, 0])) + packed
    head = segment(0xDB, bytes(1) + bytes([1] * 64)) + frame + b"".join(segment(0xC4, table) for table in tables)
    return b"\xff\xd8" + head + direct + nothing * scans + b"\xff\xd9"


def jpeg_of_refining_scans(scans: int, size: tuple[int, int]) -> bytes:
    """The same with scans that refine, whose blocks cost a decoder four times as much."""
    first = segment(0xDA, bytes([1, 1, 0, 1, 63, 0]))
    head, *others = jpeg_of_scans(scans, size).split(first)
    return head + first + segment(0xDA, bytes([1, 1, 0, 1, 63, 0x10])).join(others)


def jpeg_of_hidden_scans(scans: int, size: tuple[int, int]) -> bytes:
    """The same with an end in a comment before them, as which a hasty reader takes it."""
    data = jpeg_of_refining_scans(scans, size)
    first = data.index(segment(0xDA, bytes([1, 1, 0, 1, 63, 0])))
    return data[:first] + segment(COMMENT, b"\xff\xd9") + data[first:]


def flood(one: bytes, file: bytes, *, at: int) -> bytes:
    """A file that is filled up to 5 MiB with copies of one segment or chunk."""
    return file[:at] + one * ((MAX_BYTES - len(file)) // len(one)) + file[at:]


def mpo() -> bytes:
    second = corners().transpose(Image.Transpose.ROTATE_180)
    return encoded(corners(), "MPO", save_all=True, append_images=[second], quality=95, exif=EXIF + exif())


# PNG (W3C Recommendation, third edition, which has APNG)

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PALETTE = [RED, GREEN, BLUE, WHITE]


def chunk(name: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def plte(colours: Sequence[tuple[int, ...]] = PALETTE) -> bytes:
    return chunk(b"PLTE", b"".join(bytes(colour[:3]) for colour in colours))


def header(size: tuple[int, int], *, depth: int = 8, colour_type: int = 2, interlaced: bool = False) -> bytes:
    return PNG_SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour_type, 0, 0, interlaced))


def scanlines(samples: bytes, width: int, *, depth: int = 8, colour_type: int = 2) -> bytes:
    """Lines without a filter, compressed."""
    length = -(-width * CHANNELS[colour_type] * depth // 8)
    lines = (samples[start : start + length] for start in range(0, len(samples), length))
    return zlib.compress(b"".join(b"\0" + line for line in lines), 1)


def png(
    samples: bytes,
    size: tuple[int, int],
    *,
    depth: int = 8,
    colour_type: int = 2,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A PNG of samples as they stand in the file, with chunks before and after its data."""
    data = scanlines(samples, size[0], depth=depth, colour_type=colour_type)
    head = header(size, depth=depth, colour_type=colour_type)
    return head + before + chunk(b"IDAT", data) + after + chunk(b"IEND")


def plain_png(before: bytes = b"", after: bytes = b"", picture: Image.Image | None = None) -> bytes:
    picture = picture or scene()
    return png(picture.convert("RGB").tobytes(), picture.size, before=before, after=after)


def sixteen_bits(*values: int, colour_type: int, before: bytes = b"") -> bytes:
    """A line of 16-bit pixels."""
    samples = struct.pack(f">{len(values)}H", *values)
    width = len(values) // CHANNELS[colour_type]
    return png(samples, (width, 1), depth=16, colour_type=colour_type, before=before)


def interlaced_png() -> bytes:
    """The corners in Adam7's seven passes."""
    picture = corners()
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    lines = b""
    for left, top, right_step, down_step in passes:
        for y in range(top, picture.height, down_step):
            lines += b"\0" + b"".join(bytes(picture.getpixel((x, y))) for x in range(left, picture.width, right_step))
    return header(picture.size, interlaced=True) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND")


@functools.cache
def deflated_zeros(mebibytes: int) -> bytes:
    """So many MiB of zeros in a thousandth of that."""
    deflate = zlib.compressobj(9)
    return b"".join(deflate.compress(bytes(MIB)) for _ in range(mebibytes)) + deflate.flush()


def growing_png(size: tuple[int, int] = (8000, 5000)) -> bytes:
    """Each line is the one above and the same noise, which Pillow's choice of filters does not find again."""
    line = b"\x02" + random.Random(5).randbytes(size[0] * 3)
    return header(size) + chunk(b"IDAT", zlib.compress(line * size[1], 9)) + chunk(b"IEND")


def apng(
    size: tuple[int, int],
    frames: Sequence[bytes],
    *,
    colour_type: int = 6,
    depth: int = 8,
    before: bytes = b"",
    default: bytes | None = None,
) -> bytes:
    """An animated PNG of whole frames; ``default`` are the samples of an image that is not of the animation."""
    kind = {"colour_type": colour_type, "depth": depth}
    output = header(size, **kind) + before + chunk(b"acTL", struct.pack(">II", len(frames), 0))
    if default is not None:
        output += chunk(b"IDAT", scanlines(default, size[0], **kind))
    number = 0
    for frame in frames:
        output += chunk(b"fcTL", struct.pack(">5IHHBB", number, *size, 0, 0, 1, 10, 0, 0))
        data = scanlines(frame, size[0], **kind)
        number += 1
        if number == 1 and default is None:
            output += chunk(b"IDAT", data)
        else:
            output += chunk(b"fdAT", struct.pack(">I", number) + data)
            number += 1
    return output + chunk(b"IEND")


def noise(length: int, seed: int, values: int = 256) -> bytes:
    chance = random.Random(seed)
    return bytes(chance.randrange(values) for _ in range(length))


# GIF, version 89a, as CompuServe defines it

OTHER_PALETTE = [(1, 2, 3), (90, 10, 200), (30, 144, 255), (255, 105, 180)]
GREYS = [(index, index, index) for index in range(4)]


class GifFrame(NamedTuple):
    """A frame of a GIF: its place and size, its indexes, and how it is drawn."""

    box: tuple[int, int, int, int]
    indexes: bytes
    palette: Sequence[tuple[int, ...]] | None = None
    delay: int = 10
    disposal: int = 1
    transparent: int | None = None


def lzw(indexes: bytes, bits: int) -> bytes:
    """Indexes as codes of one length, which the clear code is sent often enough to keep."""
    clear, length = 1 << bits, bits + 1
    codes: list[int] = []
    for start in range(0, len(indexes), clear - 2):
        codes += [clear, *indexes[start : start + clear - 2]]
    codes.append(clear + 1)
    packed = sum(code << length * number for number, code in enumerate(codes))
    data = packed.to_bytes(-(-length * len(codes) // 8), "little")
    blocks = (data[start : start + 255] for start in range(0, len(data), 255))
    return bytes([bits]) + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def _table(palette: Sequence[tuple[int, ...]]) -> tuple[int, bytes]:
    bits = max(1, (len(palette) - 1).bit_length())
    return bits, b"".join(bytes(colour[:3]) for colour in palette).ljust(3 << bits, b"\0")


def gif_frame(frame: GifFrame, palette: Sequence[tuple[int, ...]] | None) -> bytes:
    bits, table = _table(frame.palette or palette or ())
    packed = frame.disposal << 2 | (frame.transparent is not None)
    control = b"!\xf9\x04" + struct.pack("<BHBB", packed, frame.delay, frame.transparent or 0, 0)
    place = b"," + struct.pack("<4HB", *frame.box, 0x80 | bits - 1 if frame.palette else 0)
    return control + place + (table if frame.palette else b"") + lzw(frame.indexes, max(2, bits))


def gif(
    size: tuple[int, int],
    frames: Sequence[GifFrame],
    *,
    palette: Sequence[tuple[int, ...]] | None = PALETTE,
    plays: int | None = None,
    extensions: bytes = b"",
    end: bytes = b";",
) -> bytes:
    """A GIF whose frames are parts of the screen; ``plays`` is the count of NETSCAPE's extension."""
    bits, table = _table(palette) if palette else (1, b"")
    screen = struct.pack("<HHBBB", *size, 0x80 | bits - 1 if palette else 0, 0, 0) + table
    loop = b"" if plays is None else b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", plays, 0)
    return b"GIF89a" + screen + loop + extensions + b"".join(gif_frame(frame, palette) for frame in frames) + end


def drawn(seed: int, box: tuple[int, int, int, int] = (0, 0, 8, 8), values: int = 4, **options: Any) -> GifFrame:
    """A frame of noise."""
    return GifFrame(box, noise(box[2] * box[3], seed, values), **options)


def many_frames(count: int) -> bytes:
    """A GIF of so many frames, each unlike the one before it."""
    two = [gif_frame(GifFrame((0, 0, 4, 4), bytes([index] * 16)), PALETTE) for index in (0, 1)]
    return gif((4, 4), [], plays=0, extensions=two[0] + b"".join(two[number % 2] for number in range(1, count)))


def colourful(count: int, seed: int) -> list[tuple[int, ...]]:
    return [tuple(noise(3, seed * 1000 + number)) for number in range(count)]


# WebP (RFC 9649)


def webp_chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def riff(*chunks: bytes) -> bytes:
    content = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def webp_canvas(size: tuple[int, int], flags: int = 0) -> bytes:
    edges = [struct.pack("<I", edge - 1)[:3] for edge in size]
    return webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + b"".join(edges))


def blobs(count: int, size: tuple[int, int] = (64, 48), mode: str = "RGBA") -> list[Image.Image]:
    """Frames that are easy on a lossy encoder, and unlike each other."""
    frames = []
    for number in range(count):
        frame = Image.new("RGBA", size, CLEAR if mode == "RGBA" else (20, 40, 60, 255))
        frame.paste((250, 40 * number, 90, 255), (8 * number, 8, 8 * number + 24, 40))
        frames.append(frame.convert(mode))
    return frames


def animated(frames: Sequence[Image.Image], image_format: str, **options: Any) -> bytes:
    return encoded(frames[0], image_format, save_all=True, append_images=frames[1:], **options)


def _with_a_patch(picture: Image.Image, place: int) -> Image.Image:
    picture.paste((250, 40, 90), (place, 8, place + 24, 40))
    return picture


@functools.cache
def oversized_animation(image_format: str) -> bytes:
    """Twenty frames of four megapixels each."""
    frames = [Image.new("L", (2000, 2000), 10 * number) for number in range(20)]
    if image_format == "WEBP":
        return animated([frame.convert("RGB") for frame in frames], "WEBP", lossless=True, method=0, duration=50)
    return animated(frames, image_format, duration=50)


# Files that are something else, as well or instead


def zipped(prefix: bytes = b"") -> bytes:
    output = io.BytesIO(prefix)
    with zipfile.ZipFile(output, "a") as archive:
        archive.writestr("index.html", MARKER)
    return output.getvalue()


PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
HTML = b"<!doctype html><script>alert('" + MARKER + b"')</script>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
ISO_MEDIA = b"\0\0\0\x18ftyp"
PLACES = ("1-byte", "8-bytes", "20-bytes", "5%", "10%", "25%", "50%", "75%", "90%", "99%")
# How many bytes make a file of each type; fewer are no image at all (WHATWG MIME Sniffing, 6.1).
BEGINNING_BYTES = {"jpeg": 3, "png": 8, "gif": 6, "webp": 12}


def whole(kind: str) -> bytes:
    """A good file of each format, which the truncated ones are made of."""
    return {
        "jpeg": lambda: jpeg(segment(0xE1, EXIF + exif(6))),
        "progressive-jpeg": lambda: jpeg(progressive=True),
        "png": plain_png,
        "gif": lambda: gif((32, 32), [drawn(1, (0, 0, 32, 32), 64, palette=colourful(64, 1))]),
        "webp": lambda: encoded(scene(), "WEBP", quality=90),
        "animated-gif": lambda: gif((32, 32), [drawn(seed, (0, 0, 32, 32)) for seed in range(4)], plays=0),
        "apng": lambda: apng((8, 8), [noise(256, seed) for seed in range(4)]),
        "animated-webp": lambda: animated(blobs(4), "WEBP", duration=100),
    }[kind]()


def cut(kind: str, place: str) -> bytes:
    data = whole(kind)
    number = int(place.rstrip("-%bytes"))
    return data[: len(data) * number // 100] if place.endswith("%") else data[:number]


def _cut_sample(kind: str, place: str) -> Sample:
    begins = place.endswith("%") or int(place.rstrip("-bytes")) >= BEGINNING_BYTES.get(kind, 0)
    return Sample(functools.partial(cut, kind, place), "image_damaged" if begins else "not_an_image")


# The corpus

TRUNCATED = {
    f"{kind}-cut-at-{place}": _cut_sample(kind, place)
    for kind, places in {
        **dict.fromkeys(("jpeg", "png", "gif", "webp"), PLACES),
        **dict.fromkeys(("progressive-jpeg", "animated-gif", "apng", "animated-webp"), ("25%", "75%", "95%")),
    }.items()
    for place in places
} | {
    # What is missing is not of the picture, and some decoders ask no more.
    f"{kind}-without-its-last-{count}-bytes": Sample(
        lambda kind=kind, count=count: whole(kind)[:-count], "image_damaged", may_be_kept=True
    )
    for kind, count in [("jpeg", 2), ("png", 12), ("png", 2)]
}

BOMBS = {
    "jpeg-header-of-65500-squared": Sample(
        lambda: jpeg().replace(struct.pack(">HH", 64, 96), struct.pack(">HH", 65_500, 65_500), 1), "too_many_pixels"
    ),
    "png-header-of-50000-squared": Sample(
        lambda: header((50_000, 50_000)) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND"), "too_many_pixels"
    ),
    "png-header-of-two-billion-squared": Sample(
        lambda: header((2**31 - 1, 2**31 - 1)) + chunk(b"IDAT", b"") + chunk(b"IEND"), "too_many_pixels"
    ),
    "gif-screen-of-65535-squared": Sample(lambda: gif((65_535, 65_535), [drawn(1)]), "too_many_pixels"),
    "gif-frame-of-65535-squared": Sample(
        lambda: gif((8, 8), [drawn(1)._replace(box=(0, 0, 65_535, 65_535))]), "too_many_pixels"
    ),
    "webp-canvas-of-16384-squared": Sample(
        lambda: riff(webp_canvas((16_384, 16_384)), encoded(scene(), "WEBP")[12:]), "too_many_pixels"
    ),
    "lossless-webp-header-of-16384-squared": Sample(
        lambda: riff(webp_chunk(b"VP8L", b"\x2f" + b"\xff\xff\xff\x0f" + bytes(20))), "too_many_pixels"
    ),
    "lossy-webp-header-of-16383-squared": Sample(
        lambda: riff(webp_chunk(b"VP8 ", b"\x10\x02\0\x9d\x01\x2a" + b"\xff\x3f\xff\x3f" + bytes(20))),
        "too_many_pixels",
    ),
    "progressive-jpeg-of-490-scans-of-40-megapixels": Sample(
        lambda: jpeg_of_refining_scans(490, (6300, 6300)), "image_too_complex"
    ),
    "progressive-jpeg-of-490-hidden-scans": Sample(
        lambda: jpeg_of_hidden_scans(490, (6300, 6300)), "image_too_complex"
    ),
    "jpeg-of-3000-segments": Sample(lambda: jpeg(segment(COMMENT, b"") * 3000), "image_too_complex"),
    "jpeg-of-41-megapixels": Sample(lambda: large("JPEG", (8200, 5000)), "too_many_pixels"),
    "png-of-41-megapixels": Sample(
        lambda: png(bytes(1025 * 5000), (8200, 5000), depth=1, colour_type=0), "too_many_pixels"
    ),
    "gif-of-41-megapixels": Sample(lambda: large("GIF", (8200, 5000)), "too_many_pixels"),
    # Which would have more memory than a pod has left.
    "transparent-webp-of-40-megapixels": Sample(
        lambda: encoded(Image.new("RGBA", (8000, 5000), (9, 99, 200, 77)), "WEBP", quality=20, method=0),
        "image_too_complex",
    ),
    "webp-of-41-megapixels": Sample(lambda: large("WEBP", (8200, 5000)), "too_many_pixels"),
    "gif-of-301-frames": Sample(lambda: many_frames(301), "too_many_frames"),
    "gif-of-5000-frames": Sample(lambda: many_frames(5000), "too_many_frames"),
    "webp-of-301-frames": Sample(
        lambda: animated(
            [Image.new("RGB", (8, 8), (seed % 256, seed // 2, 0)) for seed in range(301)], "WEBP", lossless=True
        ),
        "too_many_frames",
    ),
    "gif-of-80-megapixels-in-all": Sample(lambda: oversized_animation("GIF"), "animation_too_large"),
    "webp-of-80-megapixels-in-all": Sample(lambda: oversized_animation("WEBP"), "animation_too_large"),
    "png-data-of-300-mib-for-ten-lines": Sample(
        lambda: header((8, 8)) + chunk(b"IDAT", deflated_zeros(300)) + chunk(b"IEND"), size=(8, 8)
    ),
    # Texts and profiles are not shown: such a file may be refused, or kept without them.
    "png-text-of-300-mib": Sample(
        lambda: plain_png(chunk(b"zTXt", b"Comment\0\0" + deflated_zeros(300))), "image_damaged", may_be_kept=True
    ),
    "png-international-text-of-300-mib": Sample(
        lambda: plain_png(after=chunk(b"iTXt", b"Comment\0\1\0\0\0" + deflated_zeros(300))),
        "image_damaged",
        may_be_kept=True,
    ),
    "png-profile-of-300-mib": Sample(
        lambda: plain_png(chunk(b"iCCP", b"profile\0\0" + deflated_zeros(300))), "image_damaged", may_be_kept=True
    ),
}

DISGUISED = {
    "empty": Sample(lambda: b"", "file_empty"),
    "one-byte": Sample(lambda: b"\xff", "not_an_image"),
    "over-5-mib-by-a-byte": Sample(lambda: padded_jpeg(MAX_BYTES + 1), "file_too_large"),
    "plain-text": Sample(lambda: MARKER, "not_an_image"),
    "svg": Sample(lambda: SVG, "not_an_image"),
    "html": Sample(lambda: HTML, "not_an_image"),
    "zip": Sample(zipped, "not_an_image"),
    "pdf": Sample(lambda: PDF, "not_an_image"),
    "bmp": Sample(lambda: encoded(scene(), "BMP"), "not_an_image"),
    "tiff": Sample(lambda: encoded(scene(), "TIFF"), "not_an_image"),
    "ico": Sample(lambda: encoded(scene(), "ICO"), "not_an_image"),
    "jpeg-2000": Sample(lambda: encoded(scene(), "JPEG2000"), "not_an_image"),
    "avif": Sample(lambda: ISO_MEDIA + b"avif" + bytes(99), "not_an_image"),
    "heic": Sample(lambda: ISO_MEDIA + b"heic" + bytes(99), "not_an_image"),
    "wave-audio-in-webps-container": Sample(lambda: b"RIFF\x24\0\0\0WAVEfmt " + bytes(99), "not_an_image"),
    "html-that-begins-as-jpeg": Sample(lambda: b"\xff\xd8\xff" + HTML, "image_damaged"),
    "html-that-begins-as-png": Sample(lambda: PNG_SIGNATURE + HTML, "image_damaged"),
    "html-that-begins-as-gif": Sample(lambda: b"GIF89a\1\0\1\0\0\0\0" + HTML, "image_damaged"),
    "html-that-begins-as-webp": Sample(lambda: b"RIFF\xff\0\0\0WEBPVP8 " + HTML, "image_damaged"),
    "jpeg-with-a-zip-behind": Sample(lambda: zipped(jpeg()), "image_is_more"),
    "jpeg-with-a-zip-in-a-comment": Sample(lambda: jpeg(segment(COMMENT, zipped())), "image_is_more"),
    "png-with-a-zip-behind": Sample(lambda: zipped(plain_png()), "image_is_more"),
    "gif-with-a-zip-behind": Sample(lambda: zipped(gif((8, 8), [drawn(1)])), "image_is_more"),
    "webp-with-a-zip-behind": Sample(lambda: zipped(whole("webp")), "image_is_more"),
    "jpeg-with-a-pdf-in-a-comment": Sample(lambda: jpeg(segment(COMMENT, PDF)), "image_is_more"),
    "png-with-a-pdf-in-a-text": Sample(lambda: plain_png(chunk(b"tEXt", b"Comment\0" + PDF)), "image_is_more"),
}

DAMAGED = {
    "jpeg-without-a-picture": Sample(lambda: b"\xff\xd8\xff\xd9", "image_damaged"),
    "jpeg-of-no-height": Sample(
        lambda: jpeg().replace(struct.pack(">HH", 64, 96), struct.pack(">HH", 0, 96), 1), "image_damaged"
    ),
    "jpeg-of-arithmetic-codes": Sample(lambda: jpeg().replace(b"\xff\xc0", b"\xff\xc9", 1), "image_damaged"),
    "jpeg-of-lossless-codes": Sample(lambda: jpeg().replace(b"\xff\xc0", b"\xff\xc3", 1), "image_damaged"),
    "jpeg-of-12-bits": Sample(
        lambda: jpeg().replace(b"\x08\x00\x40\x00\x60", b"\x0c\x00\x40\x00\x60"), "image_damaged"
    ),
    "png-of-an-unknown-colour-type": Sample(
        lambda: header((1, 1), colour_type=5) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND"),
        "image_damaged",
    ),
    "png-with-a-wrong-checksum": Sample(
        lambda: plain_png()[:29] + bytes(4) + plain_png()[33:], "image_damaged", may_be_kept=True
    ),
    "png-of-garbage-data": Sample(
        lambda: header((9, 9)) + chunk(b"IDAT", noise(200, 1)) + chunk(b"IEND"), "image_damaged"
    ),
    "apng-without-a-first-image": Sample(
        lambda: apng((8, 8), [noise(256, 1)]).replace(b"IDAT", b"fdAT"), "image_damaged"
    ),
    "gif-without-a-frame": Sample(lambda: gif((8, 8), []), "image_damaged"),
    "gif-with-garbage-behind": Sample(
        lambda: gif((8, 8), [drawn(1)], end=b";" + MARKER), "image_damaged", may_be_kept=True
    ),
    "webp-of-garbage-data": Sample(lambda: riff(webp_chunk(b"VP8 ", noise(200, 1))), "image_damaged"),
    "webp-of-an-empty-animation": Sample(
        lambda: riff(webp_canvas((8, 8), 2), webp_chunk(b"ANIM", bytes(6))), "image_damaged"
    ),
}

ANY_SIZE = (96, 64)


def _with_exif(*entries: tuple[int, int, int, bytes], following: int = 0) -> bytes:
    return jpeg(segment(0xE1, EXIF + TIFF + ifd(entries, following=following)), picture=corners())


METADATA = {
    **{
        f"jpeg-of-orientation-{number}": Sample(
            lambda number=number: jpeg(segment(0xE1, EXIF + exif(number)), picture=corners()),
            size=upright_size(number),
            pixels=upright_pixels(number),
            tolerance=8,
        )
        for number in UPRIGHT_CORNERS
    },
    "jpeg-of-orientation-9": Sample(
        lambda: _with_exif(short(0x0112, 9)), size=(48, 32), pixels=upright_pixels(1), tolerance=8
    ),
    "png-of-orientation-6": Sample(
        lambda: plain_png(chunk(b"eXIf", exif(6)), picture=corners()), size=(32, 48), pixels=upright_pixels(6)
    ),
    "palette-png-of-orientation-8": Sample(
        lambda: encoded(corners().quantize(4), "PNG", exif=EXIF + exif(8)), size=(32, 48), pixels=upright_pixels(8)
    ),
    "webp-of-orientation-6": Sample(
        lambda: encoded(corners(), "WEBP", quality=95, exif=exif(6)),
        size=(32, 48),
        pixels=upright_pixels(6),
        tolerance=12,
    ),
    "apng-of-orientation-6": Sample(
        lambda: animated([corners(), corners().rotate(180)], "PNG", duration=100, exif=EXIF + exif(6)),
        size=(32, 48),
        pixels=upright_pixels(6),
    ),
    "animated-webp-of-orientation-6": Sample(
        lambda: animated([corners(), corners().rotate(180)], "WEBP", lossless=True, duration=100, exif=exif(6)),
        size=(32, 48),
        pixels=upright_pixels(6),
        tolerance=12,
    ),
    "mpo": Sample(mpo, size=(48, 32), pixels=upright_pixels(1), tolerance=8),
    "mpo-of-orientation-6": Sample(
        lambda: mpo().replace(exif(1), exif(6)), size=(32, 48), pixels=upright_pixels(6), tolerance=8
    ),
    "jpeg-with-a-broken-mpo-index": Sample(lambda: jpeg(segment(0xE2, b"MPF\0" + MARKER)), size=ANY_SIZE),
    "jpeg-with-garbage-for-exif": Sample(lambda: jpeg(segment(0xE1, EXIF + MARKER)), size=ANY_SIZE),
    "jpeg-of-72-dpi-with-garbage-for-exif": Sample(
        lambda: jpeg(segment(0xE1, EXIF + MARKER), picture=corners(), dpi=(72, 72)),
        size=(48, 32),
        pixels=upright_pixels(1),
        tolerance=8,
    ),
    "png-with-garbage-for-exif": Sample(
        lambda: plain_png(chunk(b"eXIf", MARKER), picture=corners()), size=(48, 32), pixels=upright_pixels(1)
    ),
    "png-with-garbage-for-imagemagicks-exif": Sample(
        lambda: plain_png(chunk(b"tEXt", b"Raw profile type exif\0\nexif\n9\n" + MARKER)), size=ANY_SIZE
    ),
    "webp-with-garbage-for-exif": Sample(lambda: encoded(scene(), "WEBP", exif=MARKER), size=ANY_SIZE),
    "exif-that-points-past-its-end": Sample(
        lambda: jpeg(segment(0xE1, EXIF + b"II*\0\xff\xff\xff\xff")), size=ANY_SIZE
    ),
    "exif-that-leads-back-to-itself": Sample(
        lambda: _with_exif((0x8769, 4, 1, struct.pack("<I", 8)), short(0x0112, 6), following=8),
        size=(32, 48),
        pixels=upright_pixels(6),
        tolerance=8,
    ),
    "exif-of-65535-tags": Sample(
        lambda: jpeg(segment(0xE1, EXIF + TIFF + b"\xff\xff" + b"\x12\x01" * 30_000)), size=ANY_SIZE
    ),
    "exif-of-a-tag-of-four-billion-values": Sample(
        lambda: _with_exif((0x0112, 3, 2**32 - 1, b"\6\0\0\0")), size=(48, 32)
    ),
    "jpeg-with-xmp-iptc-and-a-comment": Sample(
        lambda: jpeg(segment(0xE1, XMP + MARKER), segment(0xED, b"Photoshop 3.0\0" + MARKER), segment(COMMENT, MARKER)),
        size=ANY_SIZE,
    ),
    # Browsers know no other orientation than EXIF's.
    "jpeg-with-an-orientation-in-xmp-alone": Sample(
        lambda: jpeg(segment(0xE1, XMP + b'<x tiff:Orientation="6"/>'), picture=corners()),
        size=(48, 32),
        pixels=upright_pixels(1),
        tolerance=8,
    ),
    # One photo in 65,000 has these four by chance.
    "jpeg-with-the-bytes-that-begin-a-zips-end": Sample(
        lambda: jpeg(segment(COMMENT, b"PK\5\6" + noise(60, 1))), size=ANY_SIZE
    ),
    "jpeg-with-a-video-behind": Sample(lambda: jpeg(end=ISO_MEDIA + b"mp42" + MARKER), size=ANY_SIZE),
    "jpeg-with-garbage-behind": Sample(lambda: jpeg(end=noise(9999, 1) + MARKER), size=ANY_SIZE),
    "png-with-texts": Sample(
        lambda: plain_png(
            chunk(b"tEXt", b"Author\0" + MARKER) + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + MARKER),
            chunk(b"zTXt", b"Comment\0\0" + zlib.compress(MARKER)) + chunk(b"tIME", bytes(7)),
        ),
        size=ANY_SIZE,
    ),
    "png-with-texts-named-as-pillows-own-facts": Sample(
        lambda: plain_png(
            b"".join(
                chunk(b"tEXt", name + b"\0" + MARKER)
                for name in (b"transparency", b"icc_profile", b"exif", b"loop", b"duration", b"xmp")
            )
        ),
        size=ANY_SIZE,
    ),
    "png-with-private-chunks": Sample(
        lambda: plain_png(chunk(b"prVt", MARKER), chunk(b"prVt", MARKER)) + MARKER, size=ANY_SIZE
    ),
    "gif-with-a-comment-and-xmp": Sample(
        lambda: gif(
            (8, 8),
            [drawn(1)],
            extensions=b"!\xfe\x0e" + MARKER + b"\0" + b"!\xff\x0bXMP DataXMP\x0e" + MARKER + b"\0",
        ),
        size=(8, 8),
    ),
    "animated-gif-with-comments": Sample(
        lambda: gif((8, 8), [drawn(1), drawn(2)], plays=0, extensions=b"!\xfe\x0e" + MARKER + b"\0"), size=(8, 8)
    ),
    "webp-with-exif-and-xmp": Sample(lambda: encoded(scene(), "WEBP", exif=exif(), xmp=MARKER) + MARKER, size=ANY_SIZE),
    "animated-webp-with-exif-and-xmp": Sample(
        lambda: animated(blobs(3), "WEBP", duration=100, exif=exif(), xmp=MARKER), size=(64, 48)
    ),
}


def _of_colour(build: Callable[[], bytes], colour: tuple[int, ...], tolerance: int = 0) -> Sample:
    return Sample(build, size=(16, 16), pixels={(8, 8): colour}, tolerance=tolerance)


PROFILES = {
    "jpeg-of-display-p3": _of_colour(lambda: jpeg(picture=p3_flat(), icc_profile=rgb_profile()), P3_IN_SRGB, 5),
    "png-of-display-p3": _of_colour(lambda: encoded(p3_flat(), "PNG", icc_profile=rgb_profile()), P3_IN_SRGB, 1),
    "webp-of-display-p3": _of_colour(
        lambda: encoded(p3_flat(), "WEBP", quality=95, icc_profile=rgb_profile()), P3_IN_SRGB, 8
    ),
    "palette-png-of-display-p3": _of_colour(
        lambda: encoded(p3_flat().quantize(4), "PNG", icc_profile=rgb_profile()), P3_IN_SRGB, 1
    ),
    "png-of-display-p3-with-alpha": _of_colour(
        lambda: encoded(Image.new("RGBA", (16, 16), (*P3_COLOUR, 99)), "PNG", icc_profile=rgb_profile()),
        (*P3_IN_SRGB[:3], 99),
        1,
    ),
    "png-of-display-p3-with-a-transparent-colour": Sample(
        lambda: png(
            bytes([*P3_COLOUR, 1, 2, 3]),
            (2, 1),
            before=chunk(b"iCCP", b"p3\0\0" + zlib.compress(rgb_profile()))
            + chunk(b"tRNS", struct.pack(">3H", *P3_COLOUR)),
        ),
        size=(2, 1),
        pixels={(0, 0): CLEAR, (1, 0): (1, 2, 3, 255)},
        tolerance=3,
    ),
    "png-of-display-p3-that-is-named-srgb": _of_colour(
        lambda: encoded(p3_flat(), "PNG", icc_profile=rgb_profile(b"sRGB")), P3_IN_SRGB, 1
    ),
    "apng-of-display-p3": _of_colour(
        lambda: animated([p3_flat(), corners((16, 16))], "PNG", duration=100, icc_profile=rgb_profile()), P3_IN_SRGB, 1
    ),
    "animated-webp-of-display-p3": _of_colour(
        lambda: animated(
            [p3_flat(), corners((16, 16))], "WEBP", lossless=True, duration=100, icc_profile=rgb_profile()
        ),
        P3_IN_SRGB,
        8,
    ),
    "png-of-linear-grey": _of_colour(
        lambda: encoded(Image.new("L", (16, 16), LINEAR_GREY), "PNG", icc_profile=grey_profile()), GREY_IN_SRGB, 1
    ),
    "jpeg-of-linear-grey": _of_colour(
        lambda: encoded(Image.new("L", (16, 16), LINEAR_GREY), "JPEG", icc_profile=grey_profile()), GREY_IN_SRGB, 2
    ),
    "png-of-srgb": _of_colour(lambda: encoded(p3_flat(), "PNG", icc_profile=srgb_profile()), (*P3_COLOUR, 255), 1),
    "png-with-a-damaged-profile": _of_colour(
        lambda: encoded(p3_flat(), "PNG", icc_profile=rgb_profile()[:200]), (*P3_COLOUR, 255)
    ),
    "jpeg-with-garbage-for-a-profile": _of_colour(
        lambda: jpeg(picture=p3_flat(), icc_profile=MARKER), (*P3_COLOUR, 255), 5
    ),
    "rgb-png-with-a-profile-for-greys": _of_colour(
        lambda: encoded(p3_flat(), "PNG", icc_profile=grey_profile()), (*P3_COLOUR, 255)
    ),
    "cmyk-jpeg-with-a-profile-for-rgb": _of_colour(
        lambda: encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", icc_profile=rgb_profile()), RED, 5
    ),
}


def _packed(depth: int, colour_type: int, samples: bytes, before: bytes = b"") -> bytes:
    return png(samples, (4, 1), depth=depth, colour_type=colour_type, before=before)


def _line(build: Callable[[], bytes], *colours: tuple[int, ...]) -> Sample:
    return Sample(
        build, size=(len(colours), 1), pixels={(x, 0): colour for x, colour in enumerate(colours)}, tolerance=1
    )


def _grey(value: int, alpha: int = 255) -> tuple[int, ...]:
    return (value, value, value, alpha)


MODES = {
    "grey-png-of-16-bits": _line(
        lambda: sixteen_bits(0, 0x8000, 0xC000, 0xFFFF, colour_type=0), _grey(0), _grey(128), _grey(192), _grey(255)
    ),
    "grey-png-of-16-bits-with-a-transparent-one": _line(
        lambda: sixteen_bits(0x8000, 0xC000, colour_type=0, before=chunk(b"tRNS", b"\x80\0")), CLEAR, _grey(192)
    ),
    "colour-png-of-16-bits": _line(
        lambda: sixteen_bits(0x8000, 0x4000, 0, 0xFFFF, 0, 0xC000, colour_type=2), (128, 64, 0, 255), (255, 0, 192, 255)
    ),
    "colour-png-of-16-bits-with-a-transparent-one": _line(
        lambda: sixteen_bits(
            0x8000, 0x4000, 0, 0xFFFF, 0, 0xC000, colour_type=2, before=chunk(b"tRNS", b"\x80\0\x40\0\0\0")
        ),
        CLEAR,
        (255, 0, 192, 255),
    ),
    "grey-png-of-16-bits-with-alpha": _line(
        lambda: sixteen_bits(0x8000, 0xFFFF, 0xC000, 0x4000, colour_type=4), _grey(128), _grey(192, 64)
    ),
    "colour-png-of-16-bits-with-alpha": _line(
        lambda: sixteen_bits(0x8000, 0x4000, 0, 0xFFFF, 0xFFFF, 0, 0, 0x8000, colour_type=6),
        (128, 64, 0, 255),
        (255, 0, 0, 128),
    ),
    "png-of-1-bit": _line(lambda: _packed(1, 0, b"\x50"), _grey(0), _grey(255), _grey(0), _grey(255)),
    "png-of-1-bit-with-transparent-white": _line(
        lambda: _packed(1, 0, b"\x50", chunk(b"tRNS", b"\0\1")), _grey(0), CLEAR, _grey(0), CLEAR
    ),
    "grey-png-of-2-bits": _line(lambda: _packed(2, 0, b"\x1b"), _grey(0), _grey(85), _grey(170), _grey(255)),
    "grey-png-of-2-bits-with-transparent-white": _line(
        lambda: _packed(2, 0, b"\x1b", chunk(b"tRNS", b"\0\3")), _grey(0), _grey(85), _grey(170), CLEAR
    ),
    "grey-png-of-8-bits-with-a-transparent-one": _line(
        lambda: _packed(8, 0, b"\0\x55\xaa\xff", chunk(b"tRNS", b"\0\x55")), _grey(0), CLEAR, _grey(170), _grey(255)
    ),
    "grey-png-with-alpha": _line(lambda: png(b"\x55\xff\xaa\x40", (2, 1), colour_type=4), _grey(85), _grey(170, 64)),
    "png-with-alpha": _line(lambda: png(b"\xff\0\0\xff\0\xff\0\x40", (2, 1), colour_type=6), RED, (0, 255, 0, 64)),
    "png-with-a-transparent-colour": _line(
        lambda: png(b"\1\2\3\4\5\6", (2, 1), before=chunk(b"tRNS", b"\0\1\0\2\0\3")), CLEAR, (4, 5, 6, 255)
    ),
    "palette-png": _line(lambda: _packed(2, 3, b"\x1b", plte()), RED, GREEN, BLUE, WHITE),
    "palette-png-with-transparency": _line(
        lambda: _packed(8, 3, b"\0\1\2\3", plte() + chunk(b"tRNS", b"\xff\x80\0")),
        RED,
        (0, 255, 0, 128),
        CLEAR,
        WHITE,
    ),
    "interlaced-png": Sample(interlaced_png, size=(48, 32), pixels=upright_pixels(1)),
    "grey-jpeg": Sample(
        lambda: jpeg(picture=Image.new("L", (16, 16), 90)), size=(16, 16), pixels={(8, 8): _grey(90)}, tolerance=2
    ),
    "progressive-jpeg": Sample(
        lambda: jpeg(picture=corners(), progressive=True), size=(48, 32), pixels=upright_pixels(1), tolerance=8
    ),
    "cmyk-jpeg": _of_colour(
        lambda: encoded(Image.new("CMYK", (16, 16), (255, 0, 255, 0)), "JPEG", quality=95), GREEN, 8
    ),
    "cmyk-jpeg-of-dark-ink": _of_colour(
        lambda: encoded(Image.new("CMYK", (16, 16), (0, 0, 0, 155)), "JPEG", quality=95), _grey(100), 8
    ),
    "ycck-jpeg": _of_colour(lambda: ycck_jpeg(0, 255, 255, 0), RED, 8),
    "ycck-jpeg-of-dark-ink": _of_colour(lambda: ycck_jpeg(0, 100, 200, 100), (155, 94, 33, 255), 8),
    "webp-with-alpha": Sample(
        lambda: encoded(Image.new("RGBA", (16, 16), (250, 90, 30, 99)), "WEBP", lossless=True),
        size=(16, 16),
        pixels={(8, 8): (250, 90, 30, 99)},
        tolerance=8,
    ),
    "gif": _line(lambda: gif((4, 1), [GifFrame((0, 0, 4, 1), b"\0\1\2\3", transparent=2)]), RED, GREEN, CLEAR, WHITE),
    "gif-of-greys": _line(
        lambda: gif((4, 1), [GifFrame((0, 0, 4, 1), b"\3\2\1\0")], palette=GREYS), *map(_grey, (3, 2, 1, 0))
    ),
    "gif-whose-frame-is-a-part": Sample(
        lambda: gif((8, 8), [GifFrame((2, 2, 4, 4), bytes(16))]), size=(8, 8), pixels={(0, 0): CLEAR, (3, 3): RED}
    ),
    "gif-without-a-trailer": _line(
        lambda: gif((4, 1), [GifFrame((0, 0, 4, 1), b"\0\1\2\3")], end=b""), RED, GREEN, BLUE, WHITE
    ),
    "gif-without-the-end-of-its-frame": _line(
        lambda: gif((4, 1), [GifFrame((0, 0, 4, 1), b"\0\1\2\3")], end=b"")[:-1], RED, GREEN, BLUE, WHITE
    ),
    "gif-with-bytes-before-its-frame": _line(
        lambda: gif((4, 1), [GifFrame((0, 0, 4, 1), b"\0\1\2\3")], extensions=b"\0\0ab"), RED, GREEN, BLUE, WHITE
    ),
    "gif-whose-screen-is-too-small": _line(
        lambda: gif((2, 1), [GifFrame((0, 0, 4, 1), b"\0\1\2\3")]), RED, GREEN, BLUE, WHITE
    ),
    "gif-whose-frame-begins-within-its-screen-and-ends-beyond": _line(
        lambda: gif((2, 1), [GifFrame((1, 0, 3, 1), b"\0\1\2")]), CLEAR, RED, GREEN, BLUE
    ),
    "gif-of-an-older-kind": Sample(
        lambda: gif((8, 8), [GifFrame((0, 0, 8, 8), bytes(64))]).replace(b"GIF89a", b"GIF87a"),
        size=(8, 8),
        pixels={(4, 4): RED},
    ),
}

SIZES = {
    "jpeg-of-just-5-mib": Sample(lambda: padded_jpeg(MAX_BYTES), size=ANY_SIZE),
    "png-of-just-5-mib": Sample(
        lambda: plain_png(chunk(b"prVt", bytes(MAX_BYTES - len(plain_png()) - 12))), size=ANY_SIZE
    ),
    "jpeg-of-40-megapixels": Sample(lambda: large("JPEG", orientation=6), size=(5000, 8000)),
    "png-of-40-megapixels": Sample(lambda: png(bytes(40_000_000), (8000, 5000), colour_type=0), size=(8000, 5000)),
    "gif-of-40-megapixels": Sample(lambda: large("GIF"), size=(8000, 5000)),
    "webp-of-40-megapixels": Sample(lambda: large("WEBP", orientation=6), size=(5000, 8000)),
    "transparent-webp-of-30-megapixels": Sample(lambda: transparent_webp((6000, 5000)), size=(5000, 6000)),
    "lossless-webp-of-24-megapixels": Sample(
        lambda: encoded(Image.open(io.BytesIO(large("PNG", (6000, 4000)))), "WEBP", lossless=True, method=0, quality=0),
        size=(6000, 4000),
    ),
    **{
        f"{image_format.lower()}-of-one-pixel": Sample(
            lambda image_format=image_format: encoded(Image.new("RGB", (1, 1)), image_format), size=(1, 1)
        )
        for image_format in ("JPEG", "PNG", "GIF", "WEBP")
    },
    "jpeg-of-a-long-strip": Sample(lambda: encoded(Image.new("RGB", (40_000, 100)), "JPEG"), size=(40_000, 100)),
    "png-of-a-tall-strip": Sample(lambda: encoded(Image.new("L", (100, 40_000)), "PNG"), size=(100, 40_000)),
    "png-of-a-line": Sample(lambda: png(bytes(125_000), (1_000_000, 1), depth=1, colour_type=0), size=(1_000_000, 1)),
    "png-of-a-column": Sample(lambda: png(bytes(1_000_000), (1, 1_000_000), colour_type=0), size=(1, 1_000_000)),
    "gif-of-300-frames": Sample(lambda: many_frames(300), size=(4, 4)),
}

_TRANSPARENT = {"transparent": 3, "disposal": 2}

ANIMATIONS = {
    "gif": lambda: gif((8, 8), [drawn(seed, delay=5 * seed) for seed in range(1, 5)], plays=0),
    "gif-that-plays-once": lambda: gif((8, 8), [drawn(1), drawn(2)]),
    "gif-that-plays-four-times": lambda: gif((8, 8), [drawn(1), drawn(2)], plays=3),
    "gif-without-delays": lambda: gif((8, 8), [drawn(1, delay=0), drawn(2, delay=0)], plays=0),
    "gif-of-parts": lambda: gif((8, 8), [drawn(1), drawn(2, (2, 2, 4, 4)), drawn(3, (5, 1, 3, 6))], plays=0),
    "gif-of-local-palettes": lambda: gif(
        (8, 8),
        [drawn(1, palette=PALETTE), drawn(2, palette=OTHER_PALETTE), drawn(3, (1, 1, 4, 4), palette=PALETTE)],
        palette=None,
        plays=0,
    ),
    "gif-of-local-and-global-palettes": lambda: gif(
        (8, 8), [drawn(1), drawn(2, (2, 2, 4, 4), palette=OTHER_PALETTE), drawn(3, (1, 3, 4, 4))], plays=0
    ),
    "gif-of-transparent-frames-one-over-the-other": lambda: gif(
        (8, 8), [drawn(1, transparent=3), drawn(2, (2, 2, 4, 4), transparent=3), drawn(3, transparent=0)], plays=0
    ),
    "gif-that-is-cleared-between-frames": lambda: gif(
        (8, 8), [drawn(1, **_TRANSPARENT), drawn(2, (2, 2, 4, 4), **_TRANSPARENT), drawn(3, **_TRANSPARENT)], plays=0
    ),
    "gif-that-is-restored-between-frames": lambda: gif(
        (8, 8),
        [
            drawn(1, transparent=3),
            drawn(2, (2, 2, 4, 4), transparent=3, disposal=3),
            drawn(3, (3, 3, 4, 4), transparent=3, disposal=3),
            drawn(4, transparent=3),
        ],
        plays=0,
    ),
    "gif-of-opaque-frames-that-are-cleared": lambda: gif(
        (8, 8), [drawn(1), drawn(2, (2, 2, 4, 4), disposal=2), drawn(3, (0, 0, 3, 3), disposal=2)], plays=0
    ),
    "gif-of-opaque-frames-that-are-restored": lambda: gif(
        (8, 8), [drawn(1), drawn(2, (2, 2, 4, 4), disposal=3), drawn(3, (0, 0, 3, 3))], plays=0
    ),
    "gif-whose-first-frame-is-a-part": lambda: gif((8, 8), [drawn(1, (2, 2, 4, 4)), drawn(2, (0, 0, 3, 3))], plays=0),
    "gif-of-another-transparent-index-each": lambda: gif(
        (8, 8), [drawn(seed, transparent=seed, disposal=2) for seed in range(3)], plays=0
    ),
    "gif-of-another-palette-and-transparent-index-each": lambda: gif(
        (8, 8), [drawn(1, transparent=0), drawn(2, palette=OTHER_PALETTE, transparent=1), drawn(3, transparent=2)]
    ),
    "gif-of-512-colours": lambda: gif(
        (32, 32),
        [
            drawn(1, (0, 0, 32, 32), 256, palette=colourful(256, 1)),
            drawn(2, (8, 8, 16, 16), 256, palette=colourful(256, 2)),
        ],
        palette=None,
        plays=0,
    ),
    "gif-of-transparent-frames-of-256-colours": lambda: gif(
        (32, 32),
        [
            drawn(seed, (0, 0, 32, 32), 256, palette=colourful(256, seed), transparent=0, disposal=2)
            for seed in range(2)
        ],
        palette=None,
        plays=0,
    ),
    "gif-of-greys-and-then-colours": lambda: gif(
        (8, 8), [drawn(1, palette=GREYS), drawn(2, (2, 2, 4, 4), palette=PALETTE)], palette=None, plays=0
    ),
    "gif-of-equal-frames": lambda: gif((8, 8), [drawn(1), drawn(1, delay=20), drawn(2)], plays=0),
    "gif-of-equal-frames-of-eleven-minutes": lambda: gif(
        (8, 8), [drawn(1, delay=65_535), drawn(1, delay=65_535), drawn(2)], plays=0
    ),
    "gif-without-its-trailer": lambda: gif((8, 8), [drawn(1), drawn(2)], plays=0, end=b""),
    "gif-with-bytes-between-its-blocks": lambda: gif(
        (8, 8), [], plays=0, extensions=b"\0\0".join(gif_frame(drawn(seed), PALETTE) for seed in range(3))
    ),
    "gif-with-frames-beyond-its-screen": lambda: gif(
        (8, 8),
        [
            drawn(1),
            drawn(2, (4, 4, 8, 8)),
            drawn(3, (20, 0, 4, 4), disposal=2),
            drawn(4, (0, 6, 8, 9), disposal=2, transparent=2),
            drawn(5, (0, 0, 4, 4)),
        ],
        plays=0,
    ),
    "webp": lambda: animated(blobs(4, mode="RGB"), "WEBP", quality=95, duration=[100, 50, 30, 200], loop=0),
    "webp-with-alpha": lambda: animated(
        [faded((64, 48)), *blobs(3)], "WEBP", lossless=True, duration=[100, 50, 30, 200], loop=3
    ),
    "webp-of-opaque-parts": lambda: animated(blobs(4), "WEBP", lossless=True, duration=100),
    "webp-of-parts-without-loss": lambda: animated(
        [scene((64, 48)), *(_with_a_patch(scene((64, 48)), place) for place in (4, 11, 30))],
        "WEBP",
        lossless=True,
        duration=[100, 50, 30, 200],
    ),
    "webp-on-its-side-without-loss": lambda: animated(
        [corners(), corners().rotate(180), scene((48, 32))], "WEBP", lossless=True, duration=100, exif=exif(6)
    ),
    "webp-without-delays": lambda: animated(blobs(3, mode="RGB"), "WEBP", quality=95, duration=0),
}

# Animations that are kept as their first image.
ANIMATED_PNGS = {
    "apng": Sample(lambda: whole("apng"), size=(8, 8)),
    "apng-with-a-further-image": Sample(
        lambda: apng((8, 8), [noise(256, 1), noise(256, 2)], default=noise(256, 9)), size=(8, 8)
    ),
    "apng-of-a-transparent-palette": Sample(
        lambda: apng(
            (8, 8),
            [noise(64, seed, 4) for seed in range(3)],
            colour_type=3,
            before=plte() + chunk(b"tRNS", b"\xff\x80\0"),
        ),
        size=(8, 8),
    ),
    "apng-of-16-bits": Sample(
        lambda: apng((2, 1), [struct.pack(">HH", 0x8000, 0xC000), bytes(4)], colour_type=0, depth=16),
        size=(2, 1),
        pixels={(0, 0): _grey(128), (1, 0): _grey(192)},
        tolerance=1,
    ),
    "apng-with-exif-and-texts": Sample(
        lambda: apng(
            (8, 8),
            [noise(256, 1), noise(256, 2)],
            before=chunk(b"eXIf", exif()) + chunk(b"tEXt", b"Author\0" + MARKER),
        ),
        size=(8, 8),
    ),
    "apng-of-301-frames": Sample(lambda: apng((2, 1), [noise(8, seed) for seed in range(301)]), size=(2, 1)),
    "apng-of-80-megapixels-in-all": Sample(lambda: oversized_animation("PNG"), size=(2000, 2000)),
    "apng-of-garbage-behind-its-first-image": Sample(
        lambda: apng((8, 8), [noise(256, 1)]).replace(chunk(b"IEND"), chunk(b"fdAT", MARKER) + chunk(b"IEND")),
        size=(8, 8),
        pixels={(0, 0): tuple(noise(256, 1)[:4])},
    ),
}

SAMPLES: dict[str, Sample] = {
    **TRUNCATED,
    **BOMBS,
    **DISGUISED,
    **DAMAGED,
    **METADATA,
    **PROFILES,
    **MODES,
    **SIZES,
    **ANIMATED_PNGS,
}

# Small files that cost a decoder long, for nothing that is shown.
COSTLY: dict[str, Callable[[], bytes]] = {
    "jpeg-of-60000-scans": lambda: jpeg_of_scans(60_000),
    "jpeg-of-490-refining-scans": lambda: jpeg_of_refining_scans(490, (6300, 6300)),
    "jpeg-of-18-refining-scans-of-40-megapixels": lambda: jpeg_of_refining_scans(18, (8000, 5000)),
    "jpeg-of-5-million-fill-bytes": lambda: b"\xff\xd8" + b"\xff" * 5_000_000 + b"\0",
    "jpeg-of-40-megapixels": lambda: large("JPEG"),
    "webp-of-40-megapixels": lambda: large("WEBP"),
    "png-of-40-megapixels": lambda: large("PNG"),
    "png-of-40-megapixels-of-which-a-larger-is-made": growing_png,
    "png-of-400000-pieces-of-data": lambda: flood(chunk(b"IDAT"), plain_png(), at=33),
    "jpeg-of-exif-in-half-a-million-segments": lambda: flood(segment(0xE1, EXIF + bytes(10)), jpeg(), at=2),
    "png-of-5000-texts-of-a-mebibyte-without-names": lambda: flood(
        chunk(b"zTXt", b"\0\0" + zlib.compress(bytes(MIB - 1), 9)), plain_png(), at=33
    ),
    "png-of-5000-texts-of-a-mebibyte-that-are-no-text": lambda: flood(
        chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(b"\xff" * (MIB - 1), 9)), plain_png(), at=33
    ),
    "png-of-5000-profiles-of-a-mebibyte": lambda: flood(
        chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(MIB - 1), 9)), plain_png(), at=33
    ),
    "png-of-half-a-million-chunks": lambda: flood(chunk(b"tEXt"), plain_png(), at=33),
    "gif-of-half-a-million-frames": lambda: gif(
        (1, 1), [], extensions=(b"," + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0") * 349_000
    ),
    "gif-of-5-million-bytes-between-blocks": lambda: gif((8, 8), [drawn(1)], extensions=bytes(5_000_000)),
    "gif-of-a-comment-in-two-million-parts": lambda: gif(
        (8, 8), [drawn(1), drawn(2)], extensions=b"!\xfe" + b"\1A" * 2_600_000 + b"\0"
    ),
}
