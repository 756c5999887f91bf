"""What a page of Markdown leads to."""

import re
from collections.abc import Iterator
from pathlib import Path


def broken_links(page: str, folder: Path) -> Iterator[str]:
    """
    Find the links of a page that lead to no file, or to no heading of the page itself.

    Args:
        page: Its text.
        folder: Where it is.

    Yields:
        Their targets.
    """
    titles = re.findall(r"^#+ (.*)$", page, flags=re.MULTILINE)
    headings = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    for target in re.findall(r"\]\(([^)]+)\)", page):
        path, _, anchor = target.partition("#")
        if not path.startswith("https://") and not ((folder / path).exists() if path else anchor in headings):
            yield target
