"""
Tokens: Cognito's RS256 JWTs, checked against the pool's keys.

python-jose's CVE-2026-85394 has no fixed release; what mitigates it is here: the one algorithm is
passed as a list, the key is chosen by a string ``kid`` among the keys that the pool publishes and
is built once, and a token over 8 KiB is refused before it is parsed.
"""

import contextlib
import functools
import logging
import threading
import time
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import requests
from flask import Flask, current_app, g, request
from jose import jwk, jwt
from jose.exceptions import ExpiredSignatureError, JOSEError

from post.errors import AuthUnavailable, ServiceError, TokenExpired, TokenInvalid, TokenMissing
from post.utils import USER_ID_MAX_CHARS, USERNAME_MAX_CHARS, Caller, text_problem

logger = logging.getLogger(__name__)

ALGORITHM = "RS256"
TOKEN_MAX_BYTES = 8 * 1024
LEEWAY_SECONDS = 30
REFETCH_SECONDS = 60
FIRST_FETCH_RETRY_SECONDS = 1
WAIT_FOR_FETCH_SECONDS = 1
FETCH_TIMEOUT_SECONDS = (2, 3)  # to connect, to read
ADMIN_GROUP = "admin"
NAME_CLAIMS = ("nickname", "name", "preferred_username", "cognito:username", "username")

View = TypeVar("View", bound=Callable[..., Any])
Jwks = Mapping[str, Any]


def fetch_jwks(url: str) -> Jwks:
    """
    Fetch a key set.

    Args:
        url: Where the pool publishes it.

    Raises:
        requests.RequestException: It could not be had, or is not JSON.
    """
    response = requests.get(url, timeout=FETCH_TIMEOUT_SECONDS)
    response.raise_for_status()
    keys: Jwks = response.json()
    return keys


class JwksClient:
    """
    The pool's public keys by ``kid``, cached for as long as the process lives.

    An unknown ``kid`` fetches the set again; after a fetch in vain for a minute no other does, so that
    made-up ones cost nothing. Keys that are known go on working when it cannot be fetched.
    """

    def __init__(self, fetch: Callable[[], Jwks], *, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Make a client that has fetched nothing yet.

        Args:
            fetch: Returns the key set (RFC 7517, section 5).
            clock: Seconds, from any point.
        """
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._next_fetch = float("-inf")

    def key(self, kid: str) -> Any:
        """
        Return the key of an id, or None when the pool has no such key.

        Raises:
            AuthUnavailable: No key was ever fetched.
        """
        # Only for a moment: a JWKS endpoint that hangs must not hang every thread with it.
        if kid not in self._keys and self._lock.acquire(timeout=WAIT_FOR_FETCH_SECONDS):
            try:
                if kid not in self._keys and self._clock() >= self._next_fetch:
                    self._refresh(kid)
            finally:
                self._lock.release()
        if not self._keys:
            raise AuthUnavailable
        return self._keys.get(kid)

    def _refresh(self, kid: str) -> None:
        try:
            self._keys = _signing_keys(self._fetch())
        except (requests.RequestException, ValueError) as exc:
            logger.warning("jwks_fetch_failed", extra={"reason": type(exc).__name__})
        if kid not in self._keys:  # a fetch that was in vain; one for a real key holds back no other
            self._next_fetch = self._clock() + (REFETCH_SECONDS if self._keys else FIRST_FETCH_RETRY_SECONDS)


def _signing_keys(jwks: Jwks) -> dict[str, Any]:
    """Return the keys that can be used; the others are left out (RFC 7517, section 5)."""
    published = jwks.get("keys") if isinstance(jwks, Mapping) else None
    keys = {}
    for key in published if isinstance(published, list) else []:
        if isinstance(key, dict) and key.get("kty") == "RSA" and isinstance(key.get("kid"), str):
            with contextlib.suppress(JOSEError, ValueError):
                keys[key["kid"]] = jwk.construct(key, ALGORITHM)
    if not keys:
        raise ValueError("not a key set, or one without an RSA key")
    return keys


class TokenVerifier:
    """Turns bearer tokens into callers."""

    def __init__(self, jwks: JwksClient, *, issuer: str, client_ids: tuple[str, ...]) -> None:
        """
        Make a verifier.

        Args:
            jwks: The issuer's keys.
            issuer: The exact ``iss``.
            client_ids: The app clients whose tokens are ours.
        """
        self._jwks = jwks
        self._issuer = issuer
        self._client_ids = client_ids

    def verify(self, token: str) -> Caller:
        """
        Return who a token stands for.

        Args:
            token: A Cognito access or id token (AWS: "Verifying a JSON web token").

        Raises:
            TokenExpired: It was good once.
            TokenInvalid: Anything else is wrong with it.
            AuthUnavailable: No key to check it with was ever fetched.
        """
        if len(token.encode(errors="surrogatepass")) > TOKEN_MAX_BYTES:
            raise TokenInvalid
        return self._caller(self._claims(token))

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
        except JOSEError as exc:
            raise TokenInvalid from exc
        kid = header.get("kid")
        # Nor is there an extension that we understand (RFC 7515, section 4.1.11).
        is_usable = header.get("alg") == ALGORITHM and isinstance(kid, str) and "crit" not in header
        key = self._jwks.key(kid) if is_usable else None
        if key is None:
            raise TokenInvalid
        # Neither aud nor at_hash can be left to the library: it accepts a token without the one,
        # and wants the access token in order to check the other.
        options = {"verify_aud": False, "verify_at_hash": False, "leeway": LEEWAY_SECONDS}
        options |= {"require_exp": True, "require_iat": True, "require_iss": True, "require_sub": True}
        try:
            claims = jwt.decode(token, key, algorithms=[ALGORITHM], issuer=self._issuer, options=options)
        except ExpiredSignatureError as exc:
            raise TokenExpired from exc
        # Besides its own errors the library lets those through of times that are null, lists or
        # infinite, and of claims that are nested too deeply.
        except (JOSEError, TypeError, OverflowError, RecursionError) as exc:
            raise TokenInvalid from exc
        if not all(isinstance(claims.get(moment, 0), int | float) for moment in ("exp", "iat", "nbf")):
            raise TokenInvalid  # a number as text, which the library reads (RFC 7519, section 2)
        return cast(dict[str, Any], claims)

    def _caller(self, claims: dict[str, Any]) -> Caller:
        user_id = claims["sub"]
        if not _is_user_id(user_id) or not self._is_for_us(claims):
            raise TokenInvalid
        groups = claims.get("cognito:groups")
        scope = claims.get("scope")
        return Caller(
            user_id=user_id,
            username=_username(claims),
            is_admin=isinstance(groups, list) and ADMIN_GROUP in groups,
            scopes=frozenset(scope.split()) if isinstance(scope, str) else frozenset(),
        )

    def _is_for_us(self, claims: dict[str, Any]) -> bool:
        audience_claim = {"access": "client_id", "id": "aud"}.get(str(claims.get("token_use")))
        return audience_claim is not None and claims.get(audience_claim) in self._client_ids


def _is_user_id(sub: Any) -> bool:
    if not isinstance(sub, str) or not 1 <= len(sub) <= USER_ID_MAX_CHARS:
        return False
    # MySQL's collations do not see spaces at the end: such a user would be taken for another.
    return sub == sub.strip() and text_problem(sub) is None


def _username(claims: dict[str, Any]) -> str:
    for name in (claims.get(claim) for claim in NAME_CLAIMS):
        if isinstance(name, str) and name.strip() and not text_problem(name):
            return unicodedata.normalize("NFC", name).strip()[:USERNAME_MAX_CHARS]
    return cast(str, claims["sub"])


def init_auth(app: Flask, verifier: TokenVerifier, *, like_requires_auth: bool) -> None:
    """Give the app its verifier."""
    app.extensions["post_auth"] = verifier
    app.extensions["post_like_requires_auth"] = like_requires_auth


def token_required(view: View) -> View:
    """Guard a route: without a good token it is not reached. ``current_user()`` is then the caller."""

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        current_user()
        return view(*args, **kwargs)

    guarded.__guarded__ = True  # type: ignore[attr-defined]  # read by the test that walks the URL map
    return cast(View, guarded)


def token_required_to_like(view: View) -> View:
    """Guard a route as ``token_required`` does, unless ``LIKE_REQUIRES_AUTH=false`` and no token is sent."""
    guarded = token_required(view)

    @functools.wraps(guarded)
    def guarded_by_setting(*args: Any, **kwargs: Any) -> Any:
        if current_app.extensions["post_like_requires_auth"] or "Authorization" in request.headers:
            return guarded(*args, **kwargs)
        return view(*args, **kwargs)

    return cast(View, guarded_by_setting)


def optional_caller() -> Caller | None:
    """Return the caller, or None for one without a good token: on reads anyone is welcome."""
    try:
        return current_user()
    except ServiceError:
        return None


def current_user() -> Caller:
    """
    Return the caller of a guarded route. The token is verified once; later calls return, or raise, the same.

    Raises:
        Unauthenticated: There is no good token.
        AuthUnavailable: No key to check it with was ever fetched.
    """
    if "caller" not in g:
        try:
            g.caller = _read_token()
        except ServiceError as error:
            g.caller = error
    if isinstance(g.caller, ServiceError):
        raise g.caller
    return cast(Caller, g.caller)


def _read_token() -> Caller:
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise TokenMissing
    verifier: TokenVerifier = current_app.extensions["post_auth"]
    return verifier.verify(token)
