"""Circuit breakers of the database's servers: no caller waits for a server that is away or hangs."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from pymysql.connections import Connection as PyMySQLConnection
from pymysql.err import Error as PyMySQLError
from pymysql.err import OperationalError
from sqlalchemy import Engine, event
from sqlalchemy.engine import Dialect, ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import PoolProxiedConnection

from post.database.faults import READ_ONLY
from post.database.instrumentation import MeteredPool
from post.shared.circuit import PROBE_SECONDS, Circuit

# Callers wait so long for the first probe, so that one slow query on a healthy server fails no other request.
GRACE_SECONDS = 0.1
CANNOT_CONNECT = 2003  # "Client Error Message Reference"
BUSY = frozenset({1040, 1203, 1226})  # the server is up, with all its connections in use


class DriverConnection(PyMySQLConnection):
    """PyMySQL's connection; its COMMIT may have been sent together with the last statements before it."""

    is_committed = False

    def commit(self) -> None:
        """Commit, unless that is done."""
        if not self.is_committed:
            super().commit()
        self.is_committed = False


class DatabaseCircuit(Circuit):
    """
    The circuit of a database server, for all engines that connect to it.

    It opens if a connection cannot be made, or hangs. From then on it refuses all callers.
    """

    def __init__(self, name: str) -> None:
        """Make a closed circuit for the server that the log calls ``name``."""
        super().__init__(name, is_back=self._connect_anew)
        self._engines: list[Engine] = []
        self._new_connection: Callable[[], Any] | None = None

    def guard(self, engine: Engine) -> None:
        """
        Watch the connections of an engine, and refuse new ones while the server is away.

        Args:
            engine: Ignored unless its pool is a ``GuardedPool``.
        """
        if not isinstance(engine.pool, GuardedPool):
            return
        self._engines.append(engine)
        engine.pool.circuit = self
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "handle_error", self._check_error)
        event.listen(engine, "invalidate", self._check_connection)

    def admit(self) -> None:
        """
        Return if the server may be used.

        Raises:
            OperationalError: The server is away.
        """
        if not self.is_closed_within(GRACE_SECONDS):
            raise OperationalError(CANNOT_CONNECT, f"{self._name} is away; it is tried again each {PROBE_SECONDS} s")

    def _connect(self, _dialect: Dialect, _record: Any, args: Any, options: Any) -> Any:
        self.admit()  # again, if the pool replaces a dead connection
        self._new_connection = partial(DriverConnection, *args, **options)
        try:
            return self._new_connection()
        except PyMySQLError as exc:
            if _number(exc) not in BUSY:
                self._lose(exc)
            raise

    def _check_error(self, context: ExceptionContext) -> None:
        self._open_on_timeout(context.original_exception)
        if _number(context.original_exception) in READ_ONLY:
            # After a failover the name may mean another server: the next write connects anew.
            context.is_disconnect = True

    def _check_connection(self, _connection: Any, _record: Any, error: BaseException | None) -> None:
        # The ping of an idle connection raises a DisconnectionError from the driver's own.
        self._open_on_timeout(error.__cause__ if isinstance(error, DisconnectionError) else error)

    def _open_on_timeout(self, error: BaseException | None) -> None:
        # Not on a closed connection, which was idle: the next one is opened anew.
        if isinstance(error, PyMySQLError) and isinstance(error.__context__, TimeoutError):
            self._lose(error)

    def _lose(self, error: PyMySQLError) -> None:
        self.open(losses=self.losses, error=_number(error))

    def _connect_anew(self) -> bool:
        for engine in self._engines:  # their idle connections may be dead
            engine.dispose()
        if self._new_connection is None:
            return True
        try:
            self._new_connection().close()
        except PyMySQLError as exc:
            return _number(exc) in BUSY
        return True


class GuardedPool(MeteredPool):
    """A pool that refuses connections while its circuit is open."""

    circuit: DatabaseCircuit | None = None

    def connect(self) -> PoolProxiedConnection:
        """Return a connection. An open circuit raises the driver's error, as a failed connect does."""
        if self.circuit is not None and self.circuit.is_open:
            self.circuit.admit()
        return super().connect()

    def recreate(self) -> "GuardedPool":
        """Return an empty pool with the same options and circuit."""
        pool = cast(GuardedPool, super().recreate())
        pool.circuit = self.circuit
        return pool


def is_open(engine: Engine) -> bool:
    """Return whether the circuit of an engine's server is open."""
    pool = engine.pool
    return isinstance(pool, GuardedPool) and pool.circuit is not None and pool.circuit.is_open


def _number(error: BaseException) -> Any:
    """Return MySQL's number of a driver's error."""
    return error.args[0] if error.args else None
