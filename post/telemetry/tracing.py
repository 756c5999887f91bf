"""Traces, by OpenTelemetry. Import this only if spans are exported."""

import threading
from collections.abc import Sequence
from typing import Any

from flask import Flask
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.propagators.aws import AwsXRayPropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.extension.aws.trace import AwsXRayIdGenerator
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from post import __version__
from post.telemetry.request_info import attach_trace

UNTRACED = r"^\w+://[^/?]+/health(/ready)?/?(\?.*)?$"
FLUSH_SECONDS = 3
# Attributes with the request's target and query (OpenTelemetry: "HTTP spans", old and new).
TARGET, QUERY = "http.target", "url.query"


def trace_requests(app: Flask, *, with_redis: bool) -> None:
    """
    Trace an app's requests (but for the probes), and its fetch of the keys of tokens.

    Args:
        app: The application.
        with_redis: Whether it asks Redis too.
    """
    # If a request names two traces, the later propagator's holds: AWS's proxies write that header.
    propagate.set_global_textmap(CompositePropagator([TraceContextTextMapPropagator(), AwsXRayPropagator()]))
    FlaskInstrumentor.instrument_app(  # type: ignore[no-untyped-call]  # the library's
        app,
        request_hook=_attach_trace,
        response_hook=_without_query,
        excluded_urls=UNTRACED,
        enable_commenter=False,
    )
    RequestsInstrumentor().instrument()
    if with_redis:
        from opentelemetry.instrumentation.redis import RedisInstrumentor  # noqa: PLC0415 - the client is large

        RedisInstrumentor().instrument()


def trace_queries(engines: Sequence[Engine]) -> None:
    """Trace the statements of engines."""
    for engine in engines:  # before the instrumentation listens, so that it finds the span ended
        event.listen(engine, "handle_error", _end_without_message)
    SQLAlchemyInstrumentor().instrument(engines=engines)


def start(endpoint: str) -> None:
    """
    Start to export spans, from a thread: the process may not fork afterwards.

    Args:
        endpoint: Base URL of an OTLP collector. The SDK reads its other settings from the environment
            (``OTEL_SERVICE_NAME``, ``OTEL_TRACES_SAMPLER``, …).
    """
    release = Resource({"service.name": "post-service", "service.version": __version__})
    # The environment's attributes override ours.
    provider = TracerProvider(
        id_generator=AwsXRayIdGenerator(),
        resource=Resource.create().merge(release).merge(OTELResourceDetector().detect()),
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")))
    trace.set_tracer_provider(provider)


def stop() -> None:
    """Export the remaining spans, within ``FLUSH_SECONDS``, and stop."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        # In a thread: an export to a collector that is away is retried for longer.
        ending = threading.Thread(target=provider.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(FLUSH_SECONDS)


def _attach_trace(span: trace.Span, environ: dict[str, Any]) -> None:
    context = span.get_span_context()
    if context.is_valid:
        attach_trace(environ, trace.format_trace_id(context.trace_id))


def _without_query(span: trace.Span | None, _status: str, _headers: Any) -> None:
    # Not when the span begins: the instrumentation sets its attributes again afterwards.
    if span is None or not span.is_recording():
        return
    attributes = getattr(span, "attributes", {})
    if TARGET in attributes:
        span.set_attribute(TARGET, attributes[TARGET].partition("?")[0])
    if QUERY in attributes:
        span.set_attribute(QUERY, "")


def _end_without_message(error: ExceptionContext) -> None:
    # The instrumentation would add the driver's message, which may quote a row's value.
    context: Any = error.execution_context
    span: trace.Span | None = getattr(context, "_otel_span", None)
    if span is None:
        return
    span.set_status(trace.StatusCode.ERROR, type(error.original_exception).__name__)
    span.end()
    context._otel_span = None  # noqa: SLF001 - where the instrumentation keeps it
