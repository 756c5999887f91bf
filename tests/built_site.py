"""A made-up build of the site, for tests of how it is served."""

import gzip
import hashlib
from pathlib import Path

SCRIPT = "assets/app-AbC12345.js"
SCRIPT_TEXT = "console.log('게시판');\n" * 100
PAGE = f"""<!doctype html>
<html lang="ko">
  <head>
    <meta charset="utf-8" />
    <title>게시판</title>
    <meta name="description" content="함께 쓰는 게시판" />
    <link rel="alternate" type="application/atom+xml" href="/feed.atom" title="게시판" />
    <script type="application/json" id="board-config">{{}}</script>
    <script type="module" crossorigin src="/{SCRIPT}"></script>
  </head>
  <body><div id="root"></div></body>
</html>
"""
FILES = {
    "index.html": PAGE,
    SCRIPT: SCRIPT_TEXT,
    "assets/app-AbC12345.css": "body { margin: 0 }\n",
    "favicon.svg": '<svg xmlns="http://www.w3.org/2000/svg"/>\n',
    "robots.txt": "User-agent: *\n",
    ".hidden": "nothing for anybody",
}


def build_site(folder: Path, **pages: str) -> Path:
    """Write a build without its sources, as the image has it; returns its folder. ``page`` is another index.html."""
    dist = folder / "dist"
    for name, text in {**FILES, "index.html": pages.get("page", PAGE)}.items():
        (dist / name).parent.mkdir(parents=True, exist_ok=True)
        (dist / name).write_text(text, "utf-8")
    script = (dist / SCRIPT).read_bytes()
    (dist / f"{SCRIPT}.gz").write_bytes(gzip.compress(script, mtime=0))
    (dist / f"{SCRIPT}.br").write_bytes(b"in brotli: " + hashlib.sha256(script).digest())
    return dist
