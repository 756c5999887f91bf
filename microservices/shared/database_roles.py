"""Roles and schemas of the containers' database: a schema has an owner who migrates it, a role that uses its rows."""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

SCHEMAS = ("products", "orders")
ROLES = tuple(f"{schema}_{kind}" for schema in SCHEMAS for kind in ("owner", "app"))

_BUILTIN_SINCE = 170_000  # PostgreSQL 17 has locales of its own, alike on every system ("Locale Providers", its manual)
_DATABASE = "CREATE DATABASE {name} TEMPLATE template0 LC_COLLATE 'C' "

# The locales of the system's that know letters of every language: not every system has the first.
LETTERS = ("C.UTF-8", "en_US.UTF-8")

# The master of RDS is no superuser: it has to be a member of an owner to act for it.
_SCHEMA = """
GRANT {owner} TO CURRENT_USER;
CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner};
GRANT USAGE ON SCHEMA {schema} TO {app};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO {app};
"""


def make_database(connection: "psycopg.Connection[Any]", name: str, passwords: Mapping[str, str]) -> None:
    """
    Make the roles and the database where they are missing; give the roles their passwords.

    Args:
        connection: The master's, to another database of the server, without a transaction.
        name: Name of the database.
        passwords: Passwords by role.
    """
    for role, password in passwords.items():
        _make_role(connection, role, password)
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
        return
    _make_empty_database(connection, name)
    _run(connection, "REVOKE ALL ON DATABASE {name} FROM PUBLIC", name=name)
    for role in passwords:
        _run(connection, "GRANT CONNECT ON DATABASE {name} TO {role}", name=name, role=role)


def make_schemas(connection: "psycopg.Connection[Any]") -> None:
    """
    Make the schemas where they are missing, and their roles' rights.

    Args:
        connection: The master's, to the database that has the schemas.
    """
    connection.execute("ALTER SCHEMA public OWNER TO CURRENT_USER; REVOKE ALL ON SCHEMA public FROM PUBLIC")
    for schema in SCHEMAS:
        _run(connection, _SCHEMA, schema=schema, owner=f"{schema}_owner", app=f"{schema}_app")


def _make_empty_database(connection: "psycopg.Connection[Any]", name: str) -> None:
    # Letters of every language have upper and lower case, and the order of texts is that of their bytes.
    if connection.info.server_version >= _BUILTIN_SINCE:
        _run(connection, _DATABASE + "LC_CTYPE 'C' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'", name=name)
        return
    wanted, instead = LETTERS
    try:
        _run(connection, _DATABASE + "LC_CTYPE {letters}", name=name, letters=wanted)
    except psycopg.errors.WrongObjectType:  # the server's system does not have it
        _run(connection, _DATABASE + "LC_CTYPE {letters}", name=name, letters=instead)


def _make_role(connection: "psycopg.Connection[Any]", role: str, password: str) -> None:
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
        _run(connection, "CREATE ROLE {role} LOGIN", role=role)
    statement = sql.SQL("ALTER ROLE {role} PASSWORD {password}")
    connection.execute(statement.format(role=sql.Identifier(role), password=sql.Literal(password)))


def _run(connection: "psycopg.Connection[Any]", statement: Any, **names: str) -> None:
    connection.execute(sql.SQL(statement).format(**{name: sql.Identifier(value) for name, value in names.items()}))
