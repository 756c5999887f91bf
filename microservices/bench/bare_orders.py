"""A contender: an order's transactions by psycopg alone, with the services' own statements, in one process."""

import json
from typing import Any

import uuid_utils
from measuring import expect
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from orders import store
from products import reservations
from shared import clock


class BareOrders:
    """
    Orders that nobody asks for over HTTP.

    Args:
        address: Address of the database, as libpq reads it.
        clients: Number of connections.
    """

    def __init__(self, address: str, clients: int) -> None:
        self._pool = ConnectionPool(address, kwargs={"autocommit": True}, min_size=clients, open=True)
        self._pool.wait()

    def place(self, quantities: dict[int, int]) -> None:
        """
        Place an order: keep it, reserve its stock, confirm it and write its event.

        Args:
            quantities: Units by product.
        """
        order_id, wanted = str(uuid_utils.uuid7()), sorted(quantities.items())
        with self._pool.connection() as connection:
            self._keep(connection, order_id, wanted)
            with connection.transaction():
                lines = self._reserve(connection, order_id, wanted)
            self._confirm(connection, order_id, lines)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _keep(self, connection: Any, order_id: str, wanted: list[tuple[int, int]]) -> None:
        now = clock.now()
        lines = json.dumps([{"product_id": one, "quantity": quantity} for one, quantity in wanted])
        done = store._insert.run(
            connection, id=order_id, account_id=order_id, request_id=order_id, idempotency_key=order_id[:32],
            created_at=now, updated_at=now, status="pending", lines=lines, reasons="[]", decided_at=None,
            stock_returned=None,
        )  # fmt: skip
        expect(done.rowcount, 1)

    def _reserve(self, connection: Any, order_id: str, wanted: list[tuple[int, int]]) -> list[Any]:
        ids, quantities = ([pair[at] for pair in wanted] for at in (0, 1))
        claim = reservations._CLAIM.run(connection, order=order_id, state="reserved", wanted=Jsonb(wanted))
        expect(claim.rowcount, 1)
        stocks = dict(reservations._LOCK.run(connection, ids=ids).fetchall())
        expect(all(stocks[one] >= quantity for one, quantity in wanted), True)
        return reservations._TAKE.run(connection, order=order_id, ids=ids, quantities=quantities).fetchall()

    def _confirm(self, connection: Any, order_id: str, rows: list[Any]) -> None:
        now, names = clock.now(), ("product_id", "name", "quantity", "unit_price")
        lines = [dict(zip(names, row, strict=True)) for row in rows]
        event = {"type": "order.confirmed", "order": {"id": order_id, "items": lines}}
        done = store._change.run(
            connection, order_id=order_id, was="pending", event_id=str(uuid_utils.uuid7()), type="order.confirmed",
            event=json.dumps(event, default=float), new_status="confirmed", new_lines=json.dumps(lines, default=str),
            new_reasons="[]", new_updated_at=now, new_decided_at=now, new_stock_returned=None, request_id=order_id,
            trace_header=None,
        )  # fmt: skip
        expect(done.rowcount, 1)
