"""
What the service writes for a like and for a new post, by PyMySQL alone.

The same statements in the same transactions, so that what is left of the difference is what the
service itself costs. Whoever changes them in ``post/services`` changes them here.
"""

from typing import Any

from pymysql.cursors import Cursor
from uuid_utils import uuid7

from bench.limit_database import Row, retried, rows_of, transaction
from bench.limit_reads import POST_COLUMNS, post_of
from post.services.derived import BLOCK_NUMBERS, SHARDS
from post.services.search_index import grams_of, search_key
from post.utils import fold_case

DEACTIVATED = "SELECT user_id FROM deactivated_accounts WHERE user_id = %s"
LOCK = "SELECT `No`, user_id, status, like_count, media_count, category_id, title FROM posts WHERE id = %s FOR UPDATE"
MY_LIKE = "SELECT id FROM likes WHERE post_id = %s AND user_id = %s"
ADD_LIKE = "INSERT INTO likes (id, post_id, user_id) VALUES (%s, %s, %s)"
REMOVE_LIKE = "DELETE FROM likes WHERE post_id = %s AND user_id = %s"
COUNT_LIKE = "UPDATE posts SET like_count = like_count + %s, updated_at = updated_at WHERE id = %s"

CATEGORY = "SELECT id, name FROM categories WHERE name_key = %s"
ADD_POST = (
    "INSERT INTO posts (id, title, content, user_id, username, category_id, category)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s)"
)
READ_BACK = f"SELECT {POST_COLUMNS} FROM posts WHERE id = %s"  # noqa: S608 - columns of our own
ADD_TITLE = "INSERT INTO search_titles (`No`, title_key) VALUES (%s, %s)"
ADD_GRAMS = "INSERT INTO search_grams (gram, `No`) VALUES (%s, %s)"
ADD_COUNTS = (
    "INSERT INTO post_counts (scope, subject, shard, visible, hidden) VALUES (%s, %s, %s, %s, %s)"
    " ON DUPLICATE KEY UPDATE visible = visible + VALUES(visible), hidden = hidden + VALUES(hidden)"
)


def toggle_like(post_id: str, user_id: str) -> dict[str, Any]:
    """Like a post, or take the like back; returns the API's ``data``."""
    rows_of(DEACTIVATED, user_id)
    return retried(lambda: _toggle_like(post_id, user_id))


def _toggle_like(post_id: str, user_id: str) -> dict[str, Any]:
    with transaction() as cursor:
        cursor.execute(LOCK, (post_id,))
        ((_, _, _, count, *_),) = cursor.fetchall()
        is_new = not cursor.execute(MY_LIKE, (post_id, user_id))
        if is_new:
            cursor.execute(ADD_LIKE, (uuid7().hex, post_id, user_id))
        else:
            cursor.execute(REMOVE_LIKE, (post_id, user_id))
        amount = 1 if is_new else -1
        cursor.execute(COUNT_LIKE, (amount, post_id))
    return {"action": "added" if is_new else "removed", "is_liked": is_new, "like_count": count + amount}


def create_post(body: dict[str, str], user_id: str, username: str) -> dict[str, Any]:
    """Create a post in a category that is there; returns the API's post object."""
    rows_of(DEACTIVATED, user_id)
    return post_of(retried(lambda: _create_post(body, user_id, username)), [])


def _create_post(body: dict[str, str], user_id: str, username: str) -> Row:
    post_id = uuid7().hex
    with transaction() as cursor:
        cursor.execute(CATEGORY, (fold_case(body["category"]),))
        ((category_id, category),) = cursor.fetchall()
        values = (post_id, body["title"], body["content"], user_id, username, category_id, category)
        cursor.execute(ADD_POST, values)
        cursor.execute(READ_BACK, (post_id,))
        (row,) = cursor.fetchall()
        _list(cursor, row[1], title=body["title"], category_id=category_id, user_id=user_id)
    return tuple(row)


def _list(cursor: Cursor, number: int, *, title: str, category_id: str, user_id: str) -> None:
    """Bring what lists and the search are made of up to date with a new post."""
    key = search_key(title)
    cursor.execute(ADD_TITLE, (number, key))
    cursor.executemany(ADD_GRAMS, [(gram, number) for gram in sorted(grams_of(key))])
    block = str(number // BLOCK_NUMBERS)
    subjects = {"all": "", "author": user_id, "block": block, "category": category_id}
    counts = [(scope, subject, number % SHARDS[scope], 1, 0) for scope, subject in subjects.items()]
    cursor.executemany(ADD_COUNTS, counts)
