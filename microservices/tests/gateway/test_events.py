"""
Events have the fields of API Gateway's documented samples, with a request's own values in them.

The names and types are those of the developer guide's "Input format of a Lambda function for proxy integration" and
"Input to a Lambda authorizer (REQUEST)"; powertools' data classes, made for API Gateway, read each event.
"""

import re

import pytest
import urllib3
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from aws_lambda_powertools.utilities.data_classes.api_gateway_authorizer_event import APIGatewayAuthorizerRequestEvent

from microservices.local.gateway.document import Authorizer, Integration, Route
from microservices.local.gateway.events import authorizer_event
from microservices.local.gateway.messages import Request

TEXT, NUMBER, NONE = str, int, type(None)
IDENTITY = {
    **dict.fromkeys(
        [
            "cognitoIdentityPoolId", "accountId", "cognitoIdentityId", "caller", "principalOrgId", "accessKey",
            "cognitoAuthenticationType", "cognitoAuthenticationProvider", "userArn", "user",
        ],
        NONE,
    ),
    "sourceIp": TEXT,
    "userAgent": TEXT,
}  # fmt: skip
CONTEXT = {
    **dict.fromkeys(
        [
            "resourceId", "resourcePath", "httpMethod", "extendedRequestId", "requestTime", "path", "accountId",
            "protocol", "stage", "domainPrefix", "requestId", "domainName", "deploymentId", "apiId",
        ],
        TEXT,
    ),
    "requestTimeEpoch": NUMBER,
    "identity": dict,
}  # fmt: skip
EVENT = {
    "resource": TEXT, "path": TEXT, "httpMethod": TEXT, "headers": dict, "multiValueHeaders": dict,
    "queryStringParameters": (dict, NONE), "multiValueQueryStringParameters": (dict, NONE),
    "pathParameters": (dict, NONE), "stageVariables": NONE, "requestContext": dict, "body": (str, NONE),
    "isBase64Encoded": bool,
}  # fmt: skip
# Not in the sample, where the method has no name: the document's operationId.
OPTIONAL = {"operationName", "authorizer"}

ADMIN = {"Authorization": "Bearer admin"}
JSON = {"Content-Type": "application/json"}
TWICE = urllib3.HTTPHeaderDict([("X-Colour", "red"), ("X-Colour", "blue"), ("Authorization", "Bearer user")])
REQUESTS = {
    "a body": ("POST", "/auth/login", {"body": b'{"a": 1}', "headers": JSON}),
    "no body": ("POST", "/auth/register", {}),
    "text that is no JSON": (
        "POST",
        "/auth/login",
        {"body": "안녕".encode(), "headers": {"Content-Type": "text/plain"}},
    ),
    "bytes that are no text": ("POST", "/auth/login", {"body": b"a\xff", "headers": JSON}),
    "a chunked body": ("POST", "/auth/login", {"body": iter([b'{"a"', b": 1}"]), "headers": JSON, "chunked": True}),
    "a header": ("GET", "/auth/verify", {"headers": {"X-Colour": "red"}}),
    "a header twice": ("GET", "/users", {"headers": TWICE}),
    "a header in lower case": ("GET", "/users", {"headers": {"authorization": "Bearer user", "x-colour": "red"}}),
    "a trailing slash": ("GET", "/users/", {"headers": ADMIN}),
    "a path parameter": ("GET", "/users/ana%40x.co", {"headers": ADMIN}),
    "a plus in a path": ("GET", "/users/a+b%2Bc@x.co", {"headers": ADMIN}),
    "a slash in a parameter": ("GET", "/users/a%2Fb", {"headers": ADMIN}),
    "Korean in a path": ("DELETE", "/users/%EA%B0%80", {"headers": ADMIN}),
    "a longer path": ("PUT", "/users/ana/role", {"headers": {**ADMIN, **JSON}, "body": b"{}"}),
    "an argument": ("GET", "/users?limit=5", {"headers": ADMIN}),
    "an argument twice": ("GET", "/users?a=1&a=2&b=3", {"headers": ADMIN}),
    "an empty argument": ("GET", "/users?a=&b", {"headers": ADMIN}),
    "an encoded argument": ("GET", "/users?q=%EA%B0%80+%26", {"headers": ADMIN}),
    "a method that is not there": ("PATCH", "/users/ana", {}),
    "an answer's id": ("DELETE", "/notifications/n-1", {"headers": ADMIN}),
}


def differences(event, fields, optional=frozenset()):
    wrong = set(set(event) - set(fields) - set(optional))
    return wrong | {name for name, kind in fields.items() if name not in event or not isinstance(event[name], kind)}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_an_event_has_the_documented_fields_and_no_other(ask, request_):
    method, path, options = request_

    event = ask.event(method, path, **options)

    assert differences(event, EVENT) == set()
    assert differences(event["requestContext"], CONTEXT, OPTIONAL) == set()
    assert differences(event["requestContext"]["identity"], IDENTITY) == set()
    assert event["httpMethod"] == event["requestContext"]["httpMethod"] == method
    assert event["path"] == path.partition("?")[0]
    assert event["requestContext"]["path"] == "/prod" + event["path"]
    assert event["resource"] == event["requestContext"]["resourcePath"]
    assert {name: values[-1] for name, values in event["multiValueHeaders"].items()} == event["headers"]
    arguments = event["multiValueQueryStringParameters"] or {}
    assert {name: values[-1] for name, values in arguments.items()} == (event["queryStringParameters"] or {})
    read = APIGatewayProxyEvent(event)
    assert read.request_context.request_time_epoch > 1_700_000_000_000
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", read.request_context.request_time)
    assert read.resolved_headers_field["x-viewer-address"] == ["127.0.0.1"]


def test_there_are_twenty_requests():
    assert len(REQUESTS) == 20


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("a body", "body", '{"a": 1}'),
        ("no body", "body", None),
        ("text that is no JSON", "body", "안녕"),
        ("bytes that are no text", "body", "a\ufffd"),
        ("a chunked body", "body", '{"a": 1}'),
        ("a trailing slash", "resource", "/users"),
        ("a path parameter", "pathParameters", {"userId": "ana@x.co"}),
        ("a plus in a path", "pathParameters", {"userId": "a+b+c@x.co"}),
        ("a slash in a parameter", "pathParameters", {"userId": "a/b"}),
        ("Korean in a path", "pathParameters", {"userId": "가"}),
        ("a longer path", "resource", "/users/{userId}/role"),
        ("an argument", "queryStringParameters", {"limit": "5"}),
        ("an argument twice", "queryStringParameters", {"a": "2", "b": "3"}),
        ("an argument twice", "multiValueQueryStringParameters", {"a": ["1", "2"], "b": ["3"]}),
        ("an empty argument", "queryStringParameters", {"a": "", "b": ""}),
        ("an encoded argument", "queryStringParameters", {"q": "가 &"}),
        ("an argument", "pathParameters", None),
        ("a longer path", "queryStringParameters", None),
    ],
)
def test_a_requests_own_values_are_in_its_event(ask, name, field, value):
    method, path, options = REQUESTS[name]
    if "chunked" in options:
        options = {**options, "body": iter([b'{"a"', b": 1}"])}

    assert ask.event(method, path, **options)[field] == value


def test_every_value_of_a_header_is_in_the_event(ask):
    event = ask.event(*REQUESTS["a header twice"][:2], headers=TWICE)

    assert event["multiValueHeaders"]["X-Colour"] == ["red", "blue"]
    assert event["headers"]["X-Colour"] == "blue"


def test_the_authorizers_words_are_in_the_event_as_text(ask):
    caller = ask.event("GET", "/users", headers=ADMIN)["requestContext"]["authorizer"]

    assert caller == {
        "principalId": "someone", "integrationLatency": 0, "accountId": "a-1", "userId": "u@x.co", "role": "admin",
        "flag": "true", "n": "7",
    }  # fmt: skip


def test_an_open_route_has_no_authorizer_in_its_event(ask):
    assert "authorizer" not in ask.event("POST", "/auth/login")["requestContext"]


def test_an_authorizers_event_has_the_documented_fields_and_no_other():
    integration = Integration("aws_proxy", "POST", "", 29, {}, {})
    route = Route("GET", "/users/{userId}", "getUser", integration, Authorizer("session", "", "Authorization", 0))
    headers = [("Authorization", "Bearer x"), ("User-Agent", "test")]
    request = Request("GET", "/users/a%40x", "limit=1", headers, "192.0.2.7", "HTTP/1.1", "id", lambda: b"")

    event = authorizer_event(route, {"userId": "a@x"}, request)

    fields = {name: kind for name, kind in EVENT.items() if name not in {"body", "isBase64Encoded"}}
    assert differences(event, {**fields, "type": TEXT, "methodArn": TEXT}) == set()
    assert differences(event["requestContext"], CONTEXT, OPTIONAL) == set()
    read = APIGatewayAuthorizerRequestEvent(event)
    assert read.parsed_arn.arn == "arn:aws:execute-api:us-east-1:000000000000:local/prod/GET/users/a%40x"
    assert read.parsed_arn.resource == "users/a%40x"
    assert read.headers["authorization"] == "Bearer x"
