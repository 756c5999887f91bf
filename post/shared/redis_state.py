"""Redis as the state that replicas share: its client, and how the service goes on without it."""

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

_PROBE_SECONDS = 10  # how long what a probe has written stays


# To read the system's authorities takes longer than a request may wait for Redis; redis-py does at each connection.
_tls = functools.cache(ssl.create_default_context)


class _TlsConnection(SSLConnection):
    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        return _tls().wrap_socket(sock, server_hostname=self.host)


class RedisState:
    """
    A client of Redis that never fails.

    Where Redis is away, too slow, or refuses to do what it is asked, it is lost for this process: from then on
    no thread waits for it, until a probe finds that it works again. Connections are made where they are used
    first, so that no two processes share one.
    """

    def __init__(self, url: str, *, timeout_seconds: float, names_key: str) -> None:
        """
        Make a client; nothing is connected yet.

        Args:
            url: ``redis://…`` or ``rediss://…``.
            timeout_seconds: How long to wait for a connection, or for an answer.
            names_key: What names are made with; the same on every replica.
        """
        with_tls = url.startswith("rediss:")
        if with_tls:
            _tls()  # before the fork, and before anybody waits for it
        self._client = Redis.from_url(
            url,
            **({"connection_class": _TlsConnection} if with_tls else {}),
            socket_connect_timeout=timeout_seconds,
            socket_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
            # Each spares a new connection a round trip: RESP 3 begins with HELLO, and a client can give its name.
            protocol=2,
            driver_info=None,
        )
        self._key = hmac.digest(names_key.encode(), b"names in redis", "sha256")
        self._circuit = Circuit("redis", is_back=self._is_back, after_return=self._run_after_return)
        self._scripts: list[str] = []
        self._callbacks: list[Callable[[], None]] = []

    @property
    def is_lost(self) -> bool:
        """Whether the service goes on without Redis now."""
        return self._circuit.is_open

    def name(self, kind: str, of: str = "") -> str:
        """
        Return a key for Redis: who has it cannot tell what it is of.

        Args:
            kind: What it keeps, which anyone may read.
            of: Whose, such as an address.
        """
        digest = hmac.digest(self._key, f"{kind}:{of}".encode(errors="surrogatepass"), "sha256")
        return f"post:{kind}:{digest[:16].hex()}"

    def ask(self, command: Command[T], *, otherwise: Callable[[], T]) -> T:
        """
        Have Redis do something.

        Args:
            command: Does it.
            otherwise: Gives the answer where Redis is lost, or is found to be so.
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
        """Return a Lua script, to be called with ``client``; a Redis that is back has it before anyone asks for it."""
        self._scripts.append(text)
        return self._client.register_script(text)

    def after_return(self, callback: Callable[[], None]) -> None:
        """Have something called each time that this process has lost Redis and uses it again."""
        self._callbacks.append(callback)

    def is_up(self) -> bool:
        """Return whether Redis answers."""
        return self.ask(lambda client: bool(client.ping()), otherwise=lambda: False)

    def _is_back(self) -> bool:
        # Idle connections may lead nowhere, and each would cost a request its timeout to find that out.
        self._client.connection_pool.disconnect(inuse_connections=False)
        try:
            # A server that cannot be written to (loading, read-only, out of memory) would answer a PING.
            self._client.set(self.name("probe"), 1, ex=_PROBE_SECONDS)
            for text in self._scripts:
                self._client.script_load(text)
        except RedisError:
            return False
        return True

    def _run_after_return(self) -> None:
        for callback in self._callbacks:
            callback()
