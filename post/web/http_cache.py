"""Answers that a cache may keep, and must ask about each time: entity tags (RFC 9110, 8.8.3; RFC 9111, 5.2.2.4)."""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol, TypeVar

from flask import Response, request

from post import __version__
from post.messages import Language
from post.web.envelope import request_language

TAGS_KEPT = 64  # a request asks for one twice
_FOR_ALL, _FOR_ITS_CALLER = "public, no-cache", "private, no-cache"

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Versioned(Protocol[T_co]):
    """What a service returns: a version, and the value, or None where the version was known already."""

    @property
    def version(self) -> str:
        """Any text; an equal one stands for an equal value."""

    @property
    def value(self) -> T_co | None:
        """What the version is of."""


def known_version() -> Callable[[str], bool] | None:
    """Return what tells whether the request's ``If-None-Match`` names a version; None where it has none."""
    if "HTTP_IF_NONE_MATCH" not in request.environ:
        return None
    known, language = request.if_none_match, request_language()
    return lambda version: known.contains_weak(_tag(version, language))


def respond_versioned(found: Versioned[T], respond: Callable[[T], Response]) -> Response:
    """
    Return a response with an ``ETag``: 304 where the caller has this version, as ``known_version`` told the service.

    A cache asks each time whether what it has is still good, so that nobody is shown what they have
    changed themselves as it was; and what is asked for with a token stays in that caller's own cache.

    Args:
        found: What a service returned.
        respond: Makes the response of its value.
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
    Make a whole file's response 304 without a body where the caller has the file already.

    ``If-Match`` is left to those who would change something: on a read it would make an error of the file itself.

    Args:
        file: With an ``ETag``.
    """
    environ = {name: value for name, value in request.environ.items() if name != "HTTP_IF_MATCH"}
    file.make_conditional(environ)
    return file


@lru_cache(maxsize=TAGS_KEPT)
def _tag(version: str, language: Language) -> str:
    # The same data is told in other words by another release, and in another language.
    return hashlib.blake2b(f"{__version__} {language} {version}".encode(), digest_size=16).hexdigest()
