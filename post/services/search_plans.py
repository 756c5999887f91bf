"""The choice of a way to search, by the text and by the number of posts found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from post.services.page_queries import Search, Shape, frequencies_query, total_query
from post.services.search_index import grams_from, pairs_of, search_key

SEARCH_TOTAL_MAX = 10_000
PAIRS_MAX = 8  # of a long text, compared to find the rarest one


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """
    The way to search a list.

    Attributes:
        search: The way to find its titles.
        values: The query's parameters for it.
        total: The number of posts found, at most ``SEARCH_TOTAL_MAX``.
        is_capped: Whether there are more.
    """

    search: Search
    values: Mapping[str, Any]
    total: int
    is_capped: bool


def plan_search(q: str, shape: Shape, filters: Mapping[str, Any]) -> SearchPlan:
    """
    Choose the way to search, and count what it finds.

    Args:
        q: Text that titles must contain, 1 character or more.
        shape: The list's, without a search.
        filters: The values of the list's filters.
    """
    key = search_key(q)
    maximum = SEARCH_TOTAL_MAX + 1
    search, values = _indexed(key, maximum)
    values["maximum"] = maximum
    values["pattern"] = like_pattern(key)
    (row,) = total_query(Shape(filters=shape.filters, period=shape.period, search=search)).read({**filters, **values})
    is_capped = row.total > SEARCH_TOTAL_MAX
    # With so many titles found, a walk through the list soon fills a page; with fewer, all are found and sorted.
    walks = is_capped and (search != "pair" or bool(shape.filters) or shape.sort != "latest")
    return SearchPlan("walk" if walks else search, values, min(row.total, SEARCH_TOTAL_MAX), is_capped)


def like_pattern(text: str) -> str:
    """Return the pattern of LIKE for texts that contain a text, with ``/`` as its escape character."""
    return "%" + "".join(f"/{char}" if char in "/%_" else char for char in text) + "%"


def _indexed(key: str, maximum: int) -> tuple[Search, dict[str, Any]]:
    if len(key) == 1:
        first, end = grams_from(key)
        return "character", {"gram": first, "gram_end": end}
    pairs = pairs_of(key)
    if len(key) == 2:
        return "pair", {"gram": pairs[0]}
    some = pairs[:: -(-len(pairs) // PAIRS_MAX)]
    grams = {f"gram_{index}": gram for index, gram in enumerate(some)}
    (counts,) = frequencies_query(len(some)).read({**grams, "maximum": maximum})
    return "pairs", {"gram": min(zip(counts, some, strict=True))[1]}
