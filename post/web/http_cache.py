"""Answers that a cache may keep and must revalidate each time: entity tags (RFC 9110, 8.8.3; RFC 9111, 5.2.2.4)."""

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol, TypeVar

from flask import Response, request

from post import __version__
from post.messages import Language
from post.web.envelope import request_language

TAGS_KEPT = 64  # a request computes one twice
_FOR_ALL, _FOR_ITS_CALLER = "public, no-cache", "private, no-cache"

# A tag is the digests of a post's edition, for ``If-Match``, and of all that is shown.
_DIGEST_BYTES = 8
_OUR_TAG = re.compile(rf'"([0-9a-f]{{{4 * _DIGEST_BYTES}}})"')

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Versioned(Protocol[T_co]):
    """A service's result: a version, and the value, or None if the client has that version."""

    @property
    def version(self) -> str:
        """Any text; equal texts mean equal values."""

    @property
    def value(self) -> T_co | None:
        """The value of this version."""


def known_version() -> Callable[[str], bool] | None:
    """Return a check for the versions in the request's ``If-None-Match``; None without that header."""
    if "HTTP_IF_NONE_MATCH" not in request.environ:
        return None
    known, language = request.if_none_match, request_language()
    return lambda version: known.contains_weak(_tag(version, language))


def unchanged_edition() -> Callable[[str], bool] | None:
    """
    Return a check for the editions in the request's ``If-Match``; None without that header, or with ``*``.

    Weak tags are compared too: the half that is compared changes with each edit of the post. What is no tag of ours
    matches nothing.
    """
    header = request.environ.get("HTTP_IF_MATCH")
    if header is None or header.strip() == "*":
        return None
    known = {tag[: 2 * _DIGEST_BYTES] for tag in _OUR_TAG.findall(header)}
    return lambda edition: _digest(edition) in known


def respond_versioned(found: Versioned[T], respond: Callable[[T], Response]) -> Response:
    """
    Return a response with an ``ETag``; 304 if the caller has this version, by ``known_version``.

    A cache must revalidate each time, so that users always see their own changes. Answers to
    requests with a token stay in that caller's own cache.

    Args:
        found: A service's result.
        respond: Makes the response from the value.
    """
    if found.value is None:
        response = Response(status=304, headers={"Vary": "Accept-Language"})
        del response.headers["Content-Type"]
    else:
        response = respond(found.value)
    headers = response.headers
    headers["Vary"] += ", Authorization"
    headers["ETag"] = f'W/"{_tag(found.version, request_language())}"'
    headers["Cache-Control"] = _FOR_ITS_CALLER if "HTTP_AUTHORIZATION" in request.environ else _FOR_ALL
    return response


def not_modified_if_known(file: Response) -> Response:
    """
    Turn a file's response into a 304 without a body if the caller has the file already.

    ``If-Match`` is ignored: on a read it would turn the file itself into an error.

    Args:
        file: A response with an ``ETag``.
    """
    environ = {name: value for name, value in request.environ.items() if name != "HTTP_IF_MATCH"}
    file.make_conditional(environ)
    return file


def set_digest(response: Response) -> Response:
    """Give a response the digest of its body as ``ETag``; return it."""
    response.set_etag(hashlib.blake2b(response.get_data(), digest_size=2 * _DIGEST_BYTES).hexdigest())
    return response


@lru_cache(maxsize=TAGS_KEPT)
def _tag(version: str, language: Language) -> str:
    # Another release or language words the same data differently; the edition is the same.
    edition, _, _ = version.partition("|")
    return _digest(edition) + _digest(f"{__version__} {language} {version}")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()
