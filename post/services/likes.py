"""Likes: one per user and post; the post's count always equals the rows."""

from typing import Any, Literal, NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update

from post.database.reads import Prepared
from post.database.writes import Statement, retried, transaction
from post.errors import Forbidden
from post.models import Like, Post
from post.services.counters import setting
from post.services.post_rows import IS_LIKED
from post.services.posts import LOCKED, check_seen, lock_seen_post
from post.telemetry import metrics
from post.utils import Caller, new_id

_IS_MINE = (Like.post_id == bindparam("post_id")) & (Like.user_id == bindparam("user_id"))
# The like is read under the post's lock: only once that row is there, whose id it asks for, and as others have
# committed it meanwhile.
_LIKE = select(Like.is_anonymous).where(Like.post_id == Post.id, Like.user_id == bindparam("user_id"))
_LOCKED = Statement(LOCKED.add_columns(_LIKE.with_for_update().scalar_subquery().label("is_anonymous")))
_ADD = Statement(insert(Like), "id", "is_anonymous", "post_id", "user_id")
_REMOVE = Statement(delete(Like).where(_IS_MINE))
_COUNT = Statement(setting(Post.like_count, Post.like_count + bindparam("amount"), post_id=bindparam("this_id")))
_STATE = select(Post.status, Post.user_id, Post.like_count, IS_LIKED.label("is_liked"))
_STATUS = Prepared(_STATE.where(Post.id == bindparam("post_id")))


class LikeState(NamedTuple):
    """The effect of a call, and the state after it."""

    action: Literal["added", "removed", "unchanged"]
    is_liked: bool
    like_count: int


def toggle_like(post_id: str, *, user_id: str, viewer: Caller | None) -> LikeState:
    """
    Like a post, or take the like back.

    Args:
        post_id: Id of the post, 32 hex characters.
        user_id: The ``sub`` of the user who likes it.
        viewer: The verified caller; None if a like needs no token.

    Returns:
        The new state.

    Raises:
        AccountRestricted: The viewer, or without one the user, has deactivated their account, or is suspended.
        PostNotFound: It is deleted, hidden from the viewer, or was never there.
        Forbidden: The verified caller is another user; or there is none, and the like was made with a token.
    """
    return _counted(_set_like(post_id, user_id=user_id, viewer=viewer, wanted=None))


def like_post(post_id: str, *, user_id: str, viewer: Caller) -> LikeState:
    """
    Like a post; a second call changes nothing. Arguments and errors as for ``toggle_like``.

    A like that was made without a token is the user's own from then on.
    """
    return _counted(_set_like(post_id, user_id=user_id, viewer=viewer, wanted=True))


def unlike_post(post_id: str, *, user_id: str, viewer: Caller) -> LikeState:
    """Take a like back; without one, nothing changes. Arguments and errors as for ``toggle_like``."""
    return _counted(_set_like(post_id, user_id=user_id, viewer=viewer, wanted=False))


@retried
def _set_like(post_id: str, *, user_id: str, viewer: Caller | None, wanted: bool | None) -> LikeState:
    """Bring one like to the wanted state, or switch it when ``wanted`` is None."""
    with transaction() as connection:
        # Nor does anybody like for a restricted user without a token.
        users = {"user_id": user_id, "caller_id": user_id if viewer is None else viewer.user_id}
        row = lock_seen_post(connection, post_id, viewer, query=_LOCKED, **users)
        if viewer is not None and viewer.user_id != user_id:
            raise Forbidden
        mine, count = {"post_id": post_id, "user_id": user_id}, row.like_count
        is_liked = row.is_anonymous is not None
        wanted = not is_liked if wanted is None else wanted
        if viewer is None and is_liked and not row.is_anonymous:
            raise Forbidden
        if wanted == is_liked:
            if row.is_anonymous:
                this = (Like.post_id == post_id) & (Like.user_id == user_id)
                connection.execute(update(Like).where(this).values(is_anonymous=False))
            return LikeState("unchanged", is_liked, count)
        amount = 1 if wanted else -1
        if wanted:
            _ADD.run_last(connection, {"id": new_id(), "is_anonymous": viewer is None, **mine})
        else:
            _REMOVE.run_last(connection, mine)
        _COUNT.run_last(connection, {"this_id": post_id, "amount": amount})
        return LikeState("added" if wanted else "removed", wanted, count + amount)


def _counted(state: LikeState) -> LikeState:
    metrics.LIKES.labels(state.action).inc()
    return state


def like_status(post_id: str, *, user_id: str, viewer: Caller | None) -> dict[str, Any]:
    """
    Return a user's like of a post, if any, and the post's count.

    Args:
        post_id: Id of the post, 32 hex characters.
        user_id: The user's ``sub``.
        viewer: The caller; None for an anonymous one.

    Returns:
        ``{is_liked, like_count}``.

    Raises:
        PostNotFound: It is deleted, hidden from the viewer, or was never there.
    """
    row = check_seen(next(iter(_STATUS.read({"post_id": post_id, "viewer_id": user_id})), None), viewer)
    return {"is_liked": bool(row.is_liked), "like_count": row.like_count}
