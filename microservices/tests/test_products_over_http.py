"""Products through the gateway: the document's third curl, what clients keep, and what no client reaches."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urljoin, urlsplit

import pytest

from microservices.tests.callers import Http
from microservices.tests.databases import empty


@pytest.fixture
def shop(platform, database, aws):
    """A client of the gateway, and an admin's token; there is no product."""
    empty(database, "products")
    api = Http(platform)
    return api, api.person(role="admin").token


def test_a_created_product_is_where_its_location_leads(shop):
    api, token = shop

    created = api("POST", "/products", {"name": "Apple", "price": 1.5}, token=token)

    url = urljoin(f"{api.url}/products", created.headers["location"])
    assert url == f"{api.url}/products/2"
    assert api("GET", url.removeprefix(api.url)).json == created.json
    assert urlsplit(url).path == "/api/products/2"


def test_the_next_pages_link_leads_there(shop):
    api, token = shop
    for _ in range(3):
        api("POST", "/products", {"name": "Apple & pear", "price": 1.5}, token=token)

    first = api("GET", "/products?limit=2&q=apple%20%26")
    link = first.headers["link"].partition(">")[0].removeprefix("<")
    second = api("GET", urljoin(f"{api.url}/products", link).removeprefix(api.url))

    assert [product["id"] for product in first.json + second.json] == [4, 3, 2]
    assert "link" not in second.headers


def test_what_has_not_changed_is_not_sent_again(shop):
    api, token = shop
    tag = api("GET", "/products").headers["etag"]

    same = api("GET", "/products", headers={"If-None-Match": tag})
    api("POST", "/products", {"name": "Apple", "price": 1.5}, token=token)

    assert (same.status, same.text, same.headers["etag"]) == (304, "", tag)
    assert api("GET", "/products", headers={"If-None-Match": tag}).status == 200


def test_a_creation_sent_twice_through_the_gateway_is_one(shop):
    api, token = shop
    ask = lambda _: api(  # noqa: E731
        "POST", "/products", {"name": "Apple", "price": 1}, token=token, headers={"Idempotency-Key": "k"}
    )
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))

    assert {(answer.status, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert len(api("GET", "/products").json) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/internal/reservations/0190a9a0-0000-7000-8000-000000000001"),
        ("DELETE", "/internal/reservations/0190a9a0-0000-7000-8000-000000000001"),
        ("GET", "/health"),
        ("GET", "/health/ready"),
        ("PUT", "/products/../internal/reservations/0190a9a0-0000-7000-8000-000000000001"),
        ("PUT", "/products/%2e%2e%2finternal%2freservations%2f0190a9a0-0000-7000-8000-000000000001"),
    ],
)
def test_what_is_for_orders_and_probes_alone_is_not_reached(shop, method, path):
    api, token = shop

    answer = api(method, path, {"items": [{"product_id": 2, "quantity": 1}]} if method == "PUT" else None, token=token)

    assert answer.status in (400, 404)
    assert answer.json["code"] in ("not_found", "validation_error", "product_not_found")
