"""Points at which a test kills the process, as a crash would: between the steps of placing, cancelling and relaying."""

import os
import signal

from shared import settings

POINTS = ("begun", "inserted", "reserved", "decided", "cancelled", "published")
SETTING, NONE = "FAULT_POINT", "none"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def check_setting() -> None:
    """
    Refuse a fault point where it could reach anybody's orders.

    Raises:
        SettingInvalid: ``FAULT_POINT`` is set, and names no point, or the database is on another machine.
    """
    point = settings.text(SETTING, NONE)
    if point == NONE:
        return
    if point not in POINTS:
        raise settings.SettingInvalid(f"{SETTING} is none of {', '.join(POINTS)}")
    if settings.text("DB_HOST") not in LOOPBACK:
        raise settings.SettingInvalid(f"{SETTING} is for tests, with a database on this machine")


def reach(point: str) -> None:
    """
    Kill this process if the test has chosen this point.

    Args:
        point: One of ``POINTS``.
    """
    if settings.text(SETTING, NONE) == point:
        os.kill(os.getpid(), signal.SIGKILL)
