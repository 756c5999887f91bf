"""Redis as the state that replicas share: its client, and how the service goes on without it."""

import functools
import hmac
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from typing import TypeVar

from redis import Redis, SSLConnection
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import RedisError
from redis.retry import Retry

from post.shared_circuit import SharedCircuit
from post.telemetry import metrics

logger = logging.getLogger(__name__)

T = TypeVar("T")
Command = Callable[[Redis], T]

_LOST = object()
_PROBE_SECONDS = 10  # how long what a try has written stays


# To read the system's authorities takes longer than a request may wait for Redis; redis-py does at each connection.
_tls = functools.cache(ssl.create_default_context)


class _TlsConnection(SSLConnection):
    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        return _tls().wrap_socket(sock, server_hostname=self.host)


class RedisState:
    """
    A client of Redis that never fails.

    Where Redis is away, too slow, or refuses to do what it is asked, it is lost: from then on nobody
    waits for it, until a thread finds, about once a second while requests come, that it works again.
    Connections are made where they are used first, so that no two processes share one.
    """

    def __init__(self, url: str, *, timeout_seconds: float, names_key: str, circuit: SharedCircuit) -> None:
        """
        Make a client; nothing is connected yet.

        Args:
            url: ``redis://…`` or ``rediss://…``.
            timeout_seconds: How long to wait for a connection, or for an answer.
            names_key: What names are made with; the same on every replica.
            circuit: Made before the fork.
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
        self._circuit = circuit
        self._losses_seen = 0  # by this process
        self._preparations: list[Command[object]] = []

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
            self._see_to_return()
            return otherwise()
        if losses != self._losses_seen:
            self._drop_connections(losses)
        try:
            return command(self._client)
        except RedisError as exc:
            if self._circuit.open(losses=losses):
                metrics.note_lost("redis")
                logger.warning("redis_lost", extra={"reason": type(exc).__name__})
            return otherwise()

    def script(self, text: str) -> Script:
        """Return a Lua script, to be called with ``client``; a Redis that is back has it before anyone asks for it."""
        self.before_return(lambda client: client.script_load(text))
        return self._client.register_script(text)

    def tell(self, command: Command[object]) -> None:
        """
        Have Redis do something before anyone asks it again: now, or as one of its preparations once it is back.

        Args:
            command: Does it; ``before_return`` must have been told of it.
        """
        while not self._circuit.miss():
            if self.ask(command, otherwise=lambda: _LOST) is not _LOST:
                return

    def before_return(self, command: Command[object]) -> None:
        """Have something done each time that Redis is back, before anyone asks it."""
        self._preparations.append(command)

    def is_up(self) -> bool:
        """Tell whether Redis answers."""
        return self.ask(lambda client: bool(client.ping()), otherwise=lambda: False)

    def _see_to_return(self) -> None:
        if self._circuit.may_try():
            threading.Thread(target=self._try_again, name="redis", daemon=True).start()

    def _try_again(self) -> None:
        self._drop_connections(self._circuit.losses)
        try:
            while self._circuit.is_open:  # and another try, which had to wait for long, has not closed it
                missed = self._circuit.missed
                self._prepare()
                if self._circuit.close(missed=missed):
                    metrics.note_back("redis")
                    logger.warning("redis_back")
        except RedisError:
            return  # still lost, which the log knows

    def _prepare(self) -> None:
        # A server that cannot be written to (loading, read-only, out of memory) would answer a PING.
        self._client.set(self.name("probe"), 1, ex=_PROBE_SECONDS)
        for command in self._preparations:
            command(self._client)

    def _drop_connections(self, losses: int) -> None:
        # Those of before may lead nowhere, and each would cost a request its timeout to find that out.
        self._losses_seen = losses
        self._client.connection_pool.disconnect(inuse_connections=False)
