"""Results as Markdown."""

import statistics
from collections.abc import Iterable, Sequence

from bench.endpoints import Endpoint, Reference
from bench.results import (
    BUSIER_MAX,
    RSS_MAX_MIB,
    START_MAX_SECONDS,
    Growth,
    Results,
    Row,
    Side,
    growths,
    largest_worker_mib,
    machine_drift,
    rows_of,
)

HEADINGS = (
    "endpoint",
    "req/s",
    "nginx",
    "FastAPI",
    "limit",
    "p50 / p99 ms",
    "nginx",
    "FastAPI's",
    "limit's",
    "CPU ms",
    "FastAPI's",
    "limit's",
    "nginx / straight",
    "of FastAPI",
    "of limit",
    "of page 1",
    "bar",
    "",
)

NAMES = {
    "service": "Post Service",
    "nginx": "the same, through nginx",
    "fastapi": "FastAPI",
    "limit": "Flask + PyMySQL",
}
RATIOS: tuple[Reference, ...] = ("FastAPI", "limit", "page 1")


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    aligned = [":--", *["--:"] * (len(headings) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (headings, aligned, *rows))


def _verdict(is_reached: bool | None) -> str:
    return {True: "ok", False: "MISSED", None: ""}[is_reached]


def report(results: Results) -> str:
    """Return the whole report."""
    endpoints = _table(HEADINGS, (_cells(row) for row in rows_of(results)))
    return "\n\n".join([_conditions(results), endpoints, _processes(results)])


def _cells(row: Row) -> list[str]:
    rate = f"{row.service.rate:,.0f}" if row.service else "no ETag" if row.endpoint.status == 304 else "—"
    others = (row.fastapi, row.limit)
    rates = [rate, *(f"{side.rate:,.0f}" if side else "—" for side in (row.nginx, *others))]
    times = [*map(_times, (row.service, row.nginx, *others)), *map(_cpu, (row.service, *others))]
    straight = "—" if row.of_straight is None else f"{row.of_straight:.2f}"
    ratios = [_ratio(row, reference) for reference in RATIOS]
    return [row.endpoint.title, *rates, *times, straight, *ratios, _bar(row.endpoint), _verdict(row.is_reached)]


def _ratio(row: Row, reference: Reference) -> str:
    if reference not in row.ratios:
        return "—"
    least, greatest = row.spreads[reference]
    return f"{row.ratios[reference]:.2f} ({least:.2f}–{greatest:.2f})"


def _times(side: Side | None) -> str:
    return f"{side.p50_ms:.1f} / {side.p99_ms:.1f}" if side else "—"


def _cpu(side: Side | None) -> str:
    return f"{side.cpu_ms:.2f}" if side else "—"


def _bar(endpoint: Endpoint) -> str:
    bar = endpoint.bar
    if bar is None:
        return "—"
    return f"≥ {bar.at_least} of {endpoint.reference(bar.of)}" + (f" ({bar.server})" if bar.server else "")


def _conditions(results: Results) -> str:
    told = results["conditions"]
    lines = [
        f"{told['posts']:,} posts on {told['kind']} {told['version']}, buffer pool {told['buffer_pool_mib']:,} MiB,"
        f" innodb_flush_log_at_trx_commit={told['flushes_at_commit']},"
        f" connections {'with' if told['is_encrypted'] else 'without'} TLS",
        f"{told['cpus']} × {told['cpu']}, Python {told['python']}, shared by wrk, gunicorn and the database",
        f"gunicorn with {told['workers']} workers of {told['threads']} threads; `{told['wrk']}`",
        f"measured {told['at']}, medians of {told['rounds']} rounds; {_uneven(results)}",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _uneven(results: Results) -> str:
    runs = [run for rounds in results["endpoints"].values() for each in rounds for run in each.values() if run]
    uneven = sum(run["busier"] > BUSIER_MAX for run in runs)
    return f"in {uneven} of {len(runs)} runs one worker did more than {BUSIER_MAX:.0%}"


def _processes(results: Results) -> str:
    starts, memory = results["starts"], results["memory"]
    largest = largest_worker_mib(results)
    rows = [
        [
            "start to the first 200, s",
            f"{starts['service']:.2f}",
            f"{starts['limit']:.2f}" if "limit" in starts else "—",
            f"≤ {START_MAX_SECONDS}",
            _verdict(starts["service"] <= START_MAX_SECONDS),
        ]
    ]
    for when in ("before", "after"):
        sides = [_memory(memory[side][when]) if side in memory else "—" for side in ("service", "limit")]
        bar = [f"≤ {RSS_MAX_MIB}", _verdict(largest <= RSS_MAX_MIB)] if when == "after" else ["—", ""]
        rows.append([f"each worker's RSS (PSS) {when}, MiB", *sides, *bar])
    return _table(["process", "service", "limit", "bar", ""], rows)


def _memory(workers: list[list[int]]) -> str:
    return ", ".join(f"{rss} ({pss})" for rss, pss in workers)


def side_by_side(found: Sequence[Results]) -> str:
    """Return rates of several results, a line for each side and a column for each endpoint that has a contender."""
    titles = [row.endpoint.title for row in rows_of(found[0]) if row.endpoint.has_contender]
    return _table(["answers a second", *titles], [line for results in found for line in _lines(results, titles)])


def _lines(results: Results, titles: Sequence[str]) -> Iterable[list[str]]:
    told, rounds = results["conditions"], results["endpoints"]
    rows = [row for row in rows_of(results) if row.endpoint.title in titles]
    for side, name in NAMES.items():
        runs = {
            row.endpoint.title: [each[side]["rate"] for each in rounds[row.endpoint.name] if each[side]] for row in rows
        }
        if any(runs.values()):
            yield [f"{name}; {told['kind']}, {told['posts']:,} posts", *(_spread(runs[title]) for title in titles)]


def _spread(rates: Sequence[float]) -> str:
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f}–{max(rates):,.0f})" if rates else "—"


def growth_report(before: Results, after: Results) -> str:
    """Return the report of two boards: the growth of each rate."""
    drift = machine_drift(before, after)
    names = [f"{results['conditions']['posts']:,} posts" for results in (before, after)]
    headings = ["endpoint", "of the rate", "of its ratio to the limit", "bar", ""]
    table = _table(headings, (_growth_cells(growth) for growth in growths(before, after)))
    told = f"; bare Flask, which no database changes: {drift:.2f}" if drift else ""
    return f"{names[1]} against {names[0]}{told}\n\n{table}"


def _growth_cells(growth: Growth) -> list[str]:
    ratio = f"{growth.ratio:.2f}" if growth.ratio is not None else "—"
    bar = f"≥ {growth.endpoint.grows}"
    return [growth.endpoint.title, f"{growth.rate:.2f}", ratio, bar, _verdict(growth.is_reached)]
