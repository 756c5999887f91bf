"""
Events of REST APIs, format 1.0: Lambda proxy integrations and REQUEST authorizers.

Unlike API Gateway's: names of headers have capitals after dashes, whatever the client wrote (HTTP/2 has no case); a
body is always text, since the document names no binary media types, and bytes that are no UTF-8 become U+FFFD.
"""

import time
from typing import Any

from .document import Route
from .messages import Headers, Request

ACCOUNT = "000000000000"
REGION = "us-east-1"
API = "local"
STAGE = "prod"


def method_arn(request: Request) -> str:
    """
    Name a request as policies do.

    Args:
        request: The request; its path counts as it was asked, not the route's template.

    Returns:
        ARN of the method.
    """
    return f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{API}/{STAGE}/{request.method}/{request.path.removeprefix('/')}"


def authorizer_event(route: Route, parameters: dict[str, str], request: Request) -> dict[str, Any]:
    """
    Build the event of a REQUEST authorizer.

    Args:
        route: Route of the request.
        parameters: Its path parameters, decoded.
        request: The request; its body is no part of the event.

    Returns:
        The event.
    """
    return {
        "type": "REQUEST",
        "methodArn": method_arn(request),
        **_request_fields(route, parameters, request),
        "requestContext": _context(route, request),
    }


def proxy_event(
    route: Route, parameters: dict[str, str], request: Request, authorizer: dict[str, Any] | None
) -> dict[str, Any]:
    """
    Build the event of a Lambda proxy integration.

    Args:
        route: Route of the request.
        parameters: Its path parameters, decoded.
        request: The request.
        authorizer: What the authorizer said of the caller; None on an open route.

    Returns:
        The event.
    """
    context = _context(route, request)
    if authorizer is not None:
        context["authorizer"] = authorizer
    body = request.read_body()
    return {
        **_request_fields(route, parameters, request),
        "requestContext": context,
        "body": body.decode(errors="replace") if body else None,
        "isBase64Encoded": False,
    }


def _request_fields(route: Route, parameters: dict[str, str], request: Request) -> dict[str, Any]:
    arguments = request.arguments()
    return {
        "resource": route.resource,
        "path": request.path,
        "httpMethod": request.method,
        "headers": dict(request.headers) or None,
        "multiValueHeaders": _multiple(request.headers),
        "queryStringParameters": dict(arguments) or None,
        "multiValueQueryStringParameters": _multiple(arguments),
        "pathParameters": parameters or None,
        "stageVariables": None,
    }


def _multiple(pairs: Headers) -> dict[str, list[str]] | None:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values or None


def _context(route: Route, request: Request) -> dict[str, Any]:
    context = {
        "resourceId": f"{route.method} {route.resource}",
        "resourcePath": route.resource,
        "httpMethod": request.method,
        "extendedRequestId": request.request_id,
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(request.received_at)),
        "path": f"/{STAGE}{request.path}",
        "accountId": ACCOUNT,
        "protocol": request.protocol,
        "stage": STAGE,
        "domainPrefix": API,
        "requestTimeEpoch": int(request.received_at * 1000),
        "requestId": request.request_id,
        "identity": _identity(request),
        "domainName": f"{API}.execute-api.{REGION}.amazonaws.com",
        "deploymentId": "local",
        "apiId": API,
    }
    if route.operation:
        context["operationName"] = route.operation
    return context


def _identity(request: Request) -> dict[str, str | None]:
    unknown = (
        "cognitoIdentityPoolId",
        "accountId",
        "cognitoIdentityId",
        "caller",
        "principalOrgId",
        "accessKey",
        "cognitoAuthenticationType",
        "cognitoAuthenticationProvider",
        "userArn",
        "user",
    )
    return {
        **dict.fromkeys(unknown),
        "sourceIp": request.source_ip,
        "userAgent": request.header("User-Agent"),
    }
