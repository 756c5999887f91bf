"""Memory shared by gunicorn's workers: a lock, and a bounded table of counters."""

import ctypes
import fcntl
import hashlib
import mmap
import os
import secrets
import struct
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

_FIELDS = "16sdq"  # the key's digest, when it expires (seconds since the epoch), the count
_ENTRY = struct.Struct(f"={_FIELDS}")
# A folder in memory, writable also where the root file system is read-only; None is the system's default.
MEMORY_DIR = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - names there are unpredictable, or none
# Not the fcntl module's flock: that one releases the interpreter's lock, and the thread then waits to get it back
# while others wait for the file's lock.
_LIBC = ctypes.PyDLL(None)
_WAYS = 8  # entries of a bucket; a key belongs to one bucket
_BUCKET = struct.Struct(f"={_FIELDS * _WAYS}")


class SharedLock:
    """A lock between threads, and between processes forked after it was made."""

    def __init__(self) -> None:
        self._threads = threading.Lock()
        # A file's lock, unlike a semaphore, is released by the kernel when its holder is killed.
        self._file = tempfile.TemporaryFile(dir=MEMORY_DIR)  # noqa: SIM115 - lives as long as the lock
        weakref.finalize(self, self._file.close)
        self._own: tuple[int, int] | None = None  # this process's id, and its file descriptor

    @contextmanager
    def held(self, *, timeout_seconds: float = -1) -> Iterator[None]:
        """
        Hold the lock for a block.

        Args:
            timeout_seconds: Maximum wait for other threads of this process; -1 waits for ever.

        Raises:
            TimeoutError: Another thread held it for longer.
        """
        self._acquire(timeout_seconds)
        try:
            yield
        finally:
            self._release()

    def __enter__(self) -> None:
        """Hold the lock for a block, as ``held`` does in twice the time."""
        self._acquire(-1)

    def __exit__(self, *_error: object) -> None:
        """Release the lock."""
        self._release()

    def _acquire(self, timeout_seconds: float) -> None:
        if not self._threads.acquire(timeout=timeout_seconds):
            raise TimeoutError
        try:
            descriptor = self._descriptor()
            if _LIBC.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):  # another process holds it
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        except BaseException:
            self._threads.release()
            raise

    def _release(self) -> None:
        try:
            _LIBC.flock(self._descriptor(), fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def _descriptor(self) -> int:
        # A lock of flock belongs to an open file, so each process opens its own. A lock of lockf belongs to a process:
        # two processes whose threads wait for each other over different locks would count as a deadlock.
        if self._own is None or self._own[0] != os.getpid():
            descriptor = os.open(f"/proc/self/fd/{self._file.fileno()}", os.O_RDWR | os.O_CLOEXEC)
            weakref.finalize(self, os.close, descriptor)
            self._own = os.getpid(), descriptor
        return self._own[1]


class SharedCounters:
    """
    Counters by key that expire, in a table of fixed size.

    The table is made before gunicorn forks, so all workers share it. In a full bucket, the entry that expires
    first is replaced: a flood of keys shortens the life of entries, and takes no memory.
    """

    def __init__(self, *, entries: int = 1 << 16, clock: Callable[[], float] = time.time) -> None:
        """
        Make an empty table.

        Args:
            entries: Maximum number of counters, 32 bytes each.
            clock: Seconds since the epoch.
        """
        self._buckets = max(1, entries // _WAYS)
        self._memory = mmap.mmap(-1, self._buckets * _WAYS * _ENTRY.size)
        self._clock = clock
        # Without the seed, a client could choose keys that share a bucket.
        self._seed = secrets.token_bytes(16)
        self._lock = SharedLock()

    def add(self, key: str, *, ttl_seconds: float) -> int:
        """
        Add one to a counter and return its new count.

        Args:
            key: Any text.
            ttl_seconds: Life of the counter, if this call begins it.
        """
        now, digest = self._clock(), self._digest(key)
        with self._lock:
            return self._add(digest, now, ttl_seconds)

    def add_beside(self, other: str, key: str, *, ttl_seconds: float, maximum: Callable[[int], int]) -> tuple[int, int]:
        """
        Add one to a counter whose maximum depends on another counter.

        Args:
            other: The other counter's key.
            key: Any other text.
            ttl_seconds: As for ``add``.
            maximum: Returns the maximum for the other's count; a counter at its maximum is not changed.

        Returns:
            The other's count, and the result of ``add``.
        """
        now, other_digest, digest = self._clock(), self._digest(other), self._digest(key)
        with self._lock:
            other_count = self._find(other_digest, now)[2]
            return other_count, self._add(digest, now, ttl_seconds, maximum(other_count))

    def get(self, key: str) -> int:
        """Return a counter's count; 0 if it is unknown or has expired."""
        with self._lock:
            return self._find(self._digest(key), self._clock())[2]

    def remove(self, key: str) -> None:
        """Remove a counter."""
        with self._lock:
            offset, expires, _ = self._find(self._digest(key), self._clock())
            if expires:
                _ENTRY.pack_into(self._memory, offset, b"", 0.0, 0)

    def _digest(self, key: str) -> bytes:
        return hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=16, key=self._seed).digest()

    def _add(self, digest: bytes, now: float, ttl_seconds: float, maximum: int | None = None) -> int:
        offset, expires, count = self._find(digest, now)
        count += 1
        if maximum is None or count <= maximum:
            _ENTRY.pack_into(self._memory, offset, digest, expires or now + ttl_seconds, count)
        return count

    def _find(self, digest: bytes, now: float) -> tuple[int, float, int]:
        """Return the offset of a key's entry, its expiry and its count; both are 0 for a new entry."""
        start = int.from_bytes(digest[:8], "little") % self._buckets * _BUCKET.size
        # The search finds the digest only at its own entry: nobody can make other bytes equal to a keyed digest.
        offset = self._memory.find(digest, start, start + _BUCKET.size)
        if offset < 0:
            expiries = _BUCKET.unpack_from(self._memory, start)[1::3]
            return start + expiries.index(min(expiries)) * _ENTRY.size, 0.0, 0
        _, expires, count = _ENTRY.unpack_from(self._memory, offset)
        # An expired entry is used again for its key, so that no key ever has two.
        return (offset, expires, count) if expires > now else (offset, 0.0, 0)


class Counters(Protocol):
    """Counters that all workers share and that expire, like ``SharedCounters``."""

    def add(self, key: str, *, ttl_seconds: float) -> int:
        """Add to a counter and return its new count."""

    def get(self, key: str) -> int:
        """Return a counter's count; 0 if it is unknown or has expired."""
