"""The Lambda host and the gateway as processes on free ports, in front of a stand-in for AWS."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from tests.ports import free_port

PROJECT = Path(__file__).parents[2]
# For what ends by itself: no test measures it, and a machine may be busy.
PATIENCE_SECONDS = 120.0
# A service's bounds where no test is about them: a busy machine would answer 503 for some of many.
BOUNDS = {
    "WAIT_SECONDS": PATIENCE_SECONDS,
    "STATEMENT_MILLISECONDS": int(PATIENCE_SECONDS * 1000),
    "IDLE_IN_TRANSACTION_MILLISECONDS": int(PATIENCE_SECONDS * 1000),
}
PATIENT_TRIES = (PATIENCE_SECONDS, PATIENCE_SECONDS)
NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens there


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = PATIENCE_SECONDS) -> None:
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nothing answers on port {port}")


def end_process(process: subprocess.Popen[bytes], seconds: float = PATIENCE_SECONDS) -> None:
    """Tell a process to end; one that does not is killed, and named by the error."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


@contextmanager
def process_of(*arguments: str, log: Path | None = None, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours, until the block ends; one that SIGTERM does not end is killed and named."""
    command = [sys.executable, *arguments]
    with ExitStack() as stack:
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
        output = None if log is None else stack.enter_context(log.open("ab"))
        process = stack.enter_context(
            subprocess.Popen(command, cwd=PROJECT, env={**os.environ, **environment}, stdout=output, stderr=output)
        )
        try:
            yield process
        finally:
            end_process(process)


@contextmanager
def process_on(
    port: int, *arguments: str, log: Path | None = None, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours that listens on a port, until the block ends."""
    with process_of(*arguments, log=log, **environment) as process:
        wait_for_port(port, process)
        yield process


def event_source(stand_in: str, lambda_url: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """The process that hands the deployed queue's messages to the notifications' worker."""
    keys = {"AWS_ENDPOINT_URL": stand_in, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    return process_of("-m", "microservices.local.event_source", LAMBDA_URL=lambda_url, **keys)


@contextmanager
def running_gateway(
    lambda_url: str,
    *,
    products_url: str = NOBODY,
    orders_url: str = NOBODY,
    log: Path | None = None,
    **environment: str,
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
    with process_on(port, *command, "--log-level", "warning", log=log, **upstream, **environment):
        yield f"http://127.0.0.1:{port}/api"


@contextmanager
def running_container(service: str, *, logs: Path | None = None, **settings: str) -> Iterator[str]:
    """Base URL of a container's service, as its image runs it but patient; its log is in that folder's ``ecs``."""
    port = free_port()
    command = ("-m", "gunicorn", "-c", "python:microservices.tests.patient_conf", "--log-level", "warning")
    environment = {"BIND": f"127.0.0.1:{port}", "PYTHONPATH": str(PROJECT / "microservices"), **settings}
    log = logs and logs / "ecs" / f"microservices-{service}"
    with process_on(port, *command, f"{service}.app:create_app()", log=log, **environment):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def running_platform(stand_in: str, logs: Path, **settings: str) -> Iterator[str]:
    """Base URL of the gateway, with its settings, in front of the deployed Lambdas, which use this stand-in."""
    port = free_port()
    keys = {"AWS_ENDPOINT_URL": stand_in, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    with (
        process_on(port, "-m", "microservices.local.lambda_host", str(port), str(logs), **keys),
        running_gateway(f"http://127.0.0.1:{port}", log=logs / "gateway.log", **settings) as url,
    ):
        yield url
