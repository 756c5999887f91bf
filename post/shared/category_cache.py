"""The cache of the list of categories, shared by all replicas."""

from collections.abc import Callable
from typing import Any, Protocol

Categories = list[dict[str, Any]]


class CategoryCache(Protocol):
    """A cache of the list of categories."""

    def read(self, load: Callable[[], Categories], *, load_from_primary: Callable[[], Categories]) -> Categories:
        """
        Return the list as it is now, or as it was at any moment since the last ``forget``.

        Args:
            load: Reads the list for this caller only.
            load_from_primary: Reads the list to be cached; a replica's may lag behind a recent change.
        """

    def forget(self) -> None:
        """Drop the list from the cache, since it has changed."""


class NoCategoryCache:
    """No cache: with a cache of its own, a replica would not see the writes of others."""

    def read(self, load: Callable[[], Categories], *, load_from_primary: Callable[[], Categories]) -> Categories:  # noqa: ARG002 - the protocol's signature
        """Return the list from ``load``."""
        return load()

    def forget(self) -> None:
        """Do nothing."""
