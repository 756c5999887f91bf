"""Reservations under many at once: never more than there is, never a part of an order, never twice."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest


@pytest.fixture
def stock_of(products):
    return lambda product_id: products("GET", f"/products/{product_id}").json["stock"]


@pytest.fixture
def make_product(products):
    def make(stock, **fields):
        answer = products("POST", "/products", {"name": "A", "price": 1.5, "stock": stock} | fields, role="admin")
        assert answer.status == 201
        return answer.json["id"]

    return make


@pytest.fixture
def reserve(products):
    def ask(order, quantities):
        items = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in quantities.items()]
        return products("PUT", f"/internal/reservations/{order}", {"items": items})

    return ask


def test_64_buyers_of_the_last_unit_are_one_and_63(make_product, reserve, stock_of):
    with ThreadPoolExecutor(64) as threads:
        for _ in range(20):
            product_id = make_product(1)
            buyers = [threads.submit(reserve, uuid4(), {product_id: 1}) for _ in range(64)]

            assert sorted(buyer.result().status for buyer in buyers) == [200] + [409] * 63
            assert stock_of(product_id) == 0
