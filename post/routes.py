"""The API's routes: check the request, call one service, answer."""

from typing import cast
from urllib.parse import urlencode

from flask import Response, current_app, request, url_for

from post import services
from post.auth_utils import current_user, optional_caller, token_required, token_required_to_like
from post.errors import FieldProblem, InvalidFields
from post.openapi import (
    BEARER,
    BEARER_OR_NONE,
    CATEGORIES,
    LIKES,
    POSTS,
    CategoryAnswer,
    CategoryListAnswer,
    DeletedPostAnswer,
    LikeChangeAnswer,
    LikeStatusAnswer,
    PostAnswer,
    PostListAnswer,
    answers,
    new_blueprint,
)
from post.request_checks import checked
from post.services.likes import LikeState
from post.services.lists import PostPage
from post.utils import Caller, respond
from post.validators import (
    LikeBody,
    LikeStatusQuery,
    ListQuery,
    NewCategory,
    NewPost,
    PageQuery,
    PostChanges,
    PostPath,
    WholePost,
)

bp = new_blueprint("board", __name__, url_prefix="/api/v1")


@bp.get("/posts", tags=[POSTS], security=BEARER_OR_NONE, responses=answers(PostListAnswer, 400))
@checked
def list_posts(query: ListQuery) -> Response:
    """List the visible posts."""
    filters = query.model_dump(include={"q", "category_id", "category", "user_id"})
    return _respond_page(services.list_posts(query.page_request(query.sort), **filters))


@bp.get("/posts/my", tags=[POSTS], security=BEARER, responses=answers(PostListAnswer, 400, 401))
@token_required
@checked
def list_my_posts(query: PageQuery) -> Response:
    """List the caller's own posts, visible and hidden."""
    return _respond_page(services.list_my_posts(current_user().user_id, query.page_request()))


@bp.post("/posts", tags=[POSTS], security=BEARER, responses=answers(PostAnswer, 400, 401, 413, 415, status=201))
@token_required
@checked
def create_post(body: NewPost) -> Response:
    """Create a post as the caller."""
    post = services.create_post(author=current_user(), **body.model_dump())
    location = url_for(".get_post", post_id=post["id"])
    return respond(post, message="post_created", status=201, headers={"Location": location})


@bp.get("/posts/<post_id>", tags=[POSTS], security=BEARER_OR_NONE, responses=answers(PostAnswer, 400, 404))
@checked
def get_post(path: PostPath) -> Response:
    """Show a post, and count the view once per address within a window."""
    window = None if request.method == "HEAD" else current_app.extensions["post_view_window"]
    post = services.get_post(path.post_id, viewer=optional_caller(), window=window, address=request.remote_addr)
    return respond(post, message="post_found")


@bp.put("/posts/<post_id>", tags=[POSTS], security=BEARER, responses=answers(PostAnswer, 400, 401, 403, 404, 413, 415))
@token_required
@checked
def replace_post(path: PostPath, body: WholePost) -> Response:
    """Replace title, content and category of a post, as its author or an admin."""
    post = services.edit_post(path.post_id, editor=current_user(), changes=body.model_dump())
    return respond(post, message="post_updated")


@bp.patch(
    "/posts/<post_id>", tags=[POSTS], security=BEARER, responses=answers(PostAnswer, 400, 401, 403, 404, 413, 415)
)
@token_required
@checked
def edit_post(path: PostPath, body: PostChanges) -> Response:
    """Change some of a post, as its author or an admin."""
    post = services.edit_post(path.post_id, editor=current_user(), changes=body.model_dump(exclude_unset=True))
    return respond(post, message="post_updated")


@bp.delete("/posts/<post_id>", tags=[POSTS], security=BEARER, responses=answers(DeletedPostAnswer, 400, 401, 403, 404))
@token_required
@checked
def delete_post(path: PostPath) -> Response:
    """Delete a post softly, as its author or an admin."""
    return respond(services.delete_post(path.post_id, editor=current_user()), message="post_deleted")


@bp.post(
    "/posts/<post_id>/like",
    tags=[LIKES],
    security=BEARER,
    responses=answers(LikeChangeAnswer, 400, 401, 403, 404, 413, 415),
)
@token_required_to_like
@checked
def toggle_like(path: PostPath, body: LikeBody) -> Response:
    """Like a post, or take the like back."""
    viewer = optional_caller()
    user_id = _whose_like(body.user_id, viewer)
    return _respond_like(services.toggle_like(path.post_id, user_id=user_id, viewer=viewer))


@bp.put("/posts/<post_id>/like", tags=[LIKES], security=BEARER, responses=answers(LikeChangeAnswer, 400, 401, 404))
@token_required
@checked
def like_post(path: PostPath) -> Response:
    """Like a post; a second call changes nothing."""
    caller = current_user()
    return _respond_like(services.like_post(path.post_id, user_id=caller.user_id, viewer=caller))


@bp.delete("/posts/<post_id>/like", tags=[LIKES], security=BEARER, responses=answers(LikeChangeAnswer, 400, 401, 404))
@token_required
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
    """Tell whether a user likes a post: the one of `user_id`, else the caller."""
    viewer = optional_caller()
    user_id = _whose_like(query.user_id, viewer)
    return respond(services.like_status(path.post_id, user_id=user_id, viewer=viewer), message="like_status")


@bp.get("/categories", tags=[CATEGORIES], responses=answers(CategoryListAnswer))
def list_categories() -> Response:
    """List the categories with their numbers of visible posts."""
    return respond(services.list_categories(), message="categories_listed")


@bp.post(
    "/categories",
    tags=[CATEGORIES],
    security=BEARER,
    responses=answers(CategoryAnswer, 400, 401, 409, 413, 415, status=201),
)
@token_required
@checked
def create_category(body: NewCategory) -> Response:
    """Create a category."""
    return respond(services.create_category(body.name), message="category_created", status=201)


def _whose_like(said: str | None, viewer: Caller | None) -> str:
    if said is None and viewer is None:
        raise InvalidFields(FieldProblem("user_id", "user_unknown"))
    return said or cast(Caller, viewer).user_id


def _respond_like(state: LikeState) -> Response:
    return respond(state._asdict(), message=f"like_{state.action}")


def _respond_page(page: PostPage) -> Response:
    links = {"next": page.next_link, "prev": page.prev_link}
    header = ", ".join(f'<{_link(change)}>; rel="{rel}"' for rel, change in links.items() if change)
    return respond(page.posts, message="posts_listed", meta=page.meta, headers={"Link": header} if header else None)


def _link(change: dict[str, str | int]) -> str:
    """Return the request's URL with ``page`` and ``cursor`` replaced (RFC 8288, section 3)."""
    kept = {name: value for name, value in request.args.items() if name not in ("page", "cursor")}
    return f"{request.path}?{urlencode(kept | change)}"
