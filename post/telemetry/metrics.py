"""
What is counted and measured, for Prometheus.

Until ``count_with`` is called nothing is: a test or a command counts for nobody, and needs no library.
"""

import threading
from collections.abc import Callable
from typing import Any, ClassVar

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
QUERY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

_making = threading.Lock()  # of what there must be once: two of one name would overwrite each other's numbers


class Metric:
    """A metric by the values of its labels, which are counted from when they are first seen."""

    kind: ClassVar[str]
    _make: ClassVar[Callable[..., Any] | None] = None

    def __init__(self, name: str, told: str, labels: tuple[str, ...] = (), **options: Any) -> None:
        """
        Define a metric.

        Args:
            name: As Prometheus names it ("Metric and label naming").
            told: What it tells, in a line.
            labels: Their names; of few values each.
            options: For the library's own class.
        """
        self._definition = (name, told, labels, options)
        self._family: Any = None
        self._series: dict[tuple[str, ...], Any] = {}

    def series(self, *labels: str) -> Any:
        """Return the library's own object for the values of the labels, whose number is shown from now on."""
        # Kept here, since the library's own look-up takes longer than the counting.
        return self._series.get(labels) or self._new_series(labels)

    def _new_series(self, labels: tuple[str, ...]) -> Any:
        with _making:
            if self._family is None and Metric._make is not None:
                name, told, names, options = self._definition
                self._family = Metric._make(self.kind, name, told, names, **options)
            found = self._series[labels] = self._family.labels(*labels) if labels else self._family
        return found


class Counter(Metric):
    """Events."""

    kind = "Counter"

    def add(self, *labels: str, amount: float = 1) -> None:
        """Count an event, by the values of the labels."""
        if Metric._make is not None:
            self.series(*labels).inc(amount)


class Gauge(Counter):
    """How many there are now, in all processes that live: an amount of -1 is one that has gone."""

    kind = "Gauge"


class State(Metric):
    """How something is, as whichever process has last found out."""

    kind = "Gauge"

    def set(self, value: float, *labels: str) -> None:
        """Tell how it is, by the values of the labels."""
        if Metric._make is not None:
            self.series(*labels).set(value)


class Histogram(Metric):
    """How long something takes."""

    kind = "Histogram"

    def observe(self, seconds: float, *labels: str) -> None:
        """Count one that has taken so long, by the values of the labels."""
        if Metric._make is not None:
            self.series(*labels).observe(seconds)


REQUESTS = Counter("post_http_requests_total", "Requests answered.", ("method", "route", "status"))
REQUEST_SECONDS = Histogram(
    "post_http_request_duration_seconds",
    "From the head of a request to the end of its answer.",
    ("method", "route"),
    buckets=REQUEST_BUCKETS,
)
IN_FLIGHT = Gauge("post_http_requests_in_flight", "Requests that are being answered.")
CONNECTIONS = Gauge("post_database_connections_in_use", "Connections that somebody holds.", ("pool",))
POOL_WAITS = Counter("post_database_pool_waits_total", "Times that no connection was free.", ("pool",))
POOL_WAIT_SECONDS = Counter("post_database_pool_wait_seconds_total", "How long it was waited for one.", ("pool",))
QUERY_SECONDS = Histogram(
    "post_database_query_duration_seconds", "From a statement to its answer.", ("kind",), buckets=QUERY_BUCKETS
)
QUERY_ERRORS = Counter("post_database_query_errors_total", "Statements that failed.", ("kind",))
VIEWS = Counter("post_views_total", "Views of visible posts; a repeated one is within the window.", ("result",))
LIKES = Counter("post_likes_total", "Likes that were set, unset, or as wanted already.", ("action",))
JWKS_FETCHES = Counter("post_jwks_fetches_total", "Fetches of the keys that tokens are signed with.", ("result",))
CACHE_REQUESTS = Counter("post_cache_requests_total", "Look-ups in a cache: hit or miss.", ("cache", "result"))
LOSSES = Counter("post_server_losses_total", "Times that a process found a server away.", ("server",))
SERVER_UP = State(
    "post_server_up",
    "Whether a server was there when this was last found out.",
    ("server",),
    multiprocess_mode="mostrecent",
)
WRITE_RETRIES = Counter("post_write_retries_total", "Writes that were run again, by MySQL's number.", ("error",))
RATE_LIMITED = Counter("post_rate_limited_total", "Requests over their limit.", ("scope",))
WORKERS = Gauge("post_workers", "Workers that live.")
WORKER_STARTS = Counter("post_worker_starts_total", "Workers that were started, those in place of others too.")

# What shows as 0 until it happens, so that the first time is a rise.
FROM_THE_START: dict[Metric, list[tuple[str, ...]]] = {
    IN_FLIGHT: [()],
    VIEWS: [("counted",), ("repeated",)],
    LIKES: [("added",), ("removed",), ("unchanged",)],
    JWKS_FETCHES: [("success",), ("failure",)],
    CACHE_REQUESTS: [("tokens", "hit"), ("tokens", "miss")],
    RATE_LIMITED: [("read",), ("image",), ("write",)],
}


def count_with(make: Callable[..., Any]) -> None:
    """
    Count from now on.

    Args:
        make: Makes the library's metric of a kind, a name, a text, names of labels, and options.
    """
    Metric._make = make


def expect_servers(*servers: str) -> None:
    """Begin with servers that are there, and were never lost: ``database``, ``replica``, ``redis``."""
    for server in servers:
        LOSSES.series(server)
        SERVER_UP.set(1, server)


def note_lost(server: str) -> None:
    """Count that a server was found away. Names as for ``expect_servers``."""
    LOSSES.add(server)
    SERVER_UP.set(0, server)


def note_back(server: str) -> None:
    """Tell that a server was found again."""
    SERVER_UP.set(1, server)


def is_on() -> bool:
    """Tell whether anything is counted."""
    return Metric._make is not None


def count_request(method: str, route: str | None, status: int, seconds: float) -> None:
    """
    Count a request that was answered.

    Args:
        method: Any; one that no route has counts as ``other``.
        route: The URL rule that it met; None counts as ``unmatched``.
        status: Of the answer.
        seconds: How long it took.
    """
    method, route = method if method in METHODS else "other", route or "unmatched"
    REQUESTS.add(method, route, str(status))
    REQUEST_SECONDS.observe(seconds, method, route)
