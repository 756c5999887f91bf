"""Writes with an ``Idempotency-Key``: a repeat gets the first answer, and changes nothing."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import LargeBinary, String, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from products.errors import REMEMBERED
from products.models import idempotency_keys
from shared.errors import Conflict, IdempotencyConflict
from shared.postgres import Connection, Statement, transaction

_KEYS = idempotency_keys.c
_THIS = (_KEYS.account_id == bindparam("account"), _KEYS.key == bindparam("name"))
_CLAIM = Statement(
    insert(idempotency_keys)
    .values(
        account_id=bindparam("account", type_=String),
        key=bindparam("name", type_=String),
        fingerprint=bindparam("print", type_=LargeBinary),
    )
    .on_conflict_do_nothing()
)
_READ = Statement(select(_KEYS.fingerprint, _KEYS.answer, _KEYS.refusal).where(*_THIS))
_KEEP = Statement(
    update(idempotency_keys)
    .where(*_THIS)
    .values(answer=bindparam("content", type_=LargeBinary), refusal=bindparam("code", type_=String))
)


class Key(NamedTuple):
    """
    A key of one account, for one request.

    Attributes:
        account_id: Account of the caller.
        name: The header's value.
        request: Method, path and checked body: another request with the key is refused.
    """

    account_id: str
    name: str
    request: bytes


class Answer(NamedTuple):
    """A body, and True if it is that of an earlier request."""

    content: bytes
    is_replay: bool


def write_once(key: Key | None, write: Callable[[Connection], bytes]) -> Answer:
    """
    Write in a transaction that keeps the answer, too.

    A conflict is an answer that is kept: after it, a repeat must not succeed.

    Args:
        key: The request's key; None to write each time.
        write: Writes, and returns the answer's body.

    Returns:
        The answer, or the one that the first request of this key got.

    Raises:
        IdempotencyConflict: The key was used for another request.
        Conflict: The write was refused, now or the first time.
    """
    refusal = None
    with transaction() as connection:
        if key is None:
            return Answer(write(connection), is_replay=False)
        # A second request with the key waits here, until the first has committed or failed.
        if not _CLAIM.run(connection, account=key.account_id, name=key.name, print=_digest(key)).rowcount:
            return _repeat(connection, key)
        try:
            content = write(connection)
        except Conflict as error:
            content, refusal = None, error
        code = refusal and refusal.code
        _KEEP.run(connection, account=key.account_id, name=key.name, content=content, code=code)
    if refusal:
        raise refusal
    return Answer(content or b"", is_replay=False)


def _repeat(connection: Connection, key: Key) -> Answer:
    [(digest, content, code)] = _READ.run(connection, account=key.account_id, name=key.name).fetchall()
    if digest != _digest(key):
        raise IdempotencyConflict
    if code is not None:
        raise REMEMBERED[code](is_replay=True)
    return Answer(content, is_replay=True)


def _digest(key: Key) -> bytes:
    return hashlib.sha256(key.request).digest()
