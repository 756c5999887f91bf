"""Rights of callers, through the gateway: every route of the Lambdas by every kind of caller."""

import json
from hashlib import sha256
from uuid import uuid4

import pytest

from auth import handler as auth_handler
from microservices.local.aws import connect
from microservices.tests.callers import PASSWORD, Http, new_email
from microservices.tests.databases import empty
from microservices.tests.events_of_orders import order_event, sqs_event
from microservices.tests.gateway.test_document import CONTRACT
from notifications import api as notifications_api
from notifications import worker
from users import handler as users_handler

MISSING = (401, "authorization_required")
INVALID = (401, "invalid_session")
EXPIRED = (401, "session_expired")
FORBIDDEN = (403, "forbidden")
NOT_ONES_OWN = (404, "notification_not_found")
NO_ORDER = (404, "order_not_found")
KINDS = ("none", "garbage", "expired", "revoked", "other", "admin", "own")
# What a caller of each kind gets, where ``{email}`` is Ana's; other is Bo, own is Ana herself.
OPEN = dict.fromkeys(KINDS, None)
SESSION = {"none": MISSING, "garbage": INVALID, "expired": EXPIRED, "revoked": INVALID}
TABLE = {
    ("POST", "/auth/register"): OPEN | dict.fromkeys(KINDS, (201, None)),
    ("POST", "/auth/login"): OPEN | dict.fromkeys(KINDS, (200, None)),
    ("GET", "/auth/verify"): SESSION | dict.fromkeys(("other", "admin", "own"), (200, None)),
    ("POST", "/auth/logout"): SESSION | dict.fromkeys(("other", "admin", "own"), (204, None)),
    ("POST", "/auth/logout-all"): SESSION | dict.fromkeys(("other", "admin", "own"), (204, None)),
    ("PUT", "/auth/password"): SESSION | dict.fromkeys(("other", "admin", "own"), (200, None)),
    ("GET", "/users"): SESSION | {"other": FORBIDDEN, "admin": (200, None), "own": FORBIDDEN},
    ("GET", "/users/{userId}"): SESSION | {"other": FORBIDDEN, "admin": (200, None), "own": (200, None)},
    ("PUT", "/users/{userId}"): SESSION | {"other": FORBIDDEN, "admin": (200, None), "own": (200, None)},
    ("PUT", "/users/{userId}/role"): SESSION | {"other": FORBIDDEN, "admin": (200, None), "own": FORBIDDEN},
    ("DELETE", "/users/{userId}"): SESSION | {"other": FORBIDDEN, "admin": (204, None), "own": (204, None)},
    ("GET", "/products"): dict.fromkeys(KINDS, (200, None)),
    ("GET", "/products/{id}"): dict.fromkeys(KINDS, (200, None)),
    ("POST", "/products"): SESSION | {"other": FORBIDDEN, "admin": (201, None), "own": FORBIDDEN},
    ("PUT", "/products/{id}"): SESSION | {"other": FORBIDDEN, "admin": (200, None), "own": FORBIDDEN},
    ("PATCH", "/products/{id}"): SESSION | {"other": FORBIDDEN, "admin": (200, None), "own": FORBIDDEN},
    ("DELETE", "/products/{id}"): SESSION | {"other": FORBIDDEN, "admin": (204, None), "own": FORBIDDEN},
    ("POST", "/products/{id}/stock"): SESSION | {"other": FORBIDDEN, "admin": (200, None), "own": FORBIDDEN},
    ("GET", "/orders"): SESSION | dict.fromkeys(("other", "admin", "own"), (200, None)),
    ("POST", "/orders"): SESSION | dict.fromkeys(("other", "admin", "own"), (201, None)),
    ("GET", "/orders/{id}"): SESSION | {"other": NO_ORDER, "admin": (200, None), "own": (200, None)},
    ("POST", "/orders/{id}/cancel"): SESSION | {"other": NO_ORDER, "admin": (200, None), "own": (200, None)},
    ("POST", "/orders/{id}/fulfil"): SESSION | {"other": FORBIDDEN, "admin": (200, None), "own": FORBIDDEN},
    ("GET", "/notifications"): SESSION | dict.fromkeys(("other", "admin", "own"), (200, None)),
    ("GET", "/notifications/{id}"): SESSION | {"other": NOT_ONES_OWN, "admin": NOT_ONES_OWN, "own": (200, None)},
    ("DELETE", "/notifications/{id}"): SESSION | {"other": NOT_ONES_OWN, "admin": NOT_ONES_OWN, "own": (204, None)},
}
ORDER = {"items": [{"product_id": 1, "quantity": 1}]}
CASES = [(*route, kind) for route, expected in TABLE.items() for kind in expected]


def body_of(method, resource, email):
    if resource == "/auth/register":
        return {"email": new_email(), "password": PASSWORD, "name": "Ana"}
    bodies = {
        ("POST", "/auth/login"): {"email": email, "password": PASSWORD},
        ("PUT", "/auth/password"): {"currentPassword": PASSWORD, "newPassword": PASSWORD},
        ("PUT", "/users/{userId}"): {"name": "Ana B"},
        ("PUT", "/users/{userId}/role"): {"role": "user"},
        ("POST", "/orders"): ORDER,
        ("POST", "/products"): {"name": "Apple", "price": 1},
        ("PUT", "/products/{id}"): {"name": "Apple", "description": None, "price": 1},
        ("PATCH", "/products/{id}"): {"price": 2},
        ("POST", "/products/{id}/stock"): {"delta": 1},
    }
    return bodies.get((method, resource))


class Cast:
    """Ana, and a caller of one kind; made anew for each request, since some requests end a caller."""

    def __init__(self, api, stand_in, kind):
        self.ana = api.person()
        self.order = ""
        self.event = order_event(self.ana.account_id, occurred_at="2026-01-02T03:04:05.678Z")
        worker.lambda_handler(sqs_event(self.event), None)
        person = self.ana if kind == "own" else api.person(role="admin" if kind == "admin" else "user")
        if kind == "revoked":
            assert api("POST", "/auth/logout", token=person.token).status == 204
        if kind == "expired":
            connect("dynamodb", stand_in).update_item(
                TableName="microservices-sessions",
                Key={"sessionId": {"S": sha256(person.token.encode()).hexdigest()}},
                UpdateExpression="SET expiresAt = :past",
                ExpressionAttributeValues={":past": {"N": "1"}},
            )
        self.caller = person
        self.token = {"none": None, "garbage": "x" * 43}.get(kind, person.token)


def make_product(database):
    """Have one product, the first, and no order."""
    for schema in ("products", "orders"):
        empty(database, schema)
    with database.connect(database.name) as connection:
        connection.execute("INSERT INTO products.products (id, name, price, stock) VALUES (1, 'Apple', 1, 9)")


def place(api, person):
    """A person's order; its id."""
    answer = api("POST", "/orders", ORDER, token=person.token, headers={"Idempotency-Key": "first"})
    assert answer.status == 201
    return answer.json["id"]


def outcome(answer):
    return answer.status, json.loads(answer.text).get("code") if answer.status >= 400 else None


def ask(api, cast, method, resource, headers=None):
    headers = {"Idempotency-Key": uuid4().hex, **(headers or {})}
    notification = f"8232676954321-{cast.event['id']}"
    thing = {"products": "1", "orders": cast.order, "notifications": notification}.get(resource.split("/")[1], "")
    target = resource.replace("{userId}", cast.ana.email).replace("{id}", thing)
    return api(method, target, body_of(method, resource, cast.ana.email), token=cast.token, headers=headers)


def test_the_table_has_every_route():
    handled = {
        (method, resource)
        for app in (auth_handler.app, users_handler.app, notifications_api.app)
        for resource, methods in app.routes.items()
        for method in methods
    }

    handled |= {route for route, (service, _) in CONTRACT.items() if service in ("products", "orders")}

    assert set(TABLE) == handled
    assert len(CASES) == len(handled) * len(KINDS)


@pytest.mark.parametrize(("method", "resource", "kind"), CASES)
def test_every_route_answers_every_caller_as_the_table_has_it(
    platform, database, stand_in, aws, method, resource, kind
):
    """Without and with headers in which the client claims to be Ana, an admin, at another address."""
    claims = []
    for claimed in (False, True):
        api = Http(platform)
        cast = Cast(api, stand_in, kind)
        if resource.startswith(("/products", "/orders")):
            make_product(database)
            cast.order = place(api, cast.ana) if resource.startswith("/orders") else ""
        forged = {
            "X-Account-Id": cast.ana.account_id,
            "X-User-Role": "admin",
            "x-viewer-address": "203.0.113.9",
            "X-Forwarded-For": "203.0.113.9",
            "x-amzn-request-context": '{"authorizer": {"role": "admin"}}',
        }
        answer = ask(api, cast, method, resource, forged if claimed else None)
        assert outcome(answer) == TABLE[method, resource][kind]
        if answer.status == 401:
            assert answer.headers["www-authenticate"] == "Bearer"
        claims.append(answer)
        if resource == "/users/{userId}" and method == "GET" and answer.status == 200:
            assert answer.json["accountId"] == cast.ana.account_id
        if (method, resource) == ("GET", "/orders") and answer.status == 200:
            assert [one["id"] for one in answer.json] == ([] if kind == "other" else [cast.order])
        if (method, resource) == ("POST", "/orders") and answer.status == 201:
            assert answer.json["account_id"] == cast.caller.account_id
        if resource == "/notifications" and answer.status == 200:
            mine = [cast.event["order"]["id"]] if kind == "own" else []
            assert [one["order_id"] for one in answer.json] == mine
        if resource == "/auth/verify" and answer.status == 200:
            assert (answer.json["userId"], answer.json["role"]) == (
                cast.caller.email,
                "admin" if kind == "admin" else "user",
            )

    assert claims[0].headers.keys() == claims[1].headers.keys()


def test_a_claimed_address_neither_frees_nor_stops_anybody(platform, aws):
    api, victim = Http(platform), Http(platform)
    ana = api.person()
    wrong = {"email": ana.email, "password": "wrong password"}

    statuses = [
        api("POST", "/auth/login", wrong, headers={"x-viewer-address": address}).status
        for address in [victim.address, "203.0.113.1", "", "x"] * 3
    ]

    assert statuses == [401] * 10 + [429] * 2
    assert api.log_in(ana.email).status == 429
    assert victim.log_in(ana.email).status == 200
    assert api("GET", "/users", headers={"Authorization": ""}).error[:2] == (401, "authorization_required")
