"""The log of requests, one line each, and gunicorn's own log in the same form."""

import logging
import socket
import sys
import threading
from datetime import timedelta
from typing import Any, ClassVar

from gunicorn.glogging import Logger

from post.telemetry import metrics
from post.telemetry.formatters import JsonFormatter, KeyValueFormatter
from post.telemetry.request_info import Notes, noted_request, noted_user, trace_ids
from post.utils import choose_request_id

ACCESS = "gunicorn.access"

_refused = threading.local()  # ``environ`` of the request that this thread is about to refuse


class RequestLogger(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """
    What gunicorn logs with: everything on stdout, for people to read.

    A request's line is written when its answer has been sent, so that its bytes and its time are true.
    """

    formatter: ClassVar[type[logging.Formatter]] = KeyValueFormatter

    def setup(self, cfg: Any) -> None:
        """Set up the log of the process, as gunicorn is configured."""
        super().setup(cfg)
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(self.formatter())
        for log in (self.error_log, self.access_log, logging.getLogger()):
            log.handlers[:] = [handler]
        logging.getLogger().setLevel(self.loglevel)
        logging.captureWarnings(capture=True)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:  # noqa: ARG002 - gunicorn gives all four
        """Log a request, and count it; one that gunicorn refuses is logged with its answer."""
        request = noted_request(environ)
        if request is None:
            _refused.environ = environ
            return
        _log_request(
            environ,
            request,
            status=int(str(resp.status).partition(" ")[0]),
            seconds=request_time.total_seconds(),
            client=environ.get("REMOTE_ADDR"),
            sent_bytes=resp.sent,
        )

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log a warning, but not one that quotes what a client has sent, in which a token may be."""
        if not msg.startswith("Invalid request from ip="):  # which the request's own line tells
            super().warning(msg, *args, **kwargs)

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log an error with its traceback; of a request's address without the query."""
        super().exception(msg, *(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in args), **kwargs)


class JsonRequestLogger(RequestLogger):
    """What gunicorn logs with in production: a line of JSON each."""

    formatter = JsonFormatter


def log_refusal(client: socket.socket, status: int) -> tuple[str, dict[str, Any]]:
    """
    Log and count a request that gunicorn refuses.

    Args:
        client: The connection.
        status: The answer's status.

    Returns:
        The request's id, for the answer, and as much of its WSGI environ as gunicorn has read.
    """
    environ: dict[str, Any] = vars(_refused).pop("environ", {})
    request = Notes(choose_request_id(environ.get("HTTP_X_REQUEST_ID")), None)
    peer = environ.get("REMOTE_ADDR") or _peer(client)
    _log_request(environ, request, status=status, seconds=0, client=peer, sent_bytes=None)
    return request.request_id, environ


def _log_request(
    environ: dict[str, Any],
    request: Notes,
    *,
    status: int,
    seconds: float,
    client: str | None,
    sent_bytes: int | None,
) -> None:
    method = environ.get("REQUEST_METHOD")
    record = logging.LogRecord(ACCESS, logging.ERROR if status >= 500 else logging.INFO, "", 0, "request", None, None)
    # Not by the logger's own method, which looks for the caller, and for the request that is over.
    vars(record).update(
        request_id=request.request_id,
        method=method,
        route=request.route,
        path=_path(environ) or None,
        ms=round(seconds * 1000, 1),
        user=noted_user(environ),
        client=client,
        bytes=sent_bytes,
        **trace_ids(environ),
        status=status,
    )
    logging.getLogger(ACCESS).handle(record)
    metrics.count_request(method or "", request.route, status, seconds)


def _path(environ: dict[str, Any]) -> str:
    path: str = environ.get("PATH_INFO") or environ.get("RAW_URI", "").partition("?")[0]
    return path.encode("latin-1", "replace").decode("utf-8", "replace")  # PEP 3333: "Unicode Issues"


def _peer(client: socket.socket) -> str | None:
    try:
        return str(client.getpeername()[0])
    except OSError:  # it has gone
        return None
