"""Rows that transactions lock to take turns."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ON_MYSQL = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
TABLE = "CREATE TABLE IF NOT EXISTS locks (name VARCHAR(20) NOT NULL, PRIMARY KEY (name)) {options}"


def upgrade() -> None:
    """Create the table; its rows are inserted when they are first locked."""
    connection = op.get_bind()
    connection.exec_driver_sql(TABLE.format(options=ON_MYSQL if connection.dialect.name == "mysql" else ""))


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("locks")
