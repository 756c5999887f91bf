"""
The stand-in for DynamoDB, S3, SNS and SQS: moto, with DynamoDB's calls one at a time.

moto has no lock in its DynamoDB: of callers that race, two conditional writes can both succeed. What it holds lives as
long as its process. Its scans sort the table for each page, and its transactions copy it; both are slow in large ones.
"""

import os
import re
import signal
import sys
from collections.abc import Iterable
from threading import Lock
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import boto3
from botocore.config import Config
from gunicorn.app.base import BaseApplication
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from microservices.local.terraform import deployed, key_of

HOST = "127.0.0.1"
THREADS = 32  # a long poll of a queue has one for up to 20 seconds
KEEP_ALIVE_SECONDS = 75
DEAD_LETTERS = re.compile(r"deadLetterTargetArn\W+aws_sqs_queue\.(\w+)\.arn.*maxReceiveCount\W+(\d+)", re.DOTALL)


class OneAtATime:
    """
    A WSGI application whose calls of DynamoDB wait for each other.

    Others, such as a queue's long poll, run beside them.

    Args:
        dynamodb: Application for the calls of DynamoDB.
        others: Application for all others; moto's looks through its folders for the service of each call.
    """

    def __init__(self, dynamodb: WSGIApplication, others: WSGIApplication) -> None:
        self._dynamodb = dynamodb
        self._others = others
        self._lock = Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        if not environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB_"):
            return self._others(environ, start_response)
        with self._lock:
            return list(self._dynamodb(environ, start_response))


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """
    The stand-in under gunicorn, which keeps connections open as AWS does; moto's own server ends each after one call.

    Args:
        port: Port on the loopback address.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        super().__init__()

    def load_config(self) -> None:
        """Set one process, which is never replaced: another one would have none of the tables."""
        settings = {
            "bind": f"{HOST}:{self._port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": THREADS,
            "keepalive": KEEP_ALIVE_SECONDS,
            "timeout": 0,
            "graceful_timeout": 1,
            "child_exit": lambda _server, _worker: os.kill(os.getpid(), signal.SIGTERM),
            "control_socket_disable": True,  # one file under $HOME would be shared by all stand-ins
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> WSGIApplication:
        """Make the application, in the process that serves it."""
        return OneAtATime(create_backend_app("dynamodb"), DomainDispatcherApplication(create_backend_app))


def connect(service: str, endpoint: str) -> Any:
    """
    Return a client of the stand-in.

    Args:
        service: Name of the service, such as ``dynamodb``.
        endpoint: Address of the stand-in.
    """
    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    paths = Config(s3={"addressing_style": "path"})  # no name server knows a bucket's host here
    return boto3.client(service, endpoint_url=endpoint, region_name=region(), config=paths, **keys)


def region() -> str:
    """Return the region that everything is deployed in."""
    found: str = deployed().value("${var.region}")
    return found


def make_resources(endpoint: str) -> None:
    """
    Make the tables, buckets, topics and queues that the Terraform files name.

    Args:
        endpoint: Address of a stand-in that has none of them yet.
    """
    _make_tables(connect("dynamodb", endpoint))
    storage = connect("s3", endpoint)
    for bucket in _names("aws_s3_bucket", "bucket").values():
        storage.create_bucket(Bucket=bucket)
    _make_queues(connect("sqs", endpoint), connect("sns", endpoint))


def order_events_topic() -> str:
    """Return the ARN of the topic of orders' events, in moto's account."""
    return f"arn:aws:sns:{region()}:{DEFAULT_ACCOUNT_ID}:{_names('aws_sns_topic')['order_events']}"


def grant_admin(endpoint: str, email: str) -> bool:
    """
    Make a user an admin.

    Args:
        endpoint: Address of the stand-in.
        email: E-mail address of the user.

    Returns:
        False if there is no such user.
    """
    client = connect("dynamodb", endpoint)
    try:
        client.update_item(
            TableName=_names("aws_dynamodb_table")["users"],
            Key={"userId": {"S": email.strip().lower()}},
            UpdateExpression="SET #role = :admin",
            ConditionExpression="attribute_exists(userId)",
            ExpressionAttributeNames={"#role": "role"},
            ExpressionAttributeValues={":admin": {"S": "admin"}},
        )
    except client.exceptions.ConditionalCheckFailedException:
        return False
    return True


def _make_tables(client: Any) -> None:
    for table in deployed().resources("aws_dynamodb_table").values():
        name, key = deployed().value(table["name"]), table["hash_key"]
        client.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": attribute["name"], "AttributeType": attribute["type"]}
                for attribute in table["attribute"]
            ],
            BillingMode=table["billing_mode"],
        )
        for ttl in table.get("ttl", []):
            specification = {"AttributeName": ttl["attribute_name"], "Enabled": ttl["enabled"]}
            client.update_time_to_live(TableName=name, TimeToLiveSpecification=specification)


def _make_queues(queues: Any, topics: Any) -> None:
    names, described = _names("aws_sqs_queue"), deployed().resources("aws_sqs_queue")
    urls = {
        key: queues.create_queue(QueueName=name, Attributes=_times(described[key]))["QueueUrl"]
        for key, name in names.items()
    }
    arns = {
        key: queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for key, url in urls.items()
    }
    for key, queue in described.items():
        if found := DEAD_LETTERS.search(queue.get("redrive_policy", "")):
            policy = f'{{"deadLetterTargetArn": "{arns[found[1]]}", "maxReceiveCount": {found[2]}}}'
            queues.set_queue_attributes(QueueUrl=urls[key], Attributes={"RedrivePolicy": policy})
    for subscription in deployed().resources("aws_sns_topic_subscription").values():
        if subscription["protocol"] != "sqs":  # an alarm's e-mail
            continue
        topic = _names("aws_sns_topic")[key_of(subscription["topic_arn"])]
        topics.subscribe(
            TopicArn=topics.create_topic(Name=topic)["TopicArn"],
            Protocol=subscription["protocol"],
            Endpoint=arns[key_of(subscription["endpoint"])],
            Attributes={"RawMessageDelivery": str(subscription["raw_message_delivery"]).lower()},
        )


def _times(queue: dict[str, Any]) -> dict[str, str]:
    """Return the attributes of a queue that are times, in seconds, where they are not SQS's own."""
    names = {"VisibilityTimeout": "visibility_timeout_seconds", "MessageRetentionPeriod": "message_retention_seconds"}
    return {name: str(queue[argument]) for name, argument in names.items() if argument in queue}


def _names(kind: str, argument: str = "name") -> dict[str, str]:
    """Return the names of a type's resources."""
    return {key: deployed().value(one[argument]) for key, one in deployed().resources(kind).items()}


if __name__ == "__main__":
    Server(int(sys.argv[1])).run()
