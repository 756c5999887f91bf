"""Errors in the OpenAPI document: which codes an answer may have, with an example of each."""

from typing import Any

from post import messages

# The codes of each status, the likeliest first.
OF_STATUS = {
    "400": ("validation_error", "invalid_json", "invalid_post_id", "malformed_request"),
    "401": ("token_missing", "token_invalid", "token_expired"),
    "403": ("forbidden", "account_deactivated", "account_suspended"),
    "404": ("post_not_found",),
    "412": ("precondition_failed",),
    "413": ("payload_too_large",),
    "415": ("unsupported_media_type",),
    "429": ("rate_limited",),
    "500": ("internal_error",),
    "503": ("database_unavailable", "auth_unavailable"),
}
# Of an operation that has others.
OF_OPERATION = {
    ("create_post", "409"): ("idempotency_conflict", "category_limit_reached"),
    ("replace_post", "409"): ("category_limit_reached",),
    ("edit_post", "403"): ("forbidden", "account_deactivated", "account_suspended", "moderated"),
    ("edit_post", "409"): ("category_limit_reached",),
    ("create_category", "409"): ("category_exists", "category_limit_reached"),
    ("edit_category", "404"): ("category_not_found",),
    ("edit_category", "409"): ("category_exists", "category_merging"),
    ("merge_category", "404"): ("category_not_found",),
    ("merge_category", "409"): ("category_merging",),
    ("delete_category", "404"): ("category_not_found",),
    ("delete_category", "409"): ("category_in_use", "category_merging"),
    ("report_post", "409"): ("already_reported",),
    ("resolve_report", "404"): ("report_not_found", "post_not_found"),
    ("purge_post", "409"): ("post_not_deleted",),
    ("pin_post", "409"): ("pin_limit_reached",),
    ("upload_media", "409"): ("media_limit_reached",),
    ("upload_media", "503"): ("storage_unavailable", "overloaded", *OF_STATUS["503"]),
    ("delete_media", "404"): ("post_not_found", "media_not_found"),
    ("get_image", "404"): ("media_not_found",),
    ("get_image", "503"): ("storage_unavailable", "database_unavailable"),
    ("docs_asset", "404"): ("not_found",),
}
ERROR_ANSWER = {"$ref": "#/components/schemas/ErrorAnswer"}
_REQUEST_ID = "0d3f8ad0f27c4a5c9be8f6a3cb0b8a52"


def describe_errors(document: dict[str, Any]) -> None:
    """Give each error of a document its codes and their examples, in place."""
    used: dict[str, Any] = {}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {}).get("application/json", {})
                if content.get("schema") == ERROR_ANSWER:
                    codes = _codes(operation, path, status)
                    _describe(response, content, codes)
                    used |= {code: {"value": _example(code, int(status))} for code in codes}
    document["components"]["examples"] = used


def _codes(operation: dict[str, Any], path: str, status: str) -> list[str]:
    body = operation.get("requestBody", {}).get("content", {})
    needed = {
        "invalid_json": "application/json" in body,
        "invalid_post_id": "{post_id}" in path,
        "validation_error": bool(body) or any(value["name"] != "post_id" for value in operation.get("parameters", [])),
        "auth_unavailable": operation.get("security") == [{"bearer": []}],
    }
    codes = OF_OPERATION.get((operation["operationId"], status)) or OF_STATUS[status]
    return [code for code in codes if needed.get(code, True)]


def _describe(response: dict[str, Any], content: dict[str, Any], codes: list[str]) -> None:
    response["description"] = f"{response['description']}: {', '.join(f'`{code}`' for code in codes)}"
    narrowed = {"properties": {"error": {"properties": {"code": {"enum": codes}}}}}
    content["schema"] = {"allOf": [ERROR_ANSWER, narrowed]}
    content["examples"] = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}


def _example(code: str, status: int) -> dict[str, Any]:
    message, details = messages.text(code, "ko"), []
    if code == "validation_error":
        problem = messages.text("required", "ko")
        message, details = f"{messages.name_of('title', 'ko')}: {problem}", [{"field": "title", "message": problem}]
    error = {"code": code, "status": status, "details": details, "request_id": _REQUEST_ID}
    return {"success": False, "message": message, "error": error}
