"""Write the READMEs' screenshots of the pages, of a board with made-up posts: ``make screenshots``."""

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps
from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.browser.conftest import DIST, READER
from tests.chromium import CHROMIUM, FLAGS
from tests.demo_board import NOW, PICTURED, running_demo_board
from tests.ports import free_port

IMAGES = Path(__file__).with_name("images")
MAX_BYTES = 40_000
QUALITIES = (90, 85, 80, 75, 70, 65, 60)  # the first that fits is taken
SCALE = 0.75  # the text is still read, in a third less of bytes
DESK = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 320, "height": 640}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}


def shoot(browser: Browser, url: str, **options: Any) -> bytes:
    """Return a screenshot of the list; on a phone, of the first post with pictures."""
    context = browser.new_context(**{**READER, "base_url": url, "reduced_motion": "reduce", **options})
    page = context.new_page()
    page.clock.set_fixed_time(NOW)
    page.goto("/")
    if options.get("is_mobile"):
        page.get_by_role("link", name=PICTURED[0].title).click()
        page.get_by_role("heading", level=1, name=PICTURED[0].title).wait_for()
    page.wait_for_load_state("networkidle")
    taken = page.screenshot()
    context.close()
    return taken


def as_webp(screenshot: bytes) -> bytes:
    """
    Return a screenshot as WebP, as good as it may be large.

    Raises:
        ValueError: It is too large even at the least quality.
    """
    image = ImageOps.scale(Image.open(io.BytesIO(screenshot)).convert("RGB"), SCALE, Image.Resampling.LANCZOS)
    for quality in QUALITIES:
        output = io.BytesIO()
        image.save(output, "WEBP", quality=quality, method=6)
        if output.tell() <= MAX_BYTES:
            return output.getvalue()
    raise ValueError(f"more than {MAX_BYTES:,} bytes")


def main() -> None:
    """Run the board, and write a file for each view."""
    port = str(free_port())
    views: dict[str, dict[str, Any]] = {
        "list": DESK,
        "post-phone": PHONE,
        "list-dark": {**DESK, "color_scheme": "dark"},
    }
    IMAGES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_demo_board(Path(folder), DIST, PORT=port),
        sync_playwright() as playwright,
    ):
        # With scrollbars: their place is kept free otherwise.
        hidden = ["--hide-scrollbars"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, ignore_default_args=hidden)
        url = f"http://localhost:{port}"  # as the images' URLs have it
        for name, options in views.items():
            path = IMAGES / f"{name}.webp"
            path.write_bytes(as_webp(shoot(browser, url, **options)))
            print(f"{path.name}: {path.stat().st_size:,} bytes")
        browser.close()


if __name__ == "__main__":
    main()
