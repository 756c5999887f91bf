"""The whole platform as its supervisor runs it, whose processes the drills kill and start again."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from microservices.local.__main__ import Run, services
from microservices.local.aws import connect
from microservices.local.database import DATABASE
from microservices.local.postgres import SUPERUSER, Postgres
from microservices.local.processes import Supervisor, is_listening
from microservices.tests.orders.shop import Direct, Shop
from tests.ports import free_port, free_ports

BUCKET = "microservices-notifications-local"


class Platform:
    """The local run's processes, by their names."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.services = {plain(service.name): service for service in services(run)}
        self._supervisor = Supervisor()
        postgres = Postgres(run.state / "postgres", run.ports["PostgreSQL"])
        self._password = postgres.password
        self.shop = Shop(self.connect, Direct(run.url("products")), Direct(run.url("orders")))

    def start(self, name: str, **environment: str) -> None:
        """Start a process; it is ready then."""
        service = self.services[name]
        self._supervisor.start(replace(service, environment={**service.environment, **environment}))

    def start_what_is_dead(self) -> None:
        """Start the processes that do not run."""
        running = {plain(service.name) for service, process in self._supervisor._running if process.poll() is None}
        for name in self.services:
            if name not in running:
                self.start(name)

    def start_again(self, name: str) -> None:
        """Start a process that has prepared its store before."""
        self._supervisor.start(replace(self.services[name], after_start=lambda: None))

    def start_beside(self, name: str, **environment: str) -> Shop:
        """Start a second orders service; a shop that uses it."""
        service, port = self.services["Orders"], free_port()
        settings = {**service.environment, "BIND": f"127.0.0.1:{port}", **environment}
        self._supervisor.start(replace(service, name=name, environment=settings, is_ready=lambda: is_listening(port)))
        return Shop(self.connect, self.shop.products, Direct(f"http://127.0.0.1:{port}"))

    def kill(self, name: str) -> None:
        """Kill -9 a process with all that it has started."""
        process = self.process(name)
        with suppress(ProcessLookupError):  # it may have ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._supervisor._running = [one for one in self._supervisor._running if one[1] is not process]

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process with all that it has started."""
        os.killpg(self.process(name).pid, number)

    def process(self, name: str) -> subprocess.Popen[bytes]:
        [found] = [process for service, process in self._supervisor._running if plain(service.name) == name]
        return found

    def connect(self) -> "psycopg.Connection[Any]":
        """Connect to PostgreSQL as the superuser."""
        port = self.run.ports["PostgreSQL"]
        return psycopg.connect(
            host="127.0.0.1", port=port, dbname=DATABASE, user=SUPERUSER, password=self._password, autocommit=True
        )

    def notified(self, account: str) -> list[str]:
        """Ids of the events of which an account has notifications."""
        with closing(connect("s3", self.run.url("the AWS stand-in"))) as storage:
            pages = storage.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"notifications/{account}/")
            return [one["Key"][-41:-5] for page in pages for one in page.get("Contents", [])]

    def stop(self) -> None:
        self._supervisor.stop()


@pytest.fixture(scope="module")
def platform_run() -> Iterator[Platform]:
    """A platform on ports of its own, with everything started."""
    run = Run(free_ports(len(Run(0).ports)))
    platform = Platform(run)
    try:
        platform.start_what_is_dead()
        yield platform
    finally:
        platform.stop()
        shutil.rmtree(run.state, ignore_errors=True)


def plain(name: str) -> str:
    """The name of a service without the version that PostgreSQL's has."""
    return re.sub(r" [\d.]+$", "", name)
