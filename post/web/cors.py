"""CORS: which sites' pages may read the answers, by flask-cors."""

import re
from functools import lru_cache
from typing import Any

from flask import Flask, Response, request
from flask_cors.core import get_cors_headers, get_cors_options
from werkzeug.datastructures import Headers

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
ALLOWED_HEADERS = ["Content-Type", "Authorization", "Idempotency-Key", "X-Request-ID"]
EXPOSED_HEADERS = ["X-Request-ID", "Location", "Link", "ETag", "Retry-After"]
MAX_AGE_SECONDS = 86_400
ORIGINS_KEPT = 64  # whose headers are known without asking flask-cors again


def headers_for(origin: str) -> dict[str, str]:
    """Return what lets a configured site read an answer that Flask does not make: as flask-cors has it."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": ", ".join(sorted(EXPOSED_HEADERS)),
    }


def init_cors(app: Flask, *, origins: tuple[str, ...]) -> None:
    """
    Let pages of other sites read the app's answers.

    It stands for ``CORS(app)``, whose hook works for a quarter of the time that Flask itself takes.

    Args:
        app: The application.
        origins: The sites, such as ``https://example.com``.
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

    @app.after_request
    def share(response: Response) -> Response:
        origin = request.environ.get("HTTP_ORIGIN")
        if origin and request.method == "OPTIONS":  # whose answer depends on more of the request's headers
            response.headers.extend(get_cors_headers(options, request.headers, "OPTIONS"))
        elif origin:
            response.headers.extend(known_headers_for(origin))
        return response
