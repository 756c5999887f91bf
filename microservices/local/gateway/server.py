"""
The gateway as a WSGI application: edge, routes, throttle, authorizer, integration, in this order.

It is one process, so that throttle and authorizer cache are one. Of API Gateway it has what the document uses, and
refuses a document that asks for more. Left out: API keys, usage plans, IAM and Cognito authorizers, models and request
validators, VTL, binary media types, compression, caching of answers, canaries, WebSockets, AWS's account limits.
What breaks HTTP itself is refused by gunicorn, in gunicorn's words.
"""

import logging
import os
import threading
from collections.abc import Iterable
from http.client import responses
from pathlib import Path
from typing import Any
from uuid import uuid4

import urllib3

from microservices.local.terraform import deployed

from . import access_log, tracing
from .authorizers import Authorizers
from .document import PATH, Document, WrongDocument, render
from .edge import edge_headers, is_api, refused_at_edge, restore_challenge, strip_api
from .events import ACCOUNT, REGION
from .gateway_responses import gateway_response
from .integrations import Integrations, check_integration
from .lambdas import Lambdas
from .messages import Headers, Refused, Request, Response, trace_of, with_header
from .site import site_answer
from .throttle import Throttle

MAX_BODY_BYTES = 10 * 1024 * 1024  # API Gateway's limit, which cannot be raised
CONNECTIONS = 64

LOG = logging.getLogger("gunicorn.error")
current = threading.local()


def keep_headers(_worker: Any, request: Any) -> None:
    """Keep each header by itself, which WSGI would join; gunicorn calls this before each request."""
    current.headers = [("-".join(map(str.capitalize, name.split("-"))), value) for name, value in request.headers]


class Gateway:
    """One stage of the API, behind one edge."""

    def __init__(
        self,
        document: Document,
        lambdas_url: str,
        throttle: Throttle | None = None,
        tracer: tracing.Tracing | None = None,
    ) -> None:
        pool = urllib3.PoolManager(maxsize=CONNECTIONS, block=False)
        lambdas = Lambdas(lambdas_url, pool)
        self._document = document
        self._authorizers = Authorizers(lambdas)
        self._integrations = Integrations(lambdas, pool)
        self._throttle = throttle
        self._tracer = tracer

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one WSGI request, of the API or of the site."""
        request = read_request(environ)
        target = raw_target(environ)
        if refusal := refused_at_edge(request, target):
            response = refusal
        elif is_api(target):
            response = self.answer(request)
            response.headers = restore_challenge(response.headers)
        else:
            response = self._site(request)
        if response.status != 204:
            response.headers.append(("Content-Length", str(len(response.body))))
        start_response(f"{response.status} {responses.get(response.status, 'Unknown')}", response.headers)
        return [] if request.method == "HEAD" else [response.body]

    def answer(self, request: Request) -> Response:
        """
        Answer one request of the API.

        Args:
            request: The request behind the edge.

        Returns:
            The answer, with API Gateway's own headers.
        """
        span, trace = self._tracer.begin(request) if self._tracer else (None, trace_of(request.headers))
        request.headers = gateway_headers(request, trace)
        try:
            response = self._route(request)
        except Refused as refused:
            response = self._refusal(refused, request)
        except Exception:
            LOG.exception("gateway_failed")
            response = self._refusal(Refused("DEFAULT_5XX", 500, "Internal server error"), request)
        response.headers += [("x-amzn-RequestId", request.request_id), ("X-Amzn-Trace-Id", trace)]
        if span:
            tracing.end(span, request, response)
        access_log.write(request, response, trace)
        return response

    def _route(self, request: Request) -> Response:
        found = self._document.match(request.method, request.path)
        if found is None:
            raise Refused("MISSING_AUTHENTICATION_TOKEN", 403, "Missing Authentication Token")
        route, parameters = found
        request.resource = route.resource
        if self._throttle and not self._throttle.admits(route):
            raise Refused("THROTTLED", 429, "Too Many Requests")
        caller = None
        if route.authorizer:
            caller = self._authorizers.authorize(route.authorizer, route, parameters, request)
        return self._integrations.answer(route, parameters, request, caller)

    def _site(self, request: Request) -> Response:
        found = site_answer(request.method, request.path)
        return found or self._refusal(Refused("MISSING_AUTHENTICATION_TOKEN", 404, "Not found"), request)

    def _refusal(self, refused: Refused, request: Request) -> Response:
        return gateway_response(self._document.responses, refused, request)


def read_request(environ: dict[str, Any]) -> Request:
    """
    Read a request as the edge hands it on.

    Args:
        environ: WSGI's, from gunicorn.

    Returns:
        The request, its body not yet read.
    """
    path, _, query = raw_target(environ).partition("?")
    request_id = str(uuid4())
    address = environ.get("REMOTE_ADDR", "")
    return Request(
        method=environ["REQUEST_METHOD"],
        path=strip_api(path),
        query=query,
        headers=edge_headers(current.headers, address, request_id),
        source_ip=address,
        protocol=environ["SERVER_PROTOCOL"],
        request_id=request_id,
        read_body=lambda: read_body(environ),
    )


def raw_target(environ: dict[str, Any]) -> str:
    """Path and query as they were sent; a proxy's absolute form loses scheme and authority."""
    target: str = environ["RAW_URI"]
    return target if target.startswith("/") else "/" + target.partition("://")[2].partition("/")[2]


def read_body(environ: dict[str, Any]) -> bytes:
    """
    Read the body, as far as the gateway takes it.

    Args:
        environ: WSGI's.

    Returns:
        The whole body.

    Raises:
        Refused: It is larger than API Gateway's limit.
    """
    body: bytes = environ["wsgi.input"].read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise Refused("REQUEST_TOO_LARGE", 413, "Request Too Long")
    return body


def gateway_headers(request: Request, trace: str) -> Headers:
    """
    Add what API Gateway adds to a request.

    Args:
        request: The request behind the edge.
        trace: Value of ``X-Amzn-Trace-Id``.

    Returns:
        The headers for authorizer and integration.
    """
    forwarded = [value for name, value in request.headers if name == "X-Forwarded-For"]
    headers = with_header(request.headers, "X-Amzn-Trace-Id", trace)
    headers = with_header(headers, "X-Forwarded-For", ", ".join([*forwarded, request.source_ip]))
    headers = with_header(headers, "X-Forwarded-Port", "443")
    return with_header(headers, "X-Forwarded-Proto", "https")


def variables(products_url: str, orders_url: str) -> dict[str, Any]:
    """
    Give the document's holes their local values.

    Args:
        products_url: Base URL of the products service.
        orders_url: Base URL of the orders service.

    Returns:
        Values by name; what is no address comes from the Terraform files.
    """
    name = deployed().local("name")
    functions = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{functions}"
    return {
        "auth_uri": f"{uri}-auth/invocations",
        "users_uri": f"{uri}-users/invocations",
        "notifications_uri": f"{uri}-notifications/invocations",
        "authorizer_uri": f"{uri}-authorizer/invocations",
        "products_url": products_url,
        "orders_url": orders_url,
        "alb_arn": "local",
        "vpc_link_id": "local",
        **{key: deployed().value(f"${{var.{key}}}") for key in ("authorizer_ttl_seconds", "cors_origin")},
    }


def read_document(text: str, values: dict[str, Any]) -> Document:
    """
    Read a document, and refuse one that this gateway would serve in part only.

    Args:
        text: The document, with Terraform's holes.
        values: Values of the holes.

    Returns:
        Its routes and gateway responses.

    Raises:
        WrongDocument: It asks for what the gateway does not do.
    """
    document = Document(render(text, values))
    for route in document.routes:
        if wrong := check_integration(f"{route.method} {route.resource}", route.integration):
            raise WrongDocument(wrong)
    return document


def create_gateway() -> Gateway:
    """Make the gateway of the local run, from what the supervisor put into the environment."""
    text = Path(os.environ.get("PLATFORM_DOCUMENT", PATH)).read_text()
    values = variables(os.environ["PRODUCTS_URL"], os.environ["ORDERS_URL"])
    throttled = os.environ.get("PLATFORM_THROTTLE") == "1"
    throttle = Throttle(deployed().local("throttle")) if throttled else None
    access_log.open_log()
    return Gateway(read_document(text, values), os.environ["LAMBDA_URL"], throttle, tracing.configured())
