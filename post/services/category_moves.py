"""The posts of a category that is merged into another, or has a new name: batches of long tasks."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, or_, select, update

from post.components import components
from post.database.writes import after_transaction
from post.models import DELETED, HIDDEN, VISIBLE, Category, Post, PostCount
from post.services.derived import CATEGORY, IndexedPost, update_many_derived
from post.services.tasks import Step, batch_of

MERGE, RENAME = "merge", "rename"  # kinds of tasks

_STATUSES = (VISIBLE, HIDDEN, DELETED)
_IS_OTHER = or_(
    Post.category_id != bindparam("target"), Post.category.is_distinct_from(bindparam("name", type_=Post.category.type))
)
_LEFT = select(Post.id, Post.No).where(Post.category_id == bindparam("source"), _IS_OTHER)
_LEFT = _LEFT.with_hint(Post, "FORCE INDEX (ix_posts_category_status_no)", "mysql")
_ANY_LEFT = _LEFT.limit(1)
# One status at a time: a scan from the index's beginning would pass all entries of posts that were moved.
_NEXT = _LEFT.where(Post.status == bindparam("status"), Post.No > bindparam("after"))
_NEXT = _NEXT.order_by(Post.No).limit(bindparam("limit"))
_LOCKED = (
    select(Post.id, Post.No, Post.status, Post.category_id, Post.user_id, Post.title, Post.created_at, Post.category)
    .where(Post.id.in_(bindparam("post_ids", expanding=True)))
    .order_by(Post.id)
    .with_for_update()
)
_NAME = select(Category.name).where(Category.id == bindparam("category_id"))
_NAME_SHARED = _NAME.with_for_update(read=True)
_LOCK = select(Category.id).where(Category.id == bindparam("category_id")).with_for_update()


class _Place(NamedTuple):
    """A place in the posts of a category: after a number, among those of one of ``_STATUSES``."""

    status: int
    number: int


@batch_of(MERGE)
def _merge_posts(connection: Connection, task: Any, place: Any, limit: int) -> Step:
    step = _move_posts(connection, source=task.subject, target=task.target, place=place, limit=limit)
    if step.is_last:
        lock_category(connection, task.subject)
        remove_category(connection, task.subject)
    return step


@batch_of(RENAME)
def _rename_posts(connection: Connection, task: Any, place: Any, limit: int) -> Step:
    return _move_posts(connection, source=task.subject, target=task.subject, place=place, limit=limit)


def _move_posts(connection: Connection, *, source: str, target: str, place: _Place | None, limit: int) -> Step:
    """Give some posts of a category another one, or its present name; none of them counts as edited."""
    place = place or _Place(0, -1)
    name = connection.scalar(_NAME, {"category_id": target})
    values = {"source": source, "target": target, "name": name}
    while place.status < len(_STATUSES):
        at = {"status": _STATUSES[place.status], "after": place.number, "limit": limit}
        found = connection.execute(_NEXT, values | at).all()
        if found:
            moved = _move(connection, sorted(row.id for row in found), source=source, target=target)
            return Step(moved, _Place(place.status, found[-1].No))
        place = _Place(place.status + 1, -1)
    # A post whose status has changed meanwhile may have been passed by: one statement sees all at one moment.
    is_done = name is None or connection.execute(_ANY_LEFT, values).first() is None
    return Step(0, None, is_last=is_done)


def _move(connection: Connection, post_ids: list[str], *, source: str, target: str) -> int:
    posts = connection.execute(_LOCKED, {"post_ids": post_ids}).all()
    name = connection.scalar(_NAME_SHARED, {"category_id": target})  # no rename can end before this transaction
    moved = [post for post in posts if post.category_id == source and (source != target or post.category != name)]
    if not moved or name is None:
        return 0
    values: dict[Any, Any] = {Post.category_id: target, Post.category: name}
    values |= {Post.moves: Post.moves + 1, Post.updated_at: Post.updated_at}
    connection.execute(update(Post).where(Post.id.in_([post.id for post in moved])).values(values))
    changes = [(before, before._replace(category_id=target)) for before in map(IndexedPost.of, moved)]
    update_many_derived(connection, changes)
    return len(moved)


def remove_category(connection: Connection, category_id: str) -> None:
    """Delete a locked category that has no posts any more, with its counts, within the caller's transaction."""
    connection.execute(delete(Category).where(Category.id == category_id))
    connection.execute(delete(PostCount).where(PostCount.scope == CATEGORY, PostCount.subject == category_id))
    after_transaction(components().category_cache.forget)


def lock_category(connection: Connection, category_id: str) -> None:
    """
    Wait for all transactions that write posts of a category, and keep others from it until this one ends.

    By the id, as ``ensure_category`` locks it: two that locked the entries of two indexes in another order would
    deadlock.
    """
    connection.execute(_LOCK, {"category_id": category_id})
