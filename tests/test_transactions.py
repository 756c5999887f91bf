"""The end of a transaction: its last statements, whose COMMIT travels with them on MySQL."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from post.database.writes import send_last, transaction
from post.models import Category, db

ADD = "INSERT INTO categories (id, name, name_key) VALUES ('{0}', '{0}', '{0}')"


def names(app):
    with app.app_context():
        return sorted(db.session.scalars(select(Category.name)))


def write(*statements):
    with transaction() as connection:
        for statement in statements:
            send_last(connection, statement)


def test_the_last_statements_are_stored_in_their_order(app):
    with app.app_context():
        write(ADD.format("a"), "UPDATE categories SET name = 'b' WHERE name = 'a'", ADD.format("c"))

    assert names(app) == ["b", "c"]


def test_one_that_fails_leaves_nothing_behind(app):
    with app.app_context():
        with pytest.raises(DBAPIError):
            write(ADD.format("a"), "INSERT INTO nowhere VALUES (1)", ADD.format("b"))
        write(ADD.format("c"))  # on the same connection: no transaction is left open in it

    assert names(app) == ["c"]


def test_a_block_that_raises_sends_none_of_them(app):
    def interrupted():
        with transaction() as connection:
            send_last(connection, ADD.format("a"))
            raise ValueError("enough")

    with app.app_context(), pytest.raises(ValueError, match="enough"):
        interrupted()

    assert names(app) == []


def test_their_values_are_values(app):
    hostile = "'; DROP TABLE posts; -- %s \\"
    with app.app_context():
        with transaction() as connection:
            style = "?" if connection.dialect.name == "sqlite" else "%s"
            send_last(connection, ADD.format("a").replace("'a', 'a')", f"'a', {style})"), (hostile,))
        with transaction() as connection:
            assert connection.scalar(select(Category.name_key)) == hostile
            assert connection.scalar(select(func.count()).select_from(Category)) == 1


def test_outside_of_a_transaction_they_are_refused(app):
    refused = pytest.raises(RuntimeError, match="not in a transaction")
    with app.app_context(), db.engine.connect() as connection, refused:
        send_last(connection, ADD.format("a"))
