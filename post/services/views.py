"""Views, as the view counter has them written: many posts' at a time."""

from collections.abc import Mapping

from sqlalchemy import case, update
from sqlalchemy.exc import SQLAlchemyError

from post.database import is_away, retried
from post.models import Post, transaction
from post.view_counter import ViewsNotWritten


def add_views(views: Mapping[str, int]) -> None:
    """
    Add to the view counts of posts, in one transaction. ``updated_at`` stays.

    Args:
        views: How many, by post id.

    Raises:
        ViewsNotWritten: The database cannot be written to.
    """
    try:
        _add_views(views)
    except SQLAlchemyError as exc:
        if not is_away(exc):
            raise
        raise ViewsNotWritten from exc


@retried
def _add_views(views: Mapping[str, int]) -> None:
    amount = case(dict(views), value=Post.id)
    with transaction() as session:
        # The rows are locked by rising id, as every other batch locks them.
        values = {Post.view_count: Post.view_count + amount, Post.updated_at: Post.updated_at}
        session.execute(update(Post).where(Post.id.in_(sorted(views))).values(values))
