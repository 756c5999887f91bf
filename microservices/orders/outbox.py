"""The outbox: events that were written with their orders wait here until SNS has them, each at least once."""

import logging
from contextlib import AbstractContextManager, ExitStack
from typing import Any, NamedTuple
from uuid import UUID

import boto3
from botocore.config import Config
from sqlalchemy import Uuid, any_, bindparam, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from orders import faults
from orders.models import outbox
from shared import clock, settings, traces
from shared.container_log import count, logger
from shared.metrics import EVENTS_REFUSED
from shared.postgres import Statement, transaction

# SNS's limits of a batch. An event has 160 KB at most: 50 names of 255 characters, each as two escapes.
BATCH_EVENTS, BATCH_BYTES = 10, 256 * 1024
ATTRIBUTE_BYTES = 256  # type, request and trace: names, types and values count
# Not SNS's own header: it has one for a whole batch, whose events are of different traces. SQS names it alike.
TRACE_ATTRIBUTE = "AWSTraceHeader"
# One try, which the relay repeats: PostgreSQL ends a transaction that is idle for 5 seconds.
LIMITS = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})

_unsent = Statement(
    select(outbox.c.id, outbox.c.type, outbox.c.event, outbox.c.request_id, outbox.c.trace_header)
    .where(outbox.c.sent_at.is_(None))
    .order_by(outbox.c.id)
    .limit(BATCH_EVENTS)
    .with_for_update(skip_locked=True)
)
_sent = Statement(
    update(outbox)
    .where(outbox.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))))
    .values(sent_at=bindparam("now", type_=outbox.c.sent_at.type))
)


class EventsRefused(Exception):
    """SNS has taken none of a batch's events, or only some."""


class Event(NamedTuple):
    """An event that waits; with the ids of the request that caused it, if one did."""

    id: UUID
    type: str
    text: str
    request_id: str | None = None
    trace_header: str | None = None


class Topic:
    """
    The topic of orders' events.

    Raises:
        SettingInvalid: ``ORDER_EVENTS_TOPIC_ARN`` or ``AWS_REGION`` is not set.
    """

    def __init__(self) -> None:
        self._arn = settings.text("ORDER_EVENTS_TOPIC_ARN")
        self._client = boto3.client("sns", region_name=settings.text("AWS_REGION"), config=LIMITS)

    def publish(self, events: list[Event]) -> list[UUID]:
        """
        Publish events.

        Args:
            events: Events that fit into one batch.

        Returns:
            Ids of those that SNS has taken.

        Raises:
            BotoCoreError: SNS is away.
            ClientError: It refuses the batch.
        """
        with ExitStack() as spans:
            entries = [_entry(one, spans.enter_context(_publishing(one)).header) for one in events]
            answer = self._client.publish_batch(TopicArn=self._arn, PublishBatchRequestEntries=entries)
        ids = {str(one.id): _ids(one) for one in events}
        for failed in answer.get("Failed", []):
            facts = {**ids[failed["Id"]], "code": failed["Code"]}
            count("event_refused", EVENTS_REFUSED, level=logging.ERROR, **facts)
        for taken in answer["Successful"]:
            logger.info("event_published", extra=ids[taken["Id"]])
        return [UUID(one["Id"]) for one in answer["Successful"]]


def relay_events(topic: Topic) -> int:
    """
    Publish the oldest events that no other relay has in hand, and mark those that SNS has taken.

    Args:
        topic: Their topic.

    Returns:
        Number of events that were published.

    Raises:
        OperationalError: The database is away.
        BotoCoreError: SNS is away.
        ClientError: SNS refuses the batch.
        EventsRefused: SNS refuses some of them.
    """
    with transaction() as connection:
        events = _first_of([Event(*row) for row in _unsent.run(connection)])
        if not events:
            return 0
        taken = topic.publish(events)
        faults.reach("published")
        _sent.run(connection, ids=taken, now=clock.now())
    if len(taken) < len(events):
        raise EventsRefused
    return len(taken)


def _first_of(events: list[Event]) -> list[Event]:
    """Return those of the first events that fit into one batch."""
    size = 0
    for number, event in enumerate(events):
        size += len(event.text) + ATTRIBUTE_BYTES  # ASCII: a character is a byte
        if size > BATCH_BYTES:
            return events[:number]
    return events


def _publishing(event: Event) -> AbstractContextManager[traces.Span]:
    return traces.within("send order-events", "PRODUCER", header=event.trace_header or "")


def _entry(event: Event, header: str) -> dict[str, Any]:
    values = {"type": event.type, "request_id": event.request_id, TRACE_ATTRIBUTE: header}
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in values.items() if value}
    return {"Id": str(event.id), "Message": event.text, "MessageAttributes": attributes}


def _ids(event: Event) -> dict[str, Any]:
    """The fields of a line: the event, its request, and its trace."""
    root = traces.root_of(event.trace_header or "")
    ids = {"event_id": str(event.id), "request_id": event.request_id, "xray_trace_id": root}
    return {name: value for name, value in ids.items() if value}
