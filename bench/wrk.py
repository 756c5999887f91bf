"""Load by wrk: the requests that it sends, and its report."""

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
SEPARATOR = b"\0"  # never in a request: JSON escapes it

Side = Literal["service", "nginx", "fastapi", "limit"]  # nginx: the service through it; fastapi: the contender
WITH_TOKENS = ("service", "nginx")  # the others take the caller from plain headers


class User(NamedTuple):
    """
    The sender of a request.

    Attributes:
        name: The name shown with posts.
        user_id: The token's ``sub``.
        token: The token for the service. The limit takes name and id from plain headers.
    """

    name: str
    user_id: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    A request to all sides alike.

    Attributes:
        method: The method, GET by default.
        path: The path with its query, percent-encoded.
        headers: Headers by name.
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
        if self.user and side in WITH_TOKENS:
            headers["Authorization"] = f"Bearer {self.user.token}"
        if self.user and side not in WITH_TOKENS:
            headers |= {"X-User-Id": self.user.user_id, "X-Username": self.user.name}
        return headers

    def encoded(self, side: Side, host: str) -> bytes:
        """Return the bytes of the request."""
        headers = {"Host": host} | self.headers_for(side)
        if self.method != "GET":
            headers["Content-Length"] = str(len(self.body))
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


class Load(NamedTuple):
    """The load by wrk: its own threads, its connections, and its seconds."""

    threads: int
    connections: int
    seconds: int


class Answers(NamedTuple):
    """
    The report of a run.

    Attributes:
        number: The number of answers.
        rate: Answers per second.
        p50_ms: The median latency.
        p99_ms: The 99th percentile of the latency.
        refused: Answers of status 400 and above.
        broken: Connections refused or cut off, and answers that never came.
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
    Send requests by turns, again and again.

    Args:
        requests: At least one.
        side: The server that answers.
        url: Its URL, without a path.
        load: The load.
        file: A file for the requests, to be overwritten.

    Returns:
        The report.
    """
    host = urlsplit(url).netloc
    file.write_bytes(SEPARATOR.join(request.encoded(side, host) for request in requests))
    command = ["wrk", f"-t{load.threads}", f"-c{load.connections}", f"-d{load.seconds}s", "--latency"]
    command += ["-s", str(SCRIPT), url, "--", str(file)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - the arguments are our own
    return parse(done.stdout)


def parse(output: str) -> Answers:
    """Read the line of JSON that ``requests.lua`` writes at the end of wrk's output."""
    report = json.loads(next(line for line in reversed(output.splitlines()) if line.startswith("{")))
    return Answers(
        number=report["requests"],
        rate=report["requests"] / (report["micros"] / 1e6),
        p50_ms=report["p50"] / 1000,
        p99_ms=report["p99"] / 1000,
        refused=report["refused"],
        broken=report["broken"],
    )
