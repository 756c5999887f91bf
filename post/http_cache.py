"""Answers that a cache may keep, and must ask about each time: entity tags (RFC 9110, 8.8.3; RFC 9111, 5.2.2.4)."""

import hashlib
from collections.abc import Callable
from typing import Protocol, TypeVar

from flask import Response, request

from post import __version__
from post.utils import request_language

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
    if "If-None-Match" not in request.headers:
        return None
    known = request.if_none_match
    return lambda version: known.contains_weak(_tag(version))


def respond_versioned(found: Versioned[T], respond: Callable[[T], Response]) -> Response:
    """
    Return a response with an ``ETag``: 304 where the request's ``If-None-Match`` names it.

    A cache asks each time whether what it has is still good, so that nobody is shown what they have
    changed themselves as it was; and what is asked for with a token stays in that caller's own cache.

    Args:
        found: What a service returned.
        respond: Makes the response of its value.
    """
    is_known = known_version()
    if found.value is None or (is_known is not None and is_known(found.version)):
        response = Response(status=304)
        response.vary.add("Accept-Language")
    else:
        response = respond(found.value)
    response.set_etag(_tag(found.version), weak=True)
    response.vary.add("Authorization")
    response.headers["Cache-Control"] = f"{'private' if 'Authorization' in request.headers else 'public'}, no-cache"
    return response


def _tag(version: str) -> str:
    # The same data is told in other words by another release, and in another language.
    seen = f"{__version__} {request_language()} {version}"
    return hashlib.blake2b(seen.encode(), digest_size=16).hexdigest()
