"""Rate limits: for each user with a token, else for each address."""

import functools
import math

from flask import Flask, g, request
from limits import RateLimitItem, parse_many
from werkzeug.exceptions import TooManyRequests

from config import Settings
from post.auth_utils.guards import READS, optional_caller
from post.shared.rate_windows import Hit, RateWindows
from post.telemetry import metrics

# The site's files and its page without a preview cost next to nothing, and would use up its visitors' reads.
EXEMPT_ENDPOINTS = {
    "system.health",
    "system.ready",
    "dev.issue_token",
    "internal.check_uploader",
    "site.index",
    "pages.page",
    "pages.page_of",
    "pages.asset",
}
FILE_ENDPOINTS = "pages.file:"
# Of their own counters: a page of thumbnails must not use up its visitor's reads, nor must pages.
SCOPES = {"media.get_image": "image", "pages.post_page": "page", "site.feed": "page"}
WRITES = ("POST", "PUT", "PATCH", "DELETE")


class RateLimiter:
    """The limits of requests; reads, images and writes are counted separately."""

    def __init__(self, settings: Settings, windows: RateWindows) -> None:
        """
        Make a limiter.

        Args:
            settings: ``ratelimit_read`` and ``ratelimit_write``.
            windows: The counters of requests.
        """
        self.windows = windows
        reads, writes = (sorted(parse_many(rates)) for rates in (settings.ratelimit_read, settings.ratelimit_write))
        self._limits = {"read": reads, "image": reads, "page": reads, "write": writes}

    def count_request(self) -> None:
        """
        Count a request for each of its limits, the shortest first.

        Raises:
            TooManyRequests: The request is over a limit.
        """
        endpoint = request.endpoint
        scope = None if endpoint is None else _scope(endpoint, request.method)
        if scope is None:
            return
        client, shown = _client(), None
        for limit in self._limits[scope]:
            hit = self.windows.hit(limit.key_for(client, scope), limit.amount, limit.get_expiry())
            # The headers show the limit that is used up, else the shortest.
            if shown is None or not hit.is_allowed:
                shown = g.rate_limit = (limit, hit)
            if not hit.is_allowed:
                metrics.RATE_LIMITED.labels(scope).inc()
                raise TooManyRequests


def init_rate_limits(app: Flask, settings: Settings, windows: RateWindows) -> RateLimiter:
    """Limit every route of the app but ``EXEMPT_ENDPOINTS``. Other arguments as for ``RateLimiter``."""
    limiter = RateLimiter(settings, windows)
    app.before_request(limiter.count_request)
    return limiter


@functools.cache  # a rule's methods are few: a request with another one has no endpoint
def _scope(endpoint: str, method: str) -> str | None:
    """Return the name of a request's limits, or None if it has none."""
    if endpoint in EXEMPT_ENDPOINTS or endpoint.startswith(FILE_ENDPOINTS):
        return None
    if method in WRITES:
        return "write"
    if method not in READS:
        return None
    return SCOPES.get(endpoint, "read")


def _client() -> str:
    caller = optional_caller()
    return f"user:{caller.user_id}" if caller else f"address:{request.remote_addr}"


def rate_limit_headers() -> dict[str, str]:
    """
    Return ``RateLimit-*`` headers of this request's limit (draft-ietf-httpapi-ratelimit-headers-07).

    Returns:
        No headers if the route has no limit; also ``Retry-After`` once the limit is used up.
    """
    counted: tuple[RateLimitItem, Hit] | None = g.get("rate_limit")
    if counted is None:
        return {}
    limit, hit = counted
    amount, period = limit.amount, limit.get_expiry()
    carried = hit.previous * hit.remaining_seconds / period
    left = max(0, math.floor(amount - hit.current - carried))
    headers = {"RateLimit-Limit": str(amount), "RateLimit-Remaining": str(left)}
    if hit.is_allowed and left:
        return headers | {"RateLimit-Reset": str(math.ceil(hit.remaining_seconds))}
    wait = seconds_until_room(
        amount, period, previous=hit.previous, current=hit.current, remaining_seconds=hit.remaining_seconds
    )
    # Never longer than the limit's own period, the only one that clients know.
    seconds = str(max(1, min(period, math.ceil(wait))))
    return headers | {"RateLimit-Reset": seconds} | ({} if hit.is_allowed else {"Retry-After": seconds})


def seconds_until_room(amount: int, period: int, *, previous: int, current: int, remaining_seconds: float) -> float:
    """
    Return the seconds until one more request is within a limit, if no other comes.

    Args:
        amount: Requests allowed in a period.
        period: Seconds of a window.
        previous: Requests of the window before this one; its weight shrinks with time.
        current: Requests of this window.
        remaining_seconds: Seconds until this window ends.
    """
    room = amount - 1 - current
    if room < 0:  # this window is first carried over whole, then shrinks
        return remaining_seconds + period * (1 - (amount - 1) / current)
    if previous * remaining_seconds / period <= room:
        return 0
    return remaining_seconds - period * room / previous
