"""Accounts: registration, login, and the change of a password."""

import unicodedata
from dataclasses import dataclass

import uuid_utils

from auth import passwords
from auth.attempts import LoginBrake, count_registration
from auth.sessions import Account, InvalidSession, NewSession, Session, start_session
from auth.tables import users
from shared import clock
from shared.dynamodb import ConditionFailed, Item, get_together
from shared.errors import Conflict, Unauthenticated
from shared.metrics import LOGINS_FAILED, LOGINS_SUCCEEDED, USERS_REGISTERED
from shared.observability import count, logger
from shared.people import normalized_email

NOBODY = "-"  # no e-mail address, so there is no such account


class UserExists(Conflict):
    """The e-mail address is taken."""

    code, text = "user_exists", "User already exists"


class InvalidCredentials(Unauthenticated):
    """There is no such account, or the password is wrong: the caller must not learn which."""

    code, text = "invalid_credentials", "Invalid credentials"


@dataclass(frozen=True, slots=True)
class Login:
    """A login that succeeded."""

    session: NewSession
    account: Account
    name: str


def register_user(*, email: str, password: str, name: str, address: str) -> None:
    """
    Make an account.

    Args:
        email: Checked e-mail address; it becomes the user's id.
        password: Checked password.
        name: Checked name.
        address: Key of the viewer's address.

    Raises:
        TooManyAttempts: The address has registered too often.
        UserExists: The e-mail address is taken.
    """
    count_registration(address)
    account_id = str(uuid_utils.uuid7())
    item = {
        "userId": email,
        "accountId": account_id,
        "name": name,
        "role": "user",
        "passwordHash": passwords.hash_password(password),
        "sessionEpoch": 0,
        "createdAt": clock.isoformat(clock.now()),
    }
    try:
        users().put(item, condition="attribute_not_exists(#userId)")
    except ConditionFailed as failure:
        # boto3 repeats a call whose answer was lost: then the account that is there is this one.
        if failure.item is None or failure.item["accountId"] != account_id:
            raise UserExists from failure
    logger.info("user_registered", extra={"account_id": account_id})
    count(USERS_REGISTERED)


def log_in(*, email: str, password: str, address: str) -> Login:
    """
    Start a session for whoever knows an account's password.

    Args:
        email: E-mail address as the person wrote it.
        password: Password as the person wrote it.
        address: Key of the viewer's address.

    Raises:
        TooManyAttempts: Too many wrong passwords came from this address.
        InvalidCredentials: There is no such account, or the password is wrong.
    """
    user_id = normalized_email(email) or NOBODY
    password = unicodedata.normalize("NFC", password)
    found = _check_password(user_id, password, LoginBrake(user_id if user_id != NOBODY else email, address))
    account = _account(user_id, found)
    _rehash(account, password, found["passwordHash"])
    session = start_session(account)
    logger.info("login_succeeded", extra={"account_id": account.account_id})
    count(LOGINS_SUCCEEDED)
    return Login(session=session, account=account, name=found["name"])


def change_password(session: Session, *, current: str, new: str, address: str) -> NewSession:
    """
    Change a password, end all sessions, and start one.

    Args:
        session: The caller's good session.
        current: Present password as the person wrote it.
        new: Checked password.
        address: Key of the viewer's address.

    Returns:
        The only session that is good from then on.

    Raises:
        TooManyAttempts: Too many wrong passwords came from this address.
        InvalidCredentials: The present password is wrong.
        InvalidSession: The session was ended meanwhile.
    """
    user_id = session.account.user_id
    found = _check_password(user_id, unicodedata.normalize("NFC", current), LoginBrake(user_id, address))
    if found["accountId"] != session.account.account_id:
        raise InvalidSession
    _replace_password(session.account, found["passwordHash"], passwords.hash_password(new))
    logger.info("password_changed", extra={"account_id": session.account.account_id})
    account = session.account
    return start_session(Account(account.user_id, account.account_id, account.role, account.epoch + 1))


def _check_password(user_id: str, password: str, brake: LoginBrake) -> Item:
    """Return the account whose password this is, as it was before the password was verified."""
    attributes = ("accountId", "name", "role", "passwordHash", "sessionEpoch")
    found, *counters = get_together(users().to_get(user_id, *attributes), *brake.reads())
    brake.check(counters)
    if not passwords.verify_password(password, found["passwordHash"] if found else None) or found is None:
        brake.count_failure()
        count(LOGINS_FAILED)
        raise InvalidCredentials
    brake.check_again()
    return found


def _account(user_id: str, found: Item) -> Account:
    return Account(user_id, found["accountId"], found["role"], found["sessionEpoch"])


def _rehash(account: Account, password: str, old: str) -> None:
    """Store a hash with the present parameters, unless the password has been changed meanwhile."""
    if not passwords.needs_rehash(old):
        return
    new = passwords.hash_password(password)
    try:
        users().update(account.user_id, "SET #passwordHash = :new", condition="#passwordHash = :old", new=new, old=old)
    except ConditionFailed:
        logger.info("rehash_overtaken", extra={"account_id": account.account_id})


def _replace_password(account: Account, old: str, new: str) -> None:
    try:
        users().update(
            account.user_id,
            "SET #passwordHash = :new ADD #sessionEpoch :one",
            condition="#accountId = :account AND #sessionEpoch = :epoch AND #passwordHash = :old",
            return_old=True,
            new=new,
            old=old,
            one=1,
            account=account.account_id,
            epoch=account.epoch,
        )
    except ConditionFailed as failure:
        # boto3 repeats a call whose answer was lost: then the hash that is there is this one.
        if failure.item is None or failure.item["passwordHash"] != new:
            raise InvalidSession from failure
