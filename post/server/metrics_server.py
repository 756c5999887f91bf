"""The numbers of all workers, added up for whoever asks on a port of its own."""

import atexit
import functools
import logging
import os
import shutil
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, values
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import InfoMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from post import __version__
from post.shared.memory import MEMORY_DIR
from post.telemetry import metrics

logger = logging.getLogger(__name__)

PATH = "/metrics"
CLIENT_TIMEOUT_SECONDS = 5
LEAVING_SECONDS = 2  # at most, for who is being answered when the worker ends
BACKLOG = 16
SETTLING_ATTEMPTS, SETTLING_SECONDS = 20, 0.05


class MetricsServer:
    """
    Serves what the workers count, each in files of its own, from any of them.

    It is made before the fork: the folder of the files and the port are then one for all.
    """

    def __init__(self) -> None:
        """Make the folder, which is gone when this process ends, and count there."""
        # The library finds it as PROMETHEUS_MULTIPROC_DIR in the environment.
        self.directory = tempfile.mkdtemp(prefix="post-metrics-", dir=MEMORY_DIR)
        atexit.register(_remove, self.directory, os.getpid())
        self._process = "master"
        self._listener: socket.socket | None = None
        self._server: _Server | None = None
        # By number and not by process id: the files are then as many as there are workers, however many die.
        values.ValueClass = values.MultiProcessValue(lambda: self._process)  # type: ignore[no-untyped-call]  # the library's
        metrics.count_with(_new_metric)

    def bind(self, host: str, port: int) -> None:
        """
        Take the port; where it is taken already, nothing changes.

        Raises:
            OSError: It cannot be had.
        """
        if self._listener is None:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
            # Of workers that all see a caller one has them; the others must not wait for the next.
            self._listener.setblocking(False)

    def enter_worker(self, number: int) -> None:
        """
        Count as a worker, and serve, in the process of one that was just forked.

        Args:
            number: One that no other worker has that lives. What a dead one of that number has counted stays.
        """
        self.forget_worker(number)
        self._process = _worker(number)
        for metric, known in metrics.FROM_THE_START.items():
            for labels in known:
                metric.series(*labels)
        metrics.WORKERS.add()
        metrics.WORKER_STARTS.add()
        if self._listener is not None:
            self._server = _Server(self._listener, self.directory)
            threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def leave_worker(self) -> None:
        """Serve no more, in the process of a worker that ends: who is being answered gets all of it first."""
        if self._server is not None:
            self._server.turn.acquire(timeout=LEAVING_SECONDS)  # and never given back

    def forget_worker(self, number: int) -> None:
        """Take back what a worker that is dead was holding. Argument as for ``enter_worker``."""
        mark_process_dead(_worker(number), self.directory)  # type: ignore[no-untyped-call]  # the library's


@functools.cache
def shared_server() -> MetricsServer:
    """Return the one server of this process, and of those that are forked from it."""
    return MetricsServer()


def _worker(number: int) -> str:
    return f"worker-{number}"


def _remove(directory: str, process_id: int) -> None:
    if process_id == os.getpid():  # and not a fork of it
        shutil.rmtree(directory)


def _new_metric(kind: str, name: str, told: str, labels: tuple[str, ...], **options: Any) -> Any:
    if kind == "Gauge":
        options.setdefault("multiprocess_mode", "livesum")
    # In no registry: what is shown is what the files have.
    return getattr(prometheus_client, kind)(name, told, labels, registry=None, **options)


class _Release(Collector):
    """Which release this is."""

    def collect(self) -> list[InfoMetricFamily]:
        return [InfoMetricFamily("post_service", "The release that runs.", value={"version": __version__})]


class _Server(HTTPServer):
    def __init__(self, listener: socket.socket, directory: str) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.directory = directory
        self.turn = threading.Lock()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Return the connection of who is next, whose turn it is until it has been closed."""
        self.turn.acquire()
        try:
            return super().get_request()
        except OSError:  # another worker has it
            self.turn.release()
            raise

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        super().shutdown_request(request)
        self.turn.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver gives both
        """Tell the log: not stderr, where it is no line of the log."""
        logger.warning("scrape_failed", exc_info=True)


def _settled(collect: Callable[[], bytes]) -> bytes:
    for _ in range(SETTLING_ATTEMPTS):
        try:
            return collect()
        except struct.error:  # a worker has just begun a file, which is empty for a moment
            time.sleep(SETTLING_SECONDS)
    return collect()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = CLIENT_TIMEOUT_SECONDS
    server_version, sys_version = "post-service", ""

    def do_GET(self) -> None:
        """Answer with the numbers, or that there is nothing else here."""
        if self.path.partition("?")[0] != PATH:
            self.send_error(404)
            return
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=self.server.directory)  # type: ignore[no-untyped-call]  # the library's
        registry.register(_Release())
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        body = _settled(lambda: encode(registry))
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Say nothing of each scrape."""
