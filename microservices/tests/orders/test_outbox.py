"""Events: written with their orders, published at least once, marked only when SNS has them."""

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest


@pytest.fixture
def queue(aws, stand_in, shop, monkeypatch):
    """A topic of the test's own, with a queue behind it: a function that takes what has arrived."""
    from microservices.local.aws import connect

    name = f"orders-{uuid4().hex}"
    topics, queues = connect("sns", stand_in), connect("sqs", stand_in)
    topic = topics.create_topic(Name=name)["TopicArn"]
    url = queues.create_queue(QueueName=name)["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topics.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    monkeypatch.setenv("ORDER_EVENTS_TOPIC_ARN", topic)

    def take():
        found = []
        while batch := queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
            "Messages"
        ):
            found += batch
        return found

    return take


@pytest.fixture
def topic(queue):
    from orders.outbox import Topic

    return Topic()


def relay_all(topic):
    from orders.outbox import relay_events

    while relay_events(topic):
        pass


def unsent(shop):
    return shop.rows("SELECT count(*) FROM orders.outbox WHERE sent_at IS NULL")[0][0]


def test_every_change_of_an_order_is_an_event_with_the_order_as_it_was_then(shop, topic, queue):
    pen = shop.sell(stock=3)
    kept, gone = shop.order((pen, 1)).json, shop.order((pen, 2)).json
    shop.order((pen, 1))
    fulfilled, cancelled = shop.fulfil(kept["id"]).json, shop.cancel(gone["id"]).json
    [rejected] = shop.get("/orders?status=rejected").json

    relay_all(topic)

    messages = queue()
    events = {event["id"]: event for event in (json.loads(message["Body"]) for message in messages)}
    expected = [kept, gone, rejected, fulfilled, cancelled]
    assert [events[key]["order"] for key in sorted(events)] == expected  # ids are in the order of time
    for event in events.values():
        order = event["order"]
        assert event == {
            "id": event["id"],
            "type": f"order.{order['status']}",
            "version": 1,
            "occurred_at": order["updated_at"],
            "order": order,
        }
    attributes = [message["MessageAttributes"]["type"]["StringValue"] for message in messages]
    assert attributes == [json.loads(message["Body"])["type"] for message in messages]
    assert unsent(shop) == 0


def test_an_event_has_the_id_and_the_trace_of_the_request_that_caused_it(shop, topic, queue):
    pen = shop.sell()
    header = "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=0"
    given = {"Idempotency-Key": "one", "X-Request-ID": "mine", "X-Amzn-Trace-Id": header}
    body = {"items": [{"product_id": pen, "quantity": 1}]}
    shop.ask("POST", "/orders", body, role="user", headers=given)

    relay_all(topic)

    [message] = queue()
    assert {name: value["StringValue"] for name, value in message["MessageAttributes"].items()} == {
        "type": "order.confirmed",
        "request_id": "mine",
        "AWSTraceHeader": header,
    }


def test_an_event_that_the_release_before_wrote_is_published(shop, topic, queue):
    with shop.connect() as connection:
        connection.execute(
            "INSERT INTO orders.outbox (id, type, event, occurred_at)"
            " VALUES (gen_random_uuid(), 'order.confirmed', '{}', now())"
        )

    relay_all(topic)

    [message] = queue()
    assert list(message["MessageAttributes"]) == ["type"]
    assert unsent(shop) == 0


def test_an_event_is_published_once_by_relays_beside_each_other(shop, topic, queue):
    pen = shop.sell(stock=100)
    for _ in range(45):
        shop.order((pen, 1))

    with ThreadPoolExecutor(4) as threads:
        for relay in [threads.submit(relay_all, topic) for _ in range(4)]:
            relay.result()

    ids = [json.loads(message["Body"])["id"] for message in queue()]
    assert len(ids) == len(set(ids)) == 45
    assert unsent(shop) == 0


def test_a_relay_passes_over_what_another_has_in_hand(shop, topic, queue):
    pen = shop.sell()
    for _ in range(3):
        shop.order((pen, 1))
    with shop.connect() as connection, connection.transaction():
        [[held]] = connection.execute("SELECT id FROM orders.outbox ORDER BY id LIMIT 1 FOR UPDATE")
        relay_all(topic)
        assert shop.rows("SELECT id FROM orders.outbox WHERE sent_at IS NULL") == [(held,)]

    relay_all(topic)
    assert len(queue()) == 3


def test_an_event_stays_until_sns_has_it(shop, topic, queue, monkeypatch):
    from botocore.exceptions import EndpointConnectionError

    from microservices.tests.running import NOBODY
    from orders.outbox import Topic, relay_events

    shop.order((shop.sell(), 1))
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", NOBODY)
        away = Topic()

    with pytest.raises(EndpointConnectionError):
        relay_events(away)
    assert unsent(shop) == 1

    relay_all(topic)
    assert (unsent(shop), len(queue())) == (0, 1)


def test_an_event_that_sns_refuses_stays_and_the_others_of_its_batch_are_sent(shop, topic, monkeypatch):
    from orders.outbox import EventsRefused, relay_events

    pen = shop.sell()
    for _ in range(3):
        shop.order((pen, 1))
    publish = topic.publish
    monkeypatch.setattr(topic, "publish", lambda events: publish(events[1:]))

    with pytest.raises(EventsRefused):
        relay_events(topic)

    oldest = shop.rows("SELECT id FROM orders.outbox ORDER BY id LIMIT 1")
    assert shop.rows("SELECT id FROM orders.outbox WHERE sent_at IS NULL") == oldest


def test_a_batch_is_within_the_limits_of_sns(shop, topic, queue):
    """Fifty products with the longest names, all of them characters of four bytes."""
    ids = [shop.sell(name="😀" * 255, price=99_999_999.99, stock=10_000) for _ in range(50)]
    for _ in range(3):
        assert shop.order(*((product_id, 1000) for product_id in ids)).status == 201

    relay_all(topic)

    sizes = [len(message["Body"]) for message in queue()]
    assert len(sizes) == 3
    assert 100_000 < max(sizes) <= 256 * 1024


def test_a_change_without_its_event_is_impossible(shop):
    """The event's row is refused here; then the order is not decided either."""
    with shop.connect() as connection:
        connection.execute("ALTER TABLE orders.outbox ADD CONSTRAINT no_more CHECK (occurred_at IS NULL)")
    pen = shop.sell()
    try:
        answer = shop.order((pen, 1), key="once")
    finally:
        with shop.connect() as connection:
            connection.execute("ALTER TABLE orders.outbox DROP CONSTRAINT no_more")

    assert answer.error[:2] == (500, "internal_error")
    assert [one["status"] for one in shop.get("/orders").json] == ["pending"]
    assert shop.order((pen, 1), key="once").json["status"] == "confirmed"
