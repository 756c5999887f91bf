"""
The error family: what can go wrong, in domain words.

Services, validators and the token check raise these. ``app.py`` alone maps the first level
(``Invalid``, ``NotFound``, …) to HTTP, and ``post.messages`` has the words for each ``code``.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple


class FieldProblem(NamedTuple):
    """What is wrong with one field: a key of the message catalogue, with its parameters."""

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
    """The body is not of a type that the route reads."""

    code = "unsupported_media_type"


class AccountDeactivated(Forbidden):
    """The caller has deactivated their account."""

    code = "account_deactivated"


class Conflict(ServiceError):
    """The state of things forbids it."""


class Unavailable(ServiceError):
    """Something that the service needs is away; the same request may succeed later."""


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
    """The token was good once."""

    code = "token_expired"


class PostNotFound(NotFound):
    """No such post, or it is not this caller's to see."""

    code = "post_not_found"


class MediaNotFound(NotFound):
    """The post has no such image, or there is no such object."""

    code = "media_not_found"


class CategoryExists(Conflict):
    """A category of this name exists, letter case ignored."""

    code = "category_exists"


class MediaLimitReached(Conflict):
    """The post has as many images as a post may have."""

    code = "media_limit_reached"


class IdempotencyConflict(Conflict):
    """The key was used with another body, or its first request is still being worked on."""

    code = "idempotency_conflict"


class DatabaseUnavailable(Unavailable):
    """The database is away, or too busy to answer in time."""

    code = "database_unavailable"


class AuthUnavailable(Unavailable):
    """No key to check tokens with was ever fetched, or the pool of users is away."""

    code = "auth_unavailable"


class StorageUnavailable(Unavailable):
    """The storage of images is away, or too busy to answer in time."""

    code = "storage_unavailable"
