"""Posts created once, even if the request is repeated: by its ``Idempotency-Key``, for 24 hours."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.exc import OperationalError

from post.database.faults import is_lock_timeout
from post.database.writes import Statement, insert_unless_there, retried, transaction
from post.errors import IdempotencyConflict
from post.models import VISIBLE, IdempotencyKey, utc_now
from post.services.accounts import CALLER_COLUMN, refuse_restricted
from post.services.derived import IndexedPost, update_derived
from post.services.post_rows import to_dicts
from post.services.posts import insert_post
from post.utils import Caller

_COLUMNS = (IdempotencyKey.request_hash, IdempotencyKey.answer, IdempotencyKey.post_id, IdempotencyKey.created_at)
_THIS = (IdempotencyKey.user_id == bindparam("user_id")) & (IdempotencyKey.key == bindparam("key"))
_KEPT = Statement(select(*_COLUMNS, CALLER_COLUMN).where(_THIS))
KEPT_FOR = timedelta(hours=24)
LAZY_BATCH = 5  # a creation adds one row and removes up to five, so expired rows do not pile up
PRUNE_BATCH = 200


class Answer(NamedTuple):
    """
    The answer to a request that created a post.

    Attributes:
        body: The first answer's, byte for byte.
        post_id: Id of the post.
        is_replayed: Whether an earlier request created the post.
    """

    body: bytes
    post_id: str
    is_replayed: bool


@retried
def create_post_once(
    *,
    key: str,
    author: Caller,
    title: str,
    content: str,
    category: str,
    status: str = VISIBLE,
    render: Callable[[dict[str, Any]], bytes],
) -> Answer:
    """
    Create a post, or return the answer to the request that did. Other errors as for ``create_post``.

    The key's row is inserted first, in the same transaction: of concurrent requests one works, and the
    others wait for its commit.

    Args:
        key: The ``Idempotency-Key``; the keys of different users are independent.
        author: From the verified token.
        title: As for ``create_post``.
        content: As for ``create_post``.
        category: As for ``create_post``.
        status: As for ``create_post``.
        render: Makes the answer's body from the post object.

    Raises:
        IdempotencyConflict: The key was used with another body, or its first request takes too long.
    """
    # The digest of a visible post is as it was before there were drafts.
    request_hash = _hash(title, content, category, *([] if status == VISIBLE else [status]))
    with transaction() as connection:
        _delete_expired(connection, LAZY_BATCH)
        first = _reserve(connection, author.user_id, key, request_hash)
        if first is not None:
            return first
        row = insert_post(connection, author=author, title=title, content=content, category=category, status=status)
        body = render(to_dicts([row], viewer=author)[0])
        answered = update(IdempotencyKey).where(_key_matches(author.user_id, key)).values(answer=body, post_id=row.id)
        connection.execute(answered)
        update_derived(connection, None, IndexedPost.of(row))
    return Answer(body, row.id, is_replayed=False)


def _hash(*fields: str) -> str:
    # Of the stored values, so that another spelling of the same JSON is the same request.
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()


def _key_matches(user_id: str, key: str) -> Any:
    return (IdempotencyKey.user_id == user_id) & (IdempotencyKey.key == key)


def _reserve(connection: Connection, user_id: str, key: str, request_hash: str) -> Answer | None:
    """Insert the key's row, or return the answer in it."""
    try:
        insert_unless_there(connection, IdempotencyKey, {"user_id": user_id, "key": key, "request_hash": request_hash})
    except OperationalError as exc:
        if not is_lock_timeout(exc):
            raise
        raise IdempotencyConflict from exc
    row = _KEPT.first(connection, {"user_id": user_id, "key": key, "caller_id": user_id})
    refuse_restricted(row)
    if row.answer is None:  # just inserted
        return None
    if row.created_at < _kept_since():
        new = {"request_hash": request_hash, "answer": None, "created_at": utc_now()}
        connection.execute(update(IdempotencyKey).where(_key_matches(user_id, key)).values(new))
        return None
    if row.request_hash != request_hash:
        raise IdempotencyConflict
    return Answer(row.answer, row.post_id, is_replayed=True)


def _kept_since() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None) - KEPT_FOR


def _delete_expired(connection: Connection, maximum: int) -> int:
    """Delete some expired rows, but none that another transaction has locked; returns the number."""
    expired = select(IdempotencyKey.user_id, IdempotencyKey.key).where(IdempotencyKey.created_at < _kept_since())
    some = expired.order_by(IdempotencyKey.created_at).limit(maximum).with_for_update(skip_locked=True)
    found = connection.execute(some).all()
    # One by one: for a list of keys MySQL may scan the table and wait for every locked row.
    for row in found:
        connection.execute(delete(IdempotencyKey).where(_key_matches(row.user_id, row.key)))
    return len(found)


def prune_idempotency_keys() -> int:
    """Delete every row that is older than 24 hours; returns the number."""
    deleted = 0
    while (batch := _prune_batch()) == PRUNE_BATCH:
        deleted += batch
    return deleted + batch


@retried
def _prune_batch() -> int:
    with transaction() as connection:
        return _delete_expired(connection, PRUNE_BATCH)
