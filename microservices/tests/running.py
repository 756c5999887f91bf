"""The Lambda host and the gateway as processes on free ports, in front of a stand-in for AWS."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

PROJECT = Path(__file__).parents[2]
NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens there


def free_port() -> int:
    """Return a port that nobody uses; below those that the system gives to connections (ip(7): ip_local_port_range)."""
    while True:
        port = 10_000 + secrets.randbelow(10_000)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("0.0.0.0", port))
            return port


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nothing answers on port {port}")


@contextmanager
def process_of(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours, until the block ends."""
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, cwd=PROJECT, env={**os.environ, **environment}) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextmanager
def process_on(port: int, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours that listens on a port, until the block ends."""
    with process_of(*arguments, **environment) as process:
        wait_for_port(port, process)
        yield process


def event_source(stand_in: str, lambda_url: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """The process that hands the deployed queue's messages to the notifications' worker."""
    keys = {"AWS_ENDPOINT_URL": stand_in, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    return process_of("-m", "microservices.local.event_source", LAMBDA_URL=lambda_url, **keys)


@contextmanager
def running_gateway(
    lambda_url: str, *, products_url: str = NOBODY, orders_url: str = NOBODY, **environment: str
) -> Iterator[str]:
    """Base URL of a gateway in front of a Lambda host."""
    port = free_port()
    command = (
        "-m",
        "gunicorn",
        "-c",
        "python:microservices.local.gateway.gunicorn_conf",
        "--bind",
        f"127.0.0.1:{port}",
    )
    upstream = {"LAMBDA_URL": lambda_url, "PRODUCTS_URL": products_url, "ORDERS_URL": orders_url}
    with process_on(port, *command, "--log-level", "warning", **upstream, **environment):
        yield f"http://127.0.0.1:{port}/api"


@contextmanager
def running_container(service: str, **settings: str) -> Iterator[str]:
    """Base URL of a container's service, by its image's own command."""
    port = free_port()
    command = ("-m", "gunicorn", "-c", "python:shared.gunicorn_conf", "--log-level", "warning")
    environment = {"BIND": f"127.0.0.1:{port}", "PYTHONPATH": str(PROJECT / "microservices"), **settings}
    with process_on(port, *command, f"{service}.app:create_app()", **environment):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def running_platform(stand_in: str, logs: Path, **settings: str) -> Iterator[str]:
    """Base URL of the gateway, with its settings, in front of the deployed Lambdas, which use this stand-in."""
    port = free_port()
    keys = {"AWS_ENDPOINT_URL": stand_in, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    with (
        process_on(port, "-m", "microservices.local.lambda_host", str(port), str(logs), **keys),
        running_gateway(f"http://127.0.0.1:{port}", **settings) as url,
    ):
        yield url
