"""The throttle is a token bucket a method, with the deployed figures."""

import threading

import pytest

from microservices.local.gateway.document import Integration, Route
from microservices.local.gateway.throttle import Throttle
from microservices.local.terraform import deployed

SETTINGS = {"*/*": {"rate_limit": 10, "burst_limit": 20}, "auth/login/POST": {"rate_limit": 2, "burst_limit": 3}}


def route(method, path):
    return Route(method, path, None, Integration("mock", "", "", 29, {}, {}), None)


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def throttle(clock):
    return Throttle(SETTINGS, clock=lambda: clock[0])


def admitted(throttle, route, count):
    return sum(throttle.admits(route) for _ in range(count))


def test_a_burst_is_admitted_and_the_next_request_is_not(throttle):
    assert admitted(throttle, route("POST", "/auth/login"), 10) == 3


def test_tokens_come_back_at_the_rate_up_to_the_burst(throttle, clock):
    login = route("POST", "/auth/login")
    admitted(throttle, login, 10)

    clock[0] = 1.0
    assert admitted(throttle, login, 10) == 2
    clock[0] = 1_000.0
    assert admitted(throttle, login, 10) == 3


def test_a_refused_request_takes_nothing(throttle, clock):
    login = route("POST", "/auth/login")
    admitted(throttle, login, 3)

    clock[0] = 0.25
    assert admitted(throttle, login, 5) == 0
    clock[0] = 0.5
    assert admitted(throttle, login, 5) == 1


def test_methods_have_buckets_of_their_own_and_the_stages_figures(throttle):
    assert admitted(throttle, route("POST", "/auth/login"), 10) == 3
    assert admitted(throttle, route("GET", "/users"), 30) == 20
    assert admitted(throttle, route("GET", "/products"), 30) == 20


def test_threads_share_a_bucket(throttle):
    counts = []
    one = route("GET", "/users")
    threads = [threading.Thread(target=lambda: counts.append(admitted(throttle, one, 50))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(counts) == 20


def test_the_deployed_figures_name_the_auth_routes():
    settings = deployed().local("throttle")

    assert settings.pop("*/*") == {"rate_limit": 100, "burst_limit": 200}
    assert set(settings) == {
        "auth/register/POST", "auth/login/POST", "auth/verify/GET", "auth/logout/POST", "auth/logout-all/POST",
        "auth/password/PUT",
    }  # fmt: skip
    assert {(one["rate_limit"], one["burst_limit"]) for one in settings.values()} == {(5, 10)}
