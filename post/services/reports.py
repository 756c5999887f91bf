"""Reports of posts by users, and the decisions of moderators about them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select

from post.components import components
from post.database.reads import Prepared
from post.database.writes import Statement, retried, transaction
from post.errors import AlreadyReported, PostNotFound, ReportNotFound
from post.models import (
    BY_AUTHOR,
    BY_MODERATOR,
    DELETE,
    DELETED,
    HIDDEN,
    HIDE,
    OPEN,
    VISIBLE,
    Post,
    Report,
    utc_now,
)
from post.paging import PageRequest
from post.services.counters import setting
from post.services.derived import IndexedPost, update_derived
from post.services.moderation_log import BY_REPORTS, Deed, record
from post.services.numbered_lists import Filter, NumberedList
from post.services.pages import ListPage
from post.services.post_rows import EXCERPT
from post.services.posts import DECIDED, LOCKED, STANDING, change_post, deletion, lock_post, lock_seen_post
from post.services.report_rows import resolve_reports
from post.utils import Caller, isoformat_utc, new_id

BACKLOG_MAX = 10_000  # open reports that are counted for the metric

_HIDDEN = {"status": HIDDEN, "hidden_by": BY_MODERATOR}
_NOW = utc_now().label("now")
_AUTHOR_ID = Post.user_id.label("author_id")
# Read under the post's lock, as others have committed it meanwhile.
_MINE = select(Report.No).where(Report.post_id == Post.id, Report.user_id == bindparam("reporter_id"))
_MINE_COLUMN = _MINE.with_for_update().scalar_subquery().label("mine")
_LOCKED_TO_REPORT = Statement(LOCKED.add_columns(*STANDING, _NOW, _MINE_COLUMN))
_LOCKED_TO_RESOLVE = Statement(LOCKED.add_columns(*STANDING, EXCERPT, Post.username, _AUTHOR_ID))
_COLUMNS = (
    Report.id,
    Report.post_id,
    Report.user_id,
    Report.reason,
    Report.text,
    Report.state,
    Report.created_at,
    Report.resolved_at,
    Report.resolved_by,
    Report.resolution,
)
_ADD = Statement(insert(Report), "created_at", "id", "post_id", "reason", "state", "text", "user_id")
_COUNT = Statement(setting(Post.report_count, Post.report_count + 1, post_id=bindparam("this_id")))
_POST_ID = select(Report.post_id).where(Report.id == bindparam("report_id"))
_REPORT = select(*_COLUMNS).where(Report.id == bindparam("report_id"))
_OF_POST = (Post.title, EXCERPT, Post.status, Post.hidden_by, Post.username, Post.report_count)
_LISTED = select(Report.No, *_COLUMNS, _AUTHOR_ID, *_OF_POST)
_LIST = NumberedList(
    _LISTED.join_from(Report, Post, Post.id == Report.post_id),
    Report,
    {"state": Filter(Report.state, "ix_reports_state_No")},
)
_SOME_OPEN = select(Report.No).where(Report.state == OPEN).limit(BACKLOG_MAX).subquery()
_OLDEST = select(Report.created_at).where(Report.state == OPEN).order_by(Report.No).limit(1)
_BACKLOG = Prepared(
    select(
        select(func.count()).select_from(_SOME_OPEN).scalar_subquery().label("number"),
        _OLDEST.scalar_subquery().label("oldest_at"),
        _NOW,
    ),
    replica_ok=False,
)


class Backlog(NamedTuple):
    """Open reports: their number, at most ``BACKLOG_MAX``, and the seconds since the oldest came; 0 without one."""

    number: int
    oldest_seconds: float


@retried
def report_post(post_id: str, *, reporter: Caller, reason: str, text: str | None = None) -> dict[str, Any]:
    """
    Report a post to the moderators, once for each user and post. ``REPORTS_TO_HIDE`` open ones hide a visible post.

    Args:
        post_id: Id of the post, 32 hex characters.
        reporter: From the verified token.
        reason: One of ``REPORT_REASONS``.
        text: The reporter's own words, at most 500 characters.

    Returns:
        The API's report object.

    Raises:
        AccountRestricted: The reporter has deactivated their account, or is suspended.
        PostNotFound: It is deleted, hidden from the reporter, or was never there.
        AlreadyReported: The reporter has reported it before, whatever became of that report.
    """
    with transaction() as connection:
        reporter_id = reporter.user_id
        row = lock_seen_post(connection, post_id, reporter, query=_LOCKED_TO_REPORT, reporter_id=reporter_id)
        if row.mine is not None:
            raise AlreadyReported
        values = {"id": new_id(), "post_id": post_id, "user_id": reporter_id, "reason": reason, "text": text}
        values |= {"state": OPEN, "created_at": row.now}
        _ADD.run_last(connection, values)
        _COUNT.run_last(connection, {"this_id": post_id})
        limit = components().settings.reports_to_hide
        if limit and row.report_count + 1 >= limit and row.status == VISIBLE:
            _hold(connection, post_id, row)
    return _to_dict(values | dict.fromkeys(("resolved_at", "resolved_by", "resolution")))


def _hold(connection: Connection, post_id: str, row: Any) -> None:
    """Hide a locked, visible post until a moderator decides."""
    change_post(connection, post_id, {**_HIDDEN, "held_since": row.now, "updated_at": row.next_moment})
    after = {**_HIDDEN, "reports": row.report_count + 1}
    record(connection, Deed(BY_REPORTS, "hide", _standing(row), after, post_id=post_id, user_id=row.user_id))
    indexed = IndexedPost.of(row)
    update_derived(connection, indexed, indexed._replace(status=HIDDEN))


def list_reports(wanted: PageRequest, *, state: str) -> ListPage:
    """
    Return a page of reports with their posts, the newest first.

    Args:
        wanted: The page.
        state: ``open`` or ``resolved``.
    """
    return _LIST.page(wanted, {"state": state}, show=_to_listed)


@retried
def resolve_report(report_id: str, *, moderator: str, action: str, reason: str | None = None) -> dict[str, Any]:
    """
    Decide about a reported post, which resolves all its open reports. A report that is resolved stays as it is.

    Args:
        report_id: Id of a report, 32 hex characters.
        moderator: The admin's ``sub``, or ``BY_SHELL``.
        action: ``dismiss`` shows a post again that its reports have hidden, and leaves any other as it is; ``hide``
            and ``delete`` do so as a moderator.
        reason: The moderator's, for the log.

    Returns:
        The API's report object, with its post.

    Raises:
        ReportNotFound: There is no such report.
        PostNotFound: The post is deleted, and cannot be hidden.
    """
    with transaction() as connection:
        values = {"report_id": report_id}
        post_id = connection.scalar(_POST_ID, values)
        row = None if post_id is None else lock_post(connection, post_id, None, query=_LOCKED_TO_RESOLVE)
        report = connection.execute(_REPORT.with_for_update(), values).one_or_none()
        if row is None or report is None:
            raise ReportNotFound
        shown = {**_standing(row), "report_count": row.report_count}
        if report.state == OPEN:
            shown |= _decide(connection, row, Deed(moderator, "resolve", reason=reason, post_id=post_id), action)
            report = connection.execute(_REPORT, values).one()
        return _to_dict(report._asdict()) | {"post": _post_of(row, **shown)}


def _decide(connection: Connection, row: Any, deed: Deed, action: str) -> dict[str, Any]:
    """Do what a moderator has decided about a locked post; returns the columns of it that are shown."""
    changed, post_id = _effect(row, action), str(deed.post_id)
    moment = row.next_moment if changed else row.updated_at
    change_post(connection, post_id, {"updated_at": moment, **changed, **DECIDED})
    before = _standing(row)
    after = before | {name: changed[name] for name in (*before, "deleted_by") if name in changed}
    resolved = resolve_reports(connection, post_id, moderator=deed.actor, resolution=action)
    record(connection, deed._replace(user_id=row.user_id, before=before, after=after | resolved))
    indexed = IndexedPost.of(row)
    update_derived(connection, indexed, indexed._replace(status=after["status"]))
    return after | {"report_count": 0}


def _effect(row: Any, action: str) -> dict[str, Any]:
    """Return the columns that a decision changes; see ``resolve_report`` for its refusal."""
    is_deleted = row.status == DELETED
    if action == HIDE:
        if is_deleted:
            raise PostNotFound
        return {} if _standing(row) == _HIDDEN else _HIDDEN
    if action == DELETE:
        return {} if is_deleted else deletion(row, by=BY_MODERATOR)
    is_held = row.status == HIDDEN and row.held_since is not None
    return {"status": VISIBLE, "hidden_by": None} if is_held else {}


def _standing(row: Any) -> dict[str, Any]:
    return {"status": row.status, "hidden_by": row.hidden_by}


def _to_dict(report: Mapping[str, Any]) -> dict[str, Any]:
    shown = {column.name: report[column.name] for column in _COLUMNS}
    moments = ("created_at", "resolved_at")
    return shown | {name: shown[name] and isoformat_utc(shown[name]) for name in moments}


def _to_listed(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [_to_dict(row._asdict()) | {"post": _post_of(row)} for row in rows]


def _post_of(row: Any, **changed: Any) -> dict[str, Any]:
    """Return what a moderator is shown of a reported post."""
    names = ("title", "excerpt", "status", "hidden_by", "username", "report_count")
    post = {name: changed.get(name, getattr(row, name)) for name in names}
    hidden_by = (post["hidden_by"] or BY_AUTHOR) if post["status"] == HIDDEN else None
    return {**post, "hidden_by": hidden_by, "user_id": row.author_id}


def report_backlog() -> Backlog:
    """Return the number and the age of the open reports."""
    (row,) = _BACKLOG.read()
    seconds = 0 if row.oldest_at is None else (row.now - row.oldest_at).total_seconds()
    return Backlog(row.number, max(0, seconds))
