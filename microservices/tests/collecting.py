"""A collector of spans, as far as an exporter of OTLP over HTTP sees it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Received:
    """A span as it came."""

    service: str
    name: str
    trace_id: str  # as X-Ray writes it
    id: str
    parent: str  # empty for the first span of a trace
    attributes: dict[str, Any]
    is_error: bool
    text: str


class Collector:
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.url = ""
        self.paths: set[str] = set()
        self._spans: list[Received] = []
        self._lock = threading.Lock()

    def take(self, path: str, body: bytes) -> None:
        export = ExportTraceServiceRequest()
        export.ParseFromString(body)
        with self._lock:
            self.paths.add(path)
            self._spans += [
                received(attributes_of(sent.resource)["service.name"], span)
                for sent in export.resource_spans
                for scope in sent.scope_spans
                for span in scope.spans
            ]

    @property
    def spans(self) -> list[Received]:
        with self._lock:
            return list(self._spans)

    def of(self, trace_id: str) -> list[Received]:
        return [span for span in self.spans if span.trace_id == trace_id]


def received(service: str, span: Any) -> Received:
    root = span.trace_id.hex()
    return Received(
        service=service,
        name=span.name,
        trace_id=f"1-{root[:8]}-{root[8:]}",
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        attributes=attributes_of(span),
        is_error=span.status.code == 2,
        text=str(span),
    )


def attributes_of(holder: Any) -> dict[str, Any]:
    return {item.key: item.value.string_value or item.value.int_value for item in holder.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that runs until the block ends."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            collector.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield collector
    server.shutdown()
    server.server_close()
