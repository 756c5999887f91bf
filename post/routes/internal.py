"""Questions of nginx itself; it lets no client reach these routes."""

import hashlib

from flask import Blueprint, Response

from post.auth_utils.guards import current_user, refuse_restricted_caller, token_required

bp = Blueprint("internal", __name__, url_prefix="/internal")


@bp.get("/uploader")
@token_required
def check_uploader() -> Response:
    """Say whose upload it is, before its body is taken, or refuse it."""
    refuse_restricted_caller()
    # A digest, since an id may have characters that a header may not.
    return Response(status=204, headers={"X-Uploader": hashlib.sha256(current_user().user_id.encode()).hexdigest()})


@bp.after_request
def name_refusal(response: Response) -> Response:
    """Repeat an error's code in a header, since nginx reads no body of a check."""
    if response.status_code >= 400:
        response.headers["X-Refusal"] = response.get_json()["error"]["code"]
    return response
