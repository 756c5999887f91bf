"""
Metrics of all workers: each counts in its own files, and the sums are served on a separate port.

Import this before ``post.telemetry.metrics``: the library chooses a metric's storage when the metric is made.
"""

import atexit
import logging
import os
import shutil
import struct
import tempfile
import time
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, Info, make_wsgi_app, start_http_server, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from post import __version__
from post.shared.memory import MEMORY_DIR

logger = logging.getLogger(__name__)

CLIENT_TIMEOUT_SECONDS = 5
RETRY_SECONDS = 0.2

_process = "master"
_directory = tempfile.mkdtemp(prefix="post-metrics-", dir=MEMORY_DIR)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _directory  # read by the library
# Files by worker number, not by process id: their number stays bounded when workers die.
values.ValueClass = values.MultiProcessValue(lambda: _process)  # type: ignore[no-untyped-call]  # the library's


@atexit.register
def _remove_directory(owner: int = os.getpid()) -> None:
    if os.getpid() == owner:  # workers inherit the handler
        shutil.rmtree(_directory)


def serve(host: str, port: int) -> None:
    """
    Serve the sums in a thread of gunicorn's master.

    The master may fork while the thread runs: the thread only reads files, and holds no lock that a worker needs.

    Raises:
        OSError: The port is taken.
    """
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library's
    Info("post_service", "The running release.", registry=registry).info({"version": __version__})
    server, _thread = start_http_server(port, addr=host, registry=registry)
    server.RequestHandlerClass.timeout = CLIENT_TIMEOUT_SECONDS  # type: ignore[attr-defined]  # socketserver's
    server.set_app(_metrics_alone(make_wsgi_app(registry)))


def enter_worker(number: int) -> None:
    """
    Count as a worker.

    Args:
        number: Unique among living workers. A dead worker's counts are continued under its number.
    """
    global _process  # noqa: PLW0603 - the library asks for it before each count
    _process = _worker(number)


def forget_worker(number: int) -> None:
    """Remove the gauges of a dead worker. Argument as for ``enter_worker``."""
    mark_process_dead(_worker(number))  # type: ignore[no-untyped-call]  # the library's


def _worker(number: int) -> str:
    return f"worker-{number}"


def _metrics_alone(app: WSGIApplication) -> WSGIApplication:
    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/metrics":
            start_response("404 Not Found", [])
            return [b""]
        try:
            return _scrape(app, environ, start_response)
        except Exception:
            logger.warning("scrape_failed", exc_info=True)
            start_response("500 Internal Server Error", [])
            return [b""]

    return answer


def _scrape(app: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    try:
        return app(environ, start_response)
    except struct.error:  # a worker is creating a file, which is empty for a moment
        time.sleep(RETRY_SECONDS)
        return app(environ, start_response)
