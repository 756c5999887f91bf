"""The same read, asked for by several threads at once: one query answers them all."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedReads(Generic[T]):
    """
    Reads, of which those that wait for the same are answered together.

    Nobody gets what a query has found that was sent before they asked, so that whoever has written
    something reads it: a read never joins a query that is under way, but waits for the one behind it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, Future[T]] = {}
        self._waiting: dict[Hashable, Future[T]] = {}

    def read(self, key: Hashable, send: Callable[[], T]) -> T:
        """
        Return what a query finds, sent by this thread or by another that waits for the same.

        Args:
            key: Equal for queries that find the same.
            send: Sends the query. What it returns is shared, so nobody may change it; what it
                raises is raised to all who wait.
        """
        with self._lock:
            before, joined = self._under_way.get(key), self._waiting.get(key)
            if joined is None:
                own: Future[T] = Future()
                (self._under_way if before is None else self._waiting)[key] = own
        if joined is not None:
            return joined.result()
        if before is not None:
            before.exception()  # waits for it, and raises nothing
            with self._lock:
                self._under_way[key] = self._waiting.pop(key)
        return self._answered(key, own, send)

    def _answered(self, key: Hashable, own: Future[T], send: Callable[[], T]) -> T:
        try:
            found = send()
        except BaseException as exc:
            own.set_exception(exc)
            raise
        else:
            own.set_result(found)
            return found
        finally:
            with self._lock:
                if self._under_way.get(key) is own:
                    del self._under_way[key]
