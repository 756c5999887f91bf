"""The one who has hidden a post: its author, or a moderator."""

from alembic import op
from sqlalchemy import inspect

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ON_MYSQL = "ENUM('author', 'moderator')"
ON_SQLITE = "VARCHAR(9) CONSTRAINT ck_posts_hidden_by CHECK (hidden_by IN ('author', 'moderator'))"


def upgrade() -> None:
    """Add the column; it is NULL where an earlier release has hidden a post."""
    connection = op.get_bind()
    # Looked for first, because MySQL commits here: a start that is cut off after this goes on from there.
    if all(column["name"] != "hidden_by" for column in inspect(connection).get_columns("posts")):
        kind = ON_MYSQL if connection.dialect.name == "mysql" else ON_SQLITE
        connection.exec_driver_sql(f"ALTER TABLE posts ADD COLUMN hidden_by {kind}")


def downgrade() -> None:
    """Drop the column: authors may then show what moderators have hidden."""
    op.drop_column("posts", "hidden_by")
