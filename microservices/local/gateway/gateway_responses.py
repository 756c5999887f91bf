"""Answers of the gateway itself, in the form that the document's gateway responses give it."""

import re
from typing import Any

from .messages import Refused, Request, Response

VARIABLE = re.compile(r"\$(context|method)((?:\.[A-Za-z][\w-]*)+)")


def gateway_response(responses: dict[str, dict[str, Any]], refused: Refused, request: Request) -> Response:
    """
    Answer by the document's entry for a kind of refusal, else by that for all 4xx or all 5xx.

    Args:
        responses: The document's gateway responses.
        refused: What the gateway has to say.
        request: The request.

    Returns:
        The answer for the client.
    """
    chosen = responses.get(refused.kind) or responses.get("DEFAULT_5XX" if refused.status >= 500 else "DEFAULT_4XX", {})
    template = chosen.get("responseTemplates", {}).get("application/json", '{"message":$context.error.messageString}')
    headers = [
        (name.removeprefix("gatewayresponse.header."), _parameter(source, request))
        for name, source in chosen.get("responseParameters", {}).items()
    ]
    body = VARIABLE.sub(lambda found: _variable(found, refused.context, request), template)
    status = int(chosen.get("statusCode", refused.status))
    return Response(status, [("Content-Type", "application/json"), *headers], body.encode())


def _parameter(source: str, request: Request) -> str:
    if source.startswith("'"):
        return source[1:-1]
    return request.header(source.removeprefix("method.request.header.")) or ""


def _variable(found: re.Match[str], context: dict[str, Any], request: Request) -> str:
    """Value of ``$context.…`` or ``$method.request.header.…``; empty where there is none, as in API Gateway."""
    if found[1] == "method":
        return request.header(found[2].removeprefix(".request.header.")) or ""
    value: Any = {**context, "requestId": request.request_id}
    for key in found[2].split(".")[1:]:
        value = value.get(key, "") if isinstance(value, dict) else ""
    return str(value)
