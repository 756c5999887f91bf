"""Open reports of a post, resolved in the transaction that decides about it."""

from typing import Any

from sqlalchemy import Connection, update

from post.models import OPEN, RESOLVED, Report, utc_now


def resolve_reports(connection: Connection, post_id: str, *, moderator: str, resolution: str) -> dict[str, Any]:
    """
    Resolve a post's open reports within the caller's transaction, which sets ``report_count`` to 0.

    Args:
        connection: The transaction's, which has locked the post's row.
        post_id: The post's id.
        moderator: The actor, as in the log.
        resolution: ``dismiss``, ``hide`` or ``delete``.

    Returns:
        The part of the log about them: ``{resolution, reports}``.
    """
    of_post = update(Report).where(Report.post_id == post_id, Report.state == OPEN)
    # By the index on the state, MySQL would lock the open reports of other posts, too.
    of_post = of_post.with_hint("FORCE INDEX (uq_reports_post_id)", dialect_name="mysql")
    values = {"state": RESOLVED, "resolved_at": utc_now(), "resolved_by": moderator, "resolution": resolution}
    resolved = connection.execute(of_post.values(values)).rowcount
    return {"resolution": resolution, "reports": resolved}
