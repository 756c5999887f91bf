"""How a request is checked: its body's size and type, then its ids, then its fields."""

import functools
import json
import re
from collections.abc import Callable
from typing import Any, TypeVar, cast, get_type_hints

from flask import request
from pydantic import ValidationError

from post.errors import FieldProblem, InvalidFields, InvalidJson, InvalidPostId, UnsupportedMediaType
from post.messages import FIELDS
from post.validators import PostPath, RequestModel

Route = TypeVar("Route", bound=Callable[..., Any])
Model = TypeVar("Model", bound=RequestModel)


def checked(route: Route) -> Route:
    """
    Check what a route's ``path``, ``query`` and ``body`` arguments are annotated with.

    It stands innermost, so that the token is checked before the request. The order is the API's:
    size and type of the body, then ids, then fields.

    Raises:
        UnsupportedMediaType: The body is not JSON by its type.
        InvalidJson: Nor by its content.
        InvalidPostId: The id in the path cannot be a post's.
        InvalidFields: A field is wrong, or missing.
    """
    hints = get_type_hints(route)
    models: dict[str, type[RequestModel]] = {name: hints[name] for name in ("path", "query", "body") if name in hints}

    @functools.wraps(route)
    def check(**url_values: str) -> Any:
        said: dict[str, Any] = {}
        if "body" in models:
            said["body"] = read_json(may_be_empty=models["body"].may_be_empty)
        if "path" in models:
            said["path"] = url_values
        if "query" in models:
            said["query"] = request.args.to_dict()
        return route(**{name: _validate(models[name], said[name]) for name in models})

    check.__delay_validate_request__ = True  # type: ignore[attr-defined]  # tells flask-openapi to leave this to us
    return cast(Route, check)


def read_json(*, may_be_empty: bool = False) -> Any:
    """
    Return the request's JSON body.

    Args:
        may_be_empty: An empty body, of whatever type, is ``{}``.

    Raises:
        UnsupportedMediaType: Its type is not ``application/json``.
        InvalidJson: It is not JSON in UTF-8 (RFC 8259).
    """
    data = request.get_data()
    if may_be_empty and not data:
        return {}
    if not request.is_json:
        raise UnsupportedMediaType
    try:
        # Not orjson: it refuses lone surrogates without a word on the field that has them.
        return json.loads(data.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise InvalidJson from exc


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _validate(model: type[Model], said: Any) -> Model:
    try:
        return model.model_validate(said)
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_input=False)
    if model is PostPath:
        raise InvalidPostId
    raise InvalidFields(*(_field_problem(error) for error in errors))


def _field_problem(error: Any) -> FieldProblem:
    """Return a pydantic error in the catalogue's words (pydantic docs: "Validation Errors")."""
    field = str(error["loc"][0]) if error["loc"] else "body"
    context = error.get("ctx", {})
    match error["type"]:
        case key if key in FIELDS:
            return FieldProblem(field, key, context)
        case "missing":
            return FieldProblem(field, "required")
        case "string_type":
            return FieldProblem(field, "not_text")
        case "int_type":
            return FieldProblem(field, "not_integer")
        case "list_type":
            return FieldProblem(field, "not_list")
        case "model_type":
            return FieldProblem(field, "not_object")
        case "greater_than_equal":
            return FieldProblem(field, "too_small", {"minimum": context["ge"]})
        case "string_too_short":
            return FieldProblem(field, "blank")
        case "string_too_long":
            return FieldProblem(field, "too_long", {"maximum": context["max_length"]})
        case "string_pattern_mismatch":
            return FieldProblem(field, "bad_id")
        case "literal_error":
            choices = ", ".join(re.findall("'([^']*)'", context["expected"]))
            return FieldProblem(field, "not_a_choice", {"choices": choices})
    return FieldProblem(field, "wrong")
