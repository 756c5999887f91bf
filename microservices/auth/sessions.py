"""Sessions: made, checked and ended. The table has their hashes, so whoever reads it has no session."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from auth.tables import sessions, users
from shared import clock, settings
from shared.dynamodb import ConditionFailed
from shared.errors import AuthorizationRequired, Unauthenticated

DEFAULT_TTL_SECONDS = 24 * 60 * 60
_BEARER = re.compile(r"bearer +([A-Za-z0-9_-]{43})", re.IGNORECASE)


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
    found = sessions().get(key, "userId", "accountId", "sessionEpoch", "expiresAt")
    if found is None:
        raise InvalidSession
    # DynamoDB removes expired items up to days later.
    if clock.now().timestamp() >= found["expiresAt"]:
        raise SessionExpired
    account = _account(found["userId"])
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


def _account(user_id: str) -> Account | None:
    found = users().get(user_id, "accountId", "role", "sessionEpoch")
    if found is None:
        return None
    return Account(user_id=user_id, account_id=found["accountId"], role=found["role"], epoch=found["sessionEpoch"])
