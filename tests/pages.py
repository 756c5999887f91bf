"""Links and headings of pages in Markdown."""

import re
from collections.abc import Iterator
from pathlib import Path


def broken_links(page: str, folder: Path) -> Iterator[str]:
    """
    Find the links and images of a page that lead to no file, or to no heading of the page that they name.

    Args:
        page: Its text.
        folder: Where it is.

    Yields:
        Their targets.
    """
    for target in re.findall(r"\]\(([^)]+)\)", page) + re.findall(r'<img src="([^"]+)"', page):
        path, _, anchor = target.partition("#")
        if path.startswith("https://"):
            continue
        there = folder / path
        if not there.exists() or (anchor and anchor not in headings(there.read_text() if path else page)):
            yield target


def headings(page: str) -> set[str]:
    """Return the anchors of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def section(page: str, title: str) -> str:
    """Return the text below a heading of the second level, up to the next one."""
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def cells(text: str, column: int) -> Iterator[str]:
    """Yield the cells of a column of the tables in a text, without their heads; a bar in a cell is escaped."""
    lines = text.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("|") and not line.startswith("|---") and not following.startswith("|---"):
            yield re.split(r"(?<!\\)\|", line)[column + 1].strip()


def names(cell: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)
