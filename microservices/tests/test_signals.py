"""What one order leaves behind in the whole platform: one trace, lines with its ids, metrics, and no secret."""

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from microservices.tests.callers import PASSWORD, Answer, Http, new_email
from microservices.tests.collecting import Collector, collecting
from microservices.tests.local.test_supervisor import running
from microservices.tests.running import PATIENCE_SECONDS, PROJECT
from microservices.tests.secrets_in_logs import found_in, secrets_in
from shared import metrics

pytestmark = pytest.mark.slow

SERVICES = {"gateway", "authorizer", "orders", "products", "orders-relay", "notifications-worker"}
UNSAMPLED = "1-67891233-abcdef012345678912345678"
# Lines of a process itself, not of a request.
OF_NO_REQUEST = {"backlog_measured", "relay_waits"}


@dataclass
class Traced:
    """A platform whose spans a collector has, and what was asked of it."""

    collector: Collector
    logs: Path
    order: Answer
    token: str
    email: str

    @property
    def trace_id(self) -> str:
        return re.match(r"Root=([^;]+);Parent=[0-9a-f]{16};Sampled=1$", self.order.headers["x-amzn-trace-id"])[1]

    @property
    def lines(self) -> list[dict]:
        """The lines of the gateway, the containers and the functions."""
        files = [self.logs / "gateway.log", *(self.logs / "ecs").iterdir(), *(self.logs / "aws/lambda").iterdir()]
        texts = [line for file in files for line in file.read_text().splitlines()]
        return [json.loads(text) for text in texts if text.startswith("{")]

    def services_of(self, trace_id: str) -> set[str]:
        """Services with a line of a trace."""
        return {line["service"] for line in self.lines if line.get("xray_trace_id") == trace_id}

    def wait_for(self, met) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not met():
            assert time.monotonic() < end, sorted({span.service for span in self.collector.spans})
            time.sleep(0.1)


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """The platform by its own command: an order whose trace is not sampled, then one whose trace is."""
    folder = tmp_path_factory.mktemp("traced")
    with collecting() as collector, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        patch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "30")
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        with running(folder) as run:
            run.wait_until_ready()
            api, email = Http(f"http://127.0.0.1:{run.first}/api"), new_email()
            api.register(email)
            token = api.log_in(email).json["sessionId"]
            place(api, token, "not-sampled", {"X-Amzn-Trace-Id": f"Root={UNSAMPLED};Parent=53995c3f42cd8ad8;Sampled=0"})
            one = Traced(collector, run.state / "logs", place(api, token, "one-order"), token, email)
            one.wait_for(lambda: {span.service for span in collector.of(one.trace_id)} >= SERVICES)
            for trace_id in (UNSAMPLED, one.trace_id):
                one.wait_for(lambda root=trace_id: one.services_of(root) == SERVICES)
            yield one


def place(api, token, request_id, headers=None):
    given = {"Idempotency-Key": request_id, "X-Request-ID": request_id, **(headers or {})}
    order = api("POST", "/orders", {"items": [{"product_id": 1, "quantity": 1}]}, token=token, headers=given)
    assert order.status == 201, order.text
    return order


def test_an_order_is_one_trace_from_the_gateway_to_the_worker(traced):
    spans = traced.collector.of(traced.trace_id)
    by_id = {span.id: span for span in spans}
    [first] = [span for span in spans if not span.parent]

    assert {span.service for span in spans} == SERVICES
    assert (first.service, first.name, first.attributes["http.response.status_code"]) == (
        "gateway",
        "POST /orders",
        201,
    )
    callers = {(span.service, by_id[span.parent].service) for span in spans if span.parent}  # each parent has come
    assert callers == {
        ("authorizer", "gateway"),
        ("orders", "gateway"),
        ("orders", "orders"),
        ("products", "orders"),
        ("products", "products"),
        ("orders-relay", "orders"),
        ("notifications-worker", "orders-relay"),
    }
    assert traced.collector.paths == {"/v1/traces"}
    assert not first.is_error


def test_every_line_of_an_order_has_its_trace_and_its_request(traced):
    lines = [line for line in traced.lines if line.get("xray_trace_id") == traced.trace_id]
    of_request = [line for line in traced.lines if line.get("request_id") == "one-order"]

    assert traced.services_of(traced.trace_id) == SERVICES
    assert lines == of_request


def test_every_line_but_of_a_process_itself_has_both_ids(traced):
    lines = [
        line for line in traced.lines if line["service"] != "gunicorn" and line.get("message") not in OF_NO_REQUEST
    ]

    assert len(lines) > 20
    assert [line for line in lines if not (line.get("request_id") and line.get("xray_trace_id"))] == []


def test_the_containers_lines_are_all_json(traced):
    for file in (traced.logs / "ecs").iterdir():
        assert [line for line in file.read_text().splitlines() if not line.startswith('{"')] == [], file


def test_a_trace_that_is_not_sampled_has_lines_and_no_span(traced):
    assert traced.services_of(UNSAMPLED) == SERVICES
    assert traced.collector.of(UNSAMPLED) == []


def test_spans_have_statements_without_values_and_nothing_of_a_person(traced):
    spans = traced.collector.spans
    statements = {span.attributes["db.query.text"] for span in spans if "db.query.text" in span.attributes}

    assert [text for text in statements if text.startswith("INSERT INTO orders.orders")] != []
    assert all("%(" in text for text in statements if "WHERE" in text)
    assert {secret for span in spans for secret in secrets_in(span.text)} == set()
    assert not any(traced.order.json["account_id"] in span.text for span in spans)


def test_no_log_of_the_run_has_an_address_a_token_or_a_password(traced):
    everything = "".join(path.read_text(errors="replace") for path in traced.logs.rglob("*") if path.is_file())

    assert found_in(traced.logs) == []
    assert traced.order.json["account_id"] in everything


def test_the_search_finds_each_kind_of_secret(traced, tmp_path):
    (tmp_path / "ecs").mkdir()
    secrets = [
        traced.email,
        traced.email.replace("@", "%40"),
        "somebody@else.example",
        traced.token,
        "A1-_" * 10 + "A1-",
    ]
    for number, secret in enumerate([*secrets, PASSWORD]):
        (tmp_path / "ecs" / f"{number}.log").write_text(json.dumps({"message": f"so {secret}, it is"}))

    found = found_in(tmp_path)

    assert {line.partition(": ")[0] for line in found} == {f"{number}.log" for number in range(6)}
    assert {f"{number}.log: {secret}" for number, secret in enumerate([*secrets, PASSWORD])} <= set(found)


def embedded(line):
    """Names, units and values of a line's metrics, as CloudWatch reads them; none where it would not."""
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "microservices"
    assert directive["Dimensions"] == [["service"]]
    assert abs(line["_aws"]["Timestamp"] / 1000 - time.time()) < 86_400
    return {(one["Name"], one["Unit"], str(line[one["Name"]])) for one in directive["Metrics"]}


def test_services_write_metrics_that_cloudwatch_reads(traced):
    found = {(line["service"], *one) for line in traced.lines if "_aws" in line for one in embedded(line)}

    assert {(service, name) for service, name, _, _ in found} >= {
        ("auth", "UsersRegistered"),
        ("auth", "LoginsSucceeded"),
        ("products", "StockReserved"),
        ("orders", "OrdersConfirmed"),
        ("orders-relay", "PendingOrders"),
        ("orders-relay", "PendingAge"),
        ("orders-relay", "OutboxBacklog"),
        ("orders-relay", "OutboxAge"),
        ("notifications-worker", "NotificationsWritten"),
    }
    units = {metric.name: metric.unit for metric in known_metrics()}
    assert {(name, unit) for _, name, unit, _ in found} <= set(units.items())


def known_metrics():
    return [value for value in vars(metrics).values() if isinstance(value, metrics.Metric)]


def page_metrics():
    """Names in the page's table, with their services."""
    page = (PROJECT / "microservices" / "SIGNALS.md").read_text()
    rows = re.findall(r"^\| (`[a-z-]+`[^|]*) \| ([^|]+) \|", page, re.MULTILINE)
    return {
        (service, name)
        for services, names in rows
        for service in re.findall(r"`([a-z-]+)`", services)
        for name in re.findall(r"`([A-Z]\w+)`", names)
    }


def test_the_page_has_every_metric_and_no_other():
    assert {name for _, name in page_metrics()} == {metric.name for metric in known_metrics()}


def test_each_metric_is_written_by_a_service():
    constants = {name for name, value in vars(metrics).items() if isinstance(value, metrics.Metric)}
    folder = PROJECT / "microservices"
    sources = [path for path in folder.glob("[anopsu]*/*.py") if path.name != "metrics.py"]
    used = {name for path in sources for name in re.findall(r"\b[A-Z_]{6,}\b", path.read_text())}

    assert constants - used == set()
