"""Formats of the log: one JSON line a record in production, text for people in development."""

import json
import logging
import re
import textwrap
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import orjson

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

# Every attribute that a record has by itself; any other comes from a call's ``extra``.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
# Ends of lines and a terminal's controls, which JSON need not escape (RFC 8259, section 7).
_LEFT_BY_JSON = re.compile(r"[\x7f-\x9f\u2028\u2029]")
# A row's value in MySQL's messages ("Server Error Message Reference": 1062, 1292, 1366).
_ROW_VALUE = re.compile(r"((?:entry|value:?) \\?)'.*'( for )")


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON, with its traceback in a field."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        line = {
            "time": _moment(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            **_extra(record),
        }
        if record.exc_info:
            line["exception"] = _traceback(record.exc_info)
        return _LEFT_BY_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", _json(line))


class KeyValueFormatter(logging.Formatter):
    """A record's event, then the fields of its ``extra`` as ``key=value``, and its traceback below."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the record's line, without its traceback."""
        extra = (f"{name}={value}" for name, value in _extra(record).items() if value is not None)
        return _printable(" ".join([super().formatMessage(record), *extra]))

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802 - logging's name
        """Return a traceback."""
        return textwrap.indent("\n".join(map(_printable, _traceback(ei).split("\n"))), "  ")


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}


def _json(line: dict[str, Any]) -> str:
    try:
        return orjson.dumps(line, default=str).decode()
    except TypeError:  # half of a UTF-16 pair, or a number over 64 bits
        return json.dumps(line, default=str)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _traceback(exc_info: ExceptionInfo) -> str:
    return _ROW_VALUE.sub(r"\1'…'\2", "".join(traceback.format_exception(*exc_info)).rstrip("\n"))
