"""Fixtures of the drills."""

from collections.abc import Iterator

import pytest

from tests.servers import MysqlServer, find_mysqld, running_mysql


@pytest.fixture(scope="session")
def server() -> Iterator[MysqlServer]:
    """A server for the drills that break something else; those that break theirs have one of their own."""
    if find_mysqld() is None:
        pytest.skip("no MySQL server, in whose rows what was acknowledged is looked up")
    with running_mysql() as server:
        yield server
