"""Pages of lists: the limit, the opaque cursor, and the headers that name the next page."""

import base64
import json
from collections.abc import Mapping
from urllib.parse import urlencode

from shared.errors import Detail, ValidationFailed

DEFAULT_LIMIT, MAX_LIMIT = 50, 100
CURSOR_MAX_CHARS = 1024


def read_limit(query: Mapping[str, str]) -> int:
    """
    Return the number of items of a page.

    Args:
        query: The request's query.

    Raises:
        ValidationFailed: ``limit`` is no integer from 1 to 100.
    """
    text = query.get("limit", str(DEFAULT_LIMIT))
    if text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    raise ValidationFailed(details=[Detail(field="limit", message=f"Must be an integer from 1 to {MAX_LIMIT}")])


def read_cursor(query: Mapping[str, str], *, parts: int) -> list[str] | None:
    """
    Return the place where a page begins.

    Args:
        query: The request's query.
        parts: Number of texts that a cursor of this list has.

    Returns:
        The texts that ``next_page_headers`` was given; None for the first page.

    Raises:
        ValidationFailed: ``cursor`` is not one of this list.
    """
    cursor = query.get("cursor")
    if cursor is None:
        return None
    values = _decoded(cursor)
    if not isinstance(values, list) or len(values) != parts or not all(map(_is_text, values)):
        raise ValidationFailed(details=[Detail(field="cursor", message="Not a cursor of this list")])
    return values


def next_page_headers(query: Mapping[str, str], last: list[str]) -> dict[str, str]:
    """
    Return the headers that name the next page.

    Args:
        query: This page's query; its filters hold for the next one, too.
        last: ASCII texts that place this page's last item.

    Returns:
        ``Link``, relative to the request's own address, which the edge may have shortened; and ``X-Next-Cursor``.
    """
    cursor = base64.urlsafe_b64encode(json.dumps(last, separators=(",", ":")).encode()).decode().rstrip("=")
    link = urlencode({**query, "cursor": cursor})
    return {"Link": f'<?{link}>; rel="next"', "X-Next-Cursor": cursor}


def _decoded(cursor: str) -> object:
    if len(cursor) > CURSOR_MAX_CHARS:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        return None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value != ""
