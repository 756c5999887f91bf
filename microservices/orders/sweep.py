"""
The sweep: it decides orders that a crash or an absent service has left pending, and returns stock that is owed.

Several sweeps may run: each locks one order at a time, and skips those that others have locked.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from threading import Event

from orders import store
from orders.errors import ProductsUnavailable
from orders.order import REJECTED, Order
from orders.placing import decide, reservations, settle
from shared import clock, postgres, settings
from shared.container_log import REQUEST, count
from shared.metrics import RESERVATIONS_RELEASED
from shared.postgres import Connection

PENDING_SECONDS = 15  # a request that still runs is done by then
EXPIRED_SECONDS = 600


def pending_age() -> timedelta:
    """
    Return the age from which a pending order is nobody's.

    Raises:
        SettingInvalid: ``SWEEP_AFTER_SECONDS`` is no positive integer.
    """
    return timedelta(seconds=settings.number("SWEEP_AFTER_SECONDS", PENDING_SECONDS))


def expired_age() -> timedelta:
    """
    Return the age from which a pending order is rejected.

    Raises:
        SettingInvalid: ``ORDER_EXPIRES_SECONDS`` is no positive integer.
    """
    return timedelta(seconds=settings.number("ORDER_EXPIRES_SECONDS", EXPIRED_SECONDS))


def sweep(stop: Event) -> bool:
    """
    Go once through what is to be finished.

    Args:
        stop: Set if the process shall end: no further order is begun.

    Returns:
        False: what could not be finished is left for the next time.

    Raises:
        OperationalError: The database is away.
    """
    _go_through(_decide_next, stop)
    _go_through(_return_next, stop)
    return False


def _go_through(finish_next: Callable[[Connection, str], str | None], stop: Event) -> None:
    """Finish one order after the other, in the order of ids: one that cannot be finished holds up no other."""
    last: str | None = store.FIRST
    while last is not None and not stop.is_set():
        with postgres.transaction() as connection:
            last = finish_next(connection, last)


def _decide_next(connection: Connection, after: str) -> str | None:
    order = store.lock_next_pending(connection, after=after, until=clock.now() - pending_age())
    if order is None:
        return None
    REQUEST.set({"request_id": order.request_id})
    if order.created_at <= clock.now() - expired_age():
        settle(connection, _expired(order))
        return order.id
    with suppress(ProductsUnavailable):  # logged; it comes again with the next sweep
        settle(connection, decide(order))
    return order.id


def _return_next(connection: Connection, after: str) -> str | None:
    order = store.lock_next_unreturned(connection, after=after)
    if order is None:
        return None
    REQUEST.set({"request_id": order.request_id})
    with suppress(ProductsUnavailable):  # as above
        reservations().release(order.id)
        store.mark_returned(connection, order.id)
        count("reservation_released", RESERVATIONS_RELEASED, order_id=order.id)
    return order.id


def _expired(order: Order) -> Order:
    """Return the order as rejected. A reservation may be there, or under way: its stock is to be returned."""
    now = clock.now()
    return replace(order, status=REJECTED, updated_at=now, decided_at=now, stock_returned=False)
