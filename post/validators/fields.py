"""Types of a request's fields: their limits, checks and descriptions."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from post.text import CONTROL_CHARACTERS, TextRefused, read_line, read_text, text_problem
from post.utils import (
    CATEGORY_MAX_CHARS,
    IDEMPOTENCY_KEY_MAX_CHARS,
    REASON_MAX_CHARS,
    TITLE_MAX_CHARS,
    USER_ID_MAX_CHARS,
    USERNAME_MAX_CHARS,
)

SEARCH_MAX_CHARS = 100
GROUP_MAX_CHARS = 128  # a Cognito group's name (API reference: CreateGroup)
SCOPE_MAX_CHARS = 1000
INTEGER_MAX = 2**31 - 1  # MySQL's INT
_PRINTABLE = re.compile(r"[!-~]([ -~]*[!-~])?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)  # of RFC 3339
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


def _read(read: Callable[[str], str]) -> BeforeValidator:
    """Return a validator that reads a text; other types are left to pydantic."""

    def check(value: Any) -> Any:
        try:
            return read(value) if isinstance(value, str) else value
        except TextRefused as refusal:
            raise problem(refusal.key, **refusal.params) from None

    return BeforeValidator(check)


def _trimmed(text: str) -> str:
    # No token has such a sub, and MySQL would ignore the spaces at its end.
    if text != text.strip():
        raise problem("bad_id")
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


def _future(text: Any) -> Any:
    """Read a time to come; returns it as the database has it, naive, in UTC, in whole milliseconds."""
    if not isinstance(text, str):
        return text  # pydantic refuses it
    try:
        if not _MOMENT.fullmatch(text):
            raise problem("bad_time")
        moment = datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise problem("bad_time") from None
    if moment <= datetime.now(UTC).replace(tzinfo=None):
        raise problem("time_past")
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


# Patterns for the OpenAPI document. Every written text that people can see has a letter, digit or symbol of these;
# an exact pattern would take hundreds of ranges.
_SEEN = (
    "!-~\u00ae-\u02ff\u0370-\u0482\u048a-\u0590\u05d0-\u05ea\u0620-\u064a\u0904-\u0939\u0985-\u09b9\u0a05-\u0a39"
    "\u0a85-\u0ab9\u0b05-\u0b39\u0b83-\u0bb9\u0c05-\u0c3b\u0c85-\u0cb9\u0d05-\u0d39\u0d85-\u0dc6\u0e01-\u0e30\u0e81-\u0eb0"
    "\u0f40-\u0f6c\u1000-\u102a\u10a0-\u115e\u1161-\u135a\u1780-\u17b3\u1820-\u1878\u1e00-\u1fff\u2030-\u205e\u2070-\u20cf"
    "\u2100-\u27ff\u2900-\u2ce0\u3003-\u3029\u3041-\u3096\u30a0-\u3163\u3165-\ua66e\uac00-\ud7ff\uf900-\ufaff\uff01-\uff9f"
    "\U0001f000-\U0001faff\U00020000-\U000323af"
)
_STORABLE = {"pattern": rf"^[^{CONTROL_CHARACTERS}]*$"}
_TRIMMED = {"pattern": rf"^[^\s{CONTROL_CHARACTERS}]([^{CONTROL_CHARACTERS}]*[^\s{CONTROL_CHARACTERS}])?$"}
_WRITTEN = {"minLength": 1, "pattern": rf"^[^{CONTROL_CHARACTERS}]*[{_SEEN}][^{CONTROL_CHARACTERS}]*$"}

Title = Annotated[
    str,
    _read(partial(read_line, max_chars=TITLE_MAX_CHARS)),
    Field(
        description="Trimmed, then 1 to 200 characters; stored as NFC, on one line.",
        examples=["안녕하세요"],
        json_schema_extra=_WRITTEN,
    ),
]
Content = Annotated[
    str,
    _read(read_text),
    Field(
        description="Not blank, at most 65,535 bytes of UTF-8; stored as NFC, as it was written.",
        examples=["첫 글입니다."],
        json_schema_extra=_WRITTEN,
    ),
]
CategoryName = Annotated[
    str,
    _read(partial(read_line, max_chars=CATEGORY_MAX_CHARS, folds_space=True)),
    Field(
        description="Trimmed, inner white space folded, then 1 to 50 characters; stored as NFC.",
        examples=["일반"],
        json_schema_extra=_WRITTEN,
    ),
]
Username = Annotated[
    str,
    _read(partial(read_line, max_chars=USERNAME_MAX_CHARS)),
    Field(examples=["alice"], json_schema_extra=_WRITTEN),
]
UserId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=USER_ID_MAX_CHARS,
        description="A user's `sub`.",
        json_schema_extra=_TRIMMED,
    ),
    BeforeValidator(_storable),
    AfterValidator(_trimmed),
]
Group = Annotated[
    str,
    Field(max_length=GROUP_MAX_CHARS, json_schema_extra=_STORABLE),
    BeforeValidator(_storable),
]
Scope = Annotated[
    str,
    Field(
        max_length=SCOPE_MAX_CHARS,
        description="Of the access token, separated by spaces.",
        json_schema_extra=_STORABLE,
    ),
    BeforeValidator(_storable),
]
# A filter may be empty, as forms send it; the document has to allow that.
OR_EMPTY = {"minLength": 0, **_STORABLE}
SearchText = Annotated[
    str,
    _read(partial(read_line, max_chars=SEARCH_MAX_CHARS, may_be_unseen=True)),
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
Reason = Annotated[
    str,
    _read(partial(read_text, max_chars=REASON_MAX_CHARS)),
    Field(
        description="Of a moderator's action, for the log; 1 to 500 characters.",
        examples=["광고"],
        json_schema_extra=_WRITTEN,
    ),
]
Future = Annotated[datetime, BeforeValidator(_future), Field(examples=["2099-12-31T23:59:59.000Z"])]
ReportText = Annotated[
    str,
    _read(partial(read_text, max_chars=REASON_MAX_CHARS)),
    Field(description="In the reporter's own words; 1 to 500 characters.", json_schema_extra=_WRITTEN),
]
Count = Annotated[int, Field(ge=0, le=INTEGER_MAX), BeforeValidator(_as_integer)]
Position = Annotated[
    int,
    Field(ge=-INTEGER_MAX, le=INTEGER_MAX, description="Lower ones come first in the list; 0 at first."),
    BeforeValidator(_as_integer),
]
