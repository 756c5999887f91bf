"""Versions: they change with whatever the service answers, and are cheaper to read than the answer."""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Row, String, cast, func, literal_column

from post.components import components
from post.models import Post
from post.services.post_rows import IS_LIKED
from post.utils import Caller

T = TypeVar("T")
IsKnown = Callable[[str], bool]  # returns whether the client has this version already

# No parameters: the driver would escape them each time.
_COLON: ColumnElement[str] = literal_column("':'", String)
_END: ColumnElement[str] = literal_column("'|'", String)
_MOMENT_CHARS = len("2026-01-02 03:04:05.678")


class Versioned(NamedTuple, Generic[T]):
    """
    A value with its version.

    Attributes:
        version: Any text; equal versions stand for equal values. That of a post begins with its edition and ``|``.
        value: None if the client has this version already.
    """

    version: str
    value: T | None


def value_unless_cached(version: str, is_known: IsKnown | None, make: Callable[[], T]) -> Versioned[T]:
    """Return the version, and the value from ``make`` unless the client has it already."""
    return Versioned(version, None if is_known is not None and is_known(version) else make())


def version_of(row: Row[Any], *, for_viewer: bool) -> str:
    """Return the version of a post's row, for a viewer with ``is_liked``."""
    return join_version(version_prefix(row, for_viewer=for_viewer), row.view_count)


def version_prefix(row: Row[Any], *, for_viewer: bool) -> str:
    """Return the version of a post's row without its views."""
    prefix = f"{edition_of(row)}|{row.like_count}:{row.comment_count}:{row.media_count}"
    return f"{prefix}:{row.is_liked:d}" if for_viewer else prefix


def edition_of(row: Any) -> str:
    """Return a text that changes whenever a post does, from its ``No``, ``updated_at`` and ``moves``."""
    return f"{row.No}:{row.updated_at.isoformat(sep=' ', timespec='milliseconds')}:{row.moves}"


def join_version(prefix: str, view_count: int) -> str:
    """Return a post's version from its prefix and its views."""
    return f"{prefix}:{view_count}"


def common_version(viewer: Caller | None) -> str:
    """Return the part of a version that all posts share: the base of images' URLs, and the caller."""
    images = f" {components().image_storage.url('')}"
    return images if viewer is None else f"{images} {viewer.is_admin:d} {viewer.user_id}"


def version_prefix_column(*, for_viewer: bool) -> ColumnElement[str]:
    """Return ``version_prefix`` as SQL, in one column: the driver takes its time for each."""
    text: Any = cast(Post.No, String) + _COLON + func.substr(Post.updated_at, 1, _MOMENT_CHARS)
    counts: list[Any] = [Post.moves, Post.like_count, Post.comment_count, Post.media_count]
    separators = [_COLON, _END, _COLON, _COLON, _COLON]
    for separator, column in zip(separators, [*counts, IS_LIKED] if for_viewer else counts, strict=False):
        text = text + separator + cast(column, String)
    prefix: ColumnElement[str] = text
    return prefix


def version_column(*, for_viewer: bool) -> ColumnElement[str]:
    """Return ``version_of`` as SQL."""
    return version_prefix_column(for_viewer=for_viewer) + _COLON + cast(Post.view_count, String)


def joined_versions(*, for_viewer: bool) -> ColumnElement[str]:
    """Return the versions of all rows of a query as SQL: one text, with commas between them."""
    return func.group_concat(version_column(for_viewer=for_viewer))
