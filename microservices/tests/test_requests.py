"""Requests that are wrong in their form, whatever the route."""

import json
import re

import pytest

from auth import accounts
from auth import handler as auth_handler
from microservices.tests.callers import PASSWORD, answered, new_email
from shared import http
from shared.http import EXPOSED_HEADERS
from users import handler as users_handler

REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
WRONG_BODIES = {
    "none": None,
    "empty": "",
    "no JSON": "{",
    "an array": "[]",
    "null": "null",
    "a number": "1",
    "a text": '"a"',
    "two objects": "{}{}",
    "1,000 arrays in arrays": "[" * 60_000,
    "5,000 digits": '{"email": ' + "1" * 5_000 + "}",
    "bytes that are no UTF-8": b'{"email": "\xff"}',
    "UTF-16": '{"email": "a"}'.encode("utf-16"),
    "half of a surrogate pair": '{"email": "a@b.example", "password": "12345678\ud800", "name": "Ana"}',
    "half of a surrogate pair, escaped": r'{"email": "a@b.example", "password": "12345678\ud800", "name": "Ana"}',
    "NaN": '{"email": NaN}',
}


@pytest.mark.parametrize("raw", WRONG_BODIES.values(), ids=WRONG_BODIES)
@pytest.mark.parametrize("target", ["/auth/register", "/auth/login"])
def test_a_body_that_is_no_json_object_is_refused(api, target, raw):
    assert api("POST", target, raw=raw).error == (400, "invalid_json", "Body must be a JSON object")


def test_a_body_that_the_gateway_says_is_base64_and_is_not_is_refused(api):
    event = api.event("POST", "/auth/login", raw="{}") | {"isBase64Encoded": True, "body": "***"}

    assert answered(auth_handler.lambda_handler(event, None)).error[:2] == (400, "invalid_json")


def test_a_body_in_base64_is_read(api):
    ana = api.person()

    body = json.dumps({"email": ana.email, "password": PASSWORD}).encode()

    assert api("POST", "/auth/login", raw=body).status == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
def test_a_body_of_another_type_is_refused(api, content_type):
    answer = api("POST", "/auth/login", {"email": "a@b"}, headers={"Content-Type": content_type})

    assert answer.error == (415, "unsupported_media_type", "Content-Type must be application/json")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON ; charset=utf-8"])
def test_json_is_read_however_its_type_is_written(api, content_type):
    ana = api.person()
    body = {"email": ana.email, "password": PASSWORD}

    assert api("POST", "/auth/login", body, headers={"content-TYPE": content_type}).status == 200


@pytest.mark.parametrize(("size", "status"), [(http.BODY_MAX_BYTES, 400), (http.BODY_MAX_BYTES + 1, 413)])
def test_a_body_has_64_kib_at_most(api, size, status):
    body = json.dumps({"email": "a@b", "pad": ""})
    padded = body.replace('""', '"' + "x" * (size - len(body)) + '"')

    for raw in (padded, padded.encode()):
        assert api("POST", "/auth/login", raw=raw).status == status


def test_a_body_too_large_is_told_before_its_type_and_shape(api):
    answer = api("POST", "/auth/login", raw="x" * 70_000, headers={"Content-Type": "text/plain"})

    assert answer.error == (413, "payload_too_large", "Payload too large")


@pytest.mark.parametrize("headers", [None, {}])
def test_a_request_without_headers_is_answered(api, headers):
    event = api.event("POST", "/auth/login", raw='{"email": "a@b"}') | {"headers": headers, "multiValueHeaders": None}
    verify = api.event("GET", "/auth/verify") | {"headers": headers, "multiValueHeaders": None}

    assert answered(auth_handler.lambda_handler(event, None)).error[:2] == (400, "missing_fields")
    assert answered(auth_handler.lambda_handler(verify, None)).error[:2] == (401, "authorization_required")


def test_headers_are_read_from_the_lists_alone_too(api):
    ana = api.person()
    event = api.event("GET", "/auth/verify", token=ana.token) | {"headers": None}

    assert answered(auth_handler.lambda_handler(event, None)).status == 200


def test_a_fault_of_ours_tells_the_caller_nothing_and_the_log_everything(api, monkeypatch, log):
    def broken(**_):
        raise RuntimeError("table microservices-users is on fire")

    monkeypatch.setattr(accounts, "log_in", broken)

    answer = api.log_in("a@b.example")

    assert answer.json == {
        "error": "Internal server error",
        "code": "internal_error",
        "request_id": answer.headers["x-request-id"],
    }
    assert answer.status == 500
    [failed] = [line for line in log() if line["message"] == "request_failed"]
    assert "on fire" in failed["exception"]
    assert failed["request_id"] == answer.headers["x-request-id"]


ROUTES = [
    *((method, resource) for resource, methods in auth_handler.app.routes.items() for method in methods),
    *((method, resource) for resource, methods in users_handler.app.routes.items() for method in methods),
]


@pytest.mark.parametrize(("method", "resource"), ROUTES)
def test_every_answer_has_the_contracts_headers(api, admin, method, resource):
    target = resource.replace("{userId}", new_email())

    answer = api(method, target, token=admin.token, headers={"X-Request-ID": "mine-1"})

    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-expose-headers"] == EXPOSED_HEADERS
    assert answer.headers["x-content-type-options"] == "nosniff"
    if answer.status != 204:
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("offered", ["", "a b", "x" * 65, "né", "a\n"])
def test_a_request_gets_an_id_of_its_own_unless_it_has_a_good_one(api, offered):
    answer = api("GET", "/auth/verify", headers={"x-request-id": offered})

    assert REQUEST_ID.fullmatch(answer.headers["x-request-id"])
    assert answer.json["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        ("GET", "/auth/login", "POST"),
        ("DELETE", "/auth/register", "POST"),
        ("POST", "/auth/verify", "GET"),
        ("POST", "/auth/password", "PUT"),
        ("PATCH", "/auth/logout", "POST"),
    ],
)
def test_another_method_is_refused_with_those_that_there_are(api, method, target, allowed):
    answer = api(method, target)

    assert answer.error == (405, "method_not_allowed", "Method not allowed")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(("target", "allowed"), [("/users", "GET"), ("/users/a%40b", "GET, PUT, DELETE")])
def test_users_are_never_posted(api, admin, target, allowed):
    answer = api("POST", target, {"email": "a@b"}, token=admin.token)

    assert answer.error == (405, "method_not_allowed", "Method not allowed")
    assert answer.headers["allow"] == allowed


def test_what_is_no_route_is_not_found(api):
    assert api("GET", "/auth").error == (404, "not_found", "Not found")


@pytest.mark.parametrize("path", ["/prod/auth/login", "/shop/auth/login", "/auth/login/", "/AUTH/login"])
def test_a_prefix_a_stage_and_a_slash_change_no_route(api, path):
    ana = api.person()
    event = api.event("POST", "/auth/login", {"email": ana.email, "password": PASSWORD}) | {"path": path}

    assert answered(auth_handler.lambda_handler(event, None)).status == 200


def test_an_answer_holds_only_what_json_has():
    with pytest.raises(TypeError):
        http.dump_json({"at": object()})
    with pytest.raises(ValueError, match="Out of range"):
        http.dump_json(float("nan"))
