"""One post: read, created, edited, and deleted softly."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from post.components import components
from post.database.reads import Prepared
from post.database.writes import Statement, retried, transaction
from post.errors import Forbidden, Moderated, PostNotFound, PreconditionFailed
from post.models import (
    BY_AUTHOR,
    BY_MODERATOR,
    DELETE,
    DELETED,
    DISMISS,
    HIDDEN,
    HIDE,
    VISIBLE,
    Post,
    next_moment,
)
from post.services.accounts import CALLER_COLUMN, refuse_restricted
from post.services.categories import ensure_category
from post.services.derived import IndexedPost, update_derived
from post.services.moderation_log import Deed, record
from post.services.post_rows import POST_COLUMNS, VIEWER_COLUMNS, PostRow, to_dicts
from post.services.report_rows import resolve_reports
from post.services.versions import (
    IsKnown,
    Versioned,
    common_version,
    edition_of,
    join_version,
    value_unless_cached,
    version_prefix,
    version_prefix_column,
)
from post.shared.view_counter import ViewCounter
from post.utils import Action, Caller, new_id

_THIS = Post.id == bindparam("post_id")
_POST = select(*POST_COLUMNS).where(_THIS)
_POST_FOR_VIEWER = _POST.add_columns(*VIEWER_COLUMNS)
_COUNTS = dict.fromkeys(("view_count", "like_count", "comment_count", "media_count", "moves"), 0)
_INSERT = Statement(insert(Post), *sorted({*PostRow._fields} - {"No", "is_liked"}))
_NUMBER = select(Post.No).where(_THIS)
_STATE = (Post.No, Post.user_id, Post.status, Post.hidden_by, Post.like_count, Post.media_count)
_MOMENT = next_moment().label("next_moment")
_INDEXED = (Post.category_id, Post.title, Post.created_at)
LOCKED = select(*_STATE, *_INDEXED, Post.updated_at, Post.moves, _MOMENT, CALLER_COLUMN).where(_THIS)
LOCKED = LOCKED.with_for_update()
_LOCKED = Statement(LOCKED)
# Further columns for who decides about a post.
STANDING = (Post.held_since, Post.purged_at, Post.report_count)
_LOCKED_STANDING = Statement(LOCKED.add_columns(*STANDING))
_LOCKED_WHOLE = Statement(_POST_FOR_VIEWER.add_columns(*STANDING, _MOMENT, CALLER_COLUMN).with_for_update())
_WHOLE, _WHOLE_FOR_VIEWER = Prepared(_POST), Prepared(_POST_FOR_VIEWER)
_PURGED = Prepared(select(Post.purged_at.isnot(None).label("is_purged")).where(_THIS))
DECIDED = {"held_since": None, "report_count": 0}  # by an admin, whose decision it is from now on
_BRIEF = select(Post.user_id, Post.status, Post.view_count).where(_THIS)
_VERSION, _VERSION_FOR_VIEWER = (
    Prepared(_BRIEF.add_columns(version_prefix_column(for_viewer=for_viewer).label("prefix")))
    for for_viewer in (False, True)
)


def get_post(
    post_id: str,
    *,
    viewer: Caller | None = None,
    views: ViewCounter | None = None,
    address: str | None = None,
    is_known: IsKnown | None = None,
) -> Versioned[dict[str, Any]]:
    """
    Return a post, and count the view if it is the address's first within the window.

    Args:
        post_id: Id of the post, 32 hex characters.
        viewer: The caller; None for an anonymous one.
        views: The counter of views; None counts nothing.
        address: The client's IP address, behind all proxies.
        is_known: Returns whether the client has a version of the post already; it is then not read whole.

    Returns:
        The post object of the API, this view included.

    Raises:
        PostNotFound: It was never there, or is hidden from this viewer, or is deleted and the viewer no admin.
    """
    whole, version_query = (_WHOLE, _VERSION) if viewer is None else (_WHOLE_FOR_VIEWER, _VERSION_FOR_VIEWER)
    row = _seen_row(whole if is_known is None else version_query, post_id, viewer)
    comments = components().comment_counter
    if comments is not None:
        comments.refresh([post_id])
    view_count = row.view_count + _pending_views(row, post_id, views, address)
    if is_known is not None:
        version = join_version(row.prefix, view_count) + common_version(viewer)
        if is_known(version):
            return Versioned(version, None)
        row = _seen_row(whole, post_id, viewer)
    version = join_version(version_prefix(row, for_viewer=viewer is not None), view_count) + common_version(viewer)
    return value_unless_cached(
        version, is_known, lambda: to_dicts([row], viewer=viewer)[0] | {"view_count": view_count}
    )


def _pending_views(row: Row[Any], post_id: str, views: ViewCounter | None, address: str | None) -> int:
    """Return the views that the row does not have yet, this one included if it counts."""
    if views is None:
        return 0
    if row.status == VISIBLE and address:
        return views.count(post_id, address, stored=row.view_count)
    return views.pending(post_id, stored=row.view_count)


def _seen_row(query: Prepared, post_id: str, viewer: Caller | None) -> Any:
    rows = query.read({"post_id": post_id} | ({} if viewer is None else {"viewer_id": viewer.user_id}))
    if rows and viewer is not None and viewer.is_admin and rows[0].status == DELETED:  # who may restore it
        [(is_purged,)] = _PURGED.read({"post_id": post_id})
        if not is_purged:
            return rows[0]
    return check_seen(next(iter(rows), None), viewer)


@retried
def create_post(*, author: Caller, title: str, content: str, category: str, status: str = VISIBLE) -> dict[str, Any]:
    """
    Create a post.

    Args:
        author: From the verified token.
        title: Trimmed, in NFC.
        content: In NFC.
        category: A category's name; a new one is created.
        status: ``visible``, or ``hidden`` for a draft.

    Returns:
        The post object of the API.

    Raises:
        AccountRestricted: The author has deactivated their account, or is suspended.
        Forbidden: The category is new, and the author may not create it.
        CategoryLimitReached: It is new, and there are too many.
    """
    with transaction() as connection:
        row = insert_post(connection, author=author, title=title, content=content, category=category, status=status)
        update_derived(connection, None, IndexedPost.of(row))
    return to_dicts([row], viewer=author)[0]


def insert_post(connection: Connection, *, author: Caller, title: str, content: str, category: str, status: str) -> Any:
    """
    Insert a post within the caller's transaction, which must ``update_derived`` too. Arguments as above.

    Returns:
        The post's row, with ``VIEWER_COLUMNS``.
    """
    found = ensure_category(connection, category, author=author)
    # All values, so that no query has to read back those that the database would give.
    values: dict[str, Any] = {"id": new_id(), "title": title, "content": content, **_COUNTS}
    values |= {"user_id": author.user_id, "username": author.username}
    values |= {"category_id": found.id, "category": found.name}
    values |= {"status": status, "hidden_by": BY_AUTHOR if status == HIDDEN else None}
    values |= {"created_at": found.now, "updated_at": found.now}
    inserted = _INSERT.run(connection, values)
    # On SQLite a trigger assigns the number.
    is_sqlite = connection.dialect.name == "sqlite"
    number = connection.scalar(_NUMBER, {"post_id": values["id"]}) if is_sqlite else inserted.lastrowid
    return PostRow(**values, No=number, is_liked=False)


@retried
def edit_post(
    post_id: str,
    *,
    editor: Caller,
    changes: dict[str, str],
    reason: str | None = None,
    is_unchanged: IsKnown | None = None,
) -> dict[str, Any]:
    """
    Change the named columns of a post. An admin's change of its status, or of another's text, is logged.

    Args:
        post_id: Id of the post, 32 hex characters.
        editor: The caller.
        changes: Any of ``title``, ``content``, ``category`` (a name) and ``status`` (``visible``
            or ``hidden``); an admin's ``visible`` restores a deleted post.
        reason: An admin's, for the moderation log.
        is_unchanged: Returns whether an edition is the one that the editor has read; None if any may be changed.

    Returns:
        The post object of the API.

    Raises:
        AccountRestricted: The editor has deactivated their account, or is suspended.
        PostNotFound: It is deleted, hidden from the editor, or was never there.
        Forbidden: The editor is neither its author nor an admin, or may not create a new category.
        CategoryLimitReached: The category is new, and there are too many.
        Moderated: An admin has hidden it, and the editor, who is none, would make it visible.
        PreconditionFailed: It was edited since the editor has read it.
    """
    restores = editor.is_admin and changes.get("status") == VISIBLE
    with transaction() as connection:
        before = lock_post(connection, post_id, editor, query=_LOCKED_WHOLE)
        if not (restores and before is not None and before.status == DELETED and before.purged_at is None):
            check_writable(before, editor)
        values: dict[str, Any] = dict(changes)
        if "status" in changes:
            values |= _standing(before, editor, status=changes["status"])
        _check_unchanged(before, is_unchanged)
        if "category" in changes:
            found = ensure_category(connection, changes["category"], author=editor, post=before)
            values |= {"category_id": found.id, "category": found.name}
        values["updated_at"] = before.next_moment
        change_post(connection, post_id, values)
        shown = {name: value for name, value in values.items() if name in PostRow._fields}
        row = PostRow._make(before[: len(PostRow._fields)])._replace(**shown)
        if editor.is_admin:
            record(connection, *_deeds(connection, before, row, editor=editor, changes=changes, reason=reason))
        update_derived(connection, IndexedPost.of(before), IndexedPost.of(row))
        return to_dicts([row], viewer=editor, connection=connection)[0]


def change_post(connection: Connection, post_id: str, values: Mapping[str, Any]) -> None:
    """
    Set columns of a post with the COMMIT of the caller's transaction, which has locked its row.

    Args:
        connection: The transaction's.
        post_id: Id of the post, 32 hex characters.
        values: By name; MySQL moves ``updated_at`` where it is not among them.
    """
    _update(*sorted(values)).run_last(connection, {"post_id": post_id, **values})


@cache  # one for each set of columns that people may change together
def _update(*columns: str) -> Statement:
    return Statement(update(Post).where(_THIS), *columns)


def _deeds(
    connection: Connection, before: Any, after: Any, *, editor: Caller, changes: dict[str, str], reason: str | None
) -> Iterator[Deed]:
    """Return the rows of the log for an admin's edit, and resolve the reports that a new status decides about."""
    old, new = ({"status": row.status, "hidden_by": row.hidden_by} for row in (before, after))
    fields = sorted({*changes} - {"status"}) if editor.user_id != before.user_id else []
    if fields:
        new["fields"] = fields
    action: Action = "edit"
    if "status" in changes:
        action, resolution = ("hide", HIDE) if after.status == HIDDEN else ("restore", DISMISS)
        if before.report_count:
            new |= resolve_reports(connection, before.id, moderator=editor.user_id, resolution=resolution)
    if new != old or (before.held_since is not None and "status" in changes):
        yield Deed(editor.user_id, action, old, new, reason, post_id=before.id, user_id=before.user_id)


def _standing(before: Any, editor: Caller, *, status: str) -> dict[str, Any]:
    """Return the columns beside its status of a locked post that gets one; see ``edit_post`` for its refusal."""
    standing: dict[str, Any] = {"hidden_by": _hidden_by(before, editor, status=status)}
    if editor.is_admin:
        standing |= DECIDED
    if before.status == DELETED:
        standing |= {"deleted_at": None, "deleted_by": None}
    return standing


def _hidden_by(before: Any, editor: Caller, *, status: str) -> str | None:
    """Return the new ``hidden_by`` of a locked post that gets a status; see ``edit_post`` for its refusal."""
    is_moderated = before.status == HIDDEN and before.hidden_by == BY_MODERATOR
    if status == HIDDEN:
        return BY_AUTHOR if editor.user_id == before.user_id and not is_moderated else BY_MODERATOR
    if is_moderated and not editor.is_admin:
        raise Moderated
    return None


@retried
def delete_post(
    post_id: str, *, editor: Caller, reason: str | None = None, is_unchanged: IsKnown | None = None
) -> dict[str, str]:
    """
    Delete a post softly: its row stays, and nobody sees it. Arguments as for ``edit_post``.

    Returns:
        Its id and new status.

    Raises:
        AccountRestricted: The editor has deactivated their account, or is suspended.
        PostNotFound: It is deleted already, hidden from the editor, or was never there.
        Forbidden: The editor is neither its author nor an admin.
        PreconditionFailed: It was edited since the editor has read it.
    """
    with transaction() as connection:
        row = check_writable(lock_post(connection, post_id, editor, query=_LOCKED_STANDING), editor)
        _check_unchanged(row, is_unchanged)
        before, by = IndexedPost.of(row), BY_AUTHOR if editor.user_id == row.user_id else BY_MODERATOR
        change_post(connection, post_id, deletion(row, by=by) | (DECIDED if editor.is_admin else {}))
        if editor.is_admin:
            old, new = {"status": row.status, "hidden_by": row.hidden_by}, {"status": DELETED, "deleted_by": by}
            if row.report_count:
                new |= resolve_reports(connection, post_id, moderator=editor.user_id, resolution=DELETE)
            record(connection, Deed(editor.user_id, "delete", old, new, reason, post_id=post_id, user_id=row.user_id))
        update_derived(connection, before, before._replace(status=DELETED))
    return {"id": post_id, "status": DELETED}


def deletion(row: Any, *, by: str) -> dict[str, Any]:
    """Return the columns that delete a locked post softly, ``by`` its author or a moderator."""
    return {"status": DELETED, "deleted_by": by, "deleted_at": row.next_moment, "updated_at": row.next_moment}


def _check_unchanged(row: Any, is_unchanged: IsKnown | None) -> None:
    """Refuse to write to a locked post that was edited meanwhile."""
    if is_unchanged is not None and not is_unchanged(edition_of(row)):
        raise PreconditionFailed


def lock_seen_post(
    connection: Connection, post_id: str, viewer: Caller | None, *, query: Statement = _LOCKED, **values: Any
) -> Any:
    """Lock and return a post's row as ``lock_post`` does, if the viewer may see it as ``check_seen`` decides."""
    return check_seen(lock_post(connection, post_id, viewer, query=query, **values), viewer)


def lock_post(
    connection: Connection, post_id: str, caller: Caller | None, *, query: Statement = _LOCKED, **values: Any
) -> Any:
    """
    Lock a post's row until the transaction ends, whoever may see it.

    A transaction that writes to other tables too locks the post first. Two that took the shared lock
    of a foreign key and then wanted the row would deadlock (MySQL error 1213).

    Args:
        connection: The transaction's.
        post_id: Id of the post, 32 hex characters.
        caller: The one who writes; None for nobody with an account.
        query: ``LOCKED``, with any further columns.
        values: Values of their parameters; a ``caller_id`` of another account that may not be restricted.

    Returns:
        The query's row; None if the post was never there.

    Raises:
        AccountRestricted: The caller has deactivated their account, or is suspended.
    """
    caller_id = "" if caller is None else caller.user_id
    values = {"caller_id": caller_id, "viewer_id": caller_id} | values | {"post_id": post_id}
    row = query.first(connection, values)
    if row is not None:
        refuse_restricted(row)
    return row


def check_seen(row: Any, viewer: Caller | None) -> Any:
    """
    Return a post's row if a viewer may see the post.

    Args:
        row: With ``user_id`` and ``status``; None if there is no such post.
        viewer: The caller; None for an anonymous one.

    Raises:
        PostNotFound: There is none, it is deleted, or it is hidden and the viewer neither its author nor an admin.
    """
    if row is None or not _is_seen_by(viewer, row):
        raise PostNotFound
    return row


def _is_seen_by(viewer: Caller | None, row: Any) -> bool:
    if row.status == HIDDEN:
        return viewer is not None and (viewer.is_admin or viewer.user_id == row.user_id)
    return bool(row.status == VISIBLE)


def check_writable(row: Any, editor: Caller) -> Any:
    """
    Return a post's row if an editor may change the post. Arguments and errors as for ``check_seen``.

    Raises:
        Forbidden: The editor is neither its author nor an admin.
    """
    check_seen(row, editor)
    if editor.user_id != row.user_id and not editor.is_admin:
        raise Forbidden
    return row
