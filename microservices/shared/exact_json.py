"""JSON with exact money: a ``Decimal`` becomes a number with its own digits."""

from decimal import Decimal
from typing import Any

import orjson


def dump(value: Any) -> bytes:
    """
    Write JSON.

    Args:
        value: JSON value, with ``Decimal`` for money.

    Returns:
        The text, in UTF-8.
    """
    return orjson.dumps(value, default=_exact)


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}")
    raise TypeError(f"{type(value).__name__} is no type of JSON's")
