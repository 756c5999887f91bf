"""Rates, and ratios of rates that are measured in turns; what a run starts and ends."""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from microservices.tests.running import end_process

PROJECT = Path(__file__).parents[2]
READY_SECONDS = 120
STOP_SECONDS = 60
AB_REQUESTS, AB_CLIENTS = 1_000, 10  # the document's own line


# Both rates of a ratio, each measured for some seconds.
Measured = Callable[[float], tuple[float, float]]


@dataclass(frozen=True)
class Row:
    """One ratio: rates that belong together, and the least that the ratio may be; what they need is open meanwhile."""

    name: str
    bar: float
    opened: Callable[[], AbstractContextManager[Measured]]


def expect(found: object, wanted: object) -> None:
    """Stop where an answer is wrong: a fast error is no measurement."""
    if found != wanted:
        raise ValueError(f"answered {found}, not {wanted}")


def rate(ask: Callable[[], object], clients: int, seconds: float) -> float:
    """
    Ask without pause from several threads.

    Args:
        ask: One request; it raises where the answer is wrong.
        clients: Number of threads.
        seconds: How long.

    Returns:
        Requests a second.
    """
    counts, faults, started = [0] * clients, [], time.monotonic()

    def work(index: int) -> None:
        try:
            while time.monotonic() - started < seconds:
                ask()
                counts[index] += 1
        except Exception as fault:  # noqa: BLE001 - whatever it is, the main thread raises it
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return sum(counts) / (time.monotonic() - started)


class Connections:
    """
    Plain connections to a port, one a thread: the client takes as little as it can of what it measures.

    ``http.client`` parses an answer's headers as it would those of mail, and sends a body apart from its head.

    Args:
        port: Port of this machine.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._local = threading.local()

    def ask(
        self, method: str, path: str, status: int, *, body: str = "", headers: Mapping[str, str] | None = None
    ) -> bytes:
        """
        Ask on the thread's own connection.

        Args:
            method: Method of the request.
            path: Path of the request.
            status: Status that the answer must have.
            body: Body of the request, in ASCII.
            headers: Its headers, besides Host and Content-Length.

        Returns:
            Body of the answer.
        """
        given = {"Host": f"127.0.0.1:{self._port}", **(headers or {}), "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        connection, answer = self._connected()
        connection.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n{body}".encode("ascii"))
        found, fields = int(answer.readline().split()[1]), _fields(answer)
        content = answer.read(int(fields[b"content-length"]))
        if fields.get(b"connection") == b"close":
            self._local.pair = None
        expect(found, status)
        return content

    def _connected(self) -> tuple[socket.socket, BinaryIO]:
        pair: tuple[socket.socket, BinaryIO] | None = getattr(self._local, "pair", None)
        if pair is None:
            connection = socket.create_connection(("127.0.0.1", self._port))
            pair = self._local.pair = connection, connection.makefile("rb")
        return pair


def _fields(answer: BinaryIO) -> dict[bytes, bytes]:
    """Read an answer's headers; their names come in lower case."""
    lines = iter(answer.readline, b"\r\n")
    return {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}


def ab(port: int, path: str, seconds: float) -> float:
    """
    Ask as the document does, ``ab -n 1000 -c 10``; where there is no ab, from threads for a while.

    Args:
        port: Port of this machine.
        path: Path that is asked.
        seconds: How long threads ask.

    Returns:
        Requests a second; one that fails stops the run.
    """
    if shutil.which("ab") is None:
        connections = Connections(port)
        return rate(lambda: connections.ask("GET", path, 200), AB_CLIENTS, seconds)
    command = ["ab", "-q", f"-n{AB_REQUESTS}", f"-c{AB_CLIENTS}", f"http://127.0.0.1:{port}{path}"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - ab, from the path
    expect((re.findall(r"Failed requests: +(\d+)", text), "Non-2xx" in text), (["0"], False))
    return float(re.findall(r"Requests per second: +([\d.]+)", text)[0])


@contextmanager
def process(arguments: list[str], log: Path, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """
    Run a Python program until the block ends; one that SIGTERM does not end is killed.

    Args:
        arguments: Its arguments, after Python's own name.
        log: File of what it says.
        environment: Settings, beside those of this process.

    Yields:
        The process.

    Raises:
        TimeoutExpired: It had to be killed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        running = subprocess.Popen(  # noqa: S603 - our own programs
            [sys.executable, *arguments], cwd=PROJECT, env={**os.environ, **environment}, stdout=output, stderr=output
        )
    try:
        yield running
    finally:
        end_process(running, STOP_SECONDS)


@contextmanager
def running_platform(**environment: str) -> Iterator[tuple[int, Path]]:
    """
    Run a platform on free ports until the block ends.

    Args:
        environment: Its settings.

    Yields:
        The port of its gateway, and the folder of its data.
    """
    port = free_port()
    log = PROJECT / "instance" / f"bench-{port}.log"
    arguments = ["-m", "microservices.local"]
    with process(arguments, log, PLATFORM_PORT=str(port), FRESH="1", **environment) as running:
        wait_until(lambda: "Admin:" in log.read_text(), running, log)
        yield port, PROJECT / "instance" / f"platform-{port}"


def wait_until(is_ready: Callable[[], bool], running: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait for a process; what it has said is the error where it ends or does not come up."""
    end = time.monotonic() + READY_SECONDS
    while not is_ready():
        if running.poll() is not None or time.monotonic() > end:
            raise RuntimeError(log.read_text())
        time.sleep(0.1)


def is_listening(port: int) -> bool:
    """True if something accepts connections on a port of this machine."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """The first of six ports that nobody uses."""
    for port in range(20_000, 32_000, 10):
        try:
            for one in range(port, port + 6):
                with socket.socket() as listener:
                    listener.bind(("127.0.0.1", one))
        except OSError:
            continue
        return port
    raise RuntimeError("no free ports")
