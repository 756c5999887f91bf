"""
The gateway's spans, as API Gateway's active tracing makes them: it decides for all behind it what is recorded.

``OTEL_TRACES_SAMPLER`` and its argument say how much; without them it is everything, or what a client's header says.
"""

import os
from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.aws import AwsXRayPropagator
from opentelemetry.sdk.extension.aws.trace import AwsXRayIdGenerator
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from .messages import TRACE_HEADER, TRACE_ROOT, Request, Response

XRAY = AwsXRayPropagator()


class Roots(AwsXRayIdGenerator):
    """Ids of traces: a client may name a root without a parent, which OpenTelemetry would pass over."""

    def __init__(self) -> None:
        self.given: ContextVar[str | None] = ContextVar("ROOT", default=None)

    def generate_trace_id(self) -> int:
        """Return the client's id, else a new one."""
        given = self.given.get()
        return int(given.replace("-", "")[1:], 16) if given else super().generate_trace_id()


class Tracing:
    """
    A tracer whose spans are sent in batches, by a thread that each of gunicorn's processes has.

    Args:
        endpoint: Base URL of an OTLP collector.
    """

    def __init__(self, endpoint: str) -> None:
        self._roots = Roots()
        provider = TracerProvider(id_generator=self._roots, resource=Resource.create({SERVICE_NAME: "gateway"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))
        self._tracer = provider.get_tracer("microservices")

    def begin(self, request: Request) -> tuple[trace.Span, str]:
        """
        Begin a request's span.

        Args:
            request: The request behind the edge.

        Returns:
            The span, and the header for what is behind the gateway.
        """
        given = request.header(TRACE_HEADER) or ""
        root = TRACE_ROOT.search(given)
        self._roots.given.set(root and root[1])
        parent = XRAY.extract({TRACE_HEADER: given})
        span = self._tracer.start_span(request.method, parent, trace.SpanKind.SERVER)
        carrier: dict[str, str] = {}
        XRAY.inject(carrier, trace.set_span_in_context(span))
        return span, carrier[TRACE_HEADER]


def end(span: trace.Span, request: Request, response: Response) -> None:
    """
    End a request's span.

    Args:
        span: The span.
        request: The request; its path is left out, for there may be a person's address in it.
        response: The answer.
    """
    span.update_name(f"{request.method} {request.resource}")
    span.set_attribute("http.response.status_code", response.status)
    if response.status >= 500:
        span.set_status(trace.StatusCode.ERROR)
    span.end()


def configured() -> Tracing | None:
    """Return the gateway's tracing where a collector is named."""
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return Tracing(endpoint) if endpoint else None
