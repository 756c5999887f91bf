"""The list of categories, kept where all replicas find it."""

from collections.abc import Callable
from typing import Any, Protocol

Categories = list[dict[str, Any]]


class CategoryCache(Protocol):
    """Where the list of categories is kept."""

    def read(self, load: Callable[[], Categories], *, load_from_primary: Callable[[], Categories]) -> Categories:
        """
        Return the list of now, or of any moment since the last ``forget``.

        Args:
            load: Reads the list for this caller alone.
            load_from_primary: Reads the list to be kept: a replica's may lag behind what others have just changed.
        """

    def forget(self) -> None:
        """Forget the list: it has changed."""


class NoCategoryCache:
    """Keeps nothing: what one replica kept alone, a write on another could not make it forget."""

    def read(self, load: Callable[[], Categories], *, load_from_primary: Callable[[], Categories]) -> Categories:  # noqa: ARG002 - of the protocol
        """Return what ``load`` gives."""
        return load()

    def forget(self) -> None:
        """Do nothing."""
