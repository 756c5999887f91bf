"""Accounts that their users have deactivated."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ON_MYSQL = {
    "created": "DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)",
    "options": "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
}
ON_SQLITE = {
    "created": "DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))",
    "options": "",
}
TABLE = """
    CREATE TABLE IF NOT EXISTS deactivated_accounts (
        user_id VARCHAR(36) NOT NULL,
        login VARCHAR(128) NOT NULL,
        created_at {created},
        PRIMARY KEY (user_id)
    ) {options}
    """


def upgrade() -> None:
    """Create the table."""
    connection = op.get_bind()
    connection.exec_driver_sql(TABLE.format(**(ON_MYSQL if connection.dialect.name == "mysql" else ON_SQLITE)))


def downgrade() -> None:
    """Drop the table: every account may write again."""
    op.drop_table("deactivated_accounts")
