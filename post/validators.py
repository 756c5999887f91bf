"""What a request may say, field by field. The OpenAPI document is made of the same models."""

import re
import unicodedata
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from post.paging import Cursor, PageRequest, Sort, View
from post.utils import ID_PATTERN, USER_ID_MAX_CHARS, USERNAME_MAX_CHARS, fold_space, text_problem

JSON_MAX_BYTES = 1024 * 1024
TITLE_MAX_CHARS = 200
CONTENT_MAX_BYTES = 65_535  # MySQL's TEXT ("Data Type Storage Requirements")
CATEGORY_MAX_CHARS = 50
SEARCH_MAX_CHARS = 100
GROUP_MAX_CHARS = 128  # a Cognito group's name (API reference: CreateGroup)
PER_PAGE_MAX = 50
PAGE_MAX = 2**31 - 1  # more than any list has: `No` is a MySQL INT
_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}")  # below Python's own limit on the digits of an int

# An optional field that is absent. Not ``T | None``: a null that is sent is of the wrong type.
ABSENT: Any = None


def problem(key: str, **params: Any) -> PydanticCustomError:
    """Return an error whose words are the catalogue's."""
    return PydanticCustomError(cast(Any, key), cast(Any, key), params)


def _storable(text: str) -> str:
    wrong = text_problem(text)
    if wrong:
        raise problem(wrong)
    return unicodedata.normalize("NFC", text)


def _at_most(maximum: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        if len(text) > maximum:
            raise problem("text_too_long", maximum=maximum)
        return text

    return check


def _not_blank(text: str) -> str:
    if not text.strip():
        raise problem("blank")
    return text


def _fits_text_column(text: str) -> str:
    if len(text.encode()) > CONTENT_MAX_BYTES:
        raise problem("too_many_bytes", maximum=CONTENT_MAX_BYTES)
    return text


def _only_text(value: Any) -> Any:
    # Before pydantic's own check, which has other words for lone surrogates.
    if isinstance(value, str) and text_problem(value) == "surrogates":
        raise problem("surrogates")
    return value


def _integer(value: Any) -> Any:
    # Pydantic would also read "1.0" and "1_000".
    if isinstance(value, str) and not _INTEGER.fullmatch(value):
        raise problem("not_integer")
    return int(value) if isinstance(value, str) else value


_NO_CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
# What _storable demands, for the OpenAPI document; and what _not_blank does.
_STORABLE = {"pattern": rf"^[^{_NO_CONTROL}]*$"}
_WRITTEN = {"minLength": 1, "pattern": rf"^[^{_NO_CONTROL}]*[^\s{_NO_CONTROL}][^{_NO_CONTROL}]*$"}

Text = Annotated[str, BeforeValidator(_only_text), AfterValidator(_storable)]
Title = Annotated[
    Text,
    AfterValidator(str.strip),
    AfterValidator(_not_blank),
    AfterValidator(_at_most(TITLE_MAX_CHARS)),
    Field(
        description="Trimmed, then 1 to 200 characters; stored as NFC.",
        examples=["안녕하세요"],
        json_schema_extra=_WRITTEN,
    ),
]
Content = Annotated[
    Text,
    AfterValidator(_not_blank),
    AfterValidator(_fits_text_column),
    Field(
        description="Not blank, at most 65,535 bytes of UTF-8; stored as NFC, as it was written.",
        examples=["첫 글입니다."],
        json_schema_extra=_WRITTEN,
    ),
]
CategoryName = Annotated[
    Text,
    AfterValidator(fold_space),
    AfterValidator(_not_blank),
    AfterValidator(_at_most(CATEGORY_MAX_CHARS)),
    Field(
        description="Trimmed, inner white space folded, then 1 to 50 characters; stored as NFC.",
        examples=["일반"],
        json_schema_extra=_WRITTEN,
    ),
]
Username = Annotated[
    Text,
    AfterValidator(str.strip),
    AfterValidator(_not_blank),
    AfterValidator(_at_most(USERNAME_MAX_CHARS)),
    Field(examples=["alice"], json_schema_extra=_WRITTEN),
]
UserId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=USER_ID_MAX_CHARS,
        description="A user's `sub`.",
        json_schema_extra=_STORABLE,
    ),
    BeforeValidator(_only_text),
    AfterValidator(_storable),
]
Group = Annotated[
    str,
    Field(max_length=GROUP_MAX_CHARS, json_schema_extra=_STORABLE),
    BeforeValidator(_only_text),
    AfterValidator(_storable),
]


class RequestModel(BaseModel):
    """Base of what requests say: unknown fields are ignored, wrong types refused."""

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


class PageQuery(RequestModel):
    """Which page of a list."""

    page: Annotated[int, Field(ge=1), BeforeValidator(_integer)] = 1
    per_page: Annotated[int, Field(ge=1, description="Above 50 is served as 50."), BeforeValidator(_integer)] = 10
    view: View = Field(default="full", description="`summary` has `excerpt` in place of `content`.")
    cursor: Annotated[
        Any,
        WithJsonSchema(
            {"type": "string", "format": "cursor", "description": "In place of `page`: a `next_cursor` of this list."}
        ),
    ] = ABSENT

    @model_validator(mode="before")
    @classmethod
    def _empty_filters_are_absent(cls, values: dict[str, Any]) -> dict[str, Any]:
        filters = {"q", "category_id", "category", "user_id", "cursor"}
        return {name: value for name, value in values.items() if name not in filters or value.strip()}

    @field_validator("cursor", mode="before")
    @classmethod
    def _of_this_order(cls, text: str, info: ValidationInfo) -> Cursor:
        try:
            cursor = Cursor.decode(text)
        except ValueError:
            raise problem("bad_cursor") from None
        if cursor.sort != info.data.get("sort", "latest"):
            raise problem("bad_cursor")
        return cursor

    def page_request(self, sort: Sort = "latest") -> PageRequest:
        """Return the page that is asked for."""
        page, per_page = min(self.page, PAGE_MAX), min(self.per_page, PER_PAGE_MAX)
        return PageRequest(page=page, per_page=per_page, cursor=self.cursor, sort=sort, view=self.view)


# The filters of a list may be empty, as a form leaves them; the document says so.
_OR_EMPTY = {"minLength": 0, **_STORABLE}


class _Filters(RequestModel):
    q: Annotated[
        Text,
        AfterValidator(str.strip),
        AfterValidator(_at_most(SEARCH_MAX_CHARS)),
        Field(
            description="Titles that contain this, letter case ignored; 1 to 100 characters after trimming.",
            json_schema_extra=_OR_EMPTY,
        ),
    ] = ABSENT
    category_id: Annotated[str, Field(pattern=ID_PATTERN, json_schema_extra={"pattern": "^([0-9a-f]{32})?$"})] = ABSENT
    category: Annotated[CategoryName, Field(json_schema_extra=_OR_EMPTY)] = ABSENT
    user_id: Annotated[UserId, Field(json_schema_extra=_OR_EMPTY)] = ABSENT
    sort: Sort = "latest"


class ListQuery(PageQuery, _Filters):
    """Which posts, in which order. The fields of ``_Filters`` are checked before the cursor, which needs ``sort``."""


class LikeStatusQuery(RequestModel):
    """Whose like is asked for."""

    user_id: UserId = ABSENT


class NewPost(RequestModel):
    """A post to be created."""

    title: Title
    content: Content
    category: CategoryName = "일반"


class WholePost(RequestModel):
    """All that an author may say of a post, for PUT."""

    title: Title
    content: Content
    category: CategoryName


class PostChanges(RequestModel):
    """Some of what an author may say of a post, for PATCH."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    title: Title = ABSENT
    content: Content = ABSENT
    category: CategoryName = ABSENT
    status: Literal["visible", "hidden"] = Field(
        default=ABSENT, description="An admin's `visible` restores a deleted post."
    )

    @model_validator(mode="after")
    def _changes_something(self) -> "PostChanges":
        if not self.model_fields_set:
            raise problem("nothing_to_change")
        return self


class LikeBody(RequestModel):
    """Whose like it is, as the site's first version said; the token says so better."""

    may_be_empty: ClassVar[bool] = True

    user_id: UserId = ABSENT


class NewCategory(RequestModel):
    """A category to be created."""

    name: CategoryName


class DevTokenRequest(RequestModel):
    """Whom the local issuer should sign a token for."""

    username: Username
    groups: list[Group] = Field(default=[], max_length=20, examples=[["admin"]])
