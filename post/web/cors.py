"""CORS by flask-cors: pages of the configured sites may read the answers."""

import re
from functools import lru_cache
from typing import Any

from flask import Flask, Response, request
from flask_cors.core import get_cors_headers, get_cors_options
from werkzeug.datastructures import Headers

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
ALLOWED_HEADERS = [
    "Content-Type",
    "Authorization",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Request-ID",
    "traceparent",
    "tracestate",
    "X-Amzn-Trace-Id",
]
EXPOSED_HEADERS = [
    "X-Request-ID",
    "Location",
    "Link",
    "ETag",
    "Retry-After",
    "Idempotency-Replayed",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
]
MAX_AGE_SECONDS = 86_400
ORIGINS_KEPT = 64  # their headers are cached


def headers_for(origin: str) -> dict[str, str]:
    """Return flask-cors's headers for a configured site, for an answer that Flask does not make."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": ", ".join(sorted(EXPOSED_HEADERS)),
    }


def init_cors(app: Flask, *, origins: tuple[str, ...]) -> None:
    """
    Let pages of other sites read the app's answers.

    In place of ``CORS(app)``: the hook of that takes a quarter of Flask's own time for a request.

    Args:
        app: The application.
        origins: The sites that may read, such as ``https://example.com``.
    """
    options = get_cors_options(
        app,
        {
            # Compiled: flask-cors reads a text with brackets, such as an IPv6 address, as an expression.
            "origins": [re.compile(rf"{re.escape(origin)}\Z", re.IGNORECASE) for origin in origins],
            "methods": METHODS,
            "allow_headers": ALLOWED_HEADERS,
            "expose_headers": EXPOSED_HEADERS,
            "supports_credentials": True,
            "max_age": MAX_AGE_SECONDS,
            "vary_header": False,  # every answer has it
        },
    )

    @lru_cache(maxsize=ORIGINS_KEPT)
    def known_headers_for(origin: str) -> list[tuple[str, Any]]:
        return list(get_cors_headers(options, Headers({"Origin": origin}), "GET").items())

    @app.before_request
    def answer_preflight() -> Response | None:
        # Of an unknown route too: the browser then sends the request, and the page can read its 404.
        is_preflight = request.method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.environ
        return app.make_default_options_response() if is_preflight and request.routing_exception else None

    @app.after_request
    def share(response: Response) -> Response:
        origin = request.environ.get("HTTP_ORIGIN")
        if origin and request.method == "OPTIONS":  # its answer depends on more of the request's headers
            response.headers.extend(get_cors_headers(options, request.headers, "OPTIONS"))
        elif origin:
            response.headers.extend(known_headers_for(origin))
        return response
