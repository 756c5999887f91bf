"""The request and the trace that an event comes from. The release before writes rows without them."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; PostgreSQL rewrites no row for them."""
    op.execute("ALTER TABLE orders.outbox ADD COLUMN request_id VARCHAR(64), ADD COLUMN trace_header VARCHAR(74)")


def downgrade() -> None:
    """Drop them."""
    op.execute("ALTER TABLE orders.outbox DROP COLUMN request_id, DROP COLUMN trace_header")
