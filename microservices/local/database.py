"""The database of the containers, as RDS has it: a schema a service, an owner who migrates it, a role that uses it."""

import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from .postgres import SUPERUSER, Postgres
from .processes import REPOSITORY, CannotRun

DATABASE = "microservices"
SCHEMAS = ("products", "orders")
PACKAGES = REPOSITORY / "microservices"
ROLES = """
ALTER SCHEMA public OWNER TO {superuser};
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner};
GRANT USAGE ON SCHEMA {schema} TO {app};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO {app};
"""


@dataclass(frozen=True)
class Database:
    """
    One database of a server.

    Args:
        server: The server.
        port: Its port.
        name: Name of the database.
        passwords: Passwords by role, made up for each run.
    """

    server: Postgres
    port: int
    name: str = DATABASE
    passwords: Mapping[str, str] = field(
        default_factory=lambda: {
            f"{schema}_{kind}": secrets.token_urlsafe(24) for schema in SCHEMAS for kind in ("owner", "app")
        }
    )

    def settings(self, role: str) -> dict[str, str]:
        """
        Return a service's environment.

        Args:
            role: Role that it connects as.
        """
        return {
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(self.port),
            "DB_NAME": self.name,
            "DB_USER": role,
            "DB_PASSWORD": self.passwords[role],
            "DB_SSLMODE": "disable",  # the server listens on the loopback address alone
        }

    def prepare(self) -> None:
        """Make the roles, the database and its schemas where they are missing; give the roles their passwords."""
        with self.connect("postgres") as connection:
            for role, password in self.passwords.items():
                _make_role(connection, role, password)
            self._make_database(connection)
        with self.connect(self.name) as connection:
            for schema in SCHEMAS:
                names = {"schema": schema, "owner": f"{schema}_owner", "app": f"{schema}_app", "superuser": SUPERUSER}
                _run(connection, ROLES, **names)

    def migrate(self, *services: str) -> None:
        """
        Bring schemas to their newest version, each by its own service's command.

        Args:
            services: Services whose schemas there are.

        Raises:
            CannotRun: A migration failed.
        """
        for service in services:
            self.run(f"{service}.migrate", role=f"{service}_owner")

    def run(self, module: str, *, role: str) -> None:
        """
        Run a service's command that ends by itself.

        Args:
            module: Module of the command.
            role: Role that it connects as.

        Raises:
            CannotRun: It failed.
        """
        done = subprocess.run(  # noqa: S603 - our own commands
            [sys.executable, "-m", module],
            cwd=PACKAGES,
            env={**os.environ, "PYTHONPATH": str(PACKAGES), **self.settings(role)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CannotRun(f"{module} failed:\n{done.stderr.strip()}")

    def connect(self, name: str) -> "psycopg.Connection[Any]":
        """
        Connect as the superuser.

        Args:
            name: Name of the database.
        """
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=SUPERUSER,
            password=self.server.password,
            dbname=name,
            autocommit=True,
        )

    def _make_database(self, connection: "psycopg.Connection[Any]") -> None:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self.name]).fetchone():
            return
        # Letters of every language have upper and lower case, as in RDS; the order of texts is that of their bytes.
        _run(connection, "CREATE DATABASE {name} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'", name=self.name)
        _run(connection, "REVOKE ALL ON DATABASE {name} FROM PUBLIC", name=self.name)
        for role in self.passwords:
            _run(connection, "GRANT CONNECT ON DATABASE {name} TO {role}", name=self.name, role=role)


def _make_role(connection: "psycopg.Connection[Any]", role: str, password: str) -> None:
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
        _run(connection, "CREATE ROLE {role} LOGIN", role=role)
    statement = sql.SQL("ALTER ROLE {role} PASSWORD {password}")
    connection.execute(statement.format(role=sql.Identifier(role), password=sql.Literal(password)))


def _run(connection: "psycopg.Connection[Any]", statement: Any, **names: str) -> None:
    connection.execute(sql.SQL(statement).format(**{name: sql.Identifier(value) for name, value in names.items()}))
