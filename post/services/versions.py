"""Versions: what changes whenever what is shown changes, and costs less to read."""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Row, String, cast, func, literal_column

from post.models import Post

T = TypeVar("T")
IsKnown = Callable[[str], bool]

_COLON: ColumnElement[str] = literal_column("':'", String)  # not a parameter, which the driver would escape each time
_MOMENT_CHARS = len("2026-01-02 03:04:05.678")


class Versioned(NamedTuple, Generic[T]):
    """
    Something with its version.

    Attributes:
        version: Any text; an equal one stands for an equal value.
        value: None where the caller has this version already.
    """

    version: str
    value: T | None


def unless_known(version: str, is_known: IsKnown | None, make: Callable[[], T]) -> Versioned[T]:
    """Return what ``make`` gives with its version, or its version alone where the caller has it already."""
    return Versioned(version, None if is_known is not None and is_known(version) else make())


def version_of(row: Row[Any]) -> str:
    """Return a post's version, of its row."""
    return version_with(stem_of(row), row.view_count)


def stem_of(row: Row[Any]) -> str:
    """Return a post's version but for its views, as ``stem_column`` has it."""
    moment = row.updated_at.isoformat(sep=" ", timespec="milliseconds")
    return f"{row.No}:{row.like_count}:{row.comment_count}:{row.media_count}:{moment}"


def version_with(stem: str, view_count: int) -> str:
    """Return a post's version of its parts."""
    return f"{stem}:{view_count}"


def stem_column() -> ColumnElement[str]:
    """Return what gives ``stem_of`` of a post in the database: one column, for the driver takes its time for each."""
    text: Any = cast(Post.No, String)
    for column in (Post.like_count, Post.comment_count, Post.media_count):
        text = text + _COLON + cast(column, String)
    stem: ColumnElement[str] = text + _COLON + func.substr(Post.updated_at, 1, _MOMENT_CHARS)
    return stem


def joined_versions() -> ColumnElement[str]:
    """Return what gives the versions of all rows of a query as one text, with commas between them."""
    return func.group_concat(stem_column() + _COLON + cast(Post.view_count, String))
