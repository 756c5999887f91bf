"""Models of requests: the checks of their fields, and their part of the OpenAPI document."""

import re
from dataclasses import replace
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

from post.paging import PER_PAGE_MAX, Cursor, PageRequest, Period, Sort, View
from post.utils import DEFAULT_CATEGORY, ID_PATTERN, Action, PinScope
from post.validators.fields import (
    INTEGER_MAX,
    OR_EMPTY,
    CategoryName,
    Content,
    Count,
    Future,
    Group,
    IdempotencyToken,
    Position,
    Reason,
    ReportText,
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


class ReportPath(RequestModel):
    """The path of a report."""

    report_id: str = Field(pattern=ID_PATTERN, description="Id of the report.")


class ImagePath(RequestModel):
    """The path of a stored image."""

    key: str = Field(description="The last part of an image's `url` or `thumbnail_url`.")


class IdempotencyHeader(RequestModel):
    """The header that marks a repeated request."""

    idempotency_key: IdempotencyToken = Field(default=ABSENT, alias="Idempotency-Key")


class _Filtered(RequestModel):
    """The parameters of any list: an empty filter is none."""

    @model_validator(mode="before")
    @classmethod
    def _drop_empty_filters(cls, values: dict[str, Any]) -> dict[str, Any]:
        filters = {"q", "category_id", "category", "user_id", "post_id", "actor", "action", "cursor"}
        return {name: value for name, value in values.items() if name not in filters or value.strip()}


class _PlaceQuery(_Filtered):
    """The parameters of a page of any list, which is in the order of numbers unless it has a ``sort``."""

    page: Annotated[int, Field(ge=1, le=INTEGER_MAX), BeforeValidator(read_integer)] = 1
    per_page: Annotated[
        int, Field(ge=1, le=INTEGER_MAX, description="Above 50 is served as 50."), BeforeValidator(read_integer)
    ] = 10
    cursor: Annotated[
        Any,
        WithJsonSchema(
            {"type": "string", "format": "cursor", "description": "In place of `page`: a `next_cursor` of this list."}
        ),
    ] = ABSENT

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
        return PageRequest(page=self.page, per_page=per_page, cursor=self.cursor, sort=sort)


class PageQuery(_PlaceQuery):
    """The parameters of a page of posts."""

    view: View = Field(default="full", description="`summary` has `excerpt` in place of `content`.")

    def page_request(self, sort: Sort = "latest") -> PageRequest:
        """Return the wanted page."""
        return replace(super().page_request(sort), view=self.view)


class _Filters(RequestModel):
    q: SearchText = ABSENT
    category_id: Annotated[str, Field(pattern=ID_PATTERN, json_schema_extra={"pattern": "^([0-9a-f]{32})?$"})] = ABSENT
    category: Annotated[CategoryName, Field(json_schema_extra=OR_EMPTY)] = ABSENT
    user_id: Annotated[UserId, Field(json_schema_extra=OR_EMPTY)] = ABSENT
    sort: Sort = "latest"


class _PublicFilters(_Filters):
    period: Period = Field(
        default=ABSENT, description="With `sort=popular`: posts of the last 24 hours, 7 days or 30 days alone."
    )

    @field_validator("period")
    @classmethod
    def _check_order(cls, period: Period, info: ValidationInfo) -> Period:
        if info.data.get("sort") == "latest":
            raise problem("needs_popular")
        return period


_ID = ID_PATTERN.strip("^$")
_IDS = re.compile(f"{_ID}(,{_ID})*")


class ListQuery(PageQuery, _PublicFilters):
    """
    The filters and the order of a list.

    Those of ``_PublicFilters`` come first: the cursor's check needs ``sort``. The check of ``ids`` needs all others.
    """

    ids: Annotated[
        Any,
        WithJsonSchema(
            {
                "type": "string",
                "pattern": f"^{_ID}(,{_ID}){{0,{PER_PAGE_MAX - 1}}}$",
                "description": "Up to 50 ids, with commas: those of them that are visible, in this order. It needs"
                " page 1 and no other filter, period or cursor.",
            }
        ),
    ] = ABSENT

    @field_validator("ids", mode="before")
    @classmethod
    def _check_ids(cls, text: str, info: ValidationInfo) -> list[str]:
        if text.count(",") >= PER_PAGE_MAX:
            raise problem("too_many_items", maximum=PER_PAGE_MAX)
        if not _IDS.fullmatch(text):
            raise problem("bad_id")
        alone = {"sort", "view", "per_page"} | ({"page"} if info.data.get("page") == 1 else set())
        others = [name for name, value in info.data.items() if value is not ABSENT and name not in alone]
        if others:
            raise problem("not_together", others=", ".join(others))
        return list(dict.fromkeys(text.split(",")))

    def page_request(self, sort: Sort = "latest") -> PageRequest:
        """Return the wanted page: with ``ids``, one that has room for all of them."""
        wanted = super().page_request(sort)
        asked = wanted.per_page if "per_page" in self.model_fields_set else 1
        return wanted if self.ids is ABSENT else replace(wanted, per_page=max(asked, len(self.ids)))


class FeedQuery(_Filtered):
    """The filter of the feed."""

    category: Annotated[CategoryName, Field(json_schema_extra=OR_EMPTY)] = ABSENT


class AdminListQuery(PageQuery, _Filters):
    """The filters and the order of a list of moderators."""

    status: Literal["visible", "hidden", "deleted", "any"] = "any"
    reported: Literal["true", "false"] = Field(default="false", description="`true`: posts with open reports alone.")


class LogQuery(_PlaceQuery):
    """The filters of the moderation log, and a page of it."""

    actor: Annotated[UserId, Field(json_schema_extra=OR_EMPTY)] = ABSENT
    action: Action = ABSENT
    post_id: Annotated[str, Field(pattern=ID_PATTERN, json_schema_extra={"pattern": "^([0-9a-f]{32})?$"})] = ABSENT
    user_id: Annotated[UserId, Field(json_schema_extra=OR_EMPTY)] = ABSENT


class ReportsQuery(_PlaceQuery):
    """The state of reports, and a page of them."""

    state: Literal["open", "resolved"] = "open"


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
    reason: Reason = ABSENT


class Because(RequestModel):
    """The reason of a moderator's action. The body may be empty."""

    may_be_empty: ClassVar[bool] = True

    reason: Reason = ABSENT


class Pin(Because):
    """The place of a pin."""

    may_be_empty: ClassVar[bool] = False

    scope: PinScope = Field(description="`all`: the first page of all posts. `category`: that of the post's category.")


class Unpin(Because):
    """The place of a pin that is taken away. The body may be empty."""

    scope: PinScope = Field(default=ABSENT, description="Absent: both.")


class UserPath(RequestModel):
    """The path of a user."""

    sub: UserId


class Suspension(Because):
    """A user's suspension. The body may be empty."""

    until: Future = Field(default=ABSENT, description="Its end: ISO 8601 with an offset from UTC. Absent: none.")


class NewReport(RequestModel):
    """A user's report of a post."""

    reason: Literal["spam", "abuse", "illegal", "privacy", "other"]
    text: ReportText = ABSENT


class Decision(RequestModel):
    """A moderator's decision about a reported post."""

    action: Literal["dismiss", "hide", "delete"] = Field(
        description="`dismiss` shows a post again that its reports have hidden, and leaves any other as it is."
    )
    reason: Reason = ABSENT


class PostChanges(RequestModel):
    """The fields of a post that PATCH changes."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": [name]} for name in ("title", "content", "category", "status")]}
    )

    title: Title = ABSENT
    content: Content = ABSENT
    category: CategoryName = ABSENT
    status: Literal["visible", "hidden"] = Field(
        default=ABSENT, description="An admin's `visible` restores a deleted post."
    )
    reason: Reason = ABSENT

    @model_validator(mode="after")
    def _check_not_empty(self) -> "PostChanges":
        if not self.model_fields_set - {"reason"}:
            raise problem("nothing_to_change", fields="title, content, category, status")
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


class CategoryPath(RequestModel):
    """The path of a category."""

    category_id: str = Field(pattern=ID_PATTERN, description="Id of the category.")


class CategoryChanges(RequestModel):
    """The fields of a category that PATCH changes."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": [name]} for name in ("name", "is_open", "position")]}
    )

    name: CategoryName = Field(default=ABSENT, description="Also its posts show it, in time.", examples=["여행"])
    is_open: bool = Field(default=ABSENT, description="`false` closes it: it takes no new posts.")
    position: Position = ABSENT
    reason: Reason = ABSENT

    @model_validator(mode="after")
    def _check_not_empty(self) -> "CategoryChanges":
        if not self.model_fields_set - {"reason"}:
            raise problem("nothing_to_change", fields="name, is_open, position")
        return self


class CategoryMerge(RequestModel):
    """The category that another is merged into."""

    into: str = Field(pattern=ID_PATTERN, description="Id of the category that gets the posts.")
    reason: Reason = ABSENT


class DevTokenRequest(RequestModel):
    """The claims of a token from the local issuer."""

    username: Username
    groups: list[Group] = Field(default=[], max_length=20, description="`admin` makes an admin.", examples=[[]])
    scope: Scope = "openid"
