"""Users' own accounts, and counters that other services send."""

from flask import Response

from post import services
from post.auth_utils.guards import (
    current_user,
    current_viewer,
    token_required_even_deactivated,
    token_required_to_write,
)
from post.components import components
from post.openapi.answers import CommentCountAnswer, DeactivatedAccountAnswer
from post.openapi.document import ACCOUNTS, BEARER, BEARER_OR_NONE, POSTS, answers, new_blueprint
from post.validators import CommentCount, PostPath
from post.web.envelope import respond
from post.web.request_checks import checked

bp = new_blueprint("accounts", __name__, url_prefix="/api/v1")


@bp.post("/users/me/deactivate", tags=[ACCOUNTS], security=BEARER, responses=answers(DeactivatedAccountAnswer, 401))
@token_required_even_deactivated
def deactivate_account() -> Response:
    """Deactivate the caller's account; if the user pool was not available, another call completes it."""
    directory = components().user_directory
    return respond(services.deactivate_account(current_user(), directory=directory), message="deactivated")


@bp.put(
    "/posts/<post_id>/comment-count",
    tags=[POSTS],
    security=BEARER,
    responses=answers(CommentCountAnswer, 400, 401, 403, 404, 413, 415),
)
@token_required_to_write
@checked
def set_comment_count(path: PostPath, body: CommentCount) -> Response:
    """Store a post's number of comments; for the Comment Service, by its token's scope."""
    total = services.set_comment_count(path.post_id, body.comment_count, caller=current_user())
    return respond(total, message="comments_counted")


@bp.post(
    "/posts/<post_id>/update-comment-count",
    tags=[POSTS],
    security=BEARER_OR_NONE,
    responses=answers(CommentCountAnswer, 400, 404, status=202),
)
@checked
def hint_comment_count(path: PostPath) -> Response:
    """Have a post's comments counted again soon: a hint for anybody to send, of which nothing else is believed."""
    kept = services.hint_comment_count(path.post_id, viewer=current_viewer())
    return respond(kept, message="comments_hinted", status=202)
