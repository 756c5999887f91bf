"""Events of orders, as they come from the queue."""

import json
from typing import Any
from uuid import uuid4

import uuid_utils

from shared import clock


def order_event(account_id: str, **fields: Any) -> dict[str, Any]:
    """Return an event of a new order; ``fields`` take the place of its own."""
    order = {
        "id": str(uuid_utils.uuid7()),
        "account_id": account_id,
        "status": "confirmed",
        "items": [
            {"product_id": 1, "name": "연필", "quantity": 2, "unit_price": 1.5, "line_total": 3.0},
            {"product_id": 2, "name": "Cup", "quantity": 1, "unit_price": 29.99, "line_total": 29.99},
        ],
        "total": 32.99,
        "created_at": "2026-01-02T03:04:05.678Z",
        "updated_at": "2026-01-02T03:04:05.678Z",
    }
    event = {
        "id": str(uuid_utils.uuid7()),
        "type": "order.confirmed",
        "version": 1,
        "occurred_at": clock.isoformat(clock.now()),
        "order": order,
    }
    return event | fields


def sqs_event(*bodies: Any) -> dict[str, Any]:
    """Return a batch; a body that is no text is written as JSON."""
    return {
        "Records": [
            {
                "messageId": str(uuid4()),
                "receiptHandle": "r",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:microservices-notifications",
                "awsRegion": "us-east-1",
            }
            for body in bodies
        ]
    }
