"""Configuration of gunicorn."""

import errno
import functools
import gc
import itertools
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from gunicorn import util
from sqlalchemy.engine import make_url

sys.path.insert(0, str(Path(__file__).resolve().parent))

import post.server.metrics_server  # noqa: F401 - before all modules that count
from config import PROJECT_ROOT, exit_if_unfit, load_config
from post.components import EXTENSION
from post.database.engines import is_in_memory
from post.server import metrics_server
from post.server.request_log import JsonRequestLogger, RequestLogger, log_refusal
from post.shared.memory import MEMORY_DIR
from post.telemetry import metrics
from post.web.client_address import client_key
from post.web.cors import headers_for
from post.web.envelope import error_envelope, preferred_language

with exit_if_unfit():
    settings = load_config()

if is_in_memory(make_url(settings.database_url)):
    sys.exit("DATABASE_URL: must name a file: workers do not share SQLite in memory")

chdir = str(PROJECT_ROOT)
bind = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
worker_class = "gthread"
workers = settings.web_concurrency
threads = settings.web_threads
# Built once, before the fork: the schema is upgraded once, and workers share memory.
preload_app = True
gc.disable()  # until the fork: loading makes no garbage, and the collector would search it many times
timeout = 30
graceful_timeout = 30  # as long as nginx waits for an answer
keepalive = settings.keepalive_seconds
worker_tmp_dir = MEMORY_DIR  # for heartbeats
control_socket_disable = True  # its place is under $HOME, which may be read-only
limit_request_field_size = 16_380  # enough for a token of 8 KiB; the application refuses a longer one
forwarder_headers = ""  # no peer rewrites SCRIPT_NAME or PATH_INFO
accesslog = "-"
loglevel = settings.log_level.lower()
logger_class = JsonRequestLogger if settings.is_production else RequestLogger

FIRST_POST = r"""  Create a post:

  TOKEN=$(curl -s ADDRESS/dev/token -H 'Content-Type: application/json' \
    -d '{"username": "alice"}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -s ADDRESS/api/v1/posts -H "Authorization: Bearer $TOKEN" \
    -H 'Content-Type: application/json' -d '{"title": "안녕하세요", "content": "첫 글입니다."}'
"""

# Requests leave nothing to the collector, which would search each second one's objects by default.
OBJECTS_BETWEEN_COLLECTIONS = 10_000
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
REFUSALS = {414: "uri_too_long", 431: "header_fields_too_large", 500: "internal_error"}


def on_starting(_server: Any) -> None:
    """Serve the metrics of all workers; block stop signals around each fork."""
    # A signal that a new worker gets before it has handlers is delivered once it has them.
    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS),
    )
    with _exit_if_taken("PORT", settings.port):  # gunicorn would try it five times, and not name the setting
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        socket.create_server((settings.host, settings.port), family=family).close()
    with _exit_if_taken("METRICS_PORT", settings.metrics_port):
        metrics_server.serve(settings.host, settings.metrics_port)


@contextmanager
def _exit_if_taken(variable: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno == errno.EADDRNOTAVAIL:
            sys.exit(f"HOST: must be an address of this machine: {settings.host}")
        sys.exit(
            f"{variable}: must be free to listen on: {os.strerror(exc.errno or 0)} (port {port}); "
            f"choose another, as in {variable}={port + 1}"
        )


def pre_fork(server: Any, worker: Any) -> None:
    """Give a worker a number that no living worker has; exempt loaded objects from garbage collection."""
    taken = {other.number for other in server.WORKERS.values()}
    worker.number = next(number for number in itertools.count(1) if number not in taken)
    gc.freeze()  # loaded objects are never searched again, and their pages stay shared
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    gc.enable()


def post_fork(_server: Any, worker: Any) -> None:
    """Start metrics and traces in a worker."""
    metrics_server.enter_worker(worker.number)
    metrics.WORKERS.inc()
    metrics.WORKER_STARTS.inc()
    # A worker expects all servers to be up, whatever its predecessor had found.
    optional = {"replica": settings.database_replica_url, "redis": settings.redis_url}
    metrics.expect_servers("database", *(name for name, url in optional.items() if url))
    if settings.otel_exporter_otlp_endpoint:
        from post.telemetry import tracing  # noqa: PLC0415 - OpenTelemetry is imported only for traces

        tracing.start(settings.otel_exporter_otlp_endpoint)


def post_worker_init(worker: Any) -> None:
    """Unblock stop signals: the worker has its handlers. Start its threads for long tasks and for gauges."""
    # Ctrl-C in a terminal reaches the workers too, and the master then ends them: two signals at once lock up gthread.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    parts = worker.wsgi.extensions[EXTENSION]
    parts.task_runner.start()
    parts.report_gauges.start()


def child_exit(_server: Any, worker: Any) -> None:
    """Remove the gauges of a dead worker."""
    metrics_server.forget_worker(worker.number)


def worker_exit(_server: Any, _worker: Any) -> None:
    """Send the remaining spans."""
    if settings.otel_exporter_otlp_endpoint:
        from post.telemetry import tracing  # noqa: PLC0415 - as above

        tracing.stop()


def pre_request(_worker: Any, _request: Any) -> None:
    """Count a request as in flight."""
    metrics.IN_FLIGHT.inc()


def post_request(_worker: Any, _request: Any, _environ: Any, _response: Any) -> None:
    """Count a request as answered."""
    metrics.IN_FLIGHT.dec()


def when_ready(_server: Any) -> None:
    """Print the address and a first request for a developer."""
    if settings.is_production:
        return
    address = f"http://localhost:{settings.port}"
    print(f"\n  Post Service   {address}\n  API docs       {address}/api/docs\n")
    if settings.uses_local_issuer:
        print(FIRST_POST.replace("ADDRESS", address), flush=True)


def _write_error(client: Any, status: int, reason: str, _detail: str) -> None:
    """Write the API's error envelope for a request that gunicorn refuses, such as one with a malformed header."""
    if status not in REFUSALS:  # gunicorn also has 403, 417 and 501 for what HTTP does not allow
        status, reason = 400, "Bad Request"
    code = REFUSALS.get(status, "malformed_request")
    key = functools.partial(client_key, hops=settings.trusted_proxy_hops, header=settings.trusted_proxy_header)
    line = getattr(sys.exc_info()[1], "req", None)  # of gunicorn's InvalidRequestLine, which is being handled
    request_id, environ = log_refusal(client, status, client_key=key, request_line=line)
    language = preferred_language(environ.get("HTTP_ACCEPT_LANGUAGE", ""))
    content = orjson.dumps(error_envelope(code, status, language, request_id))
    fields = {
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": len(content),
        "X-Content-Type-Options": "nosniff",
        "X-Request-ID": request_id,
        "Cache-Control": "no-store",
        "Vary": "Accept-Language, Origin",
    }
    if (origin := environ.get("HTTP_ORIGIN")) in settings.cors_origins:
        fields |= headers_for(origin)
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    util.write_nonblock(client, f"HTTP/1.1 {status} {reason}\r\n{head}\r\n".encode() + content)


# Gunicorn has no setting for its error page; its workers look this name up at each error.
util.write_error = _write_error
