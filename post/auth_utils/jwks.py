"""The pool's public keys, fetched and cached."""

import contextlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests
from jose import jwk
from jose.exceptions import JOSEError

from post.errors import AuthUnavailable
from post.shared_document import MAX_BYTES, SharedDocument
from post.telemetry import metrics

logger = logging.getLogger(__name__)

ALGORITHM = "RS256"
REFETCH_SECONDS = 60
FIRST_FETCH_RETRY_SECONDS = 1
WAIT_FOR_FETCH_SECONDS = 1
POLL_SECONDS = 0.02
FETCH_TIMEOUT_SECONDS = (2, 3)  # to connect, and for each piece
FETCH_SECONDS = 5  # for all of it
CLAIM_SECONDS = 15  # a worker that has died in a fetch holds back the others for no longer

Jwks = Mapping[str, Any]


def fetch_jwks(url: str) -> Jwks:
    """
    Fetch a key set, in ``FETCH_SECONDS`` at most.

    Args:
        url: Where the pool publishes it.

    Raises:
        requests.RequestException: It could not be had in time.
        ValueError: It is not JSON, or too long.
    """
    deadline, content = time.monotonic() + FETCH_SECONDS, bytearray()
    with requests.get(url, timeout=FETCH_TIMEOUT_SECONDS, stream=True) as response:
        response.raise_for_status()
        # The library's timeouts are of each piece, and a longer piece is waited for until it is full: an endpoint that
        # sends a byte a second would hold the thread.
        for piece in response.iter_content(1):
            content += piece
            if time.monotonic() > deadline:
                raise requests.Timeout(f"not all of it within {FETCH_SECONDS} s")
            if len(content) > MAX_BYTES:
                raise ValueError(f"longer than {MAX_BYTES} bytes")
    keys: Jwks = json.loads(content)
    return keys


class JwksClient:
    """
    The pool's public keys by ``kid``, shared by the workers for as long as the service lives.

    An unknown ``kid`` has one thread of one worker fetch the set again; after a fetch in vain none does for
    a minute, so that made-up ones cost nothing. Nobody waits for another's fetch, but before the first
    keys are there. Keys that are known go on working when the set cannot be fetched.
    """

    def __init__(self, fetch: Callable[[], Jwks], *, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Make a client that has fetched nothing yet.

        Args:
            fetch: Returns the key set (RFC 7517, section 5).
            clock: Seconds, from any point that is the same for all workers.
        """
        self._fetch = fetch
        self._document = SharedDocument(clock=clock)  # of the keys that can be used
        self._known: tuple[int, dict[str, Any]] = (0, {})  # the document's version, and its keys

    def key(self, kid: str) -> Any:
        """
        Return the key of an id, or None when the pool has no such key.

        Raises:
            AuthUnavailable: No key was ever fetched.
        """
        version, keys = self._latest()
        if kid not in keys:
            if self._document.claim(version, seconds=CLAIM_SECONDS):
                self._refresh(kid)
            elif not keys:
                self._wait_for_first_keys()
            _, keys = self._latest()
        if not keys:
            raise AuthUnavailable
        return keys.get(kid)

    def _latest(self) -> tuple[int, dict[str, Any]]:
        known = self._known
        if known[0] != self._document.version:
            version, content = self._document.read()
            known = version, {key["kid"]: jwk.construct(key, ALGORITHM) for key in json.loads(content)}
            self._known = known
        return known

    def _refresh(self, kid: str) -> None:
        seconds: float = FIRST_FETCH_RETRY_SECONDS
        try:
            self._document.store(json.dumps(_usable(self._fetch())).encode())
            metrics.JWKS_FETCHES.add("success")
        except (requests.RequestException, ValueError) as exc:
            metrics.JWKS_FETCHES.add("failure")
            logger.warning("jwks_fetch_failed", extra={"reason": type(exc).__name__})
        finally:
            _, keys = self._latest()
            if keys:  # a fetch that was in vain holds back others; one for a real key does not
                seconds = 0 if kid in keys else REFETCH_SECONDS
            self._document.allow_after(seconds)

    def _wait_for_first_keys(self) -> None:
        # Only in a fetch's first moments: an endpoint that hangs must not hang every thread with it.
        while not self._document.version and self._document.claimed_seconds() < WAIT_FOR_FETCH_SECONDS:
            time.sleep(POLL_SECONDS)


def _usable(jwks: Jwks) -> list[dict[str, Any]]:
    """Return the keys that can be used; the others are left out (RFC 7517, section 5)."""
    published = jwks.get("keys") if isinstance(jwks, Mapping) else None
    usable = []
    for key in published if isinstance(published, list) else []:
        if isinstance(key, dict) and key.get("kty") == "RSA" and isinstance(key.get("kid"), str):
            with contextlib.suppress(JOSEError, ValueError):
                jwk.construct(key, ALGORITHM)
                usable.append(key)
    if not usable:
        raise ValueError("not a key set, or one without an RSA key")
    return usable
