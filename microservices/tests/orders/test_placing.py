"""Placing orders: the outcome, what a repeat gets, and what is refused before anything is kept."""

from urllib.parse import urljoin

import pytest

from microservices.tests.running import NOBODY


def test_a_confirmed_order_has_names_prices_and_its_stock(shop):
    pen, ink = shop.sell(price=29.99, stock=10), shop.sell(name="Ink", price=0.1, stock=5)

    answer = shop.order((ink, 3), (pen, 2))

    assert answer.status == 201
    order = answer.json
    assert order == {
        "id": order["id"],
        "account_id": "ana",
        "status": "confirmed",
        "items": [
            {"product_id": ink, "name": "Ink", "quantity": 3, "unit_price": 0.1, "line_total": 0.3},
            {"product_id": pen, "name": "Pen", "quantity": 2, "unit_price": 29.99, "line_total": 59.98},
        ],
        "total": 60.28,
        "created_at": order["created_at"],
        "updated_at": order["updated_at"],
    }
    assert '"line_total":0.30' in answer.text  # 0.1 × 3 is 0.30000000000000004 in binary
    assert urljoin("http://localhost/api/orders", answer.headers["location"]) == (
        f"http://localhost/api/orders/{order['id']}"
    )
    assert answer.headers["cache-control"] == "no-store"
    assert "idempotency-replayed" not in answer.headers
    assert (shop.stock(pen), shop.stock(ink)) == (8, 2)
    assert shop.get(f"/orders/{order['id']}").json == order
    assert shop.events() == ["order.confirmed"]


def test_a_product_that_is_named_twice_is_added_up(shop):
    pen = shop.sell(stock=2000)

    order = shop.order((pen, 1000), (pen, 200)).json

    assert [(line["product_id"], line["quantity"]) for line in order["items"]] == [(pen, 1200)]
    assert shop.stock(pen) == 800


def test_a_repeat_gets_the_first_answer_and_changes_nothing(shop):
    pen = shop.sell(stock=10)
    first = shop.order((pen, 2), key="once")

    repeats = [shop.order((pen, 2), key="once") for _ in range(3)]

    assert {(one.status, one.text) for one in repeats} == {(201, first.text)}
    assert {one.headers["location"] for one in repeats} == {first.headers["location"]}
    assert {one.headers["idempotency-replayed"] for one in repeats} == {"true"}
    assert (shop.stock(pen), shop.events()) == (8, ["order.confirmed"])


@pytest.mark.parametrize(("change", "status"), [("cancel", "cancelled"), ("fulfil", "fulfilled")])
def test_a_repeat_gets_the_order_as_it_was_answered_first(shop, later, change, status):
    first = shop.order((shop.sell(), 2), key="once")
    later(60)
    changed = getattr(shop, change)(first.json["id"])

    repeat = shop.order((first.json["items"][0]["product_id"], 2), key="once")

    assert (changed.status, changed.json["status"]) == (200, status)
    assert (repeat.status, repeat.text) == (201, first.text)


def test_a_key_belongs_to_one_order_of_one_account(shop):
    pen = shop.sell(stock=10)
    first = shop.order((pen, 2), key="once")

    other_body = shop.order((pen, 3), key="once")
    other_account = shop.order((pen, 3), key="once", account="bo")

    assert other_body.error[:2] == (422, "idempotency_conflict")
    assert other_account.status == 201
    assert other_account.json["id"] != first.json["id"]
    assert shop.stock(pen) == 5


def test_too_little_stock_takes_nothing_and_the_order_is_kept_as_rejected(shop):
    pen, ink = shop.sell(stock=10), shop.sell(name="Ink", stock=1)

    answer = shop.order((pen, 1), (ink, 2), key="once")

    assert answer.error == (409, "insufficient_stock", "Insufficient stock")
    assert answer.json["details"] == [{"product_id": ink, "reason": "insufficient_stock", "available": 1}]
    assert (shop.stock(pen), shop.stock(ink)) == (10, 1)
    [order] = shop.get("/orders").json
    assert order["status"] == "rejected"
    assert order["items"][1] == {
        "product_id": ink, "name": None, "quantity": 2, "unit_price": None, "line_total": None,
    }  # fmt: skip
    assert order["total"] is None
    assert shop.events() == ["order.rejected"]


@pytest.mark.parametrize("product_id", [7, 2**31, 2**53 - 1])
def test_an_unknown_product_is_404_and_the_order_is_kept_as_rejected(shop, product_id):
    answer = shop.order((product_id, 1))

    assert answer.error == (404, "product_not_found", "Product not found")
    assert answer.json["details"] == [{"product_id": product_id, "reason": "product_not_found", "available": 0}]
    assert [order["status"] for order in shop.get("/orders").json] == ["rejected"]


def test_a_repeat_of_a_rejected_order_gets_the_same_bytes_though_there_is_stock_now(shop):
    pen = shop.sell(stock=1)
    first = shop.order((pen, 2), key="once")
    with shop.connect() as connection:
        connection.execute("UPDATE products.products SET stock = 100")

    repeat = shop.order((pen, 2), key="once")

    assert (repeat.status, repeat.text) == (409, first.text)
    assert repeat.headers["idempotency-replayed"] == "true"
    assert repeat.headers["x-request-id"] != first.headers["x-request-id"] == repeat.json["request_id"]


def test_a_later_price_does_not_change_an_order(shop):
    pen = shop.sell(price=5)
    order = shop.order((pen, 1)).json
    with shop.connect() as connection:
        connection.execute("UPDATE products.products SET price = 6, name = 'Other'")

    assert shop.get(f"/orders/{order['id']}").json == order


WRONG = {
    "no field": {},
    "no list": {"items": {}},
    "no line": {"items": []},
    "51 lines": {"items": [{"product_id": 1, "quantity": 1}] * 51},
    "no quantity": {"items": [{"product_id": 1}]},
    "no product": {"items": [{"quantity": 1}]},
    **{
        f"quantity {value!r}": {"items": [{"product_id": 1, "quantity": value}]}
        for value in (0, -1, 1001, 1.0, 1.5, "1", True, None)
    },
    **{
        f"product {value!r}": {"items": [{"product_id": value, "quantity": 1}]}
        for value in (0, -1, 2**53, 10**30, 1.0, "1", True, None)
    },
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_a_wrong_body_is_named_and_nothing_is_kept(shop, body):
    answer = shop.ask("POST", "/orders", body, role="user", headers={"Idempotency-Key": "k"})

    assert answer.error[:2] == (400, "validation_error")
    assert answer.json["details"][0]["field"].startswith("items")
    assert shop.get("/orders").json == []


def test_a_key_is_required(shop):
    body = {"items": [{"product_id": 1, "quantity": 1}]}

    assert shop.ask("POST", "/orders", body, role="user").error == (
        400, "idempotency_key_required", "Idempotency-Key header required",
    )  # fmt: skip
    assert shop.get("/orders").json == []


@pytest.mark.parametrize("key", ["a b", "a" * 65, "é", "a/b"])
def test_a_key_has_1_to_64_safe_characters(shop, key):
    answer = shop.order((1, 1), key=key)

    assert answer.error[:2] == (400, "validation_error")
    assert answer.json["details"][0]["field"] == "Idempotency-Key"


def test_the_longest_order_is_taken(shop):
    ids = [shop.sell(stock=1000, name=f"가{number}" * 60, price=99_999_999.99) for number in range(50)]

    answer = shop.order(*((product_id, 1000) for product_id in ids), key="k" * 64)

    assert answer.status == 201
    assert answer.json["total"] == 4_999_999_999_500.0
    assert '"total":4999999999500.00' in answer.text


def test_a_request_is_checked_in_the_contracts_order(shop):
    huge = "x" * (64 * 1024 + 1)

    statuses = [
        shop.ask("POST", "/order", raw=huge).status,
        shop.ask("PATCH", "/orders", raw=huge).status,
        shop.ask("POST", "/orders", raw=huge).status,
        shop.ask("POST", "/orders", raw=huge, role="user").status,
        shop.ask("POST", "/orders", raw="<a/>", role="user", headers={"Content-Type": "text/xml"}).status,
        shop.ask("POST", "/orders", raw="[]", role="user").status,
        shop.order((7, 1)).status,
    ]

    assert statuses == [404, 405, 401, 413, 415, 400, 404]


def test_without_products_an_order_stays_pending_and_its_key_gets_the_outcome_later(shop, products_url, connect_to):
    pen = shop.sell(stock=10)
    connect_to(NOBODY)

    refused = [shop.order((pen, 2), key="once") for _ in range(2)]

    assert {one.error[:2] for one in refused} == {(503, "products_unavailable")}
    assert {one.headers["retry-after"] for one in refused} == {"1"}
    assert [order["status"] for order in shop.get("/orders").json] == ["pending"]
    assert (shop.stock(pen), shop.events()) == (10, [])

    connect_to(products_url)
    answer = shop.order((pen, 2), key="once")

    assert (answer.status, answer.json["status"]) == (201, "confirmed")
    assert answer.headers["idempotency-replayed"] == "true"
    assert (shop.stock(pen), shop.events()) == (8, ["order.confirmed"])


def test_an_order_that_somebody_else_decides_meanwhile_has_one_event(shop, monkeypatch):
    """The sweep and a request may both have the products service's answer; the first of them writes."""
    from orders import placing
    from shared import postgres

    pen = shop.sell(stock=10)
    decide = placing.decide

    def decide_slowly(order):
        decided = decide(order)
        with postgres.reading() as connection:
            placing.settle(connection, decide(order))
        return decided

    monkeypatch.setattr(placing, "decide", decide_slowly)
    answer = shop.order((pen, 2))

    assert answer.json == shop.get(f"/orders/{answer.json['id']}").json
    assert (shop.stock(pen), shop.events()) == (8, ["order.confirmed"])
