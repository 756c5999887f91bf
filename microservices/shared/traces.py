"""
Traces: X-Ray's header goes on with every call and event; spans leave by OTLP where a collector is named.

Whoever stands first decides whether a trace is recorded: only a header with ``Sampled=1`` has spans. No span is made,
and nothing of OpenTelemetry is imported, where ``OTEL_EXPORTER_OTLP_ENDPOINT`` is not set.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from shared import settings

HEADER = "X-Amzn-Trace-Id"
HEADER_MAX_CHARS = 74
# The rest of a header is other programs' own, and its length is theirs to choose: it goes no further.
_FIELDS = re.compile(r"Root=(1-[0-9a-f]{8}-[0-9a-f]{24})(;Parent=[0-9a-f]{16})?(;Sampled=[01])?")
_RECORDED = ";Sampled=1"

Attributes = Mapping[str, str | int]


class Span:
    """
    A piece of work of a trace that is not recorded.

    Args:
        header: Header for what the work calls; empty where there is no trace.
        root: Id of the trace.
    """

    is_recorded = False

    def __init__(self, header: str, root: str | None) -> None:
        self.header = header
        self.root = root

    def note(self, *, name: str | None = None, attributes: Attributes | None = None, error: str | None = None) -> None:
        """
        Note what is known of the work, while it is under way.

        Args:
            name: Its name, if that is known only now.
            attributes: Facts without a person's data.
            error: Kind of its failure.
        """

    def end(self) -> None:
        """End the work."""


NO_SPAN = Span("", None)
_current: ContextVar[Span] = ContextVar("SPAN", default=NO_SPAN)
_recorder: Any = None


def start(service: str) -> None:
    """
    Record spans from now on, where a collector is named.

    Args:
        service: Name of the service.
    """
    global _recorder  # noqa: PLW0603 - one a process, like its log
    endpoint = settings.text("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    if endpoint:
        from shared.spans import Recorder  # noqa: PLC0415 - OpenTelemetry takes 0.1 s

        _recorder = Recorder(service, endpoint)


def flush() -> None:
    """Send the spans that have ended; who has many of them leaves it to the recorder's thread."""
    if _recorder is not None:
        _recorder.flush()


def current() -> Span:
    """Return the work that is under way."""
    return _current.get()


def root_of(header: str) -> str | None:
    """
    Return the id of a trace.

    Args:
        header: X-Ray's header; it need not name one.
    """
    found = _FIELDS.search(header)
    return found and found[1]


def begin(name: str, kind: str, header: str) -> Span:
    """
    Begin a piece of work, which is the current one until another begins.

    Args:
        name: Name of the work.
        kind: Its kind in OpenTelemetry's words, such as ``SERVER``.
        header: X-Ray's header that came with it; empty if there was none.
    """
    span = _new(name, kind, header)
    _current.set(span)
    return span


@contextmanager
def within(name: str, kind: str, *, header: str | None = None) -> Iterator[Span]:
    """
    Do a piece of work; afterwards the current one is as before.

    Args:
        name: As above.
        kind: As above.
        header: Header of another trace than the current one.

    Yields:
        The work.
    """
    outer = _current.get()
    span = begin(name, kind, outer.header if header is None else header)
    try:
        yield span
    except BaseException as exc:
        span.note(error=type(exc).__name__)
        raise
    finally:
        span.end()
        _current.set(outer)


def _new(name: str, kind: str, header: str) -> Span:
    found = _FIELDS.search(header)
    if found is None:
        return NO_SPAN
    if _recorder is not None and found[2] and found[3] == _RECORDED:
        recorded: Span = _recorder.begin(name, kind, found[0], found[1])
        return recorded
    return Span(found[0], found[1])
