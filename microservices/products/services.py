"""Products: lists and single ones, and what admins change of them."""

from functools import cache
from typing import Any

from sqlalchemy import Integer, String, bindparam, func, insert, select, tuple_, update

from products.errors import InsufficientStock, ProductNotFound, StockTooLarge
from products.models import products, stock_changes
from products.repeats import Answer, Key, write_once
from products.validators import INTEGER_MAX, Listing
from shared import clock
from shared.container_log import logger
from shared.exact_json import dump
from shared.postgres import Connection, Statement, reading, transaction

Product = dict[str, Any]

_COLUMNS = [products.c[name] for name in ("id", "name", "description", "price", "stock", "created_at")]
_CREATE = Statement(
    insert(products)
    .values({name: bindparam(name) for name in ("name", "description", "price", "stock")})
    .returning(*_COLUMNS)
)
_THIS = (products.c.id == bindparam("product"), products.c.deleted_at.is_(None))
_BY_ID = Statement(select(*_COLUMNS).where(*_THIS))
_LOCK = Statement(select(products.c.stock).where(*_THIS).with_for_update(key_share=True))
_PUT_IN = Statement(select(func.sum(stock_changes.c.delta)).where(stock_changes.c.product_id == bindparam("product")))
_SET_STOCK = Statement(update(products).where(*_THIS).values(stock=bindparam("units")))
_NOTE = Statement(
    insert(stock_changes).values(
        product_id=bindparam("product"),
        delta=bindparam("units"),
        reason=bindparam("why"),
        account_id=bindparam("account"),
    )
)
_HIDE = Statement(update(products).where(*_THIS).values(deleted_at=func.now()))


def list_products(listing: Listing) -> tuple[list[Product], list[str] | None]:
    """
    Return one page of products, newest first.

    Args:
        listing: Filters, size and place of the page.

    Returns:
        The products, and the place where the next page begins; None if this is the last one.
    """
    statement, values = page_statement(listing)
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


def create_product(key: Key | None, account_id: str, values: dict[str, Any]) -> Answer:
    """
    Create a product.

    Args:
        key: The request's key.
        account_id: Account of the admin.
        values: Its ``name``, ``description``, ``price`` and ``stock``.

    Returns:
        It, as it is stored, as JSON.

    Raises:
        IdempotencyConflict: The key was used for another request.
    """

    def create(connection: Connection) -> bytes:
        product = _found(_CREATE.run(connection, **values).fetchone())
        _NOTE.run(connection, product=product["id"], units=product["stock"], why="created", account=account_id)
        logger.info("product_created", extra={"product_id": product["id"]})
        return dump(product)

    return write_once(key, create)


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
        product = _found(_change(*changes).run(connection, product=product_id, **changes).fetchone())
    logger.info("product_changed", extra={"product_id": product_id})
    return product


def change_stock(key: Key | None, account_id: str, product_id: int, *, delta: int, reason: str | None) -> Answer:
    """
    Add to a product's stock, or take from it.

    Args:
        key: The request's key.
        account_id: Account of the admin.
        product_id: The product's id.
        delta: Units that come; negative where they go.
        reason: Words of the admin; they are kept with the change.

    Returns:
        Its id and the new stock, as JSON.

    Raises:
        ProductNotFound: There is none, or it is deleted.
        InsufficientStock: There are fewer units than shall go.
        StockTooLarge: There would be more units than can be counted, with those that orders hold.
        IdempotencyConflict: The key was used for another request.
    """

    def add(connection: Connection) -> bytes:
        row = _LOCK.run(connection, product=product_id).fetchone()
        if row is None:
            raise ProductNotFound
        stock = row[0] + delta
        if stock < 0:
            raise InsufficientStock
        [(put_in,)] = _PUT_IN.run(connection, product=product_id).fetchall()
        # Units that orders hold count, too: they may be returned. Stock that another program wrote has no changes.
        if delta > 0 and max(put_in or 0, row[0]) + delta > INTEGER_MAX:
            raise StockTooLarge
        _SET_STOCK.run(connection, product=product_id, units=stock)
        _NOTE.run(connection, product=product_id, units=delta, why=reason, account=account_id)
        logger.info("stock_changed", extra={"product_id": product_id, "delta": delta})
        return dump({"id": product_id, "stock": stock})

    return write_once(key, add)


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
    logger.info("product_deleted", extra={"product_id": product_id})


def page_statement(listing: Listing) -> tuple[Statement, dict[str, Any]]:
    """
    Return the statement of a page.

    Args:
        listing: Filters, size and place of the page.

    Returns:
        The statement, and values for its parameters.
    """
    values: dict[str, Any] = {"rows": listing.limit + 1}  # one more tells if there is a next page
    if listing.text is not None:
        values["text"] = listing.text
    if listing.after:
        values |= {"after_time": listing.after.created_at, "after_id": listing.after.id}
    return _page(searches=listing.text is not None, in_stock=listing.in_stock, begins=listing.after is None), values


@cache
def _change(*names: str) -> Statement:
    values: dict[str, Any] = {name: bindparam(name) for name in names}
    return Statement(update(products).where(*_THIS).values(values).returning(*_COLUMNS))


@cache
def _page(*, searches: bool, in_stock: bool, begins: bool) -> Statement:
    query = select(*_COLUMNS).where(products.c.deleted_at.is_(None))
    if searches:
        # The index finds names with the text's pairs of letters, the second condition those that have them in a row.
        text = bindparam("text", type_=String)
        query = query.where(
            func.products.grams(products.c.name).op("@>")(func.products.grams(text)),
            func.strpos(func.lower(products.c.name), func.lower(text)) > 0,
        )
    if in_stock:
        query = query.where(products.c.in_stock)
    if not begins:
        place = tuple_(bindparam("after_time", type_=products.c.created_at.type), bindparam("after_id", type_=Integer))
        query = query.where(tuple_(products.c.created_at, products.c.id) < place)
    newest = query.order_by(products.c.created_at.desc(), products.c.id.desc())
    # A rare text is found by the index, a frequent one by reading the newest; the plan of one is slow for the other.
    return Statement(newest.limit(bindparam("rows", type_=Integer)), plan_each=searches)


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
