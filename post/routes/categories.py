"""Categories."""

from functools import partial

from flask import Response

from post import services
from post.auth_utils.guards import admin_required, current_user, token_required
from post.openapi.answers import CategoryAnswer, CategoryListAnswer, DeletedCategoryAnswer, TaskAnswer
from post.openapi.document import BEARER, CATEGORIES, answers, json_body, new_blueprint
from post.validators import Because, CategoryChanges, CategoryMerge, CategoryPath, NewCategory
from post.web.envelope import respond, respond_task
from post.web.http_cache import known_version, respond_versioned
from post.web.request_checks import checked

bp = new_blueprint("categories", __name__, url_prefix="/api/v1")


@bp.get("/categories", tags=[CATEGORIES], responses=answers(CategoryListAnswer, is_versioned=True))
def list_categories() -> Response:
    """List the categories with their numbers of visible posts."""
    return respond_versioned(
        services.list_categories(is_known=known_version()), partial(respond, message="categories_listed")
    )


@bp.post(
    "/categories",
    tags=[CATEGORIES],
    security=BEARER,
    responses=answers(CategoryAnswer, 400, 401, 403, 409, 413, 415, status=201),
)
@token_required
@checked
def create_category(body: NewCategory) -> Response:
    """Create a category; only as an admin where `CATEGORY_CREATION=admins`."""
    return respond(services.create_category(body.name, creator=current_user()), message="category_created", status=201)


@bp.patch(
    "/categories/<category_id>",
    tags=[CATEGORIES],
    security=BEARER,
    responses=answers(CategoryAnswer, 400, 401, 403, 404, 409, 413, 415),
)
@admin_required
@checked
def edit_category(path: CategoryPath, body: CategoryChanges) -> Response:
    """Rename, close, open or move a category, as an admin. Its posts show a new name in time."""
    changes = body.model_dump(exclude_unset=True, exclude={"reason"})
    category = services.edit_category(
        path.category_id, changes=changes, actor=current_user().user_id, reason=body.reason
    )
    return respond(category, message="category_updated")


@bp.post(
    "/categories/<category_id>/merge",
    tags=[CATEGORIES],
    security=BEARER,
    responses=answers(TaskAnswer, 400, 401, 403, 404, 409, 413, 415) | {202: TaskAnswer},
)
@admin_required
@checked
def merge_category(path: CategoryPath, body: CategoryMerge) -> Response:
    """Move all posts of a category into another and delete it, as an admin; 202 if that takes longer."""
    task = services.merge_category(path.category_id, into=body.into, actor=current_user().user_id, reason=body.reason)
    return respond_task(task, message="category_merged")


@bp.delete(
    "/categories/<category_id>",
    tags=[CATEGORIES],
    security=BEARER,
    request_body=json_body(Because, is_required=False, nothing={}),
    responses=answers(DeletedCategoryAnswer, 400, 401, 403, 404, 409, 413, 415),
)
@admin_required
@checked
def delete_category(path: CategoryPath, body: Because) -> Response:
    """Delete a category without posts, as an admin."""
    deleted = services.delete_category(path.category_id, actor=current_user().user_id, reason=body.reason)
    return respond(deleted, message="category_deleted")
