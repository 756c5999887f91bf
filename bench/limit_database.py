"""The database as ``limits.py`` reaches it: PyMySQL alone, two connections for each thread."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal, TypeVar

import pymysql
from pymysql.cursors import Cursor
from sqlalchemy.engine import make_url

T = TypeVar("T")
Row = tuple[Any, ...]

DEADLOCK = 1213  # MySQL, "Server Error Message Reference"
WRITE_ATTEMPTS = 6
# The session's settings that the service's connections have, as far as they matter here.
SESSION = "SET SESSION time_zone = '+00:00', sql_mode = 'TRADITIONAL', eq_range_index_dive_limit = 1"
ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"

_URL = make_url(os.environ["DATABASE_URL"])
_local = threading.local()


def _connection(kind: Literal["reading", "writing"]) -> "pymysql.Connection[Cursor]":
    """Return this thread's connection: as the service has them, one that only reads needs no transactions."""
    if not hasattr(_local, kind):
        connection = pymysql.connect(
            host=_URL.host or "127.0.0.1",
            port=_URL.port or 3306,
            user=_URL.username,
            password=_URL.password or "",
            database=_URL.database,
            charset="utf8mb4",
            autocommit=kind == "reading",
            init_command=SESSION,
        )
        connection.query(ISOLATION)
        setattr(_local, kind, connection)
    kept: pymysql.Connection[Cursor] = getattr(_local, kind)
    return kept


def rows_of(query: str, *values: Any) -> list[Row]:
    """Run a query that stands alone; returns its rows."""
    with _connection("reading").cursor() as cursor:
        cursor.execute(query, values or None)
        return list(cursor.fetchall())


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


def moment(value: datetime) -> str:
    """Return a time as the API writes it."""
    return f"{value.isoformat(timespec='milliseconds')}Z"
