"""Reports of posts: once a user, counted on the post, hidden at a number, decided by an admin all at once."""

import random
from datetime import timedelta
from functools import partial

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import func, select, update

from post import services
from post.database.writes import transaction
from post.errors import AlreadyReported, PostNotFound
from post.models import LogEntry, Post, Report, db
from post.paging import PageRequest
from post.telemetry.report_gauges import ReportGauges
from post.utils import Caller
from tests.answers import UNKNOWN_ID, fault, wrong_fields
from tests.conftest import at_once, empty, wrong_in
from tests.test_list_plans import explained, on_mysql, sorts_or_copies

API = "/api/v1"
POSTS, REPORTS = f"{API}/posts", f"{API}/admin/reports"
LIMIT = 3
SPAM = {"reason": "spam"}


@pytest.fixture(scope="module")
def hiding_app(make_app, database_url):
    """The service on the same database, where ``LIMIT`` reports hide a post."""
    return make_app(DATABASE_URL=database_url, REPORTS_TO_HIDE=str(LIMIT))


@pytest.fixture
def report(client, as_user):
    """Report a post as a user; returns the response."""
    return lambda post_id, who, **body: client.post(
        f"{POSTS}/{post_id}/reports", json=body or SPAM, headers=as_user(who)
    )


@pytest.fixture
def hold(hiding_app, as_user):
    """Report a post where that hides it, as several users."""

    def send(post_id, *names):
        client = hiding_app.test_client()
        for name in names:
            response = client.post(f"{POSTS}/{post_id}/reports", json=SPAM, headers=as_user(name))
            assert response.status_code == 201, response.data

    return send


@pytest.fixture
def listed(client, as_user):
    """The reports that an admin is shown."""

    def get(query=""):
        response = client.get(f"{REPORTS}{query}", headers=as_user("root"))
        assert response.status_code == 200, response.data
        return response.json["data"]

    return get


@pytest.fixture
def resolve(client, as_user):
    """Decide about a report as an admin; returns the response."""
    return lambda report_id, action, who="root", **more: client.post(
        f"{REPORTS}/{report_id}/resolve", json={"action": action, **more}, headers=as_user(who)
    )


@pytest.fixture
def log(rows):
    """The actions in the log, the oldest first."""
    return lambda: [entry.action for entry in rows(select(LogEntry.action).order_by(LogEntry.No))]


@pytest.fixture
def last_deed(client, as_user):
    """The newest row of the log."""
    return lambda: client.get(f"{API}/admin/log?per_page=1", headers=as_user("root")).json["data"][0]


# Reporting


def test_a_report_is_answered_listed_and_counted(make_post, report, listed, row, user_id):
    text = "가" * 201
    post_id = make_post(author="ana", title="싸게 팝니다", content=text)
    before = row(post_id)

    answer = report(post_id, "bo", reason="other", text="  광고\n같아요")

    assert answer.status_code == 201
    made = answer.json["data"]
    assert made | {"id": None, "created_at": None} == {
        "id": None,
        "post_id": post_id,
        "user_id": user_id("bo"),
        "reason": "other",
        "text": "  광고\n같아요",
        "state": "open",
        "created_at": None,
        "resolved_at": None,
        "resolved_by": None,
        "resolution": None,
    }
    of_post = {"title": "싸게 팝니다", "excerpt": text[:200], "status": "visible", "hidden_by": None}
    of_post |= {"username": "ana", "user_id": user_id("ana"), "report_count": 1}
    assert listed() == [made | {"post": of_post}]
    after = row(post_id)
    assert (after.report_count, after.updated_at) == (1, before.updated_at)


def test_a_user_reports_a_post_once_for_ever(make_post, report, resolve, stored):
    post_id = make_post()
    first = report(post_id, "bo").json["data"]["id"]

    again = report(post_id, "bo", reason="abuse")
    resolve(first, "dismiss")
    after_all = report(post_id, "bo")

    assert fault(again) == fault(after_all) == (409, "already_reported")
    assert report(post_id, "cy").status_code == 201
    assert stored(select(func.count()).select_from(Report)) == 2


@pytest.mark.parametrize(
    ("columns", "who", "expected"),
    [
        ({"status": "hidden"}, "bo", (404, "post_not_found")),
        ({"status": "hidden"}, "ana", 201),
        ({"status": "hidden"}, "root", 201),
        ({"status": "deleted"}, "bo", (404, "post_not_found")),
        ({"status": "deleted"}, "root", (404, "post_not_found")),
        ({}, "nobody", (401, "token_missing")),
    ],
)
def test_only_who_sees_a_post_reports_it(make_post, report, columns, who, expected):
    answer = report(make_post(author="ana", **columns), who)

    assert (answer.status_code if expected == 201 else fault(answer)) == expected


def test_a_post_that_never_was_is_not_reported(report):
    assert fault(report(UNKNOWN_ID, "bo")) == (404, "post_not_found")
    assert fault(report("undefined", "bo")) == (400, "invalid_post_id")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": "boring"}, "reason"),
        ({"text": "광고"}, "reason"),
        ({"reason": "spam", "text": "가" * 501}, "text"),
        ({"reason": "spam", "text": "\u200b"}, "text"),
        ({"reason": "spam", "text": None}, "text"),
        ({"reason": "spam", "text": "\x00"}, "text"),
    ],
)
def test_a_wrong_field_is_named(make_post, report, stored, body, field):
    assert wrong_fields(report(make_post(), "bo", **body)) == {field}
    assert stored(select(func.count()).select_from(Report)) == 0


def test_a_deactivated_account_reports_nothing(make_post, client, as_user, report):
    client.post(f"{API}/users/me/deactivate", headers=as_user("bo"))

    assert fault(report(make_post(), "bo")) == (403, "account_deactivated")


# Hiding by their number


def test_so_many_reports_hide_a_post_until_an_admin_decides(make_post, hold, row, last_deed, client, user_id, wrong):
    post_id = make_post(author="ana")

    hold(post_id, *"ab")
    before = row(post_id)
    hold(post_id, "c")

    after = row(post_id)
    assert (before.status, before.held_since) == ("visible", None)
    assert (after.status, after.hidden_by, after.report_count) == ("hidden", "moderator", 3)
    assert after.held_since is not None
    assert client.get(f"{POSTS}/{post_id}").status_code == 404
    deed = last_deed()
    assert (deed["actor"], deed["action"], deed["user_id"]) == ("reports", "hide", user_id("ana"))
    assert deed["before"] == {"status": "visible", "hidden_by": None}
    assert deed["after"] == {"status": "hidden", "hidden_by": "moderator", "reports": 3}
    assert wrong() == []


def test_no_number_hides_a_post_by_default(make_post, report, row, log):
    post_id = make_post()

    for number in range(12):
        report(post_id, f"user{number}")

    assert (row(post_id).status, row(post_id).report_count, log()) == ("visible", 12, [])


def test_reports_that_were_dismissed_count_no_more(make_post, hold, listed, resolve, row, log):
    post_id = make_post()
    hold(post_id, *"abc")
    resolve(listed()[0]["id"], "dismiss")

    hold(post_id, *"de")
    before = row(post_id).status, row(post_id).report_count
    hold(post_id, "f")

    assert before == ("visible", 2)
    assert (row(post_id).status, log()) == ("hidden", ["hide", "resolve", "hide"])


def test_what_is_hidden_already_is_not_hidden_again(make_post, hold, client, as_user, row, log):
    post_id = make_post(author="ana", status="hidden")

    client.post(f"{POSTS}/{post_id}/reports", json=SPAM, headers=as_user("ana"))

    assert (row(post_id).held_since, row(post_id).hidden_by, log()) == (None, None, [])


# Deciding


@pytest.mark.parametrize(
    ("action", "standing"),
    [
        ("dismiss", ("visible", None, None)),
        ("hide", ("hidden", "moderator", None)),
        ("delete", ("deleted", "moderator", "moderator")),
    ],
)
def test_a_decision_resolves_all_reports_of_a_held_post(
    make_post, hold, listed, resolve, row, last_deed, log, user_id, wrong, *, action, standing
):
    post_id, other = make_post(author="ana"), make_post(author="ana")
    hold(post_id, *"abc")
    hold(other, "a")

    answer = resolve(next(each["id"] for each in listed() if each["post_id"] == post_id), action, reason="확인")

    assert answer.status_code == 200
    after = row(post_id)
    assert (after.status, after.hidden_by, after.deleted_by) == standing
    assert (after.held_since, after.report_count) == (None, 0)
    assert (after.deleted_at is not None) == (action == "delete")
    resolved = listed("?state=resolved")
    assert answer.json["data"] in resolved
    assert {(each["post_id"], each["state"], each["resolution"]) for each in resolved} == {
        (post_id, "resolved", action)
    }
    assert {each["resolved_by"] for each in resolved} == {user_id("root")}
    assert len(resolved) == 3
    assert [each["post_id"] for each in listed()] == [other]
    assert log() == ["hide", "resolve"]
    deed = last_deed()
    assert (deed["actor"], deed["post_id"], deed["user_id"]) == (user_id("root"), post_id, user_id("ana"))
    assert deed["reason"] == "확인"
    assert deed["before"] == {"status": "hidden", "hidden_by": "moderator"}
    assert deed["after"]["status"] == standing[0]
    assert (deed["after"]["resolution"], deed["after"]["reports"]) == (action, 3)
    assert wrong() == []


@pytest.mark.parametrize(
    ("columns", "action", "status", "hidden_by"),
    [
        ({}, "dismiss", "visible", None),
        ({}, "hide", "hidden", "moderator"),
        ({"status": "hidden"}, "dismiss", "hidden", "author"),
        ({"status": "hidden"}, "hide", "hidden", "moderator"),
        ({"status": "hidden", "hidden_by": "moderator"}, "dismiss", "hidden", "moderator"),
        ({"status": "hidden"}, "delete", "deleted", None),
    ],
)
def test_a_decision_about_a_post_that_reports_have_not_hidden(
    make_post, report, resolve, columns, action, status, hidden_by, wrong
):
    post_id = make_post(author="ana", **columns)
    report_id = report(post_id, "root").json["data"]["id"]

    shown = resolve(report_id, action).json["data"]["post"]

    assert (shown["status"], shown["hidden_by"], shown["report_count"]) == (status, hidden_by, 0)
    assert wrong() == []


def test_a_dismissal_moves_updated_at_only_where_it_shows_a_post(make_post, report, hold, listed, resolve, row):
    kept, held = make_post(), make_post()
    report(kept, "bo")
    hold(held, *"abc")
    before = {post_id: row(post_id).updated_at for post_id in (kept, held)}

    for each in listed():
        resolve(each["id"], "dismiss")

    assert row(kept).updated_at == before[kept]
    assert row(held).updated_at > before[held]


def test_of_a_post_deleted_meanwhile_reports_are_dismissed_and_nothing_else(
    make_post, hold, listed, client, as_user, resolve, row, log
):
    post_id = make_post(author="ana")
    hold(post_id, *"abc")
    assert client.delete(f"{POSTS}/{post_id}", headers=as_user("ana")).status_code == 200
    open_ones = listed()

    hidden = resolve(open_ones[0]["id"], "hide")
    dismissed = resolve(open_ones[0]["id"], "dismiss")

    assert [each["post"]["status"] for each in open_ones] == ["deleted"] * 3
    assert fault(hidden) == (404, "post_not_found")
    assert dismissed.json["data"]["post"]["status"] == "deleted"
    assert (row(post_id).status, row(post_id).deleted_by, row(post_id).held_since) == ("deleted", "author", None)
    assert log() == ["hide", "resolve"]


def test_a_resolved_report_stays_as_it_is(make_post, report, resolve, log, row):
    post_id = make_post()
    report_id = report(post_id, "bo").json["data"]["id"]
    first = resolve(report_id, "dismiss")
    report(post_id, "cy")

    second = resolve(report_id, "delete")

    assert second.status_code == 200
    assert second.json["data"] | {"post": None} == first.json["data"] | {"post": None}
    assert second.json["data"]["post"]["report_count"] == 1
    assert (row(post_id).status, log()) == ("visible", ["resolve"])


def test_who_may_decide(make_post, report, client, as_user, resolve):
    report_id = report(make_post(author="ana"), "bo").json["data"]["id"]

    assert fault(resolve(report_id, "dismiss", "nobody")) == (401, "token_missing")
    assert fault(resolve(report_id, "dismiss", "ana")) == (403, "forbidden")
    assert fault(client.get(REPORTS, headers=as_user("ana"))) == (403, "forbidden")
    assert fault(resolve(UNKNOWN_ID, "dismiss")) == (404, "report_not_found")
    assert wrong_fields(resolve("x", "dismiss")) == {"report_id"}
    assert wrong_fields(resolve(report_id, "sing")) == {"action"}


@pytest.mark.parametrize(
    ("method", "body", "action", "resolution"),
    [
        ("patch", {"status": "hidden"}, "hide", "hide"),
        ("patch", {"status": "visible"}, "restore", "dismiss"),
        ("delete", {}, "delete", "delete"),
    ],
)
def test_an_admins_own_action_resolves_the_reports_in_the_same_row(
    make_post, hold, client, as_user, listed, row, log, last_deed, wrong, *, method, body, action, resolution
):
    post_id = make_post(author="ana")
    hold(post_id, *"abc")

    answer = client.open(f"{POSTS}/{post_id}", method=method, json=body, headers=as_user("root"))

    assert answer.status_code == 200
    assert (listed(), row(post_id).report_count, row(post_id).held_since) == ([], 0, None)
    assert {each["resolution"] for each in listed("?state=resolved")} == {resolution}
    assert log() == ["hide", action]
    assert (last_deed()["after"]["resolution"], last_deed()["after"]["reports"]) == (resolution, 3)
    assert wrong() == []


def test_an_admins_restore_of_a_visible_post_dismisses_its_reports_in_a_row(make_post, report, client, as_user, log):
    post_id = make_post(author="ana")
    report(post_id, "bo")

    client.patch(f"{POSTS}/{post_id}", json={"status": "visible"}, headers=as_user("root"))
    client.patch(f"{POSTS}/{post_id}", json={"status": "visible"}, headers=as_user("root"))

    assert log() == ["restore"]


def test_an_edit_and_what_the_author_does_resolve_nothing(make_post, report, client, as_user, listed, row, log):
    post_id = make_post(author="ana")
    report(post_id, "bo")

    client.patch(f"{POSTS}/{post_id}", json={"title": "다른 제목"}, headers=as_user("root"))
    client.patch(f"{POSTS}/{post_id}", json={"status": "hidden"}, headers=as_user("ana"))
    client.patch(f"{POSTS}/{post_id}", json={"status": "visible"}, headers=as_user("ana"))
    client.delete(f"{POSTS}/{post_id}", headers=as_user("ana"))

    assert (len(listed()), row(post_id).report_count, log()) == (1, 1, ["edit"])


# Lists


def test_reports_are_listed_by_state_newest_first_in_pages(make_post, report, resolve, client, as_user):
    ids = [report(make_post(), "bo").json["data"]["id"] for _ in range(5)]
    resolve(ids[0], "dismiss")
    newest = ids[:0:-1]
    get = partial(client.get, headers=as_user("root"))

    first = get(f"{REPORTS}?per_page=3").json
    second = get(f"{REPORTS}?per_page=3&cursor={first['meta']['next_cursor']}").json
    resolved = get(f"{REPORTS}?state=resolved").json

    assert [[each["id"] for each in page["data"]] for page in (first, second, resolved)] == [
        newest[:3],
        newest[3:],
        [ids[0]],
    ]
    assert (first["meta"]["total"], first["meta"]["pages"], second["meta"]["has_next"]) == (4, 2, False)
    assert wrong_fields(get(f"{REPORTS}?state=any")) == {"state"}


# Counters


def test_a_wrong_count_is_found_and_repaired(app, make_post, report, wrong):
    post_id = make_post()
    report(post_id, "bo")
    with app.app_context(), app.extensions["sqlalchemy"].engine.begin() as connection:
        connection.execute(update(Post).where(Post.id == post_id).values(report_count=7))

    with app.app_context():
        found = services.verify_counters(repair=True)

    assert [(each.what, each.of, each.kept, each.counted) for each in found] == [("report_count", post_id, 7, 1)]
    assert wrong() == []


# Many at once


@pytest.fixture
def board(hiding_app):
    yield hiding_app
    empty(hiding_app)


def caller(name, *, is_admin=False):
    return Caller(user_id=name, username=name, is_admin=is_admin)


def within(app, call, *refusals):
    """Call a service in its own context; returns its answer, or the refusal."""

    def run():
        with app.app_context():
            try:
                return call()
            except refusals as refusal:
                return refusal

    return run


def test_16_threads_that_report_one_post_hide_it_once(board, make_post, row, rows):
    """Each user twice: of both calls one is refused."""
    post_id = make_post(author="ana")
    reporters = [caller(f"user{number}") for number in range(8)] * 2
    calls = [
        within(
            board, partial(services.report_post, post_id, reporter=each, reason="spam"), AlreadyReported, PostNotFound
        )
        for each in reporters
    ]

    answers = at_once(calls)

    stored = [answer for answer in answers if isinstance(answer, dict)]
    after = row(post_id)
    # Once it is hidden, nobody but its author and admins sees it.
    assert len(stored) == after.report_count == len(rows(select(Report.No))) == LIMIT
    assert len({report["user_id"] for report in stored}) == LIMIT
    assert (after.status, after.hidden_by) == ("hidden", "moderator")
    assert [(entry.actor, entry.action) for entry in rows(select(LogEntry.actor, LogEntry.action))] == [
        ("reports", "hide")
    ]
    assert wrong_in(board) == []


def test_16_threads_that_report_one_post_are_counted_exactly(app, make_post, row, wrong):
    post_id = make_post(author="ana")
    report = partial(services.report_post, post_id, reason="abuse")
    calls = [
        within(app, partial(report, reporter=caller(f"user{number % 12}")), AlreadyReported) for number in range(16)
    ]

    answers = at_once(calls)

    assert sum(isinstance(answer, dict) for answer in answers) == row(post_id).report_count == 12
    assert sum(isinstance(answer, AlreadyReported) for answer in answers) == 4
    assert wrong() == []


def test_two_admins_who_decide_at_once_leave_one_decision(board, make_post, hold, listed, row, rows):
    for _ in range(5):
        post_id = make_post(author="ana")
        hold(post_id, *"abc")
        one, _, other = (each["id"] for each in listed())
        decide = services.resolve_report
        calls = [
            partial(decide, one, moderator="root1", action="delete"),
            partial(decide, other, moderator="root2", action="dismiss"),
        ]

        at_once([within(board, call) for call in calls])

        (deed,) = rows(select(LogEntry).where(LogEntry.post_id == post_id, LogEntry.action == "resolve"))
        found = rows(select(Report.resolution, Report.resolved_by).where(Report.post_id == post_id).distinct())
        after = row(post_id)
        assert found == [("delete", "root1") if after.status == "deleted" else ("dismiss", "root2")]
        assert deed[0].actor == found[0].resolved_by
        assert (after.report_count, after.held_since) == (0, None)
    assert wrong_in(board) == []


def test_reports_beside_a_deletion_are_stored_before_it_or_refused(board, make_post, row, rows, stored):
    post_id = make_post(author="ana")
    admin = caller("root", is_admin=True)
    report = partial(services.report_post, post_id, reason="spam")
    calls = [within(board, partial(report, reporter=caller(f"user{n}")), PostNotFound) for n in range(7)]
    calls.insert(4, within(board, partial(services.delete_post, post_id, editor=admin)))

    answers = at_once(calls)

    counted = sum(isinstance(answer, dict) and "reason" in answer for answer in answers)
    assert counted == stored(select(func.count()).select_from(Report))
    assert (row(post_id).status, row(post_id).report_count) == ("deleted", 0)
    assert rows(select(Report.No).where(Report.state == "open")) == []
    assert wrong_in(board) == []


def test_random_reports_and_decisions_from_8_threads_leave_a_row_for_each_effect(board, make_post, row, rows):
    """A log row for each resolution, and for each time that a post was held."""
    posts = [make_post(author="ana") for _ in range(4)]
    chance = random.Random(19)

    def act(number):
        post_id, kind = chance.choice(posts), chance.randrange(6)
        if kind:
            return partial(services.report_post, post_id, reporter=caller(f"user{number}"), reason="spam")
        return partial(decide_about, post_id, chance.choice(["dismiss", "hide"]), f"root{number}")

    answers = at_once([within(board, act(number), PostNotFound) for number in range(160)], threads=8)

    entries = rows(select(LogEntry.action, LogEntry.post_id, LogEntry.state_after).order_by(LogEntry.No))
    resolved = sum(answer == "resolved" for answer in answers)
    assert [entry.action for entry in entries].count("resolve") == resolved > 0
    for post_id in posts:
        last = [entry for entry in entries if entry.post_id == post_id][-1:]
        assert all(f'"status":"{row(post_id).status}"' in entry.state_after for entry in last)
    assert wrong_in(board) == []


def decide_about(post_id, action, moderator):
    for each in services.list_reports(PageRequest(per_page=50), state="open").items:
        if each["post_id"] == post_id:
            after = services.resolve_report(each["id"], moderator=moderator, action=action)
            return "resolved" if after["resolved_by"] == moderator else "late"
    return "none"


# The backlog, and the commands


def test_the_backlog_is_the_open_reports_and_the_age_of_the_oldest(app, make_post, report, resolve, stored):
    with app.app_context():
        assert services.report_backlog() == (0, 0)
    first = report(make_post(), "bo").json["data"]["id"]
    report(make_post(), "bo")
    hour = {"created_at": stored(select(Report.created_at).where(Report.id == first)) - timedelta(hours=1)}
    with app.app_context(), transaction() as connection:
        connection.execute(update(Report).where(Report.id == first).values(hour))

    with app.app_context():
        both = services.report_backlog()
    resolve(first, "dismiss")
    with app.app_context():
        left = services.report_backlog()

    assert (both.number, left.number) == (2, 1)
    assert both.oldest_seconds >= 3600
    assert 0 <= left.oldest_seconds < 3600


@on_mysql
def test_the_backlog_is_read_from_an_index(app, make_post, report, sending):
    report(make_post(), "bo")

    with sending() as sent, app.app_context():
        services.report_backlog()

    ((statement, parameters),) = sent
    with app.app_context():
        steps = explained(db.engine, statement, parameters)
    assert {step.key for step in steps if step.table == "reports"} == {"ix_reports_state_No"}
    assert sorts_or_copies(steps) == []


@on_mysql
def test_a_decision_locks_no_report_of_another_post(app, make_post, report, resolve, sending):
    for post_id in [make_post() for _ in range(20)]:
        first = report(post_id, "bo").json["data"]["id"]

    with sending() as sent:
        resolve(first, "dismiss")

    ((statement, parameters),) = [each for each in sent if each[0].startswith("UPDATE reports")]
    with app.app_context():
        (step,) = explained(db.engine, statement, parameters)
    assert step.key == "uq_reports_post_id"


def test_a_shell_lists_and_resolves_reports(app, make_post, report, row, last_deed):
    post_id = make_post(title="싸게 팝니다")
    report_id = report(post_id, "bo").json["data"]["id"]
    run = app.test_cli_runner().invoke

    (line,) = run(args=["moderation", "reports"]).output.splitlines()
    hidden = run(args=["moderation", "resolve", report_id, "hide", "--reason", "광고"])
    again = run(args=["moderation", "resolve", report_id, "dismiss"])
    unknown = run(args=["moderation", "resolve", UNKNOWN_ID, "hide"])

    assert line.split("  ")[1:] == [report_id, "spam", post_id, "visible", "1", "싸게 팝니다"]
    assert (hidden.exit_code, hidden.output) == (0, "Resolved: the post is hidden.\n")
    assert (again.exit_code, unknown.exit_code) == (1, 1)
    assert "hide, by shell" in again.output
    assert "no such report" in unknown.output
    assert (row(post_id).status, row(post_id).hidden_by) == ("hidden", "moderator")
    assert (last_deed()["actor"], last_deed()["reason"]) == ("shell", "광고")


@pytest.mark.parametrize("reason", ["", "가" * 501, "\x07"])
def test_a_reason_is_a_text_in_a_shell_too(app, reason):
    run = app.test_cli_runner().invoke

    assert run(args=["moderation", "resolve", UNKNOWN_ID, "hide", "--reason", reason]).exit_code == 2


# Metrics


class Away(Exception):
    """The database is away."""


def test_gauges_stay_while_they_cannot_be_read_and_one_line_says_so(caplog):
    answers = iter([(3, 61.5), Away(), Away(), (4, 70.0), Away()])

    def read():
        answer = next(answers)
        if isinstance(answer, Away):
            raise answer
        return answer

    def shown():
        names = ("post_reports_open", "post_reports_oldest_seconds")
        return tuple(REGISTRY.get_sample_value(name) for name in names)

    gauges, seen = ReportGauges(read), []
    for _ in range(5):
        gauges.refresh()
        seen.append((shown(), [record.message for record in caplog.records].count("reports_not_counted")))

    assert seen == [((3, 61.5), 0), ((3, 61.5), 1), ((3, 61.5), 1), ((4, 70), 1), ((4, 70), 2)]
