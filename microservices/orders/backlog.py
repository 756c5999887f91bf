"""Measurements of what waits: orders that nobody has decided, and events that SNS has not taken."""

from sqlalchemy import ColumnElement, DateTime, Select, func, literal, select

from orders.models import orders, outbox
from orders.order import PENDING
from shared import postgres
from shared.container_log import count
from shared.metrics import OUTBOX_AGE, OUTBOX_BACKLOG, PENDING_AGE, PENDING_ORDERS
from shared.postgres import Statement


def _waiting(since: ColumnElement[DateTime]) -> Select[tuple[int, float]]:
    """Their number, and the seconds for which the oldest has waited."""
    seconds = func.extract("epoch", func.now() - func.min(since))
    return select(func.count(), func.coalesce(seconds, 0))


_pending = Statement(_waiting(orders.c.created_at).where(orders.c.status == literal(PENDING)))
_unsent = Statement(_waiting(outbox.c.occurred_at).where(outbox.c.sent_at.is_(None)))


def measure() -> bool:
    """
    Write the metrics of what waits.

    Returns:
        False: there is nothing more to measure now.

    Raises:
        OperationalError: The database is away.
    """
    with postgres.reading() as connection:
        [(pending, pending_age)] = _pending.run(connection).fetchall()
        [(unsent, unsent_age)] = _unsent.run(connection).fetchall()
    values = {
        PENDING_ORDERS: pending,
        PENDING_AGE: float(pending_age),
        OUTBOX_BACKLOG: unsent,
        OUTBOX_AGE: float(unsent_age),
    }
    count("backlog_measured", values=values)
    return False
