"""Images of posts."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ON_MYSQL = {
    "id": "VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin",
    "object_key": "VARCHAR(110) CHARACTER SET ascii COLLATE ascii_bin",
    "created": "DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)",
    "index": ", KEY ix_media_post_id (post_id)",
    "options": "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
}
ON_SQLITE = {
    "id": "VARCHAR(32)",
    "object_key": "VARCHAR(110)",
    "created": "DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))",
    "index": "",
    "options": "",
}
TABLE = """
    CREATE TABLE IF NOT EXISTS media (
        id {id} NOT NULL,
        post_id {id} NOT NULL,
        object_key {object_key} NOT NULL,
        thumbnail_key {object_key} NOT NULL,
        file_name VARCHAR(255) NOT NULL,
        content_type VARCHAR(20) NOT NULL,
        file_size INT NOT NULL,
        width INT NOT NULL,
        height INT NOT NULL,
        created_at {created},
        PRIMARY KEY (id),
        CONSTRAINT uq_media_object_key UNIQUE (object_key),
        CONSTRAINT uq_media_thumbnail_key UNIQUE (thumbnail_key),
        CONSTRAINT fk_media_post_id FOREIGN KEY (post_id) REFERENCES posts (id)
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
    connection.exec_driver_sql("CREATE INDEX ix_media_post_id ON media (post_id)")


def downgrade() -> None:
    """Drop the table; the stored images are then nobody's, and ``flask images prune`` removes them."""
    op.drop_table("media")
