"""The static site, in the role of its S3 bucket behind CloudFront."""

import mimetypes
from pathlib import Path
from urllib.parse import unquote

from .messages import Response

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
    return Response(200, [("Content-Type", kind)], file.read_bytes())
