"""A Lambda behind the gateway: routes by resource, the contract's answers, the caller."""

from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, IPv6Network, ip_address
from time import perf_counter
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from shared import errors, http
from shared.metrics import REQUESTS_FAILED
from shared.observability import count, invocation, logger, request_id_of
from shared.people import Caller

JSON = "application/json"
Event = dict[str, Any]


class LambdaApi(APIGatewayRestResolver):
    """
    Routes of one service, written as the resources of ``openapi.yaml``: ``/users/{userId}``.

    The gateway has matched the path already. Its event names the resource, which no prefix, stage or trailing slash
    changes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.routes: dict[str, list[str]] = {}
        self._request_id = ""
        self.exception_handler(errors.ServiceError)(self._refused)
        self.exception_handler(Exception)(self._failed)
        self.exception_handler(NotFoundError)(self._not_routed)

    def route(self, rule: str, method: Any, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Add a route; ``routes`` has the methods of each resource."""
        self.routes.setdefault(rule, []).append(method)
        return super().route(rule, method, *args, **kwargs)

    def resolve(self, event: Mapping[str, Any], context: Any) -> Event:
        """
        Answer an event of the gateway.

        Args:
            event: Proxy event, version 1.
            context: Context of the Lambda.

        Returns:
            The proxy answer.
        """
        self._request_id = request_id_of(event)
        with invocation(f"{event['httpMethod']} {_resource(event)}", "SERVER", self._request_id) as span:
            answer = self._answer(event, context)
            status: int = answer["statusCode"]
            span.note(attributes={"http.response.status_code": status}, error=str(status) if status >= 500 else None)
        return answer

    def json_body(self) -> dict[str, Any]:
        """
        Read the request's body.

        Raises:
            TooLarge: It has more than 64 KiB.
            UnsupportedType: Its type is another than JSON's.
            InvalidJson: It is not one JSON object.
        """
        event = self.current_event
        return http.read_json(
            event.body, is_base64=event.is_base64_encoded or False, content_type=self.header("content-type")
        )

    def header(self, name: str) -> str | None:
        """
        Return a header's last value.

        Args:
            name: Name of the header, in any case.
        """
        value = self.current_event.resolved_headers_field.get(name)
        if isinstance(value, list):
            value = value[-1] if value else None
        return value

    def query(self) -> dict[str, str]:
        """Return the query's parameters; of one that is repeated, the last."""
        return self.current_event.query_string_parameters or {}

    def path_parameter(self, name: str) -> str:
        """
        Return a parameter of the path, as the gateway has decoded it.

        Args:
            name: Name of the parameter, as in the resource.
        """
        parameters: dict[str, str] = self.current_event.path_parameters
        return parameters[name]

    def caller(self) -> Caller:
        """
        Return the caller, whom the gateway's authorizer has let through.

        Raises:
            AuthorizationRequired: No authorizer stood before this request.
        """
        found = self.current_event.raw_event["requestContext"].get("authorizer") or {}
        if not found.get("accountId"):
            raise errors.AuthorizationRequired
        return Caller(account_id=found["accountId"], user_id=found["userId"], role=found["role"])

    def viewer_address(self) -> str:
        """Return one key of the viewer's address, which the edge tells: of IPv6 its /64, which one customer has."""
        peer: str = self.current_event.raw_event["requestContext"]["identity"]["sourceIp"]
        return _address_key(self.header("x-viewer-address")) or _address_key(peer) or peer

    def _answer(self, event: Mapping[str, Any], context: Any) -> Event:
        started = perf_counter()
        answer: Event = super().resolve({**event, "path": _resource(event)}, context)
        for name, value in {**http.common_headers(self._request_id), "Cache-Control": "no-store"}.items():
            answer["multiValueHeaders"][name] = [value]
        milliseconds = round((perf_counter() - started) * 1000, 1)
        logger.info("request", extra=_facts(event) | {"status": answer["statusCode"], "duration_ms": milliseconds})
        return answer

    def _refused(self, error: errors.ServiceError) -> Response[str]:
        body = http.error_body(error, self._request_id)
        return respond(http.error_status(error), body, **http.error_headers(error))

    def _failed(self, _: Exception) -> Response[str]:
        logger.exception("request_failed")
        count(REQUESTS_FAILED)
        return respond(500, http.internal_error_body(self._request_id))

    def _not_routed(self, _: NotFoundError) -> Response[str]:
        allowed = self.routes.get(_resource(self.current_event.raw_event).rstrip("/"))
        return self._refused(errors.MethodNotAllowed(allowed=allowed) if allowed else errors.NotFound())


def respond(status: int, body: Any = None, **headers: str) -> Response[str]:
    """
    Return an answer.

    Args:
        status: Status of the answer.
        body: JSON value; None for an answer without a body.
        headers: Further headers.
    """
    if body is None:
        return Response(status_code=status, headers=headers, body="")
    return Response(status_code=status, content_type=JSON, headers=headers, body=http.dump_json(body))


def _resource(event: Mapping[str, Any]) -> str:
    resource: str = event.get("resource") or event["path"]
    return resource


def _facts(event: Mapping[str, Any]) -> dict[str, Any]:
    authorizer = (event.get("requestContext") or {}).get("authorizer") or {}
    return {
        "method": event["httpMethod"],
        "resource": event.get("resource"),  # a path would have a user's address in it
        "account_id": authorizer.get("accountId"),
    }


def _address_key(text: str | None) -> str | None:
    try:
        address = ip_address((text or "").strip())
    except ValueError:
        return None
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or IPv6Network((int(address) >> 64 << 64, 64)))
