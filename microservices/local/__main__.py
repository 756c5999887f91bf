"""
The local run: ``python -m microservices.local``, from the repository's root.

One supervisor starts everything in order, and Ctrl-C stops it in reverse. ``grant-admin EMAIL`` makes a user of a
running platform an admin.
"""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from urllib import error, request

from .aws import grant_admin, make_resources, order_events_topic, region
from .database import PACKAGES, Database
from .postgres import Postgres
from .processes import ENDING, REPOSITORY, CannotRun, Service, Supervisor, is_listening, require_free
from .words import say

FIRST_PORT = 8090
ADMIN = {"email": "admin@example.com", "password": "local-admin-1", "name": "Admin"}
BUILT = ("auth", "users", "products", "orders", "notifications")


@dataclass(frozen=True)
class Run:
    """Ports and folders of one local run; a second one beside it has other ports."""

    port: int

    @property
    def ports(self) -> dict[str, int]:
        """Ports by who listens on them."""
        names = ("the gateway", "products", "orders", "the Lambda host", "the AWS stand-in", "PostgreSQL")
        return {name: self.port + offset for offset, name in enumerate(names)}

    @property
    def state(self) -> Path:
        """Folder of what is kept between runs, and of the logs."""
        name = "platform" if self.port == FIRST_PORT else f"platform-{self.port}"
        return REPOSITORY / "instance" / name

    @property
    def logs(self) -> Path:
        """Folder of the logs."""
        return self.state / "logs"

    def url(self, name: str) -> str:
        """Base URL of a service."""
        return f"http://127.0.0.1:{self.ports[name]}"


def main(arguments: list[str]) -> int:
    """
    Run a command.

    Args:
        arguments: Command line without the program; nothing starts the platform.

    Returns:
        Exit status.
    """
    try:
        run = Run(read_port())
        if not arguments:
            return start(run)
        if len(arguments) == 2 and arguments[0] == "grant-admin":
            return grant(run, arguments[1])
    except CannotRun as reason:
        say(str(reason))
        return 1
    say("Usage: python -m microservices.local [grant-admin EMAIL]")
    return 2


def read_port() -> int:
    """
    Read the gateway's port.

    Returns:
        ``PLATFORM_PORT``, or the usual one.

    Raises:
        CannotRun: It is no port with five more above it.
    """
    text = os.environ.get("PLATFORM_PORT") or str(FIRST_PORT)
    if not text.isdecimal() or not 1024 <= int(text) <= 65_530:
        raise CannotRun("PLATFORM_PORT: must be a port from 1024 to 65530; the five after it are used too")
    return int(text)


def start(run: Run) -> int:
    """Run the platform until Ctrl-C, SIGTERM or the end of one of its processes."""
    for number in ENDING:
        signal.signal(number, _interrupt)
    supervisor = Supervisor()
    started = time.monotonic()
    try:
        require_free(run.ports)
        if os.environ.get("FRESH") == "1":
            shutil.rmtree(run.state, ignore_errors=True)
        for service in services(run):
            supervisor.start(service)
        banner(run, time.monotonic() - started)
        supervisor.watch()
    except KeyboardInterrupt:
        say("\nStopping")
    finally:
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave anything behind
        supervisor.stop()
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def services(run: Run) -> list[Service]:
    """
    Describe the processes, in the order in which they start.

    Args:
        run: Ports and folders.

    Returns:
        The processes; PostgreSQL's cluster is made where it is missing.
    """
    postgres = Postgres(run.state / "postgres", run.ports["PostgreSQL"])
    postgres.prepare()
    database = Database(postgres, run.ports["PostgreSQL"])
    endpoint = run.url("the AWS stand-in")
    return [
        postgres.service(run.logs / "postgres.log", after_start=lambda: prepare_database(database)),
        stand_in(run, after_start=lambda: make_resources(endpoint)),
        container(run, "products", database.settings("products_app")),
        container(run, "orders", orders_settings(run, database)),
        relay(run, endpoint, orders_settings(run, database)),
        lambda_host(run, endpoint),
        event_source(run, endpoint),
        gateway(run, after_start=lambda: seed(run, endpoint)),
    ]


def prepare_database(database: Database) -> None:
    """
    Make what the containers find in RDS: roles, schemas, tables.

    Args:
        database: The database.

    Raises:
        CannotRun: A migration, or the first product, failed.
    """
    database.prepare()
    database.migrate("products", "orders")
    database.run("products.seed", role="products_app")


def container(run: Run, service: str, environment: Mapping[str, str]) -> Service:
    """
    Describe a service that is a container in AWS, by its image's own command and settings.

    Args:
        run: Ports and folders.
        service: Name of the service, which is its package's.
        environment: Its settings.
    """
    port = run.ports[service]
    command = [sys.executable, "-m", "gunicorn", "-c", "python:shared.gunicorn_conf", f"{service}.app:create_app()"]
    return Service(
        name=service.capitalize(),
        command=command,
        log=run.logs / "ecs" / f"microservices-{service}",
        is_ready=lambda: is_listening(port),
        environment={"PYTHONPATH": str(PACKAGES), "BIND": f"127.0.0.1:{port}", **environment},
    )


def orders_settings(run: Run, database: Database) -> dict[str, str]:
    """Return the settings of both processes of orders."""
    return {"PRODUCTS_URL": run.url("products"), **database.settings("orders_app")}


def relay(run: Run, endpoint: str, environment: Mapping[str, str]) -> Service:
    """Describe the second process of orders' image, which publishes its events and finishes what was cut off."""
    keys = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    topic = {"ORDER_EVENTS_TOPIC_ARN": order_events_topic(), "AWS_REGION": region()}
    return Service(
        name="The orders relay",
        command=[sys.executable, "-m", "orders.relay"],
        log=run.logs / "ecs" / "microservices-orders-relay",
        is_ready=lambda: True,  # it asks others, and waits for them where they are away
        environment={"PYTHONPATH": str(PACKAGES), **keys, **topic, **environment},
    )


def stand_in(run: Run, after_start: Callable[[], None]) -> Service:
    """Describe the process that stands in for DynamoDB, S3, SNS and SQS."""
    port = run.ports["the AWS stand-in"]
    return Service(
        name="The AWS stand-in",
        command=[sys.executable, "-m", "microservices.local.aws", str(port)],
        log=run.logs / "aws.log",
        is_store=True,
        is_ready=lambda: is_listening(port),
        stop_signal=signal.SIGKILL,  # at once: nothing that it holds is kept
        after_start=after_start,
    )


def lambda_host(run: Run, endpoint: str) -> Service:
    """Describe the process that runs the functions."""
    port = run.ports["the Lambda host"]
    return Service(
        name="The Lambda host",
        command=[sys.executable, "-m", "microservices.local.lambda_host", str(port), str(run.logs)],
        log=run.logs / "lambda_host.log",
        is_ready=lambda: is_listening(port),
        environment={"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"},
    )


def event_source(run: Run, endpoint: str) -> Service:
    """Describe the process that hands the queue's events to the notifications' worker."""
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    return Service(
        name="The event source mapping",
        command=[sys.executable, "-m", "microservices.local.event_source"],
        log=run.logs / "event_source.log",
        is_ready=lambda: True,  # it asks others, and waits for them where they are away
        environment={"AWS_ENDPOINT_URL": endpoint, "LAMBDA_URL": run.url("the Lambda host"), **keys},
    )


def gateway(run: Run, after_start: Callable[[], None]) -> Service:
    """Describe the gateway, the only process that clients talk to."""
    settings = "python:microservices.local.gateway.gunicorn_conf"
    upstream = {"LAMBDA_URL": "the Lambda host", "PRODUCTS_URL": "products", "ORDERS_URL": "orders"}
    return Service(
        name="The gateway",
        command=[sys.executable, "-m", "gunicorn", "-c", settings, "--bind", f"127.0.0.1:{run.port}"],
        log=run.logs / "gateway.log",
        is_ready=lambda: is_listening(run.port),
        environment={name: run.url(service) for name, service in upstream.items()},
        after_start=after_start,
    )


def seed(run: Run, endpoint: str) -> None:
    """
    Register the demo's admin, by the same routes as everybody.

    Args:
        run: Ports and folders.
        endpoint: Address of the AWS stand-in.

    Raises:
        CannotRun: The platform does not answer as it must.
    """
    asked = request.Request(  # noqa: S310 - our own gateway
        f"{run.url('the gateway')}/api/auth/register",
        data=json.dumps(ADMIN).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        request.urlopen(asked).close()  # noqa: S310 - our own gateway
    except error.HTTPError as exc:
        raise CannotRun(f"The platform does not register a user: {exc}; see {run.logs}") from exc
    grant_admin(endpoint, ADMIN["email"])


def grant(run: Run, email: str) -> int:
    """Make a user of the running platform an admin."""
    if not is_listening(run.ports["the AWS stand-in"]):
        raise CannotRun(f"No platform runs on port {run.port}; start it with make platform")
    if not grant_admin(run.url("the AWS stand-in"), email):
        raise CannotRun(f"There is no user {email}")
    say(f"{email} is an admin")
    return 0


def banner(run: Run, seconds: float) -> None:
    """Say how to use the platform."""
    api = f"http://localhost:{run.port}/api"
    json_type = "-H 'Content-Type: application/json'"
    user = '"email":"test@example.com","password":"password123"'
    say(f"""
The platform is ready at {api} ({seconds:.1f} s). Services: {", ".join(BUILT)}.
The shop's pages: http://localhost:{run.port}/

  curl -X POST {api}/auth/register {json_type} -d '{{{user},"name":"Test User"}}'
  curl -X POST {api}/auth/login {json_type} -d '{{{user}}}'
  curl {api}/products

Admin: {ADMIN["email"]}, password {ADMIN["password"]}. Logs: {run.logs}
Users, sessions and notifications live until Ctrl-C.
""")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
