"""Whether this process has been told to stop."""

import threading

_stopping = threading.Event()


def begin_stop() -> None:
    """Say that it has: it is no longer ready, and serves what still comes."""
    _stopping.set()


def is_stopping() -> bool:
    """Return whether it has."""
    return _stopping.is_set()
