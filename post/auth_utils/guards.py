"""Guards: routes that need a token, and the caller of a request."""

import functools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar, cast

from flask import g, request
from werkzeug.exceptions import HTTPException

from post.components import components
from post.errors import RESTRICTIONS, AccountDeactivated, AccountRestricted, Forbidden, ServiceError, TokenMissing
from post.utils import Caller

READS = ("GET", "HEAD")

View = TypeVar("View", bound=Callable[..., Any])


def token_required(view: View) -> View:
    """
    Guard a route: refuse requests without a valid token, and writes by restricted accounts.

    The view finds the caller by ``current_user()``.
    """

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if current_user() and request.method not in READS:
            refuse_restricted_caller()
        return view(*args, **kwargs)

    return cast(View, _marked(guarded))


def token_required_to_write(view: View) -> View:
    """
    Guard a write whose service refuses restricted accounts itself, by a query that it sends anyway.

    That refusal precedes those of request and post, so it is looked up before one of them is answered.
    """

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        current_user()
        try:
            return view(*args, **kwargs)
        except (ServiceError, HTTPException) as refusal:
            if not isinstance(refusal, AccountRestricted):
                refuse_restricted_caller()
            raise

    return cast(View, _marked(guarded))


def token_required_even_deactivated(view: View) -> View:
    """Guard a write as ``token_required`` does, but let deactivated accounts through."""

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        with suppress(AccountDeactivated):
            refuse_restricted_caller()
        return view(*args, **kwargs)

    return cast(View, _marked(guarded))


def admin_required(view: View) -> View:
    """
    Guard a route of moderators, reads too: refuse everybody without the group ``admin``, and restricted accounts.

    A restriction holds at once; the group is the token's, as long as that is valid.
    """

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        caller = current_user()
        refuse_restricted_caller()
        if not caller.is_admin:
            raise Forbidden
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


def current_viewer() -> Caller | None:
    """Return the reader of one post, or None without a valid token. A restricted admin reads as any other user."""
    caller = optional_caller()
    if caller is None or not caller.is_admin or components().restriction_of(caller.user_id) is None:
        return caller
    return replace(caller, is_admin=False)


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


def is_caller_restricted() -> bool:
    """Look up if the caller of a guarded route may write nothing."""
    return components().restriction_of(current_user().user_id) is not None


def refuse_restricted_caller() -> None:
    """
    Refuse the caller of a guarded route whose account may not write.

    Raises:
        AccountDeactivated: They have deactivated their account.
        AccountSuspended: A moderator has suspended it.
    """
    restriction = components().restriction_of(current_user().user_id)
    if restriction is not None:
        raise RESTRICTIONS[restriction]


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
