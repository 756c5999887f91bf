"""The schema that the migrations make is the specification's, and the models'."""

import os
import subprocess
import sys

import alembic.autogenerate
import alembic.migration
import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from post.models import db
from tests.servers import PROJECT

HEAD = "0004"
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
        "status": ("enum('visible','hidden','deleted')", "NO", "visible", ""),
        "created_at": ("datetime(3)", "NO", NOW, ""),
        "updated_at": ("datetime(3)", "NO", NOW, f"on update {NOW}"),
    },
    "categories": {
        "id": ("varchar(32)", "NO", None, ""),
        "name": ("varchar(50)", "NO", None, ""),
        "name_key": ("varchar(150)", "NO", None, ""),
        "created_at": ("datetime(3)", "NO", NOW, ""),
    },
    "likes": {
        "id": ("varchar(32)", "NO", None, ""),
        "post_id": ("varchar(32)", "NO", None, ""),
        "user_id": ("varchar(36)", "NO", None, ""),
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
    },
    "idempotency_keys": {
        "user_id": ("varchar(36)", "NO", None, ""),
        "key": ("varchar(64)", "NO", None, ""),
        "request_hash": ("varchar(64)", "NO", None, ""),
        "post_id": ("varchar(32)", "YES", None, ""),
        "answer": ("mediumblob", "YES", None, ""),
        "created_at": ("datetime(3)", "NO", NOW, ""),
    },
}
PRIMARY_KEYS = {
    "posts": ["id"],
    "categories": ["id"],
    "likes": ["id"],
    "media": ["id"],
    "deactivated_accounts": ["user_id"],
    "idempotency_keys": ["user_id", "key"],
}
UNIQUE = {
    "posts": {"uq_posts_no": ["No"]},
    "categories": {"uq_categories_name": ["name"], "uq_categories_name_key": ["name_key"]},
    "likes": {"unique_post_user_like": ["post_id", "user_id"]},
    "media": {"uq_media_object_key": ["object_key"], "uq_media_thumbnail_key": ["thumbnail_key"]},
    "deactivated_accounts": {},
    "idempotency_keys": {},
}
FOREIGN_KEYS = {
    "posts": {"fk_posts_category_id": ("category_id", "categories.id")},
    "categories": {},
    "likes": {"fk_likes_post_id": ("post_id", "posts.id")},
    "media": {"fk_media_post_id": ("post_id", "posts.id")},
    "deactivated_accounts": {},
    "idempotency_keys": {},
}
INDEXES = {
    "posts": {
        "ix_posts_status_no": ["status", "No"],
        "ix_posts_category_status_no": ["category_id", "status", "No"],
        "ix_posts_user_status_no": ["user_id", "status", "No"],
    },
    "categories": {},
    "likes": {},
    "media": {"ix_media_post_id": ["post_id"]},
    "deactivated_accounts": {},
    "idempotency_keys": {"ix_idempotency_keys_created_at": ["created_at"]},
}
# What is compared bit by bit in ASCII; every other text is in utf8mb4.
ASCII = {
    "posts": {"id", "category_id"},
    "categories": {"id"},
    "likes": {"id", "post_id"},
    "media": {"id", "post_id", "object_key", "thumbnail_key"},
    "deactivated_accounts": set(),
    "idempotency_keys": {"request_hash", "post_id"},
}
ALL_TABLES = {"alembic_version", *TABLES}


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
            kind.replace("int(11)", "int"),
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
    assert {collation for name, collation in collations if name not in ASCII[table]} == {"utf8mb4_bin"}


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
    with app.app_context():
        db.engine.dispose()


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
    for revision in ("0003", "0002", "0001"):
        migrate(new_app, "downgrade", revision)
        down.append(tables_of(new_app))
    for revision in ("0002", "0003", "0004"):
        migrate(new_app, "upgrade", revision)
        up.append(tables_of(new_app))

    first = {"alembic_version", "posts", "categories", "likes"}
    steps = [first, first | {"media"}, first | {"media", "deactivated_accounts"}, ALL_TABLES]
    assert down == list(reversed(steps[:3]))
    assert up == steps[1:]


def test_a_release_with_new_tables_leaves_what_is_stored_as_it_is(new_app):
    migrate(new_app, "downgrade", "0001")
    with new_app.app_context(), db.engine.begin() as connection:
        insert = "INSERT INTO posts (id, username, title, content) VALUES ('%032d', 'ana', '제목', '내용')"
        for n in range(3):
            connection.exec_driver_sql(insert % n)
        before = connection.execute(text("SELECT * FROM posts ORDER BY id")).all()

    migrate(new_app, "upgrade")

    with new_app.app_context(), db.engine.connect() as connection:
        after = connection.execute(text("SELECT * FROM posts ORDER BY id")).all()
    assert len(after) == 3
    assert after == before
    assert tables_of(new_app) == ALL_TABLES


@pytest.fixture
def flask(tmp_path):
    """Run a command of ``flask`` in a process of its own."""

    def run(url, *arguments):
        env = {**os.environ, "DATABASE_URL": url, "INSTANCE_PATH": str(tmp_path)}
        command = [sys.executable, "-m", "flask", "--app", str(PROJECT / "app.py"), *arguments]
        return subprocess.run(command, env=env, cwd=PROJECT, capture_output=True, text=True, check=False)

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
        pytest.param("UPDATE alembic_version SET version_num = '0003'", set(TABLES), id="before-the-last-is-noted"),
    ],
)
def test_a_start_that_was_cut_off_between_the_tables_goes_on(make_app, new_mysql_database, left, reached):
    app = make_app(DATABASE_URL=new_mysql_database)
    whole = schema(app)
    with create_engine(new_mysql_database, poolclass=NullPool).connect() as connection:
        for table in reversed(TABLES):
            if table not in reached:
                connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text(left))
        connection.commit()

    make_app(DATABASE_URL=new_mysql_database)

    assert schema(app) == whole
    with app.app_context():
        db.engine.dispose()


def test_the_code_before_a_migration_serves_the_schema_behind_it(make_app, tmp_path, caplog):
    url = f"sqlite:///{tmp_path}/postdb.sqlite3"
    make_app(DATABASE_URL=url)
    with create_engine(url, poolclass=NullPool).connect() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'of a later release'"))
        connection.commit()

    answer = make_app(DATABASE_URL=url).test_client().get("/health/ready")

    assert answer.status_code == 200
    assert "schema_is_newer" in caplog.messages
