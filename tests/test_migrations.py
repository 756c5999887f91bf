"""The schema that the migrations make is the specification's, and the models'."""

import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from unicodedata import normalize

import alembic.autogenerate
import alembic.migration
import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from app import create_app
from config import ConfigError, load_config
from post.database import schema as schema_module
from post.models import db
from post.services.derived import BLOCK_NUMBERS, SHARDS
from post.services.search_index import grams_of, search_key
from tests.conftest import impatient_engine, wrong_in
from tests.servers import HANG_SECONDS, PROJECT

HEAD = "0013"
POSTS = "/api/v1/posts"
# (type, nullable, default, extra) of each column as information_schema tells them, collations aside:
# SPEC.md's three tables, then those of later features.
NOW = "current_timestamp(3)"
TABLES = {
    "posts": {
        "id": ("varchar(32)", "NO", None, ""),
        "No": ("int", "NO", None, "auto_increment"),
        "username": ("varchar(100)", "NO", None, ""),
        "user_id": ("varchar(36)", "YES", None, ""),
        "category": ("varchar(50)", "YES", "일반", ""),
        "category_id": ("varchar(32)", "YES", None, ""),
        "title": ("varchar(200)", "NO", None, ""),
        "content": ("text", "NO", None, ""),
        "view_count": ("int", "NO", "0", ""),
        "like_count": ("int", "NO", "0", ""),
        "comment_count": ("int", "NO", "0", ""),
        "media_count": ("int", "NO", "0", ""),
        "status": ("enum('visible','hidden','deleted')", "NO", "visible", ""),
        "created_at": ("datetime(3)", "NO", NOW, ""),
        "updated_at": ("datetime(3)", "NO", NOW, f"on update {NOW}"),
        "hidden_by": ("enum('author','moderator')", "YES", None, ""),
        "deleted_at": ("datetime(3)", "YES", None, ""),
        "deleted_by": ("enum('author','moderator')", "YES", None, ""),
        "held_since": ("datetime(3)", "YES", None, ""),
        "purged_at": ("datetime(3)", "YES", None, ""),
        "report_count": ("int", "NO", "0", ""),
        "created_day": ("int", "YES", None, "virtual generated"),
        "moves": ("int", "NO", "0", ""),
    },
    "categories": {
        "id": ("varchar(32)", "NO", None, ""),
        "name": ("varchar(50)", "NO", None, ""),
        "name_key": ("varchar(150)", "NO", None, ""),
        "created_at": ("datetime(3)", "NO", NOW, ""),
        "is_open": ("tinyint", "NO", "1", ""),
        "position": ("int", "NO", "0", ""),
        "merged_into": ("varchar(32)", "YES", None, ""),
    },
    "likes": {
        "id": ("varchar(32)", "NO", None, ""),
        "post_id": ("varchar(32)", "NO", None, ""),
        "user_id": ("varchar(36)", "NO", None, ""),
        "is_anonymous": ("tinyint", "NO", "0", ""),
        "created_at": ("datetime(3)", "NO", NOW, ""),
    },
    "media": {
        "id": ("varchar(32)", "NO", None, ""),
        "post_id": ("varchar(32)", "NO", None, ""),
        "object_key": ("varchar(110)", "NO", None, ""),
        "thumbnail_key": ("varchar(110)", "NO", None, ""),
        "file_name": ("varchar(255)", "NO", None, ""),
        "content_type": ("varchar(20)", "NO", None, ""),
        "file_size": ("int", "NO", None, ""),
        "width": ("int", "NO", None, ""),
        "height": ("int", "NO", None, ""),
        "created_at": ("datetime(3)", "NO", NOW, ""),
    },
    "deactivated_accounts": {
        "user_id": ("varchar(36)", "NO", None, ""),
        "login": ("varchar(128)", "NO", None, ""),
        "created_at": ("datetime(3)", "NO", NOW, ""),
        "is_deactivated": ("tinyint", "NO", "1", ""),
        "suspended_at": ("datetime(3)", "YES", None, ""),
        "suspended_until": ("datetime(3)", "YES", None, ""),
        "suspended_by": ("varchar(36)", "YES", None, ""),
        "suspension_reason": ("varchar(500)", "YES", None, ""),
    },
    "idempotency_keys": {
        "user_id": ("varchar(36)", "NO", None, ""),
        "key": ("varchar(64)", "NO", None, ""),
        "request_hash": ("varchar(64)", "NO", None, ""),
        "post_id": ("varchar(32)", "YES", None, ""),
        "answer": ("mediumblob", "YES", None, ""),
        "created_at": ("datetime(3)", "NO", NOW, ""),
    },
    "locks": {"name": ("varchar(20)", "NO", None, "")},
    "moderation_log": {
        "No": ("bigint", "NO", None, "auto_increment"),
        "created_at": ("datetime(3)", "NO", NOW, ""),
        "actor": ("varchar(36)", "NO", None, ""),
        "action": ("varchar(20)", "NO", None, ""),
        "post_id": ("varchar(32)", "YES", None, ""),
        "user_id": ("varchar(36)", "YES", None, ""),
        "category_id": ("varchar(32)", "YES", None, ""),
        "reason": ("varchar(500)", "YES", None, ""),
        "state_before": ("text", "YES", None, ""),
        "state_after": ("text", "YES", None, ""),
    },
    "reports": {
        "No": ("bigint", "NO", None, "auto_increment"),
        "id": ("varchar(32)", "NO", None, ""),
        "post_id": ("varchar(32)", "NO", None, ""),
        "user_id": ("varchar(36)", "NO", None, ""),
        "reason": ("enum('spam','abuse','illegal','privacy','other')", "NO", None, ""),
        "text": ("varchar(500)", "YES", None, ""),
        "state": ("enum('open','resolved')", "NO", "open", ""),
        "created_at": ("datetime(3)", "NO", NOW, ""),
        "resolved_at": ("datetime(3)", "YES", None, ""),
        "resolved_by": ("varchar(36)", "YES", None, ""),
        "resolution": ("enum('dismiss','hide','delete')", "YES", None, ""),
    },
    "pins": {
        "post_id": ("varchar(32)", "NO", None, ""),
        "scope": ("varchar(8)", "NO", None, ""),
        "created_at": ("datetime(3)", "NO", NOW, ""),
    },
    "erased_objects": {
        "object_key": ("varchar(110)", "NO", None, ""),
        "post_id": ("varchar(32)", "NO", None, ""),
        "created_at": ("datetime(3)", "NO", NOW, ""),
    },
    "tasks": {
        "id": ("varchar(32)", "NO", None, ""),
        "kind": ("varchar(20)", "NO", None, ""),
        "subject": ("varchar(36)", "NO", None, ""),
        "target": ("varchar(36)", "YES", None, ""),
        "actor": ("varchar(36)", "NO", None, ""),
        "reason": ("varchar(500)", "YES", None, ""),
        "total": ("int", "NO", "0", ""),
        "done": ("int", "NO", "0", ""),
        "created_at": ("datetime(3)", "NO", NOW, ""),
        "claimed_until": ("datetime(3)", "YES", None, ""),
        "ended_at": ("datetime(3)", "YES", None, ""),
    },
    "post_counts": {
        "scope": ("varchar(8)", "NO", None, ""),
        "subject": ("varchar(36)", "NO", None, ""),
        "shard": ("int", "NO", None, ""),
        "visible": ("int", "NO", None, ""),
        "hidden": ("int", "NO", None, ""),
    },
    "search_titles": {
        "No": ("int", "NO", None, ""),
        "title_key": ("varchar(200)", "NO", None, ""),
    },
    "search_grams": {
        "gram": ("bigint", "NO", None, ""),
        "No": ("int", "NO", None, ""),
    },
}
PRIMARY_KEYS = {
    "posts": ["id"],
    "categories": ["id"],
    "likes": ["id"],
    "media": ["id"],
    "deactivated_accounts": ["user_id"],
    "idempotency_keys": ["user_id", "key"],
    "locks": ["name"],
    "moderation_log": ["No"],
    "reports": ["No"],
    "pins": ["post_id", "scope"],
    "erased_objects": ["object_key"],
    "tasks": ["id"],
    "post_counts": ["scope", "subject", "shard"],
    "search_titles": ["No"],
    "search_grams": ["gram", "No"],
}
UNIQUE = {
    "posts": {"uq_posts_no": ["No"]},
    "categories": {"uq_categories_name": ["name"], "uq_categories_name_key": ["name_key"]},
    "likes": {"unique_post_user_like": ["post_id", "user_id"]},
    "media": {"uq_media_object_key": ["object_key"], "uq_media_thumbnail_key": ["thumbnail_key"]},
    "deactivated_accounts": {},
    "idempotency_keys": {},
    "locks": {},
    "moderation_log": {},
    "reports": {"uq_reports_id": ["id"], "uq_reports_post_id": ["post_id", "user_id"]},
    "pins": {},
    "erased_objects": {},
    "tasks": {},
    "post_counts": {},
    "search_titles": {},
    "search_grams": {},
}
FOREIGN_KEYS = {
    "posts": {"fk_posts_category_id": ("category_id", "categories.id")},
    "categories": {},
    "likes": {"fk_likes_post_id": ("post_id", "posts.id")},
    "media": {"fk_media_post_id": ("post_id", "posts.id")},
    "deactivated_accounts": {},
    "idempotency_keys": {},
    "locks": {},
    "moderation_log": {},
    "reports": {"fk_reports_post_id": ("post_id", "posts.id")},
    "pins": {"fk_pins_post_id": ("post_id", "posts.id")},
    "erased_objects": {},
    "tasks": {},
    "post_counts": {},
    "search_titles": {},
    "search_grams": {},
}
INDEXES = {
    "posts": {
        "ix_posts_status_no": ["status", "No"],
        "ix_posts_category_status_no": ["category_id", "status", "No"],
        "ix_posts_user_status_no": ["user_id", "status", "No"],
        "ix_posts_popular": ["status", "like_count", "view_count", "No"],
        "ix_posts_category_popular": ["category_id", "status", "like_count", "view_count", "No"],
        "ix_posts_report_count_No": ["report_count", "No"],
        "ix_posts_status_created_at": ["status", "created_at"],
        "ix_posts_day_popular": [
            *("status", "created_day", "like_count", "view_count", "No", "created_at", "category_id", "user_id")
        ],
    },
    "categories": {},
    "likes": {},
    "media": {"ix_media_post_id": ["post_id"]},
    "deactivated_accounts": {},
    "idempotency_keys": {
        "ix_idempotency_keys_created_at": ["created_at"],
        "ix_idempotency_keys_post_id": ["post_id"],
    },
    "locks": {},
    "moderation_log": {
        "ix_moderation_log_action_No": ["action", "No"],
        "ix_moderation_log_actor_No": ["actor", "No"],
        "ix_moderation_log_post_id_No": ["post_id", "No"],
        "ix_moderation_log_user_id_No": ["user_id", "No"],
    },
    "reports": {"ix_reports_state_No": ["state", "No"], "ix_reports_user_id": ["user_id"]},
    "erased_objects": {"ix_erased_objects_post_id": ["post_id"]},
    "pins": {"ix_pins_scope_created_at": ["scope", "created_at"]},
    "tasks": {"ix_tasks_ended_at": ["ended_at"], "ix_tasks_kind_subject": ["kind", "subject"]},
    "post_counts": {},
    "search_titles": {},
    "search_grams": {},
}
# What is compared bit by bit in ASCII; every other text is in utf8mb4.
ASCII = {
    "posts": {"id", "category_id"},
    "categories": {"id", "merged_into"},
    "likes": {"id", "post_id"},
    "media": {"id", "post_id", "object_key", "thumbnail_key"},
    "deactivated_accounts": set(),
    "idempotency_keys": {"request_hash", "post_id"},
    "locks": set(),
    "moderation_log": {"post_id", "category_id"},
    "reports": {"id", "post_id"},
    "pins": {"scope", "post_id"},
    "erased_objects": {"object_key", "post_id"},
    "tasks": {"id"},
    "post_counts": {"scope"},
    "search_titles": set(),
    "search_grams": set(),
}
ALL_TABLES = {"alembic_version", *TABLES}
# What each revision adds, from the first on.
STEPS = {
    "0001": {"alembic_version", "posts", "categories", "likes"},
    "0002": {"media"},
    "0003": {"deactivated_accounts"},
    "0004": {"idempotency_keys"},
    "0005": set(),
    "0006": {"post_counts"},
    "0007": {"search_titles", "search_grams"},
    "0008": set(),
    "0009": set(),
    "0010": {"locks"},
    "0011": set(),
    "0012": {"moderation_log", "reports", "pins", "erased_objects", "tasks"},
    "0013": set(),
}


@pytest.fixture
def inspector(app):
    with app.app_context():
        yield inspect(db.engine)


def test_a_new_migration_would_change_nothing(app):
    runner = app.test_cli_runner()

    result = runner.invoke(args=["db", "check"])

    assert result.exit_code == 0, result.output


def test_the_models_and_the_schema_agree(app):
    with app.app_context(), db.engine.connect() as connection:
        context = alembic.migration.MigrationContext.configure(connection)
        changes = alembic.autogenerate.compare_metadata(context, db.metadata)

    assert [change for change in changes if getattr(change[1], "name", "") != "post_numbers"] == []


@pytest.mark.parametrize("table", TABLES)
def test_the_keys_and_indexes_have_their_names_and_columns(inspector, table):
    unique = {found["name"]: found["column_names"] for found in inspector.get_unique_constraints(table)}
    foreign = {
        found["name"]: (*found["constrained_columns"], f"{found['referred_table']}.{found['referred_columns'][0]}")
        for found in inspector.get_foreign_keys(table)
    }
    # MySQL tells of unique constraints here too.
    indexes = {found["name"]: found["column_names"] for found in inspector.get_indexes(table) if not found["unique"]}

    assert inspector.get_pk_constraint(table)["constrained_columns"] == PRIMARY_KEYS[table]
    assert unique == UNIQUE[table]
    assert foreign == FOREIGN_KEYS[table]
    assert indexes == INDEXES[table]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True, scope="session")
@pytest.mark.parametrize("table", TABLES)
def test_on_sqlite_the_columns_have_the_same_names_and_may_be_null_as_well(inspector, table):
    columns = {column["name"]: "YES" if column["nullable"] else "NO" for column in inspector.get_columns(table)}

    assert columns == {name: nullable for name, (_kind, nullable, _default, _extra) in TABLES[table].items()}


@pytest.mark.parametrize("table", TABLES)
def test_on_mysql_the_columns_are_as_specified(table, mysql_schema):
    columns = mysql_schema(
        "SELECT column_name, column_type, is_nullable, column_default, extra FROM information_schema.columns"
        f" WHERE table_schema = DATABASE() AND table_name = '{table}' ORDER BY ordinal_position"
    )

    # MySQL and MariaDB write the same thing in their own ways.
    told = {
        name: (
            re.sub(r"int\(\d+\)", "int", kind),
            nullable,
            None if default in (None, "NULL") else default.strip("'").lower(),
            extra.replace("DEFAULT_GENERATED", "").strip().lower(),
        )
        for name, kind, nullable, default, extra in columns
    }
    assert told == TABLES[table]


@pytest.mark.parametrize("table", TABLES)
def test_on_mysql_ids_are_ascii_and_texts_are_compared_bit_by_bit(table, mysql_schema):
    collations = mysql_schema(
        "SELECT column_name, collation_name FROM information_schema.columns"
        f" WHERE table_schema = DATABASE() AND collation_name IS NOT NULL AND table_name = '{table}'"
    )

    assert {name for name, collation in collations if collation == "ascii_bin"} == ASCII[table]
    assert {collation for name, collation in collations if name not in ASCII[table]} <= {"utf8mb4_bin"}


def test_on_mysql_every_table_is_innodbs(mysql_schema):
    engines = mysql_schema("SELECT table_name, engine FROM information_schema.tables WHERE table_schema = DATABASE()")

    assert dict(engines) == dict.fromkeys(ALL_TABLES, "InnoDB")


@pytest.fixture(scope="module")
def mysql_schema(mysql_server, make_app):
    """Ask a migrated MySQL database."""
    make_app(DATABASE_URL=mysql_server)
    engine = create_engine(mysql_server, poolclass=NullPool)

    def ask(query):
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    return ask


@pytest.fixture
def new_app(make_app, database, tmp_path, request):
    """A service on a database of its own, of this half's kind."""
    url = f"sqlite:///{tmp_path}/postdb.sqlite3"
    if database == "mysql":
        url = request.getfixturevalue("new_mysql_database")
    app = make_app(DATABASE_URL=url)
    yield app
    dispose(app)


def dispose(app):
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()


def schema(app):
    """Every table and index as the database writes it down."""
    with app.app_context(), db.engine.connect() as connection:
        if connection.dialect.name == "mysql":
            names = inspect(connection).get_table_names()
            return {name: connection.execute(text(f"SHOW CREATE TABLE `{name}`")).one()[1] for name in names}
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))
        return dict(tuple(row) for row in rows)


def tables_of(app):
    with app.app_context():
        return set(inspect(db.engine).get_table_names()) - {"post_numbers"}


def migrate(app, *arguments):
    result = app.test_cli_runner().invoke(args=["db", *arguments])
    assert result.exit_code == 0, result.output


def test_down_and_up_again_leaves_the_same_schema(new_app):
    before = schema(new_app)

    migrate(new_app, "downgrade", "base")
    emptied = set(schema(new_app))
    migrate(new_app, "upgrade")

    assert emptied == {"alembic_version"}
    assert schema(new_app) == before


def test_each_step_down_takes_its_own_table_and_each_step_up_makes_it(new_app):
    down, up = [], []
    for revision in reversed(STEPS):
        migrate(new_app, "downgrade", revision)
        down.insert(0, tables_of(new_app))
    for revision in STEPS:
        migrate(new_app, "upgrade", revision)
        up.append(tables_of(new_app))

    assert down == up == [set().union(*list(STEPS.values())[: number + 1]) for number in range(len(STEPS))]
    assert up[-1] == ALL_TABLES


def test_a_release_with_new_tables_leaves_what_is_stored_as_it_is(new_app):
    migrate(new_app, "downgrade", "0001")
    with new_app.app_context(), db.engine.begin() as connection:
        insert = "INSERT INTO posts (id, username, title, content) VALUES ('%032d', 'ana', '제목', '내용')"
        for n in range(3):
            connection.exec_driver_sql(insert % n)
    before = rows_of(new_app, "SELECT * FROM posts ORDER BY id")

    migrate(new_app, "upgrade")

    after = rows_of(new_app, f"SELECT {', '.join(f'`{name}`' for name in before[0]._fields)} FROM posts ORDER BY id")
    assert len(after) == 3
    assert after == before
    assert tables_of(new_app) == ALL_TABLES


# What is derived from the posts that an older release has written

NUMBERS = [*range(1, 1081), *range(BLOCK_NUMBERS - 4, BLOCK_NUMBERS + 4), 3 * BLOCK_NUMBERS]  # more than a batch
TITLES_OF_OLD = ["제목", "a", "Aa", "AaAaA", "ẞß", "İstanbul", "ǅ 😀😀😀", "100%", "한", "Ω" * 200, "back\\slash '\""]
EPOCH, EPOCH_DAY = datetime(1970, 1, 1), 719_528  # noqa: DTZ001 - as stored; MySQL's TO_DAYS of it
MIDNIGHT = datetime(2024, 2, 29)  # noqa: DTZ001 - as stored
INSERT_POST = text(
    "INSERT INTO posts (id, `No`, username, user_id, category, category_id, title, content, like_count, status,"
    " created_at, updated_at) VALUES (:id, :No, 'ana', :user_id, '일반', :category_id, :title, '내용', :like_count,"
    " :status, :created_at, :updated_at)"
)
INSERT_CATEGORY = text("INSERT INTO categories (id, name, name_key) VALUES (:id, :id, :id)")
INSERT_LIKE = text("INSERT INTO likes (id, post_id, user_id) VALUES (:id, :post_id, :user_id)")
INSERT_MEDIA = text(
    "INSERT INTO media (id, post_id, object_key, thumbnail_key, file_name, content_type, file_size, width, height)"
    " VALUES (:id, :post_id, :id, :id, 'a.png', 'image/png', 1, 1, 1)"
)
CATEGORIES = ["a" * 32, "b" * 32, "c" * 32]  # no post has the last one


def old_posts(numbers):
    """Posts of every kind, each with its number of images."""
    chance = random.Random(5)
    for number in numbers:
        likes = chance.choice([0, 0, 0, 1, 3])
        yield (
            {
                "id": f"{number:032x}",
                "No": number,
                "user_id": chance.choice([None, "ana", "bo"]),
                "category_id": chance.choice([None, *CATEGORIES[:2]]),
                "title": chance.choice(TITLES_OF_OLD),
                "status": chance.choice(["visible", "visible", "hidden", "deleted"]),
                "like_count": likes,
                # The last and the first moments of days.
                "created_at": MIDNIGHT + timedelta(days=number % 3, milliseconds=chance.choice([-1, 0, 1])),
                "updated_at": datetime(2026, 1, 2, 3, 4, 5, 678_000) + timedelta(seconds=number),  # noqa: DTZ001 - as stored
            },
            chance.choice([0, 0, 0, 1, 10]),
        )


def store_old_posts(app, numbers=NUMBERS):
    """Store posts as an older release has them, with their likes and images; returns them as ``old_posts`` does."""
    posts = list(old_posts(numbers))
    likes = [(post["id"], f"user{n}") for post, _ in posts for n in range(post["like_count"])]
    media = [post["id"] for post, images in posts for _ in range(images)]
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(INSERT_CATEGORY, [{"id": id_} for id_ in CATEGORIES])
        connection.execute(INSERT_POST, [post for post, _ in posts])
        rows = [{"id": f"{n:032x}", "post_id": post_id, "user_id": user} for n, (post_id, user) in enumerate(likes)]
        connection.execute(INSERT_LIKE, rows)
        connection.execute(INSERT_MEDIA, [{"id": f"{n:032x}", "post_id": post_id} for n, post_id in enumerate(media)])
    return posts


def rows_of(app, query):
    with app.app_context(), db.engine.connect() as connection:
        return connection.execute(text(query)).all()


def execute(app, *statements):
    with app.app_context(), db.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def counts_by_hand(posts):
    """Every row that ``post_counts`` should have: how many visible and hidden posts, by scope, subject and shard."""
    counts = Counter()
    for post in posts:
        number = post["No"]
        subjects = {"all": "", "category": post["category_id"], "author": post["user_id"]}
        subjects["block"] = str(number // BLOCK_NUMBERS)
        subjects["day"] = str(EPOCH_DAY + (post["created_at"] - EPOCH).days)
        for scope, subject in subjects.items():
            if subject is not None and post["status"] != "deleted":
                counts[scope, subject, number % SHARDS[scope], post["status"]] += 1
    return {key[:3]: (counts[*key[:3], "visible"], counts[*key[:3], "hidden"]) for key in counts}


def assert_as_by_hand(app, posts):
    counts = rows_of(app, "SELECT scope, subject, shard, visible, hidden FROM post_counts WHERE visible OR hidden")
    keys = {post["No"]: search_key(post["title"]) for post, _ in posts if post["status"] == "visible"}
    assert {tuple(row[:3]): tuple(row[3:]) for row in counts} == counts_by_hand(post for post, _ in posts)
    assert dict(rows_of(app, "SELECT id, media_count FROM posts")) == {post["id"]: images for post, images in posts}
    assert dict(rows_of(app, "SELECT `No`, title_key FROM search_titles")) == keys
    grams = {(gram, number) for number, key in keys.items() for gram in grams_of(key)}
    assert set(rows_of(app, "SELECT gram, `No` FROM search_grams")) == grams


def test_what_is_kept_is_counted_from_the_posts_of_an_older_release(new_app):
    migrate(new_app, "downgrade", "0004")
    posts = store_old_posts(new_app)

    migrate(new_app, "upgrade")

    assert_as_by_hand(new_app, posts)
    assert wrong_in(new_app) == []
    moments = dict(rows_of(new_app, "SELECT `No`, CAST(updated_at AS CHAR) FROM posts"))  # nobody has edited them
    assert {number: moment[:23] for number, moment in moments.items()} == {
        post["No"]: post["updated_at"].isoformat(" ", "milliseconds") for post, _ in posts
    }


def test_the_lists_after_an_upgrade_tell_the_totals(new_app):
    migrate(new_app, "downgrade", "0004")
    posts = [post for post, _ in store_old_posts(new_app, NUMBERS[-60:]) if post["status"] == "visible"]

    migrate(new_app, "upgrade")

    client = new_app.test_client()
    for query in ({}, {"user_id": "ana"}, {"category_id": CATEGORIES[0]}, {"category": CATEGORIES[1]}):
        named = {"category_id" if name == "category" else name: value for name, value in query.items()}
        expected = sum(named.items() <= post.items() for post in posts)
        assert client.get("/api/v1/posts", query_string=query).json["meta"]["total"] == expected
    found = client.get("/api/v1/posts", query_string={"q": "aAaA"}).json["meta"]["total"]
    assert found == sum(post["title"] == "AaAaA" for post in posts)
    shown = {row["id"]: row["post_count"] for row in client.get("/api/v1/categories").json["data"]}
    assert shown == {id_: sum(post["category_id"] == id_ for post in posts) for id_ in CATEGORIES}


def test_titles_without_characters_are_taken_in(new_app):
    """No release writes one; another program may have."""
    migrate(new_app, "downgrade", "0004")
    posts = store_old_posts(new_app, NUMBERS[-60:])
    execute(new_app, "UPDATE posts SET title = ''")

    migrate(new_app, "upgrade")

    assert_as_by_hand(new_app, [(post | {"title": ""}, images) for post, images in posts])
    assert wrong_in(new_app) == []


def test_down_and_up_again_counts_again_what_was_written_meanwhile(new_app):
    migrate(new_app, "downgrade", "0004")
    posts = store_old_posts(new_app, NUMBERS[-60:])
    migrate(new_app, "upgrade")
    migrate(new_app, "downgrade", "0004")
    execute(new_app, "UPDATE posts SET status = 'hidden', title = 'Neu'", "DELETE FROM media")

    migrate(new_app, "upgrade")

    assert_as_by_hand(new_app, [(post | {"status": "hidden"}, 0) for post, _ in posts])
    assert wrong_in(new_app) == []


@pytest.fixture
def flask(tmp_path):
    """Run a command of ``flask`` in a process of its own."""

    def run(url, *arguments):
        env = {**os.environ, "DATABASE_URL": url, "INSTANCE_PATH": str(tmp_path)}
        command = [sys.executable, "-m", "flask", "--app", str(PROJECT / "app.py"), *arguments]
        return subprocess.run(
            command, env=env, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=HANG_SECONDS
        )

    return run


def tables(url):
    engine = create_engine(url, poolclass=NullPool)
    return set(inspect(engine).get_table_names())


def test_flask_db_upgrade_creates_the_database_and_the_schema(flask, new_mysql_database):
    upgraded = flask(new_mysql_database, "db", "upgrade")

    assert upgraded.returncode == 0, upgraded.stderr
    assert tables(new_mysql_database) == ALL_TABLES
    assert f"{HEAD} (head)" in flask(new_mysql_database, "db", "current").stdout


def test_a_command_of_flask_leaves_the_schema_to_who_asks_for_it(flask, tmp_path):
    url = f"sqlite:///{tmp_path}/postdb.sqlite3"

    current = flask(url, "db", "current")
    helped = flask(url, "--help")

    assert (current.returncode, helped.returncode) == (0, 0), current.stderr + helped.stderr
    assert "seed-demo" in helped.stdout
    assert tables(url) == set()


@pytest.mark.parametrize(
    "command", [["db", "current"], ["db", "upgrade"], ["db", "check"], ["seed-demo"], ["counters", "verify"]]
)
def test_a_command_without_its_database_ends_with_one_line(flask, command):
    done = flask("mysql+pymysql://u:secret@127.0.0.1:1/postdb", *command)

    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("20")]  # without the log's
    assert done.returncode == 1
    assert line.startswith("Error: DATABASE_URL: cannot use the database: ")
    assert "Connection refused" in line
    assert "secret" not in done.stdout + done.stderr


def test_an_application_for_a_command_asks_no_server_and_waits_longer(tmp_path):
    env = {"DATABASE_URL": "mysql+pymysql://u:p@127.0.0.1:1/postdb", "INSTANCE_PATH": str(tmp_path)}
    settings = load_config(env)

    app = create_app(settings, for_command=True)

    options = app.config["SQLALCHEMY_ENGINE_OPTIONS"]
    assert options["connect_args"]["read_timeout"] > settings.database_read_timeout_seconds
    assert options["pool_timeout"] > settings.database_pool_timeout_seconds
    with pytest.raises(ConfigError, match="DATABASE_URL"):
        create_app(settings)


def test_demo_data_are_seeded_on_an_empty_server(flask, new_mysql_database):
    seeded = flask(new_mysql_database, "seed-demo", "--posts", "3")

    assert seeded.returncode == 0, seeded.stderr
    assert "Added 3 posts" in seeded.stdout


@pytest.mark.parametrize(
    ("left", "reached"),
    [
        pytest.param("DELETE FROM alembic_version", {"posts", "categories"}, id="before-likes"),
        pytest.param("DELETE FROM alembic_version", {"posts", "categories", "likes"}, id="before-the-first-is-noted"),
        pytest.param(
            "UPDATE alembic_version SET version_num = '0001'",
            {"posts", "categories", "likes", "media"},
            id="before-media-is-noted",
        ),
        pytest.param(
            "UPDATE alembic_version SET version_num = '0003'", set(TABLES), id="before-idempotency-keys-are-noted"
        ),
        pytest.param(
            "UPDATE alembic_version SET version_num = '0006'", set(TABLES) - {"search_grams"}, id="before-search-grams"
        ),
        pytest.param("UPDATE alembic_version SET version_num = '0006'", set(TABLES), id="before-the-last-is-noted"),
    ],
)
def test_a_start_that_was_cut_off_between_the_tables_goes_on(make_app, new_mysql_database, left, reached):
    app = make_app(DATABASE_URL=new_mysql_database)
    whole = schema(app)
    with impatient_engine(new_mysql_database).connect() as connection:
        for table in reversed(TABLES):
            if table not in reached:
                connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text(left))
        connection.commit()

    make_app(DATABASE_URL=new_mysql_database)

    assert schema(app) == whole
    dispose(app)


@pytest.fixture(scope="module")
def upgraded(make_app, own_mysql_database):
    """A service on a MySQL database of its own whose posts are of an older release; returns it with them."""
    app = make_app(DATABASE_URL=own_mysql_database)
    migrate(app, "downgrade", "0004")
    posts = store_old_posts(app, NUMBERS[-60:])
    migrate(app, "upgrade")
    yield app, posts
    dispose(app)


def cut_off(app, revision, *left):
    """Leave of a revision what statements leave, and take no note of it."""
    execute(app, *left, f"UPDATE alembic_version SET version_num = '{int(revision) - 1:04}'")


OF_DAYS = ("ix_posts_status_created_at", "ix_posts_day_popular")
CUT_OFF = [
    pytest.param("0005", ["UPDATE posts SET media_count = 0, updated_at = updated_at"], id="before-images-are-counted"),
    pytest.param("0005", [], id="before-that-is-noted"),
    pytest.param("0006", ["DELETE FROM post_counts"], id="before-posts-are-counted"),
    pytest.param("0006", ["DELETE FROM post_counts WHERE scope <> 'all'"], id="between-the-scopes"),
    pytest.param("0006", [], id="before-the-counts-are-noted"),
    pytest.param("0007", ["DELETE FROM search_grams", "DELETE FROM search_titles"], id="before-titles-are-taken-in"),
    pytest.param("0007", ["DELETE FROM search_grams WHERE `No` % 2 = 0"], id="between-titles-and-their-pairs"),
    pytest.param("0007", [], id="before-the-search-is-noted"),
    pytest.param(
        "0013",
        ["DROP INDEX ix_posts_day_popular ON posts"],
        id="before-the-index-of-days",
    ),
    pytest.param("0013", ["DELETE FROM post_counts WHERE scope = 'day'"], id="before-days-are-counted"),
    pytest.param("0013", [], id="before-the-days-are-noted"),
]


@pytest.mark.parametrize(("revision", "left"), CUT_OFF)
def test_a_start_that_was_cut_off_while_it_counted_goes_on(upgraded, revision, left):
    app, posts = upgraded
    cut_off(app, revision, *left)

    migrate(app, "upgrade")

    assert_as_by_hand(app, posts)
    assert wrong_in(app) == []


@pytest.mark.parametrize("database", ["mysql"], indirect=True, scope="session")
@pytest.mark.parametrize(
    ("revision", "written", "change"),
    [
        pytest.param("0005", "DELETE FROM media", lambda post, _: (post, 0), id="images-removed"),
        pytest.param(
            "0006",
            "UPDATE posts SET status = 'deleted'",
            lambda post, images: (post | {"status": "deleted"}, images),
            id="posts-deleted",
        ),
        pytest.param(
            "0007",
            "UPDATE posts SET title = 'Neu'",
            lambda post, images: (post | {"title": "Neu"}, images),
            id="titles-edited",
        ),
    ],
)
def test_a_start_that_was_cut_off_counts_what_an_older_release_wrote_meanwhile(new_app, revision, written, change):
    migrate(new_app, "downgrade", "0004")
    posts = store_old_posts(new_app, NUMBERS[-60:])
    migrate(new_app, "upgrade", revision)
    cut_off(new_app, revision)
    execute(new_app, written)

    migrate(new_app, "upgrade")

    assert_as_by_hand(new_app, [change(*post) for post in posts])
    assert wrong_in(new_app) == []


# Keys of categories

OLD_NAMES = [
    "여행",
    "Travel ✈\ufe0f",
    "❤\ufe0f\u200d🔥 일상",
    "a\u202egnp",
    "zero\u200bwidth",
    "می\u200cخواهم",
    "a\u200db",
    "\u0600١٢",
    "채움\u3164",
    "ẞ",
]


@pytest.fixture
def old_categories(new_app):
    """Store categories as an earlier release has them, in their order; returns their ids by name."""

    def store(*names):
        migrate(new_app, "downgrade", "0010")
        ids = {name: f"{number:032x}" for number, name in enumerate(names)}
        rows = [{"id": id_, "name": name, "key": normalize("NFC", name.casefold())} for name, id_ in ids.items()]
        with new_app.app_context(), db.engine.begin() as connection:
            connection.execute(text("INSERT INTO categories (id, name, name_key) VALUES (:id, :name, :key)"), rows)
        return ids

    return store


def category_ids(app, *names):
    """Ids of the categories that posts find or create, or the statuses of their refusals."""
    client = app.test_client()
    token = client.post("/dev/token", json={"username": "ana"}).json["data"]["access_token"]
    bodies = [{"title": "제목", "content": "내용", "category": name} for name in names]
    answers = [client.post(POSTS, json=body, headers={"Authorization": f"Bearer {token}"}) for body in bodies]
    return [answer.json["data"]["category_id"] if answer.status_code == 201 else answer.status for answer in answers]


def test_posts_find_the_categories_of_an_older_release_by_all_names_that_look_alike(new_app, old_categories):
    ids = old_categories(*OLD_NAMES)
    migrate(new_app, "upgrade")

    assert category_ids(new_app, *OLD_NAMES) == list(ids.values())
    alike = ["여\u200b행\ufe0f", "TRAVEL ✈", "❤\u200d🔥\u3164 일상", "agnp", "zerowidth", "AB", "채움", "ss"]
    assert category_ids(new_app, *alike) == [ids[OLD_NAMES[number]] for number in (0, 1, 2, 3, 4, 6, 8, 9)]
    (count,) = rows_of(new_app, "SELECT COUNT(*) FROM categories")
    assert count == (len(OLD_NAMES),)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_old_categories_that_look_alike_are_kept_and_one_is_found(new_app, old_categories, order):
    names = [("여행", "여\u3164행", "여행\u2800")[number] for number in order]
    ids = old_categories(*names, "\u3164")
    migrate(new_app, "upgrade")

    found = category_ids(new_app, *names)
    execute(new_app, "DELETE FROM posts", f"DELETE FROM categories WHERE id = '{found[0]}'")  # as admins may
    left = [name for name in names if ids[name] != found[0]]

    assert len(set(found)) == 1
    assert category_ids(new_app, *left) == [ids[name] for name in left]
    (count,) = rows_of(new_app, "SELECT COUNT(*) FROM categories")
    assert count == (3,)


def test_the_keys_of_categories_go_down_as_they_were(new_app, old_categories):
    old_categories(*OLD_NAMES)
    before = rows_of(new_app, "SELECT * FROM categories ORDER BY id")

    migrate(new_app, "upgrade")
    migrate(new_app, "downgrade", "0010")

    assert rows_of(new_app, "SELECT * FROM categories ORDER BY id") == before


@pytest.mark.parametrize("database", ["sqlite"], indirect=True, scope="session")
def test_on_sqlite_a_migration_that_is_cut_off_leaves_nothing(new_app):
    migrate(new_app, "downgrade", "0004")
    posts = store_old_posts(new_app, NUMBERS[-60:])
    before = schema(new_app)
    execute(new_app, "CREATE TABLE ix_posts_category_popular (No INTEGER)")  # in the way of the last statement but one

    stopped = new_app.test_cli_runner().invoke(args=["db", "upgrade"])
    execute(new_app, "DROP TABLE ix_posts_category_popular")

    assert stopped.exit_code == 1
    assert schema(new_app) == before
    migrate(new_app, "upgrade")
    assert_as_by_hand(new_app, posts)


def test_the_code_before_a_migration_serves_the_schema_behind_it(make_app, tmp_path, caplog):
    url = f"sqlite:///{tmp_path}/postdb.sqlite3"
    make_app(DATABASE_URL=url)
    with create_engine(url, poolclass=NullPool).connect() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'of a later release'"))
        connection.commit()

    answer = make_app(DATABASE_URL=url).test_client().get("/health/ready")

    assert answer.status_code == 200
    assert "schema_is_newer" in caplog.messages


@pytest.mark.parametrize("quote", ["'", '"'], ids=["as-the-template-writes-it", "as-ruff-formats-it"])
def test_a_further_revision_is_seen_however_it_is_quoted(make_app, tmp_path, monkeypatch, quote):
    app = make_app(DATABASE_URL=f"sqlite:///{tmp_path}/postdb.sqlite3")
    versions = tmp_path / "versions"
    shutil.copytree(schema_module.MIGRATIONS_DIR / "versions", versions)
    monkeypatch.setattr(schema_module, "MIGRATIONS_DIR", tmp_path)
    schema_module.require_schema(app)

    (versions / "next.py").write_text(f"revision = {quote}9999{quote}\ndown_revision = {quote}{HEAD}{quote}\n")

    with pytest.raises(schema_module.DatabaseUnusableError, match="flask db upgrade"):
        schema_module.require_schema(app)
