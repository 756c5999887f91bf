"""The compared servers as processes: their start, their workers, and the workers' time and memory."""

import http.client
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.servers import (
    PROJECT,
    UNLIMITED,
    Service,
    children_of,
    free_port,
    image_allocator,
    start_service,
    stop,
    wait_until_healthy,
)

POLL_SECONDS = 0.002
START_SECONDS_MAX = 60
LOG_CHARS = 2000  # of its end, in an error
CONTENDER_PYTHON = PROJECT / ".venv" / "bench" / "bin" / "python"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# Values of gunicorn.conf.py, without the service's log and metrics that this file adds.
LIMIT_OPTIONS = [
    "--config=/dev/null",
    "--worker-class=gthread",
    "--keep-alive=75",
    "--timeout=30",
    "--preload",
    "--no-control-socket",
    "--worker-tmp-dir=/dev/shm",
    "--access-logfile=-",
]
ACCESS_LOG_FORMAT = '%(h)s "%(m)s %(U)s" %(s)s %(B)s bytes %(M)s ms request_id=%({x-request-id}o)s'

Start = Callable[[], Service]


class Size(NamedTuple):
    """The number of gunicorn's workers, and of threads in each."""

    workers: int
    threads: int


class Memory(NamedTuple):
    """A worker's memory in MiB: resident, and proportional (shared pages are divided among their processes)."""

    rss: int
    pss: int


class Server:
    """A running server, with the time and memory of its workers."""

    def __init__(self, service: Service, *, url: str = "") -> None:
        """
        Take a running server.

        Args:
            service: The server's processes.
            url: The address for requests, if not its own.
        """
        self.url = url or service.url
        self._service = service
        self._workers = sorted(children_of(service.process.pid))

    def cpu_seconds(self) -> list[float]:
        """
        Return the processor time of each worker so far (proc(5): ``utime`` and ``stime``).

        Raises:
            RuntimeError: A worker has ended.
        """
        try:
            return [_cpu_seconds(worker) for worker in self._workers]
        except FileNotFoundError:
            raise RuntimeError(f"a worker has ended: {self._service.log[-LOG_CHARS:]}") from None

    def memory(self) -> list[Memory]:
        """Return the memory of each worker."""
        return [_memory(worker) for worker in self._workers]


def _cpu_seconds(process_id: int) -> float:
    # The name of the program is in brackets, and may have spaces.
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def _memory(process_id: int) -> Memory:
    lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()[1:]  # the first has the addresses
    kib = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}
    return Memory(kib["Rss"] // 1024, kib["Pss"] // 1024)


def service_starter(folder: Path, database_url: str, size: Size, **settings: str) -> Start:
    """
    Return a function that starts the service as in production, but without effective rate limits and with local tokens.

    Args:
        folder: The folder for its log and its instance folder.
        database_url: The URL of a database with the schema.
        size: The size of gunicorn.
        settings: Further settings.
    """
    settings = {"DATABASE_URL": database_url, "FLASK_ENV": "development"} | settings
    settings |= {"WEB_CONCURRENCY": str(size.workers), "WEB_THREADS": str(size.threads)}
    settings |= UNLIMITED | image_allocator()  # requests are counted, and none is refused
    return lambda: start_service(folder, **settings)  # finds free ports each time


def limits_starter(folder: Path, database_url: str, size: Size, *, bare_body: Path) -> Start:
    """
    Return a function that starts ``limits.py`` under the same gunicorn.

    Args:
        folder: The folder for its log.
        database_url: The URL of the service's database.
        size: The size of gunicorn.
        bare_body: A file with the answer of ``/bare``.
    """
    return partial(_start_limits, folder, database_url, size, bare_body)


def _start_limits(folder: Path, database_url: str, size: Size, bare_body: Path) -> Service:
    port, log = free_port(), folder / "limits.log"
    log.unlink(missing_ok=True)  # its "Booting worker" lines are counted
    command = [sys.executable, "-m", "gunicorn", *LIMIT_OPTIONS, "--access-logformat", ACCESS_LOG_FORMAT]
    command += [f"--bind=127.0.0.1:{port}", f"--workers={size.workers}", f"--threads={size.threads}"]
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
    env |= {"DATABASE_URL": database_url, "BARE_BODY": str(bare_body), "PYTHONPATH": str(PROJECT)} | image_allocator()
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [*command, "bench.limits:app"], env=env, cwd=PROJECT, stdout=output, stderr=output
        )
    return Service(process, f"http://127.0.0.1:{port}", size.workers, log)


def contender_starter(folder: Path, database_url: str, size: Size, *, is_encrypted: bool) -> Start:
    """
    Return a function that starts ``fastapi_board.py``, with as many workers and connections as the service has.

    Args:
        folder: The folder for its log.
        database_url: The URL of the service's database.
        size: The size of gunicorn.
        is_encrypted: Its connections to the database use TLS, as the service's do where the server offers it.
    """
    return partial(_start_contender, folder, database_url, size, is_encrypted)


def _start_contender(folder: Path, database_url: str, size: Size, is_encrypted: bool) -> Service:
    port, log = free_port(), folder / "fastapi.log"
    command = [str(CONTENDER_PYTHON), "-m", "uvicorn", "--app-dir=bench", "--host=127.0.0.1"]
    command += [f"--port={port}", f"--workers={size.workers}", "fastapi_board:app"]
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
    env |= {"DATABASE_URL": database_url, "CONNECTIONS": str(size.threads), "DATABASE_TLS": str(int(is_encrypted))}
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=env, cwd=PROJECT, stdout=output, stderr=output)  # noqa: S603 - our own program
    # Its log has no lines of gunicorn's to wait for.
    return Service(process, f"http://127.0.0.1:{port}", 0, log)


@contextmanager
def running(start: Start) -> Iterator[Service]:
    """Run a server until the block ends; yields it once all its workers run."""
    service = start()
    try:
        wait_until_healthy(service)
        yield service
    finally:
        stop(service.process)


def median_start(start: Start, *, times: int) -> float:
    """Return the seconds from a server's start to its first 200 on ``/health``."""
    return statistics.median(_seconds_to_answer(start) for _ in range(times))


def _seconds_to_answer(start: Start) -> float:
    began = time.perf_counter()
    service = start()
    try:
        while not _is_healthy(service.url):
            if service.process.poll() is not None or time.perf_counter() - began > START_SECONDS_MAX:
                raise RuntimeError(f"the server does not start: {service.log[-LOG_CHARS:]}")
            time.sleep(POLL_SECONDS)
        return time.perf_counter() - began
    finally:
        stop(service.process)


def _is_healthy(url: str) -> bool:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
