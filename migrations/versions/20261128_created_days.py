"""The day on which a post was created: the most popular posts of each day in an index, and their number."""

from alembic import op
from sqlalchemy import inspect

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

COLUMN = "created_day"
ADD_COLUMN = "ALTER TABLE posts ADD COLUMN created_day {kind} GENERATED ALWAYS AS ({day}) VIRTUAL"
INDEXES = {
    "ix_posts_status_created_at": "status, created_at",
    "ix_posts_day_popular": "status, created_day, like_count, view_count, `No`, created_at, category_id, user_id",
}
ON_MYSQL = {"kind": "INT", "day": "TO_DAYS(created_at)", "text": "CHAR"}
ON_SQLITE = {"kind": "INTEGER", "day": "CAST(julianday(created_at) - 1721059.5 AS INTEGER)", "text": "TEXT"}
# Subject and shard as post/services/derived.py has them.
FILL = """
    INSERT INTO post_counts (scope, subject, shard, visible, hidden)
    SELECT 'day', subject, shard, SUM(status = 'visible'), SUM(status = 'hidden')
    FROM (
        SELECT CAST(created_day AS {text}) AS subject, `No` % 16 AS shard, status FROM posts WHERE status <> 'deleted'
    ) AS counted
    GROUP BY subject, shard
    """


def upgrade() -> None:
    """Add the column and the indexes, without a lock on MySQL; then count once what is kept from then on."""
    connection = op.get_bind()
    is_mysql = connection.dialect.name == "mysql"
    words = ON_MYSQL if is_mysql else ON_SQLITE
    # Looked for first, because MySQL commits at each step: a start that was cut off goes on from there. In one step
    # they would block writers.
    if all(column["name"] != COLUMN for column in inspect(connection).get_columns("posts")):
        connection.exec_driver_sql(ADD_COLUMN.format(**words))
    present = {index["name"] for index in inspect(connection).get_indexes("posts")}
    for name, columns in INDEXES.items():
        if name not in present:
            connection.exec_driver_sql(f"CREATE INDEX {name} ON posts ({columns})")
    connection.exec_driver_sql("DELETE FROM post_counts WHERE scope = 'day'")
    fill = FILL.format(**words)
    connection.exec_driver_sql(fill.replace("%", "%%") if is_mysql else fill)


def downgrade() -> None:
    """Drop them."""
    op.get_bind().exec_driver_sql("DELETE FROM post_counts WHERE scope = 'day'")
    for name in INDEXES:
        op.drop_index(name, "posts")
    op.drop_column("posts", COLUMN)
