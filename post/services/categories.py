"""Categories: created on request, or by the first post that names one."""

from typing import Any

from sqlalchemy import Connection, bindparam, func, or_, select
from sqlalchemy.orm import aliased

from post.components import components
from post.database.reads import Prepared, read
from post.database.writes import Statement, after_transaction, insert_unless_there, retried, transaction
from post.errors import CategoryExists, CategoryLimitReached, CategoryNotFound, FieldProblem, Forbidden
from post.models import Category, Lock, PostCount, utc_now
from post.services.accounts import CALLER_COLUMN, refuse_restricted
from post.services.derived import CATEGORY
from post.services.versions import IsKnown, Versioned, value_unless_cached
from post.text import name_key
from post.utils import DEFAULT_CATEGORY, Caller, isoformat_utc, new_id

CATEGORIES_MAX = 1000  # the list is read whole

_POST_COUNT = (
    select(func.coalesce(func.sum(PostCount.visible), 0))
    .where(PostCount.scope == CATEGORY, PostCount.subject == Category.id)
    .scalar_subquery()
)
_COLUMNS = (Category.id, Category.name, Category.created_at, Category.is_open, Category.merged_into)
# A shared lock, as the post's foreign key will acquire it anyway: until the transaction ends nobody renames, closes,
# merges or deletes the category.
_FOUND = select(*_COLUMNS, utc_now().label("now"), CALLER_COLUMN).with_for_update(read=True)
_TARGET = Statement(_FOUND.where(Category.id == bindparam("category_id")))


# A category is found without a lock, and locked by its id if it still has the name. A transaction that waits for a lock
# by the key, while another gives the category a new name, gets it: for the index's entry of a name that has gone. The
# next to insert that name waits for the lock, and holds that of ``lock_names``, for which the first one waits then.
_SEEN = aliased(Category)
_SEEN_KEY, _HAS_KEY = (category.name_key == bindparam("name_key") for category in (_SEEN, Category))
_KEYED = Statement(_FOUND.where(Category.id == select(_SEEN.id).where(_SEEN_KEY).scalar_subquery(), _HAS_KEY))
# Of two names of earlier releases that look alike, one has another key than its own: it is found as it is written,
# where nothing else is.
_SEEN_NAME, _HAS_NAME = (category.name == bindparam("name") for category in (_SEEN, Category))
_SEEN_EITHER = select(_SEEN.id).where(or_(_SEEN_KEY, _SEEN_NAME)).order_by(_SEEN_KEY.desc()).limit(1)
_NAMED = Statement(_FOUND.where(Category.id == _SEEN_EITHER.scalar_subquery(), or_(_HAS_KEY, _HAS_NAME)))
_NUMBER = select(func.count()).select_from(Category)
_SHOWN = select(
    Category.id,
    Category.name,
    _POST_COUNT.label("post_count"),
    Category.is_open,
    Category.position,
    Category.created_at,
)
_LIST = _SHOWN.order_by(Category.position, Category.name)
_ANYWHERE, _ON_PRIMARY = Prepared(_LIST), Prepared(_LIST, replica_ok=False)
_ONE = _SHOWN.where(Category.id == bindparam("category_id"))


def list_categories(*, is_known: IsKnown | None = None) -> Versioned[list[dict[str, Any]]]:
    """
    Return every category with its number of visible posts.

    Args:
        is_known: Returns whether the client has a version of the list already.

    Returns:
        ``{id, name, post_count, is_open, position, created_at}``, by position, then by name in code point order.
    """
    categories = components().category_cache.read(
        lambda: _load(_ANYWHERE), load_from_primary=lambda: _load(_ON_PRIMARY)
    )
    # All but ``created_at``, which does not change; no name has a line break.
    version = "\n".join(" ".join(map(str, [*category.values()][:-1])) for category in categories)
    return value_unless_cached(version, is_known, lambda: categories)


def get_category(category_id: str) -> dict[str, Any]:
    """
    Return a category as it is now, as in ``list_categories``.

    Raises:
        CategoryNotFound: There is none.
    """
    rows = read(_ONE, {"category_id": category_id}, replica_ok=False)
    if not rows:
        raise CategoryNotFound
    return _to_dict(rows[0])


def _load(query: Prepared) -> list[dict[str, Any]]:
    return [_to_dict(row) for row in query.read()]


@retried
def create_category(name: str, *, creator: Caller) -> dict[str, Any]:
    """
    Create a category.

    Args:
        name: 1 to 50 characters, in NFC, trimmed, white space folded.
        creator: The caller.

    Returns:
        The category, as in ``list_categories``.

    Raises:
        Forbidden: Only admins may create categories here, and the creator is none.
        CategoryExists: There is one of this name, letter case ignored.
        CategoryLimitReached: There are 1,000 already.
    """
    if not _may_create(creator):
        raise Forbidden
    with transaction() as connection:
        row, is_new = _find_or_insert(connection, name, creator)
        if not is_new:
            raise CategoryExists
        new = {"id": row.id, "name": row.name, "post_count": 0, "is_open": row.is_open, "position": 0}
        return new | {"created_at": isoformat_utc(row.created_at)}


def ensure_category(connection: Connection, name: str, *, author: Caller, post: Any = None) -> Any:
    """
    Find a post's category by its name, or create it within the caller's transaction.

    Args:
        connection: That of the transaction that writes the post.
        name: As for ``create_category``.
        author: The one who writes the post.
        post: The post's locked row, with ``category_id``; None for a new one.

    Returns:
        A row with the category's ``id``, its own spelling of the ``name``, and the database's time, ``now``. For a
        category that is being merged it is that into which its posts move. It stays so until the transaction ends.

    Raises:
        AccountRestricted: The author has deactivated their account, or is suspended.
        Forbidden: The name is new, and only admins may create categories here. Anybody may create the default one.
            Or the category is closed: it takes no new post, and none from another category but by an admin.
        CategoryLimitReached: The name is new, and there are 1,000 categories already.
    """
    found = named = _find(connection, name, author)
    if found is None:
        if name != DEFAULT_CATEGORY and not _may_create(author):
            raise Forbidden
        found, _ = _find_or_insert(connection, name, author)
    elif found.merged_into is not None:
        found = _TARGET.first(connection, {"category_id": found.merged_into, "caller_id": author.user_id})
    refuse_restricted(found)
    stays = post is not None and (author.is_admin or post.category_id in (found.id, named and named.id))
    if not found.is_open and not stays:
        raise Forbidden(FieldProblem("category", "category_closed"))
    return found


def _may_create(caller: Caller) -> bool:
    return caller.is_admin or components().settings.category_creation == "anyone"


def _find(connection: Connection, name: str, caller: Caller) -> Any:
    values = {"name": name, "name_key": name_key(name), "caller_id": caller.user_id}
    # First by the key alone, which is faster.
    return _KEYED.first(connection, values) or _NAMED.first(connection, values)


def lock_names(connection: Connection) -> None:
    """Take turns with all others that give a category a name, until the transaction ends."""
    insert_unless_there(connection, Lock, {"name": Category.__tablename__})


def _find_or_insert(connection: Connection, name: str, caller: Caller) -> tuple[Any, bool]:
    """Return the category of a name, and whether it was inserted; one transaction at a time does that."""
    lock_names(connection)
    found = _find(connection, name, caller)
    if found is not None:
        return found, False
    if (connection.scalar(_NUMBER) or 0) >= CATEGORIES_MAX:
        raise CategoryLimitReached
    row = {"id": new_id(), "name": name, "name_key": name_key(name)}
    insert_unless_there(connection, Category, row)  # an earlier release inserts without the lock
    after_transaction(components().category_cache.forget)
    found = _find(connection, name, caller)
    return found, found.id == row["id"]


def _to_dict(row: Any) -> dict[str, Any]:
    category: dict[str, Any] = dict(zip(row._fields, row, strict=True))
    return category | {"post_count": int(row.post_count), "created_at": isoformat_utc(row.created_at)}
