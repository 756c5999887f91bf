"""
Posts, categories and likes.

In SQL, so that each table is one statement: MySQL commits at each, and a start that is cut off in
between goes on from there.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INDEXES = {
    "ix_posts_status_no": "status, `No`",
    "ix_posts_category_status_no": "category_id, status, `No`",
    "ix_posts_user_status_no": "user_id, status, `No`",
}
ON_MYSQL = {
    "id": "VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin",
    "number": "INT NOT NULL AUTO_INCREMENT",
    "status": "ENUM('visible', 'hidden', 'deleted') NOT NULL DEFAULT 'visible'",
    "created": "DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)",
    "updated": "DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)",
    "post_indexes": "".join(f", KEY {name} ({columns})" for name, columns in INDEXES.items()),
    "options": "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
}
ON_SQLITE = {
    "id": "VARCHAR(32)",
    "number": "INTEGER NOT NULL DEFAULT 0",  # a trigger replaces the 0
    "status": "VARCHAR(7) NOT NULL DEFAULT 'visible' CONSTRAINT ck_posts_status"
    " CHECK (status IN ('visible', 'hidden', 'deleted'))",
    "created": "DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))",
    "updated": "DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))",
    "post_indexes": "",
    "options": "",
}
TABLES = (
    """
    CREATE TABLE IF NOT EXISTS categories (
        id {id} NOT NULL,
        name VARCHAR(50) NOT NULL,
        name_key VARCHAR(150) NOT NULL,
        created_at {created},
        PRIMARY KEY (id),
        CONSTRAINT uq_categories_name UNIQUE (name),
        CONSTRAINT uq_categories_name_key UNIQUE (name_key)
    ) {options}
    """,
    """
    CREATE TABLE IF NOT EXISTS posts (
        id {id} NOT NULL,
        `No` {number},
        username VARCHAR(100) NOT NULL,
        user_id VARCHAR(36),
        category VARCHAR(50) DEFAULT '일반',
        category_id {id},
        title VARCHAR(200) NOT NULL,
        content TEXT NOT NULL,
        view_count INT NOT NULL DEFAULT 0,
        like_count INT NOT NULL DEFAULT 0,
        comment_count INT NOT NULL DEFAULT 0,
        status {status},
        created_at {created},
        updated_at {updated},
        PRIMARY KEY (id),
        CONSTRAINT uq_posts_no UNIQUE (`No`),
        CONSTRAINT fk_posts_category_id FOREIGN KEY (category_id) REFERENCES categories (id)
        {post_indexes}
    ) {options}
    """,
    """
    CREATE TABLE IF NOT EXISTS likes (
        id {id} NOT NULL,
        post_id {id} NOT NULL,
        user_id VARCHAR(36) NOT NULL,
        created_at {created},
        PRIMARY KEY (id),
        CONSTRAINT unique_post_user_like UNIQUE (post_id, user_id),
        CONSTRAINT fk_likes_post_id FOREIGN KEY (post_id) REFERENCES posts (id)
    ) {options}
    """,
)
# AUTOINCREMENT never gives a number twice, even after its row is gone (sqlite.org/autoinc.html).
SQLITE_NUMBERS = (
    "CREATE TABLE post_numbers (`No` INTEGER PRIMARY KEY AUTOINCREMENT)",
    """
    CREATE TRIGGER posts_number AFTER INSERT ON posts WHEN NEW.`No` = 0
    BEGIN
        INSERT INTO post_numbers (`No`) VALUES (NULL);
        UPDATE posts SET `No` = last_insert_rowid() WHERE id = NEW.id;
        DELETE FROM post_numbers;
    END
    """,
)


def upgrade() -> None:
    """Create the tables."""
    on_mysql = op.get_bind().dialect.name == "mysql"
    for table in TABLES:
        _execute(table.format(**(ON_MYSQL if on_mysql else ON_SQLITE)))
    if not on_mysql:
        for name, columns in INDEXES.items():
            _execute(f"CREATE INDEX {name} ON posts ({columns})")
        for statement in SQLITE_NUMBERS:
            _execute(statement)


def _execute(statement: str) -> None:
    # As it is: op.execute() would take the colons of a time format for parameters.
    op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Drop the tables, with all that is in them."""
    op.drop_table("likes")
    op.drop_table("posts")
    op.drop_table("categories")
    if op.get_bind().dialect.name != "mysql":
        op.drop_table("post_numbers")
