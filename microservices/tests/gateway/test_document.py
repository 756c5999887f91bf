"""The document has the contract's routes, each behind what the contract says; half of a document is never served."""

import copy

import openapi_spec_validator
import pytest
import yaml

from microservices.local.gateway.document import ANY, INTEGRATION, METHODS, PATH, RESPONSES, WrongDocument, render
from microservices.local.gateway.lambdas import FUNCTION
from microservices.local.gateway.server import read_document, variables
from microservices.local.terraform import deployed

VALUES = variables("http://products.test", "http://orders.test")
TEXT = PATH.read_text()

# The function that answers, and whether the authorizer stands before it. auth checks sessions itself where it must.
CONTRACT = {
    ("POST", "/auth/register"): ("auth", False),
    ("POST", "/auth/login"): ("auth", False),
    ("GET", "/auth/verify"): ("auth", False),
    ("POST", "/auth/logout"): ("auth", False),
    ("POST", "/auth/logout-all"): ("auth", False),
    ("PUT", "/auth/password"): ("auth", False),
    ("GET", "/users"): ("users", True),
    ("GET", "/users/{userId}"): ("users", True),
    ("PUT", "/users/{userId}"): ("users", True),
    ("DELETE", "/users/{userId}"): ("users", True),
    ("PUT", "/users/{userId}/role"): ("users", True),
    ("GET", "/products"): ("products", False),
    ("POST", "/products"): ("products", True),
    ("GET", "/products/{id}"): ("products", False),
    ("PUT", "/products/{id}"): ("products", True),
    ("PATCH", "/products/{id}"): ("products", True),
    ("DELETE", "/products/{id}"): ("products", True),
    ("POST", "/products/{id}/stock"): ("products", True),
    ("GET", "/orders"): ("orders", True),
    ("POST", "/orders"): ("orders", True),
    ("GET", "/orders/{id}"): ("orders", True),
    ("POST", "/orders/{id}/cancel"): ("orders", True),
    ("POST", "/orders/{id}/fulfil"): ("orders", True),
    ("GET", "/notifications"): ("notifications", True),
    ("GET", "/notifications/{id}"): ("notifications", True),
    ("DELETE", "/notifications/{id}"): ("notifications", True),
}
CONTAINERS = {"products", "orders"}


@pytest.fixture(scope="module")
def tree():
    return render(TEXT, VALUES)


@pytest.fixture(scope="module")
def document():
    return read_document(TEXT, VALUES)


def routes_of(document):
    return {(route.method, route.resource): route for route in document.routes}


def service_of(route):
    uri = route.integration.uri
    if found := FUNCTION.search(uri):
        return found[1].removeprefix("microservices-")
    return uri.removeprefix("http://").partition(".")[0]


def test_the_document_is_valid_openapi_3_0(tree):
    assert tree["openapi"].startswith("3.0")
    openapi_spec_validator.OpenAPIV30SpecValidator(tree).validate()


def test_the_document_has_the_contracts_routes_and_no_other(document):
    named = {route: behind for route, behind in routes_of(document).items() if route[0] not in {"ANY", "OPTIONS"}}

    assert {route: (service_of(found), found.authorizer is not None) for route, found in named.items()} == CONTRACT
    assert len(CONTRACT) == 26


def test_every_path_answers_preflights_and_the_methods_that_it_does_not_have(tree):
    assert {path for path, item in tree["paths"].items() if not {"options", ANY} <= set(item)} == set()


def test_a_method_that_a_path_does_not_have_reaches_the_paths_own_service(document):
    routes = routes_of(document)
    for (method, path), (service, _) in CONTRACT.items():
        other = routes["ANY", path]
        assert service_of(other) == service, (method, path)
        assert other.authorizer is None


def test_every_function_that_is_deployed_has_a_route_authorizes_or_takes_events(document):
    named = {service_of(route) for route in document.routes} | {"authorizer", "notifications-worker"}

    assert set(deployed().local("lambdas")) <= named


def test_containers_are_always_told_who_calls_never_by_the_client(document):
    """A client's own X-Account-Id or X-User-Role is replaced, by a constant on open routes."""
    for (method, path), route in routes_of(document).items():
        if route.integration.type != "http_proxy":
            continue
        sources = {
            name: route.integration.request_parameters[f"integration.request.header.{name}"]
            for name in ("X-Account-Id", "X-User-Role")
        }
        known = {"X-Account-Id": "context.authorizer.accountId", "X-User-Role": "context.authorizer.role"}
        assert sources == (known if route.authorizer else dict.fromkeys(sources, "'-'")), (method, path)


def test_the_authorizer_reads_the_authorization_header_and_its_answer_is_not_kept(document):
    authorizers = {route.authorizer for route in document.routes if route.authorizer}

    assert [(one.identity_header, one.ttl_seconds) for one in authorizers] == [("Authorization", 0)]


def test_gateway_responses_have_cors_and_the_services_error_shape(tree):
    kinds = {
        "DEFAULT_4XX", "DEFAULT_5XX", "UNAUTHORIZED", "ACCESS_DENIED", "MISSING_AUTHENTICATION_TOKEN", "THROTTLED",
        "REQUEST_TOO_LARGE", "INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT",
    }  # fmt: skip

    assert set(tree[RESPONSES]) == kinds
    for response in tree[RESPONSES].values():
        assert response["responseParameters"]["gatewayresponse.header.Access-Control-Allow-Origin"] == "'*'"
        assert set(yaml.safe_load(response["responseTemplates"]["application/json"])) == {"error", "code", "request_id"}


def test_every_operation_has_a_name_of_its_own_a_summary_and_answers(tree):
    operations = [
        item[method] for item in tree["paths"].values() for method in METHODS if method in item and method != "options"
    ]

    assert len({operation["operationId"] for operation in operations}) == len(operations) == 26
    assert all(
        operation["summary"] and operation["tags"] and "429" in operation["responses"] for operation in operations
    )


def test_integrations_end_within_api_gateways_29_seconds(document):
    assert {route.integration.timeout_seconds for route in document.routes} == {29.0}


# Matching


@pytest.mark.parametrize(
    ("method", "path", "resource", "parameters"),
    [
        ("GET", "/users", "/users", {}),
        ("GET", "/users/", "/users", {}),
        ("GET", "/users/ana", "/users/{userId}", {"userId": "ana"}),
        ("GET", "/users/a%2Fb", "/users/{userId}", {"userId": "a/b"}),
        ("GET", "/users/%ff", "/users/{userId}", {"userId": "\ufffd"}),
        ("PUT", "/users/role/role", "/users/{userId}/role", {"userId": "role"}),
        ("HEAD", "/users", "/users", {}),
    ],
)
def test_a_path_is_matched(document, method, path, resource, parameters):
    route, found = document.match(method, path)

    assert (route.resource, found) == (resource, parameters)


@pytest.mark.parametrize(
    "path", ["/", "", "/auth", "/nope", "/auth/login/x", "/users//role", "//users", "/auth//login", "/AUTH/login"]
)
def test_another_path_is_not(document, path):
    assert document.match("GET", path) is None


def test_a_literal_segment_wins_over_a_parameter(tree):
    other = copy.deepcopy(tree)
    other["paths"]["/users/me"] = other["paths"]["/users"]

    document = read_document(yaml.safe_dump(other), {})

    assert document.match("GET", "/users/me")[0].resource == "/users/me"
    assert document.match("GET", "/users/you")[0].resource == "/users/{userId}"


def test_a_route_that_is_taken_out_is_gone(tree):
    other = copy.deepcopy(tree)
    del other["paths"]["/auth/verify"]

    assert read_document(yaml.safe_dump(other), {}).match("GET", "/auth/verify") is None


# Refusals


def without_integration(tree):
    del tree["paths"]["/users"]["get"][INTEGRATION]


def unknown_integration(tree):
    tree["paths"]["/users"]["get"][INTEGRATION] = {"type": "aws", "uri": "x"}


def unknown_template(tree):
    tree["paths"]["/users"]["options"][INTEGRATION]["responses"]["default"]["responseTemplates"] = {
        "application/json": "#foreach($i in [1])x#end"
    }


def unmapped_parameter(tree):
    del tree["paths"]["/products/{id}"]["get"][INTEGRATION]["requestParameters"]["integration.request.path.id"]


def unknown_target(tree):
    tree["paths"]["/products"]["get"][INTEGRATION]["requestParameters"]["integration.request.querystring.a"] = "'b'"


def unknown_source(tree):
    parameters = tree["paths"]["/products"]["get"][INTEGRATION]["requestParameters"]
    parameters["integration.request.header.a"] = "stageVariables.b"


def another_authorizer(tree):
    tree["components"]["securitySchemes"]["session"]["x-amazon-apigateway-authorizer"]["type"] = "token"


def two_authorizers(tree):
    tree["paths"]["/users"]["get"]["security"] = [{"session": []}, {"session": []}]


def unknown_authorizer(tree):
    tree["paths"]["/users"]["get"]["security"] = [{"nobody": []}]


def another_name_of_a_parameter(tree):
    tree["paths"]["/users/{id}/more"] = tree["paths"]["/users/{userId}"]


@pytest.mark.parametrize(
    "damage",
    [
        without_integration, unknown_integration, unknown_template, unmapped_parameter, unknown_target, unknown_source,
        another_authorizer, two_authorizers, unknown_authorizer, another_name_of_a_parameter,
    ],
)  # fmt: skip
def test_a_document_that_asks_for_more_is_refused(tree, damage):
    other = copy.deepcopy(tree)
    damage(other)

    with pytest.raises(WrongDocument):
        read_document(yaml.dump(other), {})


def test_a_value_that_nobody_gives_is_named():
    with pytest.raises(WrongDocument, match="orders_url"):
        render(TEXT, {name: value for name, value in VALUES.items() if name != "orders_url"})
