"""One picture: decoded as browsers show it, encoded again, and its thumbnail. It knows nothing of the service."""

import io
import itertools
import struct
from typing import Any

from PIL import Image, ImageChops, ImageCms

MAX_PIXELS = 40_000_000
MAX_KEPT_BYTES = 10 * 1024**2  # twice what may be uploaded
THUMBNAIL_MAX_WIDTH = 480
THUMBNAIL_MAX_HEIGHT = 4_800  # keeps a strip of 40 megapixels below the limit of WebP (16,383)
ORIENTATION = 0x0112  # Exif 2.3, 4.6.4
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Errors that Pillow raises on damaged EXIF; any other is logged, and the image refused.
DAMAGED_EXIF = (SyntaxError, ValueError, TypeError, LookupError, OverflowError, OSError, struct.error)
MODES = {"JPEG": {"L", "RGB"}, "PNG": {"1", "L", "LA", "P", "RGB", "RGBA"}}

Image.MAX_IMAGE_PIXELS = MAX_PIXELS


class Refused(Exception):
    """The image is not accepted: a key of the message catalogue, with its parameters."""

    def __init__(self, key: str, **params: Any) -> None:
        super().__init__(key)
        self.key, self.params = key, params


def open_image(data: bytes) -> Image.Image:
    """Open a JPEG, PNG or WebP within the limit of pixels, without decoding it."""
    try:
        image = Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP"))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as exc:
        raise Refused("too_many_pixels", maximum=MAX_PIXELS // 1_000_000) from exc
    check_pixels(image.size)
    return image


def check_pixels(size: tuple[int, int]) -> None:
    """Refuse a size over 40 megapixels."""
    if size[0] * size[1] > MAX_PIXELS:
        raise Refused("too_many_pixels", maximum=MAX_PIXELS // 1_000_000)


def decode(image: Image.Image, data: bytes) -> tuple[Image.Image, int]:
    """Return the picture, not yet turned upright, and its orientation."""
    image.load()
    picture = image._new(image.im)  # noqa: SLF001 - frees the file, and WebP's decoder of three times the picture's size
    if image.format == "PNG":
        picture = _to_eight_bits(picture, data[24])
    picture = _to_kept_mode(to_srgb(picture, image.info.get("icc_profile")), str(image.format))
    return picture, read_orientation(image)


def read_orientation(image: Image.Image) -> int:
    """Return the orientation in EXIF, 1 to 8."""
    try:
        orientation = image.getexif().get(ORIENTATION)
    except DAMAGED_EXIF:  # the picture is intact
        return 1
    return orientation if orientation in UPRIGHT else 1


def _to_eight_bits(picture: Image.Image, depth: int) -> Image.Image:
    """Return a picture of 16 bits with 8; Pillow leaves its transparent colour at the file's depth."""
    transparent = picture.info.get("transparency")
    if picture.mode.startswith("I"):
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
    if transparent is not None and picture.mode in ("L", "RGB"):
        colours = transparent if isinstance(transparent, tuple) else (transparent,)
        scaled = tuple(colour >> 8 if depth == 16 else colour * 255 // (2**depth - 1) for colour in colours)
        picture.info["transparency"] = scaled if len(scaled) > 1 else scaled[0]
        return picture.convert("RGBA" if picture.mode == "RGB" else "LA")
    return picture


def to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert a picture to sRGB, which browsers assume for an image without a profile."""
    if not profile:
        return picture
    if picture.mode == "P":
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if picture.mode in ("L", "LA"):
            return _greys_to_srgb(picture, source)
        if picture.mode not in ("RGB", "RGBA", "CMYK"):
            return picture
        mode = "RGBA" if picture.mode == "RGBA" else "RGB"
        is_same = picture.mode == mode
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), picture.mode, mode)
        if is_same and _is_srgb(transform, mode):
            return picture
        return ImageCms.applyTransform(picture, transform, inPlace=is_same) or picture
    except (ImageCms.PyCMSError, OSError, ValueError):  # a damaged profile, which no browser can apply
        return picture


def _greys_to_srgb(picture: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "L", "RGB")
    ramp = Image.frombytes("L", (256, 1), bytes(range(256)))
    shown = ImageCms.applyTransform(ramp, transform)
    grey, *alpha = picture.split()
    grey = grey.point(list(shown.convert("L").tobytes()))  # type: ignore[union-attr]  # not in place
    return Image.merge("LA", [grey, *alpha]) if alpha else grey


def _is_srgb(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Check if a profile is sRGB by its effect: names and rounding of sRGB profiles differ."""
    steps = bytes(itertools.chain.from_iterable(itertools.product(range(0, 256, 15), repeat=3)))
    probe = Image.frombytes("RGB", (18**3, 1), steps).convert(mode)
    changed = ImageCms.applyTransform(probe, transform)
    differences = ImageChops.difference(probe, changed).split()  # type: ignore[arg-type]  # not in place
    return all(not any(band.histogram()[3:]) for band in differences)


def turn_upright(picture: Image.Image, orientation: int) -> Image.Image:
    """Turn a picture as its orientation asks."""
    return picture.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else picture


def _to_kept_mode(picture: Image.Image, kept_format: str) -> Image.Image:
    if picture.mode not in MODES.get(kept_format, {"RGB", "RGBA"}):
        has_alpha = picture.has_transparency_data and kept_format != "JPEG"
        picture = picture.convert("RGBA" if has_alpha else "RGB")
    # Pillow would write the rest again: comments, profiles, resolutions.
    picture.info = {name: value for name, value in picture.info.items() if name == "transparency"}
    return picture


def make_thumbnail(picture: Image.Image) -> bytes:
    """Encode a WebP of at most 480 pixels in width."""
    scale = min(1, THUMBNAIL_MAX_WIDTH / picture.width, THUMBNAIL_MAX_HEIGHT / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    small = picture if picture.mode == mode else picture.convert(mode)
    small = small.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)  # a copy, even at the same size
    return encode(small, "WEBP", {"quality": 80})


def encode(picture: Image.Image, image_format: str, options: dict[str, Any]) -> bytes:
    """Encode a picture within the limit of bytes."""
    output = _KeptBytes()
    try:
        picture.save(output, image_format, **options)
    except ValueError as exc:  # libwebp out of memory
        raise Refused("image_too_complex") from exc
    return output.getvalue()


class _KeptBytes(io.BytesIO):
    """A file that refuses more than is kept, so that no encoder works on in vain."""

    def write(self, content: Any) -> int:
        check_kept_bytes(self.tell() + len(content))
        return super().write(content)


def check_kept_bytes(size: int) -> None:
    """Refuse an encoded image that has more bytes than are kept."""
    if size > MAX_KEPT_BYTES:
        raise Refused("image_too_complex")
