"""Real servers for the tests: a private MySQL, the service under gunicorn, moto."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pymysql
import requests

PROJECT = Path(__file__).resolve().parent.parent
SBIN = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def find_mysqld() -> str | None:
    """Return the path of a server of MySQL's protocol, MariaDB's before MySQL's."""
    return shutil.which("mariadbd", path=SBIN) or shutil.which("mysqld", path=SBIN)


def wait_until(condition, *, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.05)


def stop(process: subprocess.Popen) -> int:
    process.terminate()
    try:
        return process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@contextmanager
def private_mysql() -> Iterator[str]:
    """Run a throw-away server on a free port; yields the URL of a database that does not exist yet."""
    mysqld = find_mysqld()
    assert mysqld is not None
    with tempfile.TemporaryDirectory(prefix="post-service-mysql-") as folder:
        data, log = Path(folder) / "data", Path(folder) / "server.log"
        _initialize(mysqld, data, log)
        port = free_port()
        command = [
            mysqld, "--no-defaults", f"--datadir={data}", "--user=" + _user(), "--bind-address=127.0.0.1",
            f"--port={port}", f"--socket={folder}/s.sock", f"--pid-file={folder}/pid", "--innodb-buffer-pool-size=256M",
            # The data is thrown away, so its safety on disk is not waited for.
            "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", "--max-connections=300",
        ]  # fmt: skip
        if "mariadb" not in mysqld:
            command.append("--mysqlx=OFF")
        with log.open("ab") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: _accepts(port), seconds=60, what=f"{mysqld} does not start: {log.read_text()[-2000:]}")
            yield f"mysql+pymysql://root@127.0.0.1:{port}/postdb_test"
        finally:
            stop(process)


def _user() -> str:
    return "root" if os.geteuid() == 0 else os.environ.get("USER", "")


def _initialize(mysqld: str, data: Path, log: Path) -> None:
    install = shutil.which("mariadb-install-db", path=SBIN) if "mariadb" in mysqld else None
    if install:
        command = [install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
        command += ["--skip-test-db", "--user=" + _user()]
    else:
        command = [mysqld, "--no-defaults", "--initialize-insecure", f"--datadir={data}", "--user=" + _user()]
    with log.open("ab") as output:
        subprocess.run(command, check=True, stdout=output, stderr=output)


def _accepts(port: int) -> bool:
    try:
        pymysql.connect(host="127.0.0.1", port=port, user="root", connect_timeout=2).close()
    except pymysql.MySQLError:
        return False
    return True


class Service:
    """The service as it runs for users: gunicorn in a process of its own."""

    def __init__(self, process: subprocess.Popen, url: str, workers: int, log: Path, metrics_url: str = "") -> None:
        self.process, self.url, self.workers, self._log = process, url, workers, log
        self.metrics_url = metrics_url

    @property
    def log(self) -> str:
        return self._log.read_text()


@contextmanager
def running_service(folder: Path, **settings: str) -> Iterator[Service]:
    """Run ``gunicorn -c gunicorn.conf.py app:app`` until it answers; yields it."""
    service = start_service(folder, **settings)
    try:
        wait_until_healthy(service)
        yield service
    finally:
        stop(service.process)


def start_service(folder: Path, **settings: str) -> Service:
    port = int(settings.setdefault("PORT", str(free_port())))
    settings.setdefault("METRICS_PORT", str(free_port()))
    env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "LC_ALL")}
    env |= {"INSTANCE_PATH": str(folder / "instance"), "PYTHONPATH": str(PROJECT)} | settings
    log = folder / f"service-{port}.log"
    command = [sys.executable, "-m", "gunicorn", "-c", str(PROJECT / "gunicorn.conf.py"), "app:app"]
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
            return requests.get(f"{service.url}/health", timeout=2).ok
        except requests.ConnectionError:
            return False

    wait_until(healthy, seconds=30, what=f"the service does not start: {service.log}")


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

        do_GET = do_POST = answer  # noqa: N815 - http.server's names

        def log_message(self, *_args) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
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
        wait_until(lambda: _answers(f"{url}/moto-api/"), seconds=60, what="moto does not start")
        yield url
    finally:
        stop(process)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.ConnectionError:
        return False
