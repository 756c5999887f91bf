"""Answers that clients get: the services' answers, and the gateway's own in the same shape."""

import http.client
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote, urlsplit

import pytest

from microservices.local.gateway.document import PATH
from microservices.tests.gateway.conftest import Asker
from microservices.tests.running import PATIENCE_SECONDS, running_gateway

JSON = {"Content-Type": "application/json"}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def error_of(answer):
    body = answer.json()
    assert set(body) == {"error", "code", "request_id"}
    assert body["request_id"] == answer.headers["X-Request-ID"]
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    return answer.status, body["error"], body["code"]


# The gateway's own answers


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        ("GET", "/nope", {}, (404, "Not found", "not_found")),
        ("POST", "/users/ana/role/more", {}, (404, "Not found", "not_found")),
        ("TRACE", "/users", {}, (405, "Method not allowed", "method_not_allowed")),
        ("GET", "/users", {}, (401, "Authorization header required", "authorization_required")),
        ("GET", "/users", {"Authorization": ""}, (401, "Authorization header required", "authorization_required")),
        ("GET", "/users", {"Authorization": "Bearer deny"}, (401, "Session expired", "session_expired")),
        ("GET", "/users", {"Authorization": "Bearer both"}, (401, "Invalid session", "invalid_session")),
        (
            "GET", "/users", {"Authorization": "Bearer unauthorized"},
            (401, "Authorization header required", "authorization_required"),
        ),
        ("GET", "/users", {"Authorization": "Bearer fail"}, (500, "Internal server error", "internal_error")),
        ("GET", "/users", {"Authorization": "Bearer nothing"}, (500, "Internal server error", "internal_error")),
        ("GET", "/users", {"Authorization": "Bearer nested"}, (500, "Internal server error", "internal_error")),
        ("GET", "/auth/verify?do=fail", {}, (502, "Internal server error", "internal_error")),
        ("GET", "/auth/verify?do=exit", {}, (502, "Internal server error", "internal_error")),
        ("GET", "/auth/verify?do=text", {}, (502, "Internal server error", "internal_error")),
        ("GET", "/auth/verify?do=no-status", {}, (502, "Internal server error", "internal_error")),
        ("GET", "/auth/verify?do=odd-status", {}, (502, "Internal server error", "internal_error")),
        ("GET", "/auth/verify?do=split-header", {}, (502, "Internal server error", "internal_error")),
        ("GET", "/auth/verify?do=korean-header", {}, (502, "Internal server error", "internal_error")),
        ("GET", "/auth/verify?do=number", {}, (502, "Internal server error", "internal_error")),
        ("GET", "/auth/verify?do=large", {}, (502, "Internal server error", "internal_error")),
        ("GET", "/auth/verify?do=sleep", {}, (502, "Internal server error", "internal_error")),
        ("GET", "/orders", {"Authorization": "Bearer user"}, (503, "Service unavailable", "service_unavailable")),
    ],
)  # fmt: skip
def test_the_gateway_refuses_in_the_services_shape(ask, method, path, headers, expected):
    assert error_of(ask(method, path, headers=headers)) == expected


def test_a_policy_for_another_path_does_not_let_in(ask):
    """And says nothing, since only a Deny of the authorizer has words."""
    assert ask("GET", "/users", headers={"Authorization": "Bearer elsewhere"}).status == 401


@pytest.mark.parametrize("word", ["deny", "both", "unauthorized"])
def test_every_401_of_the_gateway_names_the_scheme(ask, word):
    answer = ask("GET", "/users", headers={"Authorization": f"Bearer {word}"})

    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_nothing_of_a_functions_failure_is_in_the_answer(ask):
    assert b"secret" not in ask("GET", "/auth/verify?do=fail").data


def test_405_of_the_edge_names_the_methods_that_it_takes(ask):
    assert ask("TRACE", "/users").headers["Allow"] == "GET, PUT, POST, DELETE, PATCH, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("length", "expected"),
    [(8_192, None), (8_193, (414, "URI too long", "uri_too_long")), (60_000, (414, "URI too long", "uri_too_long"))],
)
def test_a_url_of_8_kib_is_taken_and_a_longer_one_is_414(ask, length, expected):
    path = "/auth/verify?a="
    answer = ask("GET", path + "x" * (length - len("/api") - len(path)))

    assert (error_of(answer) if expected else None) == expected


@pytest.mark.parametrize(("length", "taken"), [(9_000, True), (11_000, False), (60_000, False)])
def test_headers_of_10_kib_are_taken_and_more_are_431(ask, length, taken):
    answer = ask("GET", "/auth/verify", headers={"X-Long": "x" * length})

    if taken:
        assert answer.status == 200
    else:
        assert error_of(answer) == (431, "Request header fields too large", "header_fields_too_large")


@pytest.mark.parametrize(
    "headers", [{"SCRIPT_NAME": "/x"}, {"X-Forwarded-Ssl": "off", "X-Forwarded-Proto": "https"}], ids=" ".join
)
def test_a_clients_words_about_a_proxy_are_not_believed(ask, headers):
    assert ask("GET", "/auth/verify", headers=headers).status == 200


# Bodies


@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "chunked"])
def test_ten_megabytes_reach_an_http_service_and_one_byte_more_does_not(ask, chunked):
    most = b"x" * (10 * 1024 * 1024)
    headers = {"Authorization": "Bearer admin"}

    fits = ask("POST", "/products", body=iter([most]) if chunked else most, headers=headers)
    refused = ask("POST", "/products", body=iter([most, b"x"]) if chunked else most + b"x", headers=headers)

    assert fits.status == 200
    assert len(fits.json()["body"]) == len(most)
    assert error_of(refused) == (413, "Request body too large", "payload_too_large")


def test_an_event_larger_than_lambda_takes_is_413(ask):
    answer = ask("POST", "/auth/login", body=b"x" * (7 * 1024 * 1024), headers=JSON)

    assert error_of(answer) == (413, "Request body too large", "payload_too_large")


def test_the_token_is_checked_before_the_size(ask):
    assert ask("POST", "/products", body=b"x" * (11 * 1024 * 1024)).status == 401


def test_a_body_that_nobody_reads_does_not_spoil_the_next_request(ask):
    where = urlsplit(ask.url)
    connection = http.client.HTTPConnection(where.hostname, where.port, PATIENCE_SECONDS)
    connection.request("POST", "/api/products", body=b"GET /api/nope HTTP/1.1\r\n\r\n" * 100)
    first = connection.getresponse()
    first.read()
    connection.request("GET", "/api/users", headers={"Authorization": "Bearer deny"})

    assert first.status == 401
    assert json.loads(connection.getresponse().read())["code"] == "session_expired"
    connection.close()


# Answers of functions


def test_a_functions_answer_keeps_its_status_headers_and_body(ask):
    answer = ask("GET", "/auth/verify?do=many")

    assert (answer.status, answer.headers["X-One"], answer.headers.getlist("X-Two")) == (201, "1", ["a", "b"])
    assert answer.headers["Content-Length"] == "0"


def test_a_body_in_base64_is_decoded(ask):
    assert ask("GET", "/auth/verify?do=base64").data == b"\xff\x00"


def test_every_answer_has_the_gateways_request_id_and_trace(ask):
    for path in ("/auth/verify", "/nope", "/products"):
        headers = ask("GET", path).headers
        assert UUID.fullmatch(headers["x-amzn-RequestId"]), path
        assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", headers["X-Amzn-Trace-Id"]), path


def test_a_trace_is_made_once_and_passed_to_function_and_service(ask):
    answer = ask("GET", "/auth/verify")
    shown = answer.json()
    forwarded = ask("GET", "/products")

    assert shown["event"]["headers"]["X-Amzn-Trace-Id"] == answer.headers["X-Amzn-Trace-Id"] == shown["trace"]
    assert dict(forwarded.json()["headers"])["X-Amzn-Trace-Id"] == forwarded.headers["X-Amzn-Trace-Id"]


@pytest.mark.parametrize("given", ["Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1"])
def test_a_callers_trace_goes_on(ask, given):
    assert ask("GET", "/auth/verify", headers={"X-Amzn-Trace-Id": given}).json()["trace"] == given


# Headers that only the edge may set


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-DEF_1", True), ("x" * 64, True), ("x" * 65, False), ("", False), ("a b", False), ('a"b', False),
        ("a;b", False), ("é", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/nope", "/users", "/auth/verify"])
def test_a_request_id_is_kept_where_it_is_safe(ask, path, given, kept):
    answer = ask("GET", path, headers={"X-Request-ID": given.encode("latin-1")})

    seen = answer.headers.get("X-Request-ID") or answer.json()["event"]["headers"]["X-Request-Id"]
    assert (seen == given) if kept else UUID.fullmatch(seen)


def test_a_clients_own_viewer_address_never_survives(ask):
    event = ask.event("GET", "/auth/verify", headers={"x-viewer-address": "203.0.113.9"})

    assert event["multiValueHeaders"]["X-Viewer-Address"] == ["127.0.0.1"]
    assert event["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("method", "path", "who", "account", "role"),
    [
        ("GET", "/products", None, "-", "-"),
        ("GET", "/products/1", None, "-", "-"),
        ("GET", "/products", "Bearer admin", "-", "-"),
        ("PUT", "/products/1", "Bearer user", "a-1", "user"),
        ("POST", "/products/1/stock", "Bearer admin", "a-1", "admin"),
        ("TEAPOT", "/products", None, None, None),
    ],
)
def test_a_service_is_told_who_calls_never_by_the_client(ask, method, path, who, account, role):
    forged = {"X-Account-Id": "a-9", "x-user-role": "admin", "X_USER_ROLE": "admin"}

    answer = ask(method, path, headers={**forged, **({"Authorization": who} if who else {})})

    if account is None:
        assert answer.status == 405
        return
    seen = [(name.lower(), value) for name, value in answer.json()["headers"]]
    assert [value for name, value in seen if name == "x-account-id"] == [account]
    assert [value for name, value in seen if name.replace("_", "-") == "x-user-role"] == [role]


# HTTP services


def test_a_request_is_handed_on_as_it_came(ask):
    headers = {"Authorization": "Bearer admin", "If-Match": '"1"', "Content-Type": "text/x", "TE": "trailers"}
    path = "/products/a%2Fb%20c?x=%20&y=1&y=2"

    answer = ask("PATCH", path, body=b"body", headers=headers)

    shown = answer.json()
    seen = {name.lower(): value for name, value in shown["headers"]}
    assert (shown["method"], shown["path"], shown["body"]) == ("PATCH", path, "body")
    assert (seen["if-match"], seen["content-type"]) == ('"1"', "text/x")
    assert "te" not in seen
    assert answer.headers.getlist("X-Two") == ["a", "b"]


@pytest.mark.parametrize("number", ["%2e", "%2E%2e", ".", ".."])
def test_dots_are_an_id_and_no_step(ask, number):
    """They are sent by hand: other clients would take the step themselves."""
    where = urlsplit(ask.url)
    connection = http.client.HTTPConnection(where.hostname, where.port, PATIENCE_SECONDS)
    connection.request("GET", f"/api/products/{number}")

    path = json.loads(connection.getresponse().read())["path"]
    connection.close()

    assert "." not in path
    assert unquote(path) == f"/products/{unquote(number)}"


def test_a_method_that_a_path_does_not_have_reaches_the_service(ask):
    assert ask("DELETE", "/products").json()["method"] == "DELETE"


# CORS


def test_every_path_answers_a_preflight_without_a_token(ask):
    paths = re.findall(r"^  (/\S+):$", PATH.read_text(), re.MULTILINE)

    for path in paths:
        answer = ask("OPTIONS", path.replace("{", "").replace("}", ""), headers={"X-Request-ID": "pre-1"})
        assert answer.status == 204, path
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Allow-Methods"] == "GET,POST,PUT,PATCH,DELETE,OPTIONS"
        assert {"Authorization", "Idempotency-Key", "If-Match", "X-Request-ID", "X-Api-Key"} <= set(
            answer.headers["Access-Control-Allow-Headers"].split(",")
        )
        assert {"Link", "X-Next-Cursor", "Location", "Retry-After", "X-Request-ID"} <= set(
            answer.headers["Access-Control-Expose-Headers"].split(",")
        )
        assert answer.headers["Access-Control-Max-Age"] == "86400"
        assert answer.headers["X-Request-ID"] == "pre-1"
    assert len(paths) == 18


# The edge


def test_only_paths_below_api_are_the_apis(ask):
    root = Asker(ask.url.removesuffix("/api"))

    assert root("GET", "/auth/verify").status == 404
    assert root("GET", "/api").status == 404
    assert root("GET", "/apiary/auth/verify").status == 404
    assert root("GET", "/api/api/auth/verify").status == 404


def test_an_absolute_form_is_read_by_its_path(ask):
    where = urlsplit(ask.url)
    connection = http.client.HTTPConnection(where.hostname, where.port, PATIENCE_SECONDS)
    connection.request("GET", "http://shop.example/api/auth/verify?a=1")

    event = json.loads(connection.getresponse().read())["event"]
    connection.close()

    assert (event["path"], event["queryStringParameters"]) == ("/auth/verify", {"a": "1"})


# Throttle


def test_without_a_throttle_nothing_is_refused(ask):
    assert {ask("GET", "/auth/verify").status for _ in range(30)} == {200}


def test_the_deployed_throttle_holds_each_auth_route(functions, upstream):
    with running_gateway(functions, products_url=upstream, PLATFORM_THROTTLE="1") as url:
        ask = Asker(url)
        started = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            answers = [*pool.map(lambda _: ask("GET", "/auth/verify"), range(100))]
        seconds = time.monotonic() - started
        refused = [answer for answer in answers if answer.status == 429]
        others = {ask("GET", "/products").status for _ in range(100)}

    admitted = len(answers) - len(refused)
    assert 10 <= admitted <= 10 + 5 * seconds + 1
    assert error_of(refused[0]) == (429, "Too many requests", "rate_limited")
    assert refused[0].headers["Retry-After"] == "1"
    assert others == {200}


# Limits of time


def test_an_integration_that_is_late_is_504(functions, upstream, tmp_path):
    """With the document's 29 seconds shortened; a function's own limit is shorter, and is 502."""
    document = tmp_path / "openapi.yaml"
    document.write_text(PATH.read_text().replace("timeoutInMillis: 29000", "timeoutInMillis: 300"))

    with running_gateway(functions, products_url=upstream, PLATFORM_DOCUMENT=str(document)) as url:
        ask = Asker(url)
        assert error_of(ask("GET", "/auth/verify?do=sleep")) == (504, "Gateway timeout", "gateway_timeout")
