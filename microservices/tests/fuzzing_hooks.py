"""Hooks for what schemathesis cannot read in the document: the caller, a list's cursor, the users that there are."""

import os
import random
from uuid import uuid4

import schemathesis
import urllib3
from hypothesis import strategies as st

from microservices.tests import conftest  # noqa: F401 - it makes the services' packages importable
from microservices.tests.fuzzing import NOTIFICATIONS, ORDERS, PRODUCTS
from microservices.tests.running import PATIENCE_SECONDS
from shared.paging import next_page_headers


def cursor_after(*last):
    return next_page_headers({}, [*last])["X-Next-Cursor"]


THINGS = {
    "products": lambda: str(random.randrange(2, 2 + PRODUCTS)),
    "orders": lambda: random.choice(ORDERS),
    "notifications": lambda: random.choice(NOTIFICATIONS),
}
CURSORS = {
    "/orders": lambda: cursor_after(random.choice(ORDERS)),
    "/notifications": lambda: cursor_after(random.choice(NOTIFICATIONS)),
    "/products": lambda: cursor_after("2026-01-02T03:04:05.678901+00:00", str(random.randrange(1, PRODUCTS))),
}
emails = st.integers(min_value=0, max_value=99).map("victim{}@example.com".format)
schemathesis.openapi.format("cursor", emails.map(cursor_after))


def log_in():
    """A session of one of the users; from an address of its own, since the cases use up the brake of theirs."""
    user = {"email": f"victim{random.randrange(100)}@example.com", "password": "password123"}
    address = ".".join(["127", *(str(random.randrange(1, 255)) for _ in range(3))])
    with urllib3.PoolManager(source_address=(address, 0), timeout=PATIENCE_SECONDS) as pool:
        answer = pool.request("POST", f"{os.environ['FUZZ_URL']}/auth/login", json=user)
    return answer.json().get("sessionId", "gone")


@schemathesis.auth(refresh_interval=None)
class Tokens:
    """An admin's token; a route that ends the caller's sessions gets a fresh one of a user's."""

    def get(self, case, _context):
        ends = case.operation.path.endswith(("/logout", "/logout-all", "/password"))
        return log_in() if ends else os.environ["FUZZ_ADMIN"]

    def set(self, case, data, _context):
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def filter_case(context, case):
    """Leave out a URL that is longer than the edge takes, which has a test of its own, and what gunicorn refuses."""
    if any(name.lower() == "expect" for name in case.headers or ()):  # 417 (RFC 9110, 10.1.1), before any route
        return False
    return len(str(case.query or "")) + len(str(case.path_parameters or "")) < 800


@schemathesis.hook
def before_call(context, case, kwargs):
    """Half of the ids that are right are of what is there, unless it is deleted; cursors are of their list."""
    if case.meta.generation.mode.is_negative:
        return
    kind = case.operation.path.split("/")[1]
    if case.operation.path in CURSORS and "cursor" in (case.query or {}):
        case.query["cursor"] = CURSORS[case.operation.path]()
    if "Idempotency-Key" in case.headers:  # one that another case has used is refused, which has a test of its own
        case.headers["Idempotency-Key"] = uuid4().hex
    if isinstance(case.body, dict) and "price" in case.body:
        case.body["price"] = round(case.body["price"], 2)
    if random.random() < 0.5:
        thing = THINGS.get(kind, str)()
        there = {"userId": f"victim{random.randrange(100)}@example.com", "id": thing}
        case.path_parameters.update({name: there[name] for name in case.path_parameters})
