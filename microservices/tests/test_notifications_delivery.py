"""Events from the topic to the objects in S3, through the queue, its mapping and the Lambda host, with faults."""

import json
import threading
from contextlib import ExitStack, closing
from uuid import uuid4

import pytest

from microservices.local.aws import connect, make_resources
from microservices.local.lambda_host import Function, LambdaHost
from microservices.local.processes import is_listening
from microservices.local.terraform import deployed
from microservices.tests.events_of_orders import order_event
from microservices.tests.running import PROJECT, event_source, free_port, process_on
from notifications import store
from tests.servers import wait_until

pytestmark = pytest.mark.slow

BUCKET = "microservices-notifications-local"


class Delivery:
    """A stand-in of its own, with the deployed topic, queues and bucket; the worker fails for what ``fault`` names."""

    def __init__(self, folder):
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.fault = folder / "fault"
        self.fault.write_text("")
        self.log = folder / "worker.log"
        self.account_id = str(uuid4())
        self.clients = {name: connect(name, self.endpoint) for name in ("s3", "sns", "sqs")}

    def stand_in(self):
        return process_on(self.port, "-m", "microservices.local.aws", str(self.port))

    def host(self):
        """The worker's host; the function is the deployed one but for the fault."""
        settings = deployed().local("lambdas")["notifications-worker"]
        aws = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "l", "AWS_SECRET_ACCESS_KEY": "l"}
        worker = Function(
            name="microservices-notifications-worker",
            handler="tests.functions.failing_worker",
            root=PROJECT / "microservices",
            memory_size=settings["memory_size"],
            timeout_seconds=settings["timeout"],
            environment={**settings["environment"], **aws, "FAULT": str(self.fault)},
            log=self.log,
        )
        return LambdaHost([worker])

    def publish(self, *events):
        [topic] = self.clients["sns"].list_topics()["Topics"]
        for event in events:
            kind = {"type": {"DataType": "String", "StringValue": event["type"]}}
            self.clients["sns"].publish(TopicArn=topic["TopicArn"], Message=json.dumps(event), MessageAttributes=kind)

    def queue(self, suffix=""):
        return self.clients["sqs"].get_queue_url(QueueName=f"microservices-notifications{suffix}")["QueueUrl"]

    def come_again_after(self, seconds):
        attributes = {"VisibilityTimeout": str(seconds)}
        self.clients["sqs"].set_queue_attributes(QueueUrl=self.queue(), Attributes=attributes)

    def number_in(self, suffix=""):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.clients["sqs"].get_queue_attributes(QueueUrl=self.queue(suffix), AttributeNames=names)
        return sum(map(int, found["Attributes"].values()))

    def redrive(self):
        """Move what was put aside back to the queue, as SQS's own task does; moto has none."""
        sqs, aside = self.clients["sqs"], self.queue("-dlq")
        while messages := sqs.receive_message(QueueUrl=aside, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                sqs.send_message(QueueUrl=self.queue(), MessageBody=message["Body"])
                sqs.delete_message(QueueUrl=aside, ReceiptHandle=message["ReceiptHandle"])

    def notified(self):
        """Event ids of the account's objects."""
        prefix = f"notifications/{self.account_id}/"
        found = self.clients["s3"].list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return sorted(one["Key"].rpartition("/")[2].partition("-")[2].removesuffix(".json") for one in found)

    def lines(self):
        """The worker's log: its lines that are JSON."""
        text = self.log.read_text() if self.log.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@pytest.fixture
def delivery(tmp_path):
    made = Delivery(tmp_path)
    with ExitStack() as stack:
        for client in made.clients.values():
            stack.enter_context(closing(client))
        yield made


@pytest.fixture
def host(delivery):
    """The running Lambda host's address."""
    running = delivery.host()
    thread = threading.Thread(target=running.serve)
    thread.start()
    yield running.url
    running.close()
    thread.join()


def ids(events):
    return sorted(event["id"] for event in events)


def test_of_ten_records_one_that_fails_goes_aside_alone_and_a_redrive_delivers_it(delivery, host, capsys):
    events = [order_event(delivery.account_id) for _ in range(10)]
    tenth = events[6]
    delivery.fault.write_text(tenth["order"]["id"])
    others = [event for event in events if event is not tenth]
    with delivery.stand_in():
        make_resources(delivery.endpoint)
        delivery.come_again_after(1)
        delivery.publish(*events)
        with event_source(delivery.endpoint, host):
            wait_until(lambda: delivery.number_in("-dlq") == 1, what="nothing is put aside")
            lines = [line for line in delivery.lines() if "_aws" not in line]
            outcomes = [line["message"] if line["level"] == "INFO" else "failed" for line in lines]
            assert delivery.notified() == ids(others)
            assert delivery.number_in() == 0

            delivery.fault.write_text("")
            delivery.redrive()
            wait_until(lambda: delivery.number_in() == 0, what="the queue is not emptied")

        assert delivery.notified() == ids(events)
        assert delivery.number_in("-dlq") == 0
    # The nine are written before the tenth comes for the second time.
    assert sorted(outcomes[:10]) == ["failed"] + ["notification_written"] * 9
    assert outcomes[10:] == ["failed"] * 4
    with capsys.disabled():
        print("\n  of ten records nine written at once, the tenth tried 5 times and put aside; its redrive delivers it")


def test_a_stand_in_that_is_killed_and_comes_back_is_waited_for(delivery, host):
    before, after = order_event(delivery.account_id), order_event(delivery.account_id)
    with delivery.stand_in() as first, ExitStack() as later:
        make_resources(delivery.endpoint)
        mapping = later.enter_context(event_source(delivery.endpoint, host))
        delivery.publish(before)
        wait_until(lambda: delivery.notified() == ids([before]), what="not delivered before")
        first.kill()
        first.wait()
        wait_until(lambda: not is_listening(delivery.port), what="it still listens")  # its worker ends a moment later

        later.enter_context(delivery.stand_in())
        make_resources(delivery.endpoint)
        delivery.publish(after, after)

        wait_until(
            lambda: delivery.notified() == ids([after]) and delivery.number_in() == 0, what="nothing comes after"
        )
        assert mapping.poll() is None


def test_what_the_topic_sends_twice_is_one_object(delivery, host):
    event = order_event(delivery.account_id)
    with delivery.stand_in():
        make_resources(delivery.endpoint)
        delivery.publish(*[event] * 15)
        with event_source(delivery.endpoint, host):
            wait_until(lambda: delivery.number_in() == 0, what="the queue is not emptied")

        assert delivery.notified() == ids([event])


def test_the_mapping_is_the_deployed_one():
    [mapping] = deployed().resources("aws_lambda_event_source_mapping").values()
    queue = deployed().resources("aws_sqs_queue")["notifications"]
    worker = deployed().local("lambdas")["notifications-worker"]

    assert (mapping["batch_size"], mapping["function_response_types"]) == (10, ["ReportBatchItemFailures"])
    assert queue["visibility_timeout_seconds"] == 6 * worker["timeout"]


def test_the_page_has_the_figures_that_are_deployed():
    page = (PROJECT / "microservices" / "notifications" / "README.md").read_text()
    visibility = deployed().resources("aws_sqs_queue")["notifications"]["visibility_timeout_seconds"]
    rule = deployed().resources("aws_s3_bucket_lifecycle_configuration")["notifications"]["rule"][0]

    assert f"after\n  {visibility} seconds" in page
    assert f"removes it after {rule['expiration'][0]['days']} days" in page
    assert f"{store.PARALLEL_READS} side by side" in page
    assert f"{store.LAST_MS:,} minus" in page
