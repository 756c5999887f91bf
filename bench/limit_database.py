"""The service's own statements, sent by PyMySQL alone, which reads each column: two connections for each thread."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import pymysql
from pymysql.cursors import Cursor
from sqlalchemy import ClauseElement
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.engine import make_url

from post.database.engines import mysql_session
from post.database.writes import Statement as ServiceStatement

T = TypeVar("T")
Values = Mapping[str, Any]

DEADLOCK = 1213  # MySQL, "Server Error Message Reference"
WRITE_ATTEMPTS = 6
ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"

_local = threading.local()


class Statement:
    """A statement of SQLAlchemy's as text for the driver; it is compiled once."""

    def __init__(self, statement: ClauseElement, *columns: str) -> None:
        """
        Compile a statement.

        Args:
            statement: Without parameters that are lists.
            columns: Of an INSERT.
        """
        compiled = statement.compile(dialect=MySQLDialect_pymysql(paramstyle="pyformat"), column_keys=columns or None)
        self.text = str(compiled)
        self.columns = [column.name for column in getattr(statement, "selected_columns", ())]
        self._constants = compiled.params

    @classmethod
    def of(cls, own: ServiceStatement) -> "Statement":
        """Take a statement of the service's transactions."""
        return cls(own.statement, *own.columns)

    def run(self, cursor: Cursor, values: Values) -> list[dict[str, Any]]:
        """Return the rows by the names of their columns; none where it returns no rows."""
        cursor.execute(self.text, {**self._constants, **values})
        return [dict(zip(self.columns, row, strict=True)) for row in cursor.fetchall()]

    def read(self, values: Values) -> list[dict[str, Any]]:
        """Run it as a query that stands alone."""
        with _connection("reading").cursor() as cursor:
            return self.run(cursor, values)


def _connection(kind: Literal["reading", "writing"]) -> "pymysql.Connection[Cursor]":
    """Return this thread's connection: as the service has them, one that only reads needs no transactions."""
    if not hasattr(_local, kind):
        url = make_url(os.environ["DATABASE_URL"])
        connection = pymysql.connect(
            host=url.host or "127.0.0.1",
            port=url.port or 3306,
            user=url.username,
            password=url.password or "",
            database=url.database,
            charset="utf8mb4",
            autocommit=kind == "reading",
            init_command=mysql_session(),
        )
        connection.query(ISOLATION)
        setattr(_local, kind, connection)
    kept: pymysql.Connection[Cursor] = getattr(_local, kind)
    return kept


@contextmanager
def transaction() -> Iterator[Cursor]:
    """Run a block as one transaction, which its first statement begins: committed at its end, or rolled back."""
    own = _connection("writing")
    try:
        with own.cursor() as cursor:
            yield cursor
        own.commit()
    except BaseException:
        own.rollback()
        raise


def retried(write: Callable[[], T]) -> T:
    """Run a transaction again where it was chosen as a deadlock's victim."""
    for attempt in range(1, WRITE_ATTEMPTS):
        try:
            return write()
        except pymysql.OperationalError as exc:
            if exc.args[0] != DEADLOCK:
                raise
            time.sleep(0.005 * attempt)
    return write()
