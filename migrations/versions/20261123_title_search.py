"""Search in titles: the folded titles of visible posts, and their pairs of characters."""

from collections.abc import Iterable
from itertools import pairwise

from alembic import op
from sqlalchemy import Connection, text

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Folded titles and grams are made as in post/services/search_index.py.
ON_MYSQL = {"options": "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin", "clustered": ""}
ON_SQLITE = {"options": "", "clustered": "WITHOUT ROWID"}
TITLES = """
    CREATE TABLE IF NOT EXISTS search_titles (
        `No` INTEGER NOT NULL,
        title_key VARCHAR(200) NOT NULL,
        PRIMARY KEY (`No`)
    ) {options}
    """
GRAMS = """
    CREATE TABLE IF NOT EXISTS search_grams (
        gram BIGINT NOT NULL,
        `No` INTEGER NOT NULL,
        PRIMARY KEY (gram, `No`)
    ) {options} {clustered}
    """


SOME = text("SELECT `No`, title FROM posts WHERE status = 'visible' AND `No` > :number ORDER BY `No` LIMIT 1000")
ADD_TITLE = text("INSERT INTO search_titles (`No`, title_key) VALUES (:number, :key)")
ADD_GRAM = text("INSERT INTO search_grams (gram, `No`) VALUES (:gram, :number)")


def upgrade() -> None:
    """Create the tables, and take in the posts there are."""
    connection = op.get_bind()
    words = ON_MYSQL if connection.dialect.name == "mysql" else ON_SQLITE
    connection.exec_driver_sql(TITLES.format(**words))
    connection.exec_driver_sql(GRAMS.format(**words))
    if connection.dialect.name != "mysql":
        _fill(connection)
        return
    for table in ("search_grams", "search_titles"):  # what a start that was cut off has left
        connection.exec_driver_sql(f"TRUNCATE TABLE {table}")
    # Each batch is committed: a million titles have twenty million pairs, too many for one transaction.
    with op.get_context().autocommit_block():
        _fill(op.get_bind())


def _fill(connection: Connection) -> None:
    number = 0
    while batch := connection.execute(SOME, {"number": number}).all():
        keys = [{"number": row[0], "key": "".join(map(_fold, row[1]))} for row in batch]
        grams = sorted({(gram, title["number"]) for title in keys for gram in _grams(title["key"])})
        connection.execute(ADD_TITLE, keys)
        if grams:
            connection.execute(ADD_GRAM, [{"gram": gram, "number": number} for gram, number in grams])
        number = batch[-1][0]


def _fold(char: str) -> str:
    return next((folded for folded in (char.casefold(), char.lower()) if len(folded) == 1), char)


def _grams(key: str) -> Iterable[int]:
    return (code << 21 | behind for code, behind in pairwise([*map(ord, key), 0]))


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("search_grams")
    op.drop_table("search_titles")
