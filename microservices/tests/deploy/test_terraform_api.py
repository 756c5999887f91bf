"""The body of the API that would be deployed, served by the local gateway: it answers as the one of openapi.yaml."""

import json

import pytest

from microservices.local.gateway.document import Document
from microservices.local.gateway.server import read_document, variables
from microservices.tests.deploy.test_terraform import FOLDER
from microservices.tests.gateway.conftest import Asker, functions, upstream  # noqa: F401 - fixtures
from microservices.tests.running import running_gateway
from tests.deploy.test_terraform import needs_schema

REQUESTS = [
    ("POST", "/auth/login", {}),
    ("GET", "/auth/login", {}),
    ("OPTIONS", "/orders", {}),
    ("GET", "/users", {}),
    ("GET", "/users", {"Authorization": "Bearer user"}),
    ("GET", "/users", {"Authorization": "Bearer deny"}),
    ("PUT", "/users/a%2Bb%40example.com", {"Authorization": "Bearer user"}),
    ("GET", "/products?q=a&limit=2", {"X-Account-Id": "forged", "X-User-Role": "admin"}),
    ("GET", "/products/1", {}),
    ("DELETE", "/products/1", {"Authorization": "Bearer user", "X-User-Role": "admin"}),
    ("POST", "/orders", {"Authorization": "Bearer user", "Idempotency-Key": "k"}),
    ("POST", "/orders/1/cancel", {"Authorization": "Bearer user"}),
    ("PATCH", "/orders/1", {}),
    ("GET", "/notifications", {"Authorization": "Bearer user"}),
    ("GET", "/internal/reservations/1", {}),
    ("GET", "/nope", {}),
]
# What differs from request to request.
OWN = {"x-amzn-requestid", "x-amzn-trace-id", "x-amzn-remapped-date", "date"}


@pytest.fixture(scope="module")
def askers(plan, functions, upstream, tmp_path_factory):  # noqa: F811 - the fixtures
    """Clients of two gateways: of the plan's body, and of the document."""
    path = tmp_path_factory.mktemp("api") / "body.json"
    path.write_text(json.dumps(plan.body()).replace(f"http://{plan['aws_lb.main']['dns_name']}", upstream))
    settings = {"products_url": upstream, "orders_url": upstream}
    with (
        running_gateway(functions, **settings, PLATFORM_DOCUMENT=str(path)) as deployed,
        running_gateway(functions, **settings) as local,
    ):
        yield Asker(deployed), Asker(local)


def same_each_time(value):
    """An answer without what the gateway makes up for each request."""
    if isinstance(value, dict):
        return {key: same_each_time(inner) for key, inner in value.items() if key not in VARYING}
    if isinstance(value, list):
        return [same_each_time(inner) for inner in value if not (isinstance(inner, list) and inner[0].lower() in OWN)]
    return value


VARYING = {
    "requestId", "extendedRequestId", "requestTime", "requestTimeEpoch", "X-Amzn-Trace-Id", "aws_request_id", "trace",
    "host", "Host",
}  # fmt: skip


@needs_schema
@pytest.mark.parametrize(("method", "path", "headers"), REQUESTS, ids=[f"{m} {p}" for m, p, _ in REQUESTS])
def test_the_deployed_body_answers_as_the_document(askers, method, path, headers):
    given = {"X-Request-ID": "same", "Content-Type": "application/json", "Host": "localhost", **headers}
    deployed, local = (
        one(method, path, headers=given, body=b'{"a": 1}' if method != "GET" else None) for one in askers
    )

    assert deployed.status == local.status
    assert without_own(deployed) == without_own(local)
    if deployed.data:
        assert same_each_time(deployed.json()) == same_each_time(local.json())


def without_own(answer):
    return sorted(
        (name.lower(), value) for name, value in answer.headers.items() if name.lower() not in {*OWN, "content-length"}
    )


@needs_schema
def test_the_deployed_body_has_the_document_s_routes(plan):
    local = read_document((FOLDER / "openapi.yaml").read_text(), variables("http://p", "http://o"))

    def routes(document):
        return {
            (one.method, one.resource): (
                one.operation,
                one.integration.type,
                one.integration.request_parameters,
                one.authorizer and one.authorizer.ttl_seconds,
            )
            for one in document.routes
        }

    assert routes(Document(plan.body())) == routes(local)
    assert len(routes(local)) > 26
