"""The built site: its size, and the tests of its own logic."""

import gzip
import re
import subprocess
from pathlib import Path

from tests.servers import HANG_SECONDS, PROJECT

FIRST_LOAD_MAX_BYTES = 110 * 1024
LOADED_BY_PAGE = re.compile(r'<(?:script\b[^>]*\bsrc|link\b[^>]*\brel="modulepreload"[^>]*\bhref)="/([^"]+\.js)"')
IMPORTED = re.compile(r'(?:\bfrom|\bimport)\s*["\'](\.{1,2}/[^"\']+\.js)["\']')  # and not what import() loads later


def first_load(site: Path) -> set[Path]:
    """Return the scripts that the page loads before it shows anything: its own, and what they import."""
    waiting = [site / name for name in LOADED_BY_PAGE.findall((site / "index.html").read_text())]
    found: set[Path] = set()
    while waiting:
        script = waiting.pop()
        if script not in found:
            found.add(script)
            waiting += [(script.parent / name).resolve() for name in IMPORTED.findall(script.read_text())]
    return found


def test_the_first_load_is_small(site):
    scripts = first_load(site)
    sizes = {script.name: len(gzip.compress(script.read_bytes(), mtime=0)) for script in scripts}

    assert scripts
    assert sum(sizes.values()) <= FIRST_LOAD_MAX_BYTES, sizes


def test_pages_that_readers_do_not_need_come_when_they_are_opened(site):
    later = set((site / "assets").glob("*.js")) - first_load(site)

    assert any(script.name.startswith("SignInPage") for script in later)


def test_the_page_has_no_script_or_style_of_its_own(site):
    page = (site / "index.html").read_text()

    scripts = re.findall(r"<script\b([^>]*)>", page)
    assert [
        attributes for attributes in scripts if "src=" not in attributes and "application/json" not in attributes
    ] == []
    assert not re.search(r"<style\b|\bstyle=|\bon\w+=", page)


def test_its_logic(site):
    done = subprocess.run(
        ["npx", "vitest", "run"],
        cwd=PROJECT / "site",
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
