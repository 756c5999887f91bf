"""Orders as their owners and admins see and change them."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from orders import faults, store
from orders.errors import NotCancellable, NotFulfillable, OrderNotFound, ProductsUnavailable
from orders.order import CANCELLED, CONFIRMED, FULFILLED, METRICS, Order
from orders.placing import reservations
from shared import clock, postgres, settings
from shared.container_log import count
from shared.errors import Forbidden, ServiceError
from shared.web import Caller

CANCEL_WINDOW_SECONDS = 3600


def check_account(caller: Caller, account_id: str | None) -> None:
    """
    Check that the caller may list an account's orders.

    Args:
        caller: The caller.
        account_id: Account as the client wrote it; None for all that the caller may see.

    Raises:
        Forbidden: The account is another's.
    """
    if not caller.is_admin and account_id not in (None, caller.account_id):
        raise Forbidden


def list_orders(
    caller: Caller, *, account_id: str | None, status: str | None, before: str | None, limit: int
) -> tuple[list[Order], bool]:
    """
    Return a page of the caller's orders, or of any for admins, newest first.

    Args:
        caller: The caller.
        account_id: Account whose orders are wanted; None for all that the caller may see.
        status: Status that they have; None for any.
        before: Id of the order before the page; None for the first.
        limit: Number of orders.

    Returns:
        The orders, and True if there are more.
    """
    account = account_id if caller.is_admin else caller.account_id
    with postgres.reading() as connection:  # one order more than wanted tells if there is a next page
        found = store.list_orders(connection, account_id=account, status=status, before=before, limit=limit + 1)
    return found[:limit], len(found) > limit


def get_order(caller: Caller, order_id: str) -> Order:
    """
    Return an order.

    Args:
        caller: Its owner, or an admin.
        order_id: Its id, as the client wrote it.

    Raises:
        OrderNotFound: There is none, or none for this caller.
    """
    with postgres.reading() as connection:
        order = store.read_order(connection, _id(order_id))
    if not caller.is_admin and order.account_id != caller.account_id:
        raise OrderNotFound
    return order


def cancel_order(caller: Caller, order_id: str) -> Order:
    """
    Cancel a confirmed order and return its stock; a cancelled one stays as it is.

    Args:
        caller: Its owner, within the time for it, or an admin.
        order_id: Its id.

    Returns:
        The order. Its stock is returned later if the products service is away.

    Raises:
        OrderNotFound: There is none, or none for this caller.
        NotCancellable: It is not confirmed, or too old.
    """
    order = get_order(caller, order_id)
    if order.status == CONFIRMED and not caller.is_admin and _age(order) >= cancel_window():
        raise NotCancellable
    cancelled = _change(order, CANCELLED, NotCancellable, stock_returned=False)
    faults.reach("cancelled")
    if cancelled.stock_returned is False:
        _return_stock(cancelled)
    return cancelled


def fulfil_order(caller: Caller, order_id: str) -> Order:
    """
    Mark a confirmed order as fulfilled; a fulfilled one stays as it is.

    Args:
        caller: An admin.
        order_id: Its id.

    Raises:
        OrderNotFound: There is none.
        NotFulfillable: It is not confirmed.
    """
    return _change(get_order(caller, order_id), FULFILLED, NotFulfillable)


def cancel_window() -> timedelta:
    """
    Return the time within which owners may cancel.

    Raises:
        SettingInvalid: ``CANCEL_WINDOW_SECONDS`` is no positive integer.
    """
    return timedelta(seconds=settings.number("CANCEL_WINDOW_SECONDS", CANCEL_WINDOW_SECONDS))


def _age(order: Order) -> timedelta:
    return clock.now() - order.created_at


def _id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError as exc:
        raise OrderNotFound from exc


def _return_stock(order: Order) -> None:
    try:
        reservations().release(order.id)
    except ProductsUnavailable:
        return  # the sweep repeats it until it is acknowledged
    with postgres.reading() as connection:
        store.mark_returned(connection, order.id)


def _change(order: Order, status: str, refusal: type[ServiceError], *, stock_returned: bool | None = None) -> Order:
    """Move a confirmed order on, unless it is there already, or somebody else has moved it elsewhere."""
    if order.status == CONFIRMED:
        changed = replace(order, status=status, updated_at=clock.now(), stock_returned=stock_returned)
        with postgres.reading() as connection:
            if store.change_order(connection, changed, was=CONFIRMED):
                count(f"order_{status}", METRICS[status], order_id=order.id)
                return changed
            order = store.read_order(connection, order.id)
    if order.status != status:
        raise refusal
    return order
