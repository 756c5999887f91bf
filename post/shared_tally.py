"""What gunicorn's workers count together in memory until it is written elsewhere."""

import mmap
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from post.shared.memory import SharedLock

_WAYS = 8  # entries of a bucket; a key lives in one bucket alone
# Where the queue begins, how many of its places are in flight, how many after those wait, since when they do.
_HEADER = struct.Struct("=IIId")
_PLACE = struct.Struct("=I")  # of the queue: an entry's number
# The key, what waits, what is in flight, the total of the last add, when a flight last landed. A process may be killed
# between two fields: what leaves the one is lost then, and never in both.
_ENTRY = struct.Struct("=16sIIqd")
# For so long a caller's ``stored`` may be from before the last flight landed.
IN_DOUBT_SECONDS = 0.5

_Entry = tuple[bytes, int, int, int, float]


class SharedTally:
    """
    Counts by key that are to be written elsewhere, in a table of fixed size.

    The table is made before gunicorn forks, so all workers of one master see it. What is taken
    out to be written is in flight until that is done. Where the process that does it dies, the
    flight is forgotten: whether it was written nobody knows, and nothing is ever counted twice.
    """

    def __init__(
        self,
        *,
        entries: int = 1 << 16,
        lag_seconds: float = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Make an empty table.

        Args:
            entries: How many keys it holds at most, 48 bytes each.
            lag_seconds: How far behind a caller's ``stored`` may be besides.
            clock: Seconds since any moment that is the same for all processes.
        """
        self._buckets = max(1, entries // _WAYS)
        # A key has one place while it waits, and one in flight.
        self._places = 2 * self._buckets * _WAYS
        self._entries_at = _HEADER.size + self._places * _PLACE.size
        self._memory = mmap.mmap(-1, self._entries_at + self._buckets * _WAYS * _ENTRY.size)
        self._in_doubt_seconds = IN_DOUBT_SECONDS + lag_seconds
        self._clock = clock
        self._lock = SharedLock()
        self._in_flight = SharedLock()

    def add(self, key: str, *, stored: int) -> int | None:
        """
        Count one more.

        Args:
            key: 32 hex characters, the last of them random.
            stored: The key's count where it is written to, as it was read a moment ago.

        Returns:
            What ``stored`` lacks of the key's whole count: this one, and those that were yet to be
            written. None when the table has no room, and nothing was counted.
        """
        name = bytes.fromhex(key)
        with self._lock:
            number, entry = self._find(name)
            if number is None:
                return None
            _, waits, in_flight, _, landed_at = entry
            total = self._total(entry, stored) + 1
            if not waits:
                self._queue(number)
            self._put(number, (name, waits + 1, in_flight, total, landed_at))
        return total - stored

    def pending(self, key: str, *, stored: int) -> int:
        """Return what ``stored`` lacks of a key's whole count. Arguments as for ``add``."""
        with self._lock:
            return self._total(self._find(bytes.fromhex(key))[1], stored) - stored

    def waiting(self) -> int:
        """Return how many keys wait to be taken."""
        with self._lock:
            return self._header()[2]

    def waited_seconds(self) -> float:
        """Return for how long they have waited: 0 when none does."""
        with self._lock:
            _, _, waiting, since = self._header()
        return self._clock() - since if waiting else 0.0

    @contextmanager
    def taken(self, *, limit: int) -> Iterator[dict[str, int]]:
        """
        Take counts out for a block that writes them; where it raises, they go back and wait again.

        Another's block is waited for, so that after an empty one nothing is in flight.

        Args:
            limit: How many keys at most.

        Yields:
            Counts by key.
        """
        with self._in_flight:
            counts = self._take_off(limit)
            try:
                yield counts
            except Exception:
                self._turn_back()
                raise
            # Not reached where a signal ends the process: the flight stays as a dead one's, to be forgotten.
            self._land()

    def _take_off(self, limit: int) -> dict[str, int]:
        counts = {}
        with self._lock:
            self._forget_flight()
            begin, _, waiting, since = self._header()
            flight = min(limit, waiting)
            # First the queue: what is in flight and in none would never land.
            _HEADER.pack_into(self._memory, 0, begin, flight, waiting - flight, since)
            for number in self._flight():
                name, waits, _, total, landed_at = self._get(number)
                if waits:
                    counts[name.hex()] = waits
                    self._put(number, (name, 0, waits, total, landed_at))
        return counts

    def _land(self) -> None:
        with self._lock:
            now = self._clock()
            for number in self._flight():
                name, waits, _, total, _ = self._get(number)
                self._put(number, (name, waits, 0, total, now))
            self._end_flight()

    def _turn_back(self) -> None:
        with self._lock:
            for number in self._flight():
                name, waits, in_flight, total, landed_at = self._get(number)
                if in_flight and not waits:
                    self._queue(number)
                self._put(number, (name, waits + in_flight, 0, total, landed_at))
            self._end_flight()
            begin, flight, waiting, _ = self._header()
            _HEADER.pack_into(self._memory, 0, begin, flight, waiting, self._clock())

    def _forget_flight(self) -> None:
        for number in self._flight():
            name, waits, in_flight, total, _ = self._get(number)
            if waits:  # Its place may have been this one: the process may have died before it took the key off.
                self._queue(number)
            self._put(number, (name, waits, 0, total - in_flight, 0.0))
        self._end_flight()

    def _flight(self) -> list[int]:
        begin, flight, _, _ = self._header()
        return [_PLACE.unpack_from(self._memory, self._place(begin + index))[0] for index in range(flight)]

    def _end_flight(self) -> None:
        begin, flight, waiting, since = self._header()
        _HEADER.pack_into(self._memory, 0, (begin + flight) % self._places, 0, waiting, since)

    def _queue(self, number: int) -> None:
        begin, flight, waiting, since = self._header()
        _PLACE.pack_into(self._memory, self._place(begin + flight + waiting), number)
        _HEADER.pack_into(self._memory, 0, begin, flight, waiting + 1, since if waiting else self._clock())

    def _total(self, entry: _Entry, stored: int) -> int:
        # Whether ``stored`` has what is in flight, or has just landed, cannot be told: the total of the last add has it
        # once. At other times ``stored`` is right, also where something else has changed it.
        _, waits, in_flight, total, landed_at = entry
        is_in_doubt = in_flight or (landed_at and self._clock() - landed_at < self._in_doubt_seconds)
        return max(stored + waits, total) if is_in_doubt else stored + waits

    def _find(self, name: bytes) -> tuple[int | None, _Entry]:
        """Return a key's entry and its number: of an empty one where it has none yet, or None where none is empty."""
        first = int.from_bytes(name[12:], "little") % self._buckets * _WAYS
        free, free_since = None, float("inf")
        for number in range(first, first + _WAYS):
            entry = self._get(number)
            held, waits, in_flight, _, landed_at = entry
            if held == name:
                return number, entry
            if not waits and not in_flight and landed_at < free_since:
                free, free_since = number, landed_at
        return free, (name, 0, 0, 0, 0.0)

    def _header(self) -> tuple[int, int, int, float]:
        return _HEADER.unpack_from(self._memory)

    def _place(self, index: int) -> int:
        return _HEADER.size + index % self._places * _PLACE.size

    def _get(self, number: int) -> _Entry:
        return _ENTRY.unpack_from(self._memory, self._entries_at + number * _ENTRY.size)

    def _put(self, number: int, entry: _Entry) -> None:
        _ENTRY.pack_into(self._memory, self._entries_at + number * _ENTRY.size, *entry)
