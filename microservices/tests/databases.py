"""PostgreSQL for tests: a server of the session's own, and a service in this process over its emptied schema."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from microservices.local.database import Database
from microservices.local.postgres import Postgres
from microservices.local.processes import REPOSITORY, Supervisor
from microservices.tests.running import BOUNDS, free_port, running_container

BUILT = ("products", "orders")


@contextmanager
def running_database() -> Iterator[Database]:
    """A database with the services' schemas, on a server that ends with the block."""
    # Not in pytest's own folder, which the server's user may not reach.
    port = free_port()
    folder = REPOSITORY / "instance" / f"test-postgres-{os.getpid()}-{port}"
    server, supervisor = Postgres(folder, port), Supervisor()
    try:
        server.prepare()
        # Nothing of a test outlives the server, so that nothing has to be on a disk.
        supervisor.start(server.service(folder / "postgres.log", fsync="off", full_page_writes="off"))
        database = Database(server, port)
        database.prepare()
        database.migrate(*BUILT)
        yield database
    finally:
        supervisor.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_containers(database: Database, logs: Path | None = None) -> Iterator[dict[str, str]]:
    """Addresses of products and orders, as the gateway's settings."""
    products, orders = (database.settings(f"{service}_app") for service in BUILT)
    with (
        running_container("products", logs=logs, **products) as products_url,
        running_container("orders", logs=logs, PRODUCTS_URL=products_url, **orders) as orders_url,
    ):
        yield {"products_url": products_url, "orders_url": orders_url}


@contextmanager
def in_process(
    database: Database, service: str, monkeypatch: pytest.MonkeyPatch, *, bounds: Mapping[str, float] = BOUNDS
) -> Iterator[None]:
    """The environment of a service, an empty schema, and a patient pool that ends with the block."""
    from shared import postgres

    empty(database, service)
    for name, value in database.settings(f"{service}_app").items():
        monkeypatch.setenv(name, value)
    for name, bound in bounds.items():
        monkeypatch.setattr(postgres, name, bound)
    postgres.pool.cache_clear()
    try:
        yield
    finally:
        forget_pool()


def forget_pool() -> None:
    """Close the process's pool; the next question makes one with the settings and bounds of that moment."""
    from shared import postgres

    postgres.pool().close()
    postgres.pool.cache_clear()


def empty(database: Database, schema: str) -> None:
    """Delete every row of a schema, and begin its numbers anew."""
    with database.connect(database.name) as connection:
        found = connection.execute(
            "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = %s AND tablename <> 'alembic_version'",
            [schema],
        )
        tables = ", ".join(f"{schema}.{name}" for (name,) in found)
        connection.execute(f"TRUNCATE {tables} RESTART IDENTITY")
