"""Checks of the URLs among the settings."""

import inspect
import re
from ipaddress import IPv6Address
from urllib.parse import SplitResult, urlsplit

from pymysql.connections import Connection as PyMySQLConnection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

MAX_PORT = 65_535
MYSQL_SHAPE = "mysql+pymysql://user:password@host:3306/database"
# An Origin header of a browser: a host name in ASCII or an address, and perhaps a port (RFC 6454, section 6.2).
_ORIGIN = re.compile(r"https?://(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[(?P<ipv6>[0-9a-f:.]+)\])(?::[0-9]+)?")
REDIS_URL_SHAPE = "must be redis://user:password@host:6379/0, or rediss:// with TLS"


def check_database_url(value: str) -> str:
    """Return a URL of MySQL or SQLite for SQLAlchemy; raises ``ValueError`` for another."""
    shape = f"{MYSQL_SHAPE} or sqlite:///path"
    return value if _parsed(value, shape).drivername == "sqlite" else _mysql_url(value, shape)


def check_replica_url(value: str) -> str:
    """Return a replica's URL as ``check_database_url`` does; only MySQL has replicas."""
    return _mysql_url(value, MYSQL_SHAPE)


def _parsed(value: str, shape: str) -> URL:
    # All behind the first @ is read as the host, and would be shown.
    if not value.startswith("sqlite:") and value.count("@") > 1:
        raise ValueError(f"must be {shape}; write an @ in the user, the password or an option as %40")
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


def check_redis_url(value: str) -> str:
    """Return a URL of Redis; raises ``ValueError`` for another."""
    url = _split(value, schemes={"redis", "rediss"})
    # Options would override our own, such as timeouts.
    if url is None or not re.fullmatch(r"(/\d*)?", url.path, re.ASCII) or url.query or url.fragment:
        raise ValueError(REDIS_URL_SHAPE)
    return value


def check_base_url(value: str) -> str:
    """Return an HTTP URL that paths can follow, without a slash at its end; raises ``ValueError`` for another."""
    if _split(value, schemes={"http", "https"}) is None or {"?", "#"} & set(value):
        raise ValueError("must be a URL that starts with http:// or https://, without ? and #")
    return value.rstrip("/")


def check_origin(value: str) -> str:
    """Return an origin in lower case, as browsers send it; raises ``ValueError`` for another."""
    origin = value.lower()
    shape = _ORIGIN.fullmatch(origin)
    if shape is None or _split(origin, schemes={"http", "https"}) is None or not _is_ipv6(shape["ipv6"] or "::"):
        raise ValueError("must be origins such as https://example.com, separated by commas")
    return origin


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _split(value: str, *, schemes: set[str]) -> SplitResult | None:
    try:
        url = urlsplit(value)
        is_usable = url.scheme in schemes and bool(url.hostname) and url.port != 0 and not re.search(r"\s", value)
    except ValueError:
        return None
    return url if is_usable else None
