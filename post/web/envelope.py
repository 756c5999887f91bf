"""The envelope: one form for every answer, in the request's language."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Response, g, has_request_context, request
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from post import messages
from post.messages import Language

RETRY_AFTER_SECONDS = 5


def request_language() -> Language:
    """Return the language of the request's messages: English if ``Accept-Language`` prefers it, else Korean."""
    if not has_request_context():
        return "ko"
    return preferred_language(request.environ.get("HTTP_ACCEPT_LANGUAGE", ""))


@lru_cache(maxsize=256)  # browsers send few different ones
def preferred_language(accepted: str) -> Language:
    """Return the language that an ``Accept-Language`` header asks for."""
    # Not best_match(): of "en-US,ko;q=0.9" it takes the second, the only exact match.
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
    links: Mapping[str, Mapping[str, str | int] | None] | None = None,
) -> Response:
    """
    Return a success in the envelope.

    Args:
        data: JSON values, with dates as text.
        message: A key of the message catalogue.
        status: The HTTP status.
        meta: The ``meta`` of a list.
        headers: Further headers, such as ``Location``.
        links: The query parameter that leads to the list's ``next`` page and to its ``prev``; None where there is none.
    """
    header = ", ".join(f'<{_link(change)}>; rel="{rel}"' for rel, change in (links or {}).items() if change)
    if header:
        headers = (headers or {}) | {"Link": header}
    return json_response(success_body(data, message=message, meta=meta), status=status, headers=headers)


def _link(change: Mapping[str, str | int]) -> str:
    """Return the request's URL with ``page`` and ``cursor`` replaced (RFC 8288, section 3)."""
    kept = {name: value for name, value in request.args.items() if name not in ("page", "cursor")}
    return f"{request.path}?{urlencode({**kept, **change})}"


def respond_task(task: dict[str, Any], *, message: str) -> Response:
    """Return a long task: 200 with the message if it is done, else 202."""
    if task["state"] == "done":
        return respond(task, message=message)
    return respond(task, message="task_running", status=202)


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
    Return an error in the envelope; its message says its first detail, where there is one.

    Args:
        code: The error's code, which is its key in the message catalogue.
        status: The HTTP status.
        details: ``{"field", "message"}`` for each wrong field.
        headers: Further headers, such as ``Allow``. A 503 always has ``Retry-After``.
        beside: Fields beside the envelope's own.
    """
    if status == 503:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} | (headers or {})
    body = error_envelope(code, status, request_language(), g.request_id, details)
    return json_response(body | (beside or {}), status=status, headers=headers)


def error_envelope(
    code: str, status: int, language: Language, request_id: str, details: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    """
    Return the body of an error, from any layer.

    Args:
        code: The error's code, which is its key in the message catalogue.
        status: The HTTP status.
        language: The message's language.
        request_id: The value of the answer's ``X-Request-ID``.
        details: ``{"field", "message"}`` for each wrong field.
    """
    error = {"code": code, "status": status, "details": details or [], "request_id": request_id}
    message = messages.text(code, language)
    if details:  # pages show the message alone
        message = f"{messages.name_of(details[0]['field'], language)}: {details[0]['message']}"
    return {"success": False, "message": message, "error": error}


def json_response(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a value, or bytes of JSON, as a response that varies by ``Accept-Language``."""
    # By orjson: Flask's own writer takes several times as long, and escapes Korean text.
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    own = {"Content-Type": "application/json", "Vary": "Accept-Language"}
    return Response(content, status, own | (headers or {}))
