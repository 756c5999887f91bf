"""
Measure the service's rate, against the limit of its parts.

The service runs under gunicorn on a database of demo data, and beside it ``limits.py`` with the same
answers by Flask and the driver alone, and ``fastapi_board.py``, a contender. wrk asks in turns, endpoint
by endpoint and round by round: the service, the service through nginx, the contender, the limit. The
ratios of the rates are judged. The report goes to the standard output, figures to ``instance/bench/``.
The exit status is 1 if a bar is missed or an answer was wrong.

Run it as ``make bench`` or ``python bench/run.py``; it needs wrk, nginx, and Linux for /proc.
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import databases, processes, results, tables
from bench.board import API, Board
from bench.endpoints import Endpoint, chosen
from bench.measuring import Bench
from bench.wrk import Load, Side, require_programs
from tests.nginx import running_nginx
from tests.servers import PROJECT

OUTPUT = PROJECT / "instance" / "bench"
LOG_LINES = 10


def conditions(options: argparse.Namespace, server: databases.Server) -> dict[str, Any]:
    """Return the conditions of the measurement."""
    return {
        "posts": options.posts,
        **server._asdict(),
        "cpus": os.cpu_count(),
        "cpu": _processor(),
        "python": platform.python_version(),
        "workers": options.workers,
        "threads": options.threads,
        "wrk": f"wrk -t{options.wrk_threads} -c{options.connections} -d{options.seconds}s --latency",
        "rounds": options.rounds,
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "processor")


def measure(options: argparse.Namespace, folder: Path) -> tuple[results.Results, list[str]]:
    """
    Measure the chosen endpoints.

    Args:
        options: The command line's.
        folder: A folder for temporary files.

    Returns:
        The results, and the faults found.
    """
    endpoints = chosen(options.only)
    with databases.server_of(options.database_url, name=f"postdb_bench_{options.posts}") as url:
        server = databases.prepare(url, folder, posts=options.posts, fresh=options.fresh)
        bare_body, size = folder / "page.json", processes.Size(options.workers, options.threads)
        starts: dict[Side, processes.Start] = {
            "service": processes.service_starter(folder, url, size),
            "limit": processes.limits_starter(folder, url, size, bare_body=bare_body),
        }
        others: dict[Side, processes.Start] = {
            "fastapi": processes.contender_starter(folder, url, size, is_encrypted=server.is_encrypted),
            "limit": starts["limit"],
        }
        with processes.running(starts["service"]) as service, ExitStack() as running:
            board = Board(service.url, url)
            bare_body.write_bytes(board.get(f"{API}/posts").content)
            nginx = running.enter_context(running_nginx(port_of(service.url)))
            servers: dict[Side, processes.Server] = {
                "service": processes.Server(service),
                "nginx": processes.Server(service, url=nginx.url),
            }
            for side, start in ({} if options.alone else others).items():
                servers[side] = processes.Server(running.enter_context(processes.running(start)))
            bench = Bench(servers, board, load_of(options), folder)
            measured = run_rounds(bench, servers, endpoints, options.rounds)
            faults = bench.faults + (last_errors(service.log) if bench.faults else [])
        started = {side: start for side, start in starts.items() if side in servers}
        seconds = {side: processes.median_start(start, times=options.starts) for side, start in started.items()}
    return {"conditions": conditions(options, server), "starts": seconds, **measured}, faults


def port_of(url: str) -> int:
    """Return the port of a URL."""
    return urlsplit(url).port or 80


def load_of(options: argparse.Namespace) -> Load:
    """Return the load of the command line's options."""
    return Load(options.wrk_threads, options.connections, options.seconds)


def run_rounds(
    bench: Bench, servers: dict[Side, processes.Server], endpoints: Sequence[Endpoint], rounds: int
) -> dict[str, Any]:
    """
    Measure endpoints, round by round.

    Returns:
        Each worker's memory before and after, and the runs of each endpoint, in the form of the results.
    """
    memory: dict[str, Any] = {side: {"before": server.memory()} for side, server in servers.items()}
    print("Warming up …", flush=True)
    for endpoint in endpoints:
        bench.warm_up(endpoint)
    runs: dict[str, list[dict[str, Any]]] = {endpoint.name: [] for endpoint in endpoints}
    for number in range(1, rounds + 1):
        print(f"Round {number} of {rounds}", flush=True)
        bench.begin_round()
        for endpoint in endpoints:
            runs[endpoint.name].append(bench.measure(endpoint))
            show(endpoint, runs[endpoint.name][-1])
    for side, server in servers.items():
        memory[side]["after"] = server.memory()
    return {"memory": memory, "endpoints": runs}


def show(endpoint: Endpoint, measured: dict[str, Any]) -> None:
    """Print the runs of a turn."""
    shown = [
        f"{side} {run['rate']:,.0f}/s ({run['p50_ms']:.1f} ms, busier worker {run['busier']:.0%}"
        + (f", {run['broken']} connections broken)" if run["broken"] else ")")
        for side, run in measured.items()
        if run
    ]
    print(f"  {endpoint.title}: {', '.join(shown) or 'no ETag'}", flush=True)


def last_errors(log: str) -> list[str]:
    """Return the last lines with errors in a log."""
    return [line for line in log.splitlines() if "ERROR" in line or "Error:" in line][-LOG_LINES:]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--posts", type=int, default=100_000, help="number of demo posts (default: %(default)s)")
    add("--rounds", type=int, default=5, help="default: %(default)s")
    add("--seconds", type=int, default=5, help="of each run of wrk (default: %(default)s)")
    add("--only", default="", metavar="NAMES", help="endpoints, separated by commas (default: all)")
    add("--database-url", default=os.environ.get("DATABASE_URL") or None, help="a server (default: a private one)")
    add("--fresh", action="store_true", help="drop the database of an earlier run")
    add("--alone", action="store_true", help="measure neither the contender nor the limit")
    add("--workers", type=int, default=2, help="of gunicorn (default: %(default)s)")
    add("--threads", type=int, default=8, help="of each worker (default: %(default)s)")
    add("--wrk-threads", type=int, default=1, help="default: %(default)s")
    add("--connections", type=int, default=16, help="of wrk (default: %(default)s)")
    add("--starts", type=int, default=5, help="number of starts of each server (default: %(default)s)")
    add("--show", type=Path, metavar="FILE", help="print the report of a file of results")
    add(
        "--table", type=Path, nargs="+", metavar="FILE", help="print the rates of several results, a line for each side"
    )
    add("--compare", type=Path, nargs=2, metavar="FILE", help="print the growth from the first's rates to the second's")
    return parser.parse_args()


def compare(smaller: Path, larger: Path) -> int:
    """Print the growth of the rates; returns 1 if a bar is missed."""
    before, after = results.load(smaller), results.load(larger)
    print(tables.growth_report(before, after))
    return int(not all(growth.is_reached for growth in results.growths(before, after)))


def present(found: results.Results, faults: Sequence[str]) -> int:
    """Print the report; returns 1 if a bar is missed or a fault was found."""
    print(f"\n{tables.report(found)}\n")
    missed = results.missed(found)
    for line in [*faults, *(f"missed: {name}" for name in missed)]:
        print(line)
    return int(bool(faults or missed))


def main() -> int:
    """Measure and report, or report earlier results."""
    options = arguments()
    if options.compare:
        return compare(*options.compare)
    if options.table:
        print(tables.side_by_side([*map(results.load, options.table)]))
        return 0
    if options.show:
        return present(results.load(options.show), [])
    require_programs()
    if not processes.CONTENDER_PYTHON.exists():
        raise SystemExit("the contender's packages are not installed: make .venv/bench")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=OUTPUT) as folder:
        found, faults = measure(options, Path(folder))
    part = "-part" if options.only else ""  # so that it does not replace complete results
    path = OUTPUT / f"{found['conditions']['kind'].lower()}-{options.posts}{part}.json"
    results.save(found, path)
    print(f"Figures: {path}")
    return present(found, faults)


if __name__ == "__main__":
    sys.exit(main())
