"""The routes around the board: health, documentation, and the local issuer's tokens."""

from importlib.resources import files
from pathlib import Path
from typing import cast

from flask import Response, current_app, send_file
from flask_openapi import OpenAPI
from pydantic import Field
from werkzeug.exceptions import NotFound

from post import __version__
from post.auth_utils.dev_issuer import DevIssuer
from post.components import components
from post.database.servers import server_states
from post.errors import DatabaseUnavailable
from post.openapi.answers import Health, NotReady, Readiness, TokensAnswer
from post.openapi.document import SYSTEM, error_answers, file_answers, json_body, new_blueprint
from post.validators import DevTokenRequest, RequestModel
from post.web.envelope import json_response, respond, respond_error
from post.web.http_cache import not_modified_if_known
from post.web.request_checks import checked

bp = new_blueprint("system", __name__)
dev_bp = new_blueprint("dev", __name__, url_prefix="/dev")

STATIC = Path(__file__).resolve().parents[1] / "static"
SWAGGER_UI = Path(str(files("flask_openapi_swagger"))) / "templates" / "swagger"
ASSETS = {
    "docs.js": STATIC / "docs.js",
    "swagger-ui.css": SWAGGER_UI / "css" / "swagger-ui.css",
    "swagger-ui-bundle.js": SWAGGER_UI / "js" / "swagger-ui-bundle.js",
    "swagger.svg": SWAGGER_UI / "images" / "swagger.svg",
}
ASSET_TYPES = ("text/css", "text/javascript", "image/svg+xml")
ASSET_MAX_AGE_SECONDS = 3600
# Only files of this service; Swagger UI's icons are data: URLs.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class AssetPath(RequestModel):
    """The path of a file of the documentation page."""

    name: str = Field(examples=sorted(ASSETS))


@bp.get("/health", tags=[SYSTEM], responses={200: Health, **error_answers()})
def health() -> Response:
    """Report that the process answers; nothing else is checked."""
    return json_response({"status": "healthy", "service": "post-service", "version": __version__})


@bp.get("/health/ready", tags=[SYSTEM], responses={200: Readiness, 503: NotReady, **error_answers()})
def ready() -> Response:
    """Report if requests can be served, and the state of each dependency."""
    checks, redis = server_states(), components().redis
    if redis is not None:
        checks["redis"] = "up" if redis.is_up() else "down"
    if checks["database"] == "up":
        return json_response({"status": "ready", "checks": checks})
    return respond_error(DatabaseUnavailable.code, 503, beside={"status": "not_ready", "checks": checks})


@bp.get("/api/openapi.json", tags=[SYSTEM], responses=file_answers("application/json"))
def openapi_document() -> Response:
    """Describe this API (OpenAPI 3.1)."""
    return json_response(cast(OpenAPI, current_app).api_doc)


@bp.get("/api/docs", tags=[SYSTEM], responses=file_answers("text/html"))
def docs() -> Response:
    """Show this API in Swagger UI."""
    page = _whole_file(STATIC / "docs.html", max_age_seconds=0)
    page.headers["Content-Security-Policy"] = DOCS_POLICY
    return page


@bp.get(
    "/api/docs/<name>",
    tags=[SYSTEM],
    responses=file_answers("text/css", "text/javascript", "image/svg+xml", errors=(404,)),
)
@checked
def docs_asset(path: AssetPath) -> Response:
    """Serve a file of the documentation page."""
    if path.name not in ASSETS:
        raise NotFound
    return _whole_file(ASSETS[path.name], max_age_seconds=ASSET_MAX_AGE_SECONDS)


def _whole_file(path: Path, *, max_age_seconds: int) -> Response:
    return not_modified_if_known(send_file(path, conditional=False, max_age=max_age_seconds))


@dev_bp.post(
    "/token",
    tags=[SYSTEM],
    request_body=json_body(
        DevTokenRequest,
        user={"username": "alice"},
        admin={"username": "root", "groups": ["admin"]},
        comment_service={"username": "comments", "scope": "post-service/comments.write"},
    ),
    responses={200: TokensAnswer, **error_answers(400, 413, 415)},
)
@checked
def issue_token(body: DevTokenRequest) -> Response:
    """Sign tokens for any name; only in development without a Cognito pool."""
    issuer = cast(DevIssuer, components().dev_issuer)  # the blueprint is registered with it alone
    return respond(issuer.issue(body.username, body.groups, body.scope), message="token_issued")


@dev_bp.get("/.well-known/jwks.json", tags=[SYSTEM], responses=file_answers("application/json"))
def jwks() -> Response:
    """Publish the local issuer's key."""
    return json_response(cast(DevIssuer, components().dev_issuer).jwks())
