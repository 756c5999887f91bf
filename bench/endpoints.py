"""The measured endpoints: the requests of each, its reference, and its bar."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import urlencode

from bench.board import API, Board
from bench.wrk import Request

PAGE_ONE = "list"  # the reference of other endpoints
BARE = "bare"

Requests = Callable[[Board], list[Request]]
Reference = Literal["limit", "page 1", "FastAPI"]


class Bar(NamedTuple):
    """
    The least ratio that an endpoint must reach.

    Attributes:
        at_least: The ratio.
        of: Its reference: the rate of the limit, of the contender, or of the list's first page in the same round.
        server: The only database server that it holds for; None for every one.
    """

    at_least: float
    of: Reference = "limit"
    server: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """
    A measured endpoint.

    Attributes:
        name: Its name in ``ONLY``.
        title: Its name in the report.
        requests: The requests to the service, made before each run; none if the service cannot answer them.
        limit: The reference: the ``same`` requests to ``limits.py``, its ``/bare``, or none.
        has_contender: Also ask ``fastapi_board.py`` the same.
        has_page_one: Also compare it with the list's first page.
        bar: None for a row that only informs.
        status: The status of each answer of the service.
        grows: The least ratio of its rate on ten times the posts to its rate here.
    """

    name: str
    title: str
    requests: Requests
    limit: Literal["same", "bare"] | None = "same"
    has_contender: bool = False
    has_page_one: bool = False
    bar: Bar | None = None
    status: int = 200
    grows: float = 0.9

    def reference(self, of: Reference) -> str:
        """Return the name of a ratio's reference for the report."""
        return "bare Flask" if of == "limit" and self.limit == BARE else of

    def limit_requests(self, board: Board) -> list[Request]:
        """Return the requests to ``limits.py``."""
        return [Request(path="/bare")] if self.limit == BARE else self.requests(board)


def _list(**query: str) -> list[Request]:
    return [Request(path=f"{API}/posts?{urlencode(query)}" if query else f"{API}/posts")]


def _searches(board: Board, pattern: str) -> list[Request]:
    return [request for word in board.words(pattern) for request in _list(q=word)]


def _details(board: Board, *, has_token: bool = False) -> list[Request]:
    user = board.users[0] if has_token else None
    return [Request(path=f"{API}/posts/{post_id}", user=user) for post_id in board.post_ids]


def _unchanged(board: Board, path: str) -> list[Request]:
    """Return a request that gets 304; none if the service sends no ETag."""
    etag = board.get(path).headers.get("ETag")
    return [Request(path=path, headers={"If-None-Match": etag})] if etag else []


OF_RAW = Bar(0.6)
OF_PAGE_ONE = Bar(0.9, of="page 1")

ENDPOINTS = (
    Endpoint(name=PAGE_ONE, title="list, page 1", requests=lambda _: _list(), has_contender=True, bar=OF_RAW),
    Endpoint(
        name="popular",
        title="popular",
        requests=lambda _: _list(sort="popular"),
        has_contender=True,
        bar=OF_RAW,
    ),
    Endpoint(
        name="popular-week",
        title="popular, of a week",
        requests=lambda _: _list(sort="popular", period="week"),
        has_page_one=True,
        bar=Bar(0.8, of="page 1"),
    ),
    Endpoint(
        name="popular-month",
        title="popular, of a month",
        requests=lambda _: _list(sort="popular", period="month"),
        limit=None,
        has_page_one=True,
    ),
    Endpoint(
        name="category",
        title="category",
        requests=lambda board: _list(category_id=board.categories[0][0]),
        has_contender=True,
        bar=OF_RAW,
    ),
    Endpoint(name="author", title="author", requests=lambda board: _list(user_id=board.author), bar=OF_RAW),
    Endpoint(
        name="category-popular",
        title="category, popular",
        requests=lambda board: _list(category_id=board.categories[0][0], sort="popular"),
    ),
    Endpoint(name="summary", title="list, summary view", requests=lambda _: _list(view="summary")),
    Endpoint(
        name="deep-page",
        title="page 5,000, or the last",
        requests=lambda board: _list(page=str(board.deep_page)),
        limit=None,
        has_contender=True,
        has_page_one=True,
        bar=Bar(0.25, of="page 1"),
    ),
    Endpoint(
        name="cursor",
        title="cursor behind page 1",
        requests=lambda board: _list(cursor=board.shallow_cursor),
        has_page_one=True,
        bar=OF_PAGE_ONE,
    ),
    Endpoint(
        name="deep-cursor",
        title="cursor far back",
        requests=lambda board: _list(cursor=board.deep_cursor),
        has_page_one=True,
        bar=OF_PAGE_ONE,
    ),
    Endpoint(
        name="search",
        title="search, two syllables",
        requests=lambda board: _searches(board, "[가-힣]{2}"),
        limit=None,
        has_contender=True,
        has_page_one=True,
        bar=Bar(0.3, of="page 1", server="MySQL"),
        grows=0.6,
    ),
    Endpoint(
        name="long-search",
        title="search, three and more",
        requests=lambda board: _searches(board, "[가-힣]{3,}"),
        limit=None,
        has_page_one=True,
        grows=0.6,
    ),
    Endpoint(name="detail", title="detail", requests=_details, has_contender=True, bar=Bar(0.7)),
    Endpoint(name="detail-token", title="detail, with a token", requests=lambda board: _details(board, has_token=True)),
    Endpoint(
        name="list-304",
        title="list, page 1, not modified",
        requests=lambda board: _unchanged(board, f"{API}/posts"),
        limit="bare",
        bar=Bar(0.35),
        status=304,
    ),
    Endpoint(
        name="detail-304",
        title="detail, not modified",
        requests=lambda board: _unchanged(board, f"{API}/posts/{board.post_ids[0]}"),
        limit="bare",
        bar=Bar(0.35),
        status=304,
    ),
    Endpoint(
        name="categories",
        title="categories",
        requests=lambda _: [Request(path=f"{API}/categories")],
        limit="bare",
    ),
    Endpoint(
        name="like",
        title="like, toggled",
        requests=lambda board: board.likes,
        has_contender=True,
        bar=Bar(1.4, of="FastAPI"),
    ),
    Endpoint(
        name="create",
        title="create",
        requests=lambda board: board.new_posts,
        has_contender=True,
        bar=Bar(1.0, of="FastAPI"),
        status=201,
    ),
    Endpoint(name="health", title="health", requests=lambda _: [Request(path="/health")], limit="bare"),
)


def chosen(names: str) -> list[Endpoint]:
    """
    Return the endpoints to measure.

    Args:
        names: Names separated by commas; empty for all.

    Returns:
        The named endpoints, and the list's first page if it is a reference of one.
    """
    wanted = {name.strip() for name in names.split(",") if name.strip()} or {each.name for each in ENDPOINTS}
    unknown = wanted - {each.name for each in ENDPOINTS}
    if unknown:
        known = ", ".join(each.name for each in ENDPOINTS)
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; there are {known}")
    if any(each.name in wanted and each.has_page_one for each in ENDPOINTS):
        wanted.add(PAGE_ONE)
    return [each for each in ENDPOINTS if each.name in wanted]
