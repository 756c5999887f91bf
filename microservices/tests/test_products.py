"""Products: what is stored is what is answered, money is exact, only admins write, nobody breaks the rules."""

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest

MISSING = "(missing)"  # never a value of a test


def message_of(answer):
    """Fields that an answer finds wrong."""
    assert (answer.status, answer.json["code"]) == (400, "validation_error"), answer.text
    return [detail["field"] for detail in answer.json["details"]]


# Money and rows


def test_a_product_is_answered_as_it_is_stored(products):
    body = '{"name": " 사과 ", "description": "달다", "price": 29.90, "stock": 3, "id": 7}'

    answer = products("POST", "/products", raw=body, role="admin")

    assert (answer.status, answer.headers["location"]) == (201, "./products/2")
    assert '"price":29.90,' in answer.text
    assert list(answer.json) == ["id", "name", "description", "price", "stock", "created_at"]
    assert list(answer.json.values())[:-1] == [2, "사과", "달다", 29.9, 3]
    assert products("GET", "/products/2").text == answer.text
    assert products("GET", "/products").text == f"[{answer.text}]"


def test_a_product_needs_a_name_and_a_price_alone(products):
    product = products("POST", "/products", {"name": "A", "price": 1}, role="admin").json

    assert (product["description"], product["stock"]) == (None, 0)


@pytest.mark.parametrize("price", ["0", "0.01", "5", "29.99", "1e2", "1.10", "99999999.99", "99999999.9", "0.10"])
def test_a_price_keeps_its_digits(products, price):
    created = products("POST", "/products", raw=f'{{"name": "A", "price": {price}}}', role="admin")

    assert created.status == 201
    for answer in (created, products("GET", f"/products/{created.json['id']}")):
        assert json.loads(answer.text, parse_float=Decimal)["price"] == Decimal(price)


def test_a_time_is_utc_to_the_millisecond(make_product, database):
    assert len(make_product()["created_at"]) == len("2026-01-02T03:04:05.678Z")
    with database.connect(database.name) as connection:
        [(stored,)] = connection.execute("SELECT created_at FROM products.products")
        [(kind, can_be_null)] = connection.execute(
            "SELECT data_type, is_nullable FROM information_schema.columns"
            " WHERE (table_schema, table_name, column_name) = ('products', 'products', 'created_at')"
        )
    assert stored.utcoffset() is not None
    assert (kind, can_be_null) == ("timestamp with time zone", "NO")


# Bodies


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", MISSING), ("name", None), ("name", 5), ("name", ""), ("name", "   "), ("name", "x" * 256),
        ("name", "a\x00b"), ("name", "a\nb"), ("description", 5), ("description", "a\x00b"),
        ("description", "x" * 10_001), ("price", MISSING), ("price", None), ("price", "5"), ("price", True),
        ("price", 19.999), ("price", -0.01), ("price", 100_000_000), ("price", 1e308), ("price", []),
        ("stock", -1), ("stock", 2**31), ("stock", "5"), ("stock", 1.5), ("stock", True), ("stock", None),
    ],
    ids=repr,
)  # fmt: skip
def test_a_field_that_is_wrong_is_named_and_nothing_is_stored(products, field, value):
    body = {"name": "A", "price": 1.5, field: value}

    answer = products("POST", "/products", {key: one for key, one in body.items() if one is not MISSING}, role="admin")

    assert message_of(answer) == [field]
    assert products("GET", "/products").json == []


@pytest.mark.parametrize(
    "number",
    ["1e400", "1e999999999", f"1e{'9' * 30}", f"1e-{'9' * 30}", "0.1e-400", "1.999999999999999999999", "9" * 4000],
)
def test_a_number_of_any_size_is_a_wrong_price_and_no_fault(products, number):
    answer = products("POST", "/products", raw=f'{{"name": "A", "price": {number}}}', role="admin")

    assert message_of(answer) == ["price"]


@pytest.mark.parametrize(
    ("number", "price"),
    [("0e-20000", "0.00"), (f"1.{'0' * 60_000}", "1.00"), ("0e999999", "0.00"), ("-0.0", "0.00"), ("1E2", "100.00")],
    ids=["small", "long", "large", "negative", "exponent"],
)
def test_a_price_may_be_written_in_any_form(products, number, price):
    answer = products("POST", "/products", raw=f'{{"name": "A", "price": {number}}}', role="admin")

    assert answer.status == 201
    assert f'"price":{price},' in answer.text


@pytest.mark.parametrize(
    "raw",
    ["", "{", "[]", "5", "null", '{"name": "\\ud800", "price": 1}', '{"name": "A", "price": NaN}', b"\xff", "[" * 9999],
    ids=repr,
)
def test_what_is_no_json_object_is_said_to_be_none(products, raw):
    assert products("POST", "/products", raw=raw, role="admin").error[:2] == (400, "invalid_json")


def test_other_types_and_longer_bodies_are_not_read(products):
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    assert products("POST", "/products", raw="name=A", role="admin", headers=form).error[:2] == (
        415,
        "unsupported_media_type",
    )
    assert products("POST", "/products", raw="x" * 65_537, role="admin", headers=form).error[:2] == (
        413,
        "payload_too_large",
    )


# Rights to write


WRITES = [
    ("POST", "/products", {"name": "A", "price": 1}),
    ("PUT", "/products/{id}", {"name": "A", "description": None, "price": 1}),
    ("PATCH", "/products/{id}", {"name": "B"}),
    ("POST", "/products/{id}/stock", {"delta": 1}),
    ("DELETE", "/products/{id}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_only_admins_write(products, make_product, method, path, body):
    product = make_product()
    target = path.format(id=product["id"])

    assert products(method, target, body).error[:2] == (401, "authorization_required")
    for role in ("user", "Admin", "admin,user", ""):
        answer = products(method, target, body, headers={"X-Account-Id": "bo", "X-User-Role": role})
        assert answer.error[:2] == (403, "forbidden")
    assert products("GET", "/products").json == [product]


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, body in WRITES if body])
def test_checks_come_in_the_contracts_order(products, method, path):
    """Method, caller, rights, type, shape, existence."""
    target = path.format(id=99)
    plain = {"Content-Type": "text/plain"}

    assert products("TRACE", target, raw="{", headers=plain).status == 405
    assert products(method, target, raw="{", headers=plain).status == 401
    assert products(method, target, raw="{", headers=plain, role="user").status == 403
    assert products(method, target, raw="{", headers=plain, role="admin").status == 415
    assert products(method, target, raw="{", role="admin").status == 400
    assert products(method, target, {}, role="admin").status == 400


# Changes


def test_put_replaces_and_patch_changes_what_it_names(products, make_product):
    product = make_product(name="A", description="old", price=1, stock=3)
    target = f"/products/{product['id']}"

    put = products("PUT", target, {"name": "B", "description": None, "price": 2.5, "stock": 99}, role="admin")
    patched = products("PATCH", target, {"price": 3.75}, role="admin")

    assert put.json == product | {"name": "B", "description": None, "price": 2.5}
    assert patched.json == put.json | {"price": 3.75}
    assert products("GET", target).json == patched.json
    assert products("PATCH", target, {"description": None}, role="admin").json == patched.json


@pytest.mark.parametrize(
    ("method", "body", "fields"),
    [
        ("PUT", {"name": "B", "price": 1}, ["description"]),
        ("PUT", {}, ["name", "description", "price"]),
        ("PATCH", {"name": None}, ["name"]),
        ("PATCH", {"price": None}, ["price"]),
        ("PATCH", {"price": 1.001}, ["price"]),
    ],
)
def test_a_change_names_what_is_wrong(products, make_product, method, body, fields):
    product = make_product()

    assert message_of(products(method, f"/products/{product['id']}", body, role="admin")) == fields
    assert products("GET", "/products").json == [product]


@pytest.mark.parametrize("body", [{}, {"stock": 5}, {"id": 5}])
def test_a_patch_that_changes_nothing_known_is_refused(products, make_product, body):
    answer = products("PATCH", f"/products/{make_product()['id']}", body, role="admin")

    assert answer.error[:2] == (400, "validation_error")


def test_stock_is_added_to_and_taken_from_but_never_below_zero(products, make_product):
    target = f"/products/{make_product(stock=3)['id']}"
    add = lambda delta: products("POST", f"{target}/stock", {"delta": delta, "reason": "counted"}, role="admin")  # noqa: E731

    assert add(4).json == {"id": 2, "stock": 7}
    assert add(-7).json == {"id": 2, "stock": 0}
    assert add(-1).error == (409, "insufficient_stock", "Insufficient stock")
    assert add(2**31 - 1).json["stock"] == 2**31 - 1
    assert add(1).error[:2] == (409, "stock_too_large")
    assert message_of(add(2**31)) == message_of(add(1.5)) == message_of(add(None)) == ["delta"]
    assert products("GET", target).json["stock"] == 2**31 - 1


def test_a_product_that_begins_without_stock_gets_its_first(products, make_product):
    target = f"/products/{make_product(stock=0)['id']}/stock"

    assert products("POST", target, {"delta": 5}, role="admin").json["stock"] == 5


def test_stock_leaves_room_for_what_orders_may_return(products, make_product):
    """A release must never fail: units that orders hold count, too."""
    product, order = make_product(stock=2**31 - 1)["id"], f"/internal/reservations/{uuid4()}"
    target = f"/products/{product}"
    products("PUT", order, {"items": [{"product_id": product, "quantity": 5}]})

    assert products("POST", f"{target}/stock", {"delta": 5}, role="admin").error[:2] == (409, "stock_too_large")
    assert products("POST", f"{target}/stock", {"delta": -1}, role="admin").status == 200
    assert products("POST", f"{target}/stock", {"delta": 1}, role="admin").status == 200
    assert products("DELETE", order).json == {"status": "released"}
    assert products("GET", target).json["stock"] == 2**31 - 1


def test_a_change_of_stock_is_kept_with_its_reason_and_its_admin(products, make_product, database):
    target = f"/products/{make_product(stock=3)['id']}/stock"
    products("POST", target, {"delta": -1, "reason": "깨짐"}, role="admin", account="bo")
    products("POST", target, {"delta": -9, "reason": "too many"}, role="admin")

    with database.connect(database.name) as connection:
        changes = connection.execute("SELECT delta, reason, account_id FROM products.stock_changes ORDER BY id")
        assert changes.fetchall() == [(3, "created", "ana"), (-1, "깨짐", "bo")]


def test_stock_changed_by_many_at_once_is_their_sum(products, make_product):
    target = f"/products/{make_product(stock=0)['id']}"
    with ThreadPoolExecutor(16) as threads:
        changes = [
            threads.submit(products, "POST", f"{target}/stock", {"delta": delta}, role="admin")
            for delta in [3, -2] * 100
        ]
    done = [json.loads(change.result().text).get("stock") for change in changes]

    refused = sum(stock is None for stock in done)
    assert products("GET", target).json["stock"] == 100 + 2 * refused
    assert min(stock for stock in done if stock is not None) >= 0


def test_a_deleted_product_is_gone_for_readers_and_writers_and_stays_for_orders(products, make_product, database):
    product = make_product()
    target = f"/products/{product['id']}"

    assert products("DELETE", target, role="admin").status == 204

    assert products("GET", "/products").json == []
    for method, path, body in WRITES[1:]:
        answer = products(method, path.format(id=product["id"]), body, role="admin")
        assert answer.error == (404, "product_not_found", "Product not found")
    assert products("GET", target).error == (404, "product_not_found", "Product not found")
    with database.connect(database.name) as connection:
        assert connection.execute("SELECT count(*) FROM products.products").fetchone() == (1,)


@pytest.mark.parametrize(
    "number", ["0", "-1", "1.5", "abc", "01", "+1", "99", "2147483647", "2147483648", "99999999999", "9" * 4500, "%00",
     "１"]
)  # fmt: skip
def test_an_id_that_no_product_has_is_not_found(products, number):
    assert products("GET", f"/products/{number}").error == (404, "product_not_found", "Product not found")


# The database's own rules


@pytest.mark.parametrize("column", ["price", "stock"])
def test_the_database_refuses_what_is_negative(make_product, database, column):
    make_product()
    with (
        database.connect(database.name) as connection,
        pytest.raises(psycopg.errors.CheckViolation, match=f"products_{column}_not_negative"),
    ):
        connection.execute(f"UPDATE products.products SET {column} = -1")
