"""Whether a database server is there: found out once for all threads, so that they do not wait for one that hangs."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from pymysql.err import Error as PyMySQLError
from pymysql.err import OperationalError
from sqlalchemy import Engine, event
from sqlalchemy.engine import Dialect, ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import PoolProxiedConnection

from post.database.instrumentation import WatchedPool
from post.telemetry import metrics

logger = logging.getLogger(__name__)

PROBE_SECONDS = 1
# So long callers wait for the first probe: a slow query of a server that is well then costs nobody else an answer.
GRACE_SECONDS = 0.1
CANNOT_CONNECT = 2003  # "Client Error Message Reference"
BUSY = frozenset({1040, 1203, 1226})  # the server is there, and has as many connections as it takes
READ_ONLY = frozenset({1290, 1792, 1836})


class Circuit:
    """
    A server that is there (closed) or away (open).

    It opens where a connection cannot be made, or one hangs. From then on all callers are refused at once,
    while a thread tries to connect once a second; when it can, the circuit closes.
    """

    def __init__(self, name: str) -> None:
        """
        Make a closed one.

        Args:
            name: What the log calls the server.
        """
        self.is_open = False
        self._name = name
        self._lost, self._back, self._failed = f"{name}_lost", f"{name}_back", f"{name}_probe_failed"
        self._engines: list[Engine] = []
        self._new_connection: Callable[[], Any] | None = None
        self._opening = threading.Lock()
        self._closed = threading.Event()
        self._opened_at = 0.0

    def guard(self, engine: Engine) -> None:
        """
        Watch over the connections of an engine, and refuse to give any while the server is away.

        Args:
            engine: With a ``GuardedPool``; another is left alone.
        """
        if not isinstance(engine.pool, GuardedPool):
            return
        self._engines.append(engine)
        engine.pool.circuit = self
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "handle_error", self._look_at_error)
        event.listen(engine, "invalidate", self._look_at_connection)

    def admit(self) -> None:
        """
        Let a caller through.

        Raises:
            OperationalError: The server is away.
        """
        if self.is_open and not self._closed.wait(max(0, self._opened_at + GRACE_SECONDS - time.monotonic())):
            raise OperationalError(CANNOT_CONNECT, f"{self._name} is away; it is tried again each {PROBE_SECONDS} s")

    def _connect(self, dialect: Dialect, _record: Any, args: Any, options: Any) -> Any:
        self.admit()  # again, after a connection of the pool has turned out to be dead
        self._new_connection = partial(dialect.connect, *args, **options)
        try:
            return self._new_connection()
        except PyMySQLError as exc:
            if _number(exc) not in BUSY:
                self._open(exc)
            raise

    def _look_at_error(self, context: ExceptionContext) -> None:
        self._look_at(context.original_exception)
        if _number(context.original_exception) in READ_ONLY:
            # After a failover the name may lead to another server by now: the next write connects anew.
            context.is_disconnect = True

    def _look_at_connection(self, _connection: Any, _record: Any, error: BaseException | None) -> None:
        self._look_at(error.__cause__ if isinstance(error, DisconnectionError) else error)  # of an idle one, as asked

    def _look_at(self, error: BaseException | None) -> None:
        # One that was closed is another matter: an idle connection's end. The next one is made anew.
        if isinstance(error, PyMySQLError) and isinstance(error.__context__, TimeoutError):
            self._open(error)

    def _open(self, error: PyMySQLError) -> None:
        with self._opening:
            if self.is_open:
                return
            self._opened_at = time.monotonic()
            self._closed.clear()
            self.is_open = True
        metrics.note_lost(self._name)
        logger.warning(self._lost, extra={"error": _number(error)})
        threading.Thread(target=self._probe_until_back, name=f"{self._name}-probe", daemon=True).start()

    def _probe_until_back(self) -> None:
        for engine in self._engines:  # Idle connections may lead to where nobody answers any more.
            engine.dispose()
        while not self._is_back():
            time.sleep(PROBE_SECONDS)
        self.is_open = False
        self._closed.set()
        metrics.note_back(self._name)
        logger.warning(self._back, extra={"away_seconds": round(time.monotonic() - self._opened_at, 1)})

    def _is_back(self) -> bool:
        if self._new_connection is None:
            return True
        try:
            self._new_connection().close()
        except PyMySQLError as exc:
            return _number(exc) in BUSY
        except Exception:  # a fault of ours: the thread lives on, since nothing else closes the circuit
            logger.exception(self._failed)
            return False
        return True


class GuardedPool(WatchedPool):
    """A pool that gives no connection to a server which is known to be away."""

    circuit: Circuit | None = None

    def connect(self) -> PoolProxiedConnection:
        """Return a connection, or raise what the driver raises where it cannot connect."""
        if self.circuit is not None and self.circuit.is_open:
            self.circuit.admit()
        return super().connect()

    def recreate(self) -> "GuardedPool":
        """Return an empty pool of the same kind, under the same circuit."""
        pool = cast(GuardedPool, super().recreate())
        pool.circuit = self.circuit
        return pool


def is_open(engine: Engine) -> bool:
    """Tell whether the server of an engine is known to be away."""
    pool = engine.pool
    return isinstance(pool, GuardedPool) and pool.circuit is not None and pool.circuit.is_open


def _number(error: BaseException) -> Any:
    """Return MySQL's number of an error of the driver."""
    return error.args[0] if error.args else None
