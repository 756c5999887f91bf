"""Products and orders, as tests use them; and what must hold between their tables at every moment."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg
import urllib3

from microservices.tests.callers import Answer, Client, caller_headers
from microservices.tests.running import PATIENCE_SECONDS

ADMIN = {"X-Account-Id": "admin", "X-User-Role": "admin"}
# One statement sees one moment. A reservation belongs to an order that is sold, pending, or owes its stock.
BALANCE = """
WITH reserved AS (
    SELECT order_id, product_id, quantity
    FROM products.reserved_items JOIN products.reservations USING (order_id) WHERE status = 'reserved'
), sold AS (
    SELECT id, (line ->> 'product_id')::bigint AS product_id, (line ->> 'quantity')::bigint AS quantity
    FROM orders.orders, jsonb_array_elements(lines) AS line WHERE status IN ('confirmed', 'fulfilled')
)
SELECT
    (SELECT min(stock) FROM products.products),
    (SELECT count(*) FROM products.products AS p
     WHERE stock + coalesce((SELECT sum(quantity) FROM reserved WHERE product_id = p.id), 0)
        <> (SELECT sum(delta) FROM products.stock_changes WHERE product_id = p.id)),
    (SELECT count(*) FROM reserved LEFT JOIN orders.orders ON id = order_id
     WHERE id IS NULL OR NOT (status IN ('pending', 'confirmed', 'fulfilled') OR stock_returned IS FALSE)),
    (SELECT count(*) FROM sold LEFT JOIN reserved ON order_id = id AND reserved.product_id = sold.product_id
     WHERE reserved.quantity IS DISTINCT FROM sold.quantity)
"""
SOLD = """
SELECT (line ->> 'product_id')::bigint, sum((line ->> 'quantity')::bigint)
FROM orders.orders, jsonb_array_elements(lines) AS line WHERE status IN ('confirmed', 'fulfilled') GROUP BY 1
"""


@dataclass
class Direct(Client):
    """Requests to a container's service over kept connections, as the gateway sends them."""

    url: str
    pool: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(maxsize=64, retries=False, timeout=PATIENCE_SECONDS)
    )

    def __call__(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        role: str | None = None,
        account: str = "ana",
        headers: Any = None,
    ) -> Answer:
        given = caller_headers(role, account) | (headers or {})
        answer = self.pool.request(method, self.url + target, json=body, headers=given, timeout=PATIENCE_SECONDS)
        return Answer(
            answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data.decode()
        )


@dataclass
class Shop:
    """Both services, and what is in their tables."""

    connect: Callable[[], "psycopg.Connection[Any]"]
    products: Client
    ask: Client

    def sell(self, *, stock: int = 10, price: float = 29.9, name: str = "Pen") -> int:
        """Put a product on sale; its id."""
        product = {"name": name, "price": price, "stock": stock}
        answer = self.products("POST", "/products", product, role="admin")
        assert answer.status == 201, answer.text
        return answer.json["id"]

    def stock(self, product_id: int) -> int:
        return self.products("GET", f"/products/{product_id}").json["stock"]

    def restock(self, product_id: int, delta: int) -> Answer:
        return self.products("POST", f"/products/{product_id}/stock", {"delta": delta}, role="admin")

    def order(self, *items: tuple[int, int], key: str | None = None, account: str = "ana") -> Answer:
        """Order quantities of products, with a new key unless one is given."""
        body = {"items": [{"product_id": product_id, "quantity": quantity} for product_id, quantity in items]}
        headers = {"Idempotency-Key": key or str(uuid4())}
        return self.ask("POST", "/orders", body, role="user", account=account, headers=headers)

    def get(self, target: str, *, role: str = "user", account: str = "ana") -> Answer:
        return self.ask("GET", target, role=role, account=account)

    def cancel(self, order_id: str, *, role: str = "user", account: str = "ana") -> Answer:
        return self.ask("POST", f"/orders/{order_id}/cancel", role=role, account=account)

    def fulfil(self, order_id: str, *, role: str = "admin", account: str = "boss") -> Answer:
        return self.ask("POST", f"/orders/{order_id}/fulfil", role=role, account=account)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(query, values).fetchall()

    def events(self) -> list[str]:
        return [kind for (kind,) in self.rows("SELECT type FROM orders.outbox ORDER BY id")]

    def check_balance(self) -> None:
        """
        Check what must hold at every moment.

        No stock is below 0; with what is reserved it is what was put in; and each reservation has its order, each sold
        line its reservation.
        """
        [(least, wrong, stray, missing)] = self.rows(BALANCE)
        assert least >= 0
        assert (wrong, stray, missing) == (0, 0, 0)

    def sold(self) -> Counter[int]:
        """Units that are sold, by product."""
        return Counter(dict(self.rows(SOLD)))


def race_for_the_last_unit(shop: Shop, rounds: int, buyers: int = 64) -> Counter[str]:
    """Let many order a product of which there is one, several times; how often which answer came."""
    outcomes: Counter[str] = Counter()
    with ThreadPoolExecutor(buyers) as threads:
        for _ in range(rounds):
            product_id = shop.sell(stock=1)
            asked = [threads.submit(shop.order, (product_id, 1), account=f"buyer{n}") for n in range(buyers)]
            answers = [one.result() for one in asked]
            outcomes.update(f"{one.status} {one.json.get('status') or one.json['code']}" for one in answers)
            assert sorted(one.status for one in answers) == [201] + [409] * (buyers - 1)
            assert shop.stock(product_id) == 0
    return outcomes


def send_one_key_many_times(shop: Shop, times: int = 50) -> None:
    """Let an account send one order many times at once, and another account use its key."""
    product_id, key = shop.sell(stock=100), str(uuid4())
    with ThreadPoolExecutor(times) as threads:
        asked = [threads.submit(shop.order, (product_id, 2), key=key) for _ in range(times)]
        other = threads.submit(shop.order, (product_id, 1), key=key, account="bo").result()
        answers = [one.result() for one in asked]

    assert {(one.status, one.text) for one in answers} == {(201, answers[0].text)}
    assert sum("idempotency-replayed" not in one.headers for one in answers) == 1
    order_id = answers[0].json["id"]
    assert other.status == 201
    assert other.json["id"] != order_id
    assert shop.stock(product_id) == 97
    assert shop.rows("SELECT count(*) FROM orders.orders WHERE idempotency_key = %s", key) == [(2,)]
    assert shop.rows("SELECT count(*) FROM products.reserved_items WHERE product_id = %s", product_id) == [(2,)]
    assert shop.rows("SELECT count(*) FROM orders.outbox WHERE event::json #>> '{order,id}' = %s", order_id) == [(1,)]


class Trade:
    """Random operations on many threads: orders, repeats, cancels, fulfilments, restocks."""

    def __init__(self, shop: Shop, seed: int, products: int = 8) -> None:
        self._shop = shop
        self._seed = seed
        self._ids = [shop.sell(stock=50) for _ in range(products)]
        self._lock = threading.Lock()
        self._placed: list[tuple[str, str, tuple[tuple[int, int], ...], Answer]] = []
        self._added = Counter(dict.fromkeys(self._ids, 50))
        self.outcomes: Counter[str] = Counter()
        self.samples = 0

    def run(self, operations: int, threads: int = 16) -> None:
        """Do so many operations; check the balance every second meanwhile, and the whole at the end."""
        done = threading.Event()
        with ThreadPoolExecutor(threads + 1) as pool:
            watch = pool.submit(self._watch, done)
            share = [operations // threads + (number < operations % threads) for number in range(threads)]
            work = [pool.submit(self._work, f"{self._seed}-{number}", count) for number, count in enumerate(share)]
            try:
                for one in work:
                    one.result()
            finally:
                done.set()
            watch.result()
        self._check_end()

    def _watch(self, done: threading.Event) -> None:
        while not done.is_set():
            self._shop.check_balance()
            self.samples += 1
            done.wait(1)

    def _work(self, seed: str, operations: int) -> None:
        choice = random.Random(seed)
        kinds = [self._order, self._repeat, self._cancel, self._fulfil, self._restock]
        for _ in range(operations):
            [kind] = choice.choices(kinds, [60, 10, 15, 5, 10])
            answer = kind(choice)
            if answer is not None:
                name = f"{kind.__name__[1:]} {answer.status}"
                assert answer.status in (200, 201, 409), f"{name}: {answer.text}"
                with self._lock:
                    self.outcomes[name] += 1

    def _order(self, choice: random.Random) -> Answer:
        items = tuple(
            (product_id, choice.randint(1, 3)) for product_id in choice.sample(self._ids, choice.randint(1, 3))
        )
        account, key = choice.choice(["ana", "bo", "cy"]), str(uuid4())
        answer = self._shop.order(*items, key=key, account=account)
        with self._lock:
            self._placed.append((account, key, items, answer))
        return answer

    def _repeat(self, choice: random.Random) -> Answer | None:
        if not self._placed:
            return None
        account, key, items, first = choice.choice(self._placed)
        answer = self._shop.order(*items, key=key, account=account)
        assert (answer.status, answer.text) == (first.status, first.text)
        return answer

    def _cancel(self, choice: random.Random) -> Answer | None:
        account, order_id = self._some_order(choice)
        return self._shop.cancel(order_id, account=account) if order_id else None

    def _fulfil(self, choice: random.Random) -> Answer | None:
        _, order_id = self._some_order(choice)
        return self._shop.fulfil(order_id) if order_id else None

    def _some_order(self, choice: random.Random) -> tuple[str, str | None]:
        if not self._placed:
            return "", None
        account, _, _, answer = choice.choice(self._placed)
        return account, answer.json.get("id")

    def _restock(self, choice: random.Random) -> Answer:
        product_id, delta = choice.choice(self._ids), choice.randint(1, 20)
        answer = self._shop.restock(product_id, delta)
        with self._lock:
            self._added[product_id] += delta
        return answer

    def _check_end(self) -> None:
        """The stock is what was put in, less what is sold: nothing is pending, and nothing owed."""
        assert self._shop.rows("SELECT count(*) FROM orders.orders WHERE status = 'pending'") == [(0,)]
        assert self._shop.rows("SELECT count(*) FROM orders.orders WHERE stock_returned IS FALSE") == [(0,)]
        self._shop.check_balance()
        sold = self._shop.sold()
        assert {key: self._shop.stock(key) for key in self._ids} == {
            key: self._added[key] - sold[key] for key in self._ids
        }
        events = Counter(self._shop.events())
        orders = Counter(dict(self._shop.rows("SELECT status, count(*) FROM orders.orders GROUP BY status")))
        assert events["order.cancelled"] == orders["cancelled"]
        assert events["order.fulfilled"] == orders["fulfilled"]
        assert events["order.rejected"] == orders["rejected"]
        assert events["order.confirmed"] == orders["confirmed"] + orders["cancelled"] + orders["fulfilled"]
