"""The parts that ``create_app`` makes once for an application, as routes, services and commands find them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import current_app

if TYPE_CHECKING:
    from config import Settings
    from post.auth_utils.dev_issuer import DevIssuer
    from post.auth_utils.tokens import TokenVerifier
    from post.aws import CloudFrontImages
    from post.images.cleaner import ImageCleaner
    from post.images.storage import ImageStorage
    from post.services.accounts import UserDirectory
    from post.shared.category_cache import CategoryCache
    from post.shared.comment_counter import CommentCounter
    from post.shared.redis_state import RedisState
    from post.shared.task_runner import TaskRunner
    from post.shared.view_counter import ViewCounter
    from post.telemetry.report_gauges import ReportGauges
    from post.web.rate_limits import RateLimiter
    from post.web.site import Site

EXTENSION = "post"  # the key of the application's ``Components`` in ``app.extensions``


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """
    The parts of an application.

    Attributes:
        settings: Of its environment.
        verifier: Turns tokens into callers.
        restriction_of: Returns the reason why the user of a ``sub`` may not write: ``deactivated``, ``suspended``
            or None.
        dev_issuer: Signs tokens; in development without a Cognito pool alone.
        user_directory: The Cognito pool, where there is one.
        image_storage: Keeps images and thumbnails.
        image_cdn: CloudFront's copies of them, where they are to be dropped with an erased post.
        image_cleaner: Encodes uploads anew.
        category_cache: Keeps the list of categories.
        view_counter: Counts views.
        comment_counter: Asks the Comment Service, where there is one.
        report_gauges: Shows the open reports to Prometheus.
        task_runner: Works at long tasks.
        limiter: Counts requests.
        redis: Shared by the replicas, where there is one.
        site: The board's pages, where they are built.
    """

    settings: "Settings"
    verifier: "TokenVerifier"
    restriction_of: Callable[[str], str | None]
    dev_issuer: "DevIssuer | None"
    user_directory: "UserDirectory | None"
    image_storage: "ImageStorage"
    image_cdn: "CloudFrontImages | None"
    image_cleaner: "ImageCleaner"
    category_cache: "CategoryCache"
    view_counter: "ViewCounter"
    comment_counter: "CommentCounter | None"
    report_gauges: "ReportGauges"
    task_runner: "TaskRunner"
    limiter: "RateLimiter"
    redis: "RedisState | None"
    site: "Site | None"


def components() -> Components:
    """Return the parts of the current application."""
    return cast(Components, current_app.extensions[EXTENSION])
