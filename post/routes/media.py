"""Images of posts."""

from flask import Response, request

from post import messages, services
from post.auth_utils.guards import current_user, is_caller_restricted, token_required, token_required_to_write
from post.images.storage import CACHE_CONTROL, CONTENT_TYPES, content_type_of, digest_of
from post.openapi.answers import DeletedAnswer, MediaAnswer, UploadPermissionsAnswer
from post.openapi.document import BEARER, MEDIA, answers, file_answers, images_body, new_blueprint
from post.services.uploads import FailedUpload, Upload
from post.text import clean_file_name
from post.validators import ImagePath, MediaForm, MediaPath, PostPath
from post.web.envelope import request_language, respond
from post.web.http_cache import not_modified_if_known
from post.web.request_checks import checked

bp = new_blueprint("media", __name__, url_prefix="/api/v1")

# An image may load and run nothing (CSP Level 3).
IMAGE_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"


@bp.post(
    "/posts/<post_id>/media",
    tags=[MEDIA],
    security=BEARER,
    request_body=images_body(MediaForm, *CONTENT_TYPES.values()),
    responses=answers(MediaAnswer, 400, 401, 403, 404, 409, 413, 415, status=201),
)
@token_required
@checked
def upload_media(path: PostPath, form: MediaForm) -> Response:
    """Add one image or several to a post, as its author or an admin."""
    uploaded = services.upload_media(path.post_id, editor=current_user(), uploads=_uploads(form))
    if form.is_one:
        return respond(uploaded.stored[0], message="media_uploaded", status=201)
    failed = [_to_dict(failure) for failure in uploaded.failed]
    data = {"uploaded_files": uploaded.stored, "failed": failed}
    return respond(data, message="media_uploaded", status=201)


@bp.delete(
    "/posts/<post_id>/media/<media_id>",
    tags=[MEDIA],
    security=BEARER,
    responses=answers(DeletedAnswer, 400, 401, 403, 404),
)
@token_required_to_write
@checked
def delete_media(path: MediaPath) -> Response:
    """Remove an image from a post, as its author or an admin."""
    deleted = services.delete_media(path.post_id, path.media_id, editor=current_user())
    return respond(deleted, message="media_deleted")


@bp.get(
    "/posts/media/check-permissions", tags=[MEDIA], security=BEARER, responses=answers(UploadPermissionsAnswer, 401)
)
@token_required
def check_permissions() -> Response:
    """Show the limits on the caller's uploads."""
    permissions = services.upload_permissions(is_restricted=is_caller_restricted())
    return respond(permissions, message="upload_permissions")


@bp.get("/images/<key>", tags=[MEDIA], responses=file_answers(*CONTENT_TYPES.values(), errors=(404, 503)))
@checked
def get_image(path: ImagePath) -> Response:
    """Serve an image or a thumbnail of a visible post; the content of a key never changes."""
    content = services.read_image(path.key, is_known=digest_of(path.key) in request.if_none_match.as_set())
    response = Response(content, mimetype=content_type_of(path.key))
    response.headers["Cache-Control"] = CACHE_CONTROL
    response.headers["Content-Disposition"] = "inline"
    response.headers["Content-Security-Policy"] = IMAGE_POLICY
    response.set_etag(digest_of(path.key))
    return not_modified_if_known(response)


def _uploads(form: MediaForm) -> list[Upload]:
    return [Upload(field, clean_file_name(part.filename or ""), part.stream) for field, part in form.parts]


def _to_dict(failure: FailedUpload) -> dict[str, str]:
    error, language = failure.error, request_language()
    words = [messages.text(detail.key, language, **detail.params) for detail in error.details]
    message = " ".join(words) or messages.text(error.code, language)
    return {"file_name": failure.file_name, "code": error.code, "message": message}
