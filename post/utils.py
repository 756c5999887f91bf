"""Small helpers for every room: ids, dates, texts, the caller."""

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime

import uuid_utils

ID_PATTERN = r"^[0-9a-f]{32}$"
TITLE_MAX_CHARS = 200
USER_ID_MAX_CHARS = 36
LOGIN_MAX_CHARS = 128  # a Cognito user's name (API reference: AdminDisableUser)
FILE_NAME_MAX_CHARS = 255
USERNAME_MAX_CHARS = 100
CATEGORY_MAX_CHARS = 50
IDEMPOTENCY_KEY_MAX_CHARS = 64
DEFAULT_CATEGORY = "일반"
# Unicode's ``Cc`` other than tab, LF and CR, for the brackets of a regular expression.
CONTROL_CHARACTERS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_CONTROLS = re.compile(f"[{CONTROL_CHARACTERS}]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
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


def text_problem(text: str) -> str | None:
    """
    Return the reason not to store a text, if there is one.

    Args:
        text: Any text.

    Returns:
        ``control_characters``, ``surrogates`` (halves of a UTF-16 pair, which UTF-8 cannot encode), or
        None. Both are keys of the message catalogue.
    """
    if _SURROGATES.search(text):
        return "surrogates"
    return "control_characters" if _CONTROLS.search(text) else None


def clean_file_name(name: str) -> str:
    """
    Return the name of an uploaded file without folders and characters that cannot be shown.

    Args:
        name: The client's.

    Returns:
        In NFC, at most 255 characters; possibly empty.
    """
    name = re.split(r"[/\\]", name)[-1]
    name = unicodedata.normalize("NFC", _SURROGATES.sub("", _CONTROLS.sub("", name)))
    return fold_space(name)[:FILE_NAME_MAX_CHARS].strip()


def fold_space(text: str) -> str:
    """
    Trim a text, and replace each run of white space inside it by one space.

    Args:
        text: Any text.
    """
    return " ".join(text.split())


def fold_case(text: str) -> str:
    """
    Fold the letter case of a name, to compare names (Unicode, 3.13: "Default Caseless Matching").

    Args:
        text: A name in NFC.

    Returns:
        The folded name in NFC, up to three times as long.
    """
    return unicodedata.normalize("NFC", text.casefold())
