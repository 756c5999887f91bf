"""
Tokens: Cognito's RS256 JWTs, checked against the pool's keys.

python-jose's CVE-2026-85394 has no fixed release. Mitigations here: one algorithm, passed as a list; a key that is
chosen by a string ``kid`` among the pool's own and built once; no token over 8 KiB is parsed.
"""

import base64
import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from cachetools import LRUCache
from jose import jwt
from jose.exceptions import ExpiredSignatureError, JOSEError
from jose.utils import base64url_decode

from post.auth_utils.jwks import ALGORITHM, JwksClient
from post.errors import TokenExpired, TokenInvalid
from post.telemetry import metrics
from post.text import cut_line, text_problem
from post.utils import LOGIN_MAX_CHARS, USER_ID_MAX_CHARS, USERNAME_MAX_CHARS, Caller

TOKEN_MAX_BYTES = 8 * 1024
LEEWAY_SECONDS = 30
ACCEPTED_MAX = 4096  # tokens in the cache, about a KiB each
ADMIN_GROUP = "admin"
ACCESS, IDENTITY = "access", "id"  # of ``token_use``
LOGIN_CLAIMS = ("cognito:username", "username")
NAME_CLAIMS = ("nickname", "name", "preferred_username", "cognito:username", "username")


class _Accepted(NamedTuple):
    """A valid token: its caller, its ``exp``, and the key of its signature."""

    caller: Caller
    expires_at: float
    kid: str
    key: Any


class TokenVerifier:
    """
    Turns bearer tokens into callers.

    A valid token is cached by its digest until it expires, or its key is no longer the pool's, so that its signature
    is checked once. Invalid ones are not cached: made-up tokens evict nobody's.
    """

    def __init__(
        self,
        jwks: JwksClient,
        *,
        issuer: str,
        client_ids: tuple[str, ...],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Make a verifier.

        Args:
            jwks: The issuer's keys.
            issuer: The exact ``iss``.
            client_ids: The app clients whose tokens are ours.
            clock: Seconds since the epoch.
        """
        self._jwks = jwks
        self._issuer = issuer
        self._client_ids = client_ids
        self._clock = clock
        self._accepted: LRUCache[bytes, _Accepted] = LRUCache(ACCEPTED_MAX)
        self._lock = threading.Lock()  # of the cache, which reads change too

    def verify(self, token: str) -> Caller:
        """
        Return the caller of a token.

        Args:
            token: A Cognito access or id token (AWS: "Verifying a JSON web token").

        Raises:
            TokenExpired: It was valid once.
            TokenInvalid: Anything else is wrong with it.
            AuthUnavailable: No key to check it with was ever fetched.
        """
        encoded = token.encode(errors="surrogatepass")
        if len(encoded) > TOKEN_MAX_BYTES:
            raise TokenInvalid
        digest = hashlib.sha256(encoded).digest()
        with self._lock:
            known = self._accepted.get(digest)
        is_hit = known is not None and self._is_still_valid(known)
        metrics.CACHE_REQUESTS.labels("tokens", "hit" if is_hit else "miss").inc()
        if known is None or not is_hit:
            known = self._accept(token)
            if self._is_still_valid(known):  # and not only within the leeway
                with self._lock:
                    self._accepted[digest] = known
        return known.caller

    def _is_still_valid(self, known: _Accepted) -> bool:
        return self._clock() < known.expires_at and self._jwks.key(known.kid) is known.key

    def _accept(self, token: str) -> _Accepted:
        kid = self._key_id(token)
        key = self._jwks.key(kid)
        if key is None:
            raise TokenInvalid
        claims = self._claims(token, key)
        return _Accepted(self._caller(claims), claims["exp"], kid, key)

    def _key_id(self, token: str) -> str:
        if not _is_canonical(token):
            raise TokenInvalid
        try:
            header = jwt.get_unverified_header(token)
        except JOSEError as exc:
            raise TokenInvalid from exc
        kid = header.get("kid")
        # No extension is supported, so none may be critical (RFC 7515, section 4.1.11).
        if header.get("alg") != ALGORITHM or not isinstance(kid, str) or "crit" in header:
            raise TokenInvalid
        return kid

    def _claims(self, token: str, key: Any) -> dict[str, Any]:
        # The library cannot check aud or at_hash: it accepts a token without the one, and needs the access token for
        # the other.
        options = {"verify_aud": False, "verify_at_hash": False, "leeway": LEEWAY_SECONDS}
        options |= {"require_exp": True, "require_iat": True, "require_iss": True, "require_sub": True}
        try:
            claims = jwt.decode(token, key, algorithms=[ALGORITHM], issuer=self._issuer, options=options)
        except ExpiredSignatureError as exc:
            raise TokenExpired from exc
        # Besides its own errors the library raises these, for times that are null, lists or infinite, and for claims
        # that are nested too deeply.
        except (JOSEError, TypeError, OverflowError, RecursionError) as exc:
            raise TokenInvalid from exc
        if not all(isinstance(claims.get(moment, 0), int | float) for moment in ("exp", "iat", "nbf")):
            raise TokenInvalid  # a number as text, which the library accepts (RFC 7519, section 2)
        return cast(dict[str, Any], claims)

    def _caller(self, claims: dict[str, Any]) -> Caller:
        user_id = claims["sub"]
        if not _is_user_id(user_id) or not self._is_for_us(claims):
            raise TokenInvalid
        groups = claims.get("cognito:groups")
        # A resource server's scopes are an access token's (RFC 6749, section 3.3).
        scope = claims.get("scope") if claims["token_use"] == ACCESS else None
        return Caller(
            user_id=user_id,
            username=_username(claims),
            login=_login(claims),
            is_admin=isinstance(groups, list) and ADMIN_GROUP in groups,
            scopes=frozenset(scope.split()) if isinstance(scope, str) else frozenset(),
        )

    def _is_for_us(self, claims: dict[str, Any]) -> bool:
        audience_claim = {ACCESS: "client_id", IDENTITY: "aud"}.get(str(claims.get("token_use")))
        return audience_claim is not None and claims.get(audience_claim) in self._client_ids


def _is_canonical(token: str) -> bool:
    """Return if a token is spelt as base64url writes it (RFC 7515, section 2); the library reads others."""
    try:
        parts = token.encode("ascii").split(b".")
        return all(base64.urlsafe_b64encode(base64url_decode(part)).rstrip(b"=") == part for part in parts)
    except ValueError:
        return False


def _is_user_id(sub: Any) -> bool:
    if not isinstance(sub, str) or not 1 <= len(sub) <= USER_ID_MAX_CHARS:
        return False
    # MySQL's collations ignore spaces at the end: such a user would be taken for another.
    return sub == sub.strip() and text_problem(sub) is None


def _username(claims: dict[str, Any]) -> str:
    for name in (claims.get(claim) for claim in NAME_CLAIMS):
        if isinstance(name, str) and (shown := cut_line(name, max_chars=USERNAME_MAX_CHARS)):
            return shown
    return cast(str, claims["sub"])


def _login(claims: dict[str, Any]) -> str:
    for name in (claims.get(claim) for claim in LOGIN_CLAIMS):
        if isinstance(name, str) and 1 <= len(name) <= LOGIN_MAX_CHARS and not text_problem(name):
            return name
    return cast(str, claims["sub"])  # another name of the user for Cognito (API reference: AdminDisableUser)
