"""Answers to requests that bore an Idempotency-Key."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ON_MYSQL = {
    "id": "VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin",
    "hash": "VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin",
    "body": "MEDIUMBLOB",
    "created": "DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)",
    "index": ", KEY ix_idempotency_keys_created_at (created_at)",
    "options": "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
}
ON_SQLITE = {
    "id": "VARCHAR(32)",
    "hash": "VARCHAR(64)",
    "body": "BLOB",
    "created": "DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))",
    "index": "",
    "options": "",
}
TABLE = """
    CREATE TABLE IF NOT EXISTS idempotency_keys (
        user_id VARCHAR(36) NOT NULL,
        `key` VARCHAR(64) NOT NULL,
        request_hash {hash} NOT NULL,
        post_id {id},
        answer {body},
        created_at {created},
        PRIMARY KEY (user_id, `key`)
        {index}
    ) {options}
    """


def upgrade() -> None:
    """Create the table."""
    connection = op.get_bind()
    if connection.dialect.name == "mysql":
        connection.exec_driver_sql(TABLE.format(**ON_MYSQL))
        return
    connection.exec_driver_sql(TABLE.format(**ON_SQLITE))
    connection.exec_driver_sql("CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at)")


def downgrade() -> None:
    """Drop the table: a repeated request is then a new one."""
    op.drop_table("idempotency_keys")
