"""A container behind the gateway: the contract's answers, the caller, JSON bodies with exact money, health."""

import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import wraps
from time import perf_counter
from typing import Any, ParamSpec, TypeVar

import psycopg
from flask import Blueprint, Flask, Request, Response, g, request
from gunicorn.http.errors import ParseException
from pydantic import BaseModel
from werkzeug import exceptions
from werkzeug.routing import Rule

from shared import errors, http, postgres, traces
from shared.container_log import REQUEST, count, logger, start_log
from shared.exact_json import dump
from shared.metrics import DATABASE_UNAVAILABLE, REQUESTS_FAILED

NOBODY = "-"  # the gateway's word for the caller of an open route
JSON = "application/json"
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")

Arguments = ParamSpec("Arguments")
Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request, as the gateway names them."""

    account_id: str
    role: str

    @property
    def is_admin(self) -> bool:
        """True if the caller may act for others."""
        return self.role == "admin"


class DocumentedMethods(Rule):
    """A route that has the document's methods alone: Flask would add HEAD to each GET."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.methods = (self.methods or set()) - {"HEAD"}


class Service(Flask):
    """Flask with the contract's common part; bodies are read up to 64 KiB."""

    url_rule_class = DocumentedMethods

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function: none of ours is a coroutine, and Flask would inspect each hook in each request."""
        return func


def create_service(name: str, *blueprints: Blueprint) -> Service:
    """
    Make the WSGI application of a service, and open its pool of connections.

    Args:
        name: Name of the service, in its health and its log.
        blueprints: Its routes.

    Returns:
        The application.

    Raises:
        SettingInvalid: A setting is missing or wrong.
    """
    start_log(name)
    traces.start(name)
    postgres.pool()
    app = Service(name, static_folder=None)
    app.url_map.strict_slashes = app.url_map.merge_slashes = False
    app.config.update(MAX_CONTENT_LENGTH=http.BODY_MAX_BYTES, PROVIDE_AUTOMATIC_OPTIONS=False)
    app.before_request(_begin)
    app.after_request(_finish)
    app.register_error_handler(errors.ServiceError, _refused)
    app.register_error_handler(exceptions.HTTPException, _not_dispatched)
    app.register_error_handler(psycopg.OperationalError, _database_away)
    app.register_error_handler(Exception, _failed)
    for blueprint in (_health(name), *blueprints):
        app.register_blueprint(blueprint)
    return app


def caller() -> Caller:
    """
    Return the caller, whom the gateway has let through.

    Raises:
        AuthorizationRequired: The gateway named none.
    """
    account_id = request.headers.get("X-Account-Id", NOBODY)
    if account_id == NOBODY:
        raise errors.AuthorizationRequired
    return Caller(account_id, request.headers.get("X-User-Role", NOBODY))


def admin_only(view: Callable[Arguments, Response]) -> Callable[Arguments, Response]:
    """
    Refuse everybody but admins, before the request is read.

    Args:
        view: The route's function.

    Returns:
        It, behind the check.
    """

    @wraps(view)
    def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Response:
        if not caller().is_admin:
            raise errors.Forbidden
        return view(*args, **kwargs)

    return checked


def read_body(model: type[Body]) -> Body:
    """
    Read and check the request's body; numbers that are no integers are ``Decimal``.

    Args:
        model: The fields and their rules.

    Returns:
        The checked fields.

    Raises:
        MalformedRequest: The body breaks off.
        TooLarge: It has more than 64 KiB.
        UnsupportedType: Its type is another than JSON's.
        InvalidJson: It is not one JSON object.
        ValidationFailed: Fields are missing or wrong.
    """
    try:
        content = request.get_data()
    except (OSError, ParseException) as exc:  # gunicorn's: a client that is gone, chunks that are none
        raise errors.MalformedRequest from exc
    values = http.parse_object(content, content_type=request.headers.get("Content-Type"), parse_float=_decimal)
    return http.check_body(model, values)


def _decimal(text: str) -> Decimal:
    """A number of JSON's; one whose exponent no Decimal has is out of every range."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("Infinity")


def query() -> dict[str, str]:
    """Return the query's parameters; of one that is repeated, the last."""
    return {name: values[-1] for name, values in request.args.lists()}


def idempotency_key() -> str | None:
    """
    Return the request's ``Idempotency-Key``; None if it has none.

    Raises:
        ValidationFailed: It is not 1 to 64 of ``[A-Za-z0-9_-]``.
    """
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        detail = errors.Detail(field="Idempotency-Key", message="Must be 1 to 64 of A-Z, a-z, 0-9, _ and -")
        raise errors.ValidationFailed(details=[detail])
    return key


def respond(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None, *, is_replay: bool = False
) -> Response:
    """
    Return an answer that nobody may keep.

    Args:
        value: JSON value, or JSON's text as bytes; None for an answer without a body.
        status: Status of the answer.
        headers: Further headers.
        is_replay: True if an earlier request with the same key got this answer.
    """
    content = b"" if value is None else value if isinstance(value, bytes) else dump(value)
    response = Response(content, status, {"Cache-Control": "no-store", **(headers or {})}, content_type=JSON)
    if is_replay:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def respond_created(value: Any, path: str, *, is_replay: bool = False) -> Response:
    """
    Return the answer to a creation.

    Args:
        value: JSON value, or JSON's text as bytes.
        path: Path of what was created, without the first slash.
        is_replay: True if an earlier request with the same key got this answer.

    Returns:
        201 with a ``Location`` that is relative to the request's own address, which the edge may have shortened.
    """
    return respond(value, 201, {"Location": f"./{path}"}, is_replay=is_replay)


def respond_to_all(value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """
    Return an answer that everybody may keep and ask about again; 304 to those who have it.

    Args:
        value: JSON value.
        headers: Further headers.
    """
    content = dump(value)
    whole = content + (headers or {}).get("Link", "").encode()  # a page that gets a next one is another answer
    tag = hashlib.blake2b(whole, digest_size=12).hexdigest()
    fresh = {"Cache-Control": "public, no-cache", "ETag": f'W/"{tag}"', **(headers or {})}
    if request.if_none_match.contains_weak(tag):
        return Response(status=304, headers=fresh)
    return Response(content, 200, fresh, JSON)


def _begin() -> None:
    g.started = perf_counter()
    g.request_id = http.choose_request_id(request.headers.get("X-Request-ID"))
    g.span = traces.begin(request.method, "SERVER", request.headers.get(traces.HEADER, ""))
    REQUEST.set({"request_id": g.request_id} | ({"xray_trace_id": g.span.root} if g.span.root else {}))


def _finish(response: Response) -> Response:
    response.headers.extend(http.common_headers(g.request_id))
    facts = _facts(request, response.status_code)
    logger.info("request", extra=facts)
    if g.span.is_recorded:
        _note(g.span, facts)
    g.span.end()
    return response


def _note(span: traces.Span, facts: dict[str, Any]) -> None:
    route, status = facts["resource"] or "", facts["status"]
    known = {"http.request.method": request.method, "http.route": route, "http.response.status_code": status}
    span.note(name=f"{request.method} {route}", attributes=known, error=str(status) if status >= 500 else None)


def _facts(request: Request, status: int) -> dict[str, Any]:
    return {
        "method": request.method,
        "resource": request.url_rule and request.url_rule.rule,
        "account_id": request.headers.get("X-Account-Id"),
        "status": status,
        "duration_ms": round((perf_counter() - g.started) * 1000, 1),
    }


def _refused(error: errors.ServiceError) -> Response:
    body = http.dump_json(http.error_body(error, g.request_id)).encode()
    return respond(body, http.error_status(error), http.error_headers(error))


def _not_dispatched(error: exceptions.HTTPException) -> Response:
    if isinstance(error, exceptions.MethodNotAllowed):
        return _refused(errors.MethodNotAllowed(allowed=sorted(error.valid_methods or ())))
    if isinstance(error, exceptions.RequestEntityTooLarge):
        return _refused(errors.TooLarge())
    return _refused(errors.NotFound() if isinstance(error, exceptions.NotFound) else errors.MalformedRequest())


def _database_away(error: psycopg.OperationalError) -> Response:
    count("database_unavailable", DATABASE_UNAVAILABLE, level=logging.WARNING, error=error)
    return _refused(errors.Unavailable())


def _failed(error: Exception) -> Response:
    count("request_failed", REQUESTS_FAILED, level=logging.ERROR, error=error)
    return respond(http.dump_json(http.internal_error_body(g.request_id)).encode(), 500)


def _health(name: str) -> Blueprint:
    health = Blueprint("health", __name__)
    text = http.dump_json({"status": "healthy", "service": name}).encode()

    @health.get("/health")
    def is_alive() -> Response:
        """Answer while the process runs."""
        return respond(text)

    @health.get("/health/ready")
    def is_ready() -> Response:
        """Answer 200 while the database answers, else 503."""
        if postgres.is_ready():
            return respond({"status": "ready", "service": name})
        raise errors.Unavailable

    return health
