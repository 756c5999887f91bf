"""Models of answers, for the OpenAPI document alone."""

from copy import deepcopy
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from post.messages import ERRORS
from post.utils import ID_PATTERN

Id = Annotated[str, Field(pattern=ID_PATTERN)]
Moment = Annotated[
    str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", examples=["2026-01-02T03:04:05.678Z"])
]
Count = Annotated[int, Field(ge=0)]


class Answer(BaseModel):
    """Base of all models of answers: no field beyond the documented ones."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the model's JSON schema; cached, since every operation needs that of its errors."""
        key = (cls.__name__, *args, *kwargs.items())
        if key not in _schemas:
            _schemas[key] = super().model_json_schema(*args, **kwargs)
        return deepcopy(_schemas[key])


_schemas: dict[tuple[Any, ...], dict[str, Any]] = {}


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


class FailedFile(Answer):
    """A file that was not stored."""

    file_name: str
    code: Annotated[str, Field(json_schema_extra={"enum": ["media_limit_reached", "validation_error"]})]
    message: str


class UploadedFiles(Answer):
    """The result of an upload of several files."""

    uploaded_files: list[MediaFile]
    failed: list[FailedFile]


class UploadPermissions(Answer):
    """Limits on a caller's uploads."""

    has_permission: bool
    max_file_size: Annotated[Count, Field(description="Bytes a file.")]
    allowed_image_extensions: list[str]
    max_files: Annotated[Count, Field(description="Images a post.")]


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
    status: Annotated[Literal["visible", "hidden", "deleted"], Field(description="`deleted` is for admins.")]
    media_files: list[MediaFile]
    media_count: Count
    created_at: Moment
    updated_at: Annotated[Moment, Field(description="Moves when people edit, not when counts do.")]
    is_liked: Annotated[bool, Field(description="By the caller; where there is a token.")] = cast(Any, None)
    hidden_by: Annotated[
        Literal["author", "moderator"] | None,
        Field(description="Who has hidden the post; for its author and admins. null while it is not hidden."),
    ] = cast(Any, None)


class PostObject(_PostFields):
    """A post."""

    content: str


class PostSummary(_PostFields):
    """A post as lists show it with `view=summary`."""

    excerpt: Annotated[str, Field(max_length=200, description="The text's first 200 characters.")]


class Deleted(Answer):
    """A deleted post or image."""

    id: Id
    status: Literal["deleted"]


class CommentTotal(Answer):
    """A post's number of comments."""

    id: Id
    comment_count: Count


class DeactivatedAccount(Answer):
    """A deactivated account."""

    username: str
    deactivated: Literal[True]


class LikeChange(Answer):
    """The effect of a call, and the state after it."""

    action: Literal["added", "removed", "unchanged"]
    is_liked: bool
    like_count: Count


class LikeStatus(Answer):
    """A user's like of a post, if any, and the post's count."""

    is_liked: bool
    like_count: Count


class CategoryObject(Answer):
    """A category."""

    id: Id
    name: str
    post_count: Annotated[Count, Field(description="Visible posts.")]
    is_open: Annotated[bool, Field(description="`false`: it takes no new posts.")]
    position: Annotated[int, Field(description="The list is in this order, then by name.")]
    created_at: Moment


class TaskState(Answer):
    """A long action on many posts, and its progress."""

    id: Id
    kind: Annotated[str, Field(json_schema_extra={"enum": ["delete_posts", "merge"]})]
    state: Literal["running", "done"]
    total: Annotated[Count, Field(description="Posts when it began.")]
    done: Count


class PageMeta(Answer):
    """The place of a page in its list."""

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


class PostPageMeta(PageMeta):
    """The place of a page of posts in its list, and the pinned posts."""

    pinned: Annotated[
        list[PostObject | PostSummary],
        Field(
            max_length=20, description="Of `GET /posts` on page 1 without `q`: the pinned posts, the newest pin first."
        ),
    ] = cast(Any, None)


class Tokens(Answer):
    """Tokens of the local issuer."""

    access_token: str
    id_token: str
    token_type: Literal["Bearer"]
    expires_in: Count
    sub: str


class Success(Answer):
    """Base of all answers in the envelope."""

    success: Literal[True]
    message: str


class PostAnswer(Success):
    """A post in the envelope."""

    data: PostObject


class PostListAnswer(Success):
    """A page of posts in the envelope."""

    data: list[PostObject | PostSummary]
    meta: PostPageMeta


class DeletedAnswer(Success):
    """A deleted post or image in the envelope."""

    data: Deleted


class MediaAnswer(Success):
    """Uploaded images in the envelope: of `file` the image, of `files[]` a list."""

    data: MediaFile | UploadedFiles


class UploadPermissionsAnswer(Success):
    """Limits on a caller's uploads, in the envelope."""

    data: UploadPermissions


class CommentCountAnswer(Success):
    """A post's number of comments in the envelope."""

    data: CommentTotal


class DeactivatedAccountAnswer(Success):
    """A deactivated account in the envelope."""

    data: DeactivatedAccount


class LikeChangeAnswer(Success):
    """A changed like in the envelope."""

    data: LikeChange


class LikeStatusAnswer(Success):
    """A like's state in the envelope."""

    data: LikeStatus


class CategoryAnswer(Success):
    """A category in the envelope."""

    data: CategoryObject


class DeletedCategoryAnswer(Success):
    """A deleted category in the envelope."""

    data: Deleted


class TaskAnswer(Success):
    """A long action in the envelope."""

    data: TaskState


class CategoryListAnswer(Success):
    """All categories in the envelope."""

    data: list[CategoryObject]


class TokensAnswer(Success):
    """Local tokens in the envelope."""

    data: Tokens


class Health(Answer):
    """`GET /health`: the process answers."""

    status: Literal["healthy"]
    service: Literal["post-service"]
    version: str


class Readiness(Answer):
    """`GET /health/ready` when every required dependency is up."""

    status: Literal["ready"]
    checks: dict[str, Literal["up", "down"]]


class FieldError(Answer):
    """A problem of one field."""

    field: str
    message: str


class ErrorBody(Answer):
    """The details of an error."""

    code: Annotated[str, Field(json_schema_extra={"enum": sorted(ERRORS)})]
    status: int
    details: Annotated[
        list[FieldError], Field(description="Each wrong field; on `forbidden` the category, if it is closed.")
    ]
    request_id: str


class ErrorAnswer(Answer):
    """An error in the envelope."""

    success: Literal[False]
    message: Annotated[str, Field(description="For people: Korean, or English by `Accept-Language`.")]
    error: ErrorBody


class NotReady(ErrorAnswer):
    """`GET /health/ready` when a required dependency is down."""

    status: Literal["not_ready"]
    checks: dict[str, Literal["up", "down"]]
