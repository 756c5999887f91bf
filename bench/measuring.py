"""Runs of wrk, in turns against the service, straight and through nginx, against the contender, and the limit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import requests as http

from bench.board import TIMEOUT_SECONDS, Board
from bench.endpoints import Endpoint
from bench.processes import Server
from bench.results import BUSIER_MAX
from bench.wrk import WITH_TOKENS, Answers, Load, Request, Side, send

WARM_UP_SECONDS = 1
VIEWER_FIELDS = {"is_liked", "hidden_by"}
ATTEMPTS = 6  # at an even run: chance decides which of gunicorn's workers takes a connection


@dataclass(frozen=True, slots=True)
class Run:
    """
    A measured run of wrk.

    Attributes:
        answers: The report of wrk.
        cpu_ms: The workers' processor time for an answer.
        busier: The busier worker's share of that time.
    """

    answers: Answers
    cpu_ms: float
    busier: float

    def as_json(self) -> dict[str, Any]:
        """Return the run in the form of the results."""
        return self.answers._asdict() | {"cpu_ms": self.cpu_ms, "busier": self.busier}


def evenly(server: Server, send_load: Callable[[], Answers], *, before: Callable[[], None] = lambda: None) -> Run:
    """
    Run a load until no worker does nearly all of it, for at most ``ATTEMPTS`` times.

    Args:
        server: The server.
        send_load: Sends the load.
        before: Is called before each run.

    Returns:
        The most even run.
    """
    runs: list[Run] = []
    while len(runs) < ATTEMPTS and (not runs or runs[-1].busier > BUSIER_MAX):
        before()
        earlier = server.cpu_seconds()
        answers = send_load()
        spent = [after - one for one, after in zip(earlier, server.cpu_seconds(), strict=True)]
        runs.append(Run(answers, 1000 * sum(spent) / (answers.number or 1), max(spent) / (sum(spent) or 1)))
    return min(runs, key=lambda run: run.busier)


class Bench:
    """Measures the servers, and collects the faults that it finds."""

    def __init__(self, servers: dict[Side, Server], board: Board, load: Load, folder: Path) -> None:
        self._servers, self._board, self._load = servers, board, load
        self._file = folder / "requests.bin"
        self.faults: list[str] = []

    def warm_up(self, endpoint: Endpoint) -> None:
        """Run an endpoint for a moment, and check that all sides answer alike."""
        load = self._load._replace(seconds=WARM_UP_SECONDS)
        for side, requests in self._sides(endpoint):
            if requests:
                self._send(side, requests, load)
        self._compare(endpoint)

    def begin_round(self) -> None:
        """Log in again, since tokens of the last round may expire."""
        self._board.log_in_again()

    def measure(self, endpoint: Endpoint) -> dict[str, Any]:
        """
        Run an endpoint against the service, then through nginx, then against the contender and the limit.

        Returns:
            A run for each side, in the form of the results; None for a side without requests.
        """
        measured: dict[str, Any] = dict.fromkeys(get_args(Side))
        for side, requests in self._sides(endpoint):
            if requests:
                run = self._run(side, requests)
                measured[side] = run.as_json()
                self._note_faults(endpoint, side, requests, run)
        return measured

    def _sides(self, endpoint: Endpoint) -> list[tuple[Side, Sequence[Request]]]:
        requests = endpoint.requests(self._board)
        # Without a rate of the service, the limit's has no use.
        limit = endpoint.limit_requests(self._board) if endpoint.limit is not None and requests else []
        contender = requests if endpoint.has_contender else []
        by_side: dict[Side, list[Request]] = {
            "service": requests,
            "nginx": requests,
            "fastapi": contender,
            "limit": limit,
        }
        return [(side, by_side[side]) for side in self._servers]

    def _run(self, side: Side, requests: Sequence[Request]) -> Run:
        return evenly(
            self._servers[side], lambda: self._send(side, requests, self._load), before=self._board.wait_until_idle
        )

    def _send(self, side: Side, requests: Sequence[Request], load: Load) -> Answers:
        return send(requests, side=side, url=self._servers[side].url, load=load, file=self._file)

    def _note_faults(self, endpoint: Endpoint, side: Side, requests: Sequence[Request], run: Run) -> None:
        if run.answers.refused:
            self.faults.append(f"{endpoint.name}: {run.answers.refused} answers of the {side} of status 400 and above")
        if run.answers.rate == 0:
            self.faults.append(f"{endpoint.name}: the {side} answered nothing")
        if side in WITH_TOKENS and endpoint.status == 304:
            status = self._ask(side, requests[0]).status_code
            if status != 304:
                self.faults.append(f"{endpoint.name}: status {status} of the {side} after the run, not 304")

    def _compare(self, endpoint: Endpoint) -> None:
        """Compare one answer of each side."""
        shown: dict[Side, Any] = {}
        for side, requests in self._sides(endpoint):
            if not requests or (side == "limit" and endpoint.limit != "same"):
                continue
            answer = self._ask(side, requests[0])
            if answer.status_code != endpoint.status:
                self.faults.append(f"{endpoint.name}: status {answer.status_code} of the {side}: {answer.text[:300]}")
            elif answer.content:
                shown[side] = _comparable(answer.json().get("data"))
        for side, data in shown.items():
            if not _are_alike(endpoint, shown["service"], data, of_contender=side == "fastapi"):
                self.faults.append(f"{endpoint.name}: the {side} answers otherwise than the service")

    def _ask(self, side: Side, request: Request) -> http.Response:
        url, headers = self._servers[side].url + request.path, request.headers_for(side)
        return http.request(request.method, url, headers=headers, data=request.body or None, timeout=TIMEOUT_SECONDS)


def _comparable(data: Any) -> Any:
    """Return an answer's data without its views, which the service shows before it writes them."""
    if isinstance(data, list):
        return [_comparable(each) for each in data]
    return {name: value for name, value in data.items() if name != "view_count"} if isinstance(data, dict) else data


def _are_alike(endpoint: Endpoint, service: Any, other: Any, *, of_contender: bool) -> bool:
    is_read = endpoint.status == 200 and endpoint.name != "like"
    if is_read:
        return bool(service == other)
    # Each write has its own id, so only the names of the fields are compared; the contender knows no viewers.
    unknown = VIEWER_FIELDS if of_contender and endpoint.name == "create" else set()
    return bool(service.keys() - unknown == other.keys())
