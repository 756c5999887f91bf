"""Deactivated accounts: their tokens may still read, but write nothing."""

from typing import Any, NamedTuple, Protocol

from sqlalchemy import bindparam, delete, select

from post.database.reads import Prepared, read
from post.database.writes import insert_unless_there, retried, transaction
from post.errors import AccountDeactivated
from post.models import DeactivatedAccount
from post.utils import Caller, isoformat_utc

_THIS = select(DeactivatedAccount.user_id)
_DEACTIVATED = Prepared(_THIS.where(DeactivatedAccount.user_id == bindparam("user_id")), replica_ok=False)
# A column for the first query of a write, whose parameter ``caller_id`` is the caller's ``sub``.
CALLER_COLUMN = _THIS.where(DeactivatedAccount.user_id == bindparam("caller_id")).exists().label("is_deactivated")


class UserDirectory(Protocol):
    """The pool of users. Its methods raise ``AuthUnavailable`` when it cannot be reached."""

    def disable(self, login: str) -> None:
        """Disable a user and end all their sessions; a second call changes nothing."""

    def enable(self, login: str) -> None:
        """Let a user log in again."""


class DeactivatedUser(NamedTuple):
    """A deactivated account: its ``sub``, its name in the pool, and the time of deactivation (ISO 8601, UTC)."""

    user_id: str
    login: str
    deactivated_at: str


def is_deactivated(user_id: str) -> bool:
    """
    Look up if a user has deactivated their account.

    Args:
        user_id: The token's ``sub``.
    """
    return bool(_DEACTIVATED.read({"user_id": user_id}))


def refuse_deactivated(row: Any) -> None:
    """Raise ``AccountDeactivated`` if the ``CALLER_COLUMN`` of a write's first row is true."""
    if row.is_deactivated:
        raise AccountDeactivated


def deactivate_account(user: Caller, *, directory: UserDirectory | None) -> dict[str, Any]:
    """
    Deactivate the caller's account: first here, then in the pool. Their posts stay.

    Args:
        user: From the verified token.
        directory: The pool, if there is one.

    Returns:
        ``{username, deactivated}``.

    Raises:
        AuthUnavailable: The pool cannot be reached. Here the account stays refused; another call completes it.
    """
    _store_deactivated(user)
    if directory is not None:
        directory.disable(user.login)
    return {"username": user.username, "deactivated": True}


@retried
def _store_deactivated(user: Caller) -> None:
    with transaction() as connection:
        insert_unless_there(connection, DeactivatedAccount, {"user_id": user.user_id, "login": user.login})


@retried
def reactivate_account(user_id: str, *, directory: UserDirectory | None) -> bool:
    """
    Undo ``deactivate_account``: in the pool, then here.

    Args:
        user_id: The ``sub``.
        directory: The pool, if there is one.

    Returns:
        Whether the account was deactivated.

    Raises:
        AuthUnavailable: The pool cannot be reached; nothing was changed here.
    """
    this = DeactivatedAccount.user_id == user_id
    # Under the row's lock, so that a concurrent deactivation happens entirely before or entirely after.
    with transaction() as connection:
        login = connection.scalar(select(DeactivatedAccount.login).where(this).with_for_update())
        if login is None:
            return False
        if directory is not None:
            directory.enable(login)
        connection.execute(delete(DeactivatedAccount).where(this))
    return True


def list_deactivated(*, limit: int) -> list[DeactivatedUser]:
    """Return deactivated accounts, the latest first, ``limit`` at most."""
    columns = select(DeactivatedAccount.user_id, DeactivatedAccount.login, DeactivatedAccount.created_at)
    rows = read(columns.order_by(DeactivatedAccount.created_at.desc(), DeactivatedAccount.user_id).limit(limit))
    return [DeactivatedUser(row.user_id, row.login, isoformat_utc(row.created_at)) for row in rows]
