"""The list of categories, kept where all replicas find it."""

from collections.abc import Callable
from typing import Any, Protocol, cast

from flask import current_app
from werkzeug.local import LocalProxy

Categories = list[dict[str, Any]]


class CategoryCache(Protocol):
    """Where the list of categories is kept."""

    def read(self, load: Callable[[], Categories]) -> Categories:
        """Return the list as ``load`` gives it now, or gave it since the last ``forget``."""

    def forget(self) -> None:
        """Forget the list: it has changed."""


class NoCategoryCache:
    """Keeps nothing: what one replica kept alone, a write on another could not make it forget."""

    def read(self, load: Callable[[], Categories]) -> Categories:
        """Return what ``load`` gives."""
        return load()

    def forget(self) -> None:
        """Do nothing."""


category_cache = cast(CategoryCache, LocalProxy(lambda: current_app.extensions["post_category_cache"]))
