"""The containers' log: JSON lines as the Lambdas write them, never with an address, a token or a password."""

import logging
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson

from shared import settings
from shared.metrics import Metric, embedded

REQUEST: ContextVar[dict[str, str]] = ContextVar("REQUEST", default={})  # noqa: B039 - nobody changes it in place
_OWN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonLines(logging.Formatter):
    """
    Records as JSON: the event, its fields, and those of the request that is under way.

    Args:
        service: Name of the service.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        line = {
            "level": record.levelname,
            "location": f"{record.funcName}:{record.lineno}",
            "message": record.getMessage(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "service": self._service,
            **REQUEST.get(),
            **{name: value for name, value in vars(record).items() if name not in _OWN},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


logger = logging.getLogger("microservices")


def start_log(service: str) -> None:
    """
    Send the process's log to standard output, from ``LOG_LEVEL`` on.

    Args:
        service: Name of the service.

    Raises:
        SettingInvalid: ``LOG_LEVEL`` is no level.
    """
    level = settings.text("LOG_LEVEL", "INFO").upper()
    if level not in logging.getLevelNamesMapping():
        raise settings.SettingInvalid("LOG_LEVEL is no level of Python's logging")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(service))
    logger.handlers = [handler]
    logger.setLevel(level)
    logger.propagate = False
    logging.getLogger("opentelemetry").handlers = [handler]
    # No line names them, and each record would look them up.
    logging.logThreads = logging.logMultiprocessing = False


def count(
    event: str,
    *metrics: Metric,
    level: int = logging.INFO,
    error: BaseException | None = None,
    values: dict[Metric, float] | None = None,
    **fields: Any,
) -> None:
    """
    Log an event that CloudWatch counts. The line is written whatever ``LOG_LEVEL`` is.

    Args:
        event: Name of the event.
        metrics: Metrics to which it adds one.
        level: Level of the line.
        error: The exception, for its traceback.
        values: Metrics that were measured.
        fields: Further fields of the line.
    """
    now = time.time()
    path, number, function, _ = logger.findCaller(stacklevel=2)
    exception = (type(error), error, error.__traceback__) if error else None
    numbers = dict.fromkeys(metrics, 1.0) | (values or {})
    extra = {**fields, **embedded(numbers, int(now * 1000))}
    logger.handle(logger.makeRecord(logger.name, level, path, number, event, (), exception, function, extra))
