"""How tests read the service's answers."""

UNKNOWN_ID = "0" * 32
POST_FIELDS = {
    "id",
    "No",
    "title",
    "content",
    "username",
    "user_id",
    "category",
    "category_id",
    "view_count",
    "like_count",
    "comment_count",
    "status",
    "media_files",
    "media_count",
    "created_at",
    "updated_at",
}
OWNER_FIELDS = {"is_liked", "hidden_by"}  # besides, for the author and admins; the first for any caller with a token


def as_anyone(post: dict) -> dict:
    """Return a post object as a caller without a token is shown it."""
    return {name: value for name, value in post.items() if name in POST_FIELDS}


def fault(response) -> tuple[int, str]:
    """Return an error's status and code."""
    return response.status_code, response.json["error"]["code"]


def wrong_fields(response) -> set[str]:
    """Return the fields that a validation error names."""
    assert fault(response) == (400, "validation_error")
    return {detail["field"] for detail in response.json["error"]["details"]}
