"""The parts that ``create_app`` makes once for an application, as routes, services and commands find them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import current_app

if TYPE_CHECKING:
    from config import Settings
    from post.auth_utils.dev_issuer import DevIssuer
    from post.auth_utils.tokens import TokenVerifier
    from post.images.cleaner import ImageCleaner
    from post.images.storage import ImageStorage
    from post.services.accounts import UserDirectory
    from post.shared.category_cache import CategoryCache
    from post.shared.comment_counter import CommentCounter
    from post.shared.redis_state import RedisState
    from post.shared.view_counter import ViewCounter
    from post.web.rate_limits import RateLimiter

EXTENSION = "post"  # the key of the application's ``Components`` in ``app.extensions``


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """
    The parts of an application.

    Attributes:
        settings: Of its environment.
        verifier: Turns tokens into callers.
        is_deactivated: Returns whether the user of a ``sub`` has deactivated their account.
        dev_issuer: Signs tokens; in development without a Cognito pool alone.
        user_directory: The Cognito pool, where there is one.
        image_storage: Keeps images and thumbnails.
        image_cleaner: Encodes uploads anew.
        category_cache: Keeps the list of categories.
        view_counter: Counts views.
        comment_counter: Asks the Comment Service, where there is one.
        limiter: Counts requests.
        redis: Shared by the replicas, where there is one.
    """

    settings: "Settings"
    verifier: "TokenVerifier"
    is_deactivated: Callable[[str], bool]
    dev_issuer: "DevIssuer | None"
    user_directory: "UserDirectory | None"
    image_storage: "ImageStorage"
    image_cleaner: "ImageCleaner"
    category_cache: "CategoryCache"
    view_counter: "ViewCounter"
    comment_counter: "CommentCounter | None"
    limiter: "RateLimiter"
    redis: "RedisState | None"


def components() -> Components:
    """Return the parts of the current application."""
    return cast(Components, current_app.extensions[EXTENSION])
