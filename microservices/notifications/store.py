"""
The notifications' objects in S3: ``notifications/{account_id}/{id}.json``.

An id is ``{reverse time}-{event id}``, so that S3's own order is the newest first, and an event has one id however
often it comes. A deleted notification leaves an empty object: a late copy of its event would bring it back otherwise.
Those end by the bucket's lifecycle, when no queue can still hold a copy.
"""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any
from uuid import UUID

import boto3
from botocore.config import Config

from shared import clock, settings
from shared.errors import NotFound
from shared.http import dump_json
from shared.paging import MAX_LIMIT

PARALLEL_READS = 16
LIMITS = Config(
    # All tries of one call must end before the Lambda's own 10 seconds.
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=PARALLEL_READS,
)
SUMMARY = ("id", "type", "title", "order_id", "created_at")
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")
LAST_MS = 10**13 - 1  # in the year 2286; times of one length sort as texts
_ID = re.compile(r"[0-9]{13}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Notification = dict[str, str]


class NotificationNotFound(NotFound):
    """The account has no such notification."""

    code, text = "notification_not_found", "Notification not found"


@cache
def client() -> Any:
    """Return the process's client; region, address and keys come from AWS's own variables."""
    return boto3.client("s3", config=LIMITS)


def notification_id(occurred_at: datetime, event_id: UUID) -> str:
    """
    Return the id of an event's notification.

    Args:
        occurred_at: Time of the event, with its zone.
        event_id: Id of the event.

    Raises:
        ValueError: The time is before 1970 or after 2286.
    """
    milliseconds = (occurred_at - EPOCH) // timedelta(milliseconds=1)
    if not 0 <= milliseconds <= LAST_MS:
        raise ValueError(f"occurred_at is out of range: {clock.isoformat(occurred_at)}")
    return f"{LAST_MS - milliseconds:013}-{event_id}"


def is_id(text: str) -> bool:
    """Return True for a text that has the form of a notification's id."""
    return _ID.fullmatch(text) is not None


def add(account_id: UUID, notification: Notification) -> bool:
    """
    Write a notification, unless it has been written before; one that was deleted since stays so.

    Args:
        account_id: Account of its reader.
        notification: The fields of ``SUMMARY``, and ``body``.

    Returns:
        False if it has been written before.
    """
    key = _key(str(account_id), notification["id"])
    content = dump_json(notification).encode()
    try:
        client().put_object(Bucket=_bucket(), Key=key, Body=content, ContentType="application/json", IfNoneMatch="*")
    except client().exceptions.ClientError as exc:
        if exc.response["ResponseMetadata"]["HTTPStatusCode"] != 412:
            raise
        return False
    return True


def list_notifications(account_id: str, *, limit: int, after: str | None) -> tuple[list[Notification], str | None]:
    """
    Return a page of an account's notifications, the newest first.

    Args:
        account_id: The account.
        limit: Number of notifications.
        after: Id of the notification before them; None for the first page.

    Returns:
        Their summaries, and the id after which the next page begins; None on the last one.
    """
    client()  # made here: the threads below would each make one
    keys = list(islice(_live_keys(account_id, after), limit + 1))
    # A list answer has keys and sizes only, so each object is read; side by side, a page takes a few round trips.
    with ThreadPoolExecutor(PARALLEL_READS) as readers:
        found = list(readers.map(_read, keys[:limit]))
    summaries = [{name: one[name] for name in SUMMARY} for one in found if one is not None]
    return summaries, _id_of(keys[limit - 1]) if len(keys) > limit else None


def get_notification(account_id: str, identifier: str) -> Notification:
    """
    Return one of an account's notifications.

    Args:
        account_id: The account.
        identifier: Id of the notification.

    Raises:
        NotificationNotFound: The account has no such notification.
    """
    found = _read(_key(account_id, identifier)) if is_id(identifier) else None
    if found is None:
        raise NotificationNotFound
    return found


def delete_notification(account_id: str, identifier: str) -> None:
    """
    Remove one of an account's notifications; its empty object keeps later copies of its event away.

    Args:
        account_id: The account.
        identifier: Id of the notification.

    Raises:
        NotificationNotFound: The account has no such notification.
    """
    get_notification(account_id, identifier)
    client().put_object(Bucket=_bucket(), Key=_key(account_id, identifier), Body=b"")


def _live_keys(account_id: str, after: str | None) -> Iterator[str]:
    """Yield the keys of notifications that are not deleted, page by page as they are wanted."""
    start = {} if after is None else {"StartAfter": _key(account_id, after)}
    pages = (
        client()
        .get_paginator("list_objects_v2")
        .paginate(Bucket=_bucket(), Prefix=_folder(account_id), PaginationConfig={"PageSize": MAX_LIMIT + 1}, **start)
    )
    return (one["Key"] for page in pages for one in page.get("Contents", []) if one["Size"])


def _read(key: str) -> Notification | None:
    try:
        content = client().get_object(Bucket=_bucket(), Key=key)["Body"].read()
    except client().exceptions.NoSuchKey:
        return None
    return json.loads(content) if content else None


def _bucket() -> str:
    return settings.text("NOTIFICATIONS_BUCKET")


def _folder(account_id: str) -> str:
    return f"notifications/{account_id}/"


def _key(account_id: str, identifier: str) -> str:
    return f"{_folder(account_id)}{identifier}.json"


def _id_of(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".json")
