"""The backs of the routes: Lambda functions, HTTP services and mocks."""

import base64
import re
from typing import Any
from urllib.parse import quote

import urllib3

from .document import PARAMETER, Integration, Route
from .events import proxy_event
from .lambdas import FunctionFailed, Lambdas, fetch
from .messages import Headers, Refused, Request, Response, trace_of

# RFC 9110, 7.6.1: headers of one connection. Host and Content-Length are made anew.
HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "content-length",
    "expect",
}
# API Gateway renames these where a Lambda function or a service answers with them.
REMAPPED = {"www-authenticate", "server", "date"}
PARAMETER_TARGET = re.compile(r"integration\.request\.(header|path)\.([\w-]+)")
OVERRIDE = re.compile(r"#set\(\$context\.responseOverride\.header\.([\w-]+) = \$input\.params\('([\w-]+)'\)\)")


class Integrations:
    """The three kinds of integration that the document uses."""

    def __init__(self, lambdas: Lambdas, pool: urllib3.PoolManager) -> None:
        self._lambdas = lambdas
        self._pool = pool

    def answer(
        self, route: Route, parameters: dict[str, str], request: Request, authorizer: dict[str, Any] | None
    ) -> Response:
        """
        Hand a request to what stands behind its route.

        Args:
            route: Route of the request.
            parameters: Its path parameters, decoded.
            request: The request.
            authorizer: What the authorizer said of the caller; None on an open route.

        Returns:
            The answer for the client.

        Raises:
            Refused: What stands behind did not answer, not in time, or not in the form that it must.
        """
        if route.integration.type == "mock":
            return mock(route.integration, request)
        if route.integration.type == "aws_proxy":
            return self._invoke(route, parameters, request, authorizer)
        return self._forward(route.integration, parameters, request, authorizer)

    def _invoke(
        self, route: Route, parameters: dict[str, str], request: Request, authorizer: dict[str, Any] | None
    ) -> Response:
        event = proxy_event(route, parameters, request, authorizer)
        try:
            answer = self._lambdas.invoke(
                route.integration.uri,
                event,
                trace=trace_of(request.headers),
                timeout_seconds=route.integration.timeout_seconds,
            )
        except FunctionFailed as exc:
            raise Refused("DEFAULT_5XX", 502, "Internal server error") from exc
        return proxy_response(answer)

    def _forward(
        self,
        integration: Integration,
        parameters: dict[str, str],
        request: Request,
        authorizer: dict[str, Any] | None,
    ) -> Response:
        url, headers = forwarded(integration, parameters, request, authorizer)
        answer = fetch(
            self._pool,
            request.method if integration.method == "ANY" else integration.method,
            url,
            body=request.read_body(),
            headers=headers,
            timeout_seconds=integration.timeout_seconds,
        )
        return Response(answer.status, _answered(list(answer.headers.iteritems())), answer.data)


def forwarded(
    integration: Integration, parameters: dict[str, str], request: Request, authorizer: dict[str, Any] | None
) -> tuple[str, urllib3.HTTPHeaderDict]:
    """
    Map a request to an HTTP service's.

    Args:
        integration: Integration with the mapping.
        parameters: Path parameters, decoded.
        request: The request.
        authorizer: What the authorizer said of the caller; None on an open route.

    Returns:
        URL and headers: the client's own, but those that the mapping sets.
    """
    url = integration.uri
    headers = urllib3.HTTPHeaderDict(_end_to_end(request.headers))
    for target, source in integration.request_parameters.items():
        place, name = PARAMETER_TARGET.fullmatch(target).groups()  # type: ignore[union-attr]  # checked when read
        value = parameter_value(source, parameters, request, authorizer)
        if place == "path":
            url = url.replace(f"{{{name}}}", _segment(value))
        else:
            headers[name] = value
    return url + (f"?{request.query}" if request.query else ""), headers


def parameter_value(
    source: str, parameters: dict[str, str], request: Request, authorizer: dict[str, Any] | None
) -> str:
    """
    Read one source of a parameter mapping.

    Args:
        source: ``'constant'``, ``method.request.path.…``, ``method.request.header.…`` or ``context.authorizer.…``.
        parameters: Path parameters, decoded.
        request: The request.
        authorizer: What the authorizer said of the caller.

    Returns:
        The value; empty where there is none.
    """
    if source.startswith("'"):
        return source[1:-1]
    kind, _, name = source.rpartition(".")
    if kind == "method.request.path":
        return parameters.get(name, "")
    if kind == "method.request.header":
        return request.header(name) or ""
    return str((authorizer or {}).get(name, ""))


def proxy_response(answer: Any) -> Response:
    """
    Read what a function behind a proxy integration returned.

    Args:
        answer: The handler's result.

    Returns:
        The answer for the client.

    Raises:
        Refused: The result has not the form of a proxy integration's.
    """
    try:
        body = answer.get("body") or ""
        multiple = answer.get("multiValueHeaders") or {}
        headers = [(name, str(value)) for name, value in (answer.get("headers") or {}).items() if name not in multiple]
        headers += [(name, str(value)) for name, values in multiple.items() for value in values]
        content = base64.b64decode(body, validate=True) if answer.get("isBase64Encoded") else body.encode()
        status = int(answer["statusCode"])
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise Refused("DEFAULT_5XX", 502, "Internal server error") from exc
    if not 200 <= status <= 599 or not all(_can_be_sent(value) for _, value in headers):
        raise Refused("DEFAULT_5XX", 502, "Internal server error")
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return Response(status, _answered(headers), content)


def mock(integration: Integration, request: Request) -> Response:
    """
    Answer a mock integration: one answer, constant but for headers that a template takes from the request.

    Args:
        integration: The mock.
        request: The request.

    Returns:
        The answer for the client.
    """
    chosen = integration.mock["responses"]["default"]
    headers = [
        (name.removeprefix("method.response.header."), value[1:-1])
        for name, value in chosen.get("responseParameters", {}).items()
    ]
    for name, source in OVERRIDE.findall(chosen.get("responseTemplates", {}).get("application/json", "")):
        headers.append((name, request.header(source) or ""))
    return Response(int(chosen["statusCode"]), headers, b"")


def check_integration(where: str, integration: Integration) -> str | None:
    """
    Look for what this gateway would have to leave out.

    Args:
        where: Method and path, for the message.
        integration: The integration.

    Returns:
        What is wrong, or None.
    """
    for target, source in integration.request_parameters.items():
        if not PARAMETER_TARGET.fullmatch(target):
            return f"{where}: parameter {target} is not known"
        if not re.fullmatch(r"'[^']*'|method\.request\.(path|header)\.[\w-]+|context\.authorizer\.\w+", source):
            return f"{where}: source {source} is not known"
    mapped = {target.rpartition(".")[2] for target in integration.request_parameters if ".path." in target}
    missing = set(PARAMETER.findall(integration.uri)) - mapped
    if missing:
        return f"{where}: nothing gives {', '.join(sorted(missing))} of {integration.uri}"
    for response in integration.mock.get("responses", {}).values():
        template = response.get("responseTemplates", {}).get("application/json", "")
        if OVERRIDE.sub("", template).strip():
            return f"{where}: template {template} is not known"
    return None


def _segment(value: str) -> str:
    """One segment of a path; a client of HTTP would take dots alone for a step."""
    return value.replace(".", "%2E") if value in (".", "..") else quote(value, safe="")


def _can_be_sent(value: str) -> bool:
    """True for a header's value that HTTP can carry: Latin-1 without control characters."""
    return value.isprintable() and value.encode("latin-1", "replace").decode("latin-1") == value


def _end_to_end(headers: Headers) -> Headers:
    """Headers that are not of one connection alone."""
    named = [value for name, value in headers if name.lower() == "connection"]
    dropped = HOP_BY_HOP | {option.strip().lower() for value in named for option in value.split(",")}
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def _answered(headers: Headers) -> Headers:
    """Headers of an integration's answer for the client, renamed where API Gateway renames them."""
    return [
        (f"x-amzn-Remapped-{name}" if name.lower() in REMAPPED else name, value) for name, value in _end_to_end(headers)
    ]
