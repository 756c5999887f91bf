"""Events of orders from the queue, each written as one notification. A record that fails comes again, alone."""

from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from pydantic import AwareDatetime, Field

from notifications import store
from shared import clock, traces
from shared.metrics import NOTIFICATIONS_FAILED, NOTIFICATIONS_WRITTEN
from shared.observability import count, invocation, logger
from shared.people import StrictModel

TITLES = {
    "order.confirmed": "Order confirmed",
    "order.rejected": "Order rejected",
    "order.cancelled": "Order cancelled",
    "order.fulfilled": "Order fulfilled",
}
OPENINGS = {
    "order.confirmed": "Your order is confirmed.",
    "order.rejected": "Your order could not be accepted.",
    "order.cancelled": "Your order is cancelled.",
    "order.fulfilled": "Your order is fulfilled.",
}
# A batch that fails as a whole is reported like any other: by its records.
processor = BatchProcessor(
    EventType.SQS,
    raise_on_entire_batch_failure=False,
    logger=logger,  # type: ignore[arg-type]  # it hands calls on to one
)


class Line(StrictModel):
    """One line of an order; one that was rejected has no names."""

    name: Annotated[str, Field(max_length=255)] | None
    quantity: Annotated[int, Field(ge=1)]


class Order(StrictModel):
    """An order, as far as its notification needs it."""

    id: UUID
    account_id: UUID
    items: Annotated[list[Line], Field(max_length=50)]
    total: Annotated[Decimal, Field(ge=0, max_digits=15, decimal_places=2)] | None


class OrderEvent(StrictModel, hide_input_in_errors=True):
    """An event of an order."""

    id: UUID
    type: Literal["order.confirmed", "order.rejected", "order.cancelled", "order.fulfilled"]
    version: Literal[1]
    occurred_at: AwareDatetime
    order: Order


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Write a batch's notifications; the answer names the records that failed."""
    with invocation("process notifications", "CONSUMER", context and context.aws_request_id):
        answer = process_partial_response(event, record_handler=receive, processor=processor, context=context)
        if failed := len(answer["batchItemFailures"]):
            count(NOTIFICATIONS_FAILED, failed)
    return dict(answer)


def receive(record: SQSRecord) -> None:
    """
    Write the notification of one record; its lines and its span are of the request that caused its event.

    Args:
        record: Record of the queue.

    Raises:
        ValidationError: Its body is no event of an order.
        ClientError: S3 refused the object.
    """
    request_id, header = (_attribute(record, name) for name in ("request_id", "AWSTraceHeader"))
    logger.append_keys(message_id=record.message_id, request_id=request_id)
    # Not `within`: the record's failure is logged after this, and has the same trace.
    span = traces.begin("receive notifications", "CONSUMER", header or "")
    try:
        _write(OrderEvent.model_validate_json(record.body))
    except Exception as exc:
        span.note(error=type(exc).__name__)
        raise
    finally:
        span.end()


def _write(event: OrderEvent) -> None:
    is_new = store.add(event.order.account_id, notification_of(event))
    logger.info("notification_written" if is_new else "notification_known", extra={"event_id": str(event.id)})
    if is_new:
        count(NOTIFICATIONS_WRITTEN)


def _attribute(record: SQSRecord, name: str) -> str | None:
    attribute = record.message_attributes[name]
    return None if attribute is None else attribute.string_value


def notification_of(event: OrderEvent) -> store.Notification:
    """
    Return the notification of an event; the same event gives the same one.

    Args:
        event: The event.

    Raises:
        ValueError: The event's time is out of range.
    """
    return {
        "id": store.notification_id(event.occurred_at, event.id),
        "type": event.type,
        "title": TITLES[event.type],
        "order_id": str(event.order.id),
        "created_at": clock.isoformat(event.occurred_at),
        "body": body_of(event),
    }


def body_of(event: OrderEvent) -> str:
    """
    Return the text of an event's notification.

    Args:
        event: The event.

    Returns:
        A sentence, then the order's lines and its total, as far as it has them.
    """
    lines = [f"{line.quantity} × {line.name}" for line in event.order.items if line.name is not None]
    total = [] if event.order.total is None else [f"Total: {event.order.total:.2f}"]
    return "\n\n".join("\n".join(part) for part in ([OPENINGS[event.type]], lines, total) if part)
