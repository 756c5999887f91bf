"""The document's routes and the handlers' are the same, as are the functions that they name."""

import importlib
import re

import pytest
import yaml

from auth import handler as auth_handler
from microservices.local.gateway.document import METHODS, PATH
from microservices.local.terraform import deployed
from microservices.tests.databases import in_process
from microservices.tests.running import NOBODY
from microservices.tests.test_house_rules import FILES, reached_from, service_files
from notifications import api as notifications_api
from users import handler as users_handler

APPS = {"auth": auth_handler.app, "users": users_handler.app, "notifications": notifications_api.app}
MEMORY_MB = {"auth": 1024, "authorizer": 512, "users": 512, "notifications": 1024, "notifications-worker": 512}
DOCUMENT = yaml.safe_load(PATH.read_text())


def documented(service):
    return {
        (method.upper(), path)
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
        if method in METHODS and operation["x-amazon-apigateway-integration"].get("uri") == f"${{{service}_uri}}"
    }


@pytest.mark.parametrize("service", APPS)
def test_every_route_has_a_handler_and_every_handler_a_route(service):
    handled = {(method, resource) for resource, methods in APPS[service].routes.items() for method in methods}

    assert handled == documented(service)
    assert handled


@pytest.mark.parametrize(("service", "inside_routes"), [("products", 4), ("orders", 2)])
def test_every_public_route_of_a_container_is_handled(database, monkeypatch, service, inside_routes):
    monkeypatch.setenv("PRODUCTS_URL", NOBODY)
    with in_process(database, service, monkeypatch):
        rules = importlib.import_module(f"{service}.app").create_app().url_map.iter_rules()
        handled = {
            (method, re.sub(r"<(?:product_|order_)?(\w+)>", r"{\1}", rule.rule))
            for rule in rules
            for method in rule.methods
        }
    inside = {route for route in handled if route[1].startswith(("/internal/", "/health"))}

    assert handled - inside == {
        (method.upper(), path)
        for path, operations in DOCUMENT["paths"].items()
        for method in METHODS
        if (operation := operations.get(method)) and service in operation["tags"]
    }
    assert len(inside) == inside_routes


@pytest.mark.parametrize("service", APPS)
def test_the_service_answers_the_methods_that_a_path_does_not_have(service):
    paths = {path for _, path in documented(service)}

    for path in paths:
        other = DOCUMENT["paths"][path]["x-amazon-apigateway-any-method"]
        assert other["x-amazon-apigateway-integration"]["uri"] == f"${{{service}_uri}}"


@pytest.mark.parametrize("service", ["users", "notifications"])
def test_the_authorizer_stands_before_every_route(service):
    """auth checks the session itself."""
    for method, path in documented(service):
        assert DOCUMENT["paths"][path][method.lower()]["security"] == [{"session": []}]


@pytest.mark.parametrize("function", MEMORY_MB)
def test_a_function_is_deployed_with_its_handler_and_room(function):
    deployment = deployed().local("lambdas")[function]
    module, _, name = deployment["handler"].rpartition(".")

    assert callable(getattr(importlib.import_module(module), name))
    assert deployment["timeout"] == 10
    assert deployment["memory_size"] == MEMORY_MB[function]
    assert set(deployed().local("lambdas")) == set(MEMORY_MB)


@pytest.mark.parametrize("function", MEMORY_MB)
def test_a_function_is_given_the_settings_that_it_reads(function):
    sources = {
        "auth": service_files("auth"),
        "authorizer": ["auth/authorizer.py", "auth/sessions.py", "auth/tables.py"],
        "users": service_files("users"),
        "notifications": service_files("notifications"),
        "notifications-worker": service_files("notifications"),
    }
    text = "".join(FILES[name].read_text() for name in reached_from(sources[function]))
    read = set(re.findall(r'settings\.(?:text|number)\(\s*"([A-Z_]+)"', text))

    given = set(deployed().local("lambdas")[function]["environment"])

    unused = {"authorizer": {"SESSION_TTL_SECONDS", "CORS_ORIGIN"}, "notifications-worker": {"CORS_ORIGIN"}}
    # Lambda gives the trace, and makes segments of it by itself: spans of ours are for who adds a collector.
    beside = {"_X_AMZN_TRACE_ID", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TIMEOUT"}
    assert read - given <= unused.get(function, set()) | beside  # of code that it never runs
    assert given - read <= {"LOG_LEVEL", "POWERTOOLS_SERVICE_NAME"}
