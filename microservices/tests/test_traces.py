"""Headers of traces, spans of one process, and metrics of its lines."""

import json
import logging
from types import SimpleNamespace

import pytest
import urllib3

from microservices.tests.callers import PASSWORD, new_email
from microservices.tests.collecting import collecting
from microservices.tests.running import NOBODY, PATIENCE_SECONDS, running_container
from shared import traces

ROOT = "1-67891233-abcdef012345678912345678"
PARENT = "53995c3f42cd8ad8"
SAMPLED = f"Root={ROOT};Parent={PARENT};Sampled=1"


@pytest.mark.parametrize(
    ("header", "handed_on"),
    [
        (SAMPLED, SAMPLED),
        (f"Self=1-1-1;{SAMPLED};Lineage=a:1|b:0", SAMPLED),
        (f"Root={ROOT}", f"Root={ROOT}"),
        (f"Root={ROOT};Sampled=1", f"Root={ROOT};Sampled=1"),
        (f"Root={ROOT};Parent=1;Sampled=1", f"Root={ROOT}"),
        (f"Root={ROOT};{'x' * 8_000}", f"Root={ROOT}"),
        ("Root=1-1-1;Sampled=1", ""),
        (f"Root={ROOT.upper()}", ""),
        ("", ""),
    ],
    ids=["whole", "more fields", "root", "no parent", "wrong parent", "long", "wrong root", "capitals", "none"],
)
def test_of_a_header_what_is_x_rays_goes_on(header, handed_on):
    with traces.within("work", "SERVER", header=header) as span:
        assert (span.header, span.root) == (handed_on, ROOT if handed_on else None)
        assert traces.current() is span
        assert len(span.header) <= traces.HEADER_MAX_CHARS
    assert traces.current() is traces.NO_SPAN
    assert traces.root_of(header) == (ROOT if handed_on else None)


def test_without_a_collector_no_span_is_made_and_the_header_goes_on():
    with traces.within("outer", "SERVER", header=SAMPLED) as outer, traces.within("inner", "CLIENT") as inner:
        assert not outer.is_recorded
        assert inner.header == outer.header == SAMPLED


@pytest.fixture
def collector(monkeypatch):
    """A collector of this process's spans, whose thread sends none by itself and ends with the test."""
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{collector.url}/")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "30")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
        monkeypatch.setattr(traces, "_recorder", None)
        traces.start("tested")
        started = traces._recorder
        yield collector
        for recorder in {started, traces._recorder}:  # the first import of a function starts one more
            recorder._provider.shutdown()


def test_a_trace_that_is_not_sampled_has_no_span_where_a_collector_is(collector):
    for header in (f"Root={ROOT};Parent={PARENT};Sampled=0", f"Root={ROOT};Parent={PARENT}", f"Root={ROOT}"):
        with traces.within("work", "SERVER", header=header) as span:
            assert (span.is_recorded, span.header) == (False, header)
    traces.flush()

    assert collector.spans == []


def test_an_error_is_noted_by_its_kind_alone(collector):
    with (
        pytest.raises(ValueError, match="secret"),
        traces.within("outer", "SERVER", header=SAMPLED),
        traces.within("inner", "CLIENT"),
    ):
        raise ValueError("secret")
    traces.flush()

    inner, outer = sorted(collector.spans, key=lambda span: span.name)
    assert (inner.name, inner.parent, outer.parent) == ("inner", outer.id, PARENT)
    assert {(one.service, one.trace_id, one.is_error) for one in (inner, outer)} == {("tested", ROOT, True)}
    assert inner.attributes["error.type"] == outer.attributes["error.type"] == "ValueError"
    assert "secret" not in inner.text + outer.text


@pytest.mark.slow
def test_a_functions_span_is_sent_before_its_answer(collector, api, monkeypatch):
    ana = api.person()
    monkeypatch.setenv("_X_AMZN_TRACE_ID", SAMPLED)

    api("GET", "/auth/verify", token=ana.token)
    assert [span.name for span in collector.spans] == ["GET /auth/verify"]
    api("GET", f"/users/{ana.email}", token=ana.token)

    assert [span.name for span in collector.spans] == ["GET /auth/verify", "authorize", "GET /users/{userId}"]
    assert {(span.trace_id, span.parent) for span in collector.spans} == {(ROOT, PARENT)}
    assert not any(ana.email in span.text for span in collector.spans)


@pytest.mark.slow
def test_a_function_that_answers_500_has_a_span_that_says_so(collector, api, monkeypatch):
    from users import directory

    ana = api.person()
    monkeypatch.setenv("_X_AMZN_TRACE_ID", SAMPLED)
    monkeypatch.setattr(directory, "get_user", lambda *_: 1 / 0)

    assert api("GET", f"/users/{ana.email}", token=ana.token).status == 500

    assert [(span.name, span.is_error) for span in collector.spans] == [
        ("authorize", False),
        ("GET /users/{userId}", True),
    ]


@pytest.mark.slow
def test_a_collector_that_is_away_disturbs_nobody(database):
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    headers = {"X-Amzn-Trace-Id": SAMPLED}
    with (
        running_container("products", **settings, **database.settings("products_app")) as url,
        urllib3.PoolManager(timeout=PATIENCE_SECONDS) as pool,
    ):
        statuses = {pool.request("GET", f"{url}/products", headers=headers).status for _ in range(10)}

    assert statuses == {200}


# Metrics


@pytest.fixture
def written(capsys):
    """Metrics that functions have written since the last call, with their values."""

    def read():
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
        return {name: value for line in lines for name, value in values_of(line).items()}

    return read


def values_of(line):
    names = [one["Name"] for one in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    return {name: line[name][0] if isinstance(line[name], list) else line[name] for name in names}


@pytest.mark.slow
def test_what_functions_count(api, admin, written, monkeypatch):
    from users import directory

    email = new_email()
    api.register(email)
    assert written() == {"UsersRegistered": 1}
    for _ in range(10):
        api.log_in(email, "wrong password")
    assert written() == {"LoginsFailed": 1}
    api.log_in(email)
    assert written() == {"AttemptsThrottled": 1}
    other = api.person()
    api.log_in(other.email, PASSWORD)
    assert written() == {"LoginsSucceeded": 1}
    api("GET", f"/users/{other.email}", token="A" * 43)
    assert written() == {"SessionsRefused": 1}
    monkeypatch.setattr(directory, "get_user", lambda *_: 1 / 0)
    api("GET", f"/users/{other.email}", token=other.token)
    assert written() == {"RequestsFailed": 1}
    api("DELETE", f"/users/{other.email}", token=other.token)
    assert written() == {"UsersDeleted": 1}


def test_what_the_worker_counts(written, monkeypatch):
    from microservices.tests.events_of_orders import order_event, sqs_event
    from notifications import store, worker

    account_id = "0199c0de-0000-7000-8000-000000000001"
    monkeypatch.setattr(store, "add", lambda *_: True)
    context = SimpleNamespace(aws_request_id="one")

    worker.lambda_handler(sqs_event(order_event(account_id), "no event", order_event(account_id)), context)

    assert written() == {"NotificationsWritten": 1, "NotificationsFailed": 1}


def test_a_counted_line_is_written_at_every_level(container_log):
    from shared.container_log import count, logger
    from shared.metrics import DATABASE_UNAVAILABLE, PENDING_AGE

    logger.setLevel(logging.CRITICAL)
    try:
        count("seen", DATABASE_UNAVAILABLE, order_id="1")
        count("measured", values={PENDING_AGE: 1.5})
    finally:
        logger.setLevel(logging.INFO)

    seen, measured = container_log()
    assert (seen["message"], seen["level"], seen["order_id"]) == ("seen", "INFO", "1")
    assert seen["location"].startswith("test_a_counted_line")
    assert (values_of(seen), values_of(measured)) == ({"DatabaseUnavailable": 1}, {"PendingAge": 1.5})
