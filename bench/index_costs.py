"""
What the two indexes in the order of popularity cost likes and views, which move a post in both.

It copies the posts of a database of demo data (``make bench`` leaves one) twice, once without those
two indexes, and writes to both copies in turns: a like's update alone and with its commit, and a
batch of views as the view counter writes it. The figures are microseconds for each post, medians of
the rounds; the last column is what is judged, the time with the indexes over that without.

Run it as ``python bench/index_costs.py mysql+pymysql://root@127.0.0.1/postdb_bench_100000``.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from pymysql.cursors import Cursor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.databases import cursor_of, rows_of

WITH, WITHOUT = "bench_posts_with", "bench_posts_without"
INDEXES = ("ix_posts_popular", "ix_posts_category_popular")
ROUNDS = 15
LIKES, VIEWED_POSTS = 300, 500  # of each round; the second is the view counter's batch

Write = Callable[[Cursor, str, list[str]], None]


def copy_posts(cursor: Cursor) -> None:
    """Make both tables."""
    for table in (WITH, WITHOUT):
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
        cursor.execute(f"CREATE TABLE {table} LIKE posts")
    cursor.execute(f"ALTER TABLE {WITHOUT} " + ", ".join(f"DROP INDEX {index}" for index in INDEXES))
    for table in (WITH, WITHOUT):
        cursor.execute(f"INSERT INTO {table} SELECT * FROM posts")  # noqa: S608 - names of ours
        cursor.execute(f"ANALYZE TABLE {table}")


def like(cursor: Cursor, table: str, post_ids: list[str]) -> None:
    """Count a like of each post, one transaction each."""
    for post_id in post_ids:
        cursor.execute(
            f"UPDATE {table} SET like_count = like_count + 1, updated_at = updated_at WHERE id = %s",  # noqa: S608 - likewise
            (post_id,),
        )


def view(cursor: Cursor, table: str, post_ids: list[str]) -> None:
    """Count a view of each post, all in one statement."""
    cases = "WHEN %s THEN 1 " * len(post_ids)
    cursor.execute(
        f"UPDATE {table} SET view_count = view_count + CASE id {cases} END, updated_at = updated_at"  # noqa: S608 - likewise
        f" WHERE id IN ({', '.join(['%s'] * len(post_ids))})",
        (*post_ids, *sorted(post_ids)),
    )


def microseconds(cursor: Cursor, write: Write, table: str, post_ids: list[str]) -> float:
    """Return what a write took, for each post."""
    start = time.perf_counter()
    write(cursor, table, post_ids)
    return (time.perf_counter() - start) / len(post_ids) * 1e6


def compare(cursor: Cursor, name: str, write: Write, post_ids: Sequence[str], size: int) -> None:
    """Print a write's line of the table."""
    random, taken = Random(1), {WITH: list[float](), WITHOUT: list[float]()}  # noqa: S311 - nothing here is secret
    for _ in range(ROUNDS):
        some = random.sample(post_ids, size)
        for table in (WITH, WITHOUT):
            taken[table].append(microseconds(cursor, write, table, some))
    with_them, without = (statistics.median(taken[table][1:]) for table in (WITH, WITHOUT))  # the first warms up
    print(f"| {name} | {with_them:.0f} | {without:.0f} | {with_them / without:.2f} |", flush=True)


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table."""
    with cursor_of(arguments[0]) as cursor:
        copy_posts(cursor)
        post_ids = [post_id for (post_id,) in rows_of(cursor, "SELECT id FROM posts WHERE status = 'visible'")]
        print("| write | with, µs | without, µs | ratio |\n| :-- | --: | --: | --: |")
        compare(cursor, "a like's update, committed", like, post_ids, LIKES)
        compare(cursor, "a view, of a batch", view, post_ids, VIEWED_POSTS)
        for table in (WITH, WITHOUT):
            cursor.execute(f"DROP TABLE {table}")


if __name__ == "__main__":
    main(sys.argv[1:])
