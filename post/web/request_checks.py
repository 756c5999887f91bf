"""The checks of a request: its body's size and type, then its ids, then its fields."""

import functools
import json
import re
from collections.abc import Callable
from typing import Any, TypeVar, cast, get_type_hints

from flask import request
from pydantic import ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from post.errors import FieldProblem, Invalid, InvalidFields, InvalidJson, InvalidPostId, UnsupportedMediaType
from post.messages import FIELDS
from post.validators import JSON_MAX_BYTES, UPLOAD_MAX_BYTES, PostPath, RequestModel
from post.web.multipart import read_parts

Route = TypeVar("Route", bound=Callable[..., Any])
Model = TypeVar("Model", bound=RequestModel)

VALUES_MAX = 10_000  # of a JSON body: each costs as much as a hundred bytes of text
INTEGER_MAX_DIGITS = 20  # more than any field takes; to read an int takes quadratic time
FILE_FIELDS = ("file", "files[]")
ARGUMENTS = ("path", "query", "header", "body", "form")


def checked(route: Route) -> Route:
    """
    Check a request by the models that a route's ``path``, ``query``, ``header``, ``body`` and ``form`` name.

    This decorator is the innermost, so that the token is checked before the request. The order is the
    API's: size and type of the body, then ids, then fields.

    Raises:
        UnsupportedMediaType: The content type is not JSON, or not multipart for a form.
        InvalidJson: The body is not JSON.
        InvalidPostId: The id in the path cannot be a post's.
        InvalidFields: A field is wrong or missing.
    """
    hints = get_type_hints(route)
    models: dict[str, type[RequestModel]] = {name: hints[name] for name in ARGUMENTS if name in hints}

    @functools.wraps(route)
    def check(**url_values: str) -> Any:
        raw: dict[str, Any] = {"path": url_values}
        try:
            if "body" in models:
                raw["body"] = read_json(may_be_empty=models["body"].may_be_empty)
            if "form" in models:
                raw["form"] = read_files()
        except Invalid:
            if "path" in models:  # its ids are checked before the body's fields
                read_fields(models["path"], url_values)
            raise
        if "query" in models:
            raw["query"] = request.args.to_dict()
        if "header" in models:
            names = [str(field.alias) for field in models["header"].model_fields.values()]
            raw["header"] = {name: request.headers[name] for name in names if name in request.headers}
        return route(**{name: read_fields(models[name], raw[name]) for name in models})

    check.__delay_validate_request__ = True  # type: ignore[attr-defined]  # makes flask-openapi leave the check to us
    return cast(Route, check)


def read_files() -> dict[str, list[Any]]:
    """
    Return the files of the request's multipart body by field, each with its stream and its name.

    Raises:
        RequestEntityTooLarge: The body is over 52 MiB, or has more than 1,000 parts.
        UnsupportedMediaType: Its type is not ``multipart/form-data``, or it is compressed.
        InvalidFields: The body has no file, or is malformed or cut off (RFC 7578).
    """
    request.max_content_length = UPLOAD_MAX_BYTES + 1  # one byte more shows that a body without a length is too long
    if (request.content_length or 0) > UPLOAD_MAX_BYTES:
        raise RequestEntityTooLarge
    if request.mimetype != "multipart/form-data" or _is_compressed():
        raise UnsupportedMediaType
    try:
        parts = read_parts(request, names=FILE_FIELDS)
    except ValueError as exc:
        raise InvalidFields(FieldProblem("file", "file_required")) from exc
    if not parts.files:
        raise InvalidFields(FieldProblem("file", "file_required"))
    for name in FILE_FIELDS:
        if name in parts.texts:  # a part without a file name is text (RFC 7578, section 4.2)
            raise InvalidFields(FieldProblem(name, "file_required"))
    return parts.files.to_dict(flat=False)


def read_json(*, may_be_empty: bool = False) -> Any:
    """
    Return the request's JSON body.

    Args:
        may_be_empty: Take an empty body of any type for ``{}``.

    Raises:
        RequestEntityTooLarge: The body is over 1 MiB.
        UnsupportedMediaType: Its type is not ``application/json``, or it is compressed.
        InvalidJson: The body is not JSON in UTF-8 (RFC 8259), or has more than 10,000 values.
    """
    # Werkzeug cuts a chunked body at its limit without an error; one byte more shows that it was longer.
    request.max_content_length = JSON_MAX_BYTES + 1
    data = request.get_data()
    if len(data) > JSON_MAX_BYTES:
        raise RequestEntityTooLarge
    if request.content_length not in (None, len(data)):
        raise InvalidJson  # the connection ended before the body did
    if may_be_empty and not data:
        return {}
    if not request.is_json or _is_compressed():
        raise UnsupportedMediaType
    if _has_many_values(data):
        raise InvalidJson
    try:
        # Not orjson: it refuses lone surrogates without naming their field. A mark of byte order may be ignored
        # (RFC 8259, section 8.1).
        return json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant, parse_int=_read_int)
    except (ValueError, RecursionError) as exc:
        raise InvalidJson from exc


def _is_compressed() -> bool:
    return request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity")


_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


def _has_many_values(data: bytes) -> bool:
    """Count values without reading them: one after each comma and opening bracket, if outside of strings."""
    if _count_values(data) <= VALUES_MAX:
        return False
    strings_max = 2 * VALUES_MAX  # a value may have a name
    outside, strings = _STRING.subn(b"", data, count=strings_max + 1)
    return strings > strings_max or _count_values(outside) > VALUES_MAX


def _count_values(data: bytes) -> int:
    return sum(map(data.count, (b",", b"[", b"{")))


def _read_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= INTEGER_MAX_DIGITS else float(digits)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def read_fields(model: type[Model], raw: Any) -> Model:
    """
    Return a client's values, checked.

    Args:
        model: The fields and their limits.
        raw: The client's values, by the names that clients use.

    Raises:
        InvalidPostId: The id in the path cannot be a post's.
        InvalidFields: A field is wrong or missing.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_input=False)
    if issubclass(model, PostPath) and any(error["loc"] == ("post_id",) for error in errors):
        raise InvalidPostId
    raise InvalidFields(*(_field_problem(error) for error in errors))


# The message for each of pydantic's error types: its key, and its parameters' names by those of the error's values
# (pydantic docs: "Validation Errors").
_WORDS = {
    "missing": ("required", {}),
    "string_type": ("not_text", {}),
    "datetime_type": ("not_text", {}),
    "int_type": ("not_integer", {}),
    "bool_type": ("not_boolean", {}),
    "list_type": ("not_list", {}),
    "model_type": ("not_object", {}),
    "less_than_equal": ("too_large", {"le": "maximum"}),
    "greater_than_equal": ("too_small", {"ge": "minimum"}),
    "string_too_short": ("blank", {}),
    "string_too_long": ("text_too_long", {"max_length": "maximum"}),
    "too_long": ("too_many_items", {"max_length": "maximum"}),
    "string_pattern_mismatch": ("bad_id", {}),
    "literal_error": ("not_a_choice", {"expected": "choices"}),
}


def _field_problem(error: Any) -> FieldProblem:
    field = str(error["loc"][0]) if error["loc"] else "body"
    context = error.get("ctx", {})
    if error["type"] in _WORDS:
        key, shown = _WORDS[error["type"]]
        if key == "not_a_choice":  # pydantic joins the choices in English
            context = {"expected": context["expected"].replace(" or ", ", ").replace("'", "")}
        return FieldProblem(field, key, {name: context[theirs] for theirs, name in shown.items()})
    if error["type"] in FIELDS:
        return FieldProblem(field, error["type"], context)
    return FieldProblem(field, "wrong")
