"""Demo data: a Korean community board with texts from ``demo.toml``. A seed always gives the same data."""

import tomllib
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

Row = dict[str, Any]

# The data ends here rather than now, so that a seed gives the same rows on any day.
REFERENCE = datetime(2026, 11, 1)  # noqa: DTZ001 - naive and in UTC, as the tables store times
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - likewise
HOUR_MS = 3_600_000
SPAN_MS = 2 * 365 * 24 * HOUR_MS
REFERENCE_MS = (REFERENCE - EPOCH) // timedelta(milliseconds=1)
START_MS = REFERENCE_MS - SPAN_MS
GROWTH = 0.7  # below 1: the board grows, so that more posts lie near its end
STATUS_WEIGHTS = {"visible": 95, "hidden": 3, "deleted": 2}
EDITED_SHARE = 0.12
USERS_MAX = 20_000


class DemoPost(NamedTuple):
    """A post without ``No`` and ``category_id``, which the database knows, and its likes without ids."""

    row: Row
    likes: list[Row]


@cache
def _texts() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def demo_categories() -> list[str]:
    """Return the names of the categories, the most used first."""
    return list(_texts()["categories"])


def first_post_id(seed: int) -> str:
    """Return the id of a seed's first post, which is the same for every number of posts."""
    return _id(START_MS, _random("ids", seed))


def demo_users(seed: int) -> list[str]:
    """Return the ids of all users who may have written a seed's posts, whatever their number."""
    return [user_id for user_id, _ in _users(_random("texts", seed), USERS_MAX)]


def demo_posts(count: int, seed: int) -> Iterator[DemoPost]:
    """Make up posts over the two years before ``REFERENCE``, by rising ``created_at`` and ``id``."""
    writer, rng = _Writer(count, seed), _random("ids", seed)
    for index in range(count):
        # Each post has a slot of time, and leaves its end free: no two share a millisecond.
        share = (index + 0.9 * rng.random()) / count if index else 0
        created_ms = START_MS + int(SPAN_MS * share**GROWTH)
        yield writer.post(_id(created_ms, rng), created_ms)


class _Writer:
    def __init__(self, count: int, seed: int) -> None:
        self._rng = _random("texts", seed)
        self._users = _users(self._rng, min(USERS_MAX, max(60, count // 8)))
        self._activity = _falling_weights(len(self._users), 0.7)
        self._categories = list(_texts()["categories"].items())
        self._popularity = _falling_weights(len(self._categories), 1.0)

    def post(self, post_id: str, created_ms: int) -> DemoPost:
        rng = self._rng
        user_id, username = rng.choices(self._users, cum_weights=self._activity)[0]
        category, topics = rng.choices(self._categories, cum_weights=self._popularity)[0]
        topic = rng.choice(topics)
        (status,) = rng.choices([*STATUS_WEIGHTS], [*STATUS_WEIGHTS.values()])
        is_unchanged = status == "visible" and rng.random() >= EDITED_SHARE
        likes = self._likes(post_id, created_ms)
        row = {
            "id": post_id,
            "username": username,
            "user_id": user_id,
            "category": category,
            "title": self._text(_texts()["titles"], topic),
            "content": self._content(topic),
            "view_count": len(likes) + int((len(likes) + 1) * rng.lognormvariate(2.6, 1.0)),
            "like_count": len(likes),
            "comment_count": 0,
            "status": status,
            "created_at": _moment(created_ms),
            "updated_at": _moment(created_ms) if is_unchanged else self._later(created_ms, mean_hours=30),
        }
        return DemoPost(row, likes)

    def _text(self, choices: list[str], topic: str) -> str:
        return self._rng.choice(choices).format(topic=topic, n=self._rng.randint(2, 9))

    def _content(self, topic: str) -> str:
        rng, texts = self._rng, _texts()
        length = min(len(texts["sentences"]), int(rng.lognormvariate(2.8, 0.8)))
        sentences = [self._text([text], topic) for text in rng.sample(texts["sentences"], length)]
        paragraphs = [" ".join(sentences[start : start + 3]) for start in range(0, length, 3)]
        return "\n\n".join([self._text(texts["openings"], topic), *paragraphs, self._text(texts["closings"], topic)])

    def _likes(self, post_id: str, created_ms: int) -> list[Row]:
        count = min(len(self._users), int(self._rng.lognormvariate(-0.2, 1.5)))
        return [
            {"post_id": post_id, "user_id": user_id, "created_at": self._later(created_ms, mean_hours=20)}
            for user_id, _ in self._rng.sample(self._users, count)
        ]

    def _later(self, moment_ms: int, *, mean_hours: int) -> datetime:
        return _moment(min(REFERENCE_MS, moment_ms + 1 + int(self._rng.expovariate(1 / (mean_hours * HOUR_MS)))))


def _random(purpose: str, seed: int) -> Random:
    return Random(f"{purpose} {seed}")  # noqa: S311 - nothing here is secret


def _id(moment_ms: int, rng: Random) -> str:
    """Return a UUIDv7 in hex: 48 bits of time, version, 12 random bits, variant, 62 more (RFC 9562, 5.7)."""
    chance = rng.getrandbits(74)
    return f"{moment_ms << 80 | 7 << 76 | chance >> 62 << 64 | 2 << 62 | chance & (1 << 62) - 1:032x}"


def _moment(moment_ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=moment_ms)


def _falling_weights(size: int, exponent: float) -> list[float]:
    """Return cumulative weights by Zipf's law, which fall with the rank."""
    return list(accumulate(rank**-exponent for rank in range(1, size + 1)))


def _users(rng: Random, count: int) -> list[tuple[str, str]]:
    """Return users as ``(user_id, username)``; names that are used again get a number."""
    names = [adjective + noun for adjective in _texts()["adjectives"] for noun in _texts()["nouns"]]
    rng.shuffle(names)
    subs = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(count)]
    return [(sub, names[index % len(names)] + str(index // len(names) or "")) for index, sub in enumerate(subs)]
