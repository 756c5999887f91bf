"""Which views count: the first of an address on a post within a window."""

from post.shared_memory import SharedCounters


class ViewWindow:
    """Remembers for a while who has viewed what."""

    def __init__(self, counters: SharedCounters, *, window_seconds: int) -> None:
        """
        Make a window.

        Args:
            counters: Where views are remembered.
            window_seconds: How long after a counted view another by the same address is not counted.
        """
        self._counters = counters
        self._window_seconds = window_seconds

    def is_first_view(self, post_id: str, address: str) -> bool:
        """
        Take note of a view; of concurrent equal calls one returns True.

        Args:
            post_id: Id of the post.
            address: The client's IP address.
        """
        return self._counters.add(_key(post_id, address), ttl_seconds=self._window_seconds) == 1

    def forget(self, post_id: str, address: str) -> None:
        """Take a note back: the view could not be counted after all. Arguments as for ``is_first_view``."""
        self._counters.remove(_key(post_id, address))


def _key(post_id: str, address: str) -> str:
    return f"{post_id}:{address}"
