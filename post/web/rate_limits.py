"""Rate limits: of each user with a token, else of each address."""

import functools
import ipaddress
import math
import time
from typing import Any, cast

from flask import Flask, current_app, g, request
from flask_limiter import ApplicationLimit, ExemptionScope, Limiter
from limits import RateLimitItem
from limits.storage import Storage
from limits.storage.base import SlidingWindowCounterSupport, TimestampedSlidingWindow
from werkzeug.exceptions import TooManyRequests

from config import Settings
from post.auth_utils.guards import READS, optional_caller
from post.shared.memory import SharedCounters
from post.shared.rate_windows import Hit, RateWindows
from post.telemetry import metrics

IMAGE_ENDPOINT = "media.get_image"
WRITES = ["POST", "PUT", "PATCH", "DELETE"]
NETWORKS_KEPT = 1024  # of addresses whose network is known without reading them again


class SharedCounterStorage(TimestampedSlidingWindow, SlidingWindowCounterSupport, Storage):
    """
    A storage of the ``limits`` library over counters that the workers share.

    Its own memory storage counts in each worker for itself, and grows with the addresses it sees.
    """

    STORAGE_SCHEME = ["shared-memory"]  # noqa: RUF012 - the base class declares it so

    def __init__(self, uri: str | None = None, *, counters: SharedCounters, **options: Any) -> None:
        """Stand on ``counters``; the rest is the library's."""
        super().__init__(uri, **options)
        self._counters = counters

    @property
    def base_exceptions(self) -> type[Exception]:
        """What a storage fault raises; memory has none."""
        return MemoryError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a counter that lives ``expiry`` seconds."""
        return self._counters.add(key, ttl_seconds=expiry, amount=amount)

    def get(self, key: str) -> int:
        """Return a counter."""
        return self._counters.get(key)

    def get_expiry(self, key: str) -> float:
        """Return when a counter expires, in seconds since the epoch."""
        return self._counters.expires_at(key)

    def check(self) -> bool:
        """Tell that the storage works."""
        return True

    def reset(self) -> None:
        """Forget every counter of the table."""
        self._counters.clear()

    def clear(self, key: str) -> None:
        """Forget a counter."""
        self._counters.remove(key)

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count a request unless the weighted count of the window and the one before it has reached the limit."""
        return self.hit(key, limit, expiry, amount).is_let_in

    def hit(self, key: str, limit: int, expiry: int, amount: int = 1) -> Hit:
        """Count a request as ``RateWindows`` does, or one that costs more."""
        now = time.time()
        previous_key, current_key = self.sliding_window_keys(key, expiry, now)
        remaining = expiry - now % expiry

        def room(previous: int) -> int:
            return math.floor(limit - previous * remaining / expiry)

        previous, current = self._counters.add_beside(
            previous_key, current_key, ttl_seconds=2 * expiry, amount=amount, maximum=room
        )
        is_let_in = current <= room(previous)
        return Hit(is_let_in, previous, current if is_let_in else current - amount, remaining)

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return count and remaining seconds of the window before this one, then of this one."""
        now = time.time()
        previous_key, current_key = self.sliding_window_keys(key, expiry, now)
        remaining = expiry - now % expiry
        return self._counters.get(previous_key), remaining, self._counters.get(current_key), remaining

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget both windows of a key."""
        for window in self.sliding_window_keys(key, expiry, time.time()):
            self._counters.remove(window)


class SettledLimiter(Limiter):
    """
    Flask-Limiter, which settles once which limits the requests of an endpoint and a method have.

    Its own hooks parse all limits at every request and try each on it, which takes ten times as
    long as the counting.
    """

    def init_app(self, app: Flask) -> None:
        """Count the requests of an app."""
        app.extensions.setdefault("limiter", set()).add(self)  # so that the library thinks its hooks are there already
        super().init_app(app)
        self.windows: RateWindows = cast(SharedCounterStorage, self.storage)
        self._settled: dict[tuple[str, str], list[tuple[RateLimitItem, str]]] = {}
        app.before_request(self.count_request)

    def count_request(self) -> None:
        """
        Count a request, for each of its limits from the shortest on.

        Raises:
            TooManyRequests: It is not within one of them.
        """
        endpoint, method = request.endpoint, request.method
        if endpoint is None:
            return
        if (endpoint, method) not in self._settled:
            self._settled[endpoint, method] = self._limits_of(endpoint)
        told = None
        for limit, scope in self._settled[endpoint, method]:
            hit = self.windows.hit(limit.key_for(_client(), scope), limit.amount, limit.get_expiry())
            # The client is told of the limit that it has used up, else of the shortest.
            if told is None or not hit.is_let_in:
                told = g.rate_limit = (limit, hit)
            if not hit.is_let_in:
                metrics.RATE_LIMITED.add(scope)
                raise TooManyRequests

    def _limits_of(self, endpoint: str) -> list[tuple[RateLimitItem, str]]:
        if self.limit_manager.exemption_scope(current_app, endpoint, request.blueprint) & ExemptionScope.APPLICATION:
            return []
        limits = sorted(self.limit_manager.application_limits, key=lambda limit: limit.limit)
        return [(limit.limit, str(limit.scope)) for limit in limits if not limit.is_exempt and not limit.method_exempt]


def init_rate_limits(app: Flask, settings: Settings, counters: SharedCounters) -> SettledLimiter:
    """
    Limit every route of the app, reads and writes apart.

    Args:
        app: The application.
        settings: ``ratelimit_read`` and ``ratelimit_write``.
        counters: Where requests are counted.

    Returns:
        The limiter, for routes to be exempted from it.
    """
    limiter = SettledLimiter(
        _client,
        application_limits=[
            ApplicationLimit(settings.ratelimit_read, scope="read", methods=READS, exempt_when=_is_image),
            # Apart, so that a page of thumbnails does not use up what its visitor may read.
            ApplicationLimit(settings.ratelimit_read, scope="image", methods=READS, exempt_when=_is_no_image),
            ApplicationLimit(settings.ratelimit_write, scope="write", methods=WRITES),
        ],
        storage_uri="shared-memory://",
        storage_options={"counters": counters},  # type: ignore[dict-item]  # handed on to the storage as it is
        strategy="sliding-window-counter",
    )
    limiter.init_app(app)
    app.extensions["post_limiter"] = limiter
    return limiter


def _is_image() -> bool:
    return request.endpoint == IMAGE_ENDPOINT


def _is_no_image() -> bool:
    return not _is_image()


def _client() -> str:
    caller = optional_caller()
    return f"user:{caller.user_id}" if caller else f"address:{_network(request.remote_addr or '')}"


@functools.lru_cache(maxsize=NETWORKS_KEPT)
def _network(address: str) -> str:
    """Return an address, or of IPv6 the /64 that one customer commands whole (RFC 6177, section 2)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


def rate_limit_headers() -> dict[str, str]:
    """
    Return ``RateLimit-*`` headers of this request's limit (draft-ietf-httpapi-ratelimit-headers-07).

    Returns:
        No headers where the route has no limit; ``Retry-After`` too, once it is used up.
    """
    counted: tuple[RateLimitItem, Hit] | None = g.get("rate_limit")
    if counted is None:
        return {}
    limit, hit = counted
    amount, period = limit.amount, limit.get_expiry()
    carried = hit.previous * hit.remaining_seconds / period
    left = max(0, math.floor(amount - hit.current - carried))
    headers = {"RateLimit-Limit": str(amount), "RateLimit-Remaining": str(left)}
    if hit.is_let_in and left:
        return headers | {"RateLimit-Reset": str(math.ceil(hit.remaining_seconds))}
    wait = seconds_until_room(
        amount, period, previous=hit.previous, current=hit.current, remaining_seconds=hit.remaining_seconds
    )
    # Never longer than the limit's own period, which is all that a client can know of it.
    seconds = str(max(1, min(period, math.ceil(wait))))
    return headers | {"RateLimit-Reset": seconds} | ({} if hit.is_let_in else {"Retry-After": seconds})


def seconds_until_room(amount: int, period: int, *, previous: int, current: int, remaining_seconds: float) -> float:
    """
    Return how long until one more request is within a limit, if no other comes.

    Args:
        amount: Requests allowed in a period.
        period: Seconds of a window.
        previous: Requests of the window before this one, which counts less and less.
        current: Requests of this window.
        remaining_seconds: Until this window ends.
    """
    room = amount - 1 - current
    if room < 0:  # this window will be carried over whole, and then shrink
        return remaining_seconds + period * (1 - (amount - 1) / current)
    if previous * remaining_seconds / period <= room:
        return 0
    return remaining_seconds - period * room / previous
