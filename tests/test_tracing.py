"""Traces of a running service, as a collector gets them."""

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from flask import Flask, request
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from post.telemetry import tracing
from post.telemetry.request_info import trace_ids
from tests.redis_replicas import PATIENT, own_redis
from tests.servers import HANG_SECONDS, PATIENT_WITH_MYSQL, Service, answering, free_port, running_service, stop

POSTS = "/api/v1/posts"
TRACE_ID, PARENT_ID = "6924b1f05ae4a1c9f0b3d2e177a1c5d3", "53995c3f42cd8ad8"
XRAY_ID = f"1-{TRACE_ID[:8]}-{TRACE_ID[8:]}"
NEW = {"title": "비밀제목", "content": "비밀내용"}


class Collector:
    """An OTLP collector: keeps what it is sent."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self._exports: list[ExportTraceServiceRequest] = []
        self._lock = threading.Lock()

    def take(self, _method, path, _headers, body: bytes) -> tuple[int, str, bytes]:
        export = ExportTraceServiceRequest()
        export.ParseFromString(body)
        with self._lock:
            self.paths.add(path)
            self._exports.append(export)
        return 200, "application/x-protobuf", b""

    @property
    def resources(self) -> list[dict]:
        return [attributes_of(sent.resource) for export in self._exports for sent in export.resource_spans]

    @property
    def spans(self) -> list[Span]:
        sent = [sent for export in self._exports for sent in export.resource_spans]
        return [span for resource in sent for scope in resource.scope_spans for span in scope.spans]

    def of(self, trace_id: str) -> list[Span]:
        return [span for span in self.spans if span.trace_id.hex() == trace_id]

    @property
    def told(self) -> str:
        return "\n".join(map(str, self._exports))


def attributes_of(holder) -> dict:
    return {item.key: item.value.string_value or item.value.int_value for item in holder.attributes}


@contextmanager
def traced(folder, **settings: str) -> Iterator[tuple[Service, Collector]]:
    """A service whose spans a collector has when the block ends: they are sent as the workers stop, or never."""
    collector = Collector()
    with answering(collector.take) as url:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "3600000", **settings}
        with running_service(folder, **settings) as service:
            yield service, collector


def token(service: Service) -> dict[str, str]:
    answer = requests.post(f"{service.url}/dev/token", json={"username": "ana"}, timeout=HANG_SECONDS).json()
    return {"Authorization": f"Bearer {answer['data']['access_token']}"}


@pytest.fixture(scope="module", params=["sqlite", "mysql"])
def run(request, tmp_path_factory, own_mysql_database):
    """The spans of a few requests, and the log."""
    folder = tmp_path_factory.mktemp("service")
    url = own_mysql_database if request.param == "mysql" else f"sqlite:///{folder}/postdb.sqlite3"
    with traced(folder, DATABASE_URL=url, **PATIENT_WITH_MYSQL) as (service, collector):
        headers = token(service)
        made = requests.post(service.url + POSTS, json=NEW, headers=headers, timeout=HANG_SECONDS)
        path = made.headers["Location"]
        continued = {"X-Amzn-Trace-Id": f"Root={XRAY_ID};Parent={PARENT_ID};Sampled=1"}
        read = requests.get(
            f"{service.url}{path}?q=secret-query", headers={**headers, **continued}, timeout=HANG_SECONDS
        )
        for probe in ("/health", "/health/ready"):
            requests.get(service.url + probe, timeout=HANG_SECONDS)
        requests.get(f"{service.url}/nowhere?q=secret-query", timeout=HANG_SECONDS)
        _fail(service, url, path, headers)
        stopped = stop(service.process)
    return request.param, collector, service, path, read, stopped


def _fail(service: Service, url: str, path: str, headers: dict[str, str]) -> None:
    """Have a statement fail in words that tell what a row holds."""
    engine = create_engine(url, poolclass=NullPool)
    trigger = "CREATE TRIGGER refuse BEFORE INSERT ON likes "
    with engine.begin() as connection:
        mysql = "FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'secret-row'"
        sqlite = "BEGIN SELECT RAISE(ABORT, 'secret-row'); END"
        connection.execute(text(trigger + (sqlite if url.startswith("sqlite") else mysql)))
    assert requests.put(f"{service.url}{path}/like", headers=headers, timeout=HANG_SECONDS).status_code == 500
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER refuse"))


def line_of(service: Service, answer: requests.Response) -> str:
    (line,) = [line for line in service.log.splitlines() if f"request_id={answer.headers['X-Request-ID']}" in line]
    return line


def test_a_request_continues_the_trace_that_it_names(run):
    _, collector, _, path, _, _ = run

    (root,) = [span for span in collector.of(TRACE_ID) if span.kind == Span.SPAN_KIND_SERVER]

    attributes = attributes_of(root)
    assert root.name == "GET /api/v1/posts/<post_id>"
    assert root.parent_span_id.hex() == PARENT_ID
    assert attributes["http.target"] == path
    assert attributes["http.status_code"] == 200
    assert attributes["net.peer.ip"] == "127.0.0.1"


def test_the_queries_of_a_request_are_spans_of_it(run):
    database, collector, _, _, _, _ = run
    (root,) = [span for span in collector.of(TRACE_ID) if span.kind == Span.SPAN_KIND_SERVER]

    queries = [span for span in collector.of(TRACE_ID) if "db.statement" in attributes_of(span)]

    assert len([span for span in queries if attributes_of(span)["db.statement"].startswith("SELECT")]) >= 1
    assert {span.parent_span_id for span in queries} == {root.span_id}
    assert {attributes_of(span)["db.system"] for span in queries} == {database}
    assert all(root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano for span in queries)


def test_the_trace_is_named_in_the_log_line(run):
    _, _, service, _, read, _ = run

    line = line_of(service, read)

    assert f" trace_id={TRACE_ID} xray_trace_id={XRAY_ID} " in line


def test_a_request_that_names_no_trace_begins_one_that_x_ray_takes(run):
    _, collector, _, _, _, _ = run

    (made,) = [span for span in collector.spans if span.name == f"POST {POSTS}"]

    begun = int(made.trace_id.hex()[:8], 16)
    assert abs(begun - made.start_time_unix_nano / 1e9) < 60
    assert made.parent_span_id == b""


def test_a_statement_that_fails_is_an_error_without_the_drivers_words(run):
    _, collector, service, _, _, _ = run

    failed = [span for span in collector.spans if span.status.code == 2 and "db.statement" in attributes_of(span)]

    assert len(failed) == 1
    assert re.fullmatch(r"\w+Error", failed[0].status.message)
    assert "secret-row" in service.log  # so that it was said at all


def test_probes_are_not_traced(run):
    _, collector, _, _, _, _ = run

    assert {span.name for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER} == {
        "POST /dev/token",
        "POST /api/v1/posts",
        "GET /api/v1/posts/<post_id>",
        "PUT /api/v1/posts/<post_id>/like",
        "GET /nowhere",
    }


def test_no_span_tells_a_query_a_token_a_body_or_a_row(run):
    _, collector, _, _, _, _ = run

    assert [word for word in ("secret", "eyJ", "Bearer", *NEW.values()) if word in collector.told] == []


def test_spans_tell_whose_they_are_and_are_all_sent_before_a_worker_ends(run):
    _, collector, _, _, _, stopped = run

    assert stopped == 0
    assert collector.paths == {"/v1/traces"}
    assert {told["service.name"] for told in collector.resources} == {"post-service"}
    assert {told["service.version"] for told in collector.resources} == {"1.0.0"}


def test_the_sdk_reads_its_other_variables_itself(tmp_path):
    settings = {"OTEL_SERVICE_NAME": "board", "OTEL_TRACES_SAMPLER": "parentbased_always_off"}
    with traced(tmp_path, **settings) as (service, collector):
        parent = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"}
        requests.get(service.url + POSTS, timeout=HANG_SECONDS)
        requests.get(service.url + POSTS, headers=parent, timeout=HANG_SECONDS)
        stop(service.process)

    assert {told["service.name"] for told in collector.resources} == {"board"}
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE_ID}


def test_asking_for_keys_is_a_span(tmp_path):
    with answering(lambda *_: (503, "application/json", b"{}")) as aws:
        settings = {"COGNITO_REGION": "ap-northeast-2", "COGNITO_USER_POOL_ID": "ap-northeast-2_traced"}
        settings |= {"COGNITO_CLIENT_ID": "web", "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": aws}
        with traced(tmp_path, **settings) as (service, collector):
            unsigned = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.e30.c2ln"
            headers = {"Authorization": f"Bearer {unsigned}"}
            refused = requests.post(service.url + POSTS, json=NEW, headers=headers, timeout=HANG_SECONDS)
            stop(service.process)

    (asked,) = [span for span in collector.spans if attributes_of(span).get("http.url", "").startswith(aws)]
    (root,) = [span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER]
    assert refused.status_code == 503
    assert (asked.trace_id, asked.parent_span_id) == (root.trace_id, root.span_id)


def test_what_redis_is_asked_is_a_span_without_its_values(tmp_path):
    with (
        own_redis(tmp_path) as redis,
        traced(tmp_path, REDIS_URL=redis.url, **PATIENT) as (service, collector),
    ):
        requests.get(service.url + POSTS, timeout=HANG_SECONDS)
        stop(service.process)

    asked = [span for span in collector.spans if attributes_of(span).get("db.system") == "redis"]
    (root,) = [span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER]
    assert asked
    assert {(span.trace_id, span.parent_span_id) for span in asked} == {(root.trace_id, root.span_id)}
    assert "post:" not in collector.told  # as every key begins


def test_a_collector_that_is_away_disturbs_nobody(tmp_path):
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with running_service(tmp_path, FLASK_ENV="development", **settings) as service:
        statuses = [requests.get(service.url + POSTS, timeout=HANG_SECONDS).status_code for _ in range(20)]
        service.process.send_signal(signal.SIGTERM)
        code = service.process.wait(HANG_SECONDS)

    assert statuses == [200] * 20
    assert code == 0


def test_without_an_endpoint_there_is_no_trace_in_the_log(tmp_path):
    with running_service(tmp_path) as service:
        headers = {"X-Amzn-Trace-Id": f"Root={XRAY_ID};Parent={PARENT_ID};Sampled=1"}
        requests.get(service.url + POSTS, headers=headers, timeout=HANG_SECONDS)
        stop(service.process)

    assert "trace_id" not in service.log
    assert POSTS in service.log


# In this process


def test_requests_statements_and_what_is_asked_of_others_are_one_trace(tmp_path):
    app, engine = Flask(__name__), create_engine(f"sqlite:///{tmp_path}/traced.sqlite3", poolclass=NullPool)
    collector, noted = Collector(), []

    @app.get("/asks/<word>")
    def asks(word: str) -> str:
        noted.append(trace_ids(request.environ)["trace_id"])
        with engine.connect() as connection:
            connection.execute(text("SELECT :word"), {"word": word})
            with pytest.raises(OperationalError):
                connection.execute(text("SELECT nothing FROM nowhere"))
        return str(requests.get(elsewhere, timeout=HANG_SECONDS).status_code)

    with answering(lambda *_: (200, "text/plain", b"")) as elsewhere, answering(collector.take) as url:
        try:
            tracing.trace_requests(app, with_redis=False)
            tracing.trace_queries([engine])
            tracing.start(url)
            assert app.test_client().get("/asks/secret-word?q=secret-query").text == "200"
            tracing.stop()
        finally:
            RequestsInstrumentor().uninstrument()
            SQLAlchemyInstrumentor().uninstrument()

    statements = [span for span in collector.spans if attributes_of(span).get("db.statement", "").startswith("SELECT")]
    (root,) = [span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER]
    assert noted == [root.trace_id.hex()]
    assert {span.trace_id for span in collector.spans} == {root.trace_id}
    assert [span.status.message for span in statements] == ["", "OperationalError"]
    assert any(attributes_of(span).get("http.url") == f"{elsewhere}/" for span in collector.spans)
    assert "secret-query" not in collector.told
