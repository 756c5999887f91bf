"""Refusals that a caller may read, in families; ``http.STATUS`` has the status of each family."""

from collections.abc import Mapping, Sequence
from typing import TypedDict


class Detail(TypedDict):
    """One problem of a request: its field, dotted where it is within another, and the reason."""

    field: str
    message: str


class ServiceError(Exception):
    """A refusal with the contract's text and code."""

    code: str
    text: str

    def __init__(
        self,
        *,
        details: Sequence[Mapping[str, object]] | None = None,
        retry_after_seconds: int | None = None,
        is_replay: bool = False,
    ) -> None:
        super().__init__(self.code)
        self.details = details
        self.retry_after_seconds = retry_after_seconds
        self.is_replay = is_replay


class BadRequest(ServiceError):
    """The request alone shows that it is wrong."""


class Unauthenticated(ServiceError):
    """The caller has not shown who they are."""


class Forbidden(ServiceError):
    """The caller is known, and may not do this."""

    code, text = "forbidden", "Forbidden"


class NotFound(ServiceError):
    """There is no such thing, or none for this caller."""

    code, text = "not_found", "Not found"


class MethodNotAllowed(ServiceError):
    """The resource has other methods."""

    code, text = "method_not_allowed", "Method not allowed"

    def __init__(self, *, allowed: list[str]) -> None:
        super().__init__()
        self.allowed = allowed


class Conflict(ServiceError):
    """The state of things does not allow this."""


class TooLarge(ServiceError):
    """The body is longer than any that is taken."""

    code, text = "payload_too_large", "Payload too large"


class UnsupportedType(ServiceError):
    """The body is of a type that is not taken."""

    code, text = "unsupported_media_type", "Content-Type must be application/json"


class TooMany(ServiceError):
    """The caller has to wait."""


class Unprocessable(ServiceError):
    """The request is well formed, but contradicts an earlier one."""


class Unavailable(ServiceError):
    """A service or store that this one needs is away; the same request may succeed later."""

    code, text = "service_unavailable", "Service unavailable"

    def __init__(self, *, retry_after_seconds: int = 1) -> None:
        super().__init__(retry_after_seconds=retry_after_seconds)


class AuthorizationRequired(Unauthenticated):
    """There is no ``Authorization`` header."""

    code, text = "authorization_required", "Authorization header required"


class MalformedRequest(BadRequest):
    """The request is not one that HTTP or the framework can read."""

    code, text = "bad_request", "Bad request"


class InvalidJson(BadRequest):
    """The body is not one JSON object in UTF-8."""

    code, text = "invalid_json", "Body must be a JSON object"


class IdempotencyConflict(Unprocessable):
    """The key was used with another request."""

    code, text = "idempotency_conflict", "Idempotency-Key was used with another request"


class ValidationFailed(BadRequest):
    """Fields have wrong values; ``details`` has each."""

    code, text = "validation_error", "Validation failed"
