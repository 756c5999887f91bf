"""Likes that were made without a token."""

from alembic import op
from sqlalchemy import inspect

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; likes of an earlier release count as made with a token."""
    connection = op.get_bind()
    # Looked for first, because MySQL commits here: a start that is cut off after this goes on from there.
    if all(column["name"] != "is_anonymous" for column in inspect(connection).get_columns("likes")):
        kind = "TINYINT(1)" if connection.dialect.name == "mysql" else "BOOLEAN"
        connection.exec_driver_sql(f"ALTER TABLE likes ADD COLUMN is_anonymous {kind} NOT NULL DEFAULT 0")


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("likes", "is_anonymous")
