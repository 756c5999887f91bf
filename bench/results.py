"""The results: their file, their ratios, and the bars that they reach."""

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bench.endpoints import BARE, ENDPOINTS, PAGE_ONE, Endpoint, Reference

Results = dict[str, Any]

RSS_MAX_MIB = 110
START_MAX_SECONDS = 1.2
BUSIER_MAX = 0.6  # of a run's work, for one of two workers


class Side(NamedTuple):
    """Medians of one side's runs over the rounds."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    An endpoint's figures.

    Attributes:
        endpoint: The endpoint.
        service: None if the service cannot answer it.
        nginx: The service through nginx.
        fastapi: None without a contender.
        limit: None without a limit.
        of_straight: The rate through nginx, divided by the rate straight to gunicorn.
        ratios: The service's rate, divided by each reference's: the median of the rounds.
        spreads: The least and the greatest of each.
        is_reached: True if the bar is reached; None without a bar on this server.
    """

    endpoint: Endpoint
    service: Side | None
    nginx: Side | None
    fastapi: Side | None
    limit: Side | None
    of_straight: float | None
    ratios: dict[Reference, float]
    spreads: dict[Reference, tuple[float, float]]
    is_reached: bool | None


def rows_of(results: Results) -> list[Row]:
    """Return the rows of all measured endpoints, in their order."""
    measured = results["endpoints"]
    return [_row(endpoint, results) for endpoint in ENDPOINTS if endpoint.name in measured]


def _row(endpoint: Endpoint, results: Results) -> Row:
    rounds = results["endpoints"][endpoint.name]
    by_round = _ratios(endpoint, results)
    ratios = {reference: statistics.median(found) for reference, found in by_round.items()}
    bar, is_reached = endpoint.bar, None
    if bar and bar.of in ratios and bar.server in (None, results["conditions"]["kind"]):
        is_reached = ratios[bar.of] >= bar.at_least
    straight = _rate_ratios([each["nginx"] for each in rounds], [each["service"] for each in rounds])
    return Row(
        endpoint=endpoint,
        service=_side(rounds, "service"),
        nginx=_side(rounds, "nginx"),
        of_straight=statistics.median(straight) if straight else None,
        fastapi=_side(rounds, "fastapi"),
        limit=_side(rounds, "limit"),
        ratios=ratios,
        spreads={reference: (min(found), max(found)) for reference, found in by_round.items()},
        is_reached=is_reached,
    )


def _side(rounds: list[dict[str, Any]], side: str) -> Side | None:
    runs = [each[side] for each in rounds if each[side]]
    if not runs:
        return None
    return Side(*(statistics.median(run[name] for run in runs) for name in Side._fields))


def _ratios(endpoint: Endpoint, results: Results) -> dict[Reference, list[float]]:
    """Return an endpoint's ratios to its references, of each round."""
    rounds = results["endpoints"][endpoint.name]
    references: dict[Reference, list[Any]] = {
        "limit": [each["limit"] for each in rounds],
        "FastAPI": [each["fastapi"] for each in rounds],
    }
    if endpoint.has_page_one:
        references["page 1"] = [each["service"] for each in results["endpoints"][PAGE_ONE]]
    services = [each["service"] for each in rounds]
    return {reference: found for reference, runs in references.items() if (found := _rate_ratios(services, runs))}


def _rate_ratios(runs: list[Any], references: list[Any]) -> list[float]:
    """Return each round's ratio of rates, if both were measured."""
    both = zip(runs, references, strict=True)
    return [run["rate"] / reference["rate"] for run, reference in both if run and reference and reference["rate"]]


def largest_worker_mib(results: Results) -> int:
    """Return the resident memory of the service's largest worker after all runs."""
    return max(int(rss) for rss, _ in results["memory"]["service"]["after"])


def missed(results: Results) -> list[str]:
    """Return the names of missed bars."""
    names = [row.endpoint.title for row in rows_of(results) if row.is_reached is False]
    if largest_worker_mib(results) > RSS_MAX_MIB:
        names.append("memory of a worker")
    if results["starts"]["service"] > START_MAX_SECONDS:
        names.append("start")
    return names


class Growth(NamedTuple):
    """
    An endpoint's change from one board to a larger one.

    Attributes:
        endpoint: The endpoint.
        rate: The quotient of both rates.
        ratio: The quotient of both ratios to the limit, whatever the machine's speed; None without a limit.
        is_reached: True if ``rate`` reaches the bar.
    """

    endpoint: Endpoint
    rate: float
    ratio: float | None
    is_reached: bool


def growths(before: Results, after: Results) -> list[Growth]:
    """
    Compare two results.

    Args:
        before: Results on the smaller board.
        after: Results on the larger board.

    Returns:
        The growth of each endpoint that both have.
    """
    found, smaller = [], {row.endpoint.name: row for row in rows_of(before)}
    for row in rows_of(after):
        old = smaller.get(row.endpoint.name)
        if old is None or old.service is None or row.service is None or not old.service.rate:
            continue
        rate, ratio = row.service.rate / old.service.rate, None
        if "limit" in row.ratios and "limit" in old.ratios:
            ratio = row.ratios["limit"] / old.ratios["limit"]
        found.append(Growth(row.endpoint, rate, ratio, rate >= row.endpoint.grows))
    return found


def machine_drift(before: Results, after: Results) -> float | None:
    """Return the quotient of bare Flask's rates, which no database changes; None if they are unknown."""
    rates = []
    for results in (before, after):
        bare = [row.limit.rate for row in rows_of(results) if row.endpoint.limit == BARE and row.limit]
        if not bare:
            return None
        rates.append(statistics.median(bare))
    return rates[1] / rates[0]


def save(results: Results, path: Path) -> None:
    """Write results to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, ensure_ascii=False, indent=1) + "\n")


def load(path: Path) -> Results:
    """Read results from a file."""
    results: Results = json.loads(path.read_text())
    return results
