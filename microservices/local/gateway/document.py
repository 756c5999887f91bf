"""Routes of openapi.yaml, rendered as Terraform's ``templatefile`` does and matched as API Gateway does."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

PATH = Path(__file__).parents[2] / "openapi.yaml"
METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
ANY = "x-amazon-apigateway-any-method"
INTEGRATION = "x-amazon-apigateway-integration"
RESPONSES = "x-amazon-apigateway-gateway-responses"
AUTHORIZER = "x-amazon-apigateway-authorizer"

HOLE = re.compile(r"\$\{(\w+)\}")
PARAMETER = re.compile(r"\{(\w+)\}")
KNOWN_TYPES = {"aws_proxy", "http_proxy", "mock"}
DEFAULT_TIMEOUT_MS = 29_000


class WrongDocument(ValueError):
    """The document asks for something that this gateway does not do; it never serves half of a document."""


@dataclass(frozen=True)
class Integration:
    """The back of a route, and the way in which a request is handed to it."""

    type: str
    method: str
    uri: str
    timeout_seconds: float
    request_parameters: dict[str, str]
    mock: dict[str, Any]


@dataclass(frozen=True)
class Authorizer:
    """A REQUEST authorizer: its function, the header it needs, and the life of its answers in seconds."""

    name: str
    uri: str
    identity_header: str
    ttl_seconds: int


@dataclass(frozen=True)
class Route:
    """One method of one path; method ``ANY`` stands for those that the path does not name."""

    method: str
    resource: str
    operation: str | None
    integration: Integration
    authorizer: Authorizer | None


class Node:
    """A path's segment in the tree of resources."""

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.parameter: tuple[str, Node] | None = None
        self.routes: dict[str, Route] = {}


def render(text: str, variables: dict[str, Any]) -> dict[str, Any]:
    """
    Render the document.

    Args:
        text: The document with its holes, ``${…}``.
        variables: Values by the holes' names.

    Returns:
        The document as a tree.

    Raises:
        WrongDocument: A hole has no value.
    """
    unknown = {hole[1] for hole in HOLE.finditer(text)} - set(variables)
    if unknown:
        raise WrongDocument(f"openapi.yaml wants values that nobody gives: {', '.join(sorted(unknown))}")
    document: dict[str, Any] = yaml.load(HOLE.sub(lambda hole: str(variables[hole[1]]), text), yaml.CSafeLoader)
    return document


class Document:
    """The routes and gateway responses of one rendered document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.responses: dict[str, dict[str, Any]] = document.get(RESPONSES, {})
        self._authorizers = dict(self._read_authorizers(document))
        self._root = Node()
        self.routes: list[Route] = []
        for path, item in document["paths"].items():
            for method in (*METHODS, ANY):
                if method in item:
                    self._add(self._route("ANY" if method == ANY else method.upper(), path, item[method]))

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """
        Find a request's route: a literal segment wins over a parameter, and a trailing slash means nothing.

        Args:
            method: Method of the request.
            path: Its path, percent-encoded.

        Returns:
            The route and its path parameters, decoded; None where the document has neither path nor method.
        """
        segments = path.removesuffix("/").split("/")[1:]
        found = self._walk(self._root, segments)
        if found is None:
            return None
        node, parameters = found
        route = node.routes.get(method) or (node.routes.get("ANY") if method.lower() in METHODS else None)
        return (route, parameters) if route else None

    def _walk(self, node: Node, segments: list[str]) -> tuple[Node, dict[str, str]] | None:
        if not segments:
            return (node, {}) if node.routes else None
        first, *rest = segments
        if first in node.children and (found := self._walk(node.children[first], rest)):
            return found
        if node.parameter and first:
            name, child = node.parameter
            if found := self._walk(child, rest):
                return found[0], {name: unquote(first), **found[1]}
        return None

    def _add(self, route: Route) -> None:
        node = self._root
        for segment in route.resource.split("/")[1:]:
            if parameter := PARAMETER.fullmatch(segment):
                node.parameter = node.parameter or (parameter[1], Node())
                name, node = node.parameter
                if name != parameter[1]:
                    raise WrongDocument(f"{route.resource}: its parameter has another name beside it, {name}")
            else:
                node = node.children.setdefault(segment, Node())
        node.routes[route.method] = route
        self.routes.append(route)

    def _read_authorizers(self, document: dict[str, Any]) -> Iterator[tuple[str, Authorizer]]:
        for name, scheme in document.get("components", {}).get("securitySchemes", {}).items():
            asked = scheme[AUTHORIZER]
            source = asked["identitySource"].removeprefix("method.request.header.")
            if asked["type"] != "request" or not re.fullmatch(r"[\w-]+", source):
                raise WrongDocument(f"{name}: only a REQUEST authorizer with one header as its source is known")
            yield name, Authorizer(name, asked["authorizerUri"], source, int(asked["authorizerResultTtlInSeconds"]))

    def _route(self, method: str, path: str, operation: dict[str, Any]) -> Route:
        schemes = [name for choice in operation.get("security", []) for name in choice]
        if len(schemes) > 1 or not set(schemes) <= set(self._authorizers):
            raise WrongDocument(f"{method} {path}: one authorizer of the document at most")
        if INTEGRATION not in operation:
            raise WrongDocument(f"{method} {path}: no integration")
        return Route(
            method=method,
            resource=path,
            operation=operation.get("operationId"),
            integration=self._integration(f"{method} {path}", operation[INTEGRATION]),
            authorizer=self._authorizers[schemes[0]] if schemes else None,
        )

    def _integration(self, where: str, asked: dict[str, Any]) -> Integration:
        if asked["type"] not in KNOWN_TYPES:
            raise WrongDocument(f"{where}: integration {asked['type']} is not known")
        return Integration(
            type=asked["type"],
            method=asked.get("httpMethod", ""),
            uri=asked.get("uri", ""),
            timeout_seconds=asked.get("timeoutInMillis", DEFAULT_TIMEOUT_MS) / 1000,
            request_parameters=asked.get("requestParameters", {}),
            mock=asked if asked["type"] == "mock" else {},
        )
