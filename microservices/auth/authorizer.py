"""The gateway's authorizer: allows a good session's request, and hands the services its account."""

from typing import Any

from aws_lambda_powertools.utilities.data_classes.api_gateway_authorizer_event import (
    APIGatewayAuthorizerRequestEvent,
)

from auth.sessions import check_session
from shared.errors import Unauthenticated
from shared.metrics import SESSIONS_REFUSED
from shared.observability import count, invocation, logger, request_id_of


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes it
    """
    Answer a REQUEST authorizer's event.

    A refused request is denied with the reason as context, which the gateway's ACCESS_DENIED answer shows as a 401.
    So a denial must mean that the session is not good, and nothing else; services refuse by role and owner.
    """
    with invocation("authorize", "SERVER", request_id_of(event)):
        return _decide(APIGatewayAuthorizerRequestEvent(event))


def _decide(request: APIGatewayAuthorizerRequestEvent) -> dict[str, Any]:
    try:
        session = check_session(request.headers.get("authorization"))
    except Unauthenticated as refusal:
        logger.info("session_refused", extra={"code": refusal.code})
        count(SESSIONS_REFUSED)
        return _policy("Deny", request, "anonymous", {"message": refusal.text, "code": refusal.code})
    account = session.account
    logger.info("session_accepted", extra={"account_id": account.account_id})
    context_values = {"accountId": account.account_id, "userId": account.user_id, "role": account.role}
    return _policy("Allow", request, account.account_id, context_values)


def _policy(
    effect: str, request: APIGatewayAuthorizerRequestEvent, principal: str, context: dict[str, str]
) -> dict[str, Any]:
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": [request.method_arn]}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return {"principalId": principal, "policyDocument": document, "context": context}
