"""Moderation: routes for admins, and users' reports."""

from flask import Response

from post import services
from post.auth_utils.guards import admin_required, current_user, token_required_to_write
from post.openapi.answers import TaskAnswer
from post.openapi.document import BEARER, MODERATION, answers, json_body, new_blueprint
from post.openapi.moderation_answers import (
    AdminPostListAnswer,
    LogAnswer,
    PinAnswer,
    PurgedPostAnswer,
    ReportAnswer,
    ReportListAnswer,
    ResolvedReportAnswer,
    UserAnswer,
    UserSuspensionAnswer,
)
from post.validators import (
    AdminListQuery,
    Because,
    Decision,
    LogQuery,
    NewReport,
    Pin,
    PostPath,
    ReportPath,
    ReportsQuery,
    Suspension,
    Unpin,
    UserPath,
)
from post.web.envelope import respond, respond_task
from post.web.request_checks import checked

bp = new_blueprint("moderation", __name__, url_prefix="/api/v1")


@bp.get("/admin/log", tags=[MODERATION], security=BEARER, responses=answers(LogAnswer, 400, 401, 403))
@admin_required
@checked
def list_log(query: LogQuery) -> Response:
    """List the moderation log, the newest row first."""
    filters = query.model_dump(include={"actor", "action", "post_id", "user_id"}, exclude_none=True)
    page = services.list_log(query.page_request(), filters)
    return respond(page.items, message="log_listed", meta=page.meta, links=page.links)


@bp.get("/admin/posts", tags=[MODERATION], security=BEARER, responses=answers(AdminPostListAnswer, 400, 401, 403))
@admin_required
@checked
def list_posts_for_admins(query: AdminListQuery) -> Response:
    """List posts of any status, with their open reports and who has deleted them."""
    filters = query.model_dump(include={"q", "category_id", "category", "user_id", "status"}, exclude_none=True)
    wanted, is_reported = query.page_request(query.sort), query.reported == "true"
    page = services.list_posts_for_admins(wanted, viewer=current_user(), is_reported=is_reported, **filters)
    return respond(page.items, message="posts_listed", meta=page.meta, links=page.links)


@bp.delete(
    "/admin/posts/<post_id>",
    tags=[MODERATION],
    security=BEARER,
    request_body=json_body(Because, is_required=False, nothing={}),
    responses=answers(PurgedPostAnswer, 400, 401, 403, 404, 409, 413, 415),
)
@admin_required
@checked
def purge_post(path: PostPath, body: Because) -> Response:
    """Erase a deleted post for good, with its images; only its number stays taken."""
    purged = services.purge_post(path.post_id, moderator=current_user().user_id, reason=body.reason)
    return respond(purged, message="post_purged" if purged["images_removed"] else "post_purged_but_images")


@bp.put(
    "/posts/<post_id>/pin",
    tags=[MODERATION],
    security=BEARER,
    responses=answers(PinAnswer, 400, 401, 403, 404, 409, 413, 415),
)
@admin_required
@checked
def pin_post(path: PostPath, body: Pin) -> Response:
    """Pin a visible post, of at most 10 a scope; the same once more changes nothing."""
    pinned = services.pin_post(path.post_id, scope=body.scope, moderator=current_user(), reason=body.reason)
    return respond(pinned, message="post_pinned")


@bp.delete(
    "/posts/<post_id>/pin",
    tags=[MODERATION],
    security=BEARER,
    request_body=json_body(Unpin, is_required=False, everywhere={}),
    responses=answers(PinAnswer, 400, 401, 403, 404, 413, 415),
)
@admin_required
@checked
def unpin_post(path: PostPath, body: Unpin) -> Response:
    """Take a post's pin away, that of one scope or both; without one, nothing changes."""
    unpinned = services.unpin_post(path.post_id, scope=body.scope, moderator=current_user(), reason=body.reason)
    return respond(unpinned, message="post_unpinned")


@bp.get("/admin/users/<sub>", tags=[MODERATION], security=BEARER, responses=answers(UserAnswer, 400, 401, 403))
@admin_required
@checked
def get_user(path: UserPath) -> Response:
    """Show a user's counts and state; zeros for a `sub` that was never seen."""
    return respond(services.get_user(path.sub), message="user_found")


@bp.put(
    "/admin/users/<sub>/suspension",
    tags=[MODERATION],
    security=BEARER,
    request_body=json_body(Suspension, is_required=False, forever={}),
    responses=answers(UserSuspensionAnswer, 400, 401, 403, 413, 415),
)
@admin_required
@checked
def suspend_user(path: UserPath, body: Suspension) -> Response:
    """Refuse a user's writes, until a time or without end; the same once more changes nothing."""
    moderator = current_user().user_id
    suspended = services.suspend_user(path.sub, moderator=moderator, until=body.until, reason=body.reason)
    return respond(suspended, message="user_suspended")


@bp.delete(
    "/admin/users/<sub>/suspension",
    tags=[MODERATION],
    security=BEARER,
    request_body=json_body(Because, is_required=False, nothing={}),
    responses=answers(UserSuspensionAnswer, 400, 401, 403, 413, 415),
)
@admin_required
@checked
def unsuspend_user(path: UserPath, body: Because) -> Response:
    """End a user's suspension; without one, nothing changes."""
    ended = services.unsuspend_user(path.sub, moderator=current_user().user_id, reason=body.reason)
    return respond(ended, message="user_unsuspended")


@bp.delete(
    "/admin/users/<sub>/posts",
    tags=[MODERATION],
    security=BEARER,
    request_body=json_body(Because, is_required=False, nothing={}),
    responses=answers(TaskAnswer, 400, 401, 403, 413, 415) | {202: TaskAnswer},
)
@admin_required
@checked
def delete_posts_of_user(path: UserPath, body: Because) -> Response:
    """Delete all posts of a user softly; 202 if that takes longer, and the same request shows its progress."""
    task = services.delete_posts_of_user(path.sub, moderator=current_user().user_id, reason=body.reason)
    return respond_task(task, message="posts_deleted")


@bp.post(
    "/posts/<post_id>/reports",
    tags=[MODERATION],
    security=BEARER,
    responses=answers(ReportAnswer, 400, 401, 403, 404, 409, 413, 415, status=201),
)
@token_required_to_write
@checked
def report_post(path: PostPath, body: NewReport) -> Response:
    """Report a post to the moderators, once."""
    report = services.report_post(path.post_id, reporter=current_user(), **body.model_dump())
    return respond(report, message="reported", status=201)


@bp.get("/admin/reports", tags=[MODERATION], security=BEARER, responses=answers(ReportListAnswer, 400, 401, 403))
@admin_required
@checked
def list_reports(query: ReportsQuery) -> Response:
    """List reports with their posts, the newest first."""
    page = services.list_reports(query.page_request(), state=query.state)
    return respond(page.items, message="reports_listed", meta=page.meta, links=page.links)


@bp.post(
    "/admin/reports/<report_id>/resolve",
    tags=[MODERATION],
    security=BEARER,
    responses=answers(ResolvedReportAnswer, 400, 401, 403, 404, 413, 415),
)
@admin_required
@checked
def resolve_report(path: ReportPath, body: Decision) -> Response:
    """Decide about a reported post, which resolves all its open reports; a resolved report stays as it is."""
    report = services.resolve_report(path.report_id, moderator=current_user().user_id, **body.model_dump())
    return respond(report, message="report_resolved" if report["resolution"] == body.action else "report_was_resolved")
