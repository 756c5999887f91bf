"""Set-up of the log."""

import logging
from typing import Any

from flask import g, has_request_context, request

from post.telemetry.formatters import JsonFormatter, KeyValueFormatter
from post.telemetry.request_info import trace_ids

_CHATTY = (
    "alembic",  # one line for each migration context
    "post.database.instrumentation.MeteredPool",  # SQLAlchemy logs about a pool under the name of its class
)


def init_logging(level: str, *, as_json: bool) -> None:
    """
    Log to stderr, with the request's id in each line, unless the process has set up its log already.

    Args:
        level: ``DEBUG`` to ``CRITICAL``.
        as_json: True for lines that machines read.
    """
    logging.setLogRecordFactory(_record_of_request)
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if as_json else KeyValueFormatter())
    logging.basicConfig(level=level, handlers=[handler])
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def _record_of_request(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = logging.LogRecord(*args, **kwargs)
    if has_request_context() and "request_id" in g:
        vars(record).update(request_id=g.request_id, **trace_ids(request.environ))
    return record
