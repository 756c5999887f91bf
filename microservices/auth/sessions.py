"""Sessions: made, checked and ended. The table has their hashes, so whoever reads it has no session."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from auth.tables import sessions, users
from shared import clock, settings
from shared.dynamodb import ConditionFailed, Item, get_together
from shared.errors import AuthorizationRequired, Unauthenticated

DEFAULT_TTL_SECONDS = 24 * 60 * 60
_BEARER = re.compile(r"bearer +([A-Za-z0-9_-]{43})", re.IGNORECASE)
_OWNERS_MAX = 10_000
# Ids of users by keys of their sessions. A session never changes hands, so one call can read both; nothing more is
# taken from here.
_owners: dict[str, str] = {}


class InvalidSession(Unauthenticated):
    """There is no such session, or it was ended."""

    code, text = "invalid_session", "Invalid session"


class SessionExpired(Unauthenticated):
    """The session's time is over."""

    code, text = "session_expired", "Session expired"


@dataclass(frozen=True, slots=True)
class Account:
    """State of an account that a session depends on: it ends with another account, or a newer epoch."""

    user_id: str
    account_id: str
    role: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is good now."""

    key: str
    account: Account
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that was made; only its owner has the token."""

    token: str
    expires_at: datetime


def start_session(account: Account) -> NewSession:
    """
    Make a session.

    Args:
        account: Account as it was before its password was verified, so that an end of all sessions since then
            ends this one, too.

    Returns:
        The session's token and end.
    """
    token = secrets.token_urlsafe(32)
    ttl_seconds = settings.number("SESSION_TTL_SECONDS", DEFAULT_TTL_SECONDS)
    expires_at = int(clock.now().timestamp()) + ttl_seconds
    sessions().put(
        {
            "sessionId": _key(token),
            "userId": account.user_id,
            "accountId": account.account_id,
            "sessionEpoch": account.epoch,
            "expiresAt": expires_at,
        }
    )
    return NewSession(token=token, expires_at=datetime.fromtimestamp(expires_at, UTC))


def check_session(authorization: str | None) -> Session:
    """
    Return the session of a request.

    Args:
        authorization: The request's ``Authorization`` header.

    Returns:
        The session, which is good now.

    Raises:
        AuthorizationRequired: There is no header.
        InvalidSession: The header has no session's token, or its session was ended.
        SessionExpired: The session's time is over.
    """
    if not (authorization or "").strip():
        raise AuthorizationRequired
    key = _key(_token(authorization or ""))
    found, owner = _read(key)
    if found is None:
        raise InvalidSession
    # DynamoDB removes expired items up to days later.
    if clock.now().timestamp() >= found["expiresAt"]:
        raise SessionExpired
    account = _account(found["userId"], owner)
    if account is None or (account.account_id, account.epoch) != (found["accountId"], found["sessionEpoch"]):
        raise InvalidSession
    return Session(key=key, account=account, expires_at=datetime.fromtimestamp(found["expiresAt"], UTC))


def end_session(session: Session) -> None:
    """
    End one session.

    Args:
        session: The session.
    """
    sessions().delete(session.key)


def end_all_sessions(account: Account) -> None:
    """
    End every session of an account, at once.

    Args:
        account: Account of a good session.

    Raises:
        InvalidSession: The account was deleted meanwhile.
    """
    same = "#accountId = :accountId"
    try:
        users().update(account.user_id, "ADD #sessionEpoch :one", condition=same, accountId=account.account_id, one=1)
    except ConditionFailed as exc:
        raise InvalidSession from exc


def _token(authorization: str) -> str:
    match = _BEARER.fullmatch(authorization.strip())
    if match is None:
        raise InvalidSession
    return match[1]


def _key(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _read(key: str) -> tuple[Item | None, Item | None]:
    """Return a session and its user, both as they are now; None for one that there is not."""
    of_session, of_user = ("userId", "accountId", "sessionEpoch", "expiresAt"), ("accountId", "role", "sessionEpoch")
    if key in _owners:
        found, owner = get_together(sessions().to_get(key, *of_session), users().to_get(_owners[key], *of_user))
        return found, owner
    found = sessions().get(key, *of_session)
    if found is None:
        return None, None
    if len(_owners) >= _OWNERS_MAX:
        _owners.clear()
    _owners[key] = found["userId"]
    return found, users().get(found["userId"], *of_user)


def _account(user_id: str, owner: Item | None) -> Account | None:
    if owner is None:
        return None
    return Account(user_id=user_id, account_id=owner["accountId"], role=owner["role"], epoch=owner["sessionEpoch"])
