import logging

import pytest

from post.log_lines import KeyValueFormatter


def test_what_extra_says_stands_behind_the_event():
    record = logging.makeLogRecord({"name": "app", "levelname": "ERROR", "msg": "request_failed", "request_id": "r1"})

    line = KeyValueFormatter().format(record)

    assert line.endswith(" ERROR app request_failed request_id=r1")


def test_a_traceback_stands_below_the_line():
    with pytest.raises(ZeroDivisionError) as caught:
        1 / 0  # noqa: B018 - for its error
    record = logging.makeLogRecord({"msg": "request_failed", "request_id": "r1"})
    record.exc_info = (caught.type, caught.value, caught.tb)

    lines = KeyValueFormatter().format(record).splitlines()

    assert lines[0].endswith("request_failed request_id=r1")
    assert lines[1] == "  Traceback (most recent call last):"
    assert lines[-1] == "  ZeroDivisionError: division by zero"
