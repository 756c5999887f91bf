"""Orders in PostgreSQL. A change and its event are one statement, so that both are there or neither."""

import json
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

import orjson
import uuid_utils
from sqlalchemy import bindparam, insert, literal, select, true, update
from sqlalchemy.dialects import postgresql

from orders.errors import OrderNotFound
from orders.models import orders, outbox
from orders.order import PENDING, Line, Order, Reason, event_json, event_type
from shared import traces
from shared.container_log import REQUEST
from shared.postgres import Connection, Statement

FIRST = "00000000-0000-0000-0000-000000000000"  # before every id
Row = tuple[Any, ...]

_COLUMNS = [orders.c[field.name] for field in fields(Order)]
_CHANGING = ("status", "lines", "reasons", "updated_at", "decided_at", "stock_returned")

_insert = Statement(postgresql.insert(orders).on_conflict_do_nothing(constraint="unique_order_account_key"))
_by_id = Statement(select(*_COLUMNS).where(orders.c.id == bindparam("id")))
_by_key = Statement(
    select(*_COLUMNS)
    .where(orders.c.account_id == bindparam("account_id"))
    .where(orders.c.idempotency_key == bindparam("idempotency_key"))
)
_changed = (
    update(orders)
    .where(orders.c.id == bindparam("order_id"), orders.c.status == bindparam("was"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGING})
    .returning(orders.c.updated_at)
    .cte("changed")
)
_event = select(
    bindparam("event_id", type_=outbox.c.id.type),
    bindparam("type", type_=outbox.c.type.type),
    bindparam("event", type_=outbox.c.event.type),
    _changed.c.updated_at,
    bindparam("request_id", type_=outbox.c.request_id.type),
    bindparam("trace_header", type_=outbox.c.trace_header.type),
)
_written = ["id", "type", "event", "occurred_at", "request_id", "trace_header"]
_change = Statement(insert(outbox).from_select(_written, _event))
_next = select(*_COLUMNS).where(orders.c.id > bindparam("after")).order_by(orders.c.id).limit(1)
_next_pending = Statement(
    _next.where(orders.c.status == literal(PENDING), orders.c.created_at <= bindparam("until")).with_for_update(
        skip_locked=True
    )
)
_next_unreturned = Statement(_next.where(orders.c.stock_returned.is_(False)).with_for_update(skip_locked=True))
_returned = Statement(update(orders).where(orders.c.id == bindparam("order_id")).values(stock_returned=true()))


def insert_order(connection: Connection, order: Order, idempotency_key: str) -> bool:
    """
    Keep a new order, unless its account has used the key; a racer with the same key is waited for.

    Args:
        connection: From ``postgres.reading`` or ``postgres.transaction``, here as below.
        order: The order.
        idempotency_key: Key that the client has chosen.

    Returns:
        False if the key was used.
    """
    fixed = {"id": order.id, "account_id": order.account_id, "request_id": order.request_id}
    values = {**fixed, "created_at": order.created_at, **_changing(order)}
    return _insert.run(connection, idempotency_key=idempotency_key, **values).rowcount == 1


def read_order(connection: Connection, order_id: str) -> Order:
    """
    Read an order.

    Args:
        connection: As above.
        order_id: Its id.

    Raises:
        OrderNotFound: There is none.
    """
    return _found(_by_id.run(connection, id=order_id).fetchone())


def read_by_key(connection: Connection, account_id: str, idempotency_key: str) -> Order:
    """
    Read the order that an account placed with a key.

    Args:
        connection: As above.
        account_id: Id of the account.
        idempotency_key: The key.

    Raises:
        OrderNotFound: There is none.
    """
    return _found(_by_key.run(connection, account_id=account_id, idempotency_key=idempotency_key).fetchone())


def change_order(connection: Connection, order: Order, *, was: str) -> bool:
    """
    Write an order's change and its event, if nobody has changed its status before.

    The event is that of the request and the trace that are under way.

    Args:
        connection: As above.
        order: The order as it shall be.
        was: Status that it must have.

    Returns:
        False if it has another status; nothing is written then.
    """
    event_id = str(uuid_utils.uuid7())
    event = json.dumps(event_json(order, event_id), default=float)  # money has 15 digits at most, which a float keeps
    values = {f"new_{name}": value for name, value in _changing(order).items()}
    values |= {"order_id": order.id, "was": was, "event_id": event_id, "type": event_type(order), "event": event}
    origin = {"request_id": REQUEST.get().get("request_id"), "trace_header": traces.current().header or None}
    done = _change.run(connection, **values, **origin)
    return done.rowcount == 1


def list_orders(
    connection: Connection, *, account_id: str | None, status: str | None, before: str | None, limit: int
) -> list[Order]:
    """
    Read a page of orders, newest first.

    Args:
        connection: As above.
        account_id: Account whose orders are wanted; None for all.
        status: Status that they have; None for any.
        before: Id of the order before the page; None for the first.
        limit: Number of orders.

    Returns:
        The orders.
    """
    given = {"account_id": account_id, "status": status, "before": before}
    named = {name: value for name, value in given.items() if value is not None}
    rows = _page(*named).run(connection, **named, limit=limit).fetchall()
    return [_order(row) for row in rows]


def lock_next_pending(connection: Connection, *, after: str, until: datetime) -> Order | None:
    """
    Lock the next order that nobody has decided, and that nobody else has locked.

    Args:
        connection: From ``postgres.transaction``.
        after: Id of an order before it.
        until: Time until which it was placed.

    Returns:
        The order; None if there is none.
    """
    row = _next_pending.run(connection, after=after, until=until).fetchone()
    return _order(row) if row else None


def lock_next_unreturned(connection: Connection, *, after: str) -> Order | None:
    """
    Lock the next order whose stock is still to be returned, and that nobody else has locked.

    Args:
        connection: From ``postgres.transaction``.
        after: Id of an order before it.

    Returns:
        The order; None if there is none.
    """
    row = _next_unreturned.run(connection, after=after).fetchone()
    return _order(row) if row else None


def mark_returned(connection: Connection, order_id: str) -> None:
    """
    Note that the products service has acknowledged the return of an order's stock.

    Args:
        connection: As above.
        order_id: Id of the order.
    """
    _returned.run(connection, order_id=order_id)


@cache
def _page(*filters: str) -> Statement:
    conditions = {
        "account_id": orders.c.account_id == bindparam("account_id"),
        "status": orders.c.status == bindparam("status"),
        "before": orders.c.id < bindparam("before"),
    }
    wanted = [conditions[name] for name in filters]
    return Statement(select(*_COLUMNS).where(*wanted).order_by(orders.c.id.desc()).limit(bindparam("limit")))


def _changing(order: Order) -> dict[str, Any]:
    return {
        "status": order.status,
        "lines": orjson.dumps(order.lines, str).decode(),
        "reasons": orjson.dumps(order.reasons).decode(),
        "updated_at": order.updated_at,
        "decided_at": order.decided_at,
        "stock_returned": order.stock_returned,
    }


def _found(row: Row | None) -> Order:
    if row is None:
        raise OrderNotFound
    return _order(row)


def _order(row: Row) -> Order:
    order_id, account_id, request_id, status, lines, reasons, *rest = row
    given = tuple(_line(**one) for one in lines), tuple(Reason(**one) for one in reasons)
    return Order(str(order_id), account_id, request_id, status, *given, *rest)


def _line(*, unit_price: str | None, **rest: Any) -> Line:
    return Line(unit_price=None if unit_price is None else Decimal(unit_price), **rest)
