"""Events of orders become one object each, however often and however they come; what is none fails by itself."""

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from microservices.local.aws import connect
from microservices.tests.events_of_orders import order_event, sqs_event
from notifications import store, worker

BUCKET = "microservices-notifications-local"


@pytest.fixture
def storage(aws, stand_in):
    client = connect("s3", stand_in)
    yield client
    client.close()


@pytest.fixture
def account_id():
    return str(uuid4())


def keys(storage, account_id):
    found = storage.list_objects_v2(Bucket=BUCKET, Prefix=f"notifications/{account_id}/").get("Contents", [])
    return [one["Key"] for one in found]


def failed(batch):
    """Numbers of the records of a batch that the worker names as failed."""
    answer = worker.lambda_handler(batch, None)
    assert set(answer) == {"batchItemFailures"}
    every = [one["messageId"] for one in batch["Records"]]
    return [every.index(one["itemIdentifier"]) for one in answer["batchItemFailures"]]


def test_an_event_is_one_json_object_under_its_account(storage, account_id):
    event = order_event(account_id, occurred_at="2026-01-02T03:04:05.678Z")

    assert failed(sqs_event(event)) == []

    [key] = keys(storage, account_id)
    found = storage.get_object(Bucket=BUCKET, Key=key)
    assert key == f"notifications/{account_id}/8232676954321-{event['id']}.json"
    assert found["ContentType"] == "application/json"
    assert set(json.load(found["Body"])) == {"id", "type", "title", "order_id", "created_at", "body"}


def test_an_event_that_comes_again_changes_nothing(storage, account_id, log):
    event = order_event(account_id)
    failed(sqs_event(event))
    [key] = keys(storage, account_id)
    storage.put_object(Bucket=BUCKET, Key=key, Body=b"as it is")

    assert failed(sqs_event(event, event)) == []

    assert keys(storage, account_id) == [key]
    assert storage.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"as it is"
    assert [line["message"] for line in log()] == ["notification_written", "notification_known", "notification_known"]


def test_an_event_on_16_workers_at_once_is_one_object(storage, account_id):
    event = order_event(account_id)

    with ThreadPoolExecutor(16) as pool:
        wrong = list(pool.map(lambda _: worker.receive(worker.SQSRecord(sqs_event(event)["Records"][0])), range(16)))

    assert wrong == [None] * 16
    assert len(keys(storage, account_id)) == 1


def test_an_id_in_capitals_is_the_same_id(storage, account_id):
    event = order_event(account_id)
    capitals = order_event(account_id.upper(), id=event["id"].upper(), occurred_at=event["occurred_at"])

    failed(sqs_event(event, capitals))

    assert len(keys(storage, account_id)) == 1
    assert keys(storage, account_id.upper()) == []


@pytest.mark.parametrize(
    "occurred_at",
    ["2026-01-02T03:04:05.678Z", "2026-01-02T12:04:05.678+09:00", "2026-01-02T03:04:05.678901Z"],
)
def test_a_time_counts_in_utc_and_milliseconds(storage, account_id, occurred_at):
    failed(sqs_event(order_event(account_id, occurred_at=occurred_at)))

    [key] = keys(storage, account_id)
    assert json.load(storage.get_object(Bucket=BUCKET, Key=key)["Body"])["created_at"] == "2026-01-02T03:04:05.678Z"
    assert "/8232676954321-" in key


def test_fields_that_are_new_are_passed_over(storage, account_id):
    assert failed(sqs_event(order_event(account_id, reason="new"))) == []


def changed(**order):
    event = order_event(str(uuid4()))
    return event | {"order": event["order"] | order}


def without(name):
    event = order_event(str(uuid4()))
    del event[name]
    return event


MALFORMED = {
    "no text": "",
    "no JSON": "{",
    "no object": "[]",
    "half a pair": '"\\ud800"',
    "deep": "[" * 100_000,
    "an unknown type": order_event(str(uuid4()), type="order.lost"),
    "another version": order_event(str(uuid4()), version=2),
    "no id": without("id"),
    "no order": without("order"),
    "no type": without("type"),
    "a path as id": order_event(str(uuid4()), id="../../x"),
    "a path as account": changed(account_id="../x"),
    "no account": changed(account_id=None),
    "a time without zone": order_event(str(uuid4()), occurred_at="2026-01-02T03:04:05"),
    "a time before 1970": order_event(str(uuid4()), occurred_at="1969-12-31T23:59:59.999Z"),
    "a time after 2286": order_event(str(uuid4()), occurred_at="2286-11-20T17:46:40Z"),
    "a total that is no number": changed(total="1.5x"),
    "a total without end": changed(total=1e300),
    "51 lines": changed(items=[{"name": "a", "quantity": 1}] * 51),
    "a quantity of none": changed(items=[{"name": "a", "quantity": 0}]),
    "a name of 256": changed(items=[{"name": "a" * 256, "quantity": 1}]),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_event_fails_alone_and_says_so_in_the_log(storage, account_id, body, log):
    good = order_event(account_id)
    batch = sqs_event(good, body, order_event(account_id))

    assert failed(batch) == [1]

    assert len(keys(storage, account_id)) == 2
    [line] = [line for line in log() if line["level"] == "WARNING"]
    assert line["message_id"] == batch["Records"][1]["messageId"]
    assert line["exception_name"]


def test_the_log_has_nothing_of_a_malformed_event(account_id, aws, log):
    secret = "ana@example.com"

    assert failed(sqs_event(order_event(account_id, id=secret, type=secret), {"a": secret}, secret)) == [0, 1, 2]

    assert secret not in json.dumps(log())


def test_a_batch_of_failures_is_reported_record_by_record(aws):
    assert failed(sqs_event("x", "y")) == [0, 1]


def test_a_batch_after_one_that_failed_starts_afresh(storage, account_id):
    failed(sqs_event("x"))

    assert failed(sqs_event(order_event(account_id))) == []


def test_what_s3_refuses_comes_again(storage, account_id, monkeypatch):
    event = order_event(account_id)
    monkeypatch.setenv("NOTIFICATIONS_BUCKET", "no-such-bucket")
    assert failed(sqs_event(event)) == [0]
    monkeypatch.undo()


@pytest.mark.parametrize(("status", "comes_again"), [(412, False), (409, True), (403, True)])
def test_only_an_object_that_is_there_counts_as_written(account_id, aws, status, comes_again):
    """409 is S3's answer to a write that met another: the other may yet fail."""
    from botocore.stub import Stubber

    with Stubber(store.client()) as stubbed:
        stubbed.add_client_error("put_object", "Refused", http_status_code=status)

        assert failed(sqs_event(order_event(account_id))) == ([0] if comes_again else [])


def test_what_is_no_batch_is_an_error_of_the_invocation(aws):
    with pytest.raises(Exception, match="batch event type"):
        worker.lambda_handler({"Records": None}, None)
