"""Facts that the application attaches to a request's WSGI environ, for the server's log and metrics."""

from typing import Any, NamedTuple

from post.utils import Caller

_REQUEST, _CALLER, _TRACE = "post.request", "post.caller", "post.trace_id"
XRAY_TIME_CHARS = 8  # of a trace id, in hex (AWS X-Ray: "Tracing header")


class RequestInfo(NamedTuple):
    """
    A request's id and route.

    Attributes:
        request_id: The id in its answer.
        route: The URL rule that it matched, such as ``/api/v1/posts/<post_id>``.
    """

    request_id: str
    route: str | None


def attach_request_info(environ: dict[str, Any], info: RequestInfo) -> None:
    """Attach the id and the route, when the request begins."""
    environ[_REQUEST] = info


def attach_caller(environ: dict[str, Any], caller: object) -> None:
    """Attach the result of checking the token: a ``Caller``, or the error that refused it."""
    environ[_CALLER] = caller


def attach_trace(environ: dict[str, Any], trace_id: str) -> None:
    """Attach the id of the request's trace, 32 hex characters."""
    environ[_TRACE] = trace_id


def request_info_of(environ: dict[str, Any]) -> RequestInfo | None:
    """Return the attached id and route, or None if the request has not reached the application."""
    info: RequestInfo | None = environ.get(_REQUEST)
    return info


def user_of(environ: dict[str, Any]) -> str | None:
    """Return the ``sub`` of the verified token, if the request had one."""
    caller = environ.get(_CALLER)
    return caller.user_id if isinstance(caller, Caller) else None


def trace_ids(environ: dict[str, Any]) -> dict[str, str]:
    """Return the fields of the log that name the request's trace, as OpenTelemetry and as X-Ray write it."""
    trace_id = environ.get(_TRACE)
    if trace_id is None:
        return {}
    return {"trace_id": trace_id, "xray_trace_id": f"1-{trace_id[:XRAY_TIME_CHARS]}-{trace_id[XRAY_TIME_CHARS:]}"}
