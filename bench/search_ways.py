"""
Compare two ways to search in titles on MySQL: a FULLTEXT index with the ngram parser, and our pairs of characters.

It makes a table of the titles of a database of demo data (``make bench`` leaves one), builds the
FULLTEXT index on it, and asks both ways the same in turns: how many posts a list has, up to 10,001,
and its first page. Both must give the same. The figures are milliseconds of the statement alone,
the least of several; the last column is what is judged, FULLTEXT's time over ours.

Run it as ``python bench/search_ways.py mysql+pymysql://root@127.0.0.1/postdb_bench_100000``, on
Oracle's MySQL: MariaDB has no ngram parser.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pymysql
from pymysql.cursors import Cursor
from sqlalchemy.engine import make_url

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from post.services.search_index import pairs_of

WORDS = ("후기", "코드", "고양이", "을지로", "쿠버네티스", "커피")
REPEATS = 7
# Visible posts alone, as a search shows them.
CREATE = (
    "DROP TABLE IF EXISTS bench_fulltext_titles",
    """
    CREATE TABLE bench_fulltext_titles (
        `No` INT NOT NULL PRIMARY KEY, title_key VARCHAR(200) NOT NULL
    ) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
    """,
    "INSERT INTO bench_fulltext_titles SELECT `No`, title_key FROM search_titles",
    "SET SESSION innodb_ft_enable_stopword = OFF",  # else no pair with an "a" or an "i" in it is found
    "ALTER TABLE bench_fulltext_titles ADD FULLTEXT KEY (title_key) WITH PARSER ngram",
    "ANALYZE TABLE bench_fulltext_titles",
)
DROP = "DROP TABLE bench_fulltext_titles"
# How many there are, and the first page.
FULLTEXT = (
    """
    SELECT COUNT(*) FROM (
        SELECT 1 FROM bench_fulltext_titles
        WHERE MATCH(title_key) AGAINST(%(phrase)s IN BOOLEAN MODE) AND title_key LIKE %(pattern)s LIMIT 10001
    ) AS found
    """,
    """
    SELECT `No` FROM bench_fulltext_titles
    WHERE MATCH(title_key) AGAINST(%(phrase)s IN BOOLEAN MODE) AND title_key LIKE %(pattern)s
    ORDER BY `No` DESC LIMIT 11
    """,
)
# The service's: a pair alone says all of a word of two characters, of a longer one each title is looked at.
OF_A_PAIR = (
    "SELECT COUNT(*) FROM (SELECT 1 FROM search_grams WHERE gram = %(gram)s LIMIT 10001) AS found",
    "SELECT `No` FROM search_grams WHERE gram = %(gram)s ORDER BY `No` DESC LIMIT 11",
)
OF_PAIRS = (
    """
    SELECT COUNT(*) FROM (
        SELECT 1 FROM search_grams JOIN search_titles USING (`No`)
        WHERE gram = %(gram)s AND title_key LIKE %(pattern)s LIMIT 10001
    ) AS found
    """,
    """
    SELECT `No` FROM search_grams JOIN search_titles USING (`No`)
    WHERE gram = %(gram)s AND title_key LIKE %(pattern)s ORDER BY `No` DESC LIMIT 11
    """,
)


def milliseconds(cursor: Cursor, statement: str, values: dict[str, Any]) -> tuple[float, Any]:
    """Return the least time of a statement, and what it gives."""
    least, rows = float("inf"), None
    for _ in range(REPEATS):
        start = time.perf_counter()
        cursor.execute(statement, values)
        rows = cursor.fetchall()
        least = min(least, time.perf_counter() - start)
    return least * 1000, rows


def rarest(cursor: Cursor, word: str) -> int:
    """Return the pair of a word that the fewest titles have."""
    pairs = pairs_of(word)
    cursor.execute("SELECT gram FROM search_grams WHERE gram IN %s GROUP BY gram ORDER BY COUNT(*) LIMIT 1", (pairs,))
    found = cursor.fetchone()
    return int(found[0]) if found else pairs[0]


def compare(cursor: Cursor, word: str) -> None:
    """Print a word's lines of the table."""
    values = {"phrase": f'"{word}"', "pattern": f"%{word}%", "gram": rarest(cursor, word)}
    ours = OF_A_PAIR if len(word) == 2 else OF_PAIRS
    for name, theirs, own in zip(("count", "page"), FULLTEXT, ours, strict=True):
        (slow, expected), (fast, found) = milliseconds(cursor, theirs, values), milliseconds(cursor, own, values)
        if found != expected:
            raise AssertionError(f"{word}: {expected} by FULLTEXT, {found} by pairs")
        rows = expected[0][0] if name == "count" else len(expected)
        print(f"| {word} | {name} | {rows} | {slow:.2f} | {fast:.2f} | {slow / fast:.1f} |", flush=True)


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table."""
    url = make_url(arguments[0])
    connection = pymysql.connect(
        host=url.host, port=url.port or 3306, user=url.username, password=url.password or "", database=url.database,
        charset="utf8mb4", autocommit=True, init_command="SET SESSION eq_range_index_dive_limit = 1",
    )  # fmt: skip
    with connection, connection.cursor() as cursor:
        for statement in CREATE:
            cursor.execute(statement)
        print("| word | what | found | FULLTEXT, ms | pairs, ms | ratio |\n| :-- | :-- | --: | --: | --: | --: |")
        for word in WORDS:
            compare(cursor, word)
        cursor.execute(DROP)


if __name__ == "__main__":
    main(sys.argv[1:])
