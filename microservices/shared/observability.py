"""The functions' log, metrics and spans: lines with the ids of request and trace, never with personal data."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import Metrics

from shared import settings, traces
from shared.http import choose_request_id
from shared.metrics import Metric, namespace


class Lines(LambdaPowertoolsFormatter):
    """Powertools' lines, with the trace of the work that is under way: a record of a queue has its own."""

    def serialize(self, log: Any) -> str:
        """Return one line."""
        root = traces.current().root
        return super().serialize(log | {"xray_trace_id": root} if root else log)


# Level and service come from LOG_LEVEL and POWERTOOLS_SERVICE_NAME.
logger = Logger(logger_formatter=Lines(utc=True, use_rfc3339=True))
metrics = Metrics(namespace=namespace())
traces.start(settings.text("POWERTOOLS_SERVICE_NAME", "function"))


def count(metric: Metric, value: int = 1) -> None:
    """
    Add to a metric, which is written at the invocation's end, whatever the log's level is.

    Args:
        metric: The metric.
        value: The number.
    """
    metrics.add_metric(name=metric.name, unit=metric.unit, value=value)


@contextmanager
def invocation(name: str, kind: str, request_id: str | None) -> Iterator[traces.Span]:
    """
    Observe one invocation: its lines have its ids; at its end its metrics are written and its spans sent.

    Spans are sent before the answer, since Lambda freezes a function after it.

    Args:
        name: Name of its span.
        kind: Kind of its span.
        request_id: Id of the request.

    Yields:
        The span.
    """
    logger.append_keys(request_id=request_id)
    try:
        with traces.within(name, kind, header=settings.text("_X_AMZN_TRACE_ID", "")) as span:
            try:
                yield span
            finally:
                _write_metrics(request_id, span.root)
    finally:
        traces.flush()


def request_id_of(event: Mapping[str, Any]) -> str:
    """
    Return the id of a request.

    Args:
        event: Event of the gateway.
    """
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    return choose_request_id(headers.get("x-request-id"), (event.get("requestContext") or {}).get("requestId"))


def _write_metrics(request_id: str | None, root: str | None) -> None:
    if not metrics.metric_set:
        return
    for name, value in (("request_id", request_id), ("xray_trace_id", root)):
        if value is not None:
            metrics.add_metadata(name, value)
    metrics.flush_metrics()
