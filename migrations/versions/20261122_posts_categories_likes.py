"""Posts, categories and likes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLE_OPTIONS = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    """Create the tables."""
    on_mysql = op.get_bind().dialect.name == "mysql"
    id_type = mysql.VARCHAR(32, charset="ascii", collation="ascii_bin") if on_mysql else sa.String(32)
    moment = mysql.DATETIME(fsp=3) if on_mysql else sa.DateTime()
    now = sa.text("CURRENT_TIMESTAMP(3)" if on_mysql else "(strftime('%Y-%m-%d %H:%M:%f', 'now'))")
    now_on_update = sa.text("CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)") if on_mysql else now

    op.create_table(
        "categories",
        sa.Column("id", id_type, nullable=False),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("name_key", sa.String(150), nullable=False),
        sa.Column("created_at", moment, nullable=False, server_default=now),
        sa.PrimaryKeyConstraint("id", name="pk_categories"),
        sa.UniqueConstraint("name", name="uq_categories_name"),
        sa.UniqueConstraint("name_key", name="uq_categories_name_key"),
        **TABLE_OPTIONS,
    )
    op.create_table(
        "posts",
        sa.Column("id", id_type, nullable=False),
        # SQLite's trigger replaces the 0; on MySQL AUTO_INCREMENT, below, takes the default's place.
        sa.Column("No", sa.Integer(), nullable=False, server_default=None if on_mysql else "0"),
        sa.Column("username", sa.String(100), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=True),
        sa.Column("category", sa.String(50), nullable=True, server_default="일반"),
        sa.Column("category_id", id_type, nullable=True),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("view_count", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("like_count", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("comment_count", sa.Integer(), nullable=False, server_default="0"),
        sa.Column(
            "status",
            sa.Enum("visible", "hidden", "deleted", name="status", create_constraint=True),
            nullable=False,
            server_default="visible",
        ),
        sa.Column("created_at", moment, nullable=False, server_default=now),
        sa.Column("updated_at", moment, nullable=False, server_default=now_on_update),
        sa.PrimaryKeyConstraint("id", name="pk_posts"),
        sa.UniqueConstraint("No", name="uq_posts_no"),
        sa.ForeignKeyConstraint(["category_id"], ["categories.id"], name="fk_posts_category_id"),
        sa.Index("ix_posts_status_no", "status", "No"),
        sa.Index("ix_posts_category_status_no", "category_id", "status", "No"),
        sa.Index("ix_posts_user_status_no", "user_id", "status", "No"),
        **TABLE_OPTIONS,
    )
    op.create_table(
        "likes",
        sa.Column("id", id_type, nullable=False),
        sa.Column("post_id", id_type, nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("created_at", moment, nullable=False, server_default=now),
        sa.PrimaryKeyConstraint("id", name="pk_likes"),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name="fk_likes_post_id"),
        sa.UniqueConstraint("post_id", "user_id", name="unique_post_user_like"),
        **TABLE_OPTIONS,
    )
    if on_mysql:
        # SQLAlchemy writes AUTO_INCREMENT for primary keys alone.
        op.execute("ALTER TABLE posts MODIFY `No` INT NOT NULL AUTO_INCREMENT")
    else:
        _number_posts_on_sqlite()


def _number_posts_on_sqlite() -> None:
    """AUTOINCREMENT never gives a number twice, even after its row is gone (sqlite.org/autoinc.html)."""
    op.execute('CREATE TABLE post_numbers ("No" INTEGER PRIMARY KEY AUTOINCREMENT)')
    op.execute(
        """
        CREATE TRIGGER posts_number AFTER INSERT ON posts WHEN NEW."No" = 0
        BEGIN
            INSERT INTO post_numbers ("No") VALUES (NULL);
            UPDATE posts SET "No" = last_insert_rowid() WHERE id = NEW.id;
            DELETE FROM post_numbers;
        END
        """
    )


def downgrade() -> None:
    """Drop the tables, with all that is in them."""
    op.drop_table("likes")
    op.drop_table("posts")
    op.drop_table("categories")
    if op.get_bind().dialect.name != "mysql":
        op.drop_table("post_numbers")
