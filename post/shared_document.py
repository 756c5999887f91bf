"""A short text that gunicorn's workers share, and the moment from which it may be fetched anew."""

import mmap
import struct
from collections.abc import Callable

from post.shared.memory import SharedLock

# How often it was stored, when it may be fetched, when somebody began to (infinity: nobody does), its length.
_HEADER = struct.Struct("=QddI")
_NOBODY = float("inf")
MAX_BYTES = 1 << 16


class SharedDocument:
    """
    A document of another server, which one worker fetches for all.

    It is made before gunicorn forks, so all workers of one master see it.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        """
        Make an empty one.

        Args:
            clock: Seconds since any moment that is the same for all processes.
        """
        self._memory = mmap.mmap(-1, _HEADER.size + MAX_BYTES)
        self._clock = clock
        self._lock = SharedLock()
        _HEADER.pack_into(self._memory, 0, 0, float("-inf"), _NOBODY, 0)

    @property
    def version(self) -> int:
        """How often the document was stored."""
        version: int = _HEADER.unpack_from(self._memory)[0]
        return version

    def read(self) -> tuple[int, bytes]:
        """Return its version and its content."""
        with self._lock:
            version, _, _, length = _HEADER.unpack_from(self._memory)
            return version, self._memory[_HEADER.size : _HEADER.size + length]

    def claim(self, known_version: int, *, seconds: float) -> bool:
        """
        Ask to be the one who fetches it.

        Args:
            known_version: What the caller has: where there is a newer one, it need not be fetched.
            seconds: How long nobody else may, unless ``allow_after`` ends it before.

        Returns:
            Whether the caller is to fetch it.
        """
        with self._lock:
            version, next_fetch, _, length = _HEADER.unpack_from(self._memory)
            now = self._clock()
            if now < next_fetch or version != known_version:
                return False
            _HEADER.pack_into(self._memory, 0, version, now + seconds, now, length)
        return True

    def claimed_seconds(self) -> float:
        """Return for how long somebody has been fetching it: infinity where nobody is."""
        with self._lock:
            claimed_at: float = _HEADER.unpack_from(self._memory)[2]
        return _NOBODY if claimed_at == _NOBODY else self._clock() - claimed_at

    def store(self, content: bytes) -> None:
        """
        Store what was fetched.

        Raises:
            ValueError: It is too long.
        """
        if len(content) > MAX_BYTES:
            raise ValueError(f"longer than {MAX_BYTES} bytes")
        with self._lock:
            version, next_fetch, claimed_at, _ = _HEADER.unpack_from(self._memory)
            self._memory[_HEADER.size : _HEADER.size + len(content)] = content
            _HEADER.pack_into(self._memory, 0, version + 1, next_fetch, claimed_at, len(content))

    def allow_after(self, seconds: float) -> None:
        """End a fetch: another may begin so many seconds from now."""
        with self._lock:
            version, _, _, length = _HEADER.unpack_from(self._memory)
            _HEADER.pack_into(self._memory, 0, version, self._clock() + seconds, _NOBODY, length)
