"""The edge's rules, as the functions in edge/ have them for CloudFront: tests run both on one table."""

import json
import re

from .document import METHODS
from .messages import Headers, Request, Response, header, with_header

PREFIX = "/api"
REMAPPED_CHALLENGE = "x-amzn-remapped-www-authenticate"
URL_MAX_BYTES = 8_192  # CloudFront's
HEADERS_MAX_BYTES = 10_240  # API Gateway's, for names and values together; CloudFront's own is twice that
REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def is_api(path: str) -> bool:
    """
    Tell the API's paths from the site's, as CloudFront's behaviour ``/api/*`` does.

    Args:
        path: Path of the request, percent-encoded.

    Returns:
        True where the gateway answers, False where the site does.
    """
    return path.startswith(f"{PREFIX}/")


def strip_api(path: str) -> str:
    """
    Take ``/api`` off a path.

    Args:
        path: Path of the request, percent-encoded.

    Returns:
        The path that the gateway routes.
    """
    return path.removeprefix(PREFIX) if is_api(path) else path


def edge_headers(headers: Headers, viewer_address: str, fresh_id: str) -> Headers:
    """
    Set what only the edge may say: the viewer's address, and a request id that is safe to print.

    Args:
        headers: Headers as the client sent them.
        viewer_address: IP address of the client's connection.
        fresh_id: Request id for a client that has none, or one that is not safe.

    Returns:
        The headers for the gateway.
    """
    given = header(headers, "X-Request-ID") or ""
    request_id = given if REQUEST_ID.fullmatch(given) else fresh_id
    headers = with_header(headers, "X-Request-Id", request_id)
    return with_header(headers, "X-Viewer-Address", viewer_address)


def restore_challenge(headers: Headers) -> Headers:
    """
    Give a service's ``WWW-Authenticate`` its name back, which API Gateway has changed.

    Args:
        headers: Headers of the gateway's answer.

    Returns:
        The headers for the client.
    """
    return [("WWW-Authenticate" if name.lower() == REMAPPED_CHALLENGE else name, value) for name, value in headers]


def refused_at_edge(request: Request, target: str) -> Response | None:
    """
    Answer what never reaches the gateway: a method, a URL or headers that the edge does not take.

    Args:
        request: The request.
        target: Path and query, as they were sent.

    Returns:
        405 with the methods that it takes, 414 or 431; None where the request goes on.
    """
    if request.method.lower() not in METHODS:
        allow = ", ".join(method.upper() for method in METHODS)
        return _refusal(request, 405, "Method not allowed", "method_not_allowed", ("Allow", allow))
    if len(target) > URL_MAX_BYTES:
        return _refusal(request, 414, "URI too long", "uri_too_long")
    if sum(len(name) + len(value) for name, value in request.headers) > HEADERS_MAX_BYTES:
        return _refusal(request, 431, "Request header fields too large", "header_fields_too_large")
    return None


def _refusal(request: Request, status: int, text: str, code: str, *more: tuple[str, str]) -> Response:
    request_id = request.header("X-Request-ID") or ""
    body = {"error": text, "code": code, "request_id": request_id}
    headers = [
        *more,
        ("Content-Type", "application/json"),
        ("Access-Control-Allow-Origin", "*"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Request-ID", request_id),
    ]
    return Response(status, headers, json.dumps(body).encode())
