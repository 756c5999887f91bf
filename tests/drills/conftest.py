"""Fixtures of the drills."""

from collections.abc import Iterator

import pytest

from tests.servers import MysqlServer, find_mysqld, running_mysql


@pytest.fixture(scope="session")
def server() -> Iterator[MysqlServer]:
    """A server for the drills that break something else; those that break theirs have one of their own."""
    if find_mysqld() is None:
        pytest.skip("what was acknowledged is looked up in a server's rows")
    with running_mysql() as server:
        yield server
