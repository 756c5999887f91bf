"""Versions: what changes whenever what is shown changes, and costs less to read."""

from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Row, String, cast, func

from post.models import Post

T = TypeVar("T")

_COLUMNS = (Post.No, Post.view_count, Post.like_count, Post.comment_count, Post.media_count)
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


def version_of(row: Row[Any], *, more_views: int = 0) -> str:
    """
    Return a post's version.

    Args:
        row: With every column of ``version_columns``.
        more_views: Those that the row does not count yet.
    """
    views, moment = row.view_count + more_views, row.updated_at.isoformat(sep=" ", timespec="milliseconds")
    return f"{row.No}:{views}:{row.like_count}:{row.comment_count}:{row.media_count}:{moment}"


def version_columns() -> list[ColumnElement[Any]]:
    """Return the columns that ``version_of`` needs."""
    return [*_COLUMNS, Post.updated_at]  # type: ignore[list-item]  # mapped columns are column elements too


def joined_versions() -> ColumnElement[str]:
    """Return what gives the versions of all rows of a query as one text, as ``version_of`` has them."""
    text: Any = cast(_COLUMNS[0], String)
    for column in _COLUMNS[1:]:
        text = text + ":" + cast(column, String)
    return func.group_concat(text + ":" + func.substr(Post.updated_at, 1, _MOMENT_CHARS))
