"""Reservations of stock for orders: all of an order's lines or none, once, however often it is asked for."""

from typing import Any, NamedTuple

from psycopg.types.json import Json, Jsonb
from sqlalchemy import Integer, String, any_, bindparam, column, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as insert_or

from products.models import products, reservations, reserved_items
from shared.container_log import count, logger
from shared.errors import IdempotencyConflict
from shared.metrics import RESERVATIONS_REJECTED, STOCK_RESERVED
from shared.postgres import Connection, Statement, transaction

RESERVED, REJECTED, RELEASED = "reserved", "rejected", "released"
Object = dict[str, Any]

_INTEGERS = ARRAY(Integer)
_ORDER = bindparam("order", type_=reservations.c.order_id.type)
_IDS = bindparam("ids", type_=_INTEGERS)
_OF_ORDER = reservations.c.order_id == _ORDER
_CLAIM = Statement(
    insert_or(reservations)
    .values(
        order_id=_ORDER,
        status=bindparam("state", type_=String),
        quantities=bindparam("wanted", type_=reservations.c.quantities.type),
    )
    .on_conflict_do_nothing()
    .returning(reservations.c.order_id)
)
# In the order of ids: two orders that want the same products never wait for each other in a circle.
_LOCK = Statement(
    select(products.c.id, products.c.stock)
    .where(products.c.id == any_(_IDS), products.c.deleted_at.is_(None))
    .order_by(products.c.id)
    .with_for_update(key_share=True)
)
_wanted = (
    func.unnest(_IDS, bindparam("quantities", type_=_INTEGERS))
    .table_valued(column("id", Integer), column("quantity", Integer))
    .render_derived(name="wanted")
)
_taken = (
    update(products)
    .values(stock=products.c.stock - _wanted.c.quantity)
    .where(products.c.id == _wanted.c.id, products.c.stock >= _wanted.c.quantity)
    .returning(_ORDER, products.c.id, products.c.name, _wanted.c.quantity, products.c.price)
    .cte("taken")
)
_LINE = (reserved_items.c.product_id, reserved_items.c.name, reserved_items.c.quantity, reserved_items.c.unit_price)
_TAKE = Statement(insert(reserved_items).from_select(list(reserved_items.c), select(_taken)).returning(*_LINE))
_REJECT = Statement(
    update(reservations)
    .where(_OF_ORDER)
    .values(status=REJECTED, reasons=bindparam("why", type_=reservations.c.reasons.type))
)
_READ = Statement(select(reservations.c.status, reservations.c.quantities, reservations.c.reasons).where(_OF_ORDER))
_ITEMS = Statement(select(*_LINE).where(reserved_items.c.order_id == _ORDER).order_by(reserved_items.c.product_id))
_RELEASE = Statement(
    update(reservations)
    .where(_OF_ORDER, reservations.c.status == RESERVED)
    .values(status=RELEASED)
    .returning(reservations.c.order_id)
)
_LOCK_ITEMS = Statement(
    select(products.c.id)
    .join(reserved_items, reserved_items.c.product_id == products.c.id)
    .where(reserved_items.c.order_id == _ORDER)
    .order_by(products.c.id)
    .with_for_update(key_share=True, of=products)
)
_RETURN = Statement(
    update(products)
    .values(stock=products.c.stock + reserved_items.c.quantity)
    .where(reserved_items.c.order_id == _ORDER, products.c.id == reserved_items.c.product_id)
)


class Outcome(NamedTuple):
    """The answer to a reservation: granted or not, and its body."""

    is_reserved: bool
    body: Object


def reserve(order_id: str, quantities: dict[int, int]) -> Outcome:
    """
    Take an order's lines from the stock; a repeat has the first outcome.

    Args:
        order_id: The order's UUID.
        quantities: Units by product.

    Returns:
        The lines with names and prices, or the products because of which nothing was taken.

    Raises:
        IdempotencyConflict: The order was asked for with other quantities.
    """
    wanted = sorted(quantities.items())
    with transaction() as connection:
        # A second request of the same order waits here, until the first has committed or failed.
        if not _CLAIM.run(connection, order=order_id, state=RESERVED, wanted=Jsonb(wanted)).rowcount:
            return _repeat(connection, order_id, [list(pair) for pair in wanted])
        ids = [product_id for product_id, _ in wanted]
        reasons = _shortages(quantities, dict(_LOCK.run(connection, ids=ids).fetchall()))
        if reasons:
            _REJECT.run(connection, order=order_id, why=Json(reasons))
            count("reservation_rejected", RESERVATIONS_REJECTED, order_id=order_id)
            return _rejected(reasons)
        taken = _TAKE.run(connection, order=order_id, ids=ids, quantities=[quantity for _, quantity in wanted])
        count("stock_reserved", STOCK_RESERVED, order_id=order_id)
        return _granted(sorted(taken.fetchall()))  # the database returns them in any order


def release(order_id: str) -> None:
    """
    Return an order's lines to the stock; a repeat changes nothing.

    A reservation that comes after its release is refused: this leaves a mark where there is none yet.

    Args:
        order_id: The order's UUID.
    """
    with transaction() as connection:
        if _CLAIM.run(connection, order=order_id, state=RELEASED, wanted=None).rowcount:
            return
        if _RELEASE.run(connection, order=order_id).rowcount:
            _LOCK_ITEMS.run(connection, order=order_id)
            _RETURN.run(connection, order=order_id)
            logger.info("stock_returned", extra={"order_id": order_id})


def _repeat(connection: Connection, order_id: str, wanted: list[list[int]]) -> Outcome:
    [(status, quantities, reasons)] = _READ.run(connection, order=order_id).fetchall()
    if quantities not in (None, wanted):
        raise IdempotencyConflict
    if status != RESERVED:
        return _rejected(reasons or [])
    return _granted(_ITEMS.run(connection, order=order_id).fetchall())


def _granted(rows: list[tuple[Any, ...]]) -> Outcome:
    names = ("product_id", "name", "quantity", "unit_price")
    return Outcome(True, {"status": RESERVED, "items": [dict(zip(names, row, strict=True)) for row in rows]})


def _rejected(reasons: list[Object]) -> Outcome:
    return Outcome(False, {"status": REJECTED, "reasons": reasons})


def _shortages(quantities: dict[int, int], stocks: dict[int, int]) -> list[Object]:
    return [
        {
            "product_id": product_id,
            "reason": "insufficient_stock" if product_id in stocks else "product_not_found",
            "available": stocks.get(product_id, 0),
        }
        for product_id, quantity in sorted(quantities.items())
        if stocks.get(product_id, -1) < quantity
    ]
