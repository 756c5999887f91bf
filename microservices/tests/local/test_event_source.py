"""A queue's messages reach the function in batches; what it does not finish comes again, and then goes aside."""

import json
from uuid import uuid4

import pytest
import urllib3

from microservices.local.aws import connect
from microservices.local.event_source import EventSource, record
from microservices.local.gateway.lambdas import Lambdas

URI = "arn:aws:lambda:us-east-1:000000000000:function:f/invocations"
ARN = "arn:aws:sqs:us-east-1:000000000000:q"


@pytest.fixture
def queues(stand_in):
    client = connect("sqs", stand_in)
    yield client
    client.close()


@pytest.fixture
def queue(queues):
    """A queue that gives a message three times, then puts it aside; the second URL is where to."""
    aside = queues.create_queue(QueueName=f"aside-{uuid4().hex}")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=aside, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    attributes = {"VisibilityTimeout": "0", "RedrivePolicy": policy}
    return queues.create_queue(QueueName=f"q-{uuid4().hex}", Attributes=attributes)["QueueUrl"], aside


@pytest.fixture
def source(start_host, queues, queue):
    lambdas = Lambdas(start_host("batch").meta.endpoint_url, urllib3.PoolManager())
    return EventSource(queue[0], ARN, URI, queues=queues, lambdas=lambdas)


def send(queues, url, *bodies):
    for body in bodies:
        queues.send_message(QueueUrl=url, MessageBody=body)


def left(queues, url):
    found = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return sorted(message["Body"] for message in found)


def drain(source):
    while source.run_once(wait_seconds=0):
        pass


def test_what_the_function_finishes_is_gone(queues, queue, source):
    send(queues, queue[0], "a", "b", "c")

    drain(source)

    assert left(queues, queue[0]) == left(queues, queue[1]) == []


def test_a_batch_has_ten_records_at_most(queues, queue, source):
    send(queues, queue[0], *map(str, range(12)))

    assert source.run_once(wait_seconds=0) <= 10


@pytest.mark.parametrize(
    ("bodies", "aside"),
    [
        (["a", "bad", "b"], ["bad"]),
        (["broken"], ["broken"]),
        (["odd"], ["odd"]),
    ],
    ids=["one of three", "the function fails", "it names no record"],
)
def test_what_it_does_not_finish_comes_three_times_and_goes_aside(queues, queue, source, bodies, aside):
    send(queues, queue[0], *bodies)

    drain(source)

    assert left(queues, queue[0]) == []
    assert left(queues, queue[1]) == aside


def test_a_function_that_is_away_loses_nothing(queues, queue):
    away = EventSource(queue[0], ARN, URI, queues=queues, lambdas=Lambdas("http://127.0.0.1:9", urllib3.PoolManager()))
    send(queues, queue[0], "a")

    away.run_once(wait_seconds=0)

    assert left(queues, queue[0]) == ["a"]


def test_a_record_has_the_documented_fields(queues, queue):
    attributes = {"type": {"DataType": "String", "StringValue": "order.confirmed"}}
    queues.send_message(QueueUrl=queue[0], MessageBody="x", MessageAttributes=attributes)
    (message,) = queues.receive_message(QueueUrl=queue[0], AttributeNames=["All"], MessageAttributeNames=["All"])[
        "Messages"
    ]

    one = record(message, ARN)

    assert set(one) == {
        "messageId", "receiptHandle", "body", "attributes", "messageAttributes", "md5OfBody", "eventSource",
        "eventSourceARN", "awsRegion",
    }  # fmt: skip
    assert one["attributes"]["ApproximateReceiveCount"] == "1"
    assert one["messageAttributes"]["type"]["stringValue"] == "order.confirmed"
    assert (one["eventSource"], one["eventSourceARN"], one["body"]) == ("aws:sqs", ARN, "x")
