"""
Long actions on many posts, in batches: each is a row of ``tasks``, and one process at a time works at it.

Locks are acquired in one order: the row ``tasks`` of ``locks`` by who starts a task, then the task's row, posts by
rising id, categories, the log, counts.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, bindparam, insert, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from post.components import components
from post.database.faults import is_away
from post.database.reads import read
from post.database.writes import insert_unless_there, retried, transaction
from post.models import Lock, Task, utc_now
from post.shared.task_runner import TasksUnavailable
from post.utils import new_id

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=10)  # of a claim, which each batch renews
REQUEST_SECONDS = 2  # that a request works at its task
WAIT_SECONDS = 0.05  # between looks at a task at which another process works
FIRST_BATCH, BATCH_MAX = 20, 100  # posts
BATCH_SECONDS = 0.02  # that a batch should take; its locks do not last longer
PAUSE_SECONDS_MAX = 1

_THIS = Task.id == bindparam("task_id")
_RUNS = Task.ended_at.is_(None)
_FREE = _RUNS & or_(Task.claimed_until.is_(None), Task.claimed_until < utc_now())
_CLAIMABLE = select(utc_now()).select_from(Task).where(_THIS, _FREE).with_for_update()
_COLUMNS = (Task.id, Task.kind, Task.subject, Task.target, Task.actor, Task.reason)
_CLAIMED = select(*_COLUMNS, utc_now().label("now")).where(_THIS, _RUNS, Task.claimed_until == bindparam("until"))
_CLAIMED = _CLAIMED.with_for_update()
_SHOWN = select(Task.id, Task.kind, Task.total, Task.done, Task.ended_at).where(_THIS)
_WAITING = select(Task.id).where(_FREE, Task.kind.in_(bindparam("kinds", expanding=True))).order_by(Task.created_at)
_OF_SUBJECT = select(Task.id, Task.target).where(Task.kind == bindparam("kind"), Task.subject == bindparam("subject"))
_RUNNING = _OF_SUBJECT.where(_RUNS).with_for_update()
_LATEST = _OF_SUBJECT.order_by(Task.created_at.desc(), Task.id).limit(1)


class Step(NamedTuple):
    """
    The result of a batch.

    Attributes:
        done: The number of posts that it has changed.
        place: Any value, which the next batch gets. It is kept in memory only: another process begins with None.
        is_last: Whether the task is done.
    """

    done: int
    place: Any = None
    is_last: bool = False


class _Claim(NamedTuple):
    """A task with the end of its claim: whoever claims it after that moment sets another."""

    task_id: str
    until: datetime


Batch = Callable[[Connection, Any, Any, int], Step]
BatchT = TypeVar("BatchT", bound=Batch)

_BATCHES: dict[str, Batch] = {}


def batch_of(kind: str) -> Callable[[BatchT], BatchT]:
    """
    Make a function the batch of a kind of task.

    It is called within a transaction that has locked the task's row, and again if that is rolled back, with:
    the connection; the row, with ``id, kind, subject, target, actor, reason``; the place of the ``Step`` before, or
    None; the number of posts that it may lock. It locks them by rising id, and sends counts last.

    Args:
        kind: Its name, at most 20 characters.
    """

    def register(batch: BatchT) -> BatchT:
        _BATCHES[kind] = batch
        return batch

    return register


def lock_tasks(connection: Connection) -> None:
    """Take turns with all others that start a task, until the transaction ends; to be called before other locks."""
    insert_unless_there(connection, Lock, {"name": Task.__tablename__})


def start_task(
    connection: Connection,
    *,
    kind: str,
    subject: str,
    actor: str,
    target: str | None = None,
    reason: str | None = None,
    total: int = 0,
) -> tuple[str, bool]:
    """
    Start a task within the transaction that logs it, unless one of its kind runs for the subject.

    Args:
        connection: The transaction's, which has called ``lock_tasks`` and has locked no post and no category.
        kind: One of ``batch_of``.
        subject: A category's id, or a user's ``sub``.
        actor: The moderator's ``sub``, as in the log.
        target: As the kind needs it.
        reason: The moderator's, for the log.
        total: The number of posts, for people.

    Returns:
        The task's id, and whether it is new. The row of a running one is locked, so that it does not end before
        the transaction does.
    """
    running = connection.execute(_RUNNING, {"kind": kind, "subject": subject}).first()
    if running is not None:
        return str(running.id), False
    values: dict[str, Any] = {"id": new_id(), "kind": kind, "subject": subject, "target": target}
    values |= {"actor": actor, "reason": reason, "total": total}
    connection.execute(insert(Task), values)
    return str(values["id"]), True


def latest_task(connection: Connection, *, kind: str, subject: str) -> Any:
    """Return the ``id`` and ``target`` of a subject's latest task, which may have ended; None if there is none."""
    return connection.execute(_LATEST, {"kind": kind, "subject": subject}).first()


def work_in_request(task_id: str) -> dict[str, Any]:
    """
    Work at a task for at most ``REQUEST_SECONDS``; a thread of this process goes on with the rest.

    Args:
        task_id: Of ``start_task``, after its transaction.

    Returns:
        ``{id, kind, state, total, done}``; ``state`` is ``running`` or ``done``.
    """
    deadline = time.monotonic() + REQUEST_SECONDS
    while True:
        claim = _claim(task_id)
        if claim is not None:
            _work(claim, lambda: time.monotonic() >= deadline)
        shown = _show(task_id)
        if shown["state"] == "done" or time.monotonic() >= deadline:
            break
        time.sleep(WAIT_SECONDS)
    if shown["state"] != "done":
        components().task_runner.wake()
    return shown


def work_at_tasks(should_stop: Callable[[], bool]) -> None:
    """
    Work at every task that nobody works at, one after another.

    Args:
        should_stop: Asked before each batch; a task that is left is free for others at once.

    Raises:
        TasksUnavailable: The database is away.
    """
    try:
        for (task_id,) in read(_WAITING, {"kinds": [*_BATCHES]}, replica_ok=False):
            claim = None if should_stop() else _claim(task_id)
            if claim is not None:
                _work(claim, should_stop)
    except SQLAlchemyError as exc:
        if not is_away(exc):
            raise
        raise TasksUnavailable from exc


def _show(task_id: str) -> dict[str, Any]:
    (row,) = read(_SHOWN, {"task_id": task_id}, replica_ok=False)
    state = "running" if row.ended_at is None else "done"
    return {"id": row.id, "kind": row.kind, "state": state, "total": max(row.total, row.done), "done": row.done}


@retried
def _claim(task_id: str) -> _Claim | None:
    with transaction() as connection:
        now = connection.scalar(_CLAIMABLE, {"task_id": task_id})
        if now is None:
            return None
        claim = _Claim(task_id, now + LEASE)
        connection.execute(update(Task).where(Task.id == task_id).values(claimed_until=claim.until))
    return claim


@retried
def _release(claim: _Claim) -> None:
    with transaction() as connection:
        this = update(Task).where(Task.id == claim.task_id, Task.claimed_until == claim.until)
        connection.execute(this.values(claimed_until=None))


def _work(claim: _Claim, should_stop: Callable[[], bool]) -> None:
    """Work at a claimed task until it is done, or another process has claimed it, or ``should_stop``."""
    place, size, taken = None, FIRST_BATCH, list[float]()
    while not should_stop():
        started = time.monotonic()
        batch = _run_batch(claim, place, size)
        seconds = time.monotonic() - started
        taken.append(seconds)
        if batch is None:
            break
        claim, place = batch
        size = max(1, min(BATCH_MAX, 2 * size, int(size * BATCH_SECONDS / seconds)))
        time.sleep(min(seconds, PAUSE_SECONDS_MAX))  # half of the time is for others
    else:
        _release(claim)
    longest_ms = round(max(taken, default=0) * 1000)
    logger.info("task_batches", extra={"task_id": claim.task_id, "batches": len(taken), "longest_ms": longest_ms})


@retried
def _run_batch(claim: _Claim, place: Any, limit: int) -> tuple[_Claim, Any] | None:
    """Do a batch and renew the claim; None if the task is done or is another's now."""
    with transaction() as connection:
        task = connection.execute(_CLAIMED, claim._asdict()).first()
        if task is None:
            return None
        step = _BATCHES[task.kind](connection, task, place, limit)
        until = None if step.is_last else task.now + LEASE
        values: dict[str, Any] = {"claimed_until": until, "ended_at": utc_now() if step.is_last else None}
        this = update(Task).where(Task.id == claim.task_id)
        connection.execute(this.values(done=Task.done + step.done, **values))
    return None if until is None else (_Claim(claim.task_id, until), step.place)
