"""The OpenAPI document's own parts: tags, security, and the answers of operations."""

import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from flask_openapi import APIBlueprint, Info, OpenAPI, Tag
from flask_openapi.models import RequestBody, Response
from pydantic import BaseModel

from post import __version__
from post.openapi.answers import Answer, ErrorAnswer
from post.openapi.errors import describe_errors
from post.openapi.headers import describe_headers

OPENAPI_VERSION = "3.1.0"

POSTS = Tag(name="posts", description="게시글")
LIKES = Tag(name="likes", description="좋아요")
MEDIA = Tag(name="media", description="이미지")
ACCOUNTS = Tag(name="accounts", description="계정")
MODERATION = Tag(name="moderation", description="운영")
CATEGORIES = Tag(name="categories", description="카테고리")
SYSTEM = Tag(name="system", description="Health, documentation, local tokens")

BEARER: list[dict[str, list[Any]]] = [{"bearer": []}]
BEARER_OR_NONE: list[dict[str, list[Any]]] = [*BEARER, {}]

TOKENS = """\
토큰: 개발 환경에서는 `POST /dev/token`이 준 `access_token`을 **Authorize**에 붙여 넣습니다. 운영 환경에서는 사이트에
로그인할 때 Cognito가 준 액세스 토큰이나 ID 토큰입니다.

Tokens: in development, paste the `access_token` of `POST /dev/token` into **Authorize**. In production it is the access
token or the ID token that Cognito gives when a user logs in to the site."""

# The type of an operation's answers in flask-openapi.
Responses = dict[str | int | HTTPStatus, type[BaseModel] | Response | dict[str, Any] | None]


def answers(success: type[Answer], *errors: int, status: int = 200, is_versioned: bool = False) -> Responses:
    """
    Return the answers of an operation.

    Args:
        success: The body of a success.
        errors: Statuses of the operation's own errors; those of every operation are added.
        status: Status of a success.
        is_versioned: Whether a success has an ``ETag``, for conditional requests.
    """
    responses: Responses = {status: success}
    return responses | (_not_modified() if is_versioned else {}) | error_answers(*errors, 429, 503)


def error_answers(*errors: int) -> Responses:
    """Return an operation's errors of some statuses, and 500."""
    return dict.fromkeys((*errors, 500), ErrorAnswer)


def _not_modified() -> Responses:
    return {304: {"description": "`If-None-Match` names the current `ETag`."}}


def json_body(model: type[BaseModel], *, is_required: bool = True, **examples: dict[str, Any]) -> RequestBody:
    """Return the JSON body of an operation, with examples by their names; Swagger UI sends the first."""
    named = {name: {"value": value} for name, value in examples.items()}
    return RequestBody(content={"application/json": _content(model, examples=named)}, required=is_required)


def images_body(model: type[BaseModel], *content_types: str) -> RequestBody:
    """Return the multipart body of an operation that takes files of some types."""
    names = [str(field.alias or name) for name, field in model.model_fields.items()]
    encoding = {name: {"contentType": ", ".join(content_types)} for name in names}
    return RequestBody(content={"multipart/form-data": _content(model, encoding=encoding)}, required=True)


def _content(model: type[BaseModel], **more: Any) -> Any:
    return {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}, **more}


def file_answers(*content_types: str, errors: Sequence[int] = ()) -> Responses:
    """
    Return the answers of an operation that serves files.

    Args:
        content_types: The files'.
        errors: Statuses of the operation's own errors; those of every operation are added.
    """
    responses: Responses = {200: {"content": {content_type: {} for content_type in content_types}}}
    is_generated = "application/json" in content_types  # for each request, without a tag
    return responses | ({} if is_generated else _not_modified()) | error_answers(*errors, 429)


def new_blueprint(name: str, import_name: str, *, url_prefix: str | None = None) -> APIBlueprint:
    """Return a blueprint whose operations are named after their functions in the OpenAPI document."""
    return APIBlueprint(name, import_name, url_prefix=url_prefix, operation_id_callback=_operation_id)


def _operation_id(*, name: str, path: str, method: str) -> str:  # noqa: ARG001 - flask-openapi gives all three
    return name


class DescribedApp(OpenAPI):
    """A Flask app whose OpenAPI document has what the library adds to no model: headers, codes of errors."""

    _describing = threading.Lock()

    @property
    def api_doc(self) -> dict[str, Any]:
        """The document, made once under a lock: without it, other threads would see an unfinished one."""
        with self._describing:
            return super().api_doc

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function: none of ours is a coroutine, and Flask would inspect each hook in each request."""
        return func

    def generate_spec_json(self) -> None:
        """Make the document."""
        super().generate_spec_json()  # type: ignore[no-untyped-call]  # the library declares no types
        describe_errors(self.spec_json)
        describe_headers(self.spec_json)
        for schema in self.spec_json["components"]["schemas"].values():
            _describe_defaults(schema.get("properties", {}))


def _describe_defaults(fields: dict[str, Any]) -> None:
    """Say the defaults of fields in words: generators of clients make a field with ``default`` a required one."""
    for field in fields.values():
        default = field.pop("default", None)
        if default:
            field["description"] = f"{field.get('description', '')} `{default}` by default.".strip()


def new_openapi_app(import_name: str) -> OpenAPI:
    """Return a Flask app that keeps an OpenAPI document of the routes registered on it."""
    app = DescribedApp(
        import_name,
        info=Info(
            title="Post Service",
            version=__version__,
            description=f"게시판 서비스. Board service: posts, categories, likes, images.\n\n{TOKENS}",
        ),
        security_schemes={"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": TOKENS}},
        # The library adds its own error to operations without this status; ours all document it.
        validation_error_status=500,
        validation_error_model=ErrorAnswer,
        doc_ui=False,
        static_folder=None,
    )
    app.openapi_version = OPENAPI_VERSION
    return app
