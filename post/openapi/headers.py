"""Headers of requests and answers in the OpenAPI document, by an operation's statuses."""

from typing import Any

LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")

# Of answers of every operation, by status.
OF_STATUS = {"302": ("Location",), "401": ("WWW-Authenticate",), "429": ("Retry-After",), "503": ("Retry-After",)}
# Of successes, by the operation's id.
OF_OPERATION = {
    ("create_post", "201"): ("Location", "Idempotency-Replayed"),
    ("list_posts", "200"): ("Link",),
    ("list_my_posts", "200"): ("Link",),
    ("list_log", "200"): ("Link",),
    ("list_reports", "200"): ("Link",),
}


def _header(description: str, *, kind: str = "string", is_required: bool = True) -> dict[str, Any]:
    return {"description": description, "required": is_required, "schema": {"type": kind}}


HEADERS = {
    "X-Request-ID": _header("The caller's, or a new one; the log has it too."),
    "ETag": _header("Version of the answer, for `If-None-Match`."),
    "Location": _header("URL of the new post, or of the redirect."),
    "Link": _header("The pages `next` and `prev` (RFC 8288), where there are any.", is_required=False),
    "Idempotency-Replayed": _header("`true` where the answer is an earlier one.", is_required=False),
    "WWW-Authenticate": _header("`Bearer`, and the problem of the token."),
    "Retry-After": _header("Seconds until a retry may succeed.", kind="integer"),
    # Optional: an answer given before requests are counted has none.
    "RateLimit-Limit": _header("Requests allowed in a period.", kind="integer", is_required=False),
    "RateLimit-Remaining": _header("Requests left.", kind="integer", is_required=False),
    "RateLimit-Reset": _header("Seconds until there are more.", kind="integer", is_required=False),
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "An `ETag` that the caller has; 304 while it is current.",
    "schema": {"type": "string"},
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "The post's `ETag` that the caller has; 412 where the post was edited since.",
    "schema": {"type": "string"},
}


def describe_headers(document: dict[str, Any]) -> None:
    """
    Add the headers of requests and answers to a document, in place.

    Args:
        document: The OpenAPI document. Operations that document 429 are limited, and those that document 304 have
            entity tags; those that document 412 read ``If-Match``.
    """
    document["components"]["headers"] = HEADERS
    document["components"]["parameters"] = {"If-None-Match": IF_NONE_MATCH, "If-Match": IF_MATCH}
    for operations in document["paths"].values():
        for operation in operations.values():
            _describe(operation)


def _describe(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    conditions = {"304": "If-None-Match", "412": "If-Match"}
    for name in (conditions[status] for status in conditions if status in responses):
        operation.setdefault("parameters", []).append({"$ref": f"#/components/parameters/{name}"})
    for status, response in responses.items():
        names = ("X-Request-ID", *OF_STATUS.get(status, ()), *OF_OPERATION.get((operation["operationId"], status), ()))
        names += ("ETag",) if "304" in responses and status in ("200", "304") else ()
        names += LIMITS if "429" in responses else ()
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
