"""Guards: routes that need a token, and the caller of a request."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import g, request
from werkzeug.exceptions import HTTPException

from post.components import components
from post.errors import AccountDeactivated, ServiceError, TokenMissing
from post.utils import Caller

READS = ("GET", "HEAD")

View = TypeVar("View", bound=Callable[..., Any])


def token_required(view: View) -> View:
    """
    Guard a route: refuse requests without a valid token, and writes by deactivated accounts.

    The view finds the caller by ``current_user()``.
    """

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if current_user() and request.method not in READS and is_caller_deactivated():
            raise AccountDeactivated
        return view(*args, **kwargs)

    return cast(View, _marked(guarded))


def token_required_to_write(view: View) -> View:
    """
    Guard a write whose service refuses deactivated accounts itself, by a query that it sends anyway.

    That refusal precedes those of request and post, so it is looked up before one of them is answered.
    """

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        current_user()
        try:
            return view(*args, **kwargs)
        except (ServiceError, HTTPException) as refusal:
            if not isinstance(refusal, AccountDeactivated) and is_caller_deactivated():
                raise AccountDeactivated from refusal
            raise

    return cast(View, _marked(guarded))


def token_required_even_deactivated(view: View) -> View:
    """Guard a route as ``token_required`` does, but let deactivated accounts through."""

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        current_user()
        return view(*args, **kwargs)

    return cast(View, _marked(guarded))


def _marked(guarded: Any) -> Any:
    guarded.__guarded__ = True  # read by the test that walks the URL map
    return guarded


def token_required_to_like(view: View) -> View:
    """Guard a route as ``token_required_to_write`` does, unless ``LIKE_REQUIRES_AUTH=false`` and no token is sent."""
    guarded = token_required_to_write(view)

    @functools.wraps(guarded)
    def guarded_by_setting(*args: Any, **kwargs: Any) -> Any:
        if components().settings.like_requires_auth or "Authorization" in request.headers:
            return guarded(*args, **kwargs)
        return view(*args, **kwargs)

    return cast(View, guarded_by_setting)


def optional_caller() -> Caller | None:
    """Return the caller, or None without a valid token: reads are open to anyone."""
    found = _caller_or_refusal()
    return None if isinstance(found, ServiceError) else found


def current_user() -> Caller:
    """
    Return the caller of a guarded route. The token is verified once; later calls return or raise the same.

    Raises:
        Unauthenticated: There is no valid token.
        AuthUnavailable: No key to check it with was ever fetched.
    """
    found = _caller_or_refusal()
    if isinstance(found, ServiceError):
        raise found
    return found


def is_caller_deactivated() -> bool:
    """Look up if the caller of a guarded route has deactivated their account."""
    return components().is_deactivated(current_user().user_id)


def _caller_or_refusal() -> Caller | ServiceError:
    found: Caller | ServiceError | None = g.get("caller")
    if found is None:
        found = g.caller = _read_token()
    return found


def _read_token() -> Caller | ServiceError:
    scheme, _, token = request.environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        return TokenMissing()
    try:
        return components().verifier.verify(token)
    except ServiceError as refusal:
        return refusal
