"""The stage's throttle: token buckets, one a method, with the figures that are deployed."""

import threading
import time
from collections.abc import Callable
from typing import Any

from .document import Route

DEFAULT = "*/*"


class Throttle:
    """A bucket for each method: ``burst_limit`` requests at once, refilled by ``rate_limit`` a second."""

    def __init__(self, settings: dict[str, dict[str, Any]], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def admits(self, route: Route) -> bool:
        """
        Take one token of a route's bucket.

        Args:
            route: Route of the request.

        Returns:
            False where the bucket is empty; then nothing is taken.
        """
        key = f"{route.resource.removeprefix('/')}/{route.method}"
        limits = self._settings.get(key) or self._settings.get(DEFAULT)
        if limits is None:
            return True
        now = self._clock()
        with self._lock:
            tokens, since = self._buckets.get(key, (float(limits["burst_limit"]), now))
            tokens = min(limits["burst_limit"], tokens + (now - since) * limits["rate_limit"])
            admitted = bool(tokens >= 1)
            self._buckets[key] = (tokens - admitted, now)
        return admitted
