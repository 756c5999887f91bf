"""Real servers for the tests: a private MySQL or Redis, the service under gunicorn, a pool's keys, moto."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseServer
from typing import Any

import pymysql
import requests
from pymysql.cursors import Cursor
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.retry import Retry

from tests.ports import free_port

PROJECT = Path(__file__).resolve().parent.parent
GUNICORN_CONFIGURATION = PROJECT / "gunicorn.conf.py"
HANG_SECONDS = 120  # what takes longer hangs, on a busy machine too
SBIN = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


def find_mariadbd() -> str | None:
    """Return the path of MariaDB's server."""
    return shutil.which("mariadbd", path=SBIN)


def find_mysqld() -> str | None:
    """Return the path of a server of MySQL's protocol, MariaDB's before MySQL's."""
    return find_mariadbd() or shutil.which("mysqld", path=SBIN)


def wait_until(condition, *, what: str, seconds: float = HANG_SECONDS, pause: float = 0.05) -> float:
    """Wait for what others do; the seconds that it took. ``what`` is the fault if it never comes."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError(what)
        time.sleep(pause)
    return time.monotonic() - began


def accepts_tcp(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def stop(process: subprocess.Popen) -> int:
    process.terminate()
    try:
        return process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


class MysqlServer:
    """A throw-away server on a port of its own, which can be made to fail."""

    def __init__(self, folder: Path, *options: str) -> None:
        mysqld = find_mysqld()
        assert mysqld is not None
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.url = f"mysql+pymysql://root@127.0.0.1:{self.port}/postdb_test"
        self._log = folder / "server.log"
        self._command = [
            mysqld, "--no-defaults", f"--datadir={folder}/data", "--user=" + _user(), "--bind-address=127.0.0.1",
            f"--port={self.port}", f"--socket={folder}/s.sock", f"--pid-file={folder}/pid",
            f"--tmpdir={folder}",  # a server that starts removes the temporary tables of all that share this folder
            f"--lock-wait-timeout={HANG_SECONDS // 2}", *options, *([] if "mariadb" in mysqld else ["--mysqlx=OFF"]),
        ]  # fmt: skip
        _initialize(mysqld, folder / "data", self._log)

    def start(self) -> None:
        """Start it, and wait until it accepts connections; after ``kill``, on the same data."""
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(self._command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        wait_until(lambda: _accepts(self.port), what=f"no start: {self._log.read_text()[-2000:]}")

    def kill(self) -> None:
        """End it as a machine's fault does."""
        self.process.kill()
        self.process.wait()

    def hang(self) -> None:
        """Leave its port open and answer nothing any more."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Undo ``hang``."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.go_on()
            stop(self.process)

    @contextmanager
    def administrator(self) -> Iterator[Cursor]:
        """Connect as one who may do everything; yields a cursor."""
        address = {"host": "127.0.0.1", "port": self.port, "user": "root"}
        with pymysql.connect(**address, autocommit=True, read_timeout=HANG_SECONDS) as connection:
            yield connection.cursor()

    def run(self, *statements: str) -> tuple:
        """Run statements as an administrator; returns the rows of the last one."""
        with self.administrator() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()


@contextmanager
def running_mysql(*options: str) -> Iterator[MysqlServer]:
    """Run a throw-away server, which starts with ``options``; yields it."""
    with tempfile.TemporaryDirectory(prefix="post-service-mysql-") as folder:
        server = MysqlServer(Path(folder), "--innodb-buffer-pool-size=256M", "--max-connections=300", *options)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def private_mysql() -> Iterator[str]:
    """Run a throw-away server on a free port; yields the URL of a database that does not exist yet."""
    # The data is thrown away, so its safety on disk is not waited for.
    with running_mysql("--innodb-flush-log-at-trx-commit=0", "--skip-log-bin") as server:
        yield server.url


@contextmanager
def replicated_mysql() -> Iterator[tuple[MysqlServer, MysqlServer]]:
    """Run a primary and a replica of it, which follows (MariaDB's own statements); yields both."""
    with (
        running_mysql("--server-id=1", "--log-bin=binlog", "--binlog-format=ROW") as primary,
        running_mysql("--server-id=2", "--read-only=1") as replica,
    ):
        replica.run(
            f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={primary.port}, MASTER_USER='root',"
            " MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos",
            "START SLAVE",
        )
        yield primary, replica


def _user() -> str:
    return "root" if os.geteuid() == 0 else os.environ.get("USER", "")


def _initialize(mysqld: str, data: Path, log: Path) -> None:
    install = shutil.which("mariadb-install-db", path=SBIN) if "mariadb" in mysqld else None
    if install:
        command = [install, "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]
    else:
        command = [mysqld, "--no-defaults", "--initialize-insecure"]
    command += [f"--datadir={data}", f"--tmpdir={data.parent}", "--user=" + _user()]
    with log.open("ab") as output:
        subprocess.run(command, check=True, stdout=output, stderr=output, timeout=HANG_SECONDS)


def _accepts(port: int) -> bool:
    try:
        pymysql.connect(host="127.0.0.1", port=port, user="root", connect_timeout=2, read_timeout=10).close()
    except pymysql.MySQLError:
        return False
    return True


class RedisServer:
    """A throw-away Redis on a port of its own, which it keeps when it is started again; it starts empty."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, free_port()
        self._process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> Redis:
        return Redis(port=self.port, socket_timeout=10, retry=Retry(NoBackoff(), 0))

    def start(self, *options: str) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        command += ["--save", "", "--enable-debug-command", "yes", *options]
        with (self._folder / "server.log").open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        wait_until(self._answers, what="redis-server does not start")

    def kill(self) -> None:
        """End it as a machine ends that loses its power, also while it is stopped."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Let it accept connections, and answer nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                client.ping()
        except RedisError as exc:
            return isinstance(exc, BusyLoadingError)
        return True


@contextmanager
def private_redis(folder: Path) -> Iterator[RedisServer]:
    """Run a Redis of one's own; yields it."""
    server = RedisServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()


class Service:
    """The service as it runs for users: gunicorn in a process of its own."""

    def __init__(self, process: subprocess.Popen, url: str, workers: int, log: Path, metrics_url: str = "") -> None:
        self.process, self.url, self.workers, self._log = process, url, workers, log
        self.metrics_url = metrics_url

    @property
    def log(self) -> str:
        return self._log.read_text()


@contextmanager
def running_service(
    folder: Path, *, prefix: Sequence[str] = (), configuration: Path = GUNICORN_CONFIGURATION, **settings: str
) -> Iterator[Service]:
    """Run ``gunicorn -c gunicorn.conf.py app:app`` until it answers; yields it. ``prefix`` begins the command."""
    service = start_service(folder, prefix=prefix, configuration=configuration, **settings)
    try:
        wait_until_healthy(service)
        yield service
    finally:
        stop(service.process)


def image_allocator() -> dict[str, str]:
    """Return the image's settings of glibc's memory allocator, for a process that is to use memory as in production."""
    return dict(re.findall(r"(MALLOC_\w+)=(\S+)", (PROJECT / "Dockerfile").read_text()))


def changed_configuration(folder: Path, changes: str) -> Path:
    """Write gunicorn's configuration with lines of Python after it; returns the file's path."""
    own, changed = GUNICORN_CONFIGURATION, folder / "gunicorn.conf.py"
    changed.write_text(f"exec(compile(open({str(own)!r}).read(), {str(own)!r}, 'exec'))\n{changes}\n")
    return changed


def start_service(
    folder: Path, *, prefix: Sequence[str] = (), configuration: Path = GUNICORN_CONFIGURATION, **settings: str
) -> Service:
    port = int(settings.setdefault("PORT", str(free_port())))
    settings.setdefault("METRICS_PORT", str(free_port()))
    env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "LC_ALL")}
    env |= {"INSTANCE_PATH": str(folder / "instance"), "PYTHONPATH": str(PROJECT)}
    env |= {"SITE_PATH": str(folder / "no-site")} | settings  # whatever is built on this machine
    log = folder / f"service-{port}.log"
    command = [*prefix, sys.executable, "-m", "gunicorn", "-c", str(configuration), "app:app"]
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=env, cwd=PROJECT, stdout=output, stderr=output)
    metrics_url = f"http://127.0.0.1:{settings['METRICS_PORT']}/metrics"
    return Service(process, f"http://127.0.0.1:{port}", int(settings.get("WEB_CONCURRENCY", "2")), log, metrics_url)


def wait_until_healthy(service: Service) -> None:
    def healthy() -> bool:
        assert service.process.poll() is None, service.log
        if service.log.count("Booting worker") < service.workers:
            return False
        try:
            return requests.get(f"{service.url}/health", timeout=10).ok
        except (requests.ConnectionError, requests.Timeout):
            return False

    wait_until(healthy, what=f"the service does not start: {service.log}")


def wait_until_in_flight(service: Service, number: int) -> None:
    """Wait until the service's workers have begun with so many requests, and ended none of them."""

    def are_in_flight() -> bool:
        text = requests.get(service.metrics_url, timeout=HANG_SECONDS).text
        found = re.findall(r"^post_http_requests_in_flight(?:\{.*\})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, found)) == number

    wait_until(are_in_flight, what=f"not {number} in flight: {service.log}")


def children_of(process_id: int) -> Iterator[int]:
    """Return the children of all threads of a process: of gunicorn's master its workers."""
    for thread in Path(f"/proc/{process_id}/task").iterdir():
        try:
            yield from map(int, (thread / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue  # the thread has ended


class JwksServer:
    """A pool's JWKS endpoint that can hang, fail and dribble; counts how often it is asked."""

    def __init__(self, *pairs: Any) -> None:
        self.publish(*pairs)
        self.fault: str | None = None  # or "hang", "fail", "dribble"
        self.asked = 0
        self._ended = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                outer.answer(self)

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def publish(self, *pairs: Any) -> None:
        self._body = json.dumps({"keys": [pair.jwk for pair in pairs]}).encode()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if self.fault == "hang":
            self._ended.wait(30)  # longer than anybody waits
            return
        handler.send_response(503 if self.fault == "fail" else 200)
        handler.send_header("Content-Length", str(len(self._body)))
        handler.end_headers()
        if self.fault != "dribble":
            handler.wfile.write(self._body)
            return
        with suppress(ConnectionError):  # the service gives up
            for byte in self._body:
                handler.wfile.write(bytes([byte]))
                if self._ended.wait(0.05):
                    return

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


UNLIMITED = dict.fromkeys(("RATELIMIT_READ", "RATELIMIT_WRITE"), "1000000/minute")
# Bounds that a busy machine's MySQL keeps, also for more threads at once than a worker has.
PATIENT_WITH_MYSQL = {"DATABASE_READ_TIMEOUT_SECONDS": "15", "DATABASE_POOL_TIMEOUT_SECONDS": "10"}

Answer = Callable[[str, str, Mapping[str, str], bytes], tuple[int, str, bytes]]


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """
    Serve HTTP in a thread; yields its URL.

    ``answer`` gets method, path, headers and body, and returns status, content type and body.
    """

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, content_type, content = answer(self.command, self.path, self.headers, body)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *_args) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with running_in_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"


@contextmanager
def running_in_thread(server: BaseServer) -> Iterator[None]:
    """Have a server serve in a thread, and close it at the end."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def moto_server() -> Iterator[str]:
    """Run moto's stand-in for AWS; yields its URL."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(f"{url}/moto-api/"), what="moto does not start")
        yield url
    finally:
        stop(process)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=10).ok
    except (requests.ConnectionError, requests.Timeout):
        return False
