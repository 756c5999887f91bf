"""Reservations under many at once: never more than there is, never a part of an order, never twice."""

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from uuid import uuid4

import pytest

OPERATIONS, THREADS = 5_000, 16


@pytest.fixture
def stock_of(products):
    return lambda product: products("GET", f"/products/{product['id']}").json["stock"]


@pytest.fixture
def reserve(products):
    def ask(order, *lines):
        items = [{"product_id": product["id"], "quantity": quantity} for product, quantity in lines]
        return products("PUT", f"/internal/reservations/{order}", {"items": items})

    return ask


@pytest.fixture
def release(products):
    return lambda order: products("DELETE", f"/internal/reservations/{order}")


def rejected(answer):
    assert (answer.status, answer.json["status"]) == (409, "rejected")
    return [(one["product_id"], one["reason"], one["available"]) for one in answer.json["reasons"]]


def test_a_reservation_takes_every_line_and_answers_with_names_and_prices(make_product, reserve, stock_of):
    apple, pear = make_product(name="Apple", price=1.1, stock=5), make_product(name="Pear", price=20, stock=1)
    order = uuid4()

    answer = reserve(order, (pear, 1), (apple, 2))

    assert answer.status == 200
    assert answer.json == {
        "status": "reserved",
        "items": [
            {"product_id": apple["id"], "name": "Apple", "quantity": 2, "unit_price": 1.1},
            {"product_id": pear["id"], "name": "Pear", "quantity": 1, "unit_price": 20},
        ],
    }
    assert '"unit_price":1.10}' in answer.text
    assert (stock_of(apple), stock_of(pear)) == (3, 0)


def test_a_repeat_gets_the_first_answer_and_takes_nothing(products, make_product, reserve, stock_of):
    apple, order = make_product(stock=5), uuid4()
    first = reserve(order, (apple, 2))
    products("PATCH", f"/products/{apple['id']}", {"name": "Other", "price": 9}, role="admin")

    again = reserve(order, (apple, 2))

    assert (again.status, again.text) == (200, first.text)
    assert stock_of(apple) == 3


def test_a_reservation_asked_for_50_times_at_once_is_one(make_product, reserve, stock_of):
    apple, order = make_product(stock=50), uuid4()
    with ThreadPoolExecutor(50) as threads:
        asked = [threads.submit(reserve, order, (apple, 1)) for _ in range(50)]

    assert len({(one.result().status, one.result().text) for one in asked}) == 1
    assert stock_of(apple) == 49


def test_a_refusal_names_every_reason_takes_nothing_and_stays(products, make_product, reserve, stock_of):
    apple, pear, gone = make_product(stock=5), make_product(stock=1), make_product(stock=9)
    products("DELETE", f"/products/{gone['id']}", role="admin")
    order, lines = uuid4(), [({"id": 999}, 1), (gone, 1), (apple, 5), (pear, 2)]

    first = reserve(order, *lines)
    products("POST", f"/products/{pear['id']}/stock", {"delta": 100}, role="admin")
    again = reserve(order, *lines)

    assert rejected(first) == [
        (pear["id"], "insufficient_stock", 1),
        (gone["id"], "product_not_found", 0),
        (999, "product_not_found", 0),
    ]
    assert again.text == first.text
    assert (stock_of(apple), stock_of(pear)) == (5, 101)


def test_an_order_that_asks_for_something_else_is_refused(make_product, reserve, stock_of):
    apple, order = make_product(stock=5), uuid4()
    reserve(order, (apple, 2))

    assert reserve(order, (apple, 3)).error[:2] == (422, "idempotency_conflict")
    assert stock_of(apple) == 3


def test_a_release_returns_the_stock_once(products, make_product, reserve, release, stock_of):
    apple, pear, order = make_product(stock=5), make_product(stock=5), uuid4()
    reserve(order, (apple, 2), (pear, 3))
    products("DELETE", f"/products/{pear['id']}", role="admin")
    with ThreadPoolExecutor(16) as threads:
        answers = [one.result() for one in [threads.submit(release, order) for _ in range(16)]]

    assert {(answer.status, answer.text) for answer in answers} == {(200, '{"status":"released"}')}
    assert stock_of(apple) == 5
    assert rejected(reserve(order, (apple, 2), (pear, 3))) == []
    assert stock_of(apple) == 5


def test_a_release_before_its_reservation_keeps_that_from_being_made(make_product, reserve, release, stock_of):
    apple, order = make_product(stock=5), uuid4()

    assert release(order).status == release(order).status == 200

    assert rejected(reserve(order, (apple, 2))) == []
    assert release(order).json == {"status": "released"}
    assert stock_of(apple) == 5


def test_a_release_of_what_was_rejected_returns_nothing(make_product, reserve, release, stock_of):
    apple, order = make_product(stock=1), uuid4()
    reserve(order, (apple, 2))

    assert release(order).status == 200
    assert stock_of(apple) == 1


def test_a_reservation_that_meets_its_release_leaves_the_stock_whole(make_product, reserve, release, stock_of):
    apple = make_product(stock=5)
    with ThreadPoolExecutor(2) as threads:
        for _ in range(50):
            order = uuid4()
            pair = [threads.submit(reserve, order, (apple, 1)), threads.submit(release, order)]
            assert pair[0].result().status in (200, 409)
            assert pair[1].result().status == 200
            assert stock_of(apple) == 5


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([], "items"),
        (None, "items"),
        ([{"product_id": 2, "quantity": 0}], "items.0.quantity"),
        ([{"product_id": 2, "quantity": 1.5}], "items.0.quantity"),
        ([{"product_id": "2", "quantity": 1}], "items.0.product_id"),
        ([{"product_id": 2**31, "quantity": 1}], "items.0.product_id"),
        ([{"product_id": number, "quantity": 1} for number in range(1, 52)], "items"),
        ([{"product_id": 2, "quantity": 1}, {"product_id": 2, "quantity": 1}], ""),
    ],
)
def test_a_reservation_that_is_wrong_is_refused_by_its_field(products, make_product, stock_of, items, field):
    apple = make_product(stock=5)

    answer = products("PUT", f"/internal/reservations/{uuid4()}", {"items": items})

    assert (answer.status, [detail["field"] for detail in answer.json["details"]]) == (400, [field])
    assert stock_of(apple) == 5


def test_an_order_is_named_by_a_uuid_in_either_case(products, make_product, reserve, stock_of):
    apple, order = make_product(stock=5), str(uuid4())

    assert [reserve(one, (apple, 1)).status for one in (order, order.upper())] == [200, 200]
    assert stock_of(apple) == 4
    assert products("DELETE", "/internal/reservations/x").error[:2] == (404, "not_found")


# Invariants


def test_64_buyers_of_the_last_unit_are_one_and_63(make_product, reserve, stock_of):
    with ThreadPoolExecutor(64) as threads:
        for _ in range(20):
            apple = make_product(stock=1)
            buyers = [threads.submit(reserve, uuid4(), (apple, 1)) for _ in range(64)]

            assert sorted(buyer.result().status for buyer in buyers) == [200] + [409] * 63
            assert stock_of(apple) == 0


def test_orders_that_want_the_same_products_in_another_order_never_wait_in_a_circle(make_product, reserve, stock_of):
    apple, pear = make_product(stock=10), make_product(stock=10)
    pairs = [[(apple, 1), (pear, 1)], [(pear, 1), (apple, 1)]]
    with ThreadPoolExecutor(32) as threads:
        buyers = [threads.submit(reserve, uuid4(), *pairs[number % 2]) for number in range(64)]

    assert sorted(buyer.result().status for buyer in buyers) == [200] * 10 + [409] * 54
    assert (stock_of(apple), stock_of(pear)) == (0, 0)


class Clerk:
    """One of many who order, cancel and restock at random, and what they were told."""

    def __init__(self, seed, products, reserve, release, goods):
        self.random, self.goods = random.Random(seed), goods
        self.products, self.reserve, self.release = products, reserve, release
        self.held, self.sold, self.put_in = [], dict.fromkeys(goods, 0), dict.fromkeys(goods, 0)

    def work(self, operations):
        for _ in range(operations):
            self.random.choices([self.order, self.cancel, self.restock, self.cancel_first], [6, 3, 2, 1])[0]()

    def order(self):
        order, chosen = uuid4(), self.random.sample(sorted(self.goods), self.random.randint(1, 3))
        lines = [({"id": number}, self.random.randint(1, 3)) for number in chosen]
        answers = [self.reserve(order, *lines) for _ in range(self.random.choice([1, 1, 2]))]
        assert len({(answer.status, answer.text) for answer in answers}) == 1
        assert answers[0].status in (200, 409)
        if answers[0].status == 200:
            self.held.append((order, lines))
            self.count(lines, 1)

    def cancel(self):
        if self.held:
            order, lines = self.held.pop(self.random.randrange(len(self.held)))
            assert self.release(order).status == 200
            self.count(lines, -1)

    def cancel_first(self):
        order, [number] = uuid4(), self.random.sample(sorted(self.goods), 1)
        assert self.release(order).status == 200
        assert self.reserve(order, ({"id": number}, 1)).status == 409

    def restock(self):
        [number], delta = self.random.sample(sorted(self.goods), 1), self.random.randint(-2, 4)
        answer = self.products("POST", f"/products/{number}/stock", {"delta": delta}, role="admin")
        assert answer.status in (200, 409)
        if answer.status == 200:
            self.put_in[number] += delta

    def count(self, lines, sign):
        for product, quantity in lines:
            self.sold[product["id"]] += sign * quantity


UNBALANCED = """
SELECT id, stock FROM products.products AS product WHERE stock < 0 OR stock <> (
    SELECT sum(delta) FROM products.stock_changes WHERE product_id = product.id
) - (
    SELECT coalesce(sum(quantity), 0) FROM products.reserved_items JOIN products.reservations USING (order_id)
    WHERE product_id = product.id AND status = 'reserved'
)
"""


def samples(database, ended):
    """Products whose stock was wrong at any of many moments; one statement sees one moment."""
    wrong = []
    with database.connect(database.name) as connection:
        while not ended.wait(0.05):
            wrong += connection.execute(UNBALANCED).fetchall()
    return wrong


def test_the_stock_is_what_was_put_in_less_what_was_sold(products, make_product, reserve, release, stock_of, database):
    """5,000 random operations on 16 threads, 10 products of 20."""
    goods = [make_product(stock=20)["id"] for _ in range(10)]
    clerks = [Clerk(seed, products, reserve, release, goods) for seed in range(THREADS)]

    ended = Event()
    with ThreadPoolExecutor(THREADS + 1) as threads:
        watch = threads.submit(samples, database, ended)
        try:
            for done in [threads.submit(clerk.work, OPERATIONS // THREADS + 1) for clerk in clerks]:
                done.result()
        finally:
            ended.set()

    assert watch.result() == []
    for number in goods:
        put_in = 20 + sum(clerk.put_in[number] for clerk in clerks)
        sold = sum(clerk.sold[number] for clerk in clerks)
        assert stock_of({"id": number}) == put_in - sold >= 0
    assert sum(sum(clerk.sold.values()) for clerk in clerks) > 0
