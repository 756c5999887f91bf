"""Products: lists and single ones, and what admins change of them."""

from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import Integer, bindparam, func, insert, select, tuple_, update

from products.models import products
from products.validators import INTEGER_MAX, Listing, ProductNotFound
from shared import clock
from shared.errors import Conflict
from shared.postgres import Statement, reading, transaction

Product = dict[str, Any]
Row = tuple[int, str, str | None, Decimal, int, datetime]

_COLUMNS = [products.c[name] for name in ("id", "name", "description", "price", "stock", "created_at")]
_CREATE = Statement(
    insert(products)
    .values({name: bindparam(name) for name in ("name", "description", "price", "stock")})
    .returning(*_COLUMNS)
)
_THIS = (products.c.id == bindparam("product"), products.c.deleted_at.is_(None))
_BY_ID = Statement(select(*_COLUMNS).where(*_THIS))
_LOCK = Statement(select(products.c.stock).where(*_THIS).with_for_update(key_share=True))
_SET_STOCK = Statement(update(products).where(*_THIS).values(stock=bindparam("units")))
_HIDE = Statement(update(products).where(*_THIS).values(deleted_at=func.now()))


class InsufficientStock(Conflict):
    """There are fewer units than shall go."""

    code, text = "insufficient_stock", "Insufficient stock"


class StockTooLarge(Conflict):
    """There would be more units than can be counted."""

    code, text = "stock_too_large", f"Stock would be above {INTEGER_MAX}"


def list_products(listing: Listing) -> tuple[list[Product], list[str] | None]:
    """
    Return one page of products, newest first.

    Args:
        listing: Filters, size and place of the page.

    Returns:
        The products, and the place where the next page begins; None if this is the last one.
    """
    values: dict[str, Any] = {"rows": listing.limit + 1}  # one more tells if there is a next page
    if listing.after:
        values |= {"after_time": listing.after.created_at, "after_id": listing.after.id}
    statement = _page(in_stock=listing.in_stock, begins=listing.after is None)
    with reading() as connection:
        rows = statement.run(connection, **values).fetchall()
    if len(rows) <= listing.limit:
        return [_product(row) for row in rows], None
    last = rows[listing.limit - 1]
    return [_product(row) for row in rows[: listing.limit]], [last[5].isoformat(), str(last[0])]


def get_product(product_id: int) -> Product:
    """
    Return a product.

    Args:
        product_id: Its id.

    Raises:
        ProductNotFound: There is none, or it is deleted.
    """
    with reading() as connection:
        return _found(_BY_ID.run(connection, product=product_id).fetchone())


def create_product(*, name: str, description: str | None, price: Decimal, stock: int) -> Product:
    """
    Create a product.

    Args:
        name: Its name.
        description: Its description.
        price: Its price.
        stock: Units that there are.

    Returns:
        It, as it is stored.
    """
    with transaction() as connection:
        row = _CREATE.run(connection, name=name, description=description, price=price, stock=stock).fetchone()
    return _found(row)


def change_product(product_id: int, changes: dict[str, Any]) -> Product:
    """
    Change a product's content.

    Args:
        product_id: Its id.
        changes: New values of some or all of ``name``, ``description`` and ``price``.

    Returns:
        It, as it is stored.

    Raises:
        ProductNotFound: There is none, or it is deleted.
    """
    with transaction() as connection:
        return _found(_change(*changes).run(connection, product=product_id, **changes).fetchone())


def change_stock(product_id: int, delta: int) -> dict[str, int]:
    """
    Add to a product's stock, or take from it.

    Args:
        product_id: Its id.
        delta: Units that come; negative where they go.

    Returns:
        Its id and the new stock.

    Raises:
        ProductNotFound: There is none, or it is deleted.
        InsufficientStock: There are fewer units than shall go.
        StockTooLarge: There would be more units than can be counted.
    """
    with transaction() as connection:
        row = _LOCK.run(connection, product=product_id).fetchone()
        if row is None:
            raise ProductNotFound
        stock = row[0] + delta
        if stock < 0:
            raise InsufficientStock
        if stock > INTEGER_MAX:
            raise StockTooLarge
        _SET_STOCK.run(connection, product=product_id, units=stock)
    return {"id": product_id, "stock": stock}


def delete_product(product_id: int) -> None:
    """
    Hide a product from lists and new orders; those that there are refer to it.

    Args:
        product_id: Its id.

    Raises:
        ProductNotFound: There is none, or it is deleted already.
    """
    with transaction() as connection:
        if not _HIDE.run(connection, product=product_id).rowcount:
            raise ProductNotFound


@cache
def _change(*names: str) -> Statement:
    values: dict[str, Any] = {name: bindparam(name) for name in names}
    return Statement(update(products).where(*_THIS).values(values).returning(*_COLUMNS))


@cache
def _page(*, in_stock: bool, begins: bool) -> Statement:
    query = select(*_COLUMNS).where(products.c.deleted_at.is_(None))
    if in_stock:
        query = query.where(products.c.in_stock)
    if not begins:
        place = tuple_(bindparam("after_time", type_=products.c.created_at.type), bindparam("after_id", type_=Integer))
        query = query.where(tuple_(products.c.created_at, products.c.id) < place)
    newest = query.order_by(products.c.created_at.desc(), products.c.id.desc())
    return Statement(newest.limit(bindparam("rows", type_=Integer)))


def _found(row: Any) -> Product:
    if row is None:
        raise ProductNotFound
    return _product(row)


def _product(row: Any) -> Product:
    number, name, description, price, stock, created_at = row
    return {
        "id": number,
        "name": name,
        "description": description,
        "price": price,
        "stock": stock,
        "created_at": clock.isoformat(created_at),
    }
