"""The shape of a database's URL."""

import inspect

from pymysql.connections import Connection as PyMySQLConnection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

MAX_PORT = 65_535
MYSQL_SHAPE = "mysql+pymysql://user:password@host:3306/database"


def check_database_url(value: str) -> str:
    """
    Return a database's URL as SQLAlchemy should be given it.

    Raises:
        ValueError: It names neither a MySQL server's database nor an SQLite file; the text says what it must be.
    """
    shape = f"{MYSQL_SHAPE} or sqlite:///path"
    return value if _parsed(value, shape).drivername == "sqlite" else _mysql_url(value, shape)


def check_replica_url(value: str) -> str:
    """Return a replica's URL as ``check_database_url`` does: MySQL's alone have one."""
    return _mysql_url(value, MYSQL_SHAPE)


def _parsed(value: str, shape: str) -> URL:
    try:
        return make_url(value)
    except (ArgumentError, ValueError):
        raise ValueError(f"must be {shape}") from None


def _mysql_url(value: str, shape: str) -> str:
    url = _parsed(value, shape)
    if url.drivername != "mysql+pymysql" or not url.database or not url.host:
        raise ValueError(f"must be {shape}")
    if url.port is not None and not 1 <= url.port <= MAX_PORT:
        raise ValueError(f"must have a port of 1 to {MAX_PORT}")
    unknown = set(url.query) - set(inspect.signature(PyMySQLConnection.__init__).parameters)
    if unknown:
        raise ValueError(f"must not have options that PyMySQL does not know: {', '.join(sorted(unknown))}")
    return url.update_query_dict({"charset": "utf8mb4"}).render_as_string(hide_password=False)
