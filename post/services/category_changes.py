"""Changes of categories by admins: new names, order, closing, merging, the end; each is logged."""

from typing import Any

from sqlalchemy import Connection, bindparam, func, or_, select, update

from post.components import components
from post.database.writes import after_transaction, retried, transaction
from post.errors import (
    CategoryExists,
    CategoryInUse,
    CategoryMerging,
    CategoryNotFound,
    FieldProblem,
    InvalidFields,
)
from post.models import DELETED, Category, Post
from post.services.categories import get_category, lock_names
from post.services.category_moves import MERGE, RENAME, lock_category, remove_category
from post.services.moderation_log import Deed, record
from post.services.tasks import latest_task, lock_tasks, start_task, work_in_request
from post.text import name_key

_COLUMNS = (Category.id, Category.name, Category.is_open, Category.position, Category.merged_into)
_THIS = select(*_COLUMNS).where(Category.id == bindparam("category_id"))
_SOURCES = select(Category.id).where(Category.merged_into == bindparam("category_id")).limit(1)
_NAMESAKES = select(Category.id).where(
    or_(Category.name_key == bindparam("name_key"), Category.name == bindparam("name")),
    Category.id != bindparam("category_id"),
)
_HAS_POSTS = select(Post.id).where(Post.category_id == bindparam("category_id")).limit(1)
_POSTS = select(func.count()).where(Post.category_id == bindparam("category_id"))


def edit_category(
    category_id: str, *, changes: dict[str, Any], actor: str, reason: str | None = None
) -> dict[str, Any]:
    """
    Change the named columns of a category. Its posts show a new name within seconds, in batches.

    Args:
        category_id: 32 hex characters.
        changes: Any of ``name`` (1 to 50 characters, in NFC, trimmed, white space folded), ``is_open`` and
            ``position``.
        actor: The admin's ``sub``.
        reason: The admin's, for the log.

    Returns:
        The category, as in ``list_categories``.

    Raises:
        CategoryNotFound: There is none.
        CategoryExists: Another one has the name, letter case ignored.
        CategoryMerging: It is being merged into another.
    """
    task_id = _edit(category_id, changes, actor, reason)
    if task_id is not None:
        work_in_request(task_id)
    return get_category(category_id)


@retried
def _edit(category_id: str, changes: dict[str, Any], actor: str, reason: str | None) -> str | None:
    """Return the id of the task that brings a new name to the posts."""
    with transaction() as connection:
        lock_tasks(connection)
        category = _standing(connection, category_id)
        new = {name: value for name, value in changes.items() if getattr(category, name) != value}
        if not new:
            return None
        old, task_id = {name: getattr(category, name) for name in new}, None
        values = dict(new)
        if "name" in new:
            task_id, _ = _start(connection, RENAME, category_id, actor=actor, reason=reason)
            values["name_key"] = _reserve_name(connection, category_id, new["name"])
        lock_category(connection, category_id)
        connection.execute(update(Category).where(Category.id == category_id).values(values))
        after_transaction(components().category_cache.forget)
        record(connection, Deed(actor, "edit_category", old, new, reason, category_id=category_id))
    return task_id


def merge_category(category_id: str, *, into: str, actor: str, reason: str | None = None) -> dict[str, Any]:
    """
    Move all posts of a category into another one, in batches, and delete it. Posts that name it meanwhile go there.

    Args:
        category_id: 32 hex characters.
        into: The id of the other.
        actor: The admin's ``sub``.
        reason: The admin's, for the log.

    Returns:
        The task's ``{id, kind, state, total, done}``; another call continues it and shows its progress, also when
        it is done.

    Raises:
        InvalidFields: Both are one.
        CategoryNotFound: There is no such category.
        CategoryMerging: One of them is part of another merge.
    """
    if into == category_id:
        raise InvalidFields(FieldProblem("into", "same_category"))
    return work_in_request(_start_merge(category_id, into, actor, reason))


@retried
def _start_merge(category_id: str, into: str, actor: str, reason: str | None) -> str:
    with transaction() as connection:
        lock_tasks(connection)
        earlier = latest_task(connection, kind=MERGE, subject=category_id)
        if earlier is not None:  # no category gets the id of another
            if earlier.target != into:
                _standing(connection, category_id)
            return str(earlier.id)
        source = _standing(connection, category_id)
        _standing(connection, into)
        _refuse_target(connection, category_id)
        task_id, _ = _start(connection, MERGE, category_id, target=into, actor=actor, reason=reason)
        connection.execute(update(Category).where(Category.id == category_id).values(merged_into=into))
        deed = Deed(actor, "merge_category", {"name": source.name}, {"into": into}, reason, category_id=category_id)
        record(connection, deed)
    return task_id


@retried
def delete_category(category_id: str, *, actor: str, reason: str | None = None) -> dict[str, str]:
    """
    Delete a category without posts.

    Args:
        category_id: 32 hex characters.
        actor: The admin's ``sub``.
        reason: The admin's, for the log.

    Returns:
        ``{id, status}``.

    Raises:
        CategoryNotFound: There is none.
        CategoryInUse: It has posts: visible, hidden or deleted ones.
        CategoryMerging: It is part of a merge.
    """
    with transaction() as connection:
        lock_tasks(connection)
        category = _standing(connection, category_id)
        _refuse_target(connection, category_id)
        lock_category(connection, category_id)
        if connection.execute(_HAS_POSTS, {"category_id": category_id}).first():
            raise CategoryInUse
        remove_category(connection, category_id)
        old = {"name": category.name, "is_open": category.is_open, "position": category.position}
        record(connection, Deed(actor, "delete_category", old, None, reason, category_id=category_id))
    return {"id": category_id, "status": DELETED}


def _standing(connection: Connection, category_id: str) -> Any:
    """Return a category that is not being merged. ``lock_tasks`` has admins change categories one after another."""
    row = connection.execute(_THIS, {"category_id": category_id}).first()
    if row is None:
        raise CategoryNotFound
    if row.merged_into is not None:
        raise CategoryMerging
    return row


def _refuse_target(connection: Connection, category_id: str) -> None:
    """Refuse a category that others are being merged into."""
    if connection.execute(_SOURCES, {"category_id": category_id}).first():
        raise CategoryMerging


def _start(connection: Connection, kind: str, category_id: str, **of_task: Any) -> tuple[str, bool]:
    total = connection.scalar(_POSTS, {"category_id": category_id}) or 0
    return start_task(connection, kind=kind, subject=category_id, total=total, **of_task)


def _reserve_name(connection: Connection, category_id: str, name: str) -> str:
    """Return the key of a new name, which no other category gets before the transaction ends."""
    lock_names(connection)
    names = {"name": name, "name_key": name_key(name), "category_id": category_id}
    if connection.execute(_NAMESAKES, names).first():
        raise CategoryExists
    return names["name_key"]
