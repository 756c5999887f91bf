"""Schemas of the containers: made by their owner alone, once, however many ask; the tables are the models'."""

import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import psycopg
import pytest
import urllib3
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from microservices.local.database import PACKAGES, Database
from microservices.tests.databases import BUILT
from microservices.tests.running import PATIENCE_SECONDS, running_container


@pytest.fixture
def fresh(database):
    """A second database of the server, with roles and schemas and nothing in them."""
    one = Database(database.server, database.port, "fresh", database.passwords)
    one.prepare()
    yield one
    with database.connect("postgres") as connection:
        connection.execute("DROP DATABASE fresh WITH (FORCE)")


def tables(database, schema):
    with database.connect(database.name) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema]).fetchall()
    return {name for (name,) in rows}


def test_processes_that_migrate_at_once_make_one_schema(fresh):
    with ThreadPoolExecutor(3) as threads:
        for done in [threads.submit(fresh.migrate, *BUILT) for _ in range(3)]:
            done.result()

    for service in BUILT:
        assert tables(fresh, service) == tables_of(service) | {"alembic_version"}


def test_a_migration_waits_for_another(fresh):
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with ThreadPoolExecutor(1) as threads, fresh.connect(fresh.name) as other:
        other.execute("SELECT pg_advisory_lock(hashtext('products'))")
        migration = threads.submit(fresh.migrate, "products")
        while not other.execute(waiting).fetchone():
            assert not migration.done(), "it did not wait"
            time.sleep(0.05)
        assert tables(fresh, "products") == set()
        other.execute("SELECT pg_advisory_unlock_all()")
        migration.result()

    assert "products" in tables(fresh, "products")


def test_a_migration_that_waits_too_long_fails(fresh, monkeypatch):
    from shared import migrations

    for name, value in fresh.settings("products_owner").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(migrations, "LOCK_MILLISECONDS", 100)
    with fresh.connect(fresh.name) as other:
        other.execute("SELECT pg_advisory_lock(hashtext('products'))")
        with pytest.raises(OperationalError, match="lock timeout"):
            migrations.upgrade(PACKAGES / "products" / "migrations")

    assert tables(fresh, "products") == set()


def tables_of(service):
    return {table.name for table in import_module(f"{service}.models").metadata.tables.values()}


def test_the_first_product_is_made_once_and_comes_back_never(fresh):
    fresh.migrate("products")
    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(fresh.run, "products.seed", role="products_app") for _ in range(2)]:
            done.result()
    with fresh.connect("fresh") as connection:
        rows = connection.execute("SELECT id, name, description, price, stock FROM products.products").fetchall()
        connection.execute("UPDATE products.products SET deleted_at = now()")
        fresh.run("products.seed", role="products_app")
        left = connection.execute("SELECT count(*) FROM products.products WHERE deleted_at IS NULL").fetchone()
        added = connection.execute("INSERT INTO products.products (name, price) VALUES ('A', 1) RETURNING id")

        assert [(*map(str, row),) for row in rows] == [
            ("1", "Sample Product 1", "This is a sample product", "29.99", "100")
        ]
        assert left == (0,)
        assert added.fetchone() == (2,)


def test_starting_a_service_makes_no_table(fresh):
    with running_container("products", **fresh.settings("products_app")) as url:
        assert urllib3.request("GET", f"{url}/health", timeout=PATIENCE_SECONDS).status == 200
        assert urllib3.request("GET", f"{url}/products", timeout=PATIENCE_SECONDS).status == 500

    assert tables(fresh, "products") == set()


@pytest.mark.parametrize("service", BUILT)
def test_migrations_make_what_the_models_say(database, service):
    metadata = import_module(f"{service}.models").metadata
    with database.connect(database.name) as connection:
        engine = create_engine("postgresql+psycopg://", creator=lambda: connection)
        with engine.connect() as bound:
            context = MigrationContext.configure(
                bound,
                opts={
                    "include_schemas": True,
                    "include_name": lambda name, kind, _: kind != "schema" or name == service,
                    "version_table_schema": service,
                    "compare_server_default": True,
                },
            )
            differences = compare_metadata(context, metadata)
        engine.dispose()

    assert differences == []


# Roles


@pytest.fixture
def as_role(database):
    """Run a statement as a role."""

    def run(role, statement):
        settings = database.settings(role)
        with psycopg.connect(
            host=settings["DB_HOST"],
            port=settings["DB_PORT"],
            dbname=settings["DB_NAME"],
            user=role,
            password=settings["DB_PASSWORD"],
        ) as connection:
            return connection.execute(statement).fetchall()

    return run


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("products_app", "CREATE TABLE products.more ()"),
        ("products_app", "CREATE TABLE public.more ()"),
        ("products_app", "CREATE SCHEMA more"),
        ("products_app", "ALTER TABLE products.products ADD more INTEGER"),
        ("products_app", "TRUNCATE products.products"),
        ("products_app", "DROP TABLE products.products"),
        ("products_app", "CREATE TABLE orders.more ()"),
        ("products_app", "CREATE ROLE more"),
        ("products_app", "SET ROLE products_owner"),
        ("products_owner", "CREATE TABLE orders.more ()"),
        ("products_owner", "CREATE TABLE public.more ()"),
        ("products_owner", "CREATE ROLE more"),
        ("orders_app", "SELECT * FROM products.products"),
        ("orders_app", "UPDATE products.products SET stock = 9"),
        ("orders_app", "DELETE FROM products.reservations"),
        ("orders_owner", "SELECT * FROM products.products"),
    ],
)
def test_a_role_may_not_do_more_than_its_service_needs(as_role, role, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_role(role, statement)


def test_no_role_of_a_service_is_privileged(database):
    with database.connect("postgres") as connection:
        roles = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)"
            " AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)",
            [list(database.passwords)],
        ).fetchall()

    assert roles == []
    assert len(database.passwords) == 4
    assert len(set(database.passwords.values())) == 4


def test_a_role_has_the_password_of_the_newest_start_alone(fresh, database):
    other = Database(database.server, database.port, "fresh")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(
            host="127.0.0.1",
            port=database.port,
            dbname="fresh",
            user="products_app",
            password=other.passwords["products_app"],
        )
