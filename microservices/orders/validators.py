"""Bodies and parameters of orders' routes."""

import re
from collections.abc import Mapping
from typing import Annotated, NamedTuple
from uuid import UUID

from pydantic import Field

from orders.order import STATUSES, Line
from shared.errors import Detail, ValidationFailed
from shared.paging import read_cursor, read_limit
from shared.people import StrictModel

LINES_MAX, QUANTITY_MAX = 50, 1_000
INTEGER_MAX = 2**53 - 1  # RFC 8259, section 6: integers on which all programs agree
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Item(StrictModel):
    """One line of a new order."""

    product_id: Annotated[int, Field(ge=1, le=INTEGER_MAX)]
    quantity: Annotated[int, Field(ge=1, le=QUANTITY_MAX)]


class NewOrder(StrictModel):
    """A new order."""

    items: Annotated[list[Item], Field(min_length=1, max_length=LINES_MAX)]

    def lines(self) -> tuple[Line, ...]:
        """Return the lines, each product once."""
        quantities: dict[int, int] = {}
        for item in self.items:
            quantities[item.product_id] = quantities.get(item.product_id, 0) + item.quantity
        return tuple(Line(product_id, quantity) for product_id, quantity in quantities.items())


class Listing(NamedTuple):
    """One page of a list of orders: its filters, its size and its place."""

    account_id: str | None
    status: str | None
    limit: int
    before: str | None


def read_listing(query: Mapping[str, str]) -> Listing:
    """
    Return the page that a query asks for.

    Args:
        query: The request's query.

    Raises:
        ValidationFailed: A parameter is wrong.
    """
    account_id, status = query.get("account_id"), query.get("status")
    if account_id is not None and not _ACCOUNT.fullmatch(account_id):
        raise _wrong("account_id", "Not the id of an account")
    if status not in (None, *STATUSES):
        raise _wrong("status", f"Must be one of {', '.join(STATUSES)}")
    return Listing(account_id, status, read_limit(query), _place(query))


def _place(query: Mapping[str, str]) -> str | None:
    cursor = read_cursor(query, parts=1)
    if cursor is None:
        return None
    try:
        return str(UUID(cursor[0]))
    except ValueError:
        raise _wrong("cursor", "Not a cursor of this list") from None


def _wrong(field: str, message: str) -> ValidationFailed:
    return ValidationFailed(details=[Detail(field=field, message=message)])
