"""The pool's public keys, fetched and cached."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests
from jose import jwk
from jose.exceptions import JOSEError

from post import metrics
from post.errors import AuthUnavailable

logger = logging.getLogger(__name__)

ALGORITHM = "RS256"
REFETCH_SECONDS = 60
FIRST_FETCH_RETRY_SECONDS = 1
WAIT_FOR_FETCH_SECONDS = 1
FETCH_TIMEOUT_SECONDS = (2, 3)  # to connect, to read

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
            metrics.JWKS_FETCHES.add("success")
        except (requests.RequestException, ValueError) as exc:
            metrics.JWKS_FETCHES.add("failure")
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
