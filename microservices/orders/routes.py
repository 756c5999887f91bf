"""Routes of orders; the document of routes has them."""

from flask import Blueprint, Response, g

from orders import placing, services
from orders.errors import IdempotencyKeyRequired
from orders.order import REJECTED, order_json
from orders.placing import Placed
from orders.validators import NewOrder, read_listing
from shared import http, web
from shared.paging import next_page_headers

orders = Blueprint("orders", __name__, url_prefix="/orders")


@orders.post("")
def place_order() -> Response:
    """Place an order; 201, or the reason for which it was rejected."""
    caller, lines = web.caller(), web.read_body(NewOrder).lines()
    key = web.idempotency_key()
    if key is None:
        raise IdempotencyKeyRequired
    return _outcome(placing.place_order(caller.account_id, key, lines, g.request_id))


@orders.get("")
def list_orders() -> Response:
    """List the caller's orders, or all for admins, newest first; 200 with a page."""
    caller, query = web.caller(), web.query()
    services.check_account(caller, query.get("account_id"))
    found, more = services.list_orders(caller, **read_listing(query)._asdict())
    headers = next_page_headers(query, [found[-1].id]) if more else None
    return web.respond([order_json(one) for one in found], headers=headers)


@orders.get("/<order_id>")
def get_order(order_id: str) -> Response:
    """Read an order, for its owner and admins."""
    return web.respond(order_json(services.get_order(web.caller(), order_id)))


@orders.post("/<order_id>/cancel")
def cancel_order(order_id: str) -> Response:
    """Cancel an order, for its owner and admins."""
    return web.respond(order_json(services.cancel_order(web.caller(), order_id)))


@orders.post("/<order_id>/fulfil")
@web.admin_only
def fulfil_order(order_id: str) -> Response:
    """Mark an order as fulfilled, for admins."""
    return web.respond(order_json(services.fulfil_order(web.caller(), order_id)))


def _outcome(placed: Placed) -> Response:
    """Answer as the first answer was; an error has the id of the request that placed the order, in repeats too."""
    order = placed.order
    if order.status != REJECTED:
        return web.respond_created(order_json(order), f"orders/{order.id}", is_replay=placed.is_replay)
    refusal = placing.refusal(order)
    body = http.error_body(refusal, order.request_id)
    return web.respond(body, http.error_status(refusal), is_replay=placed.is_replay)
