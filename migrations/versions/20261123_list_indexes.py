"""What lists read: the number of a post's images, and indexes in the order of popularity."""

from alembic import op
from sqlalchemy import inspect

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_posts_popular": "status, like_count, view_count, `No`",
    "ix_posts_category_popular": "category_id, status, like_count, view_count, `No`",
}
COLUMN = "ADD COLUMN media_count INT NOT NULL DEFAULT 0"
COUNT = """
    UPDATE posts SET updated_at = updated_at,
        media_count = (SELECT COUNT(*) FROM media WHERE media.post_id = posts.id)
    WHERE media_count > 0 OR id IN (SELECT post_id FROM media)
    """


def upgrade() -> None:
    """Add them, and count."""
    connection = op.get_bind()
    # Looked for first, because MySQL commits here: a start that is cut off after this goes on from there.
    is_there = any(column["name"] == "media_count" for column in inspect(connection).get_columns("posts"))
    if connection.dialect.name == "mysql":
        keys = ", ".join(f"ADD KEY {name} ({columns})" for name, columns in INDEXES.items())
        if not is_there:
            connection.exec_driver_sql(f"ALTER TABLE posts {COLUMN}, {keys}")
    else:
        connection.exec_driver_sql(f"ALTER TABLE posts {COLUMN}")
        for name, columns in INDEXES.items():
            connection.exec_driver_sql(f"CREATE INDEX {name} ON posts ({columns})")
    connection.exec_driver_sql(COUNT)


def downgrade() -> None:
    """Drop them."""
    for name in INDEXES:
        op.drop_index(name, "posts")
    op.drop_column("posts", "media_count")
