"""The gateway's authorizer."""

from datetime import timedelta

import pytest
from aws_lambda_powertools.utilities.data_classes.api_gateway_authorizer_event import APIGatewayAuthorizerResponse

from auth import authorizer
from microservices.tests.callers import authorizer_event
from shared import clock


def decided(api, target="/users", **options):
    event = authorizer_event(api.event("GET", target, **options))
    return event, authorizer.lambda_handler(event, None)


def test_a_good_session_is_allowed_with_its_account(api):
    ana = api.person()

    event, decision = decided(api, token=ana.token)

    assert decision == {
        "principalId": ana.account_id,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": [event["methodArn"]]}],
        },
        "context": {"accountId": ana.account_id, "userId": ana.email, "role": "user"},
    }


@pytest.mark.parametrize(
    ("header", "code", "message"),
    [
        (None, "authorization_required", "Authorization header required"),
        ("Bearer x", "invalid_session", "Invalid session"),
        (f"Bearer {'A' * 43}", "invalid_session", "Invalid session"),
    ],
)
def test_any_other_is_denied_with_the_reason(api, header, code, message):
    event, decision = decided(api, headers={"Authorization": header} if header else None)

    assert decision["policyDocument"]["Statement"] == [
        {"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": [event["methodArn"]]}
    ]
    assert decision["context"] == {"message": message, "code": code}


def test_an_expired_session_is_denied_as_such(api, set_clock):
    ana = api.person()
    set_clock(clock.now() + timedelta(days=1))

    assert decided(api, token=ana.token)[1]["context"]["code"] == "session_expired"


def test_the_role_is_the_present_one(api, admin):
    ana = api.person()
    for role in ("admin", "user"):
        assert api("PUT", f"/users/{ana.email}/role", {"role": role}, token=admin.token).status == 200

        assert decided(api, token=ana.token)[1]["context"]["role"] == role


def test_the_policy_is_what_powertools_writes(api):
    """The shape, by AWS's own builder of such policies."""
    ana = api.person()
    event, decision = decided(api, token=ana.token)

    region, account, path = "us-east-1", "123456789012", event["path"]
    built = APIGatewayAuthorizerResponse(ana.account_id, region, account, "api", "prod", decision["context"])
    built.allow_route("GET", path)

    assert decision == built.asdict()


def test_an_answer_of_the_gateway_needs_texts(api):
    ana = api.person()

    for token in (ana.token, "x"):
        context = decided(api, token=token)[1]["context"]
        assert all(isinstance(value, str) for value in context.values())
