"""The stand-in for AWS: what it has is what the Terraform files name, and DynamoDB's calls run one at a time."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from microservices.local.aws import OneAtATime, connect, grant_admin
from microservices.tests.callers import new_email
from microservices.tests.running import PATIENCE_SECONDS
from shared import dynamodb


def test_it_has_the_tables_that_are_deployed(stand_in):
    client = connect("dynamodb", stand_in)
    described = {name: client.describe_table(TableName=name)["Table"] for name in client.list_tables()["TableNames"]}

    assert {name: table["KeySchema"] for name, table in described.items()} == {
        "microservices-users": [{"AttributeName": "userId", "KeyType": "HASH"}],
        "microservices-sessions": [{"AttributeName": "sessionId", "KeyType": "HASH"}],
    }
    assert {table["BillingModeSummary"]["BillingMode"] for table in described.values()} == {"PAY_PER_REQUEST"}
    ttl = client.describe_time_to_live(TableName="microservices-sessions")["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expiresAt"}


def test_it_has_the_buckets_that_are_deployed(stand_in):
    buckets = connect("s3", stand_in).list_buckets()["Buckets"]

    assert {one["Name"] for one in buckets} == {
        f"microservices-{name}-local" for name in ("static", "notifications", "logs")
    }


def test_an_event_that_is_never_taken_ends_among_the_dead_letters(stand_in):
    topics, queues = connect("sns", stand_in), connect("sqs", stand_in)
    [topic] = topics.list_topics()["Topics"]
    assert topic["TopicArn"].endswith(":microservices-order-events")
    topics.publish(TopicArn=topic["TopicArn"], Message=json.dumps({"id": "1"}))
    url = queues.get_queue_url(QueueName="microservices-notifications")["QueueUrl"]

    taken = [queues.receive_message(QueueUrl=url, VisibilityTimeout=0).get("Messages", []) for _ in range(6)]

    assert [[message["Body"] for message in messages] for messages in taken] == [['{"id": "1"}']] * 5 + [[]]
    dead = queues.get_queue_url(QueueName="microservices-notifications-dlq")["QueueUrl"]
    [letter] = queues.receive_message(QueueUrl=dead)["Messages"]
    queues.delete_message(QueueUrl=dead, ReceiptHandle=letter["ReceiptHandle"])
    assert letter["Body"] == '{"id": "1"}'


class Watched:
    """A WSGI application that sees how many of its calls run at once; each waits until as many as may do."""

    def __init__(self, number):
        self.running, self.most = 0, 0
        self._together = threading.Barrier(number, timeout=PATIENCE_SECONDS)
        self._lock = threading.Lock()

    def __call__(self, _environ, _start_response):
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self._together.wait()
        time.sleep(0.05)  # for one too many
        with self._lock:
            self.running -= 1
        return [b""]


@pytest.mark.parametrize(("target", "most"), [("DynamoDB_20120810.PutItem", 1), ("AmazonSQS.ReceiveMessage", 4)])
def test_calls_of_dynamodb_alone_wait_for_each_other(target, most):
    app = Watched(most)
    served = OneAtATime(app, app)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: served({"HTTP_X_AMZ_TARGET": target}, None), range(4)))

    assert app.most == most


def test_of_16_conditional_writes_one_wins_in_every_round(aws):
    """moto's own server lets two of them win now and then."""

    def put(key):
        try:
            aws.put_item(
                TableName="microservices-sessions",
                Item={"sessionId": {"S": key}},
                ConditionExpression="attribute_not_exists(sessionId)",
            )
        except aws.exceptions.ConditionalCheckFailedException:
            return 0
        return 1

    with ThreadPoolExecutor(16) as pool:
        wins = [sum(pool.map(put, [new_email()] * 16)) for _ in range(20)]

    assert wins == [1] * 20


def test_an_admin_is_made_of_a_user_and_of_nobody_else(api, aws, stand_in):
    ana, email = api.person(), new_email()

    assert grant_admin(stand_in, f" {ana.email.upper()} ")
    assert not grant_admin(stand_in, email)

    assert api("GET", "/users?limit=1", token=ana.token).status == 200
    assert "Item" not in aws.get_item(TableName="microservices-users", Key={"userId": {"S": email}})


def test_a_services_calls_end_before_its_lambda(aws):
    """boto3's ``max_attempts`` would count the first one apart: four tries of up to three seconds."""
    config = dynamodb.client().meta.config

    assert (config.connect_timeout, config.read_timeout) == (1, 2)
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}
    assert 3 * (1 + 2) < 10
