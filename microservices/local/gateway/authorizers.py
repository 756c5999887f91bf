"""REQUEST authorizers: the function's policy decides, and what it says of the caller goes on to the integration."""

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from .document import Authorizer, Route
from .events import authorizer_event, method_arn
from .lambdas import FunctionFailed, Lambdas
from .messages import Refused, Request, trace_of

ACTION = "execute-api:Invoke"
CACHED_ANSWERS = 10_000
TIMEOUT_SECONDS = 29.0


class Authorizers:
    """The document's authorizers, with a cache of their answers where their life is above 0 seconds."""

    def __init__(self, lambdas: Lambdas, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lambdas = lambdas
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[tuple[str, str], tuple[float, Any]] = OrderedDict()

    def authorize(
        self, authorizer: Authorizer, route: Route, parameters: dict[str, str], request: Request
    ) -> dict[str, Any]:
        """
        Ask who the caller is, and whether the request may go on.

        Args:
            authorizer: Authorizer of the route.
            route: Route of the request.
            parameters: Its path parameters.
            request: The request.

        Returns:
            ``requestContext.authorizer`` for the integration.

        Raises:
            Refused: UNAUTHORIZED without the identity header, ACCESS_DENIED by the policy, and 500 by an authorizer
                that fails or answers no policy.
        """
        identity = request.header(authorizer.identity_header)
        if not identity:
            raise Refused("UNAUTHORIZED", 401, "Unauthorized")
        answer = self._answer(authorizer, identity, route, parameters, request)
        context = _context_of(answer)
        if not is_allowed(answer["policyDocument"], method_arn(request)):
            message = "User is not authorized to access this resource with an explicit deny"
            raise Refused("ACCESS_DENIED", 403, message, {"authorizer": context})
        return context

    def _answer(
        self, authorizer: Authorizer, identity: str, route: Route, parameters: dict[str, str], request: Request
    ) -> Any:
        key = (authorizer.name, identity)
        if authorizer.ttl_seconds and (known := self._known(key)) is not None:
            return known
        answer = self._ask(authorizer, route, parameters, request)
        if authorizer.ttl_seconds:
            self._remember(key, authorizer.ttl_seconds, answer)
        return answer

    def _ask(self, authorizer: Authorizer, route: Route, parameters: dict[str, str], request: Request) -> Any:
        event = authorizer_event(route, parameters, request)
        try:
            answer = self._lambdas.invoke(
                authorizer.uri, event, trace=trace_of(request.headers), timeout_seconds=TIMEOUT_SECONDS
            )
        except FunctionFailed as exc:
            if exc.message == "Unauthorized":  # what API Gateway takes for 401, letter by letter
                raise Refused("UNAUTHORIZED", 401, "Unauthorized") from exc
            raise Refused("AUTHORIZER_FAILURE", 500, "Internal server error") from exc
        except Refused as exc:
            raise Refused("AUTHORIZER_FAILURE", 500, "Internal server error") from exc
        if not _is_policy(answer):
            raise Refused("AUTHORIZER_CONFIGURATION_ERROR", 500, "Internal server error")
        return answer

    def _known(self, key: tuple[str, str]) -> Any:
        with self._lock:
            until, answer = self._answers.get(key, (0.0, None))
        return answer if self._clock() < until else None

    def _remember(self, key: tuple[str, str], ttl_seconds: int, answer: Any) -> None:
        with self._lock:
            self._answers[key] = (self._clock() + ttl_seconds, answer)
            self._answers.move_to_end(key)
            while len(self._answers) > CACHED_ANSWERS:
                self._answers.popitem(last=False)


def is_allowed(policy: dict[str, Any], arn: str) -> bool:
    """
    Evaluate a policy: a Deny wins, and what no statement allows is denied.

    Args:
        policy: Policy document of an authorizer's answer.
        arn: ARN of the request's method.

    Returns:
        True where the request may go on.
    """
    effects = {
        statement["Effect"]
        for statement in _listed(policy["Statement"])
        if any(_matches(action, ACTION) for action in _listed(statement["Action"]))
        and any(_matches(resource, arn) for resource in _listed(statement["Resource"]))
    }
    return effects == {"Allow"}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches(pattern: str, value: str) -> bool:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, value, re.DOTALL) is not None


def _is_policy(answer: Any) -> bool:
    """API Gateway refuses an answer without principal or policy, and a context that is more than plain values."""
    if not isinstance(answer, dict) or not isinstance(answer.get("principalId"), str):
        return False
    statements = (answer.get("policyDocument") or {}).get("Statement")
    context = answer.get("context") or {}
    return bool(statements) and not any(isinstance(value, (dict, list)) for value in context.values())


def _context_of(answer: dict[str, Any]) -> dict[str, Any]:
    """The caller as integrations see it: plain values, as text."""
    context = {key: _text(value) for key, value in (answer.get("context") or {}).items()}
    return {"principalId": answer["principalId"], "integrationLatency": 0, **context}


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return value if value is None else str(value)
