"""Types of a request's fields: their limits, checks and descriptions."""

import re
import unicodedata
from collections.abc import Callable
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from post.utils import (
    CATEGORY_MAX_CHARS,
    CONTROL_CHARACTERS,
    IDEMPOTENCY_KEY_MAX_CHARS,
    TITLE_MAX_CHARS,
    USER_ID_MAX_CHARS,
    USERNAME_MAX_CHARS,
    fold_space,
    text_problem,
)

CONTENT_MAX_BYTES = 65_535  # MySQL's TEXT ("Data Type Storage Requirements")
SEARCH_MAX_CHARS = 100
GROUP_MAX_CHARS = 128  # a Cognito group's name (API reference: CreateGroup)
SCOPE_MAX_CHARS = 1000
COUNT_MAX = 2**31 - 1  # MySQL's INT
_PRINTABLE = re.compile(r"[!-~]([ -~]*[!-~])?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}")  # below Python's own limit on the digits of an int


def problem(key: str, **params: Any) -> PydanticCustomError:
    """Return an error by its key in the message catalogue."""
    return PydanticCustomError(cast(Any, key), cast(Any, key), params)


def _storable(value: Any) -> Any:
    # Before pydantic's own check, whose error for lone surrogates is another.
    wrong = text_problem(value) if isinstance(value, str) else None
    if wrong:
        raise problem(wrong)
    return value


def _composed(text: str) -> str:
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


def _trimmed(text: str) -> str:
    # No token has such a sub, and MySQL would ignore the spaces at its end.
    if text != text.strip():
        raise problem("bad_id")
    return text


def _fits_text_column(text: str) -> str:
    if len(text.encode()) > CONTENT_MAX_BYTES:
        raise problem("too_many_bytes", maximum=CONTENT_MAX_BYTES)
    return text


def _fits_header(text: str) -> str:
    if len(text) > IDEMPOTENCY_KEY_MAX_CHARS or not _PRINTABLE.fullmatch(text):
        raise problem("bad_header", maximum=IDEMPOTENCY_KEY_MAX_CHARS)
    return text


def _as_integer(value: Any) -> Any:
    # JSON has one type of number: 5.0 is an integer (JSON Schema Core, section 4.2.3).
    return int(value) if isinstance(value, float) and value.is_integer() else value


def read_integer(value: Any) -> Any:
    """Read an integer of a query: digits with an optional sign; pydantic would also read "1.0" and "1_000"."""
    if isinstance(value, str) and not _INTEGER.fullmatch(value):
        raise problem("not_integer")
    return int(value) if isinstance(value, str) else value


# The patterns of _storable, and of _storable with _not_blank, for the OpenAPI document.
_STORABLE = {"pattern": rf"^[^{CONTROL_CHARACTERS}]*$"}
_WRITTEN = {"minLength": 1, "pattern": rf"^[^{CONTROL_CHARACTERS}]*[^\s{CONTROL_CHARACTERS}][^{CONTROL_CHARACTERS}]*$"}

Text = Annotated[str, BeforeValidator(_storable), AfterValidator(_composed)]
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
    BeforeValidator(_storable),
    AfterValidator(_composed),
    AfterValidator(_trimmed),
]
Group = Annotated[
    str,
    Field(max_length=GROUP_MAX_CHARS, json_schema_extra=_STORABLE),
    BeforeValidator(_storable),
    AfterValidator(_composed),
]
Scope = Annotated[
    str,
    Field(
        max_length=SCOPE_MAX_CHARS,
        description="Of the access token, separated by spaces.",
        examples=["post-service/comments.write"],
        json_schema_extra=_STORABLE,
    ),
    BeforeValidator(_storable),
]
# A filter may be empty, as forms send it; the document has to allow that.
OR_EMPTY = {"minLength": 0, **_STORABLE}
SearchText = Annotated[
    Text,
    AfterValidator(str.strip),
    AfterValidator(_at_most(SEARCH_MAX_CHARS)),
    Field(
        description="Titles that contain this, letter case ignored; 1 to 100 characters after trimming.",
        json_schema_extra=OR_EMPTY,
    ),
]
IdempotencyToken = Annotated[
    str,
    AfterValidator(_fits_header),
    Field(
        description="A repeat by the same user within 24 hours gets the first answer again, and creates nothing.",
        examples=["0d3f8ad0-f27c-4a5c-9be8-f6a3cb0b8a52"],
        json_schema_extra={
            "pattern": f"^{_PRINTABLE.pattern}$",
            "minLength": 1,
            "maxLength": IDEMPOTENCY_KEY_MAX_CHARS,
        },
    ),
]
Count = Annotated[int, Field(ge=0, le=COUNT_MAX), BeforeValidator(_as_integer)]
