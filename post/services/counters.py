"""Views, as the view counter has them written: many posts' at a time."""

import logging
from collections.abc import Mapping

from sqlalchemy import case, update
from sqlalchemy.exc import SQLAlchemyError

from post.database.faults import is_away
from post.database.writes import transaction
from post.models import Post
from post.services.post_rows import counts_alone
from post.shared.view_counter import ViewsNotWritten

logger = logging.getLogger(__name__)


def add_views(views: Mapping[str, int]) -> None:
    """
    Add to the view counts of posts, in one transaction. ``updated_at`` stays.

    It is not tried again here: views can wait, and whoever views a post must not.

    Args:
        views: How many, by post id.

    Raises:
        ViewsNotWritten: The database cannot be written to; nothing was.
    """
    values = counts_alone({Post.view_count: Post.view_count + case(dict(views), value=Post.id)})
    is_sent = False
    try:
        with transaction() as connection:
            # The rows are locked by rising id, as every other batch locks them.
            connection.execute(update(Post).where(Post.id.in_(sorted(views))).values(values))
            is_sent = True
    except SQLAlchemyError as exc:
        if not is_away(exc):
            raise
        if not is_sent:
            raise ViewsNotWritten from exc
        # The answer to COMMIT was lost: what may have been counted must not be counted again.
        logger.warning("views_in_doubt", extra={"posts": len(views)})
