"""Load by wrk: the requests that it sends, and what it tells of the answers."""

import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from tests.servers import SBIN

SCRIPT = Path(__file__).with_name("requests.lua")
SEPARATOR = b"\0"  # no request has one: JSON writes it as an escape

Side = Literal["service", "nginx", "limit"]  # nginx: the service through it


class User(NamedTuple):
    """
    Who sends a request.

    Attributes:
        name: As posts show it.
        user_id: The token's ``sub``.
        token: For the service. The limit is told name and id in plain headers, and believes them.
    """

    name: str
    user_id: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    A request that means the same to the service and to its limit.

    Attributes:
        method: GET unless it says otherwise.
        path: With its query, percent-encoded.
        headers: By name.
        user: None for an anonymous caller.
        body: JSON; empty for none.
    """

    method: str = "GET"
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    user: User | None = None
    body: bytes = b""

    def headers_for(self, side: Side) -> dict[str, str]:
        """Return all headers but ``Host`` and ``Content-Length``."""
        headers = dict(self.headers)
        if self.body:
            headers["Content-Type"] = "application/json"
        if self.user and side != "limit":
            headers["Authorization"] = f"Bearer {self.user.token}"
        if self.user and side == "limit":
            headers |= {"X-User-Id": self.user.user_id, "X-Username": self.user.name}
        return headers

    def encoded(self, side: Side, host: str) -> bytes:
        """Return the request as it is on the wire."""
        headers = {"Host": host} | self.headers_for(side)
        if self.method != "GET":
            headers["Content-Length"] = str(len(self.body))
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


class Load(NamedTuple):
    """How much wrk asks for: its own threads, its connections, and for how long."""

    threads: int
    connections: int
    seconds: int


class Answers(NamedTuple):
    """
    What wrk tells of a run.

    Attributes:
        number: Of answers.
        rate: Answers per second.
        p50_ms: Half of the answers took no longer.
        p99_ms: 99 of 100 took no longer.
        refused: Answers of status 400 and above.
        broken: Connections that were refused or cut off, and answers that never came.
    """

    number: int
    rate: float
    p50_ms: float
    p99_ms: float
    refused: int
    broken: int


def require_programs() -> None:
    """End the program with a line for a program that is not installed."""
    for program in ("wrk", "nginx"):
        if shutil.which(program, path=SBIN) is None:
            raise SystemExit(f"{program} is needed (Debian: apt install {program})")


def send(requests: Iterable[Request], *, side: Side, url: str, load: Load, file: Path) -> Answers:
    """
    Have wrk send requests by turns, over and over.

    Args:
        requests: At least one.
        side: What answers.
        url: Where it does, without a path.
        load: How much.
        file: To hand the requests to wrk in; it is overwritten.

    Returns:
        What wrk tells.
    """
    host = urlsplit(url).netloc
    file.write_bytes(SEPARATOR.join(request.encoded(side, host) for request in requests))
    command = ["wrk", f"-t{load.threads}", f"-c{load.connections}", f"-d{load.seconds}s", "--latency"]
    command += ["-s", str(SCRIPT), url, "--", str(file)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - the arguments are ours
    return parse(done.stdout)


def parse(output: str) -> Answers:
    """Return what wrk's output tells, by the line of JSON that ``requests.lua`` writes at its end."""
    told = json.loads(next(line for line in reversed(output.splitlines()) if line.startswith("{")))
    return Answers(
        number=told["requests"],
        rate=told["requests"] / (told["micros"] / 1e6),
        p50_ms=told["p50"] / 1000,
        p99_ms=told["p99"] / 1000,
        refused=told["refused"],
        broken=told["broken"],
    )
