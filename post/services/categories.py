"""Categories: made by themselves when a post names a new one."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from post.database import insert_unless_there, retried
from post.errors import CategoryExists
from post.models import VISIBLE, Category, Post, db, transaction
from post.utils import fold_case, isoformat_utc, new_id


def list_categories() -> list[dict[str, Any]]:
    """
    Return every category with its number of visible posts.

    Returns:
        ``{id, name, post_count, created_at}``, by name in code point order.
    """
    # Of each category by itself, which an index answers alone; grouped, MySQL reads the rows.
    visible = select(func.count()).where(Post.category_id == Category.id, Post.status == VISIBLE).scalar_subquery()
    query = select(Category.id, Category.name, visible, Category.created_at).order_by(Category.name)
    return [_to_dict(*row) for row in db.session.execute(query)]


@retried
def create_category(name: str) -> dict[str, Any]:
    """
    Create a category.

    Args:
        name: 1 to 50 characters, in NFC, trimmed, white space folded.

    Returns:
        The category, as ``list_categories`` gives it.

    Raises:
        CategoryExists: One of this name exists, letter case ignored.
    """
    with transaction() as session:
        category = Category(name=name, name_key=fold_case(name))
        session.add(category)
        try:
            session.flush()  # now, so that the constraint speaks inside this block
        except IntegrityError as exc:
            raise CategoryExists from exc
        return _to_dict(category.id, category.name, 0, category.created_at)


def ensure_category(session: Session, name: str) -> tuple[str, str]:
    """
    Find the category that a post names, or create it within the caller's transaction.

    Args:
        session: The session of the transaction that writes the post.
        name: As for ``create_category``.

    Returns:
        The category's id, and its name as the category has it.
    """
    key = fold_case(name)
    find = select(Category.id, Category.name).where(Category.name_key == key)
    found = session.execute(find).one_or_none()
    if found is None:
        insert_unless_there(session, Category, {"id": new_id(), "name": name, "name_key": key})
        found = session.execute(find).one()
    return found.id, found.name


def _to_dict(category_id: str, name: str, post_count: int, created_at: Any) -> dict[str, Any]:
    return {"id": category_id, "name": name, "post_count": post_count, "created_at": isoformat_utc(created_at)}
