"""An authorizer's answers are kept for its TTL, by the identity; with TTL 0 each request asks."""

import pytest

from microservices.local.gateway.authorizers import Authorizers, is_allowed
from microservices.local.gateway.document import Authorizer, Integration, Route
from microservices.local.gateway.messages import Refused, Request

ROUTE = Route("GET", "/users", None, Integration("aws_proxy", "POST", "", 29, {}, {}), None)


class CountingLambdas:
    def __init__(self):
        self.asked = []

    def invoke(self, _uri, event, **_options):
        self.asked.append(event["headers"]["Authorization"])
        statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": event["methodArn"]}
        return {"principalId": "x", "policyDocument": {"Statement": [statement]}}


def request(token, path="/users"):
    return Request("GET", path, "", [("Authorization", token)], "192.0.2.7", "HTTP/1.1", "id", lambda: b"")


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def lambdas():
    return CountingLambdas()


@pytest.fixture
def authorizers(lambdas, clock):
    return Authorizers(lambdas, clock=lambda: clock[0])


def test_with_ttl_0_each_request_asks(authorizers, lambdas):
    for _ in range(3):
        authorizers.authorize(Authorizer("session", "", "Authorization", 0), ROUTE, {}, request("a"))

    assert lambdas.asked == ["a", "a", "a"]


def test_with_a_ttl_an_identity_is_asked_for_once_until_it_is_over(authorizers, lambdas, clock):
    kept = Authorizer("session", "", "Authorization", 10)
    for token in ("a", "b", "a"):
        authorizers.authorize(kept, ROUTE, {}, request(token))
    clock[0] = 9.9
    authorizers.authorize(kept, ROUTE, {}, request("a"))
    clock[0] = 10.0
    authorizers.authorize(kept, ROUTE, {}, request("a"))

    assert lambdas.asked == ["a", "b", "a"]


def test_a_kept_policy_is_held_against_each_request(authorizers):
    """The known trap of a policy for one method and a TTL: the second route is denied."""
    kept = Authorizer("session", "", "Authorization", 10)
    authorizers.authorize(kept, ROUTE, {}, request("a"))

    with pytest.raises(Refused, match="ACCESS_DENIED"):
        authorizers.authorize(kept, ROUTE, {}, request("a", "/orders"))


ARN = "arn:aws:execute-api:us-east-1:000000000000:local/prod/GET/users/ana"


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([("Allow", "*")], True),
        ([("Allow", ARN)], True),
        ([("Allow", "arn:aws:execute-api:*:*:local/prod/GET/*")], True),
        ([("Allow", "arn:aws:execute-api:us-east-1:000000000000:local/prod/?ET/users/ana")], True),
        ([("Allow", [f"{ARN}/x", ARN])], True),
        ([("Allow", ARN.replace("GET", "PUT"))], False),
        ([("Allow", ARN[:-1])], False),
        ([("Deny", "*")], False),
        ([("Allow", "*"), ("Deny", ARN)], False),
        ([("Allow", ARN), ("Deny", f"{ARN}/x")], True),
    ],
)
def test_a_deny_wins_and_what_nothing_allows_is_denied(statements, allowed):
    policy = {
        "Statement": [
            {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource} for effect, resource in statements
        ]
    }

    assert is_allowed(policy, ARN) == allowed


@pytest.mark.parametrize(("action", "allowed"), [("execute-api:*", True), ("*", True), ("lambda:Invoke", False)])
def test_only_an_action_of_the_gateway_counts(action, allowed):
    assert is_allowed({"Statement": {"Action": [action], "Effect": "Allow", "Resource": "*"}}, ARN) == allowed
