"""The circuits of the database's servers: nobody waits for one that is away or hangs."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from pymysql.err import Error as PyMySQLError
from pymysql.err import OperationalError
from sqlalchemy import Engine, event
from sqlalchemy.engine import Dialect, ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import PoolProxiedConnection

from post.database.instrumentation import MeteredPool
from post.shared.circuit import PROBE_SECONDS, Circuit

# So long callers wait for the first probe: a slow query of a server that is well then costs nobody else an answer.
GRACE_SECONDS = 0.1
CANNOT_CONNECT = 2003  # "Client Error Message Reference"
BUSY = frozenset({1040, 1203, 1226})  # the server is there, and has as many connections as it takes
READ_ONLY = frozenset({1290, 1792, 1836})


class DatabaseCircuit(Circuit):
    """
    The circuit of a database server, over the engines that lead to it.

    It opens where a connection cannot be made, or one hangs. From then on all callers are refused.
    """

    def __init__(self, name: str) -> None:
        """
        Make a closed one.

        Args:
            name: What the log calls the server.
        """
        super().__init__(name, is_back=self._connect_anew)
        self._engines: list[Engine] = []
        self._new_connection: Callable[[], Any] | None = None

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
        if not self.is_closed_within(GRACE_SECONDS):
            raise OperationalError(CANNOT_CONNECT, f"{self._name} is away; it is tried again each {PROBE_SECONDS} s")

    def _connect(self, dialect: Dialect, _record: Any, args: Any, options: Any) -> Any:
        self.admit()  # again, after a connection of the pool has turned out to be dead
        self._new_connection = partial(dialect.connect, *args, **options)
        try:
            return self._new_connection()
        except PyMySQLError as exc:
            if _number(exc) not in BUSY:
                self._lose(exc)
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
            self._lose(error)

    def _lose(self, error: PyMySQLError) -> None:
        self.open(losses=self.losses, error=_number(error))

    def _connect_anew(self) -> bool:
        for engine in self._engines:  # Idle connections may lead to where nobody answers any more.
            engine.dispose()
        if self._new_connection is None:
            return True
        try:
            self._new_connection().close()
        except PyMySQLError as exc:
            return _number(exc) in BUSY
        return True


class GuardedPool(MeteredPool):
    """A pool that gives no connection to a server which is known to be away."""

    circuit: DatabaseCircuit | None = None

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
