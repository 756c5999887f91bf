"""Rows of products and orders: beside contenders on the same database, and beside themselves with more rows."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from bare_orders import BareOrders
from measuring import (
    PROJECT,
    Connections,
    Measured,
    Row,
    ab,
    expect,
    free_port,
    is_listening,
    process,
    rate,
    wait_until,
)
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

PACKAGES = PROJECT / "microservices"
LOGS = PROJECT / "instance" / "bench"
CONTENDERS = Path(__file__).parent / "contenders"
PLATFORM = "microservices"  # the platform's own database
THROUGH, STRAIGHT = "/api/products", "/products"
PAGE = 50
CATALOGUE = 1_000  # products of the platform: the document answers with all of them
FIRST = 2  # id of a database's first product; 1 is the sample's
STOCK = 1_000_000
BUYERS = 16
ORDERS_A_SECOND = 60.0  # the least that gateway and authorizer must let through

INSERT = """
INSERT INTO products.products (name, description, price, stock, created_at)
SELECT 'Product ' || n, 'One of many products', (n % 10000) / 100.0, {stock}, now() - n * interval '1 second'
FROM generate_series(1, {rows}) AS n
"""
# Each number must be 0, once nobody asks any more.
FAULTS = """
SELECT
  (SELECT count(*) FROM products.products WHERE stock < 0) AS "oversold products",
  (SELECT count(*) * {stock} - sum(stock) FROM products.products WHERE id >= {first})
    - (SELECT sum(quantity) FROM products.reserved_items) AS "units that no order has",
  (SELECT count(*) FROM orders.orders WHERE status <> 'confirmed') AS "orders that are not confirmed",
  (SELECT count(*) FROM orders.orders) - {orders} AS "orders that nobody placed",
  (SELECT count(*) FROM products.reservations WHERE status = 'reserved') - {orders} AS "reservations too many",
  (SELECT count(DISTINCT event::jsonb -> 'order' ->> 'id') FROM orders.outbox) - {orders} AS "events missing",
  (SELECT count(*) FROM orders.outbox) - {orders} AS "events too many"
"""


class Server:
    """
    The platform's PostgreSQL, as its superuser.

    Args:
        port: Its port.
        state: Folder of the platform's data, where the password is.
    """

    def __init__(self, port: int, state: Path) -> None:
        [password] = state.glob("postgres/*/password")
        self._parts = {"host": "127.0.0.1", "port": str(port), "user": "postgres", "password": password.read_text()}

    def address(self, database: str) -> str:
        """Address of a database, as libpq reads it."""
        return make_conninfo(**self._parts, dbname=database)

    def connect(self, database: str) -> "psycopg.Connection[Any]":
        """Connect to a database."""
        return psycopg.connect(self.address(database), autocommit=True)

    def settings(self, database: str) -> dict[str, str]:
        """Variables of a container on a database; contenders read libpq's."""
        parts = {**self._parts, "sslmode": "disable"}
        of_container = {f"DB_{name.upper()}": value for name, value in {**parts, "name": database}.items()}
        of_libpq = {f"PG{name.upper()}": value for name, value in {**parts, "database": database}.items()}
        return {**of_container, **of_libpq}

    def make_database(self, name: str, rows: int) -> None:
        """
        Make a database with the services' tables.

        Args:
            name: Name of the database.
            rows: Number of its products.
        """
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name}")
        with self.connect(name) as connection:
            connection.execute("CREATE SCHEMA products")
            connection.execute("CREATE SCHEMA orders")
        for service in ("products", "orders"):
            command = [sys.executable, "-m", f"{service}.migrate"]
            environment = {**os.environ, **self.settings(name)}
            subprocess.run(command, cwd=PACKAGES, env=environment, check=True, stderr=subprocess.DEVNULL)  # noqa: S603 - our own command
        self.insert_products(name, rows)

    def insert_products(self, database: str, rows: int) -> int:
        """
        Insert products.

        Args:
            database: Name of the database.
            rows: Number of products.

        Returns:
            Id of the first one.
        """
        with self.connect(database) as connection:
            connection.execute(INSERT.format(rows=rows, stock=STOCK))
            connection.execute("VACUUM ANALYZE products.products")
            [(newest,)] = connection.execute("SELECT max(id) FROM products.products").fetchall()
        return int(newest) - rows + 1


@contextmanager
def container(application: str, **environment: str) -> Iterator[int]:
    """
    Run a WSGI application by the command and the settings of the images.

    Args:
        application: Its factory, as gunicorn reads it.
        environment: Its settings.

    Yields:
        Its port.
    """
    port = free_port()
    paths = {"PYTHONPATH": f"{PACKAGES}:{CONTENDERS}", "BIND": f"127.0.0.1:{port}"}
    with serving(["-m", "gunicorn", "-c", "python:shared.gunicorn_conf", application], port, **paths, **environment):
        yield port


@contextmanager
def serving(arguments: list[str], port: int, **environment: str) -> Iterator[None]:
    """Run a Python program that listens on a port, until the block ends."""
    log = LOGS / f"{port}.log"
    with process(arguments, log, **environment) as running:
        wait_until(lambda: is_listening(port), running, log)
        yield


class Buyers:
    """
    Clients that place orders of two products each, as fast as they can.

    Args:
        place: Place one order of these units by product.
        first: Id of the first product that they buy.
    """

    def __init__(self, place: Callable[[dict[int, int]], None], first: int) -> None:
        self._place = place
        self._ids = range(first, first + PAGE)
        self._placed: list[None] = []

    @property
    def count(self) -> int:
        """Number of orders that were acknowledged."""
        return len(self._placed)

    def rate(self, seconds: float) -> float:
        """Buy for some seconds; orders a second."""
        return rate(self._buy, BUYERS, seconds)

    def _buy(self) -> None:
        self._place(dict.fromkeys(random.sample(self._ids, 2), 1))
        self._placed.append(None)


def by_http(port: int, path: str, **headers: str) -> Callable[[dict[int, int]], None]:
    """Return a function that places an order over HTTP."""
    connections = Connections(port)

    def place(quantities: dict[int, int]) -> None:
        body = {"items": [{"product_id": one, "quantity": quantity} for one, quantity in quantities.items()]}
        given = {"Content-Type": "application/json", "Idempotency-Key": uuid4().hex, **headers}
        connections.ask("POST", path, 201, body=json.dumps(body), headers=given)

    return place


def check(server: Server, database: str, first: int, orders: int) -> None:
    """
    Stop where orders, stock and events do not agree.

    Args:
        server: The server.
        database: Name of the database.
        first: Id of the first product that was for sale.
        orders: Number of orders that were acknowledged.
    """
    with server.connect(database) as connection, connection.cursor(row_factory=dict_row) as cursor:
        [faults] = cursor.execute(FAULTS.format(stock=STOCK, first=first, orders=orders)).fetchall()
    expect({name: value for name, value in faults.items() if value}, {})


class Shop:
    """
    The shop of a running platform; each row opens what it needs, and closes it.

    Args:
        port: Port of the platform's gateway.
        state: Folder of its data.
        token: Id of a user's session.
    """

    def __init__(self, port: int, state: Path, token: str) -> None:
        self._server = Server(port + 5, state)
        self._port = port
        self._token = token
        self._first = self._server.insert_products(PLATFORM, CATALOGUE)
        self._acknowledged = 0

    def rows(self) -> list[Row]:
        """Return the rows of products and orders."""
        return [
            Row("list", 0.7, self._beside_bare),
            Row("gateway", 0.55, lambda: nullcontext(listed((self._port, THROUGH), (self._port + 1, STRAIGHT)))),
            Row("document", 8, self._beside_document),
            Row("million", 0.9, self._beside_fewer),
            Row("orders", 0.4, self._orders),
            Row("shop", 1, lambda: nullcontext(lambda seconds: (self.orders_of_all(seconds), ORDERS_A_SECOND))),
        ]

    @contextmanager
    def _beside_bare(self) -> Iterator[Measured]:
        with container("bare:create_app()", WEB_THREADS="8", **self._server.settings(PLATFORM)) as bare:
            yield listed((self._port + 1, STRAIGHT), (bare, STRAIGHT))

    @contextmanager
    def _beside_document(self) -> Iterator[Measured]:
        port, program = free_port(), [str(CONTENDERS / "document.py")]
        with serving(program, port, PORT=str(port), **self._server.settings(PLATFORM)):
            yield listed((self._port, THROUGH), (port, STRAIGHT))

    @contextmanager
    def _beside_fewer(self) -> Iterator[Measured]:
        with ExitStack() as stack:
            many, few = (stack.enter_context(self._products_of(rows)) for rows in (1_000_000, 10_000))
            yield listed((many, STRAIGHT), (few, STRAIGHT))

    @contextmanager
    def _products_of(self, rows: int) -> Iterator[int]:
        name = f"products_{rows}"
        self._server.make_database(name, rows)
        with container("products.app:create_app()", **self._server.settings(name)) as port:
            yield port

    @contextmanager
    def _orders(self) -> Iterator[Measured]:
        name = f"products_{PAGE}"
        with ExitStack() as stack:
            products = stack.enter_context(self._products_of(PAGE))
            settings = {**self._server.settings(name), "PRODUCTS_URL": f"http://127.0.0.1:{products}"}
            orders = stack.enter_context(container("orders.app:create_app()", **settings))
            bare = stack.enter_context(closing(BareOrders(self._server.address(name), BUYERS)))
            caller = {"X-Account-Id": uuid4().hex, "X-User-Role": "user"}
            ours = Buyers(by_http(orders, "/orders", **caller), FIRST)
            theirs = Buyers(bare.place, FIRST)

            def measured(seconds: float) -> tuple[float, float]:
                found = ours.rate(seconds), theirs.rate(seconds)
                check(self._server, name, FIRST, ours.count + theirs.count)
                return found

            yield measured

    def orders_of_all(self, seconds: float) -> float:
        """
        Place orders through gateway and authorizer for some seconds, and wait until their events are sent.

        Args:
            seconds: How long orders are placed.

        Returns:
            Orders a second.
        """
        buyers = Buyers(by_http(self._port, "/api/orders", Authorization=f"Bearer {self._token}"), self._first)
        found = buyers.rate(seconds)
        self._acknowledged += buyers.count
        check(self._server, PLATFORM, self._first, self._acknowledged)
        wait_for_relay(self._server)
        return found


def listed(here: tuple[int, str], beside: tuple[int, str]) -> Measured:
    """Both rates of lists, by ab; each has its port and path."""
    return lambda seconds: (ab(*here, seconds), ab(*beside, seconds))


def wait_for_relay(server: Server) -> None:
    """Wait until the orders' events are sent: the next round shall have the machine for itself."""
    with server.connect(PLATFORM) as connection:
        while connection.execute("SELECT 1 FROM orders.outbox WHERE sent_at IS NULL LIMIT 1").fetchone():
            time.sleep(0.2)
