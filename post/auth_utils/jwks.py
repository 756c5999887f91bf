"""The pool's public keys, fetched and cached."""

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests
from jose import jwk
from jose.exceptions import JOSEError

from post.errors import AuthUnavailable
from post.fetching import fetch_json
from post.telemetry import metrics

logger = logging.getLogger(__name__)

ALGORITHM = "RS256"
REFETCH_SECONDS = 60
FIRST_FETCH_RETRY_SECONDS = 1
WAIT_FOR_FETCH_SECONDS = 1
FETCH_TIMEOUT_SECONDS = (2, 3)  # to connect, and for each piece
FETCH_SECONDS = 5  # for all of it
MAX_BYTES = 1 << 16

Jwks = Mapping[str, Any]


def fetch_jwks(url: str) -> Jwks:
    """
    Fetch a key set, in ``FETCH_SECONDS`` at most.

    Args:
        url: The pool's address for it.

    Raises:
        requests.RequestException: It did not arrive in time.
        ValueError: It is not JSON, or too long.
    """
    keys: Jwks = fetch_json(
        url, timeout_seconds=FETCH_TIMEOUT_SECONDS, total_seconds=FETCH_SECONDS, max_bytes=MAX_BYTES
    )
    return keys


class JwksClient:
    """
    The pool's public keys by ``kid``, for as long as the process lives.

    An unknown ``kid`` makes one thread fetch the set again. If that was in vain, the next fetch is a minute later, so
    made-up ones cost nothing. No thread waits for another's fetch, except before the first keys are there.
    Known keys stay valid when the set cannot be fetched.
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
        self._lock = threading.Lock()  # of all that follows
        self._began = self._next_fetch = -math.inf
        self._is_idle = threading.Event()
        self._is_idle.set()

    def key(self, kid: str) -> Any:
        """
        Return the key of an id, or None when the pool has no such key.

        Raises:
            AuthUnavailable: No key was ever fetched.
        """
        if kid not in self._keys:
            if self._claim(kid):
                self._refresh(kid)
            elif not self._keys:
                # Only for a fetch's first moments: an endpoint that hangs must not block every thread.
                self._is_idle.wait(max(0, self._began + WAIT_FOR_FETCH_SECONDS - self._clock()))
        if not self._keys:
            raise AuthUnavailable
        return self._keys.get(kid)

    def _claim(self, kid: str) -> bool:
        """Return True if the calling thread must fetch the set."""
        with self._lock:
            now = self._clock()
            if not self._is_idle.is_set() or now < self._next_fetch or kid in self._keys:
                return False
            self._began = now
            self._is_idle.clear()
            return True

    def _refresh(self, kid: str) -> None:
        try:
            self._keys = _usable(self._fetch())
            metrics.JWKS_FETCHES.labels("success").inc()
        except (requests.RequestException, ValueError) as exc:
            metrics.JWKS_FETCHES.labels("failure").inc()
            logger.warning("jwks_fetch_failed", extra={"reason": type(exc).__name__})
        finally:
            seconds: float = FIRST_FETCH_RETRY_SECONDS
            if self._keys:  # a fetch in vain delays the next one; one that found the key does not
                seconds = 0 if kid in self._keys else REFETCH_SECONDS
            with self._lock:
                self._next_fetch = self._clock() + seconds
                self._is_idle.set()


def _usable(jwks: Jwks) -> dict[str, Any]:
    """Return the usable keys by ``kid``; others are ignored (RFC 7517, section 5)."""
    published = jwks.get("keys") if isinstance(jwks, Mapping) else None
    usable = {}
    for key in published if isinstance(published, list) else []:
        if isinstance(key, dict) and key.get("kty") == "RSA" and isinstance(key.get("kid"), str):
            with contextlib.suppress(JOSEError, ValueError):
                usable[key["kid"]] = jwk.construct(key, ALGORITHM)
    if not usable:
        raise ValueError("not a key set, or one without an RSA key")
    return usable
