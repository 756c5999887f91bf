"""Users, as they and admins may see and change them."""

from functools import cache
from typing import Any

from shared import clock, settings
from shared.dynamodb import ConditionFailed, Item, Table, TransactionFailed, write_together
from shared.errors import Conflict, Forbidden, NotFound
from shared.metrics import USERS_DELETED
from shared.observability import count, logger
from shared.people import EMAIL_MAX_CHARS, Caller

# The attributes that leave the table: passwordHash is none of them, and the role of the service may not name it.
PROFILE = ("userId", "name", "accountId", "role", "createdAt", "updatedAt")
ENTRY = ("userId", "name", "createdAt")


class UserNotFound(NotFound):
    """There is no such user."""

    code, text = "user_not_found", "User not found"


class OwnRole(Conflict):
    """Admins cannot change their own role."""

    code, text = "own_role", "Admins cannot change their own role"


@cache
def users() -> Table:
    """Return the table of users; the key is the e-mail address."""
    return Table(settings.text("USERS_TABLE"), key="userId")


def require_admin(caller: Caller) -> None:
    """
    Refuse everybody but admins.

    Args:
        caller: The caller.

    Raises:
        Forbidden: The caller is no admin.
    """
    if not caller.is_admin:
        raise Forbidden


def require_self_or_admin(caller: Caller, user_id: str) -> None:
    """
    Refuse everybody but the user and admins.

    Args:
        caller: The caller.
        user_id: The user's e-mail address.

    Raises:
        Forbidden: The caller is another user.
    """
    if user_id != caller.user_id:
        require_admin(caller)


def get_user(caller: Caller, user_id: str) -> Item:
    """
    Return a user's profile.

    Args:
        caller: A caller with the right to it.
        user_id: The user's e-mail address.

    Raises:
        UserNotFound: There is no such user.
    """
    found = users().get(_possible(user_id), *PROFILE)
    if found is None or not _is_callers(caller, found):
        raise UserNotFound
    return {name: found[name] for name in PROFILE if name in found}


def rename_user(caller: Caller, user_id: str, name: str) -> None:
    """
    Change a user's name.

    Args:
        caller: A caller with the right to it.
        user_id: The user's e-mail address.
        name: Checked name.

    Raises:
        UserNotFound: There is no such user.
    """
    condition, values = _same_account(caller, user_id)
    update = "SET #name = :name, #updatedAt = :now"
    try:
        users().update(_possible(user_id), update, condition=condition, name=name, now=_now(), **values)
    except ConditionFailed as exc:
        raise UserNotFound from exc
    logger.info("user_renamed")


def set_role(caller: Caller, user_id: str, role: str) -> None:
    """
    Change another user's role, if the caller still is an admin when it changes.

    Args:
        caller: An admin.
        user_id: The user's e-mail address.
        role: ``user`` or ``admin``.

    Raises:
        OwnRole: The caller is that user.
        Forbidden: The caller has lost the role meanwhile.
        UserNotFound: There is no such user.
    """
    if user_id == caller.user_id:
        raise OwnRole
    # Two admins who demote each other: the second finds that it is none any more.
    still_admin = users().to_check(
        caller.user_id,
        condition="#accountId = :account AND #role = :admin",
        account=caller.account_id,
        admin="admin",
    )
    change = users().to_update(
        _possible(user_id),
        "SET #role = :role, #updatedAt = :now",
        condition="attribute_exists(#userId)",
        role=role,
        now=_now(),
    )
    try:
        write_together(still_admin, {"Update": change})
    except TransactionFailed as failure:
        raise (Forbidden if failure.reasons[0] == "ConditionalCheckFailed" else UserNotFound) from failure
    logger.info("role_changed", extra={"role": role})


def list_users(*, limit: int, after: str | None) -> tuple[list[Item], bool]:
    """
    Return a page of users, in the table's own order.

    Args:
        limit: Number of users.
        after: E-mail address of the user before them; None for the first page.

    Returns:
        The users, and True if there are more.
    """
    found, more = users().scan(*ENTRY, limit=limit, after=after)
    return [{name: one[name] for name in ENTRY} for one in found], more


def delete_user(caller: Caller, user_id: str) -> None:
    """
    Remove a user; their sessions are good no more.

    Args:
        caller: A caller with the right to it.
        user_id: The user's e-mail address.

    Raises:
        UserNotFound: There is no such user.
    """
    condition, values = _same_account(caller, user_id)
    try:
        users().delete(_possible(user_id), condition=condition, **values)
    except ConditionFailed as exc:
        raise UserNotFound from exc
    logger.info("user_deleted")
    count(USERS_DELETED)


def _possible(user_id: str) -> str:
    """Return the id; one that no registration can have made would be an error of DynamoDB."""
    if not 0 < len(user_id) <= EMAIL_MAX_CHARS or not user_id.isascii():
        raise UserNotFound
    return user_id


def _is_callers(caller: Caller, found: Item) -> bool:
    """Return False for a user who has registered the caller's address anew, after its deletion."""
    return bool(found["userId"] != caller.user_id or found["accountId"] == caller.account_id)


def _same_account(caller: Caller, user_id: str) -> tuple[str, dict[str, Any]]:
    if user_id != caller.user_id:
        return "attribute_exists(#userId)", {}
    return "#accountId = :account", {"account": caller.account_id}


def _now() -> str:
    return clock.isoformat(clock.now())
