"""The database of the containers, as RDS has it: a schema a service, an owner who migrates it, a role that uses it."""

import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from microservices.shared.database_roles import ROLES, make_database, make_schemas

from .postgres import SUPERUSER, Postgres
from .processes import REPOSITORY, TOOL_SECONDS, CannotRun

DATABASE = "microservices"
PACKAGES = REPOSITORY / "microservices"
CONNECT_SECONDS = 30


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
    passwords: Mapping[str, str] = field(default_factory=lambda: {role: secrets.token_urlsafe(24) for role in ROLES})

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
            make_database(connection, self.name, self.passwords)
        with self.connect(self.name) as connection:
            make_schemas(connection)

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
            CannotRun: It failed, or did not end.
        """
        try:
            done = subprocess.run(  # noqa: S603 - our own commands
                [sys.executable, "-m", module],
                cwd=PACKAGES,
                env={**os.environ, "PYTHONPATH": str(PACKAGES), **self.settings(role)},
                capture_output=True,
                text=True,
                check=False,
                timeout=TOOL_SECONDS,
            )
        except subprocess.TimeoutExpired as exc:
            raise CannotRun(f"{module} did not end within {TOOL_SECONDS:.0f} s") from exc
        if done.returncode:
            raise CannotRun(f"{module} failed:\n{done.stderr.strip()}")

    def connect(self, name: str) -> "psycopg.Connection[Any]":
        """
        Connect as the superuser; a statement that waits for a lock or runs for minutes is cancelled.

        Args:
            name: Name of the database.
        """
        milliseconds = round(TOOL_SECONDS * 1000)
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=SUPERUSER,
            password=self.server.password,
            dbname=name,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            options=f"-c lock_timeout={milliseconds // 2} -c statement_timeout={milliseconds}",
        )
