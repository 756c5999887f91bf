"""The sweep: what a crash or an absent service has left is finished, once, and by one of many."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import pytest

from microservices.tests.running import NOBODY


@pytest.fixture
def sweep(shop):
    from orders import sweep as module

    return lambda: module.sweep(Event())


@pytest.fixture
def pend(shop, products_url, connect_to):
    """Leave an order pending, as a crash after its first step does."""

    def leave(*items, **options):
        connect_to(NOBODY)
        assert shop.order(*items, **options).status == 503
        connect_to(products_url)
        [found] = shop.get("/orders?status=pending&limit=1").json
        return found["id"]

    return leave


def status(shop, order_id):
    return shop.get(f"/orders/{order_id}").json["status"]


def test_an_order_is_decided_once_it_is_15_seconds_old(shop, sweep, pend, later, set_clock):
    pen = shop.sell(stock=3)
    enough, too_many = pend((pen, 2)), pend((pen, 2))
    [(first,)] = shop.rows("SELECT created_at FROM orders.orders WHERE id = %s", enough)

    set_clock(first + timedelta(seconds=15, microseconds=-1))
    sweep()
    assert (status(shop, enough), status(shop, too_many), shop.events()) == ("pending", "pending", [])

    set_clock(first + timedelta(seconds=15))
    sweep()
    assert (status(shop, enough), status(shop, too_many)) == ("confirmed", "pending")
    later(1)
    sweep()
    assert (status(shop, enough), status(shop, too_many)) == ("confirmed", "rejected")
    sweep()
    assert (shop.stock(pen), shop.events()) == (1, ["order.confirmed", "order.rejected"])


def test_the_sweeps_outcome_is_what_the_key_gets(shop, sweep, pend, later):
    pen = shop.sell(stock=1)
    pend((pen, 1), key="one")
    pend((pen, 1), key="two")
    later(15)
    sweep()

    confirmed, rejected = shop.order((pen, 1), key="one"), shop.order((pen, 1), key="two")

    assert (confirmed.status, rejected.status) == (201, 409)
    assert confirmed.headers["idempotency-replayed"] == rejected.headers["idempotency-replayed"] == "true"
    assert rejected.text == shop.order((pen, 1), key="two").text


def test_after_ten_minutes_an_order_is_rejected_and_its_stock_released(
    shop, sweep, pend, later, products_url, connect_to
):
    pen = shop.sell(stock=10)
    order_id = pend((pen, 2), key="once")
    reserve(shop, order_id, pen, 2)  # the crash came after the second step
    assert shop.stock(pen) == 8
    connect_to(NOBODY)

    later(599)
    sweep()
    assert status(shop, order_id) == "pending"
    later(1)
    sweep()
    assert (status(shop, order_id), shop.stock(pen)) == ("rejected", 8)  # products is away still
    connect_to(products_url)
    sweep()

    assert (status(shop, order_id), shop.stock(pen)) == ("rejected", 10)
    assert shop.order((pen, 2), key="once").error[:2] == (409, "order_expired")
    assert shop.events() == ["order.rejected"]


def test_a_reservation_that_comes_after_the_rejection_takes_nothing(shop, sweep, pend, later):
    pen = shop.sell(stock=10)
    order_id = pend((pen, 2))
    later(600)
    sweep()

    assert reserve(shop, order_id, pen, 2) == 409
    assert (status(shop, order_id), shop.stock(pen)) == ("rejected", 10)


def test_stock_that_is_owed_is_returned_once(shop, sweep, products_url, connect_to):
    pen = shop.sell(stock=10)
    order_id = shop.order((pen, 2)).json["id"]
    connect_to(NOBODY)
    shop.cancel(order_id)
    sweep()
    assert shop.stock(pen) == 8

    connect_to(products_url)
    sweep()
    sweep()

    assert (shop.stock(pen), shop.rows("SELECT stock_returned FROM orders.orders")) == (10, [(True,)])


def test_an_order_that_cannot_be_decided_holds_up_no_other(shop, sweep, pend, later, monkeypatch):
    from orders import placing
    from orders.errors import ProductsUnavailable

    pen = shop.sell(stock=10)
    stuck, other = pend((pen, 1)), pend((pen, 2))
    later(15)
    reserve_stock = placing.reservations().reserve

    def fail_for_one(order):
        if order.id == stuck:
            raise ProductsUnavailable
        return reserve_stock(order)

    monkeypatch.setattr(placing.reservations(), "reserve", fail_for_one)
    sweep()

    assert (status(shop, stuck), status(shop, other)) == ("pending", "confirmed")


def test_sweeps_beside_each_other_share_and_wait_for_nobody(shop, pend, later):
    """One holds the first order; another decides the second meanwhile, and a request the first one's repeat."""
    from orders import store
    from orders import sweep as module
    from shared import clock, postgres

    pen = shop.sell(stock=10)
    first, second = pend((pen, 1)), pend((pen, 1))
    later(15)
    with postgres.transaction() as connection:
        held = store.lock_next_pending(connection, after=store.FIRST, until=clock.now())
        assert held.id == first
        module.sweep(Event())
        assert (status(shop, first), status(shop, second)) == ("pending", "confirmed")

    module.sweep(Event())
    assert status(shop, first) == "confirmed"


def test_many_orders_and_eight_sweeps_decide_each_once(shop, pend, later):
    from orders import sweep as module

    pen = shop.sell(stock=20)
    for _ in range(40):
        pend((pen, 1))
    later(15)

    with ThreadPoolExecutor(8) as threads:
        for sweep in [threads.submit(module.sweep, Event()) for _ in range(8)]:
            sweep.result()

    assert shop.stock(pen) == 0
    assert sorted(shop.events()) == ["order.confirmed"] * 20 + ["order.rejected"] * 20
    assert shop.get("/orders?status=pending").json == []


def test_a_sweep_that_shall_stop_begins_no_order(shop, pend, later):
    from orders import sweep as module

    order_id = pend((shop.sell(), 1))
    later(15)
    stop = Event()
    stop.set()
    module.sweep(stop)

    assert status(shop, order_id) == "pending"


def reserve(shop, order_id, product_id, quantity):
    """Reserve stock as the second step of placing does; the status."""
    items = [{"product_id": product_id, "quantity": quantity}]
    return shop.products("PUT", f"/internal/reservations/{order_id}", {"items": items}).status
