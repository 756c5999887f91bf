"""Orders after they are placed: who sees them, who cancels and fulfils them, and until when."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from microservices.tests.running import NOBODY


@pytest.fixture
def order(shop):
    """Ana's confirmed order of 2 of 10 pens."""
    return shop.order((shop.sell(stock=10), 2)).json


def test_an_order_is_its_owners_and_admins(shop, order):
    target = f"/orders/{order['id']}"

    assert shop.get(target).json == shop.get(target, account="boss", role="admin").json == order
    assert shop.get(target, account="bo").error == (404, "order_not_found", "Order not found")
    assert shop.cancel(order["id"], account="bo").error[:2] == (404, "order_not_found")
    assert shop.fulfil(order["id"], role="user", account="ana").error[:2] == (403, "forbidden")
    assert shop.get(target).json == order


@pytest.mark.parametrize(
    "order_id", ["0192e505-9000-74d4-ae3f-8f9bae5d8b40", "1", "x" * 1000, "%00", "00000000-0000-0000-0000-00000000000g"]
)
def test_an_unknown_order_is_404(shop, order_id):
    assert shop.get(f"/orders/{order_id}").error[:2] == (404, "order_not_found")
    assert shop.cancel(order_id).error[:2] == (404, "order_not_found")
    assert shop.fulfil(order_id).error[:2] == (404, "order_not_found")


@pytest.mark.parametrize("target", ["/orders", "/orders/x", "/orders/x/cancel", "/orders/x/fulfil"])
def test_nobody_is_refused(shop, target):
    method = "POST" if target.count("/") == 3 else "GET"

    answer = shop.ask(method, target)

    assert answer.error[:2] == (401, "authorization_required")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_list_has_the_callers_orders_newest_first(shop):
    pen = shop.sell(stock=100)
    mine = [shop.order((pen, 1)).json["id"] for _ in range(3)]
    shop.order((pen, 1), account="bo")

    assert [one["id"] for one in shop.get("/orders").json] == mine[::-1]
    assert "x-next-cursor" not in shop.get("/orders").headers


def test_pages_have_every_order_once_while_others_are_placed(shop):
    pen = shop.sell(stock=100)
    there = {shop.order((pen, 1)).json["id"] for _ in range(7)}

    seen, target = [], "/orders?limit=2"
    while target:
        page = shop.get(target)
        shop.order((pen, 1))
        seen += [one["id"] for one in page.json]
        cursor = page.headers.get("x-next-cursor")
        assert ("link" in page.headers) == bool(cursor)
        target = cursor and f"/orders?limit=2&cursor={cursor}"

    assert seen == sorted(there, reverse=True)


def test_admins_see_every_account_and_choose_one(shop):
    pen = shop.sell(stock=100)
    anas = shop.order((pen, 1)).json["id"]
    bos = shop.order((pen, 1), account="bo").json["id"]

    def ids(target, **caller):
        return [one["id"] for one in shop.get(target, **caller).json]

    assert ids("/orders", account="boss", role="admin") == [bos, anas]
    assert ids("/orders?account_id=bo", account="boss", role="admin") == [bos]
    assert ids("/orders?account_id=ana") == [anas]
    assert shop.get("/orders?account_id=bo").error[:2] == (403, "forbidden")


def test_a_list_is_filtered_by_status_across_pages(shop):
    pen = shop.sell(stock=2)
    confirmed = [shop.order((pen, 1)).json["id"] for _ in range(2)]
    for _ in range(3):
        shop.order((pen, 1))

    first = shop.get("/orders?status=rejected&limit=2")
    cursor = first.headers["x-next-cursor"]
    second = shop.get(f"/orders?status=rejected&limit=2&cursor={cursor}")

    assert [len(first.json), len(second.json)] == [2, 1]
    assert "status=rejected" in first.headers["link"]
    assert [one["id"] for one in shop.get("/orders?status=confirmed").json] == confirmed[::-1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("status=lost", "status"),
        ("status=", "status"),
        ("account_id=%00", "account_id"),
        ("account_id=", "account_id"),
        ("cursor=x", "cursor"),
        ("cursor=WyJ4Il0", "cursor"),
    ],
)
def test_a_wrong_parameter_is_named(shop, query, field):
    answer = shop.get(f"/orders?{query}", role="admin")

    assert answer.error[:2] == (400, "validation_error")
    assert [one["field"] for one in answer.json["details"]] == [field]


@pytest.mark.parametrize("query", ["account_id=bo", "account_id=bo&limit=0", "account_id=%00", "account_id=&cursor=x"])
def test_rights_are_checked_before_parameters(shop, query):
    assert shop.get(f"/orders?{query}").error == (403, "forbidden", "Forbidden")


def test_a_cancelled_order_returns_its_stock_once(shop, order):
    pen = order["items"][0]["product_id"]

    first, again = shop.cancel(order["id"]), shop.cancel(order["id"])

    assert first.status == again.status == 200
    assert first.json == order | {"status": "cancelled", "updated_at": first.json["updated_at"]}
    assert again.json == first.json
    assert (shop.stock(pen), shop.events()) == (10, ["order.confirmed", "order.cancelled"])
    assert shop.rows("SELECT stock_returned FROM orders.orders") == [(True,)]


def test_a_cancelled_order_owes_its_stock_while_products_is_away(shop, order, products_url, connect_to):
    connect_to(NOBODY)

    assert shop.cancel(order["id"]).json["status"] == "cancelled"
    assert shop.rows("SELECT stock_returned FROM orders.orders") == [(False,)]

    connect_to(products_url)
    assert shop.cancel(order["id"]).status == 200
    assert shop.rows("SELECT stock_returned FROM orders.orders") == [(True,)]
    assert shop.stock(order["items"][0]["product_id"]) == 10
    assert shop.events() == ["order.confirmed", "order.cancelled"]


def test_owners_cancel_within_the_window_and_admins_always(shop, order, set_clock, monkeypatch):
    monkeypatch.setenv("CANCEL_WINDOW_SECONDS", "100")
    other = shop.order((order["items"][0]["product_id"], 1)).json
    [(created,)] = shop.rows("SELECT created_at FROM orders.orders WHERE id = %s", order["id"])
    end = created + timedelta(seconds=100)

    set_clock(end)
    late = shop.cancel(order["id"])
    assert late.error == (409, "not_cancellable", "Order cannot be cancelled")
    assert shop.cancel(order["id"], account="boss", role="admin").json["status"] == "cancelled"
    assert shop.cancel(order["id"]).json["status"] == "cancelled"  # unchanged, so at any time
    [(created,)] = shop.rows("SELECT created_at FROM orders.orders WHERE id = %s", other["id"])
    set_clock(created + timedelta(seconds=100, microseconds=-1))
    assert shop.cancel(other["id"]).json["status"] == "cancelled"


def test_a_fulfilled_order_stays_so(shop, order):
    pen = order["items"][0]["product_id"]

    first, again = shop.fulfil(order["id"]), shop.fulfil(order["id"])

    assert first.json == order | {"status": "fulfilled", "updated_at": first.json["updated_at"]}
    assert again.json == first.json
    assert shop.cancel(order["id"]).error[:2] == (409, "not_cancellable")
    assert (shop.stock(pen), shop.events()) == (8, ["order.confirmed", "order.fulfilled"])


@pytest.mark.parametrize("status", ["pending", "rejected", "cancelled"])
def test_only_a_confirmed_order_is_fulfilled(shop, order, connect_to, status):
    pen = order["items"][0]["product_id"]
    if status == "cancelled":
        shop.cancel(order["id"])
    if status == "rejected":
        shop.order((pen, 100))
    if status == "pending":
        connect_to(NOBODY)
        shop.order((pen, 1))
    [found] = shop.get(f"/orders?status={status}").json

    assert shop.fulfil(found["id"]).error == (409, "not_fulfillable", "Order cannot be fulfilled")
    if status != "cancelled":
        assert shop.cancel(found["id"]).error[:2] == (409, "not_cancellable")
    assert shop.get(f"/orders/{found['id']}").json == found


def test_of_a_cancel_and_a_fulfilment_at_once_one_wins(shop):
    pen = shop.sell(stock=20)
    with ThreadPoolExecutor(4) as threads:
        for _ in range(10):
            order_id = shop.order((pen, 1)).json["id"]
            asked = [threads.submit(one, order_id) for one in (shop.cancel, shop.fulfil) * 2]
            answers = [one.result() for one in asked]

            final = shop.get(f"/orders/{order_id}").json["status"]
            winners = answers[0::2] if final == "cancelled" else answers[1::2]
            assert {one.json["status"] for one in winners} == {final}
            assert {one.status for one in answers if one not in winners} == {409}

    statuses = [one["status"] for one in shop.get("/orders").json]
    assert shop.stock(pen) == 10 + statuses.count("cancelled")
    assert sorted(shop.events()) == sorted(["order.confirmed"] * 10 + [f"order.{one}" for one in statuses])
