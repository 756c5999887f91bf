"""The gateway's access log: a JSON line a request, as the stage's ``access_log_settings`` write it in AWS."""

import logging
import os
import sys
import time
from datetime import UTC, datetime

import orjson

from .messages import TRACE_ROOT, Request, Response

LOG = logging.getLogger("microservices.gateway")


def open_log() -> None:
    """Write lines to standard output, from ``LOG_LEVEL`` on."""
    LOG.handlers = [logging.StreamHandler(sys.stdout)]
    LOG.setLevel(os.environ.get("LOG_LEVEL", "INFO"))
    LOG.propagate = False


def write(request: Request, response: Response, trace: str) -> None:
    """
    Write a request's line.

    Args:
        request: The request; its path is left out, for there may be a person's address in it.
        response: The answer.
        trace: Value of ``X-Amzn-Trace-Id``.
    """
    if not LOG.isEnabledFor(logging.INFO):
        return
    root = TRACE_ROOT.search(trace)
    line = {
        "level": "INFO",
        "message": "request",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "service": "gateway",
        "request_id": request.header("X-Request-ID"),
        "xray_trace_id": root and root[1],
        "method": request.method,
        "resource": request.resource,
        "status": response.status,
        "duration_ms": round((time.time() - request.received_at) * 1000, 1),
    }
    LOG.info(orjson.dumps(line).decode())
