"""Posts: lists, and one post read, created, edited and deleted."""

from functools import partial
from typing import Any

from flask import Response, request, url_for

from post import services
from post.auth_utils.guards import (
    current_user,
    current_viewer,
    optional_caller,
    token_required,
    token_required_to_write,
)
from post.components import components
from post.openapi.answers import DeletedAnswer, PostAnswer, PostListAnswer
from post.openapi.document import BEARER, BEARER_OR_NONE, POSTS, answers, json_body, new_blueprint
from post.services.pages import ListPage
from post.validators import Because, IdempotencyHeader, ListQuery, NewPost, PageQuery, PostChanges, PostPath, WholePost
from post.web.envelope import json_response, respond, success_body
from post.web.http_cache import known_version, respond_versioned, unchanged_edition
from post.web.request_checks import checked

bp = new_blueprint("posts", __name__, url_prefix="/api/v1")


@bp.get("/posts", tags=[POSTS], security=BEARER_OR_NONE, responses=answers(PostListAnswer, 400, is_versioned=True))
@checked
def list_posts(query: ListQuery) -> Response:
    """List the visible posts."""
    filters = query.model_dump(include={"q", "category_id", "category", "user_id", "period", "ids"})
    wanted, viewer = query.page_request(query.sort), optional_caller()
    found = services.list_posts(wanted, **filters, viewer=viewer, is_known=known_version())
    return respond_versioned(found, _respond_page)


@bp.get("/posts/my", tags=[POSTS], security=BEARER, responses=answers(PostListAnswer, 400, 401, is_versioned=True))
@token_required
@checked
def list_my_posts(query: PageQuery) -> Response:
    """List the caller's own posts, visible and hidden."""
    found = services.list_my_posts(current_user(), query.page_request(), is_known=known_version())
    return respond_versioned(found, _respond_page)


@bp.post(
    "/posts", tags=[POSTS], security=BEARER, responses=answers(PostAnswer, 400, 401, 403, 409, 413, 415, status=201)
)
@token_required_to_write
@checked
def create_post(header: IdempotencyHeader, body: NewPost) -> Response:
    """Create a post as the caller; only once for each `Idempotency-Key`."""
    author, key = current_user(), header.idempotency_key
    if key is None:
        post = services.create_post(author=author, **body.model_dump())
        return _created(_created_body(post), post["id"])
    answer = services.create_post_once(key=key, author=author, render=_created_body, **body.model_dump())
    return _created(answer.body, answer.post_id, is_replayed=answer.is_replayed)


@bp.get(
    "/posts/<post_id>",
    tags=[POSTS],
    security=BEARER_OR_NONE,
    responses=answers(PostAnswer, 400, 404, is_versioned=True),
)
@checked
def get_post(path: PostPath) -> Response:
    """Show a post, and count the view once per address within a window."""
    address = None if request.method == "HEAD" else request.remote_addr
    views, viewer = components().view_counter, current_viewer()
    found = services.get_post(path.post_id, viewer=viewer, views=views, address=address, is_known=known_version())
    return respond_versioned(found, partial(respond, message="post_found"))


@bp.put(
    "/posts/<post_id>",
    tags=[POSTS],
    security=BEARER,
    responses=answers(PostAnswer, 400, 401, 403, 404, 409, 412, 413, 415),
)
@token_required_to_write
@checked
def replace_post(path: PostPath, body: WholePost) -> Response:
    """Replace title, content and category of a post, as its author or an admin."""
    return _edit(path.post_id, body.model_dump())


@bp.patch(
    "/posts/<post_id>",
    tags=[POSTS],
    security=BEARER,
    responses=answers(PostAnswer, 400, 401, 403, 404, 409, 412, 413, 415),
)
@token_required_to_write
@checked
def edit_post(path: PostPath, body: PostChanges) -> Response:
    """Change some fields of a post, as its author or an admin."""
    return _edit(path.post_id, body.model_dump(exclude_unset=True))


def _edit(post_id: str, changes: dict[str, Any]) -> Response:
    reason, editor = changes.pop("reason", None), current_user()
    post = services.edit_post(post_id, editor=editor, changes=changes, reason=reason, is_unchanged=unchanged_edition())
    return respond(post, message="post_updated")


@bp.delete(
    "/posts/<post_id>",
    tags=[POSTS],
    security=BEARER,
    request_body=json_body(Because, is_required=False, nothing={}),
    responses=answers(DeletedAnswer, 400, 401, 403, 404, 412, 413, 415),
)
@token_required_to_write
@checked
def delete_post(path: PostPath, body: Because) -> Response:
    """Delete a post softly, as its author or an admin."""
    editor, is_unchanged = current_user(), unchanged_edition()
    deleted = services.delete_post(path.post_id, editor=editor, reason=body.reason, is_unchanged=is_unchanged)
    return respond(deleted, message="post_deleted")


def _created_body(post: dict[str, Any]) -> bytes:
    return success_body(post, message="post_created")


def _created(body: bytes, post_id: str, *, is_replayed: bool = False) -> Response:
    headers = {"Location": url_for(".get_post", post_id=post_id)}
    if is_replayed:
        headers["Idempotency-Replayed"] = "true"
    return json_response(body, status=201, headers=headers)


def _respond_page(page: ListPage) -> Response:
    return respond(page.items, message="posts_listed", meta=page.meta, links=page.links)
