"""Restricted accounts, deactivated or suspended: their tokens may still read, but write nothing."""

from typing import Any, NamedTuple, Protocol

from sqlalchemy import bindparam, case, delete, or_, select, update

from post.database.reads import Prepared, read
from post.database.writes import insert_unless_there, retried, transaction
from post.errors import RESTRICTIONS
from post.models import RestrictedAccount, utc_now
from post.utils import Caller, isoformat_utc

DEACTIVATED, SUSPENDED = "deactivated", "suspended"
IS_SUSPENDED = RestrictedAccount.suspended_at.isnot(None) & or_(
    RestrictedAccount.suspended_until.is_(None), RestrictedAccount.suspended_until > utc_now()
)
_KIND = case((RestrictedAccount.is_deactivated, DEACTIVATED), (IS_SUSPENDED, SUSPENDED))
_RESTRICTION = select(_KIND.label("restriction"))
_OF_USER = Prepared(_RESTRICTION.where(RestrictedAccount.user_id == bindparam("user_id")), replica_ok=False)
# A column for the first query of a write, whose parameter ``caller_id`` is the caller's ``sub``.
CALLER_COLUMN = (
    _RESTRICTION.where(RestrictedAccount.user_id == bindparam("caller_id")).scalar_subquery().label("restriction")
)


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


def restriction_of(user_id: str) -> str | None:
    """
    Look up the reason why a user may not write.

    Args:
        user_id: The token's ``sub``.

    Returns:
        ``deactivated``, ``suspended``, or None for a user who may write.
    """
    rows = _OF_USER.read({"user_id": user_id})
    restriction: str | None = rows[0].restriction if rows else None
    return restriction


def refuse_restricted(row: Any) -> None:
    """Raise ``AccountDeactivated`` or ``AccountSuspended`` by the ``CALLER_COLUMN`` of a write's first row."""
    if row.restriction is not None:
        raise RESTRICTIONS[row.restriction]


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
    this = RestrictedAccount.user_id == user.user_id
    with transaction() as connection:
        values = {"user_id": user.user_id, "login": user.login, "is_deactivated": True}
        insert_unless_there(connection, RestrictedAccount, values)
        # A suspension may have a row already.
        changed = update(RestrictedAccount).where(this, ~RestrictedAccount.is_deactivated)
        connection.execute(changed.values(login=user.login, is_deactivated=True, created_at=utc_now()))


@retried
def reactivate_account(user_id: str, *, directory: UserDirectory | None) -> bool:
    """
    Undo ``deactivate_account``: in the pool, then here. A suspension stays.

    Args:
        user_id: The ``sub``.
        directory: The pool, if there is one.

    Returns:
        Whether the account was deactivated.

    Raises:
        AuthUnavailable: The pool cannot be reached; nothing was changed here.
    """
    this = (RestrictedAccount.user_id == user_id) & RestrictedAccount.is_deactivated
    # Under the row's lock, so that a concurrent deactivation happens entirely before or entirely after.
    with transaction() as connection:
        login = connection.scalar(select(RestrictedAccount.login).where(this).with_for_update())
        if login is None:
            return False
        if directory is not None:
            directory.enable(login)
        connection.execute(delete(RestrictedAccount).where(this, RestrictedAccount.suspended_at.is_(None)))
        connection.execute(update(RestrictedAccount).where(this).values(is_deactivated=False, login=""))
    return True


def list_deactivated(*, limit: int) -> list[DeactivatedUser]:
    """Return deactivated accounts, the latest first, ``limit`` at most."""
    columns = select(RestrictedAccount.user_id, RestrictedAccount.login, RestrictedAccount.created_at)
    deactivated = columns.where(RestrictedAccount.is_deactivated)
    rows = read(deactivated.order_by(RestrictedAccount.created_at.desc(), RestrictedAccount.user_id).limit(limit))
    return [DeactivatedUser(row.user_id, row.login, isoformat_utc(row.created_at)) for row in rows]
