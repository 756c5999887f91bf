"""The tables of accounts and sessions: the authorizer needs them as well, but no password hashing."""

from functools import cache

from shared import settings
from shared.dynamodb import Table


@cache
def users() -> Table:
    """Return the table of accounts; the key is the e-mail address."""
    return Table(settings.text("USERS_TABLE"), key="userId")


@cache
def sessions() -> Table:
    """Return the table of sessions, and of counted attempts."""
    return Table(settings.text("SESSIONS_TABLE"), key="sessionId")
