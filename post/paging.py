"""The wanted part of a list: a page by its number, or the posts next to a cursor."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

Sort = Literal["latest", "popular"]
View = Literal["full", "summary"]
Period = Literal["day", "week", "month"]

PERIOD_HOURS: dict[Period, int] = {"day": 24, "week": 7 * 24, "month": 30 * 24}

# The columns that order each sort, most significant first; all descend.
SORT_COLUMNS: dict[Sort, tuple[str, ...]] = {
    "latest": ("No",),
    "popular": ("like_count", "view_count", "No"),
}
PER_PAGE_MAX = 50
VALUE_MAX = 9_999_999_999  # ten digits, as many as a MySQL INT may have and the pattern accepts
CURSOR_MAX_CHARS = 64
_SHAPE = re.compile(r"(next|prev)\.(latest|popular)((?:\.(?:0|[1-9][0-9]{0,9})){1,3})")


class Cursor(NamedTuple):
    """
    A place in a list, between two posts.

    Attributes:
        direction: ``next`` for the posts after that place, ``prev`` for those before it.
        sort: The list's order.
        values: The sort columns of the post next to that place.
    """

    direction: Literal["next", "prev"]
    sort: Sort
    values: tuple[int, ...]

    def encode(self) -> str:
        """Return the cursor as URL-safe text."""
        plain = ".".join([self.direction, self.sort, *map(str, self.values)])
        return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """
        Read a cursor.

        Args:
            text: From ``encode``.

        Raises:
            ValueError: The text is not from ``encode``.
        """
        if len(text) > CURSOR_MAX_CHARS:
            raise ValueError("not a cursor")
        try:
            plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
        except (ValueError, binascii.Error):
            raise ValueError("not a cursor") from None
        match = _SHAPE.fullmatch(plain)
        if match is None:
            raise ValueError("not a cursor")
        cursor = cls(match[1], match[2], tuple(int(value) for value in match[3][1:].split(".")))  # type: ignore[arg-type]  # the pattern allows the literals alone
        if len(cursor.values) != len(SORT_COLUMNS[cursor.sort]) or cursor.encode() != text:
            raise ValueError("not a cursor")
        return cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """
    The wanted page of a list.

    Attributes:
        page: From 1; ignored if there is a cursor.
        per_page: Posts on a page, 1 to 50.
        cursor: From an earlier page of the same order.
        sort: ``latest`` or ``popular``.
        view: ``full`` posts, or a ``summary`` with an excerpt.
    """

    page: int = 1
    per_page: int = 10
    cursor: Cursor | None = None
    sort: Sort = "latest"
    view: View = "full"

    @property
    def is_first(self) -> bool:
        """True for page 1 by its number."""
        return self.page == 1 and self.cursor is None

    @property
    def offset(self) -> int:
        """The number of posts before the page; 0 next to a cursor."""
        return 0 if self.cursor else (self.page - 1) * self.per_page
