"""Tables of the schema ``orders``."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

from orders.order import STATUSES
from shared.traces import HEADER_MAX_CHARS

metadata = MetaData(schema="orders")

orders = Table(
    "orders",
    metadata,
    Column("id", Uuid, primary_key=True),  # version 7: newer ones are greater
    Column("account_id", String, nullable=False),
    Column("idempotency_key", String(64), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("status", String(9), nullable=False),
    Column("lines", JSONB, nullable=False),  # read and written with their order alone; prices are strings
    Column("reasons", JSONB, nullable=False, server_default="[]"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("decided_at", DateTime(timezone=True)),
    Column("stock_returned", Boolean),
    CheckConstraint(f"status IN {STATUSES}", name="orders_status_known"),
    CheckConstraint("(status = 'pending') = (decided_at IS NULL)", name="orders_decided_once"),
    UniqueConstraint("account_id", "idempotency_key", name="unique_order_account_key"),
)
Index("orders_of_account", orders.c.account_id, orders.c.id)
Index("orders_by_status", orders.c.status, orders.c.id)
Index("orders_to_return", orders.c.id, postgresql_where=orders.c.stock_returned.is_(False))

outbox = Table(
    "outbox",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("type", String(32), nullable=False),
    Column("event", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("sent_at", DateTime(timezone=True)),
    # Of the request that caused the event. Null in rows of the release before, and of what no request has caused.
    Column("request_id", String(64)),
    Column("trace_header", String(HEADER_MAX_CHARS)),
)
Index("outbox_unsent", outbox.c.id, postgresql_where=outbox.c.sent_at.is_(None))
