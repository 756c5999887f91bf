"""Processes of the local run: started in order, each when the one before it is ready, and stopped in reverse."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .words import say

REPOSITORY = Path(__file__).parents[2]
READY_SECONDS = 60.0
STOP_SECONDS = 4.0
LAST_LINES = 8
TOOL_SECONDS = 120.0  # for a program that does something small and ends
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class CannotRun(Exception):
    """The local run cannot start or go on, for a reason that one line says."""


@dataclass(frozen=True)
class Service:
    """One process: how it is started, when it is ready, and which signal stops it; a store outlives its users."""

    name: str
    command: list[str]
    log: Path
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    user: str | None = None
    is_store: bool = False
    after_start: Callable[[], None] = lambda: None


class Supervisor:
    """The running services. Each has a session of its own, so that Ctrl-C reaches the supervisor alone."""

    def __init__(self) -> None:
        self._running: list[tuple[Service, subprocess.Popen[bytes]]] = []
        self._setpriv = _find_setpriv()

    def start(self, service: Service) -> None:
        """
        Start a service and wait until it is ready.

        Args:
            service: The service.

        Raises:
            CannotRun: It ended, or was not ready in time.
        """
        started = time.monotonic()
        service.log.parent.mkdir(parents=True, exist_ok=True)
        with uninterrupted():
            process = _spawn(service, self._setpriv)
            self._running.append((service, process))
        while not service.is_ready():
            if process.poll() is not None or time.monotonic() - started > READY_SECONDS:
                raise CannotRun(f"{service.name} does not start; {service.log} ends:\n{last_lines(service.log)}")
            time.sleep(0.05)
        service.after_start()
        say(f"{service.name} is ready", seconds=time.monotonic() - started)

    def watch(self) -> None:
        """
        Wait until a service ends by itself.

        Raises:
            CannotRun: It did.
        """
        while True:
            for service, process in self._running:
                if process.poll() is not None:
                    raise CannotRun(f"{service.name} has ended; {service.log} ends:\n{last_lines(service.log)}")
            time.sleep(0.25)

    def stop(self) -> None:
        """Stop every service in reverse order, the stores once nobody uses them any more."""
        deadline = time.monotonic() + STOP_SECONDS
        for are_stores in (False, True):
            _stop([one for one in reversed(self._running) if one[0].is_store == are_stores], deadline)
        self._running.clear()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """
    Put off the signals that end the run: a process that has just been started must be known before one counts.

    Raises:
        KeyboardInterrupt: One came meanwhile.
    """
    came: list[int] = []
    handlers = {number: signal.signal(number, lambda number, _frame: came.append(number)) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def _spawn(service: Service, setpriv: str | None) -> subprocess.Popen[bytes]:
    """
    Start a service, which Linux stops if the supervisor is killed, where there is a setpriv for that.

    ``setpriv`` sets the signal after Popen's change of user, which would undo it, and then becomes the command. Popen's
    ``preexec_fn`` would run Python in a fork of a process that may have threads, where it can hang.
    """
    tied = [setpriv, "--pdeathsig", service.stop_signal.name, "--"] if setpriv else []
    with service.log.open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - commands are ours
            [*tied, *service.command],
            cwd=REPOSITORY,
            env={**os.environ, **service.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            user=service.user,
            group=service.user and _group_of(service.user),
            extra_groups=[] if service.user else None,
        )


def _find_setpriv() -> str | None:
    """Path of a setpriv that can set the signal of the parent's death; None on macOS, and where it is busybox's."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return None
    command = [setpriv, "--pdeathsig", "keep", "--", "true"]
    tried = subprocess.run(command, capture_output=True, check=False, timeout=TOOL_SECONDS)  # noqa: S603 - ours
    return None if tried.returncode else setpriv


def _stop(running: list[tuple[Service, subprocess.Popen[bytes]]], deadline: float) -> None:
    """Give one signal to each, then SIGKILL to what is left of its session at the deadline."""
    for service, process in running:
        if process.poll() is None:
            process.send_signal(service.stop_signal)
    for service, process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            say(f"{service.name} does not stop; it is killed")
        _kill_session(process.pid)
        process.wait()


def _kill_session(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _group_of(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def last_lines(log: Path) -> str:
    """
    Read the end of a log.

    Args:
        log: Its file.

    Returns:
        Its last lines, indented.
    """
    lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    return "\n".join(f"    {line}" for line in lines)


def is_listening(port: int) -> bool:
    """
    Try a port.

    Args:
        port: Port on the loopback address.

    Returns:
        True where something accepts connections.
    """
    with socket.socket() as client:
        client.settimeout(0.5)
        return client.connect_ex(("127.0.0.1", port)) == 0


def require_free(ports: Mapping[str, int]) -> None:
    """
    Check that nobody uses the ports.

    Args:
        ports: Ports on the loopback address by who wants them.

    Raises:
        CannotRun: One is taken.
    """
    for name, port in ports.items():
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                server.bind(("127.0.0.1", port))
            except OSError as exc:
                raise CannotRun(
                    f"Port {port}, for {name}, is taken; choose others, as in PLATFORM_PORT={port + 100} make platform"
                ) from exc
