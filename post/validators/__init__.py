"""Models of requests: the checks of their fields, and their part of the OpenAPI document."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from post.paging import Cursor, PageRequest, Sort, View
from post.utils import DEFAULT_CATEGORY, ID_PATTERN
from post.validators.fields import (
    INTEGER_MAX,
    OR_EMPTY,
    CategoryName,
    Content,
    Count,
    Group,
    IdempotencyToken,
    Scope,
    SearchText,
    Title,
    UserId,
    Username,
    problem,
    read_integer,
)

JSON_MAX_BYTES = 1024 * 1024
UPLOAD_MAX_BYTES = 52 * 1024 * 1024
PER_PAGE_MAX = 50

# The value of an optional field that is absent. Not ``T | None``: an explicit null has the wrong type.
ABSENT: Any = None


class RequestModel(BaseModel):
    """Base of all models of requests: unknown fields are ignored, wrong types refused."""

    model_config = ConfigDict(extra="ignore", strict=True, hide_input_in_errors=True)

    may_be_empty: ClassVar[bool] = False

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the model's JSON schema, which the OpenAPI document embeds."""
        schema = super().model_json_schema(*args, **kwargs)
        for field in schema.get("properties", {}).values():
            if field.get("default", ...) is ABSENT:
                del field["default"]
        return schema


class PostPath(RequestModel):
    """The path of a post."""

    post_id: str = Field(pattern=ID_PATTERN, description="Id of the post.")


class MediaPath(PostPath):
    """The path of an image of a post."""

    media_id: str = Field(pattern=ID_PATTERN, description="Id of the image.")


class ImagePath(RequestModel):
    """The path of a stored image."""

    key: str = Field(description="The last part of an image's `url` or `thumbnail_url`.")


class IdempotencyHeader(RequestModel):
    """The header that marks a repeated request."""

    idempotency_key: IdempotencyToken = Field(default=ABSENT, alias="Idempotency-Key")


class PageQuery(RequestModel):
    """The parameters of a page."""

    page: Annotated[int, Field(ge=1, le=INTEGER_MAX), BeforeValidator(read_integer)] = 1
    per_page: Annotated[
        int, Field(ge=1, le=INTEGER_MAX, description="Above 50 is served as 50."), BeforeValidator(read_integer)
    ] = 10
    view: View = Field(default="full", description="`summary` has `excerpt` in place of `content`.")
    cursor: Annotated[
        Any,
        WithJsonSchema(
            {"type": "string", "format": "cursor", "description": "In place of `page`: a `next_cursor` of this list."}
        ),
    ] = ABSENT

    @model_validator(mode="before")
    @classmethod
    def _drop_empty_filters(cls, values: dict[str, Any]) -> dict[str, Any]:
        filters = {"q", "category_id", "category", "user_id", "cursor"}
        return {name: value for name, value in values.items() if name not in filters or value.strip()}

    @field_validator("cursor", mode="before")
    @classmethod
    def _check_cursor(cls, text: str, info: ValidationInfo) -> Cursor:
        try:
            cursor = Cursor.decode(text)
        except ValueError:
            raise problem("bad_cursor") from None
        if cursor.sort != info.data.get("sort", "latest"):
            raise problem("bad_cursor")
        return cursor

    def page_request(self, sort: Sort = "latest") -> PageRequest:
        """Return the wanted page."""
        per_page = min(self.per_page, PER_PAGE_MAX)
        return PageRequest(page=self.page, per_page=per_page, cursor=self.cursor, sort=sort, view=self.view)


class _Filters(RequestModel):
    q: SearchText = ABSENT
    category_id: Annotated[str, Field(pattern=ID_PATTERN, json_schema_extra={"pattern": "^([0-9a-f]{32})?$"})] = ABSENT
    category: Annotated[CategoryName, Field(json_schema_extra=OR_EMPTY)] = ABSENT
    user_id: Annotated[UserId, Field(json_schema_extra=OR_EMPTY)] = ABSENT
    sort: Sort = "latest"


class ListQuery(PageQuery, _Filters):
    """The filters and the order of a list. Those of ``_Filters`` come first: the cursor's check needs ``sort``."""


class LikeStatusQuery(RequestModel):
    """The user of a like; by default the caller."""

    user_id: UserId = ABSENT


class NewPost(RequestModel):
    """A new post."""

    title: Title
    content: Content
    category: CategoryName = DEFAULT_CATEGORY
    status: Literal["visible", "hidden"] = Field(
        default="visible", description="`hidden` is a draft: its author's alone until PATCH makes it visible."
    )


class WholePost(RequestModel):
    """All fields of a post that PUT replaces."""

    title: Title
    content: Content
    category: CategoryName


class PostChanges(RequestModel):
    """The fields of a post that PATCH changes."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    title: Title = ABSENT
    content: Content = ABSENT
    category: CategoryName = ABSENT
    status: Literal["visible", "hidden"] = Field(
        default=ABSENT, description="An admin's `visible` restores a deleted post."
    )

    @model_validator(mode="after")
    def _check_not_empty(self) -> "PostChanges":
        if not self.model_fields_set:
            raise problem("nothing_to_change")
        return self


# A part of a multipart body has a stream and a name; ``post.images.cleaner`` checks its content.
_IMAGE = {"type": "string", "format": "binary", "minLength": 1}


class MediaForm(RequestModel):
    """Images for a post: `file` for one, `files[]` for several."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["file"]}, {"required": ["files[]"]}]})

    file: Annotated[list[Any], WithJsonSchema(_IMAGE)] = ABSENT
    files: Annotated[list[Any], WithJsonSchema({"type": "array", "items": _IMAGE, "minItems": 1})] = Field(
        default=ABSENT, alias="files[]"
    )

    @property
    def parts(self) -> list[tuple[str, Any]]:
        """Every part, with its name in errors."""
        several = [(f"files[{number}]", part) for number, part in enumerate(self.files or [])]
        return [("file", part) for part in self.file or []] + several

    @property
    def is_one(self) -> bool:
        """True if one image was sent as `file`, so that the answer is that image."""
        return not self.files and len(self.file) == 1


class CommentCount(RequestModel):
    """A post's number of comments."""

    comment_count: Count


class LikeBody(RequestModel):
    """The user of a like, as the site's first version sent it; now the token decides."""

    may_be_empty: ClassVar[bool] = True

    user_id: str = Field(default=ABSENT, description="The token's `sub`, which it must be.")


class NewCategory(RequestModel):
    """A new category."""

    name: CategoryName = Field(examples=["여행"])


class DevTokenRequest(RequestModel):
    """The claims of a token from the local issuer."""

    username: Username
    groups: list[Group] = Field(default=[], max_length=20, description="`admin` makes an admin.", examples=[[]])
    scope: Scope = "openid"
