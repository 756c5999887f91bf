"""The orders service in this process or as one of its own, over an empty schema; products as a process."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from microservices.local.database import Database
from microservices.tests.callers import Container
from microservices.tests.databases import empty, in_process
from microservices.tests.orders.shop import Direct, Shop
from microservices.tests.running import PATIENT_TRIES, running_container


@pytest.fixture(scope="session")
def products_url(database: Database) -> Iterator[str]:
    """Address of the products service."""
    with running_container("products", **database.settings("products_app")) as url:
        yield url


@pytest.fixture(scope="session")
def orders_url(database: Database, products_url: str) -> Iterator[str]:
    """Address of the orders service."""
    with running_container("orders", PRODUCTS_URL=products_url, **database.settings("orders_app")) as url:
        yield url


@pytest.fixture
def shop(
    database: Database, products_url: str, connect_to: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    """Orders in this process."""
    from orders import reservations
    from orders.app import create_app

    empty(database, "products")
    connect_to(products_url)
    monkeypatch.setattr(reservations, "TRIES_SECONDS", PATIENT_TRIES)
    with in_process(database, "orders", monkeypatch):
        yield Shop(partial(database.connect, database.name), Direct(products_url), Container(create_app()))


@pytest.fixture
def busy_shop(database: Database, products_url: str, orders_url: str) -> Shop:
    """Both services as processes, for those who come at once."""
    empty(database, "products")
    empty(database, "orders")
    return Shop(partial(database.connect, database.name), Direct(products_url), Direct(orders_url))


@pytest.fixture
def connect_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Let the orders service call another address for products."""
    from orders import placing

    def connect(url: str) -> None:
        monkeypatch.setenv("PRODUCTS_URL", url)
        placing.reservations.cache_clear()

    yield connect
    placing.reservations.cache_clear()
