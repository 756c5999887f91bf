"""The contract's common part, for Lambdas and containers alike: error bodies, headers, JSON bodies, ids of requests."""

import base64
import json
import re
import uuid
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from shared import errors, settings

BODY_MAX_BYTES = 64 * 1024
STATUS = {
    errors.BadRequest: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.UnsupportedType: 415,
    errors.Unprocessable: 422,
    errors.TooMany: 429,
    errors.Unavailable: 503,
}
EXPOSED_HEADERS = "ETag,Idempotency-Replayed,Link,Location,Retry-After,X-Next-Cursor,X-Request-ID"
_STRICT = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=str)
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

Body = TypeVar("Body", bound=BaseModel)


def choose_request_id(*offered: str | None) -> str:
    """
    Return the id of a request.

    Args:
        offered: Ids that others gave it, the caller's first.

    Returns:
        The first of 1 to 64 of ``[A-Za-z0-9_-]``, else a new one.
    """
    good = (one for one in offered if one is not None and _REQUEST_ID.fullmatch(one))
    return next(good, None) or str(uuid.uuid4())


def common_headers(request_id: str) -> dict[str, str]:
    """
    Return the headers of every answer.

    Args:
        request_id: Id of the request, from ``choose_request_id``.
    """
    return {
        "X-Request-ID": request_id,
        "X-Content-Type-Options": "nosniff",
        "Access-Control-Allow-Origin": settings.text("CORS_ORIGIN", "*"),
        "Access-Control-Expose-Headers": EXPOSED_HEADERS,
    }


def dump_json(value: Any) -> str:
    """Return a value as JSON text; other types than JSON's are a mistake, and raise ``TypeError``."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def error_status(error: errors.ServiceError) -> int:
    """Return the status of an error, which is its family's."""
    return next(STATUS[family] for family in type(error).__mro__ if family in STATUS)


def error_body(error: errors.ServiceError, request_id: str) -> dict[str, Any]:
    """
    Return the body of an error's answer.

    Args:
        error: The refusal.
        request_id: Id of the request, as in the answer's header.
    """
    body: dict[str, Any] = {"error": error.text, "code": error.code, "request_id": request_id}
    return body if error.details is None else {**body, "details": error.details}


def error_headers(error: errors.ServiceError) -> dict[str, str]:
    """Return the headers that an error adds to its answer."""
    headers = {}
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    if error.is_replay:
        headers["Idempotency-Replayed"] = "true"
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    return headers


def internal_error_body(request_id: str) -> dict[str, str]:
    """Return the body of an answer to a fault of ours, which says nothing of it."""
    return {"error": "Internal server error", "code": "internal_error", "request_id": request_id}


def read_json(body: str | None, *, is_base64: bool, content_type: str | None) -> dict[str, Any]:
    """
    Read the body of a request.

    Args:
        body: Body as the gateway passes it.
        is_base64: True if the gateway encoded it.
        content_type: The request's ``Content-Type``; a body without one is taken as JSON.

    Returns:
        The JSON object.

    Raises:
        TooLarge: The body has more than ``BODY_MAX_BYTES``.
        UnsupportedType: The type is another than ``application/json``.
        InvalidJson: The body is not one JSON object of Unicode characters, in UTF-8.
    """
    return parse_object(_bytes(body or "", is_base64), content_type=content_type)


def parse_object(
    content: bytes, *, content_type: str | None, parse_float: Callable[[str], Any] = float
) -> dict[str, Any]:
    """
    Read a body of bytes.

    Args:
        content: The body.
        content_type: The request's ``Content-Type``; a body without one is taken as JSON.
        parse_float: Type of numbers that are no integers; ``Decimal`` keeps money exact.

    Returns:
        The JSON object.

    Raises:
        TooLarge: The body has more than ``BODY_MAX_BYTES``.
        UnsupportedType: The type is another than ``application/json``.
        InvalidJson: The body is not one JSON object of Unicode characters, in UTF-8.
    """
    if len(content) > BODY_MAX_BYTES:
        raise errors.TooLarge
    if content_type is not None and content_type.partition(";")[0].strip().lower() != "application/json":
        raise errors.UnsupportedType
    try:
        value = _decoder(parse_float).decode(content.decode())
        # JSON can name half of a surrogate pair, which is no character (RFC 8259, 8.2). NaN is none of its numbers.
        _STRICT.encode(value).encode()
    except (ValueError, RecursionError) as exc:  # arrays in arrays, 1,000 deep
        raise errors.InvalidJson from exc
    if not isinstance(value, dict):
        raise errors.InvalidJson
    return value


@cache
def _decoder(parse_float: Callable[[str], Any]) -> json.JSONDecoder:
    return json.JSONDecoder(parse_float=parse_float)


def _bytes(body: str, is_base64: bool) -> bytes:
    if not is_base64:
        return body.encode(errors="surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError as exc:
        raise errors.InvalidJson from exc


def check_body(model: type[Body], values: Mapping[str, Any]) -> Body:
    """
    Check the fields of a body.

    Args:
        model: The fields and their rules.
        values: The body's fields; unknown ones are ignored.

    Returns:
        The checked fields.

    Raises:
        ValidationFailed: Fields are missing or wrong.
    """
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        problems = exc.errors(include_url=False, include_input=False, include_context=False)
        details = [errors.Detail(field=_field(one["loc"]), message=one["msg"]) for one in problems]
        raise errors.ValidationFailed(details=details) from None


def _field(path: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in path)
