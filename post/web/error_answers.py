"""The HTTP answer to each error."""

import logging
from collections.abc import Callable
from typing import Any

from flask import Flask, Response
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from post import messages
from post.database.faults import is_away
from post.errors import (
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    ServiceError,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from post.web.envelope import request_language, respond_error

logger = logging.getLogger(__name__)

HTTP_STATUS: dict[type[ServiceError], int] = {
    Invalid: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    PreconditionFailed: 412,
    UnsupportedMediaType: 415,
    Unavailable: 503,
}
# Codes for refusals of Flask and Werkzeug themselves.
HTTP_CODES = {
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    412: "precondition_failed",
    413: "payload_too_large",
    414: "uri_too_long",
    415: "unsupported_media_type",
    429: "rate_limited",
    431: "header_fields_too_large",
    503: "overloaded",
    504: "gateway_timeout",
}
PAGE_STATUSES = (404, 429, 500, 503)  # the site's page says them in its own words


def init_errors(app: Flask, *, page_for_error: Callable[[int], Response | None] | None = None) -> None:
    """
    Make an app answer every error in the envelope.

    Args:
        app: The application.
        page_for_error: Returns the site's page for a status, or None where the envelope is due; None without a site.
    """

    def respond(code: str, status: int, **more: Any) -> Response:
        page = page_for_error(status) if page_for_error and status in PAGE_STATUSES else None
        return page or respond_error(code, status, **more)

    @app.errorhandler(ServiceError)
    def refused(error: ServiceError) -> Response:
        status = next(HTTP_STATUS[family] for family in type(error).__mro__ if family in HTTP_STATUS)
        headers = {"WWW-Authenticate": _challenge(error.code)} if status == 401 else None
        language = request_language()
        details = [
            {"field": detail.field, "message": messages.text(detail.key, language, **detail.params)}
            for detail in error.details
        ]
        return respond(error.code, status, details=details, headers=headers)

    @app.errorhandler(HTTPException)
    def refused_by_werkzeug(error: HTTPException) -> ResponseReturnValue:
        status = error.code or 500
        if status < 400:
            return error
        code = HTTP_CODES.get(status, "malformed_request" if status < 500 else "internal_error")
        kept = {name: value for name, value in error.get_headers() if name == "Allow"}
        return respond(code, status, headers=kept)

    @app.errorhandler(SQLAlchemyError)
    def database_failed(error: SQLAlchemyError) -> Response:
        if not is_away(error):
            return crashed(error)
        logger.warning("database_unavailable", extra={"reason": type(error).__name__})
        return refused(DatabaseUnavailable())

    @app.errorhandler(Exception)
    def crashed(error: Exception) -> Response:
        if type(error).__module__.startswith("gunicorn."):  # the chunks of a body break HTTP
            return respond("malformed_request", 400)
        logger.error("request_failed", exc_info=error)
        return respond("internal_error", 500)


def _challenge(code: str) -> str:
    """Return ``WWW-Authenticate``; it names no error if there was no token (RFC 6750, section 3.1)."""
    realm = 'Bearer realm="post-service"'
    return realm if code == "token_missing" else f'{realm}, error="invalid_token", error_description="{code}"'
