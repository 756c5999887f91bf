"""Categories."""

from functools import partial

from flask import Response

from post import services
from post.auth_utils.guards import current_user, token_required
from post.openapi.answers import CategoryAnswer, CategoryListAnswer
from post.openapi.document import BEARER, CATEGORIES, answers, new_blueprint
from post.validators import NewCategory
from post.web.envelope import respond
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
