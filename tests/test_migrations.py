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

# (type, nullable, default, extra) of SPEC.md's tables as information_schema tells them, collations aside.
NOW = "current_timestamp(3)"
SPECIFIED = {
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


def test_the_constraints_have_their_names(inspector):
    assert [found["name"] for found in inspector.get_unique_constraints("likes")] == ["unique_post_user_like"]
    assert {found["name"] for found in inspector.get_unique_constraints("posts")} == {"uq_posts_no"}
    assert {found["name"] for found in inspector.get_foreign_keys("likes")} == {"fk_likes_post_id"}
    assert {found["name"] for found in inspector.get_foreign_keys("posts")} == {"fk_posts_category_id"}
    assert {table: inspector.get_pk_constraint(table)["constrained_columns"] for table in SPECIFIED} == {
        "posts": ["id"],
        "categories": ["id"],
        "likes": ["id"],
    }


@pytest.mark.parametrize("table", SPECIFIED)
def test_on_mysql_the_columns_are_the_specifications(table, mysql_schema):
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
    assert told == SPECIFIED[table]


def test_on_mysql_ids_are_ascii_and_texts_are_compared_bit_by_bit(mysql_schema):
    collations = mysql_schema(
        "SELECT DISTINCT column_name, collation_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND collation_name IS NOT NULL AND table_name <> 'alembic_version'"
    )

    ids = {"id", "post_id", "category_id"}
    assert {name for name, collation in collations if collation == "ascii_bin"} == ids
    assert {collation for name, collation in collations if name not in ids} == {"utf8mb4_bin"}


@pytest.fixture(scope="module")
def mysql_schema(mysql_server, make_app):
    """Ask a migrated MySQL database."""
    make_app(DATABASE_URL=mysql_server)
    engine = create_engine(mysql_server, poolclass=NullPool)

    def ask(query):
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    return ask


def test_down_and_up_again_leaves_the_same_schema(make_app, tmp_path):
    app = make_app(DATABASE_URL=f"sqlite:///{tmp_path}/postdb.sqlite3")

    def schema():
        with app.app_context(), db.engine.connect() as connection:
            rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))
            return dict(tuple(row) for row in rows)

    before = schema()
    runner = app.test_cli_runner()
    down = runner.invoke(args=["db", "downgrade", "base"])
    emptied = schema()
    up = runner.invoke(args=["db", "upgrade"])

    assert (down.exit_code, up.exit_code) == (0, 0)
    assert set(emptied) == {"alembic_version"}
    assert schema() == before


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
    assert tables(new_mysql_database) == {"alembic_version", "posts", "categories", "likes"}
    assert "0001 (head)" in flask(new_mysql_database, "db", "current").stdout


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


def test_a_start_that_was_cut_off_between_the_tables_goes_on(make_app, new_mysql_database):
    make_app(DATABASE_URL=new_mysql_database)
    with create_engine(new_mysql_database, poolclass=NullPool).connect() as connection:
        for statement in ("DROP TABLE likes", "DELETE FROM alembic_version"):
            connection.execute(text(statement))
        connection.commit()

    make_app(DATABASE_URL=new_mysql_database)

    assert tables(new_mysql_database) == {"alembic_version", "posts", "categories", "likes"}


def test_the_code_before_a_migration_serves_the_schema_behind_it(make_app, tmp_path, caplog):
    url = f"sqlite:///{tmp_path}/postdb.sqlite3"
    make_app(DATABASE_URL=url)
    with create_engine(url, poolclass=NullPool).connect() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'of a later release'"))
        connection.commit()

    answer = make_app(DATABASE_URL=url).test_client().get("/health/ready")

    assert answer.status_code == 200
    assert "schema_is_newer" in caplog.messages
