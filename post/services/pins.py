"""Pins: posts that are shown apart on the first page of all posts, or of their own category."""

from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from post.database.writes import Statement, insert_unless_there, retried, transaction
from post.errors import PinLimitReached, PostNotFound
from post.models import VISIBLE, Lock, Pin, Post
from post.services.moderation_log import Deed, record
from post.services.page_queries import IN_CATEGORY, PINS_MAX
from post.services.posts import LOCKED, lock_post
from post.utils import Action, Caller, PinScope

_LOCKED = Statement(LOCKED.add_columns(Post.id, Post.purged_at))


@retried
def pin_post(post_id: str, *, scope: PinScope, moderator: Caller, reason: str | None = None) -> dict[str, Any]:
    """
    Pin a post; a second call changes nothing.

    Args:
        post_id: Id of the post, 32 hex characters.
        scope: ``all`` for the first page of all posts, ``category`` for that of the post's category.
        moderator: The caller, an admin.
        reason: Their own words, for the moderation log.

    Returns:
        ``{id, scope, pinned}``.

    Raises:
        AccountRestricted: The moderator has deactivated their account, or is suspended.
        PostNotFound: It was never there, or is not visible: nobody would see the pin.
        PinLimitReached: The scope has 10 posts that are shown. Those that are hidden or deleted take no room.
    """
    with transaction() as connection:
        post = lock_post(connection, post_id, moderator, query=_LOCKED)
        if post is None or post.status != VISIBLE:
            raise PostNotFound
        if scope not in _scopes_of(connection, post_id):
            # One transaction at a time counts and inserts: each has its post's lock already.
            insert_unless_there(connection, Lock, {"name": Pin.__tablename__})
            if _count_shown(connection, scope, post.category_id) >= PINS_MAX:
                raise PinLimitReached
            connection.execute(insert(Pin).values(post_id=post_id, scope=scope))
            record(connection, _deed(post, scope, moderator, reason, is_pinned=True))
    return {"id": post_id, "scope": scope, "pinned": True}


@retried
def unpin_post(post_id: str, *, scope: PinScope | None, moderator: Caller, reason: str | None = None) -> dict[str, Any]:
    """
    Take a post's pin away; without one, nothing changes. A post that is hidden or deleted may have one too.

    Args:
        post_id: Id of the post, 32 hex characters.
        scope: As for ``pin_post``; None for both.
        moderator: The caller, an admin.
        reason: Their own words, for the moderation log.

    Returns:
        ``{id, scope, pinned}``.

    Raises:
        AccountRestricted: The moderator has deactivated their account, or is suspended.
        PostNotFound: It was never there, or is erased.
    """
    with transaction() as connection:
        post = lock_post(connection, post_id, moderator, query=_LOCKED)
        if post is None or post.purged_at is not None:
            raise PostNotFound
        for pinned in _scopes_of(connection, post_id):
            if scope in (None, pinned):
                connection.execute(delete(Pin).where(Pin.post_id == post_id, Pin.scope == pinned))
                record(connection, _deed(post, pinned, moderator, reason, is_pinned=False))
    return {"id": post_id, "scope": scope, "pinned": False}


def _scopes_of(connection: Connection, post_id: str) -> list[PinScope]:
    """Return the scopes that a locked post is pinned in."""
    found = select(Pin.scope).where(Pin.post_id == post_id).order_by(Pin.scope)
    return [*connection.scalars(found)]


def _count_shown(connection: Connection, scope: PinScope, category_id: str | None) -> int:
    shown = select(Pin.post_id).select_from(Pin).join(Post, Post.id == Pin.post_id)
    shown = shown.where(Pin.scope == scope, Post.status == VISIBLE)
    if scope == IN_CATEGORY:
        shown = shown.where(Post.category_id == category_id)
    shown = shown.prefix_with("STRAIGHT_JOIN", dialect="mysql").limit(PINS_MAX)
    return connection.scalar(select(func.count()).select_from(shown.subquery())) or 0


def _deed(post: Any, scope: str, moderator: Caller, reason: str | None, *, is_pinned: bool) -> Deed:
    before, after = {"scope": scope, "pinned": not is_pinned}, {"scope": scope, "pinned": is_pinned}
    category_id = post.category_id if scope == IN_CATEGORY else None
    action: Action = "pin" if is_pinned else "unpin"
    who = {"post_id": post.id, "user_id": post.user_id, "category_id": category_id}
    return Deed(moderator.user_id, action, before, after, reason, **who)
