"""One post: reading it, and its life from creation to soft deletion."""

import logging
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from post.database import is_away, retried
from post.errors import Forbidden, PostNotFound
from post.models import DELETED, HIDDEN, VISIBLE, Post, db, transaction, utc_now
from post.services.categories import ensure_category
from post.services.media_files import media_files_of
from post.utils import Caller, isoformat_utc, new_id
from post.view_counter import ViewWindow

logger = logging.getLogger(__name__)

EXCERPT_CHARS = 200


def get_post(
    post_id: str, *, viewer: Caller | None = None, window: ViewWindow | None = None, address: str | None = None
) -> dict[str, Any]:
    """
    Return a post, and count the view if it is the address's first within the window.

    Args:
        post_id: Id of the post, 32 hex characters.
        viewer: Who looks; None for an anonymous caller.
        window: What remembers views; None counts nothing.
        address: The client's IP address, proxies seen through.

    Returns:
        The post object of the API, this view included.

    Raises:
        PostNotFound: It is deleted, hidden from this viewer, or was never there.
    """
    row = db.session.execute(select_posts().where(Post.id == post_id)).one_or_none()
    if row is None or not is_seen_by(viewer, status=row.status, owner_id=row.user_id):
        raise PostNotFound
    post = to_dict(row, media_files_of(db.session(), [post_id])[post_id])
    if row.status == VISIBLE and window is not None and address and window.is_first_view(post_id, address):
        post["view_count"] += _count_view(post_id, address, window)
    return post


def _count_view(post_id: str, address: str, window: ViewWindow) -> int:
    """Return 1, or 0 where the post can be read and its count cannot be written."""
    try:
        with transaction() as session:
            add_to_counter(session, post_id, Post.view_count, 1)
    except SQLAlchemyError as exc:
        if not is_away(exc):
            raise
        logger.warning("view_not_counted", extra={"post_id": post_id})
        window.forget(post_id, address)
        return 0
    return 1


@retried
def create_post(*, author: Caller, title: str, content: str, category: str) -> dict[str, Any]:
    """
    Create a visible post.

    Args:
        author: From the verified token.
        title: Trimmed, in NFC.
        content: In NFC.
        category: A category's name; made when new.

    Returns:
        The post object of the API.
    """
    with transaction() as session:
        return insert_post(session, author=author, title=title, content=content, category=category)


def insert_post(session: Session, *, author: Caller, title: str, content: str, category: str) -> dict[str, Any]:
    """Create a visible post within the caller's transaction. Arguments and result as for ``create_post``."""
    category_id, category_name = ensure_category(session, category)
    post_id = new_id()
    values = {"id": post_id, "title": title, "content": content}
    values |= {"user_id": author.user_id, "username": author.username}
    values |= {"category_id": category_id, "category": category_name}
    session.execute(insert(Post).values(values))
    return _read_back(session, post_id)


@retried
def edit_post(post_id: str, *, editor: Caller, changes: dict[str, str]) -> dict[str, Any]:
    """
    Change a post: only the columns that are named.

    Args:
        post_id: Id of the post, 32 hex characters.
        editor: Who asks.
        changes: Any of ``title``, ``content``, ``category`` (a name) and ``status`` (``visible``
            or ``hidden``); an admin's ``visible`` restores a deleted post.

    Returns:
        The post object of the API.

    Raises:
        PostNotFound: It is deleted, hidden from the editor, or was never there.
        Forbidden: The editor is neither its author nor an admin.
    """
    restores = editor.is_admin and changes.get("status") == VISIBLE
    with transaction() as session:
        lock_for_writing(session, post_id, editor, even_deleted=restores)
        values: dict[str, Any] = dict(changes)
        if "category" in changes:
            values["category_id"], values["category"] = ensure_category(session, changes["category"])
        session.execute(update(Post).where(Post.id == post_id).values(**values, updated_at=utc_now()))
        return _read_back(session, post_id)


@retried
def delete_post(post_id: str, *, editor: Caller) -> dict[str, str]:
    """
    Delete a post softly: its row stays, and nobody sees it.

    Args:
        post_id: Id of the post, 32 hex characters.
        editor: Who asks.

    Returns:
        Its id and new status.

    Raises:
        PostNotFound: It is deleted already, hidden from the editor, or was never there.
        Forbidden: The editor is neither its author nor an admin.
    """
    with transaction() as session:
        lock_for_writing(session, post_id, editor)
        session.execute(update(Post).where(Post.id == post_id).values(status=DELETED, updated_at=utc_now()))
    return {"id": post_id, "status": DELETED}


def is_seen_by(viewer: Caller | None, *, status: str, owner_id: str | None) -> bool:
    """
    Tell whether a viewer sees a post: a hidden one is for its author and admins, a deleted one for nobody.

    Args:
        viewer: Who looks; None for an anonymous caller.
        status: The post's status.
        owner_id: The ``sub`` of the post's author.
    """
    if status == HIDDEN:
        return viewer is not None and (viewer.is_admin or viewer.user_id == owner_id)
    return status == VISIBLE


def lock_seen_post(session: Session, post_id: str, viewer: Caller | None) -> Row[Any]:
    """
    Lock a post's row until the transaction ends, and return what decides over it.

    Whoever writes to more than the post's row locks it first: two transactions that first took the
    shared lock of a foreign key and then wanted the row would deadlock (MySQL error 1213).

    Returns:
        ``user_id``, ``status`` and ``like_count``.

    Raises:
        PostNotFound: It is deleted, hidden from the viewer, or was never there.
    """
    row = lock_post(session, post_id)
    if row is None or not is_seen_by(viewer, status=row.status, owner_id=row.user_id):
        raise PostNotFound
    return row


def add_to_counter(session: Session, post_id: str, counter: Any, amount: int | ColumnElement[int]) -> None:
    """Add to a count of a post, in SQL. ``updated_at`` stays."""
    set_counter(session, post_id, counter, counter + amount)


def set_counter(session: Session, post_id: str, counter: Any, value: int | ColumnElement[int]) -> None:
    """Set a count of a post, leaving ``updated_at`` as it is (MySQL's table would move it)."""
    values = {counter: value, Post.updated_at: Post.updated_at}
    session.execute(update(Post).where(Post.id == post_id).values(values))


def lock_post(session: Session, post_id: str) -> Row[Any] | None:
    """Lock a post's row until the transaction ends, whoever may see it; returns what decides over it."""
    columns = select(Post.user_id, Post.status, Post.like_count)
    return session.execute(columns.where(Post.id == post_id).with_for_update()).one_or_none()


def lock_for_writing(session: Session, post_id: str, editor: Caller, *, even_deleted: bool = False) -> None:
    """
    Lock a post's row until the transaction ends, if the editor may change the post.

    Raises:
        PostNotFound: It is deleted, hidden from the editor, or was never there.
        Forbidden: The editor is neither its author nor an admin.
    """
    row = lock_post(session, post_id)
    if even_deleted and row is not None and row.status == DELETED:
        return
    check_writable(row, editor)


def check_writable(row: Row[Any] | None, editor: Caller) -> None:
    """Refuse an editor as ``lock_for_writing`` does, by the ``user_id`` and ``status`` of a post's row."""
    if row is None or not is_seen_by(editor, status=row.status, owner_id=row.user_id):
        raise PostNotFound
    if editor.user_id != row.user_id and not editor.is_admin:
        raise Forbidden


def select_posts(*, excerpt: bool = False) -> Select[Any]:
    """Return the query for whole posts as rows, or with the text's first characters in its place."""
    text = func.substr(Post.content, 1, EXCERPT_CHARS).label("excerpt") if excerpt else Post.content
    return select(
        Post.id,
        Post.No,
        Post.title,
        text,
        Post.username,
        Post.user_id,
        Post.category,
        Post.category_id,
        Post.view_count,
        Post.like_count,
        Post.comment_count,
        Post.status,
        Post.created_at,
        Post.updated_at,
    )


def to_dict(row: Row[Any], media_files: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the API's post object of a row of ``select_posts`` and the post's media files."""
    post: dict[str, Any] = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    created_at, updated_at = post.pop("created_at"), post.pop("updated_at")
    return post | {
        "media_files": media_files,
        "media_count": len(media_files),
        "created_at": isoformat_utc(created_at),
        "updated_at": isoformat_utc(updated_at),
    }


def _read_back(session: Session, post_id: str) -> dict[str, Any]:
    row = session.execute(select_posts().where(Post.id == post_id)).one()
    return to_dict(row, media_files_of(session, [post_id])[post_id])
