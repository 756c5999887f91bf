"""
Metrics that services write as lines of their logs, in CloudWatch's embedded format; ``SIGNALS.md`` has their writers.

Dashboard and alarms of the Terraform files name them. Each has one dimension, ``service``. The namespace is
``METRICS_NAMESPACE``, ``microservices`` unless it is set.
"""

from typing import Any, NamedTuple

from shared import settings


class Metric(NamedTuple):
    """A metric's name, and its unit in CloudWatch's words."""

    name: str
    unit: str = "Count"


# Of every service behind the gateway. A function that answers 500 is no error of Lambda's own metrics.
REQUESTS_FAILED = Metric("RequestsFailed")
# Of containers.
DATABASE_UNAVAILABLE = Metric("DatabaseUnavailable")

USERS_REGISTERED = Metric("UsersRegistered")
LOGINS_SUCCEEDED = Metric("LoginsSucceeded")
LOGINS_FAILED = Metric("LoginsFailed")
ATTEMPTS_THROTTLED = Metric("AttemptsThrottled")
SESSIONS_REFUSED = Metric("SessionsRefused")
USERS_DELETED = Metric("UsersDeleted")

STOCK_RESERVED = Metric("StockReserved")
RESERVATIONS_REJECTED = Metric("ReservationsRejected")

ORDERS_CONFIRMED = Metric("OrdersConfirmed")
ORDERS_REJECTED = Metric("OrdersRejected")
ORDERS_CANCELLED = Metric("OrdersCancelled")
ORDERS_FULFILLED = Metric("OrdersFulfilled")
PRODUCTS_UNAVAILABLE = Metric("ProductsUnavailable")

# Of the relay; the first four are measured once a minute.
PENDING_ORDERS = Metric("PendingOrders")
PENDING_AGE = Metric("PendingAge", "Seconds")
OUTBOX_BACKLOG = Metric("OutboxBacklog")
OUTBOX_AGE = Metric("OutboxAge", "Seconds")
EVENTS_REFUSED = Metric("EventsRefused")
RESERVATIONS_RELEASED = Metric("ReservationsReleased")

NOTIFICATIONS_WRITTEN = Metric("NotificationsWritten")
NOTIFICATIONS_FAILED = Metric("NotificationsFailed")


def namespace() -> str:
    """Return the namespace of all of them."""
    return settings.text("METRICS_NAMESPACE", "microservices")


def embedded(values: dict[Metric, float], milliseconds: int) -> dict[str, Any]:
    """
    Return the fields by which CloudWatch finds metrics in a line that has a field ``service``.

    Args:
        values: Their values.
        milliseconds: Time of the line since 1970.
    """
    directive = {
        "Namespace": namespace(),
        "Dimensions": [["service"]],
        "Metrics": [{"Name": metric.name, "Unit": metric.unit} for metric in values],
    }
    fields = {metric.name: value for metric, value in values.items()}
    return {"_aws": {"Timestamp": milliseconds, "CloudWatchMetrics": [directive]}, **fields}
