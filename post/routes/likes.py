"""Likes of posts."""

from flask import Response

from post import services
from post.auth_utils.guards import (
    current_user,
    current_viewer,
    optional_caller,
    token_required_to_like,
    token_required_to_write,
)
from post.errors import FieldProblem, InvalidFields
from post.openapi.answers import LikeChangeAnswer, LikeStatusAnswer
from post.openapi.document import BEARER, BEARER_OR_NONE, LIKES, answers, json_body, new_blueprint
from post.services.likes import LikeState
from post.utils import Caller
from post.validators import LikeBody, LikeStatusQuery, PostPath
from post.web.envelope import respond
from post.web.request_checks import checked, read_fields

bp = new_blueprint("likes", __name__, url_prefix="/api/v1")


@bp.post(
    "/posts/<post_id>/like",
    tags=[LIKES],
    security=BEARER,
    request_body=json_body(LikeBody, is_required=False, nothing={}),
    responses=answers(LikeChangeAnswer, 400, 401, 403, 404, 413, 415),
)
@token_required_to_like
@checked
def toggle_like(path: PostPath, body: LikeBody) -> Response:
    """Like a post, or take the like back."""
    viewer, given = optional_caller(), body.user_id
    if viewer is None:  # no token has to match it, so it is checked like that of a query
        given = read_fields(LikeStatusQuery, body.model_dump(exclude_unset=True)).user_id
    user_id = _user_id(given, viewer)
    return _respond_like(services.toggle_like(path.post_id, user_id=user_id, viewer=viewer))


@bp.put("/posts/<post_id>/like", tags=[LIKES], security=BEARER, responses=answers(LikeChangeAnswer, 400, 401, 403, 404))
@token_required_to_write
@checked
def like_post(path: PostPath) -> Response:
    """Like a post; a second call changes nothing."""
    caller = current_user()
    return _respond_like(services.like_post(path.post_id, user_id=caller.user_id, viewer=caller))


@bp.delete(
    "/posts/<post_id>/like", tags=[LIKES], security=BEARER, responses=answers(LikeChangeAnswer, 400, 401, 403, 404)
)
@token_required_to_write
@checked
def unlike_post(path: PostPath) -> Response:
    """Take a like back; without one, nothing changes."""
    caller = current_user()
    return _respond_like(services.unlike_post(path.post_id, user_id=caller.user_id, viewer=caller))


@bp.get(
    "/posts/<post_id>/like/status",
    tags=[LIKES],
    security=BEARER_OR_NONE,
    responses=answers(LikeStatusAnswer, 400, 404),
)
@checked
def like_status(path: PostPath, query: LikeStatusQuery) -> Response:
    """Show if a user likes a post: the one of `user_id`, else the caller."""
    viewer = current_viewer()
    user_id = _user_id(query.user_id, viewer)
    return respond(services.like_status(path.post_id, user_id=user_id, viewer=viewer), message="like_status")


def _user_id(given: str | None, viewer: Caller | None) -> str:
    if given is not None:
        return given
    if viewer is None:
        raise InvalidFields(FieldProblem("user_id", "user_unknown"))
    return viewer.user_id


def _respond_like(state: LikeState) -> Response:
    return respond(state._asdict(), message=f"like_{state.action}")
