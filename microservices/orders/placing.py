"""
Placing an order in three steps, each of which can be repeated by anybody after any crash.

1. The order is kept as pending, once for each account and idempotency key.
2. The products service reserves its stock, once for each order.
3. The order is confirmed or rejected, if it is still pending, and its event is written with it.
"""

from dataclasses import asdict, dataclass, replace
from functools import cache

import uuid_utils

from orders import faults, store
from orders.errors import InsufficientStock, OrderExpired, ProductNotFound
from orders.order import CONFIRMED, METRICS, PENDING, REJECTED, Line, Order
from orders.reservations import Reservations, Reserved
from shared import clock, postgres, settings
from shared.container_log import count
from shared.errors import IdempotencyConflict, ServiceError
from shared.postgres import Connection


@dataclass(frozen=True, slots=True)
class Placed:
    """The outcome of a request to place an order, and whether an earlier request had placed it."""

    order: Order
    is_replay: bool


@cache
def reservations() -> Reservations:
    """
    Return the process's client of the products service.

    Raises:
        SettingInvalid: ``PRODUCTS_URL`` is not set.
    """
    return Reservations(settings.text("PRODUCTS_URL"))


def place_order(account_id: str, idempotency_key: str, lines: tuple[Line, ...], request_id: str) -> Placed:
    """
    Place an order, or return what has become of it if the account has used the key.

    Args:
        account_id: The caller's account.
        idempotency_key: Key that the client has chosen for this order.
        lines: Products and quantities, each product once.
        request_id: Id of the request.

    Returns:
        The order, confirmed or rejected, as the first answer had it.

    Raises:
        IdempotencyConflict: The key was used for other lines.
        ProductsUnavailable: The order is kept, but not decided.
    """
    faults.reach("begun")
    order, is_new = _keep(account_id, idempotency_key, lines, request_id)
    faults.reach("inserted")
    if order.status == PENDING:  # of a repeat, too: whoever comes first decides it
        decided = decide(order)
        with postgres.reading() as connection:
            order = settle(connection, decided)
        faults.reach("decided")
    return Placed(order.as_decided(), is_replay=not is_new)


def refusal(order: Order) -> ServiceError:
    """
    Return the reason for which an order was rejected, as its client reads it.

    Args:
        order: A rejected order.
    """
    if not order.reasons:
        return OrderExpired()
    details = [asdict(reason) for reason in order.reasons]
    if any(reason.reason == "product_not_found" for reason in order.reasons):
        return ProductNotFound(details=details)
    return InsufficientStock(details=details)


def decide(order: Order) -> Order:
    """
    Reserve the stock of a pending order.

    Args:
        order: The order.

    Returns:
        It, confirmed or rejected; nothing is written yet.

    Raises:
        ProductsUnavailable: The products service has not answered.
    """
    outcome = reservations().reserve(order)
    faults.reach("reserved")
    now = clock.now()
    if isinstance(outcome, Reserved):
        return replace(order, status=CONFIRMED, lines=outcome.lines, updated_at=now, decided_at=now)
    return replace(order, status=REJECTED, reasons=outcome.reasons, updated_at=now, decided_at=now)


def settle(connection: Connection, decided: Order) -> Order:
    """
    Write the decision of a pending order, unless somebody else has written one.

    Args:
        connection: From ``postgres.reading`` or ``postgres.transaction``.
        decided: The order, as ``decide`` returned it.

    Returns:
        The order as it is.
    """
    if store.change_order(connection, decided, was=PENDING):
        count(f"order_{decided.status}", METRICS[decided.status], order_id=decided.id)
        return decided
    return store.read_order(connection, decided.id)


def _keep(account_id: str, idempotency_key: str, lines: tuple[Line, ...], request_id: str) -> tuple[Order, bool]:
    """Return the new order, or the one of that key; True if it is new."""
    now = clock.now()
    order = Order(str(uuid_utils.uuid7()), account_id, request_id, PENDING, lines, (), now, now)
    with postgres.reading() as connection:
        if store.insert_order(connection, order, idempotency_key):
            return order, True
        earlier = store.read_by_key(connection, account_id, idempotency_key)
    if earlier.quantities != order.quantities:
        raise IdempotencyConflict
    return earlier, False
