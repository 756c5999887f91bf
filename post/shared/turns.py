"""One turn at a time for all workers, given to users in rotation, whatever each of them asks for."""

import hashlib
import mmap
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from post.shared.memory import SharedLock

POLL_SECONDS = 0.03
PATIENCE_SECONDS = 3  # for which more threads may wait than have places, from the last time when half were free
USERS_KEPT = 256  # of whom the last turn is known
_HALF_BYTES = 1 << 19  # thousands of places

# A place in the queue: its number, process, user, and whether it has the turn.
Place = tuple[int, int, str, bool]


class FairTurns:
    """
    Turns of which one is held at a time, in all processes forked after this was made.

    The next turn is that of the user whose last one began longest ago. A process that dies loses its turn and its
    places.
    """

    def __init__(self, *, waiting_max: int) -> None:
        """
        Make an empty queue.

        Args:
            waiting_max: The number of each process's threads that have places, to wait or to have the turn. More may
                wait for a place, unless all are taken for long.
        """
        self._waiting_max = waiting_max
        self._calm_at = 0.0  # by ``time.monotonic()``: the last time when half of this process's places were free
        self._lock = SharedLock()
        self._memory = mmap.mmap(-1, 2 * _HALF_BYTES)  # its first byte tells which half holds the state

    @contextmanager
    def held(self, user: str, *, deadline: float) -> Iterator[None]:
        """
        Hold the turn for a block.

        Args:
            user: Any text that names who asks.
            deadline: Latest start, by ``time.monotonic()``.

        Raises:
            TimeoutError: The deadline has passed, or other users need this thread's place.
        """
        name = hashlib.blake2b(user.encode(errors="surrogatepass"), digest_size=16).hexdigest()
        while (number := self._take_place(name)) is None:
            if time.monotonic() - self._calm_at > PATIENCE_SECONDS:
                raise TimeoutError
            time.sleep(POLL_SECONDS)
        try:
            while not self._begin(number):
                if time.monotonic() >= deadline:
                    raise TimeoutError
                time.sleep(POLL_SECONDS)
            yield
        finally:
            with self._state() as state:
                state["places"] = [place for place in state["places"] if place[0] != number]

    def _take_place(self, user: str) -> int | None:
        """
        Return the number of a new place, or None if there is none.

        Where this process has none left, the user with the most of them gives up the newest.
        """
        with self._state() as state:
            own = [place for place in state["places"] if place[1] == os.getpid()]
            if len(own) <= self._waiting_max // 2:
                self._calm_at = time.monotonic()
            if len(own) >= self._waiting_max:
                counts = Counter(place[2] for place in own)
                greediest, most = counts.most_common(1)[0]
                if most <= counts[user] + 1:
                    return None
                state["places"].remove(max(place for place in own if place[2] == greediest and not place[3]))
            state["last"] += 1
            state["places"].append((state["last"], os.getpid(), user, False))
            return int(state["last"])

    def _begin(self, number: int) -> bool:
        """Take the turn if it is this place's."""
        with self._state() as state:
            places: list[Place] = state["places"]
            if all(place[0] != number for place in places):
                raise TimeoutError
            begun: dict[str, int] = state["begun"]
            first = min(places, key=lambda place: (begun.get(place[2], 0), place[0]))
            if first[0] != number or any(place[3] for place in places):
                return False
            places[places.index(first)] = (*first[:3], True)
            state["last"] += 1
            begun.pop(first[2], None)
            begun[first[2]] = state["last"]
            if len(begun) > USERS_KEPT:
                del begun[next(iter(begun))]
            return True

    @contextmanager
    def _state(self) -> Iterator[dict[str, Any]]:
        """Read the state, without the places of dead processes; write it back."""
        with self._lock:
            half = self._memory[0]
            start = half * _HALF_BYTES + 1
            length = int.from_bytes(self._memory[start : start + 4])
            state: dict[str, Any] = {"last": 0, "places": [], "begun": {}}
            if length:
                state = orjson.loads(self._memory[start + 4 : start + 4 + length])
            state["places"] = [tuple(place) for place in state["places"] if _is_alive(place[1])]
            yield state
            content = orjson.dumps(state)
            start = (1 - half) * _HALF_BYTES + 1
            self._memory[start : start + 4 + len(content)] = len(content).to_bytes(4) + content
            self._memory[0] = 1 - half  # at last: a process that is killed amid the lines above has changed nothing


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True
