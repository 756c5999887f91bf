"""The task that prepares the database: roles, schemas, passwords, by a master who is no superuser, as on RDS."""

import json

import boto3
import psycopg
import pytest
from moto import mock_aws

from microservices.local.database import Database
from microservices.local.terraform import deployed
from shared import database_roles, prepare_database, settings

PREFIXES = {"products": "prepared_products", "orders": "prepared_orders"}


@pytest.fixture
def master(database, monkeypatch):
    """A master with RDS's rights, on a server whose roles are named otherwise, and the settings of the task."""
    # Of one server roles are everybody's: the session's own stay as they are.
    monkeypatch.setattr(database_roles, "SCHEMAS", tuple(PREFIXES.values()))
    roles = tuple(f"{schema}_{kind}" for schema in PREFIXES.values() for kind in ("owner", "app"))
    monkeypatch.setattr(database_roles, "ROLES", roles)
    with database.connect("postgres") as connection:
        connection.execute("CREATE ROLE master LOGIN CREATEDB CREATEROLE PASSWORD 'of-rds'")
    given = {**database.settings("products_app"), "DB_NAME": "prepared", "DB_USER": "master", "DB_PASSWORD": "of-rds"}
    for name, value in {
        **given,
        "AWS_REGION": "us-east-1",
        "PASSWORD_SECRETS": json.dumps({role: role for role in roles}),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["prepare_database"])
    yield database
    with database.connect("postgres") as connection:
        connection.execute("DROP DATABASE IF EXISTS prepared WITH (FORCE)")
        for role in (*roles, "master"):
            connection.execute(f"DROP ROLE IF EXISTS {role}")


@pytest.fixture
def kept(master, monkeypatch):
    """The secrets, which have no values yet."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("secretsmanager", region_name="us-east-1")
        for role in database_roles.ROLES:
            client.create_secret(Name=role)
        yield lambda: {
            role: json.loads(client.get_secret_value(SecretId=role)["SecretString"]) for role in database_roles.ROLES
        }


def as_role(database, role, password):
    return psycopg.connect(
        host="127.0.0.1", port=database.port, user=role, password=password, dbname="prepared", autocommit=True
    )


def test_each_role_has_its_schema_and_a_password_that_only_its_secret_has(master, kept, capsys):
    prepare_database.main()

    passwords = {role: one["password"] for role, one in kept().items()}
    assert len(set(passwords.values())) == 4
    with as_role(master, "prepared_products_owner", passwords["prepared_products_owner"]) as owner:
        owner.execute("CREATE TABLE prepared_products.things (id int PRIMARY KEY)")
    with as_role(master, "prepared_products_app", passwords["prepared_products_app"]) as app:
        app.execute("INSERT INTO prepared_products.things VALUES (1)")
        for statement in ("CREATE TABLE prepared_products.more (id int)", "CREATE TABLE public.more (id int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(statement)
    with (
        as_role(master, "prepared_orders_app", passwords["prepared_orders_app"]) as other,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        other.execute("SELECT * FROM prepared_products.things")
    said = capsys.readouterr().out
    assert [json.loads(line)["message"] for line in said.splitlines()] == ["password_made"] * 4 + ["database_prepared"]
    assert not any(password in said for password in passwords.values())


@pytest.fixture
def older(database):
    """The server, where it takes the system's locales."""
    with database.connect("postgres") as connection:
        if connection.info.server_version >= 170_000:
            pytest.skip("from 17 on PostgreSQL has the locale itself")
        yield connection
        connection.execute("DROP DATABASE IF EXISTS lettered")


def test_a_locale_that_the_system_does_not_have_gives_way_to_another(older, monkeypatch):
    monkeypatch.setattr(database_roles, "LETTERS", ("xx_XX.UTF-8", "C.UTF-8"))

    database_roles.make_database(older, "lettered", {})

    found = older.execute("SELECT datcollate, datctype FROM pg_database WHERE datname = 'lettered'").fetchone()
    assert found == ("C", "C.UTF-8")


def test_a_system_with_neither_locale_is_told(older, monkeypatch):
    monkeypatch.setattr(database_roles, "LETTERS", ("xx_XX.UTF-8", "yy_YY.UTF-8"))

    with pytest.raises(psycopg.errors.WrongObjectType, match="yy_YY"):
        database_roles.make_database(older, "lettered", {})


def test_a_second_run_changes_nothing_and_a_rotation_every_password(master, kept, monkeypatch):
    prepare_database.main()
    before = kept()
    prepare_database.main()
    assert kept() == before

    monkeypatch.setattr("sys.argv", ["prepare_database", "--rotate"])
    prepare_database.main()

    after = kept()
    assert all(after[role]["password"] != before[role]["password"] for role in before)
    role = "prepared_orders_app"
    as_role(master, role, after[role]["password"]).close()
    with pytest.raises(psycopg.OperationalError):
        as_role(master, role, before[role]["password"])


@pytest.mark.parametrize("value", ["", "{", "[]", '{"products_app": "one"}'])
def test_secrets_that_are_not_named_stop_it(value, monkeypatch):
    monkeypatch.setenv("PASSWORD_SECRETS", value)

    with pytest.raises(settings.SettingInvalid, match="PASSWORD_SECRETS"):
        prepare_database.secret_names()


def test_the_local_database_and_the_deployed_secrets_have_the_same_roles(database):
    assert set(Database(database.server, database.port).passwords) == set(database_roles.ROLES)
    assert set(deployed().local("database_roles")) == set(database_roles.ROLES)
