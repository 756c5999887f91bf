"""Many at once: nothing is sold twice, no order is placed twice. The drills do the same more often."""

from microservices.tests.orders.shop import Trade, race_for_the_last_unit, send_one_key_many_times


def test_64_buyers_of_the_last_unit_are_one_and_63(busy_shop):
    outcomes = race_for_the_last_unit(busy_shop, rounds=3)

    assert outcomes == {"201 confirmed": 3, "409 insufficient_stock": 189}


def test_one_key_sent_50_times_at_once_is_one_order(busy_shop):
    send_one_key_many_times(busy_shop)


def test_the_stock_adds_up_at_every_moment_of_random_operations(busy_shop):
    trade = Trade(busy_shop, seed=1)

    trade.run(operations=480)

    assert trade.samples >= 1
    assert {"order 201", "order 409", "repeat 201", "cancel 200", "fulfil 200", "restock 200"} <= set(trade.outcomes)
