"""State that replicas share in Redis; while Redis is lost, each replica uses its own memory."""

import math
import mmap
import secrets
from collections.abc import Callable
from typing import NamedTuple, cast

import orjson
from redis import Redis

from config import Settings
from post import __version__
from post.shared.category_cache import Categories
from post.shared.memory import Counters
from post.shared.rate_windows import Hit, RateWindows
from post.shared.redis_state import RedisState
from post.shared.view_counter import ViewWindow
from post.telemetry import metrics

# Like ``MemoryRateWindows.hit``, by the server's clock, so that all replicas use the same window.
_HIT = """
local limit, period = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local window, remaining = math.floor(now / period), period - now % period
local kept = redis.call('HMGET', KEYS[1], 'window', 'previous', 'current')
local last, previous, current = tonumber(kept[1]) or -2, 0, 0
if last >= window then -- greater after a failover to a server whose clock is behind
    window, previous, current = last, tonumber(kept[2]), tonumber(kept[3])
elseif last == window - 1 then
    previous = tonumber(kept[3])
end
local is_allowed = current + 1 <= math.floor(limit - previous * remaining / period)
if is_allowed then
    current = current + 1
    redis.call('HSET', KEYS[1], 'window', window, 'previous', previous, 'current', current)
    redis.call('EXPIREAT', KEYS[1], (window + 2) * period)
end
return {is_allowed and 1 or 0, previous, current, math.floor(remaining * 1000000)}
"""
_LIST_SECONDS = 10  # maximum life of an old list, should a process be killed before it drops the list
_GENERATION_SECONDS = 86_400
_GENERATION_BYTES = 16
_MARK_BYTES = 16


class RedisViewWindow:
    """A ``ViewWindow`` that replicas share."""

    def __init__(self, redis: RedisState, memory: ViewWindow, *, window_seconds: int) -> None:
        """
        Make a window.

        Args:
            redis: Stores the views of all replicas.
            memory: Stores this replica's views too, so that none counts again when Redis is lost or back.
            window_seconds: As for ``ViewWindow``.
        """
        self._redis = redis
        self._memory = memory
        self._window_seconds = window_seconds

    def is_first_view(self, post_id: str, address: str) -> bool:
        """Record a view, as described in ``RememberedViews``."""
        if self._memory.has_viewed(post_id, address):
            return False
        name = self._name(post_id, address)
        is_first = self._redis.run(
            lambda client: bool(client.set(name, 1, nx=True, ex=self._window_seconds)), otherwise=lambda: True
        )
        return is_first and self._memory.is_first_view(post_id, address)

    def forget(self, post_id: str, address: str) -> None:
        """Remove a view, as described in ``RememberedViews``."""
        name = self._name(post_id, address)
        self._redis.run(lambda client: client.delete(name), otherwise=lambda: None)
        self._memory.forget(post_id, address)

    def _name(self, post_id: str, address: str) -> str:
        return self._redis.name("view", f"{post_id}:{address}")


class RedisRateWindows:
    """``RateWindows`` that replicas share."""

    def __init__(self, redis: RedisState, memory: RateWindows) -> None:
        """
        Make windows.

        Args:
            redis: Counts the requests of all replicas.
            memory: Counts requests while Redis is lost.
        """
        self._redis = redis
        self._memory = memory
        self._script = redis.script(_HIT)

    def hit(self, key: str, limit: int, expiry: int) -> Hit:
        """Count a request, as described in ``RateWindows``."""
        name = self._redis.name("limit", key)
        return self._redis.run(
            lambda client: self._hit(client, name, limit, expiry),
            otherwise=lambda: self._memory.hit(key, limit, expiry),
        )

    def _hit(self, client: Redis, name: str, limit: int, expiry: int) -> Hit:
        is_allowed, previous, current, microseconds = self._script(keys=[name], args=[limit, expiry], client=client)
        return Hit(bool(is_allowed), previous, current, microseconds / 1_000_000)


class RedisCounters:
    """``Counters`` that replicas share; a count from another replica is shown as 1."""

    def __init__(self, redis: RedisState, memory: Counters, *, kind: str) -> None:
        """
        Count in Redis, and in this replica's memory, since most requests of one user reach one replica.

        Args:
            redis: The client.
            memory: This replica's counters.
            kind: Kind of the counters, by which their keys differ from those of others.
        """
        self._redis = redis
        self._memory = memory
        self._kind = kind

    def add(self, key: str, *, ttl_seconds: float) -> int:
        """Add to a counter, as described in ``Counters``."""
        name, ttl_ms = self._redis.name(self._kind, key), math.ceil(ttl_seconds * 1000)
        self._redis.run(lambda client: client.set(name, 1, px=ttl_ms), otherwise=lambda: None)
        return self._memory.add(key, ttl_seconds=ttl_seconds)

    def get(self, key: str) -> int:
        """Return this replica's count, else 1 if another replica has counted."""
        return self._memory.get(key) or self._redis.run(
            lambda client: client.exists(self._redis.name(self._kind, key)), otherwise=lambda: 0
        )


class RedisCategoryCache:
    """
    A ``CategoryCache`` that replicas share.

    A list is stored with the generation that was current before it was read, and is valid as long as that
    generation: a list read before a write and stored after it is never used.

    A process that cannot renew the generation after a write changes a mark in the workers' shared memory, before
    the write is answered. A worker that finds the mark changed renews the generation before it uses a list, even
    if it has never lost Redis itself. For the other replicas, each process renews the generation once more when
    it uses Redis again.
    """

    def __init__(self, redis: RedisState) -> None:
        """Cache the list in Redis; to be made before the fork."""
        self._redis = redis
        name = f"{{{redis.name('categories')}}}"  # braces: both keys are in one slot of a cluster (Redis: "Hash tags")
        self._generation = f"{name}:generation"
        self._list = f"{name}:{__version__}"  # another release may store it in another form
        self._mark = mmap.mmap(-1, _MARK_BYTES)
        self._mark_seen = self._mark[:]  # its value when this process last renewed the generation
        redis.after_return(self.forget)

    def read(self, load: Callable[[], Categories], *, load_from_primary: Callable[[], Categories]) -> Categories:
        """Return the list, as described in ``CategoryCache``."""
        generation, kept = self._redis.run(self._look, otherwise=lambda: (None, None))
        metrics.CACHE_REQUESTS.labels("categories", "miss" if kept is None else "hit").inc()
        if kept is not None:
            return cast(Categories, orjson.loads(kept))
        if generation is None:
            return load()
        categories = load_from_primary()
        content = generation + orjson.dumps(categories)
        self._redis.run(lambda client: client.set(self._list, content, ex=_LIST_SECONDS), otherwise=lambda: None)
        return categories

    def forget(self) -> None:
        """Drop the list; while Redis is lost, make sure that no worker uses it later."""
        self._redis.run(self._renew, otherwise=self._change_mark)

    def _look(self, client: Redis) -> tuple[bytes | None, bytes | None]:
        """Return the generation, and the list if it belongs to that generation."""
        if self._mark[:] != self._mark_seen:
            self._renew(client)
        generation, kept = cast(list[bytes | None], client.mget(self._generation, self._list))
        if generation is None:
            return self._begin(client), None
        if kept is None or not kept.startswith(generation):
            return generation, None
        return generation, kept[_GENERATION_BYTES:]

    def _begin(self, client: Redis) -> bytes | None:
        """Return a new generation, or None if another process has begun one meanwhile."""
        generation = secrets.token_bytes(_GENERATION_BYTES)
        return generation if client.set(self._generation, generation, nx=True, ex=_GENERATION_SECONDS) else None

    def _renew(self, client: Redis) -> None:
        mark = self._mark[:]  # read first: a later change is a write that may come after the renewal
        # Random, not a count: a count that Redis has lost would start again, and match old lists.
        client.set(self._generation, secrets.token_bytes(_GENERATION_BYTES), ex=_GENERATION_SECONDS)
        self._mark_seen = mark

    def _change_mark(self) -> None:
        # Without a lock: any mixture of two changes at once is a change too.
        self._mark[:] = secrets.token_bytes(_MARK_BYTES)


class RedisBackends(NamedTuple):
    """All backends in Redis."""

    redis: RedisState
    views: RedisViewWindow
    limits: RedisRateWindows
    categories: RedisCategoryCache
    writers: RedisCounters


def connect_redis_backends(
    url: str, settings: Settings, *, views: ViewWindow, limits: RateWindows, writers: Counters
) -> RedisBackends:
    """
    Make the backends that replicas share; to be called before the fork.

    Args:
        url: URL of Redis.
        settings: ``names_key``, ``redis_timeout_ms`` and ``view_window_seconds``.
        views: This replica's memory of views.
        limits: This replica's counts of requests.
        writers: This replica's memory of recent writers.
    """
    redis = RedisState(url, timeout_seconds=settings.redis_timeout_ms / 1000, names_key=settings.names_key)
    shared_views = RedisViewWindow(redis, views, window_seconds=settings.view_window_seconds)
    shared_writers = RedisCounters(redis, writers, kind="writer")
    return RedisBackends(
        redis, shared_views, RedisRateWindows(redis, limits), RedisCategoryCache(redis), shared_writers
    )
