"""The schema: the database it is in, the lock around its changes, its upgrade at the start."""

import fcntl
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from post.database.engines import is_in_memory, mysql_session
from post.database.faults import error_number
from post.models import db

logger = logging.getLogger(__name__)

# What a file of Alembic's says of itself, and of the revision before it.
_REVISION = re.compile(r"""^(revision|down_revision) = ["'](\w+)["']$""", re.MULTILINE)
MIGRATIONS_DIR = Path(__file__).resolve().parents[2] / "migrations"
LOCK_SECONDS = 120
UNKNOWN_DATABASE = 1049  # MySQL, "Server Error Message Reference"


class DatabaseUnusableError(Exception):
    """The database cannot be reached, refuses, or its schema's lock is held; ``str()`` is a line for the operator."""

    def __init__(self, reason: object) -> None:
        super().__init__(f"DATABASE_URL: must lead to a database that can be used: {reason}")


def prepare_schema(app: Flask) -> None:
    """
    Create the database when it is missing and bring its schema up to date.

    Any number of processes may do this at once: one works while the others wait. A schema that a
    later release has made is left as it is: it must suit this code too, which may be still running.

    Raises:
        DatabaseUnusableError: The server is away or refuses, or another process holds the lock for too long.
    """
    with app.app_context():
        try:
            create_missing_database(db.engine.url)
            is_behind = _is_behind()
        except (SQLAlchemyError, OSError, ValueError) as exc:
            raise DatabaseUnusableError(getattr(exc, "orig", None) or exc) from exc
        if is_behind:
            init_migrations(app).upgrade(directory=str(MIGRATIONS_DIR))
        if not is_in_memory(db.engine.url):
            db.engine.dispose()  # connections must not cross a fork: workers open their own


def require_schema(app: Flask) -> None:
    """
    Check that the database is there, with the schema of this release: a command must not work on another, or a new one.

    Raises:
        DatabaseUnusableError: It is not there, cannot be reached, or its schema is behind.
    """
    with app.app_context():
        try:
            is_behind = _is_behind()
        except (SQLAlchemyError, OSError) as exc:
            raise DatabaseUnusableError(getattr(exc, "orig", None) or exc) from exc
        if is_behind:
            raise DatabaseUnusableError("its schema is not this release's; `flask db upgrade` brings it up to date")


def init_migrations(app: Flask) -> ModuleType:
    """
    Make the app ready for Flask-Migrate, which is loaded now: with Alembic it takes 15 MiB of each worker.

    Returns:
        Flask-Migrate.
    """
    import flask_migrate  # noqa: PLC0415 - only where the schema changes

    module: ModuleType = flask_migrate
    module.Migrate(app, db, directory=str(MIGRATIONS_DIR))
    return module


def _is_behind() -> bool:
    files = (MIGRATIONS_DIR / "versions").glob("*.py")
    said = [line for path in files for line in _REVISION.findall(path.read_text())]
    own = {name for what, name in said if what == "revision"}
    heads = own - {name for what, name in said if what == "down_revision"}
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
    Connect for changes of the schema: alone, and without the limits on time of requests.

    Args:
        engine: The application's.

    Raises:
        DatabaseUnusableError: Another process holds the lock for too long.
    """
    create_missing_database(engine.url)
    patient = engine if is_in_memory(engine.url) else _engine(engine.url)
    with schema_lock(engine.url), patient.connect() as connection:
        yield connection


def create_missing_database(url: URL) -> None:
    """Create the database that a URL names, where it does not exist."""
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
    Hold the lock under which one process at a time changes the schema, or what is derived from the posts.

    Args:
        url: The database's.

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
    # Of a connection of its own: DDL commits, and the lock must outlive that.
    with _engine(url).connect() as connection:
        lock = {"name": f"post-service:{url.database}"[:64], "seconds": LOCK_SECONDS}  # GET_LOCK's limit on names
        if connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), lock) != 1:
            raise DatabaseUnusableError(f"another process has held the schema's lock for {LOCK_SECONDS} s")
        try:
            yield
        finally:
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), lock)
