"""Writes with a key: done once, however often and in how many threads they are asked for."""

from concurrent.futures import ThreadPoolExecutor

import pytest

BODY = {"name": "Apple", "price": 1.5, "stock": 10}
KEY = {"Idempotency-Key": "key-1"}


def test_a_creation_asked_for_50_times_at_once_is_one(products):
    with ThreadPoolExecutor(50) as threads:
        asked = [threads.submit(products, "POST", "/products", BODY, role="admin", headers=KEY) for _ in range(50)]
    answers = [one.result() for one in asked]

    assert {answer.status for answer in answers} == {201}
    assert len({(answer.text, answer.headers["location"]) for answer in answers}) == 1
    assert sorted(answer.headers.get("idempotency-replayed", "") for answer in answers) == [""] + ["true"] * 49
    assert len(products("GET", "/products").json) == 1


def test_a_change_of_stock_asked_for_50_times_at_once_is_one(products, make_product):
    target = f"/products/{make_product(stock=10)['id']}/stock"
    with ThreadPoolExecutor(50) as threads:
        asked = [threads.submit(products, "POST", target, {"delta": -3}, role="admin", headers=KEY) for _ in range(50)]

    assert {one.result().text for one in asked} == {'{"id":2,"stock":7}'}
    assert products("GET", "/products/2").json["stock"] == 7


def test_the_first_answer_stays_after_the_product_has_changed(products):
    first = products("POST", "/products", BODY, role="admin", headers=KEY)
    products("PATCH", "/products/2", {"price": 9}, role="admin")

    again = products("POST", "/products", {"stock": 10, "price": 1.50, "name": " Apple "}, role="admin", headers=KEY)

    assert (again.status, again.text) == (201, first.text)


def test_a_key_is_its_accounts_own(products):
    answers = [
        products("POST", "/products", BODY, role="admin", account=account, headers=KEY) for account in ("ana", "bo")
    ]

    assert [answer.json["id"] for answer in answers] == [2, 3]


@pytest.mark.parametrize(
    ("path", "body"),
    [("/products", BODY | {"price": 2}), ("/products/2/stock", {"delta": 1}), ("/products", {**BODY, "stock": 0})],
)
def test_a_key_of_another_request_is_refused(products, path, body):
    products("POST", "/products", BODY, role="admin", headers=KEY)

    answer = products("POST", path, body, role="admin", headers=KEY)

    assert answer.error[:2] == (422, "idempotency_conflict")
    assert [product["stock"] for product in products("GET", "/products").json] == [10]


def test_a_refusal_is_an_answer_that_stays(products, make_product):
    """The client may have given up: a repeat that succeeds would surprise it."""
    target = f"/products/{make_product(stock=1)['id']}/stock"
    take = lambda: products("POST", target, {"delta": -5}, role="admin", headers=KEY)  # noqa: E731

    first = take()
    products("POST", target, {"delta": 100}, role="admin")
    again = take()

    assert first.error == again.error == (409, "insufficient_stock", "Insufficient stock")
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    assert products("GET", "/products/2").json["stock"] == 101


def test_a_request_that_was_wrong_uses_no_key_up(products):
    products("POST", "/products", BODY | {"price": -1}, role="admin", headers=KEY)
    products("POST", "/products/99/stock", {"delta": 1}, role="admin", headers=KEY)

    assert products("POST", "/products", BODY, role="admin", headers=KEY).status == 201


def test_a_write_that_fails_halfway_leaves_no_key(products, monkeypatch):
    from products import services

    with monkeypatch.context() as broken:
        broken.setattr(services, "dump", lambda _: 1 / 0)
        assert products("POST", "/products", BODY, role="admin", headers=KEY).status == 500

    assert products("GET", "/products").json == []
    assert products("POST", "/products", BODY, role="admin", headers=KEY).status == 201


@pytest.mark.parametrize("key", ["", "a b", "x" * 65, "é", "a/b"])
def test_a_key_of_another_form_is_refused(products, key):
    answer = products("POST", "/products", BODY, role="admin", headers={"Idempotency-Key": key})

    assert answer.error[:2] == (400, "validation_error")
    assert answer.json["details"][0]["field"] == "Idempotency-Key"
