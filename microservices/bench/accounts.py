"""Rows of accounts: verify, login and browse, beside what bounds them."""

import json
import multiprocessing
import os
import threading
import time
from contextlib import nullcontext
from typing import Any

import boto3
from argon2 import PasswordHasher
from botocore.config import Config
from measuring import Connections, Measured, Row, expect, rate

CLIENTS = 4
USER = {"email": "bench@example.com", "password": "password123", "name": "Bench"}
JSON = {"Content-Type": "application/json"}


class Platform:
    """
    A client of a running platform, with a user who is logged in.

    Args:
        port: Port of its gateway.

    Attributes:
        token: Id of the user's session.
    """

    def __init__(self, port: int) -> None:
        self._gateway = Connections(port)
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        self._stand_in = boto3.client(
            "dynamodb",
            endpoint_url=f"http://127.0.0.1:{port + 4}",
            region_name="us-east-1",
            config=Config(max_pool_connections=4 * CLIENTS),
            **keys,
        )
        self._post("/auth/register", 201)
        self.token = self._post("/auth/login", 200)["sessionId"]

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
        self._gateway.ask("GET", f"/api{path}", 200, headers={"Authorization": f"Bearer {self.token}"})

    def _post(self, path: str, status: int) -> Any:
        return json.loads(self._gateway.ask("POST", f"/api{path}", status, body=json.dumps(USER), headers=JSON))


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

    def row(name: str, bar: float, measured: Measured) -> Row:
        return Row(name, bar, lambda: nullcontext(measured))

    return [row("verify", 0.4, verify), row("login", 0.8, login), row("browse", 0.5, browse)]
