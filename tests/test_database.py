"""The database's faults: what is retried, what is told, what stops the start."""

from contextlib import nullcontext

import pymysql
import pytest
from sqlalchemy import create_engine, insert, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from config import ConfigError
from post import services
from post.database import faults, schema, writes
from post.database.writes import retried, transaction
from post.models import Category
from post.utils import Caller, new_id
from tests.conftest import empty
from tests.servers import find_mysqld, private_mysql


def error(number: int) -> OperationalError:
    return OperationalError("UPDATE posts", {}, pymysql.err.OperationalError(number, "as the driver says it"))


@pytest.mark.parametrize("number", [1213, 1205], ids=["deadlock", "lock wait timeout"])
def test_a_write_that_keeps_losing_is_given_up(number, monkeypatch):
    monkeypatch.setattr(writes.time, "sleep", lambda _seconds: None)
    runs = []

    @retried
    def write():
        runs.append(number)
        raise error(number)

    with pytest.raises(OperationalError):
        write()

    assert len(runs) == writes.WRITE_ATTEMPTS


def test_a_write_is_not_tried_again_once_it_has_taken_too_long(monkeypatch):
    monkeypatch.setattr(writes, "WRITE_RETRY_SECONDS", -1)
    runs = []

    @retried
    def write():
        runs.append(1)
        raise error(1205)

    with pytest.raises(OperationalError):
        write()

    assert len(runs) == 1


@pytest.mark.parametrize(("statement", "runs"), [("UPDATE posts", 2), (None, 1)], ids=["a statement", "COMMIT"])
def test_a_write_that_is_cut_off_is_tried_again_unless_it_may_have_been_stored(statement, runs, monkeypatch):
    monkeypatch.setattr(writes.time, "sleep", lambda _seconds: None)
    lost = pymysql.err.OperationalError(2013, "as the driver says it")
    tried = []

    @retried
    def write():
        tried.append(statement)
        if len(tried) == 1:
            raise OperationalError(statement, {}, lost, connection_invalidated=True)

    with pytest.raises(OperationalError) if statement is None else nullcontext():
        write()

    assert len(tried) == runs


def test_a_write_that_the_server_leaves_unanswered_is_not_tried_again(monkeypatch):
    monkeypatch.setattr(faults, "STALE_SECONDS", -1)
    lost = pymysql.err.OperationalError(2013, "as the driver says it")
    runs = []

    @retried
    def write():
        runs.append(1)
        raise OperationalError("UPDATE posts", {}, lost, connection_invalidated=True)

    with pytest.raises(OperationalError):
        write()

    assert len(runs) == 1


def test_another_error_is_not_tried_again():
    runs = []

    @retried
    def write():
        runs.append(1)
        raise error(1290)

    with pytest.raises(OperationalError):
        write()

    assert len(runs) == 1


@pytest.fixture
def mysql_app(make_app, mysql_server):
    app = make_app(DATABASE_URL=mysql_server)
    yield app
    empty(app)


def as_ana(app):
    return {"Authorization": f"Bearer {app.extensions['post'].dev_issuer.issue('ana', [])['access_token']}"}


def create_post(app):
    return app.test_client().post("/api/v1/posts", json={"title": "제목", "content": "내용"}, headers=as_ana(app))


def test_a_row_that_stays_locked_is_told_as_a_busy_database(mysql_app, mysql_server, monkeypatch):
    monkeypatch.setattr(writes, "WRITE_RETRY_SECONDS", 0)
    url = create_post(mysql_app).headers["Location"]
    with create_engine(mysql_server, poolclass=NullPool).connect() as other:
        other.execute(text("SELECT id FROM posts FOR UPDATE"))

        refused = mysql_app.test_client().put(f"{url}/like", headers=as_ana(mysql_app))
    liked = mysql_app.test_client().put(f"{url}/like", headers=as_ana(mysql_app))

    assert (refused.status_code, refused.json["error"]["code"]) == (503, "database_unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    assert liked.json["data"] == {"action": "added", "is_liked": True, "like_count": 1}


def test_a_schema_that_another_process_holds_for_too_long_stops_the_start(make_app, new_mysql_database, monkeypatch):
    monkeypatch.setattr(schema, "LOCK_SECONDS", 1)
    url = make_url(new_mysql_database)
    lock = f"post-service:{url.database}"
    with create_engine(url.set(database=""), poolclass=NullPool).connect() as other:
        other.execute(text("SELECT GET_LOCK(:lock, 0)"), {"lock": lock})

        with pytest.raises(ConfigError) as stopped:
            make_app(DATABASE_URL=new_mysql_database)

    assert str(stopped.value).startswith("DATABASE_URL: cannot use the database: another process")


def test_a_server_that_refuses_the_user_stops_the_start(make_app, mysql_server):
    stranger = make_url(mysql_server).set(username="nobody", password="wrong").render_as_string(hide_password=False)

    with pytest.raises(ConfigError) as stopped:
        make_app(DATABASE_URL=stranger)

    assert "Access denied" in str(stopped.value)
    assert "wrong" not in str(stopped.value)


def test_a_view_that_cannot_be_counted_does_not_cost_the_reader_the_post(mysql_app, mysql_server):
    url = create_post(mysql_app).headers["Location"]
    client = mysql_app.test_client()
    with create_engine(mysql_server, poolclass=NullPool).connect() as other:
        other.execute(text("SELECT id FROM posts FOR UPDATE"))

        while_locked = client.get(url)
    afterwards = client.get(url)

    assert (while_locked.status_code, while_locked.json["data"]["view_count"]) == (200, 0)
    assert afterwards.json["data"]["view_count"] == 1


def test_a_transaction_within_another_is_refused_and_the_outer_one_rolled_back(app):
    def write_within_a_write():
        with transaction() as connection:
            connection.execute(insert(Category), {"id": new_id(), "name": "바깥", "name_key": "바깥"})
            services.create_category("안", creator=Caller(user_id="ana", username="ana"))

    with app.app_context(), pytest.raises(RuntimeError, match="nest"):
        write_within_a_write()

    with app.app_context():
        assert services.list_categories().value == []


@pytest.mark.skipif(find_mysqld() is None, reason="it needs a server of its own to stop")
def test_while_the_database_is_away_the_service_says_so_and_lives(make_app):
    with private_mysql() as url:
        app = make_app(DATABASE_URL=url)
        path = create_post(app).headers["Location"]
    client = app.test_client()

    answers = [client.get(path), client.get("/api/v1/posts"), create_post(app)]
    ready = client.get("/health/ready")

    assert [(answer.status_code, answer.json["error"]["code"]) for answer in answers] == [
        (503, "database_unavailable")
    ] * 3
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert client.get("/health").json["status"] == "healthy"
    assert (ready.status_code, ready.json["checks"]) == (503, {"database": "down"})
