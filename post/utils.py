"""Small helpers for every room: ids, dates, the caller."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

import uuid_utils

ID_PATTERN = r"^[0-9a-f]{32}$"
TITLE_MAX_CHARS = 200
USER_ID_MAX_CHARS = 36
LOGIN_MAX_CHARS = 128  # a Cognito user's name (API reference: AdminDisableUser)
FILE_NAME_MAX_CHARS = 255
USERNAME_MAX_CHARS = 100
CATEGORY_MAX_CHARS = 50
REASON_MAX_CHARS = 500
IDEMPOTENCY_KEY_MAX_CHARS = 64
DEFAULT_CATEGORY = "일반"
# All that the moderation log and its metric know; at most 20 characters each.
Action = Literal[
    "edit",
    "hide",
    "restore",
    "delete",
    "resolve",
    "edit_category",
    "merge_category",
    "delete_category",
    "suspend",
    "unsuspend",
    "delete_posts",
    "purge",
    "pin",
    "unpin",
]
ACTIONS: tuple[Action, ...] = get_args(Action)
PinScope = Literal["all", "category"]
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Caller:
    """
    The sender of a request, from a verified token.

    Attributes:
        user_id: The token's ``sub``.
        username: The name shown with their posts, at most 100 characters.
        login: The user's name in the pool (``cognito:username`` or ``username``).
        is_admin: Whether ``cognito:groups`` has ``admin``.
        scopes: The access token's ``scope``, split; empty for an id token.
    """

    user_id: str
    username: str
    login: str = ""
    is_admin: bool = False
    scopes: frozenset[str] = field(default_factory=frozenset)


def new_id() -> str:
    """Return a new id: UUIDv7 in hex, so that InnoDB appends rows instead of scattering them (RFC 9562, 5.7)."""
    return uuid_utils.uuid7().hex


def choose_request_id(offered: str | None) -> str:
    """
    Return the id of a request.

    Args:
        offered: The caller's ``X-Request-ID``, if any.

    Returns:
        The offered id if it is 1 to 64 of ``[A-Za-z0-9_-]``, else a new one.
    """
    if offered is not None and _REQUEST_ID.fullmatch(offered):
        return offered
    return uuid_utils.uuid4().hex


def isoformat_utc(moment: datetime) -> str:
    """
    Return a time in the API's format.

    Args:
        moment: Naive, in UTC, from the database.

    Returns:
        ISO 8601 with milliseconds, such as ``2026-01-02T03:04:05.678Z``.
    """
    return f"{moment.isoformat(timespec='milliseconds')}Z"
