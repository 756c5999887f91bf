"""Orders and their lines; what clients and the events' consumers see of them."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from shared import clock, metrics

PENDING, CONFIRMED, REJECTED = "pending", "confirmed", "rejected"
CANCELLED, FULFILLED = "cancelled", "fulfilled"
STATUSES = (PENDING, CONFIRMED, REJECTED, CANCELLED, FULFILLED)
EVENT_VERSION = 1
# The metric that counts an order that has come to a status.
METRICS = {
    CONFIRMED: metrics.ORDERS_CONFIRMED,
    REJECTED: metrics.ORDERS_REJECTED,
    CANCELLED: metrics.ORDERS_CANCELLED,
    FULFILLED: metrics.ORDERS_FULFILLED,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One product of an order; its name and price are known once the stock is reserved."""

    product_id: int
    quantity: int
    name: str | None = None
    unit_price: Decimal | None = None

    @property
    def total(self) -> Decimal | None:
        """Price of the line."""
        return None if self.unit_price is None else self.unit_price * self.quantity


@dataclass(frozen=True, slots=True)
class Reason:
    """One product because of which an order was rejected."""

    product_id: int
    reason: str
    available: int


@dataclass(frozen=True, slots=True)
class Order:
    """
    An order.

    Attributes:
        request_id: Id of the request that placed it.
        reasons: Products for which it was rejected; none if it was rejected for its age.
        decided_at: Time at which it was confirmed or rejected.
        stock_returned: None while nothing is to be returned, False until the products service has acknowledged it.
    """

    id: str
    account_id: str
    request_id: str
    status: str
    lines: tuple[Line, ...]
    reasons: tuple[Reason, ...]
    created_at: datetime
    updated_at: datetime
    decided_at: datetime | None = None
    stock_returned: bool | None = None

    @property
    def total(self) -> Decimal | None:
        """Price of the order; None where a line has none yet."""
        totals = [line.total for line in self.lines]
        return None if None in totals else sum((one for one in totals if one is not None), Decimal(0))

    @property
    def quantities(self) -> dict[int, int]:
        """Quantity of each product."""
        return {line.product_id: line.quantity for line in self.lines}

    def as_decided(self) -> "Order":
        """Return the order as the first answer had it, before it was cancelled or fulfilled."""
        if self.decided_at is None or self.status == REJECTED:
            return self
        return replace(self, status=CONFIRMED, updated_at=self.decided_at)


def order_json(order: Order) -> dict[str, Any]:
    """
    Return an order as it is answered.

    Args:
        order: The order.
    """
    return {
        "id": order.id,
        "account_id": order.account_id,
        "status": order.status,
        "items": [_line_json(line) for line in order.lines],
        "total": order.total,
        "created_at": clock.isoformat(order.created_at),
        "updated_at": clock.isoformat(order.updated_at),
    }


def event_json(order: Order, event_id: str) -> dict[str, Any]:
    """
    Return the event of an order's last change.

    Args:
        order: The order as the change left it.
        event_id: Id of the event; one that comes twice has the same.
    """
    return {
        "id": event_id,
        "type": event_type(order),
        "version": EVENT_VERSION,
        "occurred_at": clock.isoformat(order.updated_at),
        "order": order_json(order),
    }


def event_type(order: Order) -> str:
    """Return the type of the event of an order's last change."""
    return f"order.{order.status}"


def _line_json(line: Line) -> dict[str, Any]:
    return {
        "product_id": line.product_id,
        "name": line.name,
        "quantity": line.quantity,
        "unit_price": line.unit_price,
        "line_total": line.total,
    }
