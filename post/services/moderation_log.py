"""The moderation log: one row for each action of a moderator, in the action's own transaction. It only grows."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from post.database.faults import is_forbidden
from post.database.reads import Prepared, read
from post.database.writes import Statement, after_commit, retried, transaction
from post.models import LogEntry, db
from post.paging import PageRequest
from post.services.numbered_lists import Filter, NumberedList
from post.services.pages import ListPage
from post.telemetry import metrics
from post.utils import Action, isoformat_utc

# Actors that are no users: reports that hide a post by their number, and who has a shell.
BY_REPORTS, BY_SHELL = "reports", "shell"
# The triggers that make the log grow only, by database, as the migration makes them where it may.
GUARDS = {
    "mysql": (
        "CREATE TRIGGER moderation_log_no_{lower} BEFORE {event} ON moderation_log FOR EACH ROW"
        " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the moderation log only grows'"
    ),
    "sqlite": (
        "CREATE TRIGGER IF NOT EXISTS moderation_log_no_{lower} BEFORE {event} ON moderation_log"
        " BEGIN SELECT RAISE(ABORT, 'the moderation log only grows'); END"
    ),
}
_COLUMNS = ("actor", "action", "post_id", "user_id", "category_id", "reason", "state_before", "state_after")
_INSERT = Statement(insert(LogEntry), *_COLUMNS)
_ENTRY = select(LogEntry.No, LogEntry.created_at, *(getattr(LogEntry, name) for name in _COLUMNS))
_FILTERS = ("post_id", "user_id", "actor", "action")
EXPORT_BATCH = 1000  # numbers, so that an export has as many rows in memory at most
_LAST = Prepared(select(func.max(LogEntry.No).label("number")), replica_ok=False)
_LIST = NumberedList(
    _ENTRY,
    LogEntry,
    {name: Filter(getattr(LogEntry, name), f"ix_moderation_log_{name}_No") for name in _FILTERS},
)


class Deed(NamedTuple):
    """
    An action of a moderator, for the log.

    Attributes:
        actor: The moderator's ``sub``, or one of ``BY_REPORTS`` and ``BY_SHELL``.
        action: Its name.
        before: The state before it, and ``after`` that after it. Never a title, a text or a name of a post: the log
            stays when a post is erased.
        after: As above.
        reason: The moderator's own words.
        post_id: The post concerned.
        user_id: The person concerned: the post's author, or the user who is suspended.
        category_id: The category concerned.
    """

    actor: str
    action: Action
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    reason: str | None = None
    post_id: str | None = None
    user_id: str | None = None
    category_id: str | None = None


def record(connection: Connection, *deeds: Deed) -> None:
    """
    Write to the log within the transaction that does what is logged.

    Args:
        connection: The transaction's.
        deeds: Some hundred at most.
    """
    for deed in deeds:
        after_commit(metrics.ACTIONS.labels(deed.action).inc)
    rows = [_row(deed) for deed in deeds]
    if len(rows) == 1:
        _INSERT.run_last(connection, rows[0])
    elif rows:
        connection.execute(insert(LogEntry), rows)


def _row(deed: Deed) -> dict[str, Any]:
    values = deed._asdict()
    states = {"state_before": _json(values.pop("before")), "state_after": _json(values.pop("after"))}
    return values | states


def _json(state: Mapping[str, Any] | None) -> str | None:
    return None if state is None else orjson.dumps(state).decode()


def list_log(wanted: PageRequest, filters: Mapping[str, str]) -> ListPage:
    """
    Return a page of the log, the newest row first.

    Args:
        wanted: The page.
        filters: Any of ``actor``, ``action``, ``post_id`` and ``user_id``, which rows must have.
    """
    return _LIST.page(wanted, filters, show=_to_dicts)


def _to_dicts(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [_to_dict(row) for row in rows]


def _to_dict(row: Any) -> dict[str, Any]:
    entry = {"No": row.No, "created_at": isoformat_utc(row.created_at)}
    entry |= {name: getattr(row, name) for name in _COLUMNS[:-2]}
    before, after = (None if text is None else orjson.loads(text) for text in (row.state_before, row.state_after))
    return entry | {"before": before, "after": after}


def export_log(filters: Mapping[str, str], *, since: datetime | None = None) -> Iterator[dict[str, Any]]:
    """
    Read the log from the oldest row on, up to the one that is the newest at the start.

    Args:
        filters: As for ``list_log``.
        since: The time of the first row, in UTC; None for all.

    Yields:
        Rows as in ``list_log``.
    """
    wanted = [getattr(LogEntry, name) == value for name, value in filters.items()]
    if since is not None:
        wanted.append(LogEntry.created_at >= since)
    last = _LAST.read()[0].number or 0
    # By number alone, whatever the filters: each statement reads as many rows at most.
    for start in range(0, last, EXPORT_BATCH):
        batch = LogEntry.No.between(start + 1, min(start + EXPORT_BATCH, last))
        yield from map(_to_dict, read(_ENTRY.where(batch, *wanted).order_by(LogEntry.No), replica_ok=False))


def missing_guards() -> dict[str, str]:
    """
    Try to change a row of the log, in transactions that are rolled back.

    Returns:
        Those of ``UPDATE`` and ``DELETE`` that the database does not refuse, be it by a trigger or for want of a
        grant; each with the statement that makes its trigger.
    """
    changes = {"UPDATE": update(LogEntry).values(reason="guard"), "DELETE": delete(LogEntry)}
    guard = GUARDS[db.engine.dialect.name]
    allowed = [event for event, change in changes.items() if not _is_refused(change)]
    return {event: guard.format(event=event, lower=event.lower()) for event in allowed}


class _NotRefused(Exception):
    """The database has done what it must refuse; it is rolled back."""


def _is_refused(change: Any) -> bool:
    try:
        _try(change)
    except _NotRefused:
        return False
    except DBAPIError as exc:
        if not is_forbidden(exc):
            raise
    return True


@retried
def _try(change: Any) -> None:
    with transaction() as connection:
        number = connection.execute(insert(LogEntry).values(actor=BY_SHELL, action="edit")).lastrowid
        connection.execute(change.where(LogEntry.No == number))
        raise _NotRefused
