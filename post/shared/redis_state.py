"""The client of Redis, whose state replicas share, and the fallback while Redis is lost."""

import functools
import hmac
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from redis import Redis, SSLConnection
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import RedisError
from redis.retry import Retry

from post.shared.circuit import Circuit

T = TypeVar("T")
Command = Callable[[Redis], T]

_PROBE_SECONDS = 10  # life of the key that a probe writes


# Cached: redis-py reads the system's authorities for each connection, which takes longer than a request may wait.
_tls = functools.cache(ssl.create_default_context)


class _TlsConnection(SSLConnection):
    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        return _tls().wrap_socket(sock, server_hostname=self.host)


class RedisState:
    """
    A client of Redis that never fails.

    If Redis is away, too slow, or refuses a command, this process treats it as lost: no thread waits for it
    until a probe succeeds. Connections are opened on first use, so that no two processes share one.
    """

    def __init__(self, url: str, *, timeout_seconds: float, names_key: str) -> None:
        """
        Make a client, without a connection.

        Args:
            url: ``redis://…`` or ``rediss://…``.
            timeout_seconds: Maximum wait for a connection, or for an answer.
            names_key: Secret for the names of keys; the same on all replicas.
        """
        with_tls = url.startswith("rediss:")
        if with_tls:
            _tls()  # before the fork, and before a request waits for it
        self._client = Redis.from_url(
            url,
            **({"connection_class": _TlsConnection} if with_tls else {}),
            socket_connect_timeout=timeout_seconds,
            socket_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
            # Two round trips less for a new connection: no HELLO of RESP 3, no name of the client.
            protocol=2,
            driver_info=None,
        )
        self._key = hmac.digest(names_key.encode(), b"names in redis", "sha256")
        self._circuit = Circuit("redis", is_back=self._is_back, after_return=self._run_after_return)
        self._scripts: list[str] = []
        self._callbacks: list[Callable[[], None]] = []

    @property
    def is_lost(self) -> bool:
        """True while this process does without Redis."""
        return self._circuit.is_open

    def name(self, kind: str, of: str = "") -> str:
        """
        Return the name of a key in Redis, which does not reveal its owner.

        Args:
            kind: Kind of value, in plain text.
            of: The owner, such as an address.
        """
        digest = hmac.digest(self._key, f"{kind}:{of}".encode(errors="surrogatepass"), "sha256")
        return f"post:{kind}:{digest[:16].hex()}"

    def run(self, command: Command[T], *, otherwise: Callable[[], T]) -> T:
        """
        Run a command, or the fallback.

        Args:
            command: Called with the client.
            otherwise: The fallback, called if Redis is lost or the command fails.
        """
        losses = self._circuit.losses
        if self._circuit.is_open:
            return otherwise()
        try:
            return command(self._client)
        except RedisError as exc:
            self._circuit.open(losses=losses, reason=type(exc).__name__)
            return otherwise()

    def script(self, text: str) -> Script:
        """Return a Lua script, to be called with ``client``; it is loaded again before a lost Redis is used again."""
        self._scripts.append(text)
        return self._client.register_script(text)

    def after_return(self, callback: Callable[[], None]) -> None:
        """Register a callback for each time that this process uses Redis again after a loss."""
        self._callbacks.append(callback)

    def is_up(self) -> bool:
        """Return whether Redis answers."""
        return self.run(lambda client: bool(client.ping()), otherwise=lambda: False)

    def _is_back(self) -> bool:
        # Idle connections may be dead, and each would cost a request its timeout.
        self._client.connection_pool.disconnect(inuse_connections=False)
        try:
            # A server that refuses writes (loading, read-only, out of memory) would answer a PING.
            self._client.set(self.name("probe"), 1, ex=_PROBE_SECONDS)
            for text in self._scripts:
                self._client.script_load(text)
        except RedisError:
            return False
        return True

    def _run_after_return(self) -> None:
        for callback in self._callbacks:
            callback()
