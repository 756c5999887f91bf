"""Routes of products; the document of routes has the public ones."""

import orjson
from flask import Blueprint, Response, request

from products import services
from products.repeats import Key
from products.reservations import release, reserve
from products.validators import (
    NewProduct,
    ProductChange,
    ProductText,
    Reservation,
    StockChange,
    read_id,
    read_listing,
    read_order_id,
)
from shared import web
from shared.paging import next_page_headers
from shared.people import StrictModel

products = Blueprint("products", __name__, url_prefix="/products")
reservations = Blueprint("reservations", __name__, url_prefix="/internal/reservations")


@products.get("")
def list_products() -> Response:
    """List products, newest first."""
    query = web.query()
    found, last = services.list_products(read_listing(query))
    return web.respond_to_all(found, next_page_headers(query, last) if last else None)


@products.post("")
@web.admin_only
def create_product() -> Response:
    """Create a product, for admins."""
    body = web.read_body(NewProduct)
    answer = services.create_product(_key(body), web.caller().account_id, body.model_dump())
    product_id = orjson.loads(answer.content)["id"]
    return web.respond_created(answer.content, f"products/{product_id}", is_replay=answer.is_replay)


@products.get("/<product_id>")
def get_product(product_id: str) -> Response:
    """Read a product."""
    return web.respond_to_all(services.get_product(read_id(product_id)))


@products.put("/<product_id>")
@web.admin_only
def replace_product(product_id: str) -> Response:
    """Replace a product's content, for admins."""
    changes = web.read_body(ProductText).model_dump()
    return web.respond(services.change_product(read_id(product_id), changes))


@products.patch("/<product_id>")
@web.admin_only
def change_product(product_id: str) -> Response:
    """Change parts of a product, for admins."""
    changes = web.read_body(ProductChange).model_dump(exclude_unset=True)
    return web.respond(services.change_product(read_id(product_id), changes))


@products.post("/<product_id>/stock")
@web.admin_only
def change_stock(product_id: str) -> Response:
    """Add to a product's stock, for admins."""
    body = web.read_body(StockChange)
    account_id = web.caller().account_id
    answer = services.change_stock(_key(body), account_id, read_id(product_id), **body.model_dump())
    return web.respond(answer.content, is_replay=answer.is_replay)


@products.delete("/<product_id>")
@web.admin_only
def delete_product(product_id: str) -> Response:
    """Hide a product from lists and new orders, for admins."""
    services.delete_product(read_id(product_id))
    return web.respond(None, 204)


@reservations.put("/<order_id>")
def reserve_stock(order_id: str) -> Response:
    """Reserve the lines of an order, for the orders service."""
    order_id = read_order_id(order_id)
    body = web.read_body(Reservation)
    outcome = reserve(order_id, {item.product_id: item.quantity for item in body.items})
    return web.respond(outcome.body, 200 if outcome.is_reserved else 409)


@reservations.delete("/<order_id>")
def release_stock(order_id: str) -> Response:
    """Release the lines of an order, for the orders service."""
    release(read_order_id(order_id))
    return web.respond({"status": "released"})


def _key(body: StrictModel) -> Key | None:
    """The request's key; of the body, what counts is its checked content."""
    name = web.idempotency_key()
    if name is None:
        return None
    return Key(web.caller().account_id, name, f"{request.method} {request.path} {body.model_dump_json()}".encode())
