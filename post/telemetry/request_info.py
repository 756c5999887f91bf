"""What the application leaves in a request's WSGI environ, for the server that logs and counts the request."""

from typing import Any, NamedTuple

from post.utils import Caller

_REQUEST, _CALLER, _TRACE = "post.request", "post.caller", "post.trace_id"
XRAY_TIME_CHARS = 8  # of a trace id, in hex (AWS X-Ray: "Tracing header")


class Notes(NamedTuple):
    """
    What is known of a request.

    Attributes:
        request_id: The one that its answer has.
        route: The URL rule that it met, such as ``/api/v1/posts/<post_id>``.
    """

    request_id: str
    route: str | None


def note_request(environ: dict[str, Any], notes: Notes) -> None:
    """Leave what is known when the request begins."""
    environ[_REQUEST] = notes


def note_caller(environ: dict[str, Any], caller: object) -> None:
    """Leave what the token was found to be: whom it stands for, or why it was refused."""
    environ[_CALLER] = caller


def note_trace(environ: dict[str, Any], trace_id: str) -> None:
    """Leave the id of the request's trace, 32 hex characters."""
    environ[_TRACE] = trace_id


def noted_request(environ: dict[str, Any]) -> Notes | None:
    """Return what ``note_request`` has left; None of a request that the application has not seen."""
    notes: Notes | None = environ.get(_REQUEST)
    return notes


def noted_user(environ: dict[str, Any]) -> str | None:
    """Return the ``sub`` of the verified token, if the request had one."""
    caller = environ.get(_CALLER)
    return caller.user_id if isinstance(caller, Caller) else None


def trace_ids(environ: dict[str, Any]) -> dict[str, str]:
    """Return the fields of the log that name the request's trace, as OpenTelemetry and as X-Ray write it."""
    trace_id = environ.get(_TRACE)
    if trace_id is None:
        return {}
    return {"trace_id": trace_id, "xray_trace_id": f"1-{trace_id[:XRAY_TIME_CHARS]}-{trace_id[XRAY_TIME_CHARS:]}"}
