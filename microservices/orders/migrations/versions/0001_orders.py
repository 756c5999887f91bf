"""Orders, and the outbox of their events."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """
    CREATE TABLE orders.orders (
        id UUID PRIMARY KEY,
        account_id VARCHAR NOT NULL,
        idempotency_key VARCHAR(64) NOT NULL,
        request_id VARCHAR(64) NOT NULL,
        status VARCHAR(9) NOT NULL CONSTRAINT orders_status_known
            CHECK (status IN ('pending', 'confirmed', 'rejected', 'cancelled', 'fulfilled')),
        lines JSONB NOT NULL,
        reasons JSONB NOT NULL DEFAULT '[]',
        created_at TIMESTAMPTZ NOT NULL,
        updated_at TIMESTAMPTZ NOT NULL,
        decided_at TIMESTAMPTZ,
        stock_returned BOOLEAN,
        CONSTRAINT orders_decided_once CHECK ((status = 'pending') = (decided_at IS NULL)),
        CONSTRAINT unique_order_account_key UNIQUE (account_id, idempotency_key)
    )
    """,
    "CREATE INDEX orders_of_account ON orders.orders (account_id, id)",
    "CREATE INDEX orders_by_status ON orders.orders (status, id)",
    "CREATE INDEX orders_to_return ON orders.orders (id) WHERE stock_returned IS FALSE",
    """
    CREATE TABLE orders.outbox (
        id UUID PRIMARY KEY,
        type VARCHAR(32) NOT NULL,
        event TEXT NOT NULL,
        occurred_at TIMESTAMPTZ NOT NULL,
        sent_at TIMESTAMPTZ
    )
    """,
    "CREATE INDEX outbox_unsent ON orders.outbox (id) WHERE sent_at IS NULL",
)


def upgrade() -> None:
    """Make the tables."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    op.execute("DROP TABLE orders.outbox")
    op.execute("DROP TABLE orders.orders")
