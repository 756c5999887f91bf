"""Categories: created on request, or by the first post that names one."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select
from sqlalchemy.exc import IntegrityError

from post.components import components
from post.database.reads import Prepared
from post.database.writes import after_transaction, insert_unless_there, retried, transaction
from post.errors import CategoryExists
from post.models import Category, PostCount
from post.services.derived import CATEGORY
from post.services.versions import IsKnown, Versioned, value_unless_cached
from post.utils import fold_case, isoformat_utc, new_id

_POST_COUNT = (
    select(func.coalesce(func.sum(PostCount.visible), 0))
    .where(PostCount.scope == CATEGORY, PostCount.subject == Category.id)
    .scalar_subquery()
)
_NAMED = select(Category.id, Category.name, Category.created_at).where(Category.name_key == bindparam("name_key"))
_LIST = select(Category.id, Category.name, _POST_COUNT.label("post_count"), Category.created_at).order_by(Category.name)
_CATEGORIES = Prepared(_LIST)
_CATEGORIES_ON_PRIMARY = Prepared(_LIST, replica_ok=False)


def list_categories(*, is_known: IsKnown | None = None) -> Versioned[list[dict[str, Any]]]:
    """
    Return every category with its number of visible posts.

    Args:
        is_known: Returns whether the client has a version of the list already.

    Returns:
        ``{id, name, post_count, created_at}``, by name in code point order.
    """
    categories = components().category_cache.read(
        lambda: _to_dicts(_CATEGORIES.read()), load_from_primary=lambda: _to_dicts(_CATEGORIES_ON_PRIMARY.read())
    )
    version = " ".join(f"{category['id']}:{category['post_count']}" for category in categories)
    return value_unless_cached(version, is_known, lambda: categories)


def _to_dicts(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [_to_dict(*row) for row in rows]


@retried
def create_category(name: str) -> dict[str, Any]:
    """
    Create a category.

    Args:
        name: 1 to 50 characters, in NFC, trimmed, white space folded.

    Returns:
        The category, as in ``list_categories``.

    Raises:
        CategoryExists: There is one of this name, letter case ignored.
    """
    row = {"id": new_id(), "name": name, "name_key": fold_case(name)}
    with transaction() as connection:
        try:
            connection.execute(insert(Category), row)
        except IntegrityError as exc:
            raise CategoryExists from exc
        after_transaction(components().category_cache.forget)
        created = connection.execute(_NAMED, row).one()
        return _to_dict(created.id, created.name, 0, created.created_at)


def ensure_category(connection: Connection, name: str) -> tuple[str, str]:
    """
    Find a post's category by its name, or create it within the caller's transaction.

    Args:
        connection: That of the transaction that writes the post.
        name: As for ``create_category``.

    Returns:
        The category's id and its own spelling of the name.
    """
    key = {"name_key": fold_case(name)}
    found = connection.execute(_NAMED, key).one_or_none()
    if found is None:
        insert_unless_there(connection, Category, {"id": new_id(), "name": name, **key})
        after_transaction(components().category_cache.forget)
        found = connection.execute(_NAMED, key).one()
    return found.id, found.name


def _to_dict(category_id: str, name: str, post_count: Any, created_at: Any) -> dict[str, Any]:
    return {"id": category_id, "name": name, "post_count": int(post_count), "created_at": isoformat_utc(created_at)}
