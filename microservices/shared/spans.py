"""Spans of OpenTelemetry. Import this only if they are exported."""

import requests
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.aws import AwsXRayPropagator
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

from shared import settings
from shared.traces import HEADER, Attributes, Span

# The collector is a neighbour, on the same host. A function waits for it, and so does a process that ends; the SDK's
# first pause before it tries again is longer.
EXPORT_SECONDS = "0.5"
_XRAY = AwsXRayPropagator()


class RecordedSpan(Span):
    """
    A piece of work of a trace that is recorded.

    Args:
        span: OpenTelemetry's span.
        root: Id of the trace, as X-Ray writes it.
    """

    is_recorded = True

    def __init__(self, span: trace.Span, root: str) -> None:
        carrier: dict[str, str] = {}
        _XRAY.inject(carrier, trace.set_span_in_context(span))
        super().__init__(carrier[HEADER], root)
        self._span = span

    def note(self, *, name: str | None = None, attributes: Attributes | None = None, error: str | None = None) -> None:
        """Note what is known of the work; an error's own message could quote a person's data, so its kind is all."""
        if name is not None:
            self._span.update_name(name)
        if attributes is not None:
            self._span.set_attributes(attributes)
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(trace.StatusCode.ERROR)

    def end(self) -> None:
        """End the work; the recorder's thread sends it."""
        self._span.end()


class Recorder:
    """
    The process's tracer, whose spans a thread sends in batches; at the process's end, too.

    Args:
        service: Name of the service.
        endpoint: Base URL of an OTLP collector. The SDK reads its other settings from the environment.
    """

    def __init__(self, service: str, endpoint: str) -> None:
        timeout = float(settings.text("OTEL_EXPORTER_OTLP_TIMEOUT", EXPORT_SECONDS))
        # A service begins no trace, so it makes no ids of traces: X-Ray's are the gateway's.
        self._provider = TracerProvider(
            sampler=ParentBased(ALWAYS_OFF), resource=Resource.create({SERVICE_NAME: service})
        )
        session = requests.Session()
        session.trust_env = False  # a quarter of an export's time: no proxy stands before a neighbour
        url = f"{endpoint.rstrip('/')}/v1/traces"
        exporter = OTLPSpanExporter(endpoint=url, timeout=timeout, session=session)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("microservices")

    def begin(self, name: str, kind: str, header: str, root: str) -> Span:
        """
        Begin a span.

        Args:
            name: Name of the work.
            kind: Its kind, such as ``SERVER``.
            header: X-Ray's header with root, parent and ``Sampled=1``.
            root: The header's root.
        """
        parent = _XRAY.extract({HEADER: header})
        return RecordedSpan(self._tracer.start_span(name, parent, trace.SpanKind[kind]), root)

    def flush(self) -> None:
        """Send the spans that have ended."""
        self._provider.force_flush()
