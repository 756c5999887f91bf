"""The OpenAPI document's answers: the shapes of what the service says, for documentation alone."""

from http import HTTPStatus
from typing import Annotated, Any, Literal, cast

from flask_openapi import APIBlueprint, Info, OpenAPI, Tag
from flask_openapi.models import Response
from pydantic import BaseModel, ConfigDict, Field

from post import __version__
from post.messages import ERRORS
from post.utils import ID_PATTERN

OPENAPI_VERSION = "3.1.0"

POSTS = Tag(name="posts", description="게시글")
LIKES = Tag(name="likes", description="좋아요")
CATEGORIES = Tag(name="categories", description="카테고리")
SYSTEM = Tag(name="system", description="Health, documentation, local tokens")

BEARER: list[dict[str, list[Any]]] = [{"bearer": []}]
BEARER_OR_NONE: list[dict[str, list[Any]]] = [*BEARER, {}]

Id = Annotated[str, Field(pattern=ID_PATTERN)]
Moment = Annotated[
    str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", examples=["2026-01-02T03:04:05.678Z"])
]
Count = Annotated[int, Field(ge=0)]


class Answer(BaseModel):
    """Base of what the service says: nothing beyond what is documented."""

    model_config = ConfigDict(extra="forbid")


class MediaFile(Answer):
    """An image of a post."""

    id: Id
    url: str
    thumbnail_url: str
    file_name: str
    content_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    file_size: Count
    width: Count
    height: Count
    created_at: Moment


class _PostFields(Answer):
    id: Id
    No: Annotated[int, Field(ge=1, description="Board number: rising, never reused.")]
    title: str
    username: str
    user_id: str | None
    category: str | None
    category_id: Id | None
    view_count: Count
    like_count: Count
    comment_count: Count
    status: Literal["visible", "hidden"]
    media_files: list[MediaFile]
    media_count: Count
    created_at: Moment
    updated_at: Annotated[Moment, Field(description="Moves when people edit, not when counts do.")]


class PostObject(_PostFields):
    """A post."""

    content: str


class PostSummary(_PostFields):
    """A post as lists show it with `view=summary`."""

    excerpt: Annotated[str, Field(max_length=200, description="The text's first 200 characters.")]


class DeletedPost(Answer):
    """What is left of a deleted post."""

    id: Id
    status: Literal["deleted"]


class LikeChange(Answer):
    """What a like call did."""

    action: Literal["added", "removed", "unchanged"]
    is_liked: bool
    like_count: Count


class LikeStatus(Answer):
    """Whether a user likes a post."""

    is_liked: bool
    like_count: Count


class CategoryObject(Answer):
    """A category."""

    id: Id
    name: str
    post_count: Annotated[Count, Field(description="Visible posts.")]
    created_at: Moment


class PageMeta(Answer):
    """Where a page stands in its list."""

    page: Annotated[int | None, Field(description="null when a cursor was given.")]
    per_page: Annotated[int, Field(ge=1, le=50)]
    total: Count
    total_capped: Annotated[Literal[True], Field(description="Only there when `total` stopped at 10,000.")] = cast(
        Any, None
    )
    pages: Count
    has_next: bool
    has_prev: bool
    next_cursor: str | None


class Tokens(Answer):
    """Tokens of the local issuer."""

    access_token: str
    id_token: str
    token_type: Literal["Bearer"]
    expires_in: Count
    sub: str


class _Success(Answer):
    success: Literal[True]
    message: str


class PostAnswer(_Success):
    """A post in the envelope."""

    data: PostObject


class PostListAnswer(_Success):
    """A page of posts in the envelope."""

    data: list[PostObject | PostSummary]
    meta: PageMeta


class DeletedPostAnswer(_Success):
    """A deleted post in the envelope."""

    data: DeletedPost


class LikeChangeAnswer(_Success):
    """A changed like in the envelope."""

    data: LikeChange


class LikeStatusAnswer(_Success):
    """A like's state in the envelope."""

    data: LikeStatus


class CategoryAnswer(_Success):
    """A category in the envelope."""

    data: CategoryObject


class CategoryListAnswer(_Success):
    """All categories in the envelope."""

    data: list[CategoryObject]


class TokensAnswer(_Success):
    """Local tokens in the envelope."""

    data: Tokens


class Health(Answer):
    """That the process answers."""

    status: Literal["healthy"]
    service: Literal["post-service"]
    version: str


class Readiness(Answer):
    """What the service stands on, when all of it is there."""

    status: Literal["ready"]
    checks: dict[str, Literal["up"]]


class FieldError(Answer):
    """What is wrong with one field."""

    field: str
    message: str


class ErrorBody(Answer):
    """What went wrong."""

    code: Annotated[str, Field(json_schema_extra={"enum": sorted(ERRORS)})]
    status: int
    details: Annotated[list[FieldError], Field(description="On `validation_error`: each wrong field.")]
    request_id: str


class ErrorAnswer(Answer):
    """An error in the envelope."""

    success: Literal[False]
    message: Annotated[str, Field(description="For people: Korean, or English by `Accept-Language`.")]
    error: ErrorBody


class NotReady(ErrorAnswer):
    """What the service stands on, when some of it is away."""

    status: Literal["not_ready"]
    checks: dict[str, Literal["up", "down"]]


# What flask-openapi takes for an operation's answers.
Responses = dict[str | int | HTTPStatus, type[BaseModel] | Response | dict[str, Any] | None]


def answers(success: type[Answer], *errors: int, status: int = 200) -> Responses:
    """
    Return what an operation may answer.

    Args:
        success: The body of the good answer.
        errors: Statuses of the operation's own errors; those of every operation are added.
        status: Status of the good answer.
    """
    responses: Responses = {status: success}
    return responses | dict.fromkeys((*errors, 429, 500, 503), ErrorAnswer)


def new_blueprint(name: str, import_name: str, *, url_prefix: str | None = None) -> APIBlueprint:
    """Return a blueprint whose operations bear their functions' names in the OpenAPI document."""
    return APIBlueprint(name, import_name, url_prefix=url_prefix, operation_id_callback=_operation_id)


def _operation_id(*, name: str, path: str, method: str) -> str:  # noqa: ARG001 - flask-openapi gives all three
    return name


def new_openapi_app(import_name: str) -> OpenAPI:
    """Return a Flask app that keeps an OpenAPI document of the routes registered on it."""
    app = OpenAPI(
        import_name,
        info=Info(
            title="Post Service",
            version=__version__,
            description="게시판 서비스: 게시글, 카테고리, 좋아요. Board service: posts, categories, likes.",
        ),
        security_schemes={"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        # The library adds an error of its own wherever this status is not documented; ours always is.
        validation_error_status=500,
        validation_error_model=ErrorAnswer,
        doc_ui=False,
        static_folder=None,
    )
    app.openapi_version = OPENAPI_VERSION
    return app
