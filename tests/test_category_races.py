"""Categories changed while others write posts, on both databases and with threads; workers that are killed."""

import logging
import os
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import requests
from sqlalchemy import func, insert, make_url, select, text, update

from post.database import engines
from post.database.writes import insert_unless_there, transaction
from post.models import Category, Post, PostCount, Task, db
from post.services import tasks
from post.services.categories import lock_names
from post.services.derived import derive_new
from post.utils import new_id
from tests.conftest import at_once, impatient_engine, wrong_in
from tests.servers import HANG_SECONDS, PATIENT_WITH_MYSQL, UNLIMITED, children_of, running_service, wait_until

pytestmark = pytest.mark.slow

POSTS, CATEGORIES = "/api/v1/posts", "/api/v1/categories"
WRITERS, TIMES = 6, 12
INNODB_TRX_SECONDS = 0.2  # InnoDB shows the same transactions again to who reads them within 0.1 s of the last reading


@pytest.fixture(autouse=True)
def small_batches(monkeypatch, patient_requests):
    """Have a change of some dozens of posts take many batches."""
    monkeypatch.setattr(tasks, "FIRST_BATCH", 2)
    monkeypatch.setattr(tasks, "BATCH_MAX", 2)


@pytest.fixture
def lock_row(app):
    """The row that admins lock: two that insert it, the first ones ever, may deadlock, and one is retried."""
    with app.app_context(), transaction() as connection:
        tasks.lock_tasks(connection)


@pytest.fixture
def send(app, as_user, lock_row):
    """A call that sends a request; a client for each, since clients are not made for threads."""

    def call(method, url, body=None, who="ana"):
        return lambda: app.test_client().open(url, method=method, json=body, headers=as_user(who))

    return call


@pytest.fixture
def write_often(send):
    """A call that writes many posts of a category: new ones, edits, deletes; returns the answers' statuses."""

    def call(name, who):
        def write():
            statuses = Counter()
            for number in range(TIMES):
                body = {"title": f"제목 {number}", "content": "내용", "category": name}
                created = send("POST", POSTS, body, who)()
                statuses["create", created.status_code] += 1
                if created.status_code != 201:
                    continue
                url = created.headers["Location"]
                changes = [{"title": "새 제목"}, {"category": name}, {"category": "다른 곳"}, {"status": "hidden"}]
                answer = send("PATCH", url, changes[number % len(changes)], who)()
                statuses["edit", answer.status_code] += 1
                if number % 3 == 0:
                    statuses["delete", send("DELETE", url, None, who)().status_code] += 1
            return statuses

        return write

    return call


@pytest.fixture
def make_category(client, as_user):
    """Create a category; returns its id."""

    def make(name):
        return client.post(CATEGORIES, json={"name": name}, headers=as_user("root")).json["data"]["id"]

    return make


def deadlocks(caplog):
    """The errors of the database for which a write was made again."""
    return [record.error for record in caplog.records if record.message == "write_retried"]


def misnamed(rows):
    """The posts whose category's name is another than their text."""
    joined = select(Post.id).join(Category, Category.id == Post.category_id, isouter=True)
    return rows(joined.where(Post.category.is_distinct_from(Category.name)))


def test_posts_written_while_their_category_is_merged_lose_nothing(
    app, send, write_often, make_category, make_post, rows, stored, caplog
):
    source, into = make_category("맛집"), make_category("여행")
    for _ in range(40):
        make_post(category="맛집")
    caplog.set_level(logging.WARNING)
    merge = send("POST", f"{CATEGORIES}/{source}/merge", {"into": into}, "root")

    merged, *written = at_once([merge, *(write_often("맛집", f"user{number}") for number in range(WRITERS))])

    assert (merged.status_code, merged.json["data"]["state"]) == (200, "done")
    assert set(sum(written, Counter())) == {("create", 201), ("edit", 200), ("delete", 200)}
    assert stored(select(func.count()).select_from(Post).where(Post.category_id == source)) == 0
    assert stored(select(func.count()).select_from(Category).where(Category.id == source)) == 0
    assert misnamed(rows) == []
    assert wrong_in(app) == []
    assert deadlocks(caplog) == []


def test_posts_written_while_their_category_gets_new_names_show_the_last_one(
    app, send, write_often, make_category, make_post, rows, caplog
):
    category_id = make_category("이름 0")
    for _ in range(10):
        make_post(category="이름 0")
    caplog.set_level(logging.WARNING)
    # Writers name the category as it was: most posts are of another, made anew under the old name.
    renames = [send("PATCH", f"{CATEGORIES}/{category_id}", {"name": f"이름 {number}"}, "root") for number in (1, 2, 3)]
    writers = [write_often(f"이름 {number % 4}", f"user{number}") for number in range(WRITERS)]

    answers = at_once([*renames, *writers])

    assert {answer.status_code for answer in answers[:3]} <= {200, 409}  # 409: a post has made the name meanwhile
    assert set(sum(answers[3:], Counter())) == {("create", 201), ("edit", 200), ("delete", 200)}
    assert misnamed(rows) == []
    assert wrong_in(app) == []
    assert deadlocks(caplog) == []


@pytest.fixture
def new_names(new_mysql_database, make_app, monkeypatch):
    """An app on a database of its own, with the category "옛 이름"; returns it with two transactions of others."""
    monkeypatch.setattr(engines, "LOCK_WAIT_SECONDS", HANG_SECONDS)  # of a busy machine's, too
    app = make_app(DATABASE_URL=new_mysql_database, DATABASE_READ_TIMEOUT_SECONDS="60")
    with app.app_context(), db.engine.connect() as renaming, db.engine.connect() as inserting:
        with transaction() as connection:
            connection.execute(insert(Category), {"id": new_id(), "name": "옛 이름", "name_key": "옛 이름"})
            lock_names(connection)
        yield app, renaming, inserting
    with app.app_context():
        db.engine.dispose()


def test_a_post_that_waited_for_a_new_name_of_its_category_locks_no_entry_of_the_old_one(
    new_names, mysql_server, as_user, caplog
):
    app, renaming, inserting = new_names
    administrator = impatient_engine(make_url(mysql_server).set(database=""))

    def wait_until_waiting(statement):
        waiting = text("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_query LIKE :s AND trx_state = :w")
        values = {"s": f"{statement}%", "w": "LOCK WAIT"}
        with administrator.connect() as connection:
            wait_until(lambda: connection.scalar(waiting, values), what=statement, pause=INNODB_TRX_SECONDS)

    body = {"title": "제목", "content": "내용", "category": "옛 이름"}
    row = {"id": new_id(), "name": "옛 이름", "name_key": "옛 이름"}
    with ThreadPoolExecutor(1) as pool:
        renaming.execute(update(Category).values(name="새 이름", name_key="새 이름"))
        created = pool.submit(app.test_client().post, POSTS, json=body, headers=as_user("ana"))
        wait_until_waiting("SELECT")
        lock_names(inserting)
        renaming.commit()
        wait_until_waiting("INSERT INTO locks")
        insert_unless_there(inserting, Category, row)
        inserting.commit()
        answer = created.result(HANG_SECONDS)

    assert answer.status_code == 201
    with app.app_context():
        assert db.session.scalars(select(Post.category_id)).all() == [row["id"]]
    assert deadlocks(caplog) == []


def test_no_post_is_created_in_a_category_after_it_was_closed(app, send, make_category, stored):
    category_id = make_category("여행")
    body = {"title": "제목", "content": "내용", "category": "여행"}
    create = send("POST", POSTS, body)

    def close():
        answer = send("PATCH", f"{CATEGORIES}/{category_id}", {"is_open": False}, "root")()
        return answer.status_code, stored(select(func.count()).select_from(Post))

    (closed, kept), *created = at_once([close, *[create] * 30], threads=8)

    assert closed == 200
    assert {answer.status_code for answer in created} <= {201, 403}
    assert stored(select(func.count()).select_from(Post)) == kept
    assert wrong_in(app) == []


def test_a_category_is_deleted_or_gets_a_post_but_not_both(app, send, make_category, stored, rows, caplog):
    caplog.set_level(logging.WARNING)
    outcomes = Counter()
    for number in range(8):
        name = f"분류 {number}"
        category_id = make_category(name)
        create = send("POST", POSTS, {"title": "제목", "content": "내용", "category": name})
        deleted, *created = at_once([send("DELETE", f"{CATEGORIES}/{category_id}", None, "root"), create, create])
        outcomes[deleted.status_code] += 1
        assert [answer.status_code for answer in created] == [201, 201]
        is_there = stored(select(func.count()).select_from(Category).where(Category.id == category_id)) == 1
        assert is_there == (deleted.status_code == 409)

    assert set(outcomes) <= {200, 409}
    assert misnamed(rows) == []
    assert wrong_in(app) == []
    assert deadlocks(caplog) == []


def test_merges_in_both_directions_and_chains_at_once_end_in_one_category(
    app, send, make_category, make_post, rows, caplog
):
    ids = [make_category(name) for name in ("가", "나", "다")]
    for name in ("가", "나", "다") * 4:
        make_post(category=name)
    caplog.set_level(logging.WARNING)
    pairs = [(ids[one], ids[other]) for one, other in ((0, 1), (1, 0), (1, 2), (2, 0), (0, 2), (2, 1))]
    merges = [send("POST", f"{CATEGORIES}/{one}/merge", {"into": other}, "root") for one, other in pairs]

    answers = at_once(merges)

    assert {answer.status_code for answer in answers} <= {200, 404, 409}
    assert 1 <= sum(answer.status_code == 200 for answer in answers) <= 2
    assert misnamed(rows) == []
    assert len(rows(select(Post.id))) == 12
    assert wrong_in(app) == []
    assert deadlocks(caplog) == []


def test_counts_are_exact_whenever_they_are_read(app, send, make_category, make_post):
    source, into = make_category("맛집"), make_category("여행")
    for status in ("visible", "hidden", "visible") * 12:
        make_post(category="맛집", status=status)
    merge = send("POST", f"{CATEGORIES}/{source}/merge", {"into": into}, "root")
    # One statement, and so of one moment.
    kept = select(func.sum(PostCount.visible)).where(PostCount.scope == "category", PostCount.subject == source)
    counted = select(func.count()).where(Post.category_id == source, Post.status == "visible")
    both = select(func.coalesce(kept.scalar_subquery(), 0), counted.scalar_subquery())
    is_done = threading.Event()

    def merge_all():
        try:
            return merge().status_code
        finally:
            is_done.set()

    def read():
        seen = []
        while not is_done.wait(0.002):  # SQLite's writer waits for readers
            with app.app_context():
                seen.append(tuple(map(int, db.session.execute(both).one())))
        return seen

    status, seen = at_once([merge_all, read])

    assert status == 200
    assert len({count for count, _ in seen}) > 2
    assert [pair for pair in seen if pair[0] != pair[1]] == []


# Processes


@pytest.fixture
def many_posts(new_mysql_database, make_app):
    """An app on a database of its own with a category of 4,000 posts and an empty one; returns it with both ids."""
    app = make_app(DATABASE_URL=new_mysql_database)
    source, into = new_id(), new_id()
    names = {source: "맛집", into: "여행"}
    with app.app_context(), transaction() as connection:
        for category_id, name in names.items():
            connection.execute(insert(Category), {"id": category_id, "name": name, "name_key": name})
        posts = [
            {
                "id": new_id(),
                "title": "제목",
                "content": "내용",
                "username": "ana",
                "user_id": "ana",
                "category": "맛집",
                "category_id": source,
                "status": ("visible", "hidden", "deleted")[number % 3],
            }
            for number in range(4000)
        ]
        connection.execute(insert(Post), posts)
        derive_new(connection, [post["id"] for post in posts])
    yield app, source, into
    with app.app_context():
        db.engine.dispose()


def test_a_merge_whose_worker_is_killed_is_ended_by_another(tmp_path, new_mysql_database, many_posts):
    app, source, into = many_posts

    def progress():
        with app.app_context():
            return db.session.execute(select(Task.done, Task.ended_at)).first()

    settings = {"DATABASE_URL": new_mysql_database, "WEB_CONCURRENCY": "1", **UNLIMITED, **PATIENT_WITH_MYSQL}
    with running_service(tmp_path, **settings) as service, ThreadPoolExecutor(1) as pool:
        admin = {"username": "root", "groups": ["admin"]}
        tokens = requests.post(f"{service.url}/dev/token", json=admin, timeout=HANG_SECONDS).json()["data"]
        headers, url = {"Authorization": f"Bearer {tokens['access_token']}"}, f"{CATEGORIES}/{source}/merge"
        answer = pool.submit(
            requests.post, service.url + url, json={"into": into}, headers=headers, timeout=HANG_SECONDS
        )
        wait_until(lambda: progress() and progress().done, what="no batch of the merge")
        for worker in children_of(service.process.pid):
            os.kill(worker, signal.SIGKILL)
        with suppress(requests.ConnectionError):  # unless a slow machine had answered before
            assert answer.result(HANG_SECONDS).status_code == 202
        killed = progress()
        wait_until(lambda: progress().ended_at, what="no other worker goes on")

    assert killed.ended_at is None
    assert 0 < killed.done < progress().done == 4000
    assert wrong_in(app) == []
