"""
The service's metrics, for Prometheus.

Gunicorn's workers count in files, which ``post.server.metrics_server`` adds up; other processes in memory, for nobody.
"""

import functools

from prometheus_client import Counter, Gauge, Histogram

from post import utils

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
QUERY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

REQUESTS = Counter("post_http_requests_total", "Requests answered.", ("method", "route", "status"))
REQUEST_SECONDS = Histogram(
    "post_http_request_duration_seconds",
    "Time from the head of a request to the end of its answer.",
    ("method", "route"),
    buckets=REQUEST_BUCKETS,
)
IN_FLIGHT = Gauge("post_http_requests_in_flight", "Requests being answered.", multiprocess_mode="livesum")
CONNECTIONS = Gauge(
    "post_database_connections_in_use", "Connections checked out.", ("pool",), multiprocess_mode="livesum"
)
POOL_WAITS = Counter("post_database_pool_waits_total", "Waits for a connection, when none was free.", ("pool",))
POOL_WAIT_SECONDS = Counter("post_database_pool_wait_seconds_total", "Time spent waiting for a connection.", ("pool",))
QUERY_SECONDS = Histogram(
    "post_database_query_duration_seconds", "Time from a statement to its answer.", ("kind",), buckets=QUERY_BUCKETS
)
QUERY_ERRORS = Counter("post_database_query_errors_total", "Statements that failed.", ("kind",))
VIEWS = Counter("post_views_total", "Views of visible posts; a view is repeated within the window.", ("result",))
LIKES = Counter("post_likes_total", "Likes added and removed, and requests that changed nothing.", ("action",))
JWKS_FETCHES = Counter("post_jwks_fetches_total", "Fetches of the keys that verify tokens.", ("result",))
COMMENT_FETCHES = Counter("post_comment_fetches_total", "Counts of comments asked for.", ("result",))
CACHE_REQUESTS = Counter("post_cache_requests_total", "Look-ups in a cache.", ("cache", "result"))
LOSSES = Counter("post_server_losses_total", "Times that a process lost a server.", ("server",))
SERVER_UP = Gauge(
    "post_server_up",
    "1 if the server answered when a process last used it, 0 if not.",
    ("server",),
    multiprocess_mode="mostrecent",
)
WRITE_RETRIES = Counter("post_write_retries_total", "Writes that ran again, by MySQL's error number.", ("error",))
RATE_LIMITED = Counter("post_rate_limited_total", "Requests over a rate limit.", ("scope",))
ACTIONS = Counter("post_moderation_actions_total", "Rows of the moderation log.", ("action",))
REPORTS_OPEN = Gauge(
    "post_reports_open", "Open reports, up to 10,000, as a worker counted them last.", multiprocess_mode="mostrecent"
)
REPORTS_OLDEST = Gauge(
    "post_reports_oldest_seconds",
    "Age of the oldest open report, likewise; 0 without one.",
    multiprocess_mode="mostrecent",
)
WORKERS = Gauge("post_workers", "Workers alive.", multiprocess_mode="livesum")
WORKER_STARTS = Counter("post_worker_starts_total", "Workers started, replacements included.")

# Series that are 0 from the start, so that the first event is a rise.
for _result in ("counted", "repeated"):
    VIEWS.labels(_result)
for _action in ("added", "removed", "unchanged"):
    LIKES.labels(_action)
for _result in ("success", "failure"):
    JWKS_FETCHES.labels(_result)
    COMMENT_FETCHES.labels(_result)
for _action in utils.ACTIONS:
    ACTIONS.labels(_action)
for _result in ("hit", "miss"):
    CACHE_REQUESTS.labels("tokens", _result)
for _scope in ("read", "image", "write"):
    RATE_LIMITED.labels(_scope)


def expect_servers(*servers: str) -> None:
    """Start with servers up and never lost: ``database``, ``replica``, ``redis``."""
    for server in servers:
        LOSSES.labels(server)
        SERVER_UP.labels(server).set(1)


def mark_lost(server: str) -> None:
    """Count the loss of a server. Names as for ``expect_servers``."""
    LOSSES.labels(server).inc()
    SERVER_UP.labels(server).set(0)


def mark_back(server: str) -> None:
    """Mark a server as up again. Names as for ``expect_servers``."""
    SERVER_UP.labels(server).set(1)


def count_request(method: str, route: str | None, status: int, seconds: float) -> None:
    """
    Count a request that was answered.

    Args:
        method: Any; a method that no route has counts as ``other``.
        route: The matched URL rule; None counts as ``unmatched``.
        status: The answer's status.
        seconds: The time it took.
    """
    requests, durations = _request_series(method if method in METHODS else "other", route or "unmatched", status)
    requests.inc()
    durations.observe(seconds)


@functools.cache  # the library's own look-up takes as long as the count
def _request_series(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, status), REQUEST_SECONDS.labels(method, route)
