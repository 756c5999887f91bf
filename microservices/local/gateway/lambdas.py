"""Calls of Lambda functions by the API's own path, ``Invoke``."""

import re
from typing import Any

import orjson
import urllib3

from .messages import Refused

FUNCTION = re.compile(r":function:([\w-]+)(?::[\w$-]+)?/invocations$")


class FunctionFailed(Exception):
    """The function raised, timed out by its own limit, or broke."""

    def __init__(self, payload: Any) -> None:
        self.message = payload.get("errorMessage") if isinstance(payload, dict) else None
        super().__init__(self.message)


class Lambdas:
    """A client of ``Invoke`` at one endpoint, with a pool of connections."""

    def __init__(self, endpoint: str, pool: urllib3.PoolManager) -> None:
        self._endpoint = endpoint
        self._pool = pool

    def invoke(self, uri: str, event: dict[str, Any], *, trace: str, timeout_seconds: float) -> Any:
        """
        Invoke a function and wait for its result.

        Args:
            uri: An integration's or authorizer's URI, which names the function.
            event: The function's event.
            trace: Value of ``X-Amzn-Trace-Id``.
            timeout_seconds: How long to wait at most.

        Returns:
            What the handler returned.

        Raises:
            FunctionFailed: The function gave an error.
            Refused: The function was not reached, or not in time.
        """
        found = FUNCTION.search(uri)
        if not found:
            raise Refused("API_CONFIGURATION_ERROR", 500, "Internal server error")
        answer = fetch(
            self._pool,
            "POST",
            f"{self._endpoint}/2015-03-31/functions/{found[1]}/invocations",
            body=orjson.dumps(event),
            headers={"Content-Type": "application/json", "X-Amzn-Trace-Id": trace},
            timeout_seconds=timeout_seconds,
        )
        if answer.status == 413:
            raise Refused("REQUEST_TOO_LARGE", 413, "Request Too Long")
        if answer.status >= 300:
            raise Refused("INTEGRATION_FAILURE", 500, "Internal server error")
        payload = orjson.loads(answer.data or b"null")
        if "X-Amz-Function-Error" in answer.headers:
            raise FunctionFailed(payload)
        return payload


def fetch(
    pool: urllib3.PoolManager,
    method: str,
    url: str,
    *,
    body: bytes,
    headers: Any,
    timeout_seconds: float,
) -> urllib3.BaseHTTPResponse:
    """
    Ask what is behind the gateway, once.

    Args:
        pool: Connections.
        method: Method of the request.
        url: Where to.
        body: The body, which may be empty.
        headers: Names and values.
        timeout_seconds: How long to wait at most.

    Returns:
        The answer, with its body as it was sent.

    Raises:
        Refused: Nobody answered, or not in time.
    """
    try:
        return pool.request(
            method,
            url,
            body=body or None,
            headers=headers,
            timeout=urllib3.Timeout(total=timeout_seconds),
            retries=False,
            redirect=False,
            decode_content=False,
        )
    except urllib3.exceptions.NewConnectionError as exc:
        raise Refused("INTEGRATION_FAILURE", 504, "Network error communicating with endpoint") from exc
    except urllib3.exceptions.TimeoutError as exc:
        raise Refused("INTEGRATION_TIMEOUT", 504, "Endpoint request timed out") from exc
    except urllib3.exceptions.HTTPError as exc:
        raise Refused("INTEGRATION_FAILURE", 504, "Network error communicating with endpoint") from exc
