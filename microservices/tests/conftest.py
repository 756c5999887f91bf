"""Fixtures of the platform's tests."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from microservices.tests.databases import in_process, running_containers, running_database
from microservices.tests.running import free_port, process_on, running_platform

if TYPE_CHECKING:
    from microservices.local.database import Database
    from microservices.tests.callers import Container

# The path root of the services' packages. Last, since this folder is named `tests` too.
sys.path.append(str(Path(__file__).parents[1]))


@pytest.fixture(scope="session")
def stand_in() -> Iterator[str]:
    """Address of the stand-in for AWS, with all that the Terraform files name; ``STAND_IN`` names one that runs."""
    from microservices.local import aws

    if running := os.environ.get("STAND_IN"):
        yield running
        return
    port = free_port()
    with process_on(port, "-m", "microservices.local.aws", str(port)):
        endpoint = f"http://127.0.0.1:{port}"
        aws.make_resources(endpoint)
        yield endpoint


@pytest.fixture(scope="session")
def platform_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of what the platform logs."""
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="session")
def platform(stand_in: str, platform_logs: Path, database: "Database") -> Iterator[str]:
    """Base URL of the gateway, in front of the Lambdas as they are deployed, and of the containers."""
    from microservices.tests.secrets_in_logs import found_in

    with (
        running_containers(database, platform_logs) as containers,
        running_platform(stand_in, platform_logs, **containers) as url,
    ):
        yield url
    assert found_in(platform_logs) == [], "the platform has logged what it must not"


@pytest.fixture
def aws(stand_in: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The services' environment, as Terraform writes it; a client of DynamoDB."""
    from microservices.local.aws import connect

    settings = {
        "AWS_ENDPOINT_URL": stand_in,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "USERS_TABLE": "microservices-users",
        "SESSIONS_TABLE": "microservices-sessions",
        "NOTIFICATIONS_BUCKET": "microservices-notifications-local",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return connect("dynamodb", stand_in)


@pytest.fixture(scope="session")
def database() -> Iterator["Database"]:
    """The containers' database on a server of this session's own, with the newest schemas."""
    with running_database() as one:
        yield one


@pytest.fixture
def products(database: "Database", monkeypatch: pytest.MonkeyPatch) -> Iterator["Container"]:
    """The products service in this process, over an empty schema."""
    from microservices.tests.callers import Container
    from products.app import create_app

    with in_process(database, "products", monkeypatch):
        yield Container(create_app())


@pytest.fixture
def make_product(products: "Container") -> Callable[..., dict[str, Any]]:
    """Create a product, of which a test names only what matters."""

    def make(**fields: Any) -> dict[str, Any]:
        answer = products("POST", "/products", {"name": "Apple", "price": 1.5, "stock": 10} | fields, role="admin")
        assert answer.status == 201, answer.text
        return answer.json

    return make


@pytest.fixture
def api(aws: Any) -> Any:
    """A caller of the services in this process, with an address of their own."""
    from microservices.tests.callers import Direct

    return Direct()


@pytest.fixture
def admin(api: Any) -> Any:
    """Somebody who may act for others."""
    return api.person(role="admin")


@pytest.fixture
def users_table(aws: Any) -> None:
    """The users' table, emptied."""
    [table] = [aws.describe_table(TableName="microservices-users")["Table"]]
    aws.delete_table(TableName="microservices-users")
    aws.create_table(
        TableName="microservices-users",
        KeySchema=table["KeySchema"],
        AttributeDefinitions=table["AttributeDefinitions"],
        BillingMode="PAY_PER_REQUEST",
    )


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    from shared import clock

    return lambda moment: monkeypatch.setattr(clock, "now", lambda: moment)


@pytest.fixture
def later(set_clock: Callable[[datetime], None]) -> Callable[[float], None]:
    """Move the clock on."""
    from shared import clock

    return lambda seconds: set_clock(clock.now() + timedelta(seconds=seconds))


@pytest.fixture
def log() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The lines that the services have logged since the test began."""
    from shared.observability import logger

    stream = io.StringIO()
    before = logger.registered_handler.setStream(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.registered_handler.setStream(before)


@pytest.fixture
def container_log(products: "Container") -> Callable[[], list[dict[str, Any]]]:
    """The lines that the container's service has logged since the test began."""
    from shared.container_log import logger

    stream = io.StringIO()
    logger.handlers[0].setStream(stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


# Fixtures that start processes: make quick leaves their tests out.
STARTING = {
    "stand_in",
    "database",
    "functions",
    "start_host",
    "supervisor",
    "folder",
    "terraform_run",
    "broken_run",
    "checked",
}


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what starts processes as slow."""
    if STARTING & set(getattr(item, "fixturenames", ())):
        item.add_marker(pytest.mark.slow)
