"""Measure the platform beside what bounds it: the stand-in's reads, argon2 alone, and itself without logins."""

import argparse
import http.client
import json
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from argon2 import PasswordHasher
from botocore.config import Config

PROJECT = Path(__file__).parents[2]
CLIENTS = 4
READY_SECONDS = 120
USER = {"email": "bench@example.com", "password": "password123", "name": "Bench"}
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Row:
    """One ratio: rates that belong together, and the least that the ratio may be."""

    name: str
    bar: float
    measured: Callable[[float], tuple[float, float]]


def rate(ask: Callable[[], None], clients: int, seconds: float) -> float:
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


class Platform:
    """A client of a running platform, with a user who is logged in."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._local = threading.local()
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        self._stand_in = boto3.client(
            "dynamodb",
            endpoint_url=f"http://127.0.0.1:{port + 4}",
            region_name="us-east-1",
            config=Config(max_pool_connections=4 * CLIENTS),
            **keys,
        )
        self._post("/auth/register", 201)
        self._token = self._post("/auth/login", 200)["sessionId"]

    def verify(self) -> None:
        """Check the session through the gateway."""
        self._get("/auth/verify")

    def browse(self) -> None:
        """Read what stands behind the authorizer, and in no child of auth."""
        self._get(f"/users/{USER['email']}")

    def log_in(self) -> None:
        """Log in through the gateway."""
        self._post("/auth/login", 200)

    def get_item(self) -> None:
        """Read the user from the stand-in."""
        key = {"userId": {"S": USER["email"]}}
        found = self._stand_in.get_item(TableName="microservices-users", Key=key, ConsistentRead=True)
        expect("Item" in found, True)

    def _get(self, path: str) -> None:
        self._ask("GET", path, 200, headers={"Authorization": f"Bearer {self._token}"})

    def _post(self, path: str, status: int) -> Any:
        return json.loads(self._ask("POST", path, status, body=json.dumps(USER), headers=JSON))

    def _ask(self, method: str, path: str, status: int, **arguments: Any) -> bytes:
        """Ask on the thread's own connection: the client takes as little as it can of what it measures."""
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = http.client.HTTPConnection("127.0.0.1", self._port)
        connection.request(method, f"/api{path}", **arguments)
        answer = connection.getresponse()
        body = answer.read()
        expect(answer.status, status)
        return body


def expect(found: object, wanted: object) -> None:
    """Stop where an answer is wrong: a fast error is no measurement."""
    if found != wanted:
        raise ValueError(f"answered {found}, not {wanted}")


def hash_for(seconds: float, password_hash: str, results: Any) -> None:
    """Verify one password without pause, and put the rate into a queue."""
    hasher, count, started = PasswordHasher(), 0, time.monotonic()
    while time.monotonic() - started < seconds:
        hasher.verify(password_hash, USER["password"])
        count += 1
    results.put(count / (time.monotonic() - started))


def argon2_rate(seconds: float) -> float:
    """
    Measure argon2 with the service's parameters on every core at once.

    Args:
        seconds: How long.

    Returns:
        Verifications a second: cores / argon2's time.
    """
    password_hash = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(USER["password"])
    results: Any = multiprocessing.Queue()
    cores = range(os.cpu_count() or 1)
    workers = [multiprocessing.Process(target=hash_for, args=(seconds, password_hash, results)) for _ in cores]
    for worker in workers:
        worker.start()
    total = sum(results.get() for _ in workers)
    for worker in workers:
        worker.join()
    return float(total)


def rows(platform: Platform) -> list[Row]:
    """The ratios; each measures its two sides in turn."""

    def verify(seconds: float) -> tuple[float, float]:
        bound = rate(platform.get_item, CLIENTS, seconds)
        return rate(platform.verify, CLIENTS, seconds), bound

    def login(seconds: float) -> tuple[float, float]:
        bound = argon2_rate(seconds)
        return rate(platform.log_in, CLIENTS, seconds), bound

    def browse(seconds: float) -> tuple[float, float]:
        alone = rate(platform.browse, CLIENTS, seconds)
        logins = threading.Thread(target=rate, args=(platform.log_in, CLIENTS, seconds + 1))
        logins.start()
        time.sleep(0.5)
        beside = rate(platform.browse, CLIENTS, seconds)
        logins.join()
        return beside, alone

    return [Row("verify", 0.4, verify), Row("login", 0.8, login), Row("browse", 0.5, browse)]


@contextmanager
def running_platform() -> Iterator[int]:
    """The port of a platform of our own."""
    port = free_port()
    log = PROJECT / "instance" / f"bench-{port}.log"
    log.parent.mkdir(exist_ok=True)
    environment = {**os.environ, "PLATFORM_PORT": str(port), "FRESH": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "microservices.local"], cwd=PROJECT, env=environment, stdout=output, stderr=output
        )
    try:
        wait_until_ready(process, log)
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def wait_until_ready(process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait for the platform's banner."""
    end = time.monotonic() + READY_SECONDS
    while "Admin:" not in log.read_text():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(log.read_text())
        time.sleep(0.1)


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


def main() -> int:
    """Measure every row, and print what was found; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    with running_platform() as port:
        every = rows(Platform(port))
        for row in every:
            row.measured(1)  # every process has started once, and imported what it needs
        found = {row.name: [row.measured(options.seconds) for _ in range(options.rounds)] for row in every}
    missed = 0
    sys.stdout.write("row      here/s  beside/s  ratio   bar\n")
    for row in every:
        here, beside = (statistics.median(side) for side in zip(*found[row.name], strict=True))
        ratio = statistics.median(ours / theirs for ours, theirs in found[row.name])
        missed += ratio < row.bar
        sys.stdout.write(f"{row.name:8} {here:6.0f}  {beside:8.0f}  {ratio:5.2f}  {row.bar:4.1f}\n")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
