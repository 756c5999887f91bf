"""Products: what is stored is what is answered, money is exact, lists go by pages."""

import json
from decimal import Decimal

import pytest


@pytest.fixture
def make_product(products):
    def make(**fields):
        answer = products("POST", "/products", {"name": "Apple", "price": 1.5, "stock": 10} | fields, role="admin")
        assert answer.status == 201, answer.text
        return answer.json

    return make


def test_a_product_is_answered_as_it_is_stored(products):
    body = '{"name": " 사과 ", "description": "달다", "price": 29.90, "stock": 3}'

    answer = products("POST", "/products", raw=body, role="admin")

    assert (answer.status, answer.headers["location"]) == (201, "./products/2")
    assert '"price":29.90,' in answer.text
    product = answer.json
    assert {key: product[key] for key in ("id", "name", "description", "stock")} == {
        "id": 2, "name": "사과", "description": "달다", "stock": 3,
    }  # fmt: skip
    assert products("GET", "/products/2").text == answer.text
    assert products("GET", "/products").text == f"[{answer.text}]"


@pytest.mark.parametrize("price", ["0", "0.01", "5", "29.99", "1e2", "1.10", "99999999.99", "99999999.9"])
def test_a_price_keeps_its_digits(products, price):
    answer = products("POST", "/products", raw=f'{{"name": "A", "price": {price}}}', role="admin")

    assert answer.status == 201
    assert json.loads(answer.text, parse_float=Decimal)["price"] == Decimal(price)
