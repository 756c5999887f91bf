"""What the service says of itself in its log."""

import logging
from typing import Any

from flask import g, has_request_context

# Every attribute that a record has by itself; what else it has, a call's ``extra`` has added.
_OWN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_CHATTY = ("alembic",)  # one line for each migration context


class KeyValueFormatter(logging.Formatter):
    """Writes a record's event name, then what ``extra`` says of it as ``key=value``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the record's line, without its traceback."""
        extra = {name: value for name, value in vars(record).items() if name not in _OWN}
        return " ".join([super().formatMessage(record), *(f"{name}={value}" for name, value in extra.items())])


def init_logging(level: str) -> None:
    """
    Write the log to stderr, unless the process has set its log up already, with the request's id in each line.

    Args:
        level: ``DEBUG`` to ``CRITICAL``.
    """
    logging.setLogRecordFactory(_record_of_request)
    handler = logging.StreamHandler()
    handler.setFormatter(KeyValueFormatter())
    logging.basicConfig(level=level, handlers=[handler])
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def _record_of_request(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = logging.LogRecord(*args, **kwargs)
    if has_request_context() and "request_id" in g:
        record.request_id = g.request_id
    return record
