"""
The event source mapping between a queue and a function: batches of records, and partial failures.

It asks the queue without end, invokes the function with what came, and deletes what the function did not name in
``batchItemFailures``. What it names, or all where it fails, comes again after the queue's visibility timeout.
"""

import json
import os
import sys
import time
from typing import Any

import boto3
import urllib3
from botocore.exceptions import BotoCoreError, ClientError

from .gateway.lambdas import FunctionFailed, Lambdas
from .gateway.messages import Refused, trace_of
from .terraform import deployed, key_of

BATCH_RECORDS = 10
WAIT_SECONDS = 5  # a long poll; Lambda's own takes 20, which would hold up the end of the local run
PAUSE_SECONDS = 0.5
REGION = "us-east-1"


class EventSource:
    """One mapping: a queue, and the function that gets its messages."""

    def __init__(self, queue_url: str, queue_arn: str, function_uri: str, *, queues: Any, lambdas: Lambdas) -> None:
        self._queue_url = queue_url
        self._queue_arn = queue_arn
        self._function_uri = function_uri
        self._queues = queues
        self._lambdas = lambdas

    def run_once(self, wait_seconds: int = WAIT_SECONDS) -> int:
        """
        Hand one batch to the function.

        Args:
            wait_seconds: How long to wait for a message.

        Returns:
            How many records there were.
        """
        messages = self._queues.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=BATCH_RECORDS,
            WaitTimeSeconds=wait_seconds,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        if not messages:
            return 0
        failed = self._failed(messages)
        done = [message for message in messages if message["MessageId"] not in failed]
        for message in done:
            self._queues.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
        return len(messages)

    def _failed(self, messages: list[dict[str, Any]]) -> set[str]:
        """Ids of the messages that the function did not finish; all where its answer cannot be understood."""
        every = {message["MessageId"] for message in messages}
        event = {"Records": [record(message, self._queue_arn) for message in messages]}
        try:
            answer = self._lambdas.invoke(self._function_uri, event, trace=trace_of([]), timeout_seconds=60)
            named = {failure["itemIdentifier"] for failure in (answer or {}).get("batchItemFailures", [])}
        except (FunctionFailed, Refused, AttributeError, KeyError, TypeError) as exc:
            sys.stderr.write(f"{self._function_uri}: {type(exc).__name__}\n")
            return every
        return named if named <= every else every


def record(message: dict[str, Any], queue_arn: str) -> dict[str, Any]:
    """
    Build a record of an SQS event.

    Args:
        message: Message as ``ReceiveMessage`` gives it.
        queue_arn: ARN of its queue.

    Returns:
        The record.
    """
    attributes = {
        name: {
            "dataType": attribute["DataType"],
            "stringValue": attribute.get("StringValue"),
            "stringListValues": [],
            "binaryListValues": [],
        }
        for name, attribute in message.get("MessageAttributes", {}).items()
    }
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": attributes,
        "md5OfBody": message.get("MD5OfBody"),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    }


def deployed_mapping() -> tuple[str, str]:
    """Return the names of the queue and the function that the Terraform files map."""
    [mapping] = deployed().resources("aws_lambda_event_source_mapping").values()
    queue = deployed().resources("aws_sqs_queue")[key_of(mapping["event_source_arn"])]
    return deployed().value(queue["name"]), deployed().value(mapping["function_name"])


def main() -> None:
    """Map the deployed queue to its function until SIGTERM; a stand-in or host that is away is waited for."""
    queue, function = deployed_mapping()
    queues = boto3.client("sqs", region_name=REGION)
    lambdas = Lambdas(os.environ["LAMBDA_URL"], urllib3.PoolManager())
    uri = f"arn:aws:lambda:{REGION}:000000000000:function:{function}/invocations"
    while True:
        try:
            url = queues.get_queue_url(QueueName=queue)["QueueUrl"]
            arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            source = EventSource(url, arn, uri, queues=queues, lambdas=lambdas)
            while True:
                source.run_once()
        except (BotoCoreError, ClientError) as exc:
            sys.stderr.write(f"{queue}: {json.dumps(str(exc))}\n")
            time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
