"""All posts of a user, deleted softly by a moderator: the batches of a long task."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, select, update

from post.database.writes import retried, transaction
from post.models import BY_AUTHOR, BY_MODERATOR, DELETE, DELETED, HIDDEN, VISIBLE, Post, PostCount, next_moment, utc_now
from post.services.derived import AUTHOR, IndexedPost, update_many_derived
from post.services.moderation_log import Deed, record
from post.services.report_rows import resolve_reports
from post.services.tasks import Step, batch_of, latest_task, lock_tasks, start_task, work_in_request

DELETE_POSTS = "delete_posts"  # a kind of task

_STATUSES = (VISIBLE, HIDDEN)
_OF_USER = select(Post.id, Post.No).where(Post.user_id == bindparam("user_id"))
_ANY_LEFT = _OF_USER.where(Post.status.in_(_STATUSES)).limit(1)
# By the index, on from the last batch: a scan from its beginning would pass all entries of posts that were deleted.
_NEXT = _OF_USER.where(Post.status == bindparam("status"), Post.No > bindparam("after"))
_NEXT = _NEXT.order_by(Post.No).limit(bindparam("limit"))
_LOCKED = (
    select(Post.id, Post.No, Post.status, Post.hidden_by, Post.category_id, Post.user_id, Post.title, Post.report_count)
    .add_columns(Post.created_at)
    .where(Post.id.in_(bindparam("post_ids", expanding=True)), Post.status.in_(_STATUSES))
    .order_by(Post.id)
    .with_for_update()
)
_SUMS = (func.coalesce(func.sum(column), 0) for column in (PostCount.visible, PostCount.hidden))
_COUNTS = select(*_SUMS).where(PostCount.scope == AUTHOR, PostCount.subject == bindparam("user_id"))


class _Place(NamedTuple):
    """A place in a user's posts: after a number, among those of one of ``_STATUSES``."""

    status: int = 0
    number: int = -1


def delete_posts_of_user(user_id: str, *, moderator: str, reason: str | None = None) -> dict[str, Any]:
    """
    Delete a user's visible and hidden posts softly, in batches; what they write meanwhile, too.

    The task ends when it finds none left. A user who is not suspended may write on.

    Args:
        user_id: The ``sub``.
        moderator: The admin's ``sub``, or ``BY_SHELL``.
        reason: The moderator's, for the log.

    Returns:
        The task's ``{id, kind, state, total, done}``; another call continues it and shows its progress. It begins
        anew if the user has posts again.
    """
    return work_in_request(_start(user_id, moderator, reason))


@retried
def _start(user_id: str, moderator: str, reason: str | None) -> str:
    values = {"user_id": user_id}
    with transaction() as connection:
        lock_tasks(connection)
        is_any_left = connection.execute(_ANY_LEFT, values).first() is not None
        earlier = None if is_any_left else latest_task(connection, kind=DELETE_POSTS, subject=user_id)
        if earlier is not None:
            return str(earlier.id)
        visible, hidden = map(int, connection.execute(_COUNTS, values).one())
        task_id, is_new = start_task(
            connection, kind=DELETE_POSTS, subject=user_id, actor=moderator, reason=reason, total=visible + hidden
        )
        if is_new and is_any_left:
            old = {"visible": visible, "hidden": hidden}
            record(connection, Deed(moderator, "delete_posts", old, None, reason, user_id=user_id))
    return task_id


@batch_of(DELETE_POSTS)
def _delete_some(connection: Connection, task: Any, place: _Place | None, limit: int) -> Step:
    place = place or _Place()
    while place.status < len(_STATUSES):
        at = {"user_id": task.subject, "status": _STATUSES[place.status], "after": place.number, "limit": limit}
        found = connection.execute(_NEXT, at).all()
        if found:
            deleted = _delete(connection, task, sorted(row.id for row in found))
            return Step(deleted, _Place(place.status, found[-1].No))
        place = _Place(place.status + 1)
    # A post whose status has changed meanwhile may have been passed by: one statement sees all at one moment.
    return Step(0, None, is_last=connection.execute(_ANY_LEFT, {"user_id": task.subject}).first() is None)


def _delete(connection: Connection, task: Any, post_ids: list[str]) -> int:
    posts = connection.execute(_LOCKED, {"post_ids": post_ids}).all()
    if not posts:
        return 0
    by = BY_AUTHOR if task.actor == task.subject else BY_MODERATOR
    values: dict[Any, Any] = {Post.status: DELETED, Post.deleted_by: by, Post.deleted_at: utc_now()}
    values |= {Post.updated_at: next_moment(), Post.held_since: None, Post.report_count: 0}
    connection.execute(update(Post).where(Post.id.in_([post.id for post in posts])).values(values))
    record(connection, *[_deed(connection, task, post, by) for post in posts])
    changes = [(before, before._replace(status=DELETED)) for before in map(IndexedPost.of, posts)]
    update_many_derived(connection, changes)
    return len(posts)


def _deed(connection: Connection, task: Any, post: Any, by: str) -> Deed:
    """Return the row of the log for a post, whose open reports it resolves."""
    old: dict[str, Any] = {"status": post.status, "hidden_by": post.hidden_by}
    new: dict[str, Any] = {"status": DELETED, "deleted_by": by}
    if post.report_count:
        new |= resolve_reports(connection, post.id, moderator=task.actor, resolution=DELETE)
    return Deed(task.actor, "delete", old, new, task.reason, post_id=post.id, user_id=task.subject)
