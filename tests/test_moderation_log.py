"""The moderation log: one row for each action of an admin, listed by filters, pages and cursors; it only grows."""

import csv
import importlib.util
import io
import json
from datetime import datetime

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import delete, insert, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from post.database.writes import transaction
from post.models import LogEntry, db
from post.paging import Cursor
from post.services import moderation_log
from tests.answers import fault
from tests.conftest import impatient_engine
from tests.servers import PROJECT
from tests.test_list_plans import explained, on_mysql, sorts_or_copies

LOG, POSTS = "/api/v1/admin/log", "/api/v1/posts"


@pytest.fixture
def log(client, as_user):
    """GET the log as an admin; returns the response."""

    def get(query=""):
        response = client.get(f"{LOG}{query}", headers=as_user("root"))
        assert response.status_code == 200, response.data
        return response

    return get


@pytest.fixture
def write_log(app):
    """Write rows to the log, of which each has some columns; the others are the same."""

    def write(*entries):
        with app.app_context(), transaction() as connection:
            for entry in entries:
                connection.execute(insert(LogEntry).values({"actor": "root-sub", "action": "hide"} | entry))

    return write


def numbers(response):
    return [entry["No"] for entry in response.json["data"]]


def test_an_admins_hide_is_a_row_with_all_its_fields(make_post, client, as_user, user_id, log):
    post_id = make_post(author="ana")
    change = {"status": "hidden", "reason": "광고"}
    assert client.patch(f"{POSTS}/{post_id}", json=change, headers=as_user("root")).status_code == 200

    (entry,) = log().json["data"]

    assert entry.pop("No") >= 1
    assert entry.pop("created_at").endswith("Z")
    assert entry == {
        "actor": user_id("root"),
        "action": "hide",
        "post_id": post_id,
        "user_id": user_id("ana"),
        "category_id": None,
        "reason": "광고",
        "before": {"status": "visible", "hidden_by": None},
        "after": {"status": "hidden", "hidden_by": "moderator"},
    }


@pytest.mark.parametrize(("who", "refusal"), [("nobody", (401, "token_missing")), ("ana", (403, "forbidden"))])
def test_the_log_is_for_admins_alone(client, as_user, who, refusal):
    assert fault(client.get(LOG, headers=as_user(who))) == refusal


def test_filters_combine_and_the_newest_row_is_first(write_log, log):
    one, other = "1" * 32, "2" * 32
    write_log(
        {"actor": "a", "post_id": one, "user_id": "ana"},
        {"actor": "b", "post_id": one, "user_id": "ana"},
        {"actor": "a", "post_id": other, "user_id": "ana", "action": "delete"},
        {"actor": "a", "post_id": other, "user_id": "bo"},
    )
    first, second, third, fourth = sorted(numbers(log()))

    found = {
        query: numbers(log(query))
        for query in (
            "",
            "?actor=a",
            f"?post_id={one}",
            "?user_id=ana",
            "?action=delete",
            "?actor=a&user_id=ana",
            f"?actor=a&post_id={other}&user_id=bo",
            "?actor=nobody",
            "?actor=&action=&user_id=&post_id=",
        )
    }

    assert found == {
        "": [fourth, third, second, first],
        "?actor=a": [fourth, third, first],
        f"?post_id={one}": [second, first],
        "?user_id=ana": [third, second, first],
        "?action=delete": [third],
        "?actor=a&user_id=ana": [third, first],
        f"?actor=a&post_id={other}&user_id=bo": [fourth],
        "?actor=nobody": [],
        "?actor=&action=&user_id=&post_id=": [fourth, third, second, first],
    }


@pytest.mark.parametrize(
    "query", ["page=0", "per_page=x", "post_id=undefined", "action=sing", "cursor=bmV4dC5wb3B1bGFyLjEuMS4x", "cursor=x"]
)
def test_a_wrong_parameter_is_named(client, as_user, query):
    response = client.get(f"{LOG}?{query}", headers=as_user("root"))

    assert fault(response) == (400, "validation_error")
    assert [detail["field"] for detail in response.json["error"]["details"]] == [query.partition("=")[0]]


def test_pages_and_cursors_walk_through_the_log_both_ways(write_log, log):
    write_log(*[{"actor": f"a{number % 2}"} for number in range(25)])
    every = numbers(log("?per_page=50"))
    assert every == sorted(every, reverse=True)

    pages = [log(f"?page={page}") for page in (1, 2, 3, 4)]
    by_cursor, cursor = [pages[0]], pages[0].json["meta"]["next_cursor"]
    while cursor:
        by_cursor.append(log(f"?cursor={cursor}"))
        cursor = by_cursor[-1].json["meta"]["next_cursor"]
    back = log(by_cursor[-1].headers["Link"].partition("?")[2].partition(">")[0].join(["?", ""]))

    assert [numbers(page) for page in pages] == [every[:10], every[10:20], every[20:], []]
    assert [numbers(page) for page in by_cursor] == [every[:10], every[10:20], every[20:]]
    assert numbers(back) == every[10:20]
    meta = pages[1].json["meta"]
    assert meta | {"next_cursor": None} == {
        "page": 2, "per_page": 10, "total": 25, "pages": 3, "has_next": True, "has_prev": True, "next_cursor": None,
    }  # fmt: skip
    assert by_cursor[2].json["meta"]["page"] is None
    assert 'rel="next"' in pages[1].headers["Link"]


def test_rows_that_come_meanwhile_shift_no_cursor(write_log, log):
    write_log(*[{}] * 4)
    every = numbers(log())
    first = log("?per_page=2")

    write_log({}, {})

    assert numbers(log(f"?per_page=2&cursor={first.json['meta']['next_cursor']}")) == every[2:]


def test_the_total_stops_and_says_so(write_log, log, monkeypatch):
    monkeypatch.setattr("post.services.numbered_lists.TOTAL_MAX", 5)
    write_log(*[{}] * 5)
    exact = log("?per_page=2").json["meta"]
    write_log({"actor": "other"})

    capped, filtered = log("?per_page=2").json["meta"], log("?actor=root-sub").json["meta"]

    assert (exact["total"], "total_capped" in exact) == (5, False)
    assert (capped["total"], capped["total_capped"]) == (5, True)
    assert (filtered["total"], "total_capped" in filtered) == (5, False)


@on_mysql
@pytest.mark.parametrize("name", ["actor", "action", "post_id", "user_id"])
@pytest.mark.parametrize("direction", ["first", "next", "prev"])
def test_an_index_gives_a_page_and_its_total(app, write_log, sending, log, name, direction):
    value = {"action": "hide", "post_id": "1" * 32}.get(name, "ana")
    write_log(*[{name: value}] * 30, *[{"action": "delete"}] * 30)
    middle = log(f"?{name}={value}&per_page=50").json["data"][15]["No"]
    place = "" if direction == "first" else f"&cursor={Cursor(direction, 'latest', (middle,)).encode()}"

    with sending() as sent:
        log(f"?{name}={value}{place}")

    with app.app_context():
        steps = [explained(db.engine, *each) for each in sent if "moderation_log" in each[0]]
    assert len(steps) == 2
    keys = [step for plan in steps for step in plan if step.table == "moderation_log" and step.type != "eq_ref"]
    assert [step.key for step in keys] == [f"ix_moderation_log_{name}_No"] * 2
    assert all("Using index" in step.extra.split("; ") for step in keys)
    assert [step for plan in steps for step in sorts_or_copies(plan)] == []


# The guard


@pytest.mark.parametrize(
    "change", [update(LogEntry).values(reason="anders"), delete(LogEntry)], ids=["update", "delete"]
)
def test_the_database_refuses_to_change_a_row(app, write_log, log, change):
    write_log({"reason": "광고"}, {})

    with (
        app.app_context(),
        pytest.raises(DBAPIError, match="the moderation log only grows"),
        transaction() as connection,
    ):
        connection.execute(change)

    assert [entry["reason"] for entry in log().json["data"]] == [None, "광고"]


def test_a_row_of_an_action_that_fails_is_not_there(app, log):
    def fail():
        with transaction() as connection:
            moderation_log.record(connection, moderation_log.Deed("root-sub", "hide"))
            raise RuntimeError

    with app.app_context(), pytest.raises(RuntimeError):
        fail()

    assert log().json["data"] == []


# The commands


@pytest.fixture
def run(app):
    """Run `flask moderation`; returns its result."""
    return lambda *arguments: app.test_cli_runner().invoke(args=["moderation", *arguments])


def exported(result):
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout_bytes.decode().splitlines()]


def test_the_export_is_the_list_from_its_other_end(write_log, log, run):
    write_log(*[{"actor": f"a{number % 2}", "state_before": '{"status":"visible"}'} for number in range(7)])

    assert exported(run("log"))[::-1] == log().json["data"]
    assert exported(run("log", "--actor", "a1"))[::-1] == log("?actor=a1").json["data"]


def test_the_export_goes_through_the_log_in_batches(write_log, log, run, count_queries, monkeypatch):
    monkeypatch.setattr(moderation_log, "EXPORT_BATCH", 10)
    write_log(*[{}] * 25)
    last = numbers(log())[0]

    with count_queries() as statements:
        found = exported(run("log"))

    batches = [each for each in statements if "BETWEEN" in each]
    assert len(found) == 25
    assert len(batches) == -(-last // 10)


def test_the_export_ends_at_the_row_that_was_the_last_when_it_began(app, write_log, monkeypatch):
    monkeypatch.setattr(moderation_log, "EXPORT_BATCH", 2)
    write_log(*[{}] * 4)

    with app.app_context():
        entries = moderation_log.export_log({})
        first = next(entries)
        write_log({})
        rest = [entry["No"] for entry in entries]

    assert rest == [first["No"] + step for step in (1, 2, 3)]


@pytest.mark.parametrize(
    ("since", "count"),
    [
        ("2026-02-01", 2),
        ("2026-02-01T00:00:00.001Z", 1),
        ("2026-02-01T09:00:00+09:00", 2),
        ("2026-02-01T09:00:00", 1),
    ],
)
def test_the_export_begins_at_a_time(write_log, run, since, count):
    write_log(*[{"created_at": datetime.fromisoformat(day)} for day in ("2026-01-31", "2026-02-01", "2026-02-02")])

    assert len(exported(run("log", "--since", since))) == count


def test_a_wrong_time_is_refused(run):
    assert run("log", "--since", "gestern").exit_code == 2


@pytest.mark.parametrize(
    "reason", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "=cmd|' /C calc'!A0"]
)
def test_no_cell_of_the_csv_is_a_formula(write_log, run, reason):
    write_log({"reason": reason, "actor": "=1"})

    (_, row) = csv.reader(io.StringIO(run("log", "--format", "csv").stdout_bytes.decode(), newline=""))

    assert row[2] == "'=1"
    assert row[7] == f"'{reason}"


def test_the_csv_has_each_value_as_it_is(write_log, log, run):
    write_log({"reason": '광고, "정말"\n두 번째 줄', "state_after": '{"status":"hidden"}', "user_id": "ana"}, {})
    *_, entry = log().json["data"]

    header, first, second = csv.reader(io.StringIO(run("log", "--format", "csv").stdout_bytes.decode(), newline=""))

    assert header == list(entry)
    assert first == [
        str(entry["No"]),
        entry["created_at"],
        "root-sub",
        "hide",
        "",
        "ana",
        "",
        entry["reason"],
        "",
        first[9],
    ]
    assert json.loads(first[9]) == {"status": "hidden"}
    assert len(second) == len(header)


def test_the_csv_of_an_empty_log_is_its_header(run):
    assert run("log", "--format", "csv").stdout_bytes.decode().strip().split(",")[0] == "No"


def test_the_guard_is_there_and_trying_it_leaves_nothing(run, log):
    result = run("guard")

    assert (result.exit_code, log().json["data"]) == (0, [])


def test_a_missing_guard_is_told_with_the_statement_that_makes_it(app, run, log):
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER moderation_log_no_delete")

    missing = run("guard")
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql(missing.output.splitlines()[1].removesuffix(";"))
    mended = run("guard")

    assert (missing.exit_code, mended.exit_code) == (1, 0)
    assert "allows DELETE of" in missing.output
    assert log().json["data"] == []


def test_the_statements_are_the_migrations():
    path = PROJECT / "migrations" / "versions" / "20261128_moderation.py"
    migration = importlib.util.module_from_spec(spec := importlib.util.spec_from_file_location("migration", path))
    spec.loader.exec_module(migration)

    for name, change in migration.EVENTS.items():
        for words, statement in {"mysql": migration.GUARD_ON_MYSQL, "sqlite": migration.GUARD_ON_SQLITE}.items():
            mine = moderation_log.GUARDS[words].format(event=change, lower=change.lower())
            assert mine == statement.format(name=name, event=change)


def test_an_account_that_may_make_no_triggers_migrates_with_a_warning(new_mysql_database, make_app, caplog):
    url = make_url(new_mysql_database)
    rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, LOCK TABLES"
    with impatient_engine(url.set(database="")).begin() as root:
        root.exec_driver_sql(f"CREATE DATABASE `{url.database}`")
        root.exec_driver_sql(f"CREATE USER '{url.database[-12:]}'@'%%' IDENTIFIED BY 'geheim'")
        root.exec_driver_sql(f"GRANT {rights} ON `{url.database}`.* TO '{url.database[-12:]}'@'%%'")
    own = url.set(username=url.database[-12:], password="geheim").render_as_string(hide_password=False)

    with caplog.at_level("WARNING"):
        app = make_app(DATABASE_URL=own)
    result = app.test_cli_runner().invoke(args=["moderation", "guard"])
    with impatient_engine(url).begin() as root:
        for line in result.output.splitlines()[1:]:
            root.exec_driver_sql(line.removesuffix(";"))
    guarded = app.test_cli_runner().invoke(args=["moderation", "guard"])
    with app.app_context():
        db.engine.dispose()
    with impatient_engine(url).begin() as root:
        root.exec_driver_sql(f"DROP USER '{url.database[-12:]}'@'%%'")

    assert [record.message for record in caplog.records].count("moderation_log_unguarded") == 2
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 3
    assert (guarded.exit_code, guarded.output) == (0, "The database refuses UPDATE and DELETE of the moderation log.\n")


def test_actions_are_counted_once_they_are_stored(app):
    def count():
        return REGISTRY.get_sample_value("post_moderation_actions_total", {"action": "hide"})

    def write(*, fails):
        with transaction() as connection:
            moderation_log.record(connection, moderation_log.Deed("root-sub", "hide"))
            if fails:
                raise RuntimeError

    before = count()
    with app.app_context():
        write(fails=False)
        with pytest.raises(RuntimeError):
            write(fails=True)

    assert count() == before + 1
