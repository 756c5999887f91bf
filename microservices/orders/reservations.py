"""The products service's reservations of stock, over its internal routes; every call can be repeated."""

import json
import logging
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from time import monotonic
from typing import Any

import orjson
from urllib3 import BaseHTTPResponse, Timeout, connection_from_url
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as HTTPTimeout
from urllib3.util import parse_url

from orders.errors import ProductsUnavailable
from orders.order import Line, Order, Reason
from shared import traces
from shared.container_log import REQUEST, count
from shared.metrics import PRODUCTS_UNAVAILABLE

# The second try is shorter: both and the database must fit into the 3.5 seconds of a 503.
TRIES_SECONDS = (2.0, 1.2)
# After silence to both, the next caller waits for none: one that hangs must not take up every thread.
PAUSE_SECONDS = 1.0
CONNECTIONS = 64
PRODUCT_ID_MAX = 2**31 - 1  # PostgreSQL's INTEGER, the type of products' ids
_EXACT = json.JSONDecoder(parse_float=Decimal)
_JSON_BODY = {"Content-Type": "application/json"}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reserved:
    """The lines with names and prices; their stock belongs to the order."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Products of which there is not enough, or that are not for sale."""

    reasons: tuple[Reason, ...]


class Reservations:
    """
    A client of the products service, whose connections are kept.

    Args:
        url: Base address of the service.
    """

    def __init__(self, url: str) -> None:
        # The one host's pool: a PoolManager would read the address and look the pool up for every call.
        self._pool = connection_from_url(url, maxsize=CONNECTIONS, retries=False)
        self._path = f"{(parse_url(url).path or '').rstrip('/')}/internal/reservations"
        self._silent_until = 0.0

    def reserve(self, order: Order) -> Reserved | Refused:
        """
        Reserve an order's stock; a repeat has the first call's outcome.

        Args:
            order: The order.

        Raises:
            ProductsUnavailable: The service has not answered, or not as agreed.
        """
        unknown = [line.product_id for line in order.lines if line.product_id > PRODUCT_ID_MAX]
        if unknown:
            return Refused(tuple(Reason(one, "product_not_found", 0) for one in unknown))
        items = [{"product_id": line.product_id, "quantity": line.quantity} for line in order.lines]
        answer = self._call("PUT", order.id, {"items": items})
        try:
            if answer.status == HTTPStatus.OK:
                return Reserved(_priced(order.lines, _read(answer)["items"]))
            if answer.status == HTTPStatus.CONFLICT:
                return Refused(tuple(Reason(**one) for one in _read(answer)["reasons"]))
        except (ArithmeticError, KeyError, TypeError, ValueError) as exc:
            raise _unavailable(order.id, answer.status) from exc
        raise _unavailable(order.id, answer.status)

    def release(self, order_id: str) -> None:
        """
        Return an order's stock, or keep a reservation that is under way from being made.

        Args:
            order_id: Id of the order.

        Raises:
            ProductsUnavailable: The service has not acknowledged it.
        """
        answer = self._call("DELETE", order_id)
        if answer.status != HTTPStatus.OK:
            raise _unavailable(order_id, answer.status)

    def _call(self, method: str, order_id: str, body: Json | None = None) -> BaseHTTPResponse:
        if monotonic() < self._silent_until:
            raise ProductsUnavailable
        for seconds in TRIES_SECONDS:
            try:
                answer = self._try(method, order_id, body, seconds)
            except HTTPError as exc:
                last: HTTPError | int = exc
            else:
                if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                    return answer
                last = answer.status
        if isinstance(last, HTTPTimeout):
            self._silent_until = monotonic() + PAUSE_SECONDS
        raise _unavailable(order_id, last)

    def _try(self, method: str, order_id: str, body: Json | None, seconds: float) -> BaseHTTPResponse:
        content = None if body is None else orjson.dumps(body)
        path, limit = f"{self._path}/{order_id}", Timeout(total=seconds)
        with traces.within(f"{method} /internal/reservations", "CLIENT") as span:
            headers = _JSON_BODY | _ids(span)
            return self._pool.urlopen(method, path, content, headers, timeout=limit, redirect=False)


def _ids(span: traces.Span) -> dict[str, str]:
    """Headers that name the request and the trace for which products is asked."""
    found = {"X-Request-ID": REQUEST.get().get("request_id"), traces.HEADER: span.header}
    return {name: value for name, value in found.items() if value}


def _read(answer: BaseHTTPResponse) -> Any:
    return _EXACT.decode(answer.data.decode())


def _priced(lines: tuple[Line, ...], items: list[Json]) -> tuple[Line, ...]:
    """Return the lines with the names and prices that the products service has for them."""
    known = {item["product_id"]: (item["name"], Decimal(item["unit_price"])) for item in items}
    return tuple(Line(line.product_id, line.quantity, *known[line.product_id]) for line in lines)


def _unavailable(order_id: str, reason: HTTPError | int) -> ProductsUnavailable:
    text = reason if isinstance(reason, int) else type(reason).__name__
    count("products_unavailable", PRODUCTS_UNAVAILABLE, level=logging.WARNING, order_id=order_id, reason=text)
    return ProductsUnavailable()
