"""Small helpers that every layer may use: the envelope, dates, text, the caller."""

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
import uuid_utils
from flask import Response, g, has_request_context, request
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from post import messages
from post.messages import Language

ID_PATTERN = r"^[0-9a-f]{32}$"
TITLE_MAX_CHARS = 200
USER_ID_MAX_CHARS = 36
LOGIN_MAX_CHARS = 128  # a Cognito user's name (API reference: AdminDisableUser)
FILE_NAME_MAX_CHARS = 255
RETRY_AFTER_SECONDS = 5
USERNAME_MAX_CHARS = 100
CATEGORY_MAX_CHARS = 50
IDEMPOTENCY_KEY_MAX_CHARS = 64
DEFAULT_CATEGORY = "일반"
# Unicode's ``Cc`` other than tab, LF and CR, to stand within a regular expression's brackets.
CONTROL_CHARACTERS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_CONTROLS = re.compile(f"[{CONTROL_CHARACTERS}]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Caller:
    """
    Who sends a request, as their verified token says.

    Attributes:
        user_id: The token's ``sub``.
        username: The name that their posts show, at most 100 characters.
        login: The pool's own name of the user (``cognito:username`` or ``username``).
        is_admin: Whether ``cognito:groups`` has ``admin``.
        scopes: The access token's ``scope``, split; empty for an id token.
    """

    user_id: str
    username: str
    login: str = ""
    is_admin: bool = False
    scopes: frozenset[str] = field(default_factory=frozenset)


def new_id() -> str:
    """Return a new id: UUIDv7 in hex, so that InnoDB appends rows rather than scatter them (RFC 9562, 5.7)."""
    return uuid_utils.uuid7().hex


def choose_request_id(offered: str | None) -> str:
    """
    Return the request id to use.

    Args:
        offered: The caller's ``X-Request-ID``, if any.

    Returns:
        The offered one when it is 1 to 64 of ``[A-Za-z0-9_-]``, else a new one.
    """
    if offered is not None and _REQUEST_ID.fullmatch(offered):
        return offered
    return uuid_utils.uuid4().hex


def isoformat_utc(moment: datetime) -> str:
    """
    Return a time as the API writes it.

    Args:
        moment: Naive, in UTC, as the database gives it.

    Returns:
        ISO 8601 with milliseconds, such as ``2026-01-02T03:04:05.678Z``.
    """
    return f"{moment.isoformat(timespec='milliseconds')}Z"


def text_problem(text: str) -> str | None:
    """
    Tell what makes a text unfit to be stored.

    Args:
        text: Any text.

    Returns:
        ``control_characters``, ``surrogates`` (halves of a UTF-16 pair, which UTF-8 cannot say), or
        None. Both are keys of the message catalogue.
    """
    if _SURROGATES.search(text):
        return "surrogates"
    return "control_characters" if _CONTROLS.search(text) else None


def clean_file_name(name: str) -> str:
    """
    Return the name of an uploaded file as people may see it: no folders, nothing that cannot be shown.

    Args:
        name: As the client said it.

    Returns:
        In NFC, at most 255 characters, which may be none.
    """
    name = re.split(r"[/\\]", name)[-1]
    name = unicodedata.normalize("NFC", _SURROGATES.sub("", _CONTROLS.sub("", name)))
    return fold_space(name)[:FILE_NAME_MAX_CHARS].strip()


def fold_space(text: str) -> str:
    """
    Return a text trimmed, with each run of white space inside it as one space.

    Args:
        text: Any text.
    """
    return " ".join(text.split())


def fold_case(text: str) -> str:
    """
    Return the form of a name by which names are compared (Unicode, 3.13: "Default Caseless Matching").

    Args:
        text: A name in NFC.

    Returns:
        The name with its letter case folded, in NFC; up to three times as long.
    """
    return unicodedata.normalize("NFC", text.casefold())


def request_language() -> Language:
    """Return the language of the request's messages: English where ``Accept-Language`` prefers it, else Korean."""
    if not has_request_context():
        return "ko"
    return preferred_language(request.environ.get("HTTP_ACCEPT_LANGUAGE", ""))


@lru_cache(maxsize=256)  # browsers send few different ones
def preferred_language(accepted: str) -> Language:
    """Return the language for an ``Accept-Language``."""
    # Not best_match(): of "en-US,ko;q=0.9" it would take what matches to the letter, the second.
    for tag, quality in parse_accept_header(accepted, LanguageAccept):
        primary = tag.replace("_", "-").partition("-")[0].lower()
        if quality > 0 and primary in messages.LANGUAGES:
            return "en" if primary == "en" else "ko"
    return "ko"


def respond(
    data: Any,
    *,
    message: str,
    status: int = 200,
    meta: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """
    Return a success in the envelope.

    Args:
        data: What JSON can say; dates already as text.
        message: A key of the message catalogue.
        status: The HTTP status.
        meta: For lists.
        headers: To add, such as ``Location``.
    """
    return json_response(success_body(data, message=message, meta=meta), status=status, headers=headers)


def success_body(data: Any, *, message: str, meta: dict[str, Any] | None = None) -> bytes:
    """Return the body of a success. Arguments as for ``respond``."""
    body = {"success": True, "message": messages.text(message, request_language()), "data": data}
    if meta is not None:
        body["meta"] = meta
    return orjson.dumps(body)


def respond_error(
    code: str,
    status: int,
    *,
    details: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
    beside: dict[str, Any] | None = None,
) -> Response:
    """
    Return an error in the envelope.

    Args:
        code: The error's code, which is its key in the message catalogue.
        status: The HTTP status.
        details: ``{"field", "message"}`` for each wrong field.
        headers: To add, such as ``Allow``. A 503 has ``Retry-After`` of itself.
        beside: To stand beside the envelope's own fields.
    """
    if status == 503:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} | (headers or {})
    body = error_envelope(code, status, request_language(), g.request_id, details)
    return json_response(body | (beside or {}), status=status, headers=headers)


def error_envelope(
    code: str, status: int, language: Language, request_id: str, details: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    """
    Return the body of an error, whichever layer it comes from.

    Args:
        code: The error's code, which is its key in the message catalogue.
        status: The HTTP status.
        language: Of the message.
        request_id: The one that the answer's header has.
        details: ``{"field", "message"}`` for each wrong field.
    """
    error = {"code": code, "status": status, "details": details or [], "request_id": request_id}
    return {"success": False, "message": messages.text(code, language), "error": error}


def json_response(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a value, or the JSON that it is already, as a response whose words depend on ``Accept-Language``."""
    # By orjson: Flask's own writer takes several times as long, and escapes Korean text.
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    own = {"Content-Type": "application/json", "Vary": "Accept-Language"}
    return Response(content, status, own | (headers or {}))
