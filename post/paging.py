"""Which part of a list is wanted: a page by its number, or what lies next to a cursor."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

Sort = Literal["latest", "popular"]
View = Literal["full", "summary"]

# The columns that order each sort, most significant first; all descend.
SORT_COLUMNS: dict[Sort, tuple[str, ...]] = {
    "latest": ("No",),
    "popular": ("like_count", "view_count", "No"),
}
VALUE_MAX = 9_999_999_999  # as many digits as a MySQL INT can have, and the pattern takes
_SHAPE = re.compile(r"(next|prev)\.(latest|popular)((?:\.(?:0|[1-9][0-9]{0,9})){1,3})")


class Cursor(NamedTuple):
    """
    A place in a list, between two posts.

    Attributes:
        direction: ``next`` for the posts behind that place, ``prev`` for those before it.
        sort: The list's order.
        values: The sort columns' values of the post that the place is next to.
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
        Return the cursor of a text.

        Args:
            text: What ``encode`` gave.

        Raises:
            ValueError: ``encode`` never gives such a text.
        """
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
    Which part of a list is wanted, and how its posts are shown.

    Attributes:
        page: From 1; not looked at when there is a cursor.
        per_page: Posts on a page, 1 to 50.
        cursor: A place that an earlier page of the same order gave.
        sort: ``latest`` or ``popular``.
        view: ``full`` posts, or a ``summary`` with an excerpt.
    """

    page: int = 1
    per_page: int = 10
    cursor: Cursor | None = None
    sort: Sort = "latest"
    view: View = "full"

    @property
    def offset(self) -> int:
        """How many posts stand before the page: 0 next to a cursor."""
        return 0 if self.cursor else (self.page - 1) * self.per_page
