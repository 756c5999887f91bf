"""The log of requests, one line each, and gunicorn's own log in the same form."""

import logging
import re
import socket
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

from gunicorn.glogging import Logger

from post.telemetry import metrics
from post.telemetry.formatters import JsonFormatter, KeyValueFormatter
from post.telemetry.request_info import RequestInfo, request_info_of, trace_ids, user_of
from post.utils import choose_request_id

ACCESS = "gunicorn.access"

_REQUEST_LINE = re.compile(r"([A-Z]{3,20}) (/[^\x00-\x20\x7f]*) HTTP/[0-9]\.[0-9]")
_refused = threading.local()  # ``environ`` of the request that this thread refuses next


class RequestLogger(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """
    Gunicorn's logger: everything on stdout, as text for people.

    A request is logged after its answer has been sent, so that its bytes and its time are right.
    """

    formatter: ClassVar[type[logging.Formatter]] = KeyValueFormatter

    def setup(self, cfg: Any) -> None:
        """Set up the log of the process. Argument as for gunicorn's ``Logger``."""
        super().setup(cfg)
        # No format shows them, and each record would look them up (Python docs, "Logging HOWTO": "Optimization").
        logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(self.formatter())
        for log in (self.error_log, self.access_log, logging.getLogger()):
            log.handlers[:] = [handler]
        logging.getLogger().setLevel(self.loglevel)
        logging.captureWarnings(capture=True)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:  # noqa: ARG002 - gunicorn gives all four
        """Log and count a request; ``log_refusal`` does so for one that gunicorn refuses."""
        info = request_info_of(environ)
        if info is None:
            _refused.environ = environ
            return
        _log_request(
            environ,
            info,
            status=int(str(resp.status).partition(" ")[0]),
            seconds=request_time.total_seconds(),
            client=environ.get("REMOTE_ADDR"),
            sent_bytes=resp.sent,
        )

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log a warning, but not one that quotes a client's bytes, which may hold a token."""
        if not msg.startswith("Invalid request from ip="):  # the request has a line of its own
            super().warning(msg, *args, **kwargs)

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log an error with its traceback, and a request's address without the query."""
        super().exception(msg, *(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in args), **kwargs)


class JsonRequestLogger(RequestLogger):
    """The same in production: a line of JSON for each record."""

    formatter = JsonFormatter


def log_refusal(
    client: socket.socket, status: int, *, client_key: Callable[[dict[str, Any]], str], request_line: object = None
) -> tuple[str, dict[str, Any]]:
    """
    Log and count a request that gunicorn refuses.

    Args:
        client: The connection.
        status: The answer's status.
        client_key: Returns the key of a request's client from its WSGI environ.
        request_line: The line that gunicorn cannot read, in Latin-1, if that is why it refuses.

    Returns:
        The request's id, for the answer, and the part of its WSGI environ that gunicorn has read.
    """
    environ: dict[str, Any] = vars(_refused).pop("environ", {})
    # Of another form, it may be anything, such as a token.
    if isinstance(request_line, str) and (found := _REQUEST_LINE.fullmatch(request_line)):
        environ |= {"REQUEST_METHOD": found[1], "RAW_URI": found[2]}
    info = RequestInfo(choose_request_id(environ.get("HTTP_X_REQUEST_ID")), None)
    environ.setdefault("REMOTE_ADDR", _peer(client))
    key = client_key(environ) or None
    _log_request(environ, info, status=status, seconds=0, client=key, sent_bytes=None)
    return info.request_id, environ


def _log_request(
    environ: dict[str, Any],
    info: RequestInfo,
    *,
    status: int,
    seconds: float,
    client: str | None,
    sent_bytes: int | None,
) -> None:
    method = environ.get("REQUEST_METHOD")
    record = logging.LogRecord(ACCESS, logging.ERROR if status >= 500 else logging.INFO, "", 0, "request", None, None)
    # Not by the logger's own method: it looks up the caller in the stack and the request, which is over.
    vars(record).update(
        request_id=info.request_id,
        method=method,
        route=info.route,
        path=_path(environ) or None,
        ms=round(seconds * 1000, 1),
        user=user_of(environ),
        client=client,
        bytes=sent_bytes,
        **trace_ids(environ),
        status=status,
    )
    logging.getLogger(ACCESS).handle(record)
    metrics.count_request(method or "", info.route, status, seconds)


def _path(environ: dict[str, Any]) -> str:
    path: str = environ.get("PATH_INFO") or environ.get("RAW_URI", "").partition("?")[0]
    return path.encode("latin-1", "replace").decode("utf-8", "replace")  # PEP 3333: "Unicode Issues"


def _peer(client: socket.socket) -> str | None:
    try:
        return str(client.getpeername()[0])
    except OSError:  # the client has gone
        return None
