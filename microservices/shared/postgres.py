"""PostgreSQL: one pool of connections a process, transactions, and statements that are compiled once."""

import atexit
import select
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool
from sqlalchemy import URL
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.elements import CompilerElement

from shared import settings, traces

CONNECT_SECONDS = 2
WAIT_SECONDS = 2.0  # for a connection of the pool
# After a failed attempt the pool pauses; a request that comes later makes it try at once.
RECONNECT_SECONDS = 1.0
STATEMENT_MILLISECONDS = 3_000
IDLE_IN_TRANSACTION_MILLISECONDS = 5_000
# A network that swallows packets ends a connection within 30 s; without this, tcp(7) allows hours.
KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]  # SQLAlchemy has no types for it

Connection = psycopg.Connection[tuple[Any, ...]]


class Statement:
    """
    A statement of SQLAlchemy that is compiled once; its text goes straight to the driver.

    Args:
        statement: The statement; what differs from run to run is a ``bindparam``.
        plan_each: True if the best plan depends on the values, so that no plan is kept.
    """

    def __init__(self, statement: CompilerElement, *, plan_each: bool = False) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self.text = str(compiled)
        self._name = f"postgresql {self.text.split(maxsplit=1)[0]}"
        self._constants: dict[str, Any] = compiled.params
        self._prepare = False if plan_each else None  # None: psycopg prepares what is run more than five times

    def run(self, connection: Connection, **values: Any) -> psycopg.Cursor[tuple[Any, ...]]:
        """
        Execute the statement.

        Args:
            connection: From ``reading`` or ``transaction``.
            values: Values of its parameters.

        Returns:
            The cursor with its rows.
        """
        parameters = self.parameters(values)
        if not traces.current().is_recorded:
            return connection.execute(self.text, parameters, prepare=self._prepare)
        with traces.within(self._name, "CLIENT") as span:
            span.note(attributes={"db.system.name": "postgresql", "db.query.text": self.text})  # without values
            return connection.execute(self.text, parameters, prepare=self._prepare)

    def parameters(self, values: dict[str, Any]) -> dict[str, Any]:
        """
        Return all parameters of the text.

        Args:
            values: Values of those that differ from run to run.
        """
        return {**self._constants, **values}


def address() -> dict[str, Any]:
    """
    Return the database's address and the account, as libpq names their parts.

    Raises:
        SettingInvalid: A setting is missing.
    """
    return {
        "host": settings.text("DB_HOST"),
        "port": settings.number("DB_PORT", 5432),
        "dbname": settings.text("DB_NAME", "microservices"),
        "user": settings.text("DB_USER"),
        "password": settings.text("DB_PASSWORD"),
        # The certificates are PGSSLROOTCERT's, which libpq reads itself.
        "sslmode": settings.text("DB_SSLMODE", "verify-full"),
    }


def url() -> URL:
    """Return the same for SQLAlchemy, whose engines are for migrations alone."""
    parts = address()
    query = {"sslmode": parts["sslmode"], "connect_timeout": str(CONNECT_SECONDS)}
    return URL.create(
        "postgresql+psycopg",
        username=parts["user"],
        password=parts["password"],
        host=parts["host"],
        port=parts["port"],
        database=parts["dbname"],
        query=query,
    )


@cache
def pool() -> ConnectionPool[Connection]:
    """
    Return the process's pool, which connects in the background.

    Raises:
        SettingInvalid: A setting is missing.
    """
    limits = (
        f"-c statement_timeout={STATEMENT_MILLISECONDS}"
        f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_MILLISECONDS} -c timezone=UTC"
    )
    opened: ConnectionPool[Connection] = ConnectionPool(
        make_conninfo(**address(), connect_timeout=CONNECT_SECONDS, options=limits, **KEEPALIVE),
        kwargs={"autocommit": True},
        min_size=1,
        max_size=settings.number("WEB_THREADS", 8),
        timeout=WAIT_SECONDS,
        reconnect_timeout=RECONNECT_SECONDS,
        open=True,
    )
    atexit.register(opened.close)  # else the interpreter waits for its threads, 5 s each, before it ends
    return opened


@contextmanager
def reading() -> Iterator[Connection]:
    """
    Lend a connection for statements that need no transaction.

    Raises:
        OperationalError: The database is away.
    """
    connection = _borrow()
    try:
        yield connection
    except psycopg.errors.IdleInTransactionSessionTimeout as exc:  # psycopg's family for it is another
        raise psycopg.OperationalError("the process stood still within a transaction") from exc
    finally:
        pool().putconn(connection)


@contextmanager
def transaction() -> Iterator[Connection]:
    """
    Lend a connection within a transaction, which commits at the block's end and rolls back where it raises.

    Raises:
        OperationalError: The database is away.
    """
    with reading() as connection, connection.transaction():
        yield connection


def is_ready() -> bool:
    """True if the database answers."""
    try:
        with reading() as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def _borrow() -> Connection:
    while True:
        connection = pool().getconn()
        if not _has_ended(connection):
            return connection
        connection.close()
        pool().putconn(connection)  # closed ones are replaced


def _has_ended(connection: Connection) -> bool:
    """A server that restarts says so: words for a connection that asked nothing. No question is needed to see that."""
    words = select.poll()
    words.register(connection.fileno(), select.POLLIN)
    return bool(words.poll(0))
