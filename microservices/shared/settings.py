"""Settings of a service, from its environment; nothing else reads it."""

import os


class SettingInvalid(Exception):
    """A setting that is missing or cannot be read; the message names it."""


def text(name: str, default: str | None = None) -> str:
    """
    Return a setting.

    Args:
        name: Name of the environment's variable.
        default: Value where it is not set; None if there is none.

    Raises:
        SettingInvalid: It is not set, or empty, and has no default.
    """
    value = os.environ.get(name) or default
    if value is None:
        raise SettingInvalid(f"{name} is not set")
    return value


def number(name: str, default: int) -> int:
    """
    Return a setting that is a positive integer.

    Args:
        name: Name of the environment's variable.
        default: Value where it is not set.

    Raises:
        SettingInvalid: It is no positive integer.
    """
    value = text(name, str(default))
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise SettingInvalid(f"{name} is not a positive integer")
    return int(value)
