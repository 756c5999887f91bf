"""Users as moderators see them: their counts and state, and their suspension, which holds for their next write."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, literal, select, update

from post.database.reads import read
from post.database.writes import insert_unless_there, retried, transaction
from post.errors import FieldProblem, InvalidFields
from post.models import DELETED, Post, PostCount, Report, RestrictedAccount, utc_now
from post.services.accounts import IS_SUSPENDED
from post.services.derived import AUTHOR
from post.services.moderation_log import Deed, record
from post.utils import isoformat_utc

COUNTED_MAX = 10_000  # rows that are counted one by one

_SUSPENSION = {
    "suspended_at": RestrictedAccount.suspended_at,
    "suspended_until": RestrictedAccount.suspended_until,
    "suspended_by": RestrictedAccount.suspended_by,
    "suspension_reason": RestrictedAccount.suspension_reason,
}
_STATE = select(RestrictedAccount.is_deactivated, IS_SUSPENDED.label("is_suspended"), *_SUSPENSION.values())
_USER: Any = bindparam("user_id")


def _kept(column: Any) -> Any:
    """Return the sum of an author's kept counts."""
    total = select(func.coalesce(func.sum(column), 0))
    return total.where(PostCount.scope == AUTHOR, PostCount.subject == _USER).scalar_subquery()


def _counted(*conditions: Any) -> Any:
    """Return the number of rows that an index finds, up to ``COUNTED_MAX``."""
    some = select(literal(1)).where(*conditions).limit(COUNTED_MAX).subquery()
    return select(func.count()).select_from(some).scalar_subquery()


COUNTS = select(
    _kept(PostCount.visible).label("visible"),
    _kept(PostCount.hidden).label("hidden"),
    _counted(Post.user_id == _USER, Post.status == DELETED).label("deleted"),
    _counted(Report.user_id == _USER).label("reports"),
)


def get_user(user_id: str) -> dict[str, Any]:
    """
    Return a user's counts and state; of a ``sub`` that the service has never seen, zeros.

    Args:
        user_id: The ``sub``.

    Returns:
        ``{user_id, posts: {visible, hidden, deleted}, reports: {made}, is_deactivated, suspension}``. ``deleted``
        and ``made`` stop at 10,000; ``suspension`` is None, or ``{since, until, reason, by}``.
    """
    values = {"user_id": user_id}
    # From the primary: a moderator looks whether an action has had its effect.
    (counts,) = read(COUNTS, values, replica_ok=False)
    row = next(iter(read(_STATE.where(RestrictedAccount.user_id == _USER), values, replica_ok=False)), None)
    posts = {"visible": int(counts.visible), "hidden": int(counts.hidden), "deleted": counts.deleted}
    state = {"is_deactivated": row is not None and bool(row.is_deactivated), "suspension": _suspension_of(row)}
    return {"user_id": user_id, "posts": posts, "reports": {"made": counts.reports}, **state}


@retried
def suspend_user(
    user_id: str, *, moderator: str, until: datetime | None = None, reason: str | None = None
) -> dict[str, Any]:
    """
    Refuse a user's writes until a time, or without end. Another time replaces a suspension, the same changes nothing.

    Args:
        user_id: The ``sub``; the user need not have written anything yet.
        moderator: The admin's ``sub``, or ``BY_SHELL``.
        until: Naive, in UTC, in whole milliseconds, in the future; None for no end.
        reason: The moderator's, for the log and for other moderators.

    Returns:
        ``{user_id, suspension}``, as in ``get_user``.

    Raises:
        InvalidFields: A moderator would suspend themselves, and could not undo it.
    """
    if user_id == moderator:
        raise InvalidFields(FieldProblem("sub", "own_account"))
    with transaction() as connection:
        insert_unless_there(connection, RestrictedAccount, {"user_id": user_id, "login": "", "is_deactivated": False})
        before = _locked(connection, user_id)
        if before.is_suspended and before.suspended_until == until:
            return {"user_id": user_id, "suspension": _suspension_of(before)}
        values = {"suspended_at": before.now, "suspended_until": until}
        values |= {"suspended_by": moderator, "suspension_reason": reason}
        connection.execute(update(RestrictedAccount).where(RestrictedAccount.user_id == user_id).values(values))
        new = {"suspended_until": _moment(until)}
        record(connection, Deed(moderator, "suspend", _logged(before), new, reason, user_id=user_id))
        suspension = {"since": _moment(before.now), "until": _moment(until), "reason": reason, "by": moderator}
    return {"user_id": user_id, "suspension": suspension}


@retried
def unsuspend_user(user_id: str, *, moderator: str, reason: str | None = None) -> dict[str, Any]:
    """
    End a user's suspension; without one, nothing changes. Arguments as for ``suspend_user``.

    Returns:
        ``{user_id, suspension}``, the second None.
    """
    this = RestrictedAccount.user_id == user_id
    with transaction() as connection:
        before = _locked(connection, user_id)
        if before is not None and before.suspended_at is not None:
            if before.is_deactivated:
                connection.execute(update(RestrictedAccount).where(this).values(dict.fromkeys(_SUSPENSION)))
            else:
                connection.execute(delete(RestrictedAccount).where(this))
            if before.is_suspended:
                record(connection, Deed(moderator, "unsuspend", _logged(before), None, reason, user_id=user_id))
    return {"user_id": user_id, "suspension": None}


def _locked(connection: Connection, user_id: str) -> Any:
    query = _STATE.add_columns(utc_now().label("now")).where(RestrictedAccount.user_id == user_id)
    return connection.execute(query.with_for_update()).one_or_none()


def _suspension_of(row: Any) -> dict[str, Any] | None:
    if row is None or not row.is_suspended:
        return None
    since, until = _moment(row.suspended_at), _moment(row.suspended_until)
    return {"since": since, "until": until, "reason": row.suspension_reason, "by": row.suspended_by}


def _logged(row: Any) -> dict[str, Any] | None:
    return {"suspended_until": _moment(row.suspended_until)} if row.is_suspended else None


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else isoformat_utc(moment)
