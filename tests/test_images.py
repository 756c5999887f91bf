"""What becomes of uploaded image files: refused for what they are, or kept with nothing but the picture."""

import contextlib
import functools
import io
import json
import struct
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from PIL import Image, ImageChops, ImageStat

from post.errors import Overloaded
from post.images import cleaner as images
from post.images.cleaner import CleanImage, ImageCleaner, ImageRefused, check_beginning
from post.images.program import clean as image_cleaning
from tests.answers import fault
from tests.conftest import at_once
from tests.image_samples import (
    ANIMATED_PNGS,
    ANIMATIONS,
    COSTLY,
    MARKER,
    MIB,
    MODES,
    PROFILES,
    SAMPLES,
    animated,
    corners,
    encoded,
    growing_png,
    jpeg,
    many_frames,
    oversized_animation,
    scene,
    zipped,
)
from tests.servers import HANG_SECONDS, PROJECT

pytestmark = pytest.mark.slow

REFUSED = [name for name, sample in SAMPLES.items() if sample.refused and not sample.may_be_kept]
KEPT = [name for name, sample in SAMPLES.items() if not sample.refused]
DOUBTFUL = [name for name, sample in SAMPLES.items() if sample.may_be_kept]
FORMATS = {"JPEG", "PNG", "GIF", "WEBP"}
CLEANER = ImageCleaner(waiting_max=8)


def clean_image(file: io.BytesIO) -> CleanImage:
    return CLEANER.clean(file, user_id="ana", deadline=time.monotonic() + HANG_SECONDS)


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """A busy machine takes its time for the largest pictures."""
    monkeypatch.setattr(images, "CLEANING_TIMEOUT_SECONDS", HANG_SECONDS)


@functools.cache
def outcome(name: str) -> CleanImage | ImageRefused:
    """What the service does with a sample, done once."""
    file = io.BytesIO(SAMPLES[name].build())
    try:
        check_beginning(file)
        return clean_image(file)
    except ImageRefused as refusal:
        return refusal


def kept(name: str) -> CleanImage:
    image = outcome(name)
    assert isinstance(image, CleanImage), image.key
    return image


def cleaned_here(data: bytes) -> image_cleaning.Cleaned:
    """What the program makes of a file, without the process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return image_cleaning.clean(data)


def opened(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


# What a file is made of


def parts_of(content: bytes) -> set[str]:
    """The names of all that a file has, from its first byte to its last."""
    if content.startswith(b"\xff\xd8"):
        return set(jpeg_segments(content))
    if content.startswith(b"\x89PNG"):
        return {name.decode() for name, _ in png_chunks(content)}
    if content.startswith(b"GIF"):
        return {name for name, _ in gif_blocks(content)}
    return set(webp_chunks(content))


def jpeg_segments(content: bytes) -> Iterator[str]:
    """Up to the data, which is taken to be the rest."""
    assert content.endswith(b"\xff\xd9")
    position = 2
    while content[position + 1] != 0xDA:
        assert content[position] == 0xFF
        yield f"{content[position + 1]:02X}"
        position += 2 + int.from_bytes(content[position + 2 : position + 4])


def png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 8
    while position < len(content):
        length, name = struct.unpack_from(">I4s", content, position)
        yield name, content[position + 8 : position + 8 + length]
        position += 12 + length
    assert name == b"IEND"


def gif_blocks(content: bytes) -> Iterator[tuple[str, int]]:
    """Each block's name, and where it begins."""
    position = 13 + gif_table_bytes(content[10])
    content += b";"  # which may be missing
    while content[position] != 0x3B:
        if content[position] == 0:
            position += 1
            continue
        if content[position] == 0x21:
            label = content[position + 1]
            application = content[position + 3 : position + 14].decode() if label == 0xFF else ""
            yield application or f"{label:02X}", position
            position += 2
        else:
            assert content[position] == 0x2C
            yield "image", position
            position += 11 + gif_table_bytes(content[position + 9])
        while content[position]:
            position += 1 + content[position]
        position += 1
    assert position >= len(content) - 2


def gif_table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def webp_chunks(content: bytes) -> Iterator[str]:
    position = 12
    while position < len(content):
        name, length = struct.unpack_from("<4sI", content, position)
        yield name.decode().strip()
        position += 8 + length + length % 2
    assert position == len(content)


# Frames, tables, quantisation, transparency, and how an animation is played.
PICTURE_PARTS = {
    "JPEG": {"E0", "DB", "C0", "C2", "C4", "DD"},
    "PNG": {"IHDR", "PLTE", "tRNS", "IDAT", "IEND", "sRGB"},
    "GIF": {"image", "F9", "NETSCAPE2.0"},
    "WEBP": {"VP8", "VP8L", "VP8X", "ALPH", "ANIM", "ANMF"},
}


def assert_nothing_but_a_picture(image: CleanImage | image_cleaning.Cleaned) -> None:
    assert MARKER not in image.content + image.thumbnail
    assert parts_of(image.content) <= PICTURE_PARTS[image.format]
    assert parts_of(image.thumbnail) <= PICTURE_PARTS["WEBP"]


# The corpus


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_is_refused_for_what_is_wrong_with_it(name):
    refusal = outcome(name)

    assert isinstance(refusal, ImageRefused)
    assert refusal.key == SAMPLES[name].refused


@pytest.mark.parametrize("name", KEPT)
def test_a_good_file_is_kept_with_its_size(name):
    image = kept(name)

    picture = opened(image.content)
    assert picture.format == image.format in FORMATS
    assert picture.size == (image.width, image.height) == SAMPLES[name].size


@pytest.mark.parametrize("name", KEPT)
def test_nothing_but_the_picture_is_kept(name):
    assert_nothing_but_a_picture(kept(name))


@pytest.mark.parametrize("name", KEPT)
def test_a_thumbnail_is_a_webp_of_at_most_480_pixels_in_the_pictures_proportions(name):
    image = kept(name)

    thumbnail = opened(image.thumbnail)
    assert thumbnail.format == "WEBP"
    if image.height <= 10 * image.width:
        assert thumbnail.width == min(480, image.width)
        assert thumbnail.height == pytest.approx(image.height * thumbnail.width / image.width, abs=1)
    else:  # as tall as a WebP may be, at the most
        assert 1 <= thumbnail.width <= image.width
        assert thumbnail.height < 16_384


@pytest.mark.parametrize("name", [name for name in SAMPLES if SAMPLES[name].pixels])
def test_colours_and_places_are_the_originals(name):
    sample = SAMPLES[name]

    image = cleaned_here(sample.build())

    # Pillow fills what a GIF's first frame does not cover.
    picture = (played(image.content)[1][0].picture if image.format == "GIF" else opened(image.content)).convert("RGBA")
    assert picture.size == sample.size
    for place, expected in sample.pixels.items():
        found = picture.getpixel(place)
        if expected[3] == 0:
            assert found[3] == 0, place
        else:
            assert found == pytest.approx(expected, abs=sample.tolerance), place


@pytest.mark.parametrize("name", [name for name, sample in (MODES | PROFILES).items() if len(sample.pixels) == 1])
def test_a_thumbnail_has_the_colours_of_its_picture(name):
    sample = SAMPLES[name]
    (place, expected), *_ = sample.pixels.items()

    thumbnail = opened(cleaned_here(sample.build()).thumbnail).convert("RGBA")

    assert thumbnail.getpixel(place) == pytest.approx(expected, abs=12)


# Animations


class Frame(NamedTuple):
    """What is seen, and for how many milliseconds."""

    milliseconds: float
    picture: Image.Image


def played(content: bytes) -> tuple[int | None, list[Frame]]:
    """How often an animation plays and what is seen of it, equal neighbours in one; by the formats, not by Pillow."""
    if content.startswith(b"GIF"):
        plays, frames = played_gif(content)
    else:
        plays, frames = played_webp(content)
    seen = frames[:1]
    for frame in frames[1:]:
        if frame.picture == seen[-1].picture:
            frame = Frame(seen.pop().milliseconds + frame.milliseconds, frame.picture)  # noqa: PLW2901 - both in one
        seen.append(frame)
    return plays, seen


def played_gif(content: bytes) -> tuple[int | None, list[Frame]]:
    """As browsers do: what is cleared, and what no frame covers, is transparent."""
    canvas = Image.new("RGBA", struct.unpack_from("<HH", content, 6))
    plays, frames, control = None, [], bytes(4)
    for name, at in gif_blocks(content):
        if name == "NETSCAPE2.0":
            plays = int.from_bytes(content[at + 16 : at + 18], "little")
        elif name == "F9":
            control = content[at + 3 : at + 7]
        elif name == "image":
            left, top, picture = gif_picture(content, at, control)
            before = canvas.copy()
            canvas.paste(picture, (left, top), picture)
            frames.append(Frame(10 * int.from_bytes(control[1:3], "little"), canvas.copy()))
            disposal, control = control[0] >> 2 & 7, bytes(4)
            if disposal == 2:
                canvas.paste((0, 0, 0, 0), (left, top, left + picture.width, top + picture.height))
            elif disposal == 3:
                canvas = before
    return plays, frames


def gif_picture(content: bytes, at: int, control: bytes) -> tuple[int, int, Image.Image]:
    """A frame's place, and the frame as a GIF of its own shows it."""
    left, top, width, height, flags = struct.unpack_from("<4HB", content, at + 1)
    start, own = (at + 10, flags) if flags & 0x80 else (13, content[10])
    table = content[start : start + gif_table_bytes(own)]
    data = content[at + 10 + gif_table_bytes(flags) :]
    screen = struct.pack("<HHBBB", width, height, own & 0x87, 0, 0) + table
    extension = b"!\xf9\x04" + bytes([control[0] & 1, 0, 0, control[3], 0])
    alone = b"GIF89a" + screen + extension + struct.pack("<c4HB", b",", 0, 0, width, height, flags & 0x40) + data
    return left, top, opened(alone).convert("RGBA")


def played_webp(content: bytes) -> tuple[int | None, list[Frame]]:
    """By libwebp, which makes whole frames; what no frame covers is transparent, whatever the header's flag says."""
    frames = []
    with Image.open(io.BytesIO(content[:20] + bytes([content[20] | 0x10]) + content[21:])) as animation:
        for number in range(animation.n_frames):
            animation.seek(number)
            picture = animation.convert("RGBA")
            frames.append(Frame(animation.info["duration"], picture))
        return animation.info["loop"], frames


def difference(one: Image.Image, other: Image.Image) -> Image.Image:
    """How two pictures differ to the eye, on black and beside it on white."""
    width, height = one.size
    sides = Image.new("RGB", (2 * width, height))
    for left, background in ((0, "black"), (width, "white")):
        seen = [Image.new("RGB", one.size, background) for _ in range(2)]
        for ground, picture in zip(seen, (one, other), strict=True):
            ground.paste(picture, mask=picture)
        sides.paste(ImageChops.difference(*seen), (left, 0))
    return sides


def greatest(differences: Image.Image) -> int:
    return max(high for _, high in differences.getextrema())


@pytest.mark.parametrize("name", [name for name in ANIMATIONS if name.startswith("gif")])
def test_an_animated_gif_is_kept_frame_by_frame(name):
    original = ANIMATIONS[name]()

    image = cleaned_here(original)

    plays, frames = played(original)
    kept_plays, kept_frames = played(image.content)
    assert kept_plays == plays
    assert [frame.milliseconds for frame in kept_frames] == pytest.approx([frame.milliseconds for frame in frames])
    differences = [greatest(difference(*pair)) for pair in pictures_of(frames, kept_frames)]
    assert max(differences) == 0


def pictures_of(frames: list[Frame], kept_frames: list[Frame]) -> Iterator[tuple[Image.Image, Image.Image]]:
    for frame, kept_frame in zip(frames, kept_frames, strict=True):
        yield frame.picture, kept_frame.picture


@pytest.mark.parametrize("name", [name for name in ANIMATIONS if name.startswith("webp")])
def test_an_animated_webp_is_kept_nearly_frame_by_frame(name):
    original = ANIMATIONS[name]()

    image = cleaned_here(original)

    plays, frames = played(original)
    kept_plays, kept_frames = played(image.content)
    assert kept_plays == plays
    assert [frame.milliseconds for frame in kept_frames] == [frame.milliseconds for frame in frames]
    if name == "webp-on-its-side-without-loss":
        frames = [frame._replace(picture=frame.picture.transpose(Image.Transpose.ROTATE_270)) for frame in frames]
    for pair in pictures_of(frames, kept_frames):
        assert max(ImageStat.Stat(difference(*pair)).mean) < 5


@pytest.mark.parametrize(
    "name", ["webp-with-alpha", "webp-of-opaque-parts", "webp-of-parts-without-loss", "webp-on-its-side-without-loss"]
)
def test_a_lossless_animated_webp_is_kept_pixel_for_pixel_and_no_larger(name):
    original = ANIMATIONS[name]()

    image = cleaned_here(original)

    frames, kept_frames = played(original)[1], played(image.content)[1]
    if "side" in name:
        frames = [frame._replace(picture=frame.picture.transpose(Image.Transpose.ROTATE_270)) for frame in frames]
    assert max(greatest(difference(*pair)) for pair in pictures_of(frames, kept_frames)) == 0
    assert len(image.content) <= 1.1 * len(original) + 50


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("size", [(96, 64), (2500, 1700), (4000, 3100)], ids=["small", "4-megapixels", "12-megapixels"])
def test_a_lossless_webp_is_kept_pixel_for_pixel_and_hardly_larger(mode, size):
    picture = scene((500, 500)).resize(size, Image.Resampling.NEAREST)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize(size))
    original = encoded(picture, "WEBP", lossless=True, exact=True)

    kept_picture = opened((image := cleaned_here(original)).content)

    assert (kept_picture.mode, kept_picture.tobytes()) == (mode, picture.tobytes())
    assert len(image.content) <= 1.35 * len(original)


@pytest.mark.parametrize("name", [name for name, sample in ANIMATED_PNGS.items() if not sample.pixels])
def test_an_animated_png_is_kept_as_its_first_image(name):
    original = ANIMATED_PNGS[name].build()

    image = cleaned_here(original)

    first = opened(original).convert("RGBA")  # Pillow begins with the image that is not of the animation, if any
    assert greatest(difference(first, opened(image.content).convert("RGBA"))) == 0


@pytest.mark.parametrize("name", ANIMATIONS)
def test_nothing_but_the_frames_is_kept_of_an_animation(name):
    assert_nothing_but_a_picture(cleaned_here(ANIMATIONS[name]()))


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "WEBP"])
def test_a_thumbnail_of_an_animation_is_its_first_frame_alone(image_format):
    frames = [Image.new("RGB", (960, 96), colour) for colour in ("#c86432", "#204080")]

    thumbnail = opened(cleaned_here(animated(frames, image_format, duration=100)).thumbnail)

    assert (thumbnail.size, thumbnail.n_frames) == ((480, 48), 1)
    assert thumbnail.convert("RGB").getpixel((9, 9)) == pytest.approx((0xC8, 0x64, 0x32), abs=8)


# The program


@pytest.fixture
def run_here(monkeypatch):
    """Run the program in this process, without the limits, which would bind the tests as well."""

    def run(data: bytes) -> tuple[dict, bytes]:
        output = io.BytesIO()
        monkeypatch.setattr(image_cleaning, "_limit_this_process", lambda: None)
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=output))
        with warnings.catch_warnings():
            image_cleaning.main()
        verdict, _, encoded_images = output.getvalue().partition(b"\n")
        return json.loads(verdict), encoded_images

    return run


def test_the_program_writes_what_it_made_then_the_image_and_its_thumbnail(run_here):
    verdict, encoded_images = run_here(jpeg(picture=corners()))

    size = verdict["size"]
    assert verdict == {"format": "JPEG", "width": 48, "height": 32, "size": size}
    assert [opened(content).format for content in (encoded_images[:size], encoded_images[size:])] == ["JPEG", "WEBP"]


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_file_that_some_would_show_is_refused_or_kept_clean(run_here, name):
    verdict, encoded_images = run_here(SAMPLES[name].build())

    if "refused" in verdict:
        assert verdict["refused"] == SAMPLES[name].refused
    else:
        size = verdict.pop("size")
        image = CleanImage(**verdict, content=encoded_images[:size], thumbnail=encoded_images[size:])
        assert_nothing_but_a_picture(image)


@pytest.mark.parametrize(
    ("build", "key", "params"),
    [
        pytest.param(lambda: zipped(jpeg()), "image_is_more", {"format": "ZIP"}, id="zip"),
        pytest.param(SAMPLES["jpeg-with-a-pdf-in-a-comment"].build, "image_is_more", {"format": "PDF"}, id="pdf"),
        pytest.param(SAMPLES["png-header-of-50000-squared"].build, "too_many_pixels", {"maximum": 40}, id="pixels"),
        pytest.param(lambda: many_frames(301), "too_many_frames", {"maximum": 300}, id="frames"),
        pytest.param(lambda: oversized_animation("GIF"), "animation_too_large", {"maximum": 75}, id="all-frames"),
    ],
)
def test_the_program_names_the_limit_that_is_broken(run_here, build, key, params):
    assert run_here(build()) == ({"refused": key, "params": params}, b"")


def test_a_small_file_of_which_a_large_one_is_made_is_refused(run_here):
    content = growing_png((3000, 2000))

    answer = run_here(content)

    assert len(content) < MIB
    assert answer == ({"refused": "image_too_complex", "params": {}}, b"")


def test_the_program_tells_the_log_alone_why_a_file_is_damaged(run_here, capsys):
    answer = run_here(SAMPLES["png-of-garbage-data"].build())

    assert answer == ({"refused": "image_damaged", "params": {}}, b"")
    assert "Traceback" in capsys.readouterr().err


# The process


@pytest.fixture
def program(monkeypatch, tmp_path):
    """Run another program in the cleaner's place."""

    def use(source: str) -> None:
        path = tmp_path / "program.py"
        path.write_text(source)
        monkeypatch.setattr(images, "_CLEANER", path)

    return use


def refusal_of(data: bytes) -> ImageRefused:
    with pytest.raises(ImageRefused) as caught:
        clean_image(io.BytesIO(data))
    return caught.value


TELL = """
import importlib.util, json, os, sys
sys.stdin.buffer.read()
facts = {"environment": dict(os.environ), "finds_the_service": importlib.util.find_spec("post") is not None}
print(json.dumps({"refused": "told", "params": facts}))
"""


def limited(action: str = "image_cleaning.main()", **limits: int) -> str:
    """A program that sets the cleaner other limits, and has something else to do."""
    settings = [f"image_cleaning.{name} = {limit}" for name, limit in limits.items()]
    assert all(hasattr(image_cleaning, name) for name in limits)
    before = [
        "import sys",
        f"sys.path.append({str(PROJECT)!r})",
        "from post.images.program import clean as image_cleaning",
    ]
    return "\n".join([*before, *settings, "image_cleaning._limit_this_process()", action])


def test_the_process_has_nothing_of_the_services_environment(program, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "mysql+pymysql://user:secret@host/postdb")
    program(TELL)

    told = refusal_of(b"").params

    assert set(told["environment"]) <= {"LC_CTYPE"}  # which Python sets by itself (PEP 538)


def test_the_process_finds_nothing_of_the_service(program):
    program(TELL)

    assert refusal_of(b"").params["finds_the_service"] is False


def test_a_file_that_takes_too_much_time_is_refused(program):
    program(limited("while True: pass", MAX_CPU_SECONDS=1))

    assert refusal_of(b"").key == "image_too_complex"


def test_a_file_that_takes_too_much_memory_is_refused(program):
    program(limited(MAX_MEMORY_BYTES=96 * 1024**2))

    assert refusal_of(encoded(Image.new("RGB", (8000, 5000)), "PNG")).key == "image_too_complex"


def test_the_process_writes_no_file(program, tmp_path):
    written = tmp_path / "written"
    program(limited(f"import os; os.write(os.open({str(written)!r}, os.O_CREAT | os.O_WRONLY), b'x')"))

    with pytest.raises(RuntimeError):
        clean_image(io.BytesIO(b""))

    assert written.read_bytes() == b""


@pytest.mark.parametrize(
    ("signal_name", "key"),
    [("SIGSEGV", "image_damaged"), ("SIGABRT", "image_damaged"), ("SIGKILL", "image_too_complex")],
)
def test_a_file_that_ends_the_process_is_refused(program, signal_name, key):
    program(f"import os, signal; os.kill(os.getpid(), signal.{signal_name})")

    assert refusal_of(b"").key == key


def test_a_program_that_cannot_run_is_not_the_files_fault(program):
    program("import nothing_of_this_name")

    with pytest.raises(RuntimeError):
        clean_image(io.BytesIO(jpeg()))


def test_a_process_that_hangs_is_ended_and_holds_up_no_other(program, monkeypatch):
    with monkeypatch.context() as hanging:
        hanging.setattr(images, "CLEANING_TIMEOUT_SECONDS", 0.2)
        program("import signal; signal.pause()")
        with pytest.raises(Overloaded):
            clean_image(io.BytesIO(jpeg()))
    program(limited())

    assert clean_image(io.BytesIO(jpeg())).format == "JPEG"


def test_one_file_is_cleaned_at_a_time(program, tmp_path):
    """Whoever meets another says so."""
    program(f"""
import fcntl, sys
lock = open({str(tmp_path / "lock")!r}, "w")
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
sys.stdin.buffer.read()
print('{{"refused": "alone", "params": {{}}}}')
""")

    refusals = at_once([lambda: refusal_of(bytes(9))] * 8)

    assert {refusal.key for refusal in refusals} == {"alone"}


@contextmanager
def turn_of_another(cleaner: ImageCleaner) -> Iterator[None]:
    """Let another thread have the cleaner for the time of a block."""
    has_turn, done = threading.Event(), threading.Event()

    def hold() -> None:
        with cleaner._turns.held("another", deadline=time.monotonic()):
            has_turn.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert has_turn.wait(HANG_SECONDS)
        yield
    finally:
        done.set()
        holder.join()


def test_what_has_not_begun_by_its_deadline_is_given_up():
    with turn_of_another(CLEANER), pytest.raises(Overloaded):
        CLEANER.clean(io.BytesIO(jpeg()), user_id="ana", deadline=time.monotonic())


def test_why_a_process_wrote_no_verdict_is_logged(program, caplog):
    program("import os; os.abort()")

    refusal_of(b"")

    assert [(record.message, record.returncode) for record in caplog.records] == [("image_cleaning_died", -6)]


def test_a_file_that_is_cut_off_in_a_frame_is_refused():
    assert refusal_of(ANIMATIONS["gif"]()[:-9]).key == "image_damaged"


@pytest.mark.parametrize("name", COSTLY)
def test_no_small_file_is_ended_for_the_time_that_it_takes(caplog, name):
    with contextlib.suppress(ImageRefused):
        clean_image(io.BytesIO(COSTLY[name]()))

    assert "image_cleaning_died" not in caplog.messages


# Over HTTP


@pytest.fixture
def upload(client, make_post, as_user):
    """Send a file for a new post; English is understood."""

    def send(data: bytes, file_name: str = "photo.jpg"):
        headers = as_user("ana") | {"Accept-Language": "en", "Content-Type": "multipart/form-data; boundary=x"}
        head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n\r\n'
        body = head.encode() + data + b"\r\n--x--\r\n"
        return client.post(f"/api/v1/posts/{make_post()}/media", data=body, headers=headers)

    return send


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("empty", "empty"),
        ("over-5-mib-by-a-byte", "5 MiB"),
        ("svg", "not a JPEG, PNG, GIF or WebP"),
        ("html-that-begins-as-jpeg", "damaged"),
        ("webp-cut-at-90%", "cut off"),
        ("png-with-a-zip-behind", "ZIP"),
        ("jpeg-with-a-pdf-in-a-comment", "PDF"),
        ("png-header-of-50000-squared", "40 megapixels"),
        ("gif-of-5000-frames", "300 frames"),
        ("gif-of-80-megapixels-in-all", "75 megapixels"),
    ],
)
def test_a_refused_upload_is_400_and_says_which_limit_it_broke(upload, name, words):
    response = upload(SAMPLES[name].build())

    assert fault(response) == (400, "validation_error")
    (detail,) = response.json["error"]["details"]
    assert detail["field"] == "file"
    assert words in detail["message"]


@pytest.mark.parametrize(
    ("action", "words"), [("while True: pass", "too much time"), ("import os; os.abort()", "damaged")]
)
def test_an_upload_that_ends_the_process_is_400(upload, program, action, words):
    program(limited(action, MAX_CPU_SECONDS=1))

    response = upload(jpeg())

    assert fault(response) == (400, "validation_error")
    assert words in response.json["error"]["details"][0]["message"]


def test_a_program_that_cannot_run_is_500_and_tells_nothing(upload, program):
    program("import nothing_of_this_name")

    response = upload(jpeg())

    assert fault(response) == (500, "internal_error")
    assert b"nothing_of_this_name" not in response.data


def test_an_upload_that_waits_for_others_for_too_long_is_503(app, upload, monkeypatch):
    monkeypatch.setattr("post.services.uploads.UPLOAD_SECONDS", 0)

    with turn_of_another(app.extensions["post"].image_cleaner):
        response = upload(jpeg())

    assert fault(response) == (503, "overloaded")
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "name",
    [
        "jpeg-of-orientation-6",
        "png-of-display-p3",
        "webp-with-exif-and-xmp",
        "animated-gif-with-comments",
        "animated-webp-with-exif-and-xmp",
        "cmyk-jpeg",
    ],
)
def test_what_is_served_is_the_clean_image(client, upload, name):
    media = upload(SAMPLES[name].build(), f"{name}.gif").json["data"]

    content, thumbnail = (client.get(media[url]).data for url in ("url", "thumbnail_url"))

    picture = opened(content)
    assert picture.size == (media["width"], media["height"]) == SAMPLES[name].size
    assert (picture.get_format_mimetype(), len(content)) == (media["content_type"], media["file_size"])
    assert_nothing_but_a_picture(CleanImage(picture.format, *picture.size, content, thumbnail))
