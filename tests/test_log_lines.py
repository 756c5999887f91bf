"""How a record of the log is written."""

import json
import logging

import pymysql
import pytest
from sqlalchemy.exc import IntegrityError

from post.telemetry.formatters import JsonFormatter, KeyValueFormatter

FORGERIES = ["a\nb", "a\r\nb", "a\x1b[31mb", "a\x85b", "a\u2028b", "a\u2029b", "a\x00b", 'a"}\n{"level":"error']


def record(**fields) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "app", "levelname": "ERROR", "msg": "request_failed", **fields})


def failed(error: Exception) -> logging.LogRecord:
    try:
        raise error
    except type(error) as exc:
        return record(exc_info=(type(exc), exc, exc.__traceback__), request_id="r1")


def test_a_record_is_one_line_of_json_with_what_extra_says():
    line = JsonFormatter().format(record(created=1764043200.1239, request_id="r1", count=3))

    assert json.loads(line) == {
        "time": "2025-11-25T04:00:00.123Z",
        "level": "error",
        "event": "request_failed",
        "logger": "app",
        "request_id": "r1",
        "count": 3,
    }


def test_a_traceback_is_a_field_of_the_line():
    line = JsonFormatter().format(failed(ZeroDivisionError("division by zero")))

    told = json.loads(line)["exception"].splitlines()
    assert "\n" not in line
    assert told[0] == "Traceback (most recent call last):"
    assert told[-1] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("forgery", FORGERIES, ids=ascii)
@pytest.mark.parametrize("formatter", [JsonFormatter(), KeyValueFormatter()], ids=["json", "text"])
def test_nothing_in_a_value_or_an_event_ends_the_line(forgery, formatter):
    line = formatter.format(record(msg=f"told {forgery}", path=forgery))

    assert len(line.splitlines()) == 1
    assert line.isprintable()


@pytest.mark.parametrize("forgery", FORGERIES, ids=ascii)
def test_json_gives_a_value_back_as_it_was(forgery):
    assert json.loads(JsonFormatter().format(record(path=forgery)))["path"] == forgery


@pytest.mark.parametrize("value", ["\ud800", 2**70, {1, 2}, object(), b"bytes"], ids=lambda value: type(value).__name__)
def test_what_json_cannot_say_is_told_all_the_same(value):
    assert json.loads(JsonFormatter().format(record(value=value)))["event"] == "request_failed"


def test_korean_text_is_written_as_itself():
    assert '"path":"/글"' in JsonFormatter().format(record(path="/글"))


def test_text_has_what_extra_says_behind_the_event():
    line = KeyValueFormatter().format(record(request_id="r1", user=None))

    assert line.endswith(" ERROR app request_failed request_id=r1")


def test_a_traceback_stands_below_the_text_and_apart_from_it():
    lines = KeyValueFormatter().format(failed(ZeroDivisionError("by zero\n2026-01-01 INFO forged"))).splitlines()

    assert lines[0].endswith("request_failed request_id=r1")
    assert lines[1] == "  Traceback (most recent call last):"
    assert lines[-2:] == ["  ZeroDivisionError: by zero", "  2026-01-01 INFO forged"]


@pytest.mark.parametrize(
    ("number", "words", "told"),
    [
        (1062, "Duplicate entry 'it's secret' for key 'PRIMARY'", "Duplicate entry '…' for key 'PRIMARY'"),
        (1366, "Incorrect string value: 'secret' for column 'title'", "Incorrect string value: '…' for column 'title'"),
    ],
)
@pytest.mark.parametrize("formatter", [JsonFormatter(), KeyValueFormatter()], ids=["json", "text"])
def test_the_words_of_mysql_are_told_without_what_a_row_holds(number, words, told, formatter):
    cause = pymysql.err.IntegrityError(number, words)

    line = formatter.format(failed(IntegrityError("INSERT", {"title": "secret"}, cause, hide_parameters=True)))

    assert "secret" not in line
    assert told in line.replace("\\", "")
