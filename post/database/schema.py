"""The schema: its database, the lock around its changes, its upgrade at the start."""

import fcntl
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import click
from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from post.database.engines import is_in_memory, mysql_session
from post.database.faults import error_number
from post.models import db

logger = logging.getLogger(__name__)

# The revision of a file of Alembic's, and the revision before it.
_REVISION = re.compile(r"""^(revision|down_revision) = ["'](\w+)["']$""", re.MULTILINE)
MIGRATIONS_DIR = Path(__file__).resolve().parents[2] / "migrations"
LOCK_SECONDS = 120
UNKNOWN_DATABASE = 1049  # MySQL, "Server Error Message Reference"


class DatabaseUnusableError(click.ClickException):
    """
    The database is away, refuses, or its schema's lock is held; ``str()`` is a line for the operator.

    As an exception of Click's it ends any command with that line, those of Flask-Migrate as well.
    """

    def __init__(self, reason: object) -> None:
        super().__init__(f"DATABASE_URL: cannot use the database: {reason}")


@contextmanager
def _failures_as_lines() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError, ValueError) as exc:
        raise DatabaseUnusableError(getattr(exc, "orig", None) or exc) from exc


def prepare_schema(app: Flask) -> None:
    """
    Create the database if it is missing, and bring its schema up to date.

    Processes may do this at the same time: one works while the others wait. The schema of a later
    release stays as it is: it must suit this code too, which may be running still.

    Raises:
        DatabaseUnusableError: The server is away or refuses, or another process holds the lock for too long.
    """
    with app.app_context():
        create_missing_database(db.engine.url)
        if _is_behind():
            init_migrations(app).upgrade(directory=str(MIGRATIONS_DIR))
        if not is_in_memory(db.engine.url):
            db.engine.dispose()  # connections must not cross a fork: workers open their own


def require_schema(app: Flask) -> None:
    """
    Check that the database exists and has this release's schema, since a command must create neither.

    Raises:
        DatabaseUnusableError: It does not exist, cannot be reached, or its schema is behind.
    """
    with app.app_context():
        if _is_behind():
            raise DatabaseUnusableError("its schema is not this release's; `flask db upgrade` brings it up to date")


def init_migrations(app: Flask) -> ModuleType:
    """
    Load Flask-Migrate and prepare the app for it. With Alembic it takes 15 MiB of each worker.

    Returns:
        Flask-Migrate.
    """
    import flask_migrate  # noqa: PLC0415 - only where the schema changes

    module: ModuleType = flask_migrate
    module.Migrate(app, db, directory=str(MIGRATIONS_DIR))
    return module


@_failures_as_lines()
def _is_behind() -> bool:
    files = (MIGRATIONS_DIR / "versions").glob("*.py")
    revisions = [line for path in files for line in _REVISION.findall(path.read_text())]
    own = {name for kind, name in revisions if kind == "revision"}
    heads = own - {name for kind, name in revisions if kind == "down_revision"}
    stored = _stored_revisions()
    unknown = stored - own
    if unknown:
        logger.warning("schema_is_newer", extra={"revisions": sorted(unknown)})
        return False
    return stored != heads


def _stored_revisions() -> set[str]:
    if not inspect(db.engine).has_table("alembic_version"):
        return set()
    with db.engine.connect() as connection:
        return set(connection.scalars(text("SELECT version_num FROM alembic_version")))


@contextmanager
def schema_connection(engine: Engine) -> Iterator[Connection]:
    """
    Connect for changes of the schema: under its lock, and without the timeouts of requests.

    Args:
        engine: The application's.

    Raises:
        DatabaseUnusableError: The server is away or refuses, or another process holds the lock for too long.
    """
    create_missing_database(engine.url)
    patient = engine if is_in_memory(engine.url) else _engine(engine.url)
    with schema_lock(engine.url), patient.connect() as connection:
        yield connection


@_failures_as_lines()
def create_missing_database(url: URL) -> None:
    """Create the database of a URL if it does not exist. Errors as for ``require_schema``."""
    if url.get_backend_name() == "sqlite":
        if not is_in_memory(url):
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        return
    try:
        with _engine(url).connect():
            return
    except OperationalError as exc:
        if error_number(exc) != UNKNOWN_DATABASE:
            raise
    name = str(url.database).replace("`", "``")
    with _engine(url.set(database="")).connect() as connection:
        connection.execute(text(f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"))


def _engine(url: URL) -> Engine:
    options = {} if url.get_backend_name() == "sqlite" else {"connect_timeout": 5, "init_command": mysql_session()}
    return create_engine(url, poolclass=NullPool, connect_args=options)


@contextmanager
def schema_lock(url: URL) -> Iterator[None]:
    """
    Hold the lock for changes of the schema, or of rows derived from posts: one process at a time.

    Args:
        url: URL of the database.

    Raises:
        DatabaseUnusableError: Another process holds it for too long.
    """
    if url.get_backend_name() != "sqlite":
        with _mysql_lock(url):
            yield
    elif is_in_memory(url):
        yield
    else:
        with Path(f"{url.database}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


@contextmanager
def _mysql_lock(url: URL) -> Iterator[None]:
    # On a connection of its own: DDL commits, and the lock must outlive that.
    with _engine(url).connect() as connection:
        lock = {"name": f"post-service:{url.database}"[:64], "seconds": LOCK_SECONDS}  # GET_LOCK's limit on names
        if connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), lock) != 1:
            raise DatabaseUnusableError(f"another process has held the schema's lock for {LOCK_SECONDS} s")
        try:
            yield
        finally:
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), lock)
