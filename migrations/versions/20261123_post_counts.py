"""How many posts there are: of all, of a category, of an author, in a block of numbers."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ON_MYSQL = {
    "scope": "VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin",
    "text": "CHAR",
    "divide": "DIV",
    "options": "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
}
ON_SQLITE = {"scope": "VARCHAR(8)", "text": "TEXT", "divide": "/", "options": "WITHOUT ROWID"}
TABLE = """
    CREATE TABLE IF NOT EXISTS post_counts (
        scope {scope} NOT NULL,
        subject VARCHAR(36) NOT NULL,
        shard INT NOT NULL,
        visible INT NOT NULL,
        hidden INT NOT NULL,
        PRIMARY KEY (scope, subject, shard)
    ) {options}
    """
# Subject and shard of each scope, as post/services/derived.py has them.
FILLS = {
    "all": ("''", "`No` % 16"),
    "category": ("category_id", "`No` % 16"),
    "block": ("CAST(`No` {divide} 8192 AS {text})", "`No` % 16"),
    "author": ("user_id", "`No` % 4"),
}
FILL = """
    INSERT INTO post_counts (scope, subject, shard, visible, hidden)
    SELECT '{name}', subject, shard, SUM(status = 'visible'), SUM(status = 'hidden')
    FROM (SELECT {subject} AS subject, {shard} AS shard, status FROM posts WHERE status <> 'deleted') AS counted
    WHERE subject IS NOT NULL
    GROUP BY subject, shard
    """


def upgrade() -> None:
    """Create the table, and count once what is kept from then on."""
    connection = op.get_bind()
    words = ON_MYSQL if connection.dialect.name == "mysql" else ON_SQLITE
    connection.exec_driver_sql(TABLE.format(**words))
    connection.exec_driver_sql("DELETE FROM post_counts")  # what a start that was cut off has left
    for name, (subject, shard) in FILLS.items():
        # A percent sign is the driver's own.
        fill = FILL.format(name=name, subject=subject.format(**words), shard=shard)
        connection.exec_driver_sql(fill.replace("%", "%%") if connection.dialect.name == "mysql" else fill)


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("post_counts")
