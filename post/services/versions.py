"""Versions: they change with whatever the service answers, and are cheaper to read than the answer."""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Row, String, cast, func, literal_column

from post.models import Post
from post.utils import Caller

T = TypeVar("T")
IsKnown = Callable[[str], bool]  # returns whether the client has this version already

_COLON: ColumnElement[str] = literal_column("':'", String)  # no parameter: the driver would escape it each time
_MOMENT_CHARS = len("2026-01-02 03:04:05.678")


class Versioned(NamedTuple, Generic[T]):
    """
    A value with its version.

    Attributes:
        version: Any text; equal versions stand for equal values.
        value: None if the client has this version already.
    """

    version: str
    value: T | None


def value_unless_cached(version: str, is_known: IsKnown | None, make: Callable[[], T]) -> Versioned[T]:
    """Return the version, and the value from ``make`` unless the client has it already."""
    return Versioned(version, None if is_known is not None and is_known(version) else make())


def version_of(row: Row[Any]) -> str:
    """Return the version of a post's row."""
    return join_version(version_prefix(row), row.view_count)


def version_prefix(row: Row[Any]) -> str:
    """Return the version of a post's row without its views."""
    moment = row.updated_at.isoformat(sep=" ", timespec="milliseconds")
    return f"{row.No}:{row.like_count}:{row.comment_count}:{row.media_count}:{moment}"


def join_version(prefix: str, view_count: int) -> str:
    """Return a post's version from its prefix and its views."""
    return f"{prefix}:{view_count}"


def viewer_version(viewer: Caller | None) -> str:
    """Return the part of a version that depends on the caller alone: what is shown of a post does too."""
    return "" if viewer is None else f" {viewer.is_admin:d} {viewer.user_id}"


def version_prefix_column() -> ColumnElement[str]:
    """Return ``version_prefix`` as SQL, in one column: the driver takes its time for each."""
    text: Any = cast(Post.No, String)
    for column in (Post.like_count, Post.comment_count, Post.media_count):
        text = text + _COLON + cast(column, String)
    prefix: ColumnElement[str] = text + _COLON + func.substr(Post.updated_at, 1, _MOMENT_CHARS)
    return prefix


def joined_versions() -> ColumnElement[str]:
    """Return the versions of all rows of a query as SQL: one text, with commas between them."""
    return func.group_concat(version_prefix_column() + _COLON + cast(Post.view_count, String))
