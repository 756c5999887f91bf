"""
The error family, in domain words.

Services, validators and the check of tokens raise these. ``post.web.error_answers`` alone maps the first level
(``Invalid``, ``NotFound``, …) to HTTP, and ``post.messages`` has the text of each ``code``.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple


class FieldProblem(NamedTuple):
    """A problem of one field: a key of the message catalogue, with its parameters."""

    field: str
    key: str
    params: Mapping[str, Any] = MappingProxyType({})


class ServiceError(Exception):
    """Base of every refusal. ``code`` is stable and public."""

    code: ClassVar[str]

    def __init__(self, *details: FieldProblem) -> None:
        super().__init__(self.code)
        self.details = details


class Invalid(ServiceError):
    """The request itself is wrong."""


class Unauthenticated(ServiceError):
    """The caller has not proven who they are."""


class Forbidden(ServiceError):
    """The caller is known and may not do this."""

    code = "forbidden"


class NotFound(ServiceError):
    """There is no such thing, or it is not this caller's to see."""


class UnsupportedMediaType(ServiceError):
    """The body has a type that the route does not read."""

    code = "unsupported_media_type"


class AccountRestricted(Forbidden):
    """The caller's account may not write."""


class AccountDeactivated(AccountRestricted):
    """The caller has deactivated their account."""

    code = "account_deactivated"


class AccountSuspended(AccountRestricted):
    """A moderator has suspended the caller's account."""

    code = "account_suspended"


# The refusals by the names of restrictions, as ``post.services.accounts`` stores them.
RESTRICTIONS: Mapping[str, type[AccountRestricted]] = MappingProxyType(
    {"deactivated": AccountDeactivated, "suspended": AccountSuspended}
)


class Moderated(Forbidden):
    """A moderator has hidden the post: its author cannot make it visible."""

    code = "moderated"


class Conflict(ServiceError):
    """The present state does not allow it."""


class PreconditionFailed(ServiceError):
    """The post is no longer what the caller has read."""

    code = "precondition_failed"


class Unavailable(ServiceError):
    """A dependency is not available; the same request may succeed later."""


class InvalidFields(Invalid):
    """One or more fields are wrong; ``details`` names them."""

    code = "validation_error"


class InvalidJson(Invalid):
    """The body is not JSON."""

    code = "invalid_json"


class InvalidPostId(Invalid):
    """An id that no post can have, such as ``undefined``."""

    code = "invalid_post_id"


class TokenMissing(Unauthenticated):
    """There is no bearer token."""

    code = "token_missing"


class TokenInvalid(Unauthenticated):
    """The token is malformed, forged, or not meant for this service."""

    code = "token_invalid"


class TokenExpired(Unauthenticated):
    """The token was valid once."""

    code = "token_expired"


class PostNotFound(NotFound):
    """No such post, or it is not this caller's to see."""

    code = "post_not_found"


class CategoryNotFound(NotFound):
    """There is no such category."""

    code = "category_not_found"


class ReportNotFound(NotFound):
    """There is no such report."""

    code = "report_not_found"


class MediaNotFound(NotFound):
    """The post has no such image, or there is no such object."""

    code = "media_not_found"


class CategoryExists(Conflict):
    """A category of this name exists, letter case ignored."""

    code = "category_exists"


class CategoryInUse(Conflict):
    """The category has posts: visible, hidden or deleted ones."""

    code = "category_in_use"


class CategoryMerging(Conflict):
    """The category is being merged into another, or another into it."""

    code = "category_merging"


class AlreadyReported(Conflict):
    """The caller has reported the post before."""

    code = "already_reported"


class PinLimitReached(Conflict):
    """There is no room for another pinned post."""

    code = "pin_limit_reached"


class PostNotDeleted(Conflict):
    """Only a deleted post can be erased."""

    code = "post_not_deleted"


class CategoryLimitReached(Conflict):
    """There is no room for another category."""

    code = "category_limit_reached"


class MediaLimitReached(Conflict):
    """The post has no room for another image."""

    code = "media_limit_reached"


class IdempotencyConflict(Conflict):
    """The key was used with another body, or its first request is not finished."""

    code = "idempotency_conflict"


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, or does not answer in time."""

    code = "database_unavailable"


class AuthUnavailable(Unavailable):
    """No key to check tokens with was ever fetched, or the pool of users cannot be reached."""

    code = "auth_unavailable"


class StorageUnavailable(Unavailable):
    """The storage of images cannot be reached, or does not answer in time."""

    code = "storage_unavailable"


class Overloaded(Unavailable):
    """More work is waiting than can be done in time."""

    code = "overloaded"
