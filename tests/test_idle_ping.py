"""Connections that write: asked whether they are good where they were idle, not each time."""

import pymysql
import pytest
from sqlalchemy import select, text

from post import services
from post.database import engines
from post.models import Like, db
from post.utils import Caller

pytestmark = pytest.mark.parametrize("database", ["mysql"], indirect=True)
BO = Caller(user_id="bo", username="bo")


@pytest.fixture
def pings(monkeypatch):
    """Of connections, as they are made."""
    asked, ping = [], pymysql.connections.Connection.ping

    def noted(connection, *, reconnect):
        asked.append(connection.thread_id())
        return ping(connection, reconnect=reconnect)

    monkeypatch.setattr(pymysql.connections.Connection, "ping", noted)
    return asked


@pytest.fixture
def like(app):
    def toggle(post_id):
        with app.app_context():
            return services.toggle_like(post_id, user_id=BO.user_id, viewer=BO)

    return toggle


@pytest.fixture
def end_connections(app):
    """Close what the pools hold, from the server's side."""

    def end():
        with app.app_context(), db.engine.connect() as connection:
            own = connection.scalar(text("SELECT CONNECTION_ID()"))
            others = text("SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> :own")
            for number in connection.scalars(others, {"own": own}).all():
                connection.execute(text(f"KILL {number}"))
            connection.invalidate()

    yield end
    with app.app_context():  # before the tables are emptied
        for engine in db.engines.values():
            engine.dispose()


def test_a_connection_that_was_just_used_is_not_asked(like, make_post, pings, monkeypatch):
    monkeypatch.setattr(engines, "IDLE_SECONDS", 60)
    post_id = make_post()

    for _ in range(4):
        like(post_id)

    assert pings == []


def test_an_idle_connection_that_the_server_has_closed_is_replaced(
    end_connections, like, make_post, pings, rows, monkeypatch
):
    post_id = make_post()
    like(post_id)
    monkeypatch.setattr(engines, "IDLE_SECONDS", -1)
    end_connections()

    answer = like(post_id)

    assert not answer.is_liked
    assert pings
    assert rows(select(Like.id)) == []
