"""The static site, in the role of its S3 bucket behind CloudFront."""

import mimetypes
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from microservices.local.terraform import deployed

from .messages import Headers, Response

FOLDER = Path(__file__).parents[2] / "site"
ROOT_OBJECT = "index.html"


def site_answer(method: str, path: str, folder: Path = FOLDER) -> Response | None:
    """
    Read an object of the site.

    Args:
        method: Method of the request.
        path: Its path, percent-encoded; ``/`` means the root object.
        folder: The site's files.

    Returns:
        The file; None where there is none of that name.
    """
    if method not in {"GET", "HEAD"}:
        return None
    key = unquote(path).removeprefix("/") or ROOT_OBJECT
    if "\0" in key or key.endswith("/"):
        return None
    file = (folder / key).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        return None
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return Response(200, [("Content-Type", kind), *deployed_headers()], file.read_bytes())


@cache
def deployed_headers() -> Headers:
    """Return the headers that CloudFront adds to the site's files, but the one that is for HTTPS alone."""
    policy = deployed().resources("aws_cloudfront_response_headers_policy")["site"]
    security, custom = policy["security_headers_config"][0], policy["custom_headers_config"][0]
    return [
        ("Content-Security-Policy", security["content_security_policy"][0]["content_security_policy"]),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", security["referrer_policy"][0]["referrer_policy"]),
        *((item["header"], item["value"]) for item in custom["items"]),
    ]
