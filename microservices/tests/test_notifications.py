"""Notifications as their owners list, read and delete them; nobody reaches another's."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from microservices.tests.events_of_orders import order_event, sqs_event
from microservices.tests.running import PATIENCE_SECONDS
from notifications import store, worker
from shared import clock

NOT_FOUND = (404, "notification_not_found", "Notification not found")
START = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def deliver(*events):
    assert worker.lambda_handler(sqs_event(*events), None) == {"batchItemFailures": []}


def events_of(account_id, number):
    """Events a millisecond apart, the oldest first."""
    times = (START + timedelta(milliseconds=one) for one in range(number))
    return [order_event(account_id, occurred_at=clock.isoformat(moment)) for moment in times]


def ids_of(answer):
    return [one["id"] for one in answer.json]


def pages(api, token, limit):
    """The ids of every page, as its headers lead from one to the next."""
    target = f"/notifications?limit={limit}"
    while target:
        answer = api("GET", target, token=token)
        assert answer.status == 200
        yield ids_of(answer)
        cursor = answer.headers.get("x-next-cursor")
        assert ("link" in answer.headers) == bool(cursor)
        target = f"/notifications?limit={limit}&cursor={cursor}" if cursor else None


@pytest.fixture
def ana(api):
    return api.person()


def test_a_list_has_the_documented_fields_and_one_has_a_body(api, ana):
    event = order_event(ana.account_id, occurred_at="2026-01-02T03:04:05.678Z")
    deliver(event)

    [summary] = api("GET", "/notifications", token=ana.token).json
    whole = api("GET", f"/notifications/{summary['id']}", token=ana.token)

    assert summary == {
        "id": f"8232676954321-{event['id']}",
        "type": "order.confirmed",
        "title": "Order confirmed",
        "order_id": event["order"]["id"],
        "created_at": "2026-01-02T03:04:05.678Z",
    }
    assert whole.status == 200
    assert whole.json == {
        **summary,
        "body": "Your order is confirmed.\n\n2 × 연필\n1 × Cup\n\nTotal: 32.99",
    }
    assert whole.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("kind", ["confirmed", "rejected", "cancelled", "fulfilled"])
def test_each_kind_of_event_has_its_title_and_text(api, ana, kind):
    deliver(order_event(ana.account_id, type=f"order.{kind}"))

    [summary] = api("GET", "/notifications", token=ana.token).json
    body = api("GET", f"/notifications/{summary['id']}", token=ana.token).json["body"]

    assert (summary["type"], summary["title"]) == (f"order.{kind}", f"Order {kind}")
    assert body.startswith("Your order ")
    assert {one.partition("\n")[0] for one in worker.OPENINGS.values()} >= {body.partition("\n")[0]}


def test_a_rejected_order_has_no_names_and_no_total(api, ana):
    event = order_event(ana.account_id, type="order.rejected")
    line = {"product_id": 1, "name": None, "quantity": 2, "unit_price": None, "line_total": None}
    event["order"] |= {"status": "rejected", "items": [line], "total": None}
    deliver(event)

    [summary] = api("GET", "/notifications", token=ana.token).json
    whole = api("GET", f"/notifications/{summary['id']}", token=ana.token)

    assert whole.json["body"] == "Your order could not be accepted."


def test_nobody_has_none(api, ana):
    answer = api("GET", "/notifications", token=ana.token)

    assert (answer.status, answer.json) == (200, [])
    assert "link" not in answer.headers


@pytest.mark.parametrize(("number", "limit", "sizes"), [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (3, 100, [3])])
def test_pages_are_newest_first_and_have_each_once(api, ana, number, limit, sizes):
    events = events_of(ana.account_id, number)
    deliver(*events)

    found = list(pages(api, ana.token, limit))

    assert [len(page) for page in found] == sizes
    assert [one.partition("-")[2] for page in found for one in page] == [one["id"] for one in reversed(events)]


def test_a_page_has_50_unless_the_query_says_otherwise(api, ana):
    for start in range(0, 60, 10):
        deliver(*events_of(ana.account_id, 60)[start : start + 10])

    assert len(api("GET", "/notifications", token=ana.token).json) == 50
    assert len(api("GET", "/notifications?limit=100", token=ana.token).json) == 60


def test_what_comes_while_pages_are_read_moves_nothing(api, ana):
    events = events_of(ana.account_id, 6)
    deliver(*events[:5])
    reading = pages(api, ana.token, 2)
    first = next(reading)

    deliver(events[5])
    rest = [one for page in reading for one in page]

    assert [one.partition("-")[2] for one in first + rest] == [one["id"] for one in reversed(events[:5])]


@pytest.mark.parametrize("limit", ["0", "101", "x", "", "-1", "1.0", "٣"])
def test_a_limit_is_1_to_100(api, ana, limit):
    answer = api("GET", f"/notifications?limit={limit}", token=ana.token)

    assert answer.status == 400
    assert [one["field"] for one in answer.json["details"]] == ["limit"]


@pytest.mark.parametrize("cursor", ["x", "", "WyJhIl0", "W10", "bnVsbA", "WyIuLi8uLi94Il0", "가"])
def test_a_cursor_is_one_of_this_list(api, ana, cursor):
    answer = api("GET", f"/notifications?cursor={cursor}", token=ana.token)

    assert answer.error[:2] == (400, "validation_error")
    assert [one["field"] for one in answer.json["details"]] == ["cursor"]


def test_another_or_an_admin_reaches_none_of_anas(api, admin, ana):
    deliver(order_event(ana.account_id))
    [identifier] = ids_of(api("GET", "/notifications", token=ana.token))

    for other in (api.person(), admin):
        assert api("GET", "/notifications", token=other.token).json == []
        assert api("GET", f"/notifications/{identifier}", token=other.token).error == NOT_FOUND
        assert api("DELETE", f"/notifications/{identifier}", token=other.token).error == NOT_FOUND
    assert api("GET", f"/notifications/{identifier}", token=ana.token).status == 200


def test_who_registers_a_deleted_address_anew_sees_nothing_of_the_old_account(api):
    ana = api.person()
    deliver(order_event(ana.account_id))
    [identifier] = ids_of(api("GET", "/notifications", token=ana.token))
    assert api("DELETE", f"/users/{ana.email}", token=ana.token).status == 204

    assert api("GET", "/notifications", token=ana.token).status == 401
    api.register(ana.email)
    token = api.log_in(ana.email).json["sessionId"]
    deliver(order_event(ana.account_id))  # late, for the old account

    assert api("GET", "/notifications", token=token).json == []
    assert api("GET", f"/notifications/{identifier}", token=token).error == NOT_FOUND


@pytest.mark.parametrize("identifier", ["x", "..", "%2e%2e%2fx", "8232676954321-", "%00", "가" * 100, "8" * 2000])
def test_what_is_no_id_is_not_found(api, ana, identifier):
    assert api("GET", f"/notifications/{identifier}", token=ana.token).error == NOT_FOUND
    assert api("DELETE", f"/notifications/{identifier}", token=ana.token).error == NOT_FOUND


def test_an_id_reaches_no_key_beside_the_callers(api, ana):
    """The path is decoded by the gateway: a slash in an id must lead nowhere."""
    bo = api.person()
    deliver(order_event(bo.account_id))
    [identifier] = ids_of(api("GET", "/notifications", token=bo.token))

    target = f"/notifications/..%2F{bo.account_id}%2F{identifier}"

    assert api("GET", target, token=ana.token).error == NOT_FOUND


def test_a_deleted_one_is_gone_for_good(api, ana):
    event = order_event(ana.account_id)
    deliver(event, order_event(ana.account_id))
    before = ids_of(api("GET", "/notifications", token=ana.token))
    [identifier] = [one for one in before if one.endswith(event["id"])]

    answer = api("DELETE", f"/notifications/{identifier}", token=ana.token)
    deliver(event)  # once more, as queues may

    assert (answer.status, answer.text) == (204, "")
    assert set(before) - set(ids_of(api("GET", "/notifications", token=ana.token))) == {identifier}
    assert api("GET", f"/notifications/{identifier}", token=ana.token).error == NOT_FOUND
    assert api("DELETE", f"/notifications/{identifier}", token=ana.token).error == NOT_FOUND


def test_deleted_ones_leave_no_gaps_and_no_next_page(api, ana):
    events = events_of(ana.account_id, 9)
    deliver(*events)
    everything = ids_of(api("GET", "/notifications", token=ana.token))
    for identifier in everything[1:4] + everything[6:]:
        api("DELETE", f"/notifications/{identifier}", token=ana.token)

    assert list(pages(api, ana.token, 3)) == [[everything[0], everything[4], everything[5]]]


def test_a_page_reads_its_objects_side_by_side(api, ana, monkeypatch):
    """All 16 readers must be in a read at one time: each waits for the others."""
    together = threading.Barrier(store.PARALLEL_READS, timeout=PATIENCE_SECONDS)
    read = store._read
    deliver(*events_of(ana.account_id, 10))
    deliver(*events_of(ana.account_id, 16)[10:])
    monkeypatch.setattr(store, "_read", lambda key: (together.wait(), read(key))[1])

    assert len(api("GET", "/notifications?limit=16", token=ana.token).json) == 16


def test_a_page_asks_s3_for_its_own_objects_alone(api, ana):
    deliver(*events_of(ana.account_id, 5))
    calls = Counter()
    names = "provide-client-params.s3.*"
    store.client().meta.events.register(names, count := lambda model, **_: calls.update([model.name]))

    api("GET", "/notifications?limit=3", token=ana.token)
    store.client().meta.events.unregister(names, count)

    assert calls == {"ListObjectsV2": 1, "GetObject": 3}


def test_one_that_ends_between_the_list_and_its_read_is_left_out(api, ana, monkeypatch):
    deliver(*events_of(ana.account_id, 3))
    first, *rest = ids_of(api("GET", "/notifications", token=ana.token))
    read = store._read
    monkeypatch.setattr(store, "_read", lambda key: None if first in key else read(key))

    assert ids_of(api("GET", "/notifications", token=ana.token)) == rest


def test_readers_and_deleters_at_once_meet_no_error(api, ana):
    deliver(*events_of(ana.account_id, 10))
    everything = ids_of(api("GET", "/notifications", token=ana.token))

    def delete(identifier):
        return store.delete_notification(ana.account_id, identifier)

    def read(_):
        return store.list_notifications(ana.account_id, limit=100, after=None)

    with ThreadPoolExecutor(16) as pool:
        reads = pool.map(read, range(20))
        list(pool.map(delete, everything))
        assert all(len(found) <= 10 and last is None for found, last in reads)
    assert api("GET", "/notifications", token=ana.token).json == []


def test_a_fault_of_s3_is_a_fault_of_ours_without_its_words(api, ana, monkeypatch, log):
    monkeypatch.setenv("NOTIFICATIONS_BUCKET", "no-such-bucket")

    answer = api("GET", "/notifications", token=ana.token)

    assert answer.error == (500, "internal_error", "Internal server error")
    assert "bucket" not in answer.text
    assert any("NoSuchBucket" in line.get("exception", "") for line in log())


def test_calls_end_before_the_lambda(aws):
    config = store.client().meta.config

    assert (config.connect_timeout, config.read_timeout) == (1, 2)
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}
    assert config.max_pool_connections >= store.PARALLEL_READS
