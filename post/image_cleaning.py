"""
What becomes of an uploaded image: decoded, freed of all that is not picture, and encoded anew.

``post.images`` runs this file as a program in a process of its own, which imports nothing of the
service: what hostile bytes cost in memory and time, or break in a decoder, ends with that process,
and neither the service's memory nor its environment is within their reach. It reads the file from
stdin and writes to stdout a line of JSON, then the image, then its thumbnail.
"""

import ctypes
import io
import json
import resource
import signal
import sys
import traceback
import warnings
import zipfile
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from PIL import GifImagePlugin, Image, ImageChops, ImageCms

MAX_PIXELS = 40_000_000
MAX_FRAMES = 300
MAX_ANIMATION_PIXELS = {"GIF": 75_000_000, "WEBP": 75_000_000, "PNG": 40_000_000}  # of all frames: 6 s, or 600 MB
MAX_KEPT_BYTES = 10 * 1024**2  # twice what may be uploaded
MAX_MEMORY_BYTES = 800 * 1024**2  # of addresses: up to 700 MiB in use, which a pod of 1 GiB has beside two workers
MAX_CPU_SECONDS = 10
THUMBNAIL_MAX_WIDTH = 480
THUMBNAIL_MAX_HEIGHT = 4_800  # keeps a strip of 40 megapixels within what WebP can say (16,383)
GIF_TRAILER = b";"  # GIF 89a, section 27
PNG_END = b"IEND\xaeB`\x82"  # PNG, section 11.2.5, with its checksum
WEBP_OUT_OF_MEMORY = "encoding error 1"  # libwebp's VP8_ENC_ERROR_OUT_OF_MEMORY
PR_SET_PDEATHSIG = 1  # prctl(2)
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
MODES = {"JPEG": {"L", "RGB"}, "PNG": {"1", "L", "LA", "P", "RGB", "RGBA"}, "GIF": {"1", "L", "P", "RGB", "RGBA"}}
STILL: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 85},
    "PNG": {},
    "GIF": {},
    "WEBP": {"quality": 90, "method": 2},  # a slower method gains little, and takes 10 s for 40 megapixels
}
# Decoding gives whole frames, so they replace what was there before them.
ANIMATION: dict[str, dict[str, Any]] = {
    "PNG": {"disposal": 0, "blend": 0, "default_image": False, "icc_profile": None},
    "GIF": {"comment": b""},
    "WEBP": {"quality": 85, "method": 1},
}

# A frame of the palette that the first one has needs no other: converted, it would lose colours.
GifImagePlugin.LOADING_STRATEGY = GifImagePlugin.LoadingStrategy.RGB_AFTER_DIFFERENT_PALETTE_ONLY
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


class Refused(Exception):
    """The image is not accepted: a key of the message catalogue, with its parameters."""

    def __init__(self, key: str, **params: Any) -> None:
        super().__init__(key)
        self.key, self.params = key, params


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


@dataclass
class _Frames:
    """
    The frames of an animation.

    Attributes:
        durations: Of each, in milliseconds.
        thumbnail: Of the first.
        uncover: Whether something of a frame is to be gone in the next one.
        redrawn: The frames themselves, where the file's own cannot be written as they are.
    """

    durations: list[float] = field(default_factory=list)
    thumbnail: bytes = b""
    uncover: bool = False
    redrawn: list[Image.Image] = field(default_factory=list)


def clean(data: bytes) -> Cleaned:
    """
    Decode an image and encode it anew, upright and with nothing but the picture.

    Args:
        data: A file that begins as a JPEG, PNG, GIF or WebP.

    Raises:
        Refused: It breaks a limit, is damaged, or is something else as well.
        Exception: Whatever Pillow raises over damaged files.
    """
    _refuse_polyglots(data)
    with _open(data) as image:
        kept_format = "JPEG" if image.format == "MPO" else str(image.format)
        _refuse_cut_off(data, kept_format)
        if _count_frames(image, kept_format) > 1:
            return _clean_animation(image, kept_format, data)
        image.load()
        orientation = image.getexif().get(ORIENTATION)
        picture = image._new(image.im)  # noqa: SLF001 - without the file, and WebP's decoder of thrice the picture's size
    del image
    picture = _as_kept(_upright(_in_srgb(picture), orientation), kept_format)
    return Cleaned(kept_format, *picture.size, _encoded(picture, kept_format, STILL[kept_format]), _thumbnail(picture))


def _refuse_polyglots(data: bytes) -> None:
    # Each would be opened as that by its own readers (PDF: ISO 32000-1, annex H.3.4.1).
    if zipfile.is_zipfile(io.BytesIO(data)):
        raise Refused("image_is_more", format="ZIP")
    if b"%PDF-" in data[:1024]:
        raise Refused("image_is_more", format="PDF")


def _refuse_cut_off(data: bytes, kept_format: str) -> None:
    # Pillow takes these for whole where they end between two blocks.
    if kept_format == "GIF" and not data.rstrip(b"\0").endswith(GIF_TRAILER):
        raise Refused("image_damaged")
    if kept_format == "PNG" and PNG_END not in data:
        raise Refused("image_damaged")


def _open(data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "GIF", "WEBP"))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as exc:
        raise Refused("too_many_pixels", maximum=MAX_PIXELS // 1_000_000) from exc
    if image.width * image.height > MAX_PIXELS:
        raise Refused("too_many_pixels", maximum=MAX_PIXELS // 1_000_000)
    return image


def _count_frames(image: Image.Image, kept_format: str) -> int:
    if kept_format == "JPEG":  # an MPO's further pictures are of the same scene, not of an animation
        return 1
    frames: int = getattr(image, "n_frames", 1)
    if frames > MAX_FRAMES:
        raise Refused("too_many_frames", maximum=MAX_FRAMES)
    if frames > 1 and frames * image.width * image.height > MAX_ANIMATION_PIXELS[kept_format]:
        raise Refused("animation_too_large", maximum=MAX_ANIMATION_PIXELS[kept_format] // 1_000_000)
    return frames


def _clean_animation(image: Image.Image, kept_format: str, data: bytes) -> Cleaned:
    frames = _read_frames(image, kept_format)
    options = ANIMATION[kept_format] | {"duration": frames.durations, "save_all": True}
    if "loop" in image.info:  # how often it plays; without, once
        options["loop"] = image.info["loop"]
    if kept_format == "GIF" and frames.uncover:
        options["disposal"] = 2  # else what shows through a frame is the one before it
    if frames.redrawn:
        first, *others = frames.redrawn
        content = _encoded(first, kept_format, options | {"append_images": others})
        return Cleaned(kept_format, *first.size, content, frames.thumbnail)
    with _open(data) as again:  # its frames are read one by one, while they are written
        return Cleaned(kept_format, *again.size, _encoded(again, kept_format, options), frames.thumbnail)


def _read_frames(image: Image.Image, kept_format: str) -> _Frames:
    frames = _Frames()
    orientation = image.getexif().get(ORIENTATION)
    # Pillow can neither go back to an APNG's first frame nor write one with palettes.
    is_redrawn = kept_format == "PNG" or orientation in UPRIGHT or "icc_profile" in image.info
    size, covered = image.size, None
    # What an APNG shows where animations are unknown is no frame of it.
    for number in range(1 if getattr(image, "default_image", False) else 0, image.n_frames):  # type: ignore[attr-defined]  # of the plugins that know animations
        image.seek(number)
        image.load()
        if image.size != size:  # a frame that reaches over the edge; Pillow cannot write such
            raise Refused("image_damaged")
        frames.durations.append(image.info.get("duration", 0))
        if kept_format == "GIF":
            covers = image.convert("RGBA").getchannel("A")
            frames.uncover |= covered is not None and ImageChops.subtract(covered, covers).getbbox() is not None
            covered = covers
        if is_redrawn or number == 0:
            picture = _upright(_in_srgb(image.copy()), orientation).convert("RGBA")
            frames.redrawn += [picture] if is_redrawn else []
            frames.thumbnail = frames.thumbnail or _thumbnail(picture)
    return frames


def _in_srgb(image: Image.Image) -> Image.Image:
    """Return the picture in sRGB, which is what a browser takes an image without a profile for."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "P"):
        return image
    if image.mode == "P":
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return image
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        is_same = image.mode == mode
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), image.mode, mode)
        return ImageCms.applyTransform(image, transform, inPlace=is_same) or image
    except (ImageCms.PyCMSError, OSError, ValueError):  # a damaged profile: nobody could show it otherwise
        return image


def _upright(picture: Image.Image, orientation: int | None) -> Image.Image:
    return picture.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else picture


def _as_kept(picture: Image.Image, kept_format: str) -> Image.Image:
    if picture.mode.startswith(("I", "F")):  # 16 bits of grey, of which a screen shows 8
        transparency = picture.info.pop("transparency", None)
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
        if isinstance(transparency, int):
            picture.info["transparency"] = transparency // 256
    if picture.mode not in MODES.get(kept_format, {"RGB", "RGBA"}):
        has_alpha = picture.has_transparency_data and kept_format != "JPEG"
        picture = picture.convert("RGBA" if has_alpha else "RGB")
    # The rest would be written again: comments, profiles, resolutions.
    picture.info = {name: value for name, value in picture.info.items() if name == "transparency"}
    return picture


def _thumbnail(picture: Image.Image) -> bytes:
    scale = min(1, THUMBNAIL_MAX_WIDTH / picture.width, THUMBNAIL_MAX_HEIGHT / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    small = picture if picture.mode == mode else picture.convert(mode)
    small = small.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)  # a copy, also of the same size
    return _encoded(small, "WEBP", {"quality": 80})


def _encoded(picture: Image.Image, image_format: str, options: dict[str, Any]) -> bytes:
    output = io.BytesIO()
    try:
        picture.save(output, image_format, **options)
    except ValueError as exc:
        if str(exc) != WEBP_OUT_OF_MEMORY:
            raise
        raise MemoryError from exc
    if output.tell() > MAX_KEPT_BYTES:
        raise Refused("image_too_complex")
    return output.getvalue()


def _limit_this_process() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a worker that is killed takes this process with it
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def main() -> None:
    """Clean the image that stdin has; what is told on stderr is for the log."""
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
    except Exception:  # noqa: BLE001 - there is no end to what Pillow raises over damaged files
        traceback.print_exc()
        verdict = {"refused": "image_damaged", "params": {}}
    sys.stdout.buffer.write(json.dumps(verdict).encode() + b"\n" + content + thumbnail)


if __name__ == "__main__":
    main()
