"""Prepared queries give the very values that SQLAlchemy gives, though MySQL sends each row as one text."""

from datetime import datetime

import pytest
from sqlalchemy import insert, select

from post.database.reads import Prepared, read
from post.models import Category, Post, db
from post.services.accounts import CALLER_COLUMN
from post.services.post_rows import POST_COLUMNS

MOMENTS = datetime.fromisoformat("1999-12-31 23:59:59.999"), datetime.fromisoformat("2026-01-01")
CHARACTERS = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000]
PART = 16_000  # characters of a post: a TEXT has 65,535 bytes
NUMBER_MAX = 2**31 - 1


@pytest.fixture
def posts(app):
    """Posts with every character, the ends of numbers, times with and without fractions, and NULL."""
    created_at, updated_at = MOMENTS
    category = {"id": "c" * 32, "name": "일상", "name_key": "일상", "created_at": created_at}
    post = {"title": 'a "quoted" \\ title\n', "user_id": "u", "username": "null", "category": "[1, 2]"}
    post |= {"category_id": category["id"], "status": "visible", "created_at": created_at, "updated_at": updated_at}
    post |= {"view_count": NUMBER_MAX, "like_count": 0, "comment_count": 1, "media_count": 0, "hidden_by": None}
    parts = ["".join(CHARACTERS[start : start + PART]) for start in range(0, len(CHARACTERS), PART)]
    with app.app_context():
        db.session.execute(insert(Category), category)
        for number, content in enumerate(parts):
            db.session.execute(insert(Post), post | {"id": f"{number:032}", "content": content})
        db.session.commit()
        yield parts


def test_a_prepared_query_gives_what_sqlalchemy_gives(posts):
    query = select(*POST_COLUMNS, Post.hidden_by).order_by(Post.No)

    prepared, expected = Prepared(query).read(), read(query)

    assert [row.content for row in expected] == posts
    for row, wanted in zip(prepared, expected, strict=True):
        assert row._fields == tuple(wanted._fields)
        assert [*map(type, row)] == [*map(type, wanted)]
        assert tuple(row) == tuple(wanted)


@pytest.mark.usefixtures("posts")
def test_a_truth_value_that_the_server_knows_beforehand_is_none_of_text():
    query = Prepared(select(Category.id, CALLER_COLUMN).where(Category.name_key == "일상"))

    assert [row.restriction for row in query.read({"caller_id": "u"})] == [None]
