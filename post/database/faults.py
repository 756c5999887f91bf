"""Meanings of the database's errors: a deadlock, a lock's timeout, a server that is away."""

import time

from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# MySQL error numbers ("Server Error Message Reference", "Client Error Message Reference").
DEADLOCK, LOCK_WAIT_TIMEOUT = 1213, 1205
TRANSIENT = frozenset({DEADLOCK, LOCK_WAIT_TIMEOUT})
AWAY = frozenset({1040, 1053, 1129, 1203, 1226, 1290, 1792, 1836, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 3032, 4031})
READ_ONLY = frozenset({1290, 1792, 1836})
CUT_OFF = frozenset({2006, 2013, 4031})
# A grant that is missing, for a table or its column; a trigger that refuses.
FORBIDDEN = frozenset({1142, 1143, 1644})
SQLITE_AWAY = ("database is locked", "unable to open database", "disk i/o error")
# A statement that fails sooner met a connection that the server had closed; later, the server is at fault.
STALE_SECONDS = 1


def error_number(error: DBAPIError) -> int | None:
    """Return MySQL's error number, or None if the driver gave none."""
    args = getattr(error.orig, "args", ())
    return args[0] if args and isinstance(args[0], int) else None


def is_transient(error: DBAPIError) -> bool:
    """Return whether the statement was a deadlock's victim, or waited too long for a lock."""
    return error_number(error) in TRANSIENT


def is_refused(error: Exception) -> bool:
    """Return whether the server has answered that it does not write: nothing of the transaction is stored."""
    return isinstance(error, DBAPIError) and (is_transient(error) or error_number(error) in READ_ONLY)


def was_stale(error: DBAPIError, started: float) -> bool:
    """Return whether the server had closed the connection before a statement; a COMMIT, which has no text, is none."""
    is_cut_off = error.statement is not None and error_number(error) in CUT_OFF
    return is_cut_off and time.monotonic() - started <= STALE_SECONDS


def is_lock_timeout(error: DBAPIError) -> bool:
    """Return whether the statement waited too long for a row that another transaction has locked."""
    return error_number(error) == LOCK_WAIT_TIMEOUT


def is_forbidden(error: DBAPIError) -> bool:
    """Return whether the database refuses the statement by a trigger or for want of a grant."""
    return error_number(error) in FORBIDDEN or isinstance(error, IntegrityError)


def is_away(error: Exception) -> bool:
    """Return whether an error means that the database cannot be used now; others are faults of ours."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or is_transient(error) or error_number(error) in AWAY:
        return True
    reason = str(error.orig).lower()
    return isinstance(error, OperationalError) and any(words in reason for words in SQLITE_AWAY)
