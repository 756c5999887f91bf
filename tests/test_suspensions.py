"""Suspended users: they read and write nothing, at once and everywhere, until it ends; and users as admins see them."""

import re
import threading
from collections import Counter
from datetime import datetime

import pytest
from sqlalchemy import func, select, update

from post import messages, services
from post.models import LogEntry, Post, Report, RestrictedAccount, db
from post.services import moderated_users
from post.services.accounts import restriction_of
from post.utils import Caller
from tests.answers import fault, wrong_fields
from tests.conftest import at_once
from tests.test_accounts import DEACTIVATE, NEW, POSTS, WRITES, WRONG_BODY
from tests.test_media import PNG, media_url, multipart

API = "/api/v1"
REFUSED = (403, "account_suspended")
FAR = "2099-12-31T23:59:59.000Z"
OPEN = ("/dev/token", f"{POSTS}/<post_id>/update-comment-count")  # they look at no token


@pytest.fixture
def path(user_id):
    """The path of a user, for admins."""
    return lambda name: f"{API}/admin/users/{user_id(name)}"


@pytest.fixture
def suspend(client, as_user, path):
    """Suspend a user as an admin; returns the answer."""
    return lambda name, **body: client.put(
        f"{path(name)}/suspension", headers=as_user("root"), **({"json": body} if body else {})
    )


@pytest.fixture
def unsuspend(client, as_user, path):
    return lambda name, **body: client.delete(
        f"{path(name)}/suspension", headers=as_user("root"), **({"json": body} if body else {})
    )


@pytest.fixture
def overview(client, as_user, path):
    """What an admin is shown of a user."""
    return lambda name: client.get(path(name), headers=as_user("root")).json["data"]


@pytest.fixture
def log(rows):
    """The log's rows: action, person, actor, reason, states."""
    columns = (LogEntry.action, LogEntry.user_id, LogEntry.actor, LogEntry.reason)
    query = select(*columns, LogEntry.state_before, LogEntry.state_after).order_by(LogEntry.No)
    return lambda: [tuple(row) for row in rows(query)]


@pytest.fixture
def accounts(rows):
    """The restricted accounts."""
    columns = (RestrictedAccount.user_id, RestrictedAccount.is_deactivated, RestrictedAccount.suspended_at)
    return lambda: rows(select(*columns, RestrictedAccount.suspended_until))


def write(client, headers):
    return client.post(POSTS, json=NEW, headers=headers)


# Suspending


def test_an_admin_suspends_a_user(client, as_user, user_id, suspend, log):
    answer = suspend("ana", until=FAR, reason="광고 30건")

    assert answer.status_code == 200
    data = answer.json["data"]
    suspension = data.pop("suspension")
    assert data == {"user_id": user_id("ana")}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", suspension.pop("since"))
    assert suspension == {"until": FAR, "reason": "광고 30건", "by": user_id("root")}
    assert fault(write(client, as_user("ana"))) == REFUSED
    new = f'{{"suspended_until":"{FAR}"}}'
    assert log() == [("suspend", user_id("ana"), user_id("root"), "광고 30건", None, new)]


def test_a_suspension_without_a_time_has_no_end(client, as_user, suspend, accounts):
    answer = suspend("ana")

    assert answer.json["data"]["suspension"]["until"] is None
    assert [account.suspended_until for account in accounts()] == [None]
    assert fault(write(client, as_user("ana"))) == REFUSED


@pytest.mark.parametrize("until", [FAR, None], ids=["time", "no end"])
def test_the_same_suspension_again_changes_nothing_and_is_not_logged(suspend, overview, log, until):
    body = {} if until is None else {"until": until}
    first = suspend("ana", reason="하나", **body)

    again = suspend("ana", reason="둘", **body)

    assert again.json["data"] == first.json["data"]
    assert overview("ana")["suspension"] == first.json["data"]["suspension"]
    assert len(log()) == 1


def test_another_time_replaces_the_suspension(suspend, overview, log):
    suspend("ana", until=FAR)

    suspend("ana", until="2098-01-02T03:04:05.678Z", reason="둘")
    suspend("ana")

    assert overview("ana")["suspension"]["until"] is None
    first, second, third = (f'{{"suspended_until":{until}}}' for until in
                            (f'"{FAR}"', '"2098-01-02T03:04:05.678Z"', "null"))  # fmt: skip
    assert [row[-2:] for row in log()] == [(None, first), (first, second), (second, third)]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2099-01-02T12:04:05+09:00", "2099-01-02T03:04:05.000Z"),
        ("2099-01-02T03:04-00:30", "2099-01-02T03:34:00.000Z"),
        ("2099-01-02T03:04:05.6789Z", "2099-01-02T03:04:05.678Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_is_read_with_its_offset(suspend, overview, given, kept):
    assert suspend("ana", until=given).json["data"]["suspension"]["until"] == kept
    assert overview("ana")["suspension"]["until"] == kept


@pytest.mark.parametrize(
    "until",
    [
        "2099-01-02T03:04:05",
        "2099-01-02",
        "tomorrow",
        "",
        "2099-13-02T03:04:05Z",
        "2099-01-02 03:04:05Z",
        "２０９９-01-02T03:04:05Z",
        "9999-12-31T23:59:59-09:00",
        "2026-01-02T03:04:05Z",
        "0001-01-01T00:00:00+01:00",
        4_102_444_800,
        None,
    ],
)
def test_no_other_time_is_taken(suspend, accounts, log, until):
    answer = suspend("ana", until=until)

    assert wrong_fields(answer) == {"until"}
    assert (accounts(), log()) == ([], [])


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_a_time_in_the_past_is_named(client, as_user, path, language):
    headers = as_user("root") | {"Accept-Language": language}

    answer = client.put(f"{path('ana')}/suspension", json={"until": "2020-01-01T00:00:00Z"}, headers=headers)

    words = {"ko": "정지 끝: 이미 지난 시각입니다.", "en": "End of the suspension: This time has passed already."}
    assert answer.json["message"] == words[language]


def test_an_admin_does_not_suspend_themselves_but_another(suspend, accounts, client, as_user, user_id):
    assert wrong_fields(suspend("root")) == {"sub"}
    assert accounts() == []

    with client.application.app_context():
        services.suspend_user(user_id("root"), moderator="another")

    assert fault(client.get(f"{API}/admin/log", headers=as_user("root"))) == REFUSED
    assert fault(suspend("ana")) == REFUSED


@pytest.mark.parametrize("sub", ["a" * 37, " a", "%00"], ids=["long", "spaces", "control"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_sub_has_the_form_of_one(client, as_user, method, sub):
    tail = "" if method == "GET" else "/suspension"

    answer = client.open(f"{API}/admin/users/{sub}{tail}", method=method, headers=as_user("root"))

    assert wrong_fields(answer) == {"sub"}


@pytest.mark.parametrize("who", ["nobody", "bo", "ana"])
@pytest.mark.parametrize(("method", "tail"), [("GET", ""), ("PUT", "/suspension"), ("DELETE", "/suspension")])
def test_these_routes_are_for_admins_alone(client, as_user, path, accounts, *, who, method, tail):
    answer = client.open(f"{path('ana')}{tail}", method=method, headers=as_user(who))

    assert fault(answer) == ((401, "token_missing") if who == "nobody" else (403, "forbidden"))
    assert accounts() == []


# Ending


def test_an_unsuspended_user_writes_again(client, as_user, user_id, suspend, unsuspend, *, accounts, log):
    suspend("ana", until=FAR)

    answer = unsuspend("ana", reason="착오")

    assert (answer.status_code, answer.json["data"]) == (200, {"user_id": user_id("ana"), "suspension": None})
    assert write(client, as_user("ana")).status_code == 201
    assert accounts() == []
    old = f'{{"suspended_until":"{FAR}"}}'
    assert log()[1:] == [("unsuspend", user_id("ana"), user_id("root"), "착오", old, None)]


def test_without_a_suspension_nothing_is_ended_or_logged(user_id, unsuspend, log):
    answer = unsuspend("ana")

    assert (answer.status_code, answer.json["data"]) == (200, {"user_id": user_id("ana"), "suspension": None})
    assert log() == []


def test_a_suspension_ends_by_itself(client, as_user, app, suspend, unsuspend, *, overview, log, accounts):
    suspend("ana", until=FAR)
    with app.app_context():
        db.session.execute(update(RestrictedAccount).values(suspended_until=datetime(2026, 1, 1)))  # noqa: DTZ001 - UTC
        db.session.commit()

    assert write(client, as_user("ana")).status_code == 201
    assert overview("ana")["suspension"] is None
    unsuspend("ana")
    assert (len(log()), accounts()) == (1, [])  # nothing had been left to end


def test_a_suspension_that_has_ended_is_followed_by_a_new_one(client, as_user, app, suspend, log):
    suspend("ana", until=FAR)
    with app.app_context():
        db.session.execute(update(RestrictedAccount).values(suspended_until=datetime(2026, 1, 1)))  # noqa: DTZ001 - UTC
        db.session.commit()

    suspend("ana", until=FAR)

    assert fault(write(client, as_user("ana"))) == REFUSED
    assert [row[-2] for row in log()] == [None, None]


@pytest.mark.parametrize("first", ["deactivated", "suspended"])
def test_a_user_may_be_deactivated_and_suspended_at_once(
    client, as_user, app, user_id, *, suspend, unsuspend, overview, first
):
    def deactivate():
        """As before the suspension, which lets nobody deactivate their account."""
        with app.app_context():
            services.deactivate_account(Caller(user_id("ana"), "ana", login="ana"), directory=None)

    for step in (deactivate, lambda: suspend("ana", until=FAR))[:: 1 if first == "deactivated" else -1]:
        step()
    both, refused = overview("ana"), fault(write(client, as_user("ana")))
    unsuspend("ana")
    one, still = overview("ana"), fault(write(client, as_user("ana")))
    app.test_cli_runner().invoke(args=["users", "reactivate", user_id("ana")])

    assert (both["is_deactivated"], both["suspension"]["until"]) == (True, FAR)
    assert (one["is_deactivated"], one["suspension"]) == (True, None)
    assert refused == still == (403, "account_deactivated")
    assert write(client, as_user("ana")).status_code == 201


def test_a_suspension_outlives_a_reactivation(client, as_user, app, user_id, suspend):
    client.post(DEACTIVATE, headers=as_user("ana"))
    suspend("ana")

    app.test_cli_runner().invoke(args=["users", "reactivate", user_id("ana")])

    assert fault(write(client, as_user("ana"))) == REFUSED


# What it refuses


@pytest.mark.parametrize("token", ["access_token", "id_token"])
@pytest.mark.parametrize("body", [{}, WRONG_BODY], ids=["nothing", "wrong"])
def test_every_write_is_refused_before_it_is_looked_at(app, client, make_post, as_user, suspend, *, token, body):
    post_id = make_post(author="ana")
    suspend("ana")
    routes = [
        (method, re.sub(r"<[^>]+>", post_id, rule.rule))
        for rule in app.url_map.iter_rules()
        for method in sorted(rule.methods & WRITES)
        if rule.rule not in OPEN
    ]

    headers = as_user("ana", token=token)
    answers = {route: fault(client.open(route[1], method=route[0], headers=headers, **body)) for route in routes}

    assert len(answers) >= 14
    assert set(answers.values()) == {REFUSED}, answers


def test_an_upload_is_refused_before_its_body(client, as_user, suspend):
    suspend("ana")

    answer = client.get("/internal/uploader", headers=as_user("ana"))

    assert (answer.status_code, answer.headers["X-Refusal"]) == REFUSED


def test_it_is_told_that_it_may_not_upload(client, as_user, suspend):
    suspend("ana")

    answer = client.get(f"{POSTS}/media/check-permissions", headers=as_user("ana"))

    assert (answer.status_code, answer.json["data"]["has_permission"]) == (200, False)


def test_nobody_likes_for_a_suspended_user_without_a_token(app, make_app, database_url, make_post, *, user_id, suspend):
    """Where ``LIKE_REQUIRES_AUTH=false``: for others they may."""
    url = f"{POSTS}/{make_post()}/like"
    suspend("ana")
    service = make_app(DATABASE_URL=database_url, LIKE_REQUIRES_AUTH="false")
    try:
        answers = [service.test_client().post(url, json={"user_id": user_id(name)}) for name in ("ana", "bo")]
    finally:
        with service.app_context():
            db.engine.dispose()

    assert fault(answers[0]) == REFUSED
    assert answers[1].json["data"]["action"] == "added"


def test_reads_go_on(client, make_post, as_user, suspend):
    hidden = make_post(author="ana", status="hidden")
    suspend("ana")

    paths = [POSTS, f"{POSTS}/my", f"{POSTS}/{hidden}", f"{POSTS}/{hidden}/like/status", f"{API}/categories"]

    assert [client.get(path, headers=as_user("ana")).status_code for path in paths] == [200] * 5


def test_a_suspended_admin_reads_as_any_other_user(client, make_post, as_user, app, user_id):
    hidden = make_post(author="ana", status="hidden")
    urls = [f"{POSTS}/{hidden}", f"{POSTS}/{hidden}/like/status"]
    before = [client.get(url, headers=as_user("root")).status_code for url in urls]

    with app.app_context():
        services.suspend_user(user_id("root"), moderator="another")
    after = [client.get(url, headers=as_user("root")).status_code for url in urls]

    assert (before, after) == ([200, 200], [404, 404])


def test_other_users_and_subs_that_look_alike_go_on_writing(app, client, as_user, suspend):
    suspend("ana")
    with app.app_context():
        services.suspend_user("Sub-A", moderator="root")
        found = {sub: restriction_of(sub) for sub in ("Sub-A", "sub-a", "Sub-Á", "Sub-")}

    assert write(client, as_user("bo")).status_code == 201
    assert found == {"Sub-A": "suspended", "sub-a": None, "Sub-Á": None, "Sub-": None}


def test_an_answer_that_is_kept_is_not_given_to_it_again(client, as_user, suspend):
    headers = as_user("ana") | {"Idempotency-Key": "k"}
    client.post(POSTS, json=NEW, headers=headers)
    suspend("ana")

    assert fault(client.post(POSTS, json=NEW, headers=headers)) == REFUSED


def test_another_replica_knows_at_once(client, make_app, database_url, as_user, suspend, unsuspend):
    """With a token that it has verified before."""
    service = make_app(DATABASE_URL=database_url)
    replica, headers = service.test_client(), as_user("ana")
    try:
        before = write(replica, headers)
        suspend("ana")
        refused = write(replica, headers)
        unsuspend("ana")
        after = write(replica, headers)
    finally:
        with service.app_context():
            db.engine.dispose()

    assert (before.status_code, fault(refused), after.status_code) == (201, REFUSED, 201)


def test_nothing_is_written_that_is_sent_after_the_answer(app, make_post, as_user, suspend, stored):
    """While the user writes in many threads, a suspension is answered: what they send from then on changes nothing."""
    headers, post_id = as_user("ana"), make_post(author="bo")
    answered = threading.Event()
    late: list[int] = []

    def keep_writing(number: int) -> None:
        client = app.test_client()
        for turn in range(400):
            is_late = answered.is_set()
            response = (
                client.put(f"{POSTS}/{post_id}/like", headers=headers)
                if (number + turn) % 4 == 0
                else client.post(POSTS, json=NEW, headers=headers)
            )
            if is_late:
                late.append(response.status_code)
                if len(late) > 40:
                    return

    def end() -> None:
        suspend("ana")
        answered.set()

    at_once([*(lambda number=number: keep_writing(number) for number in range(6)), end])
    count = stored(select(func.count()).select_from(Post))
    again = [write(app.test_client(), headers).status_code for _ in range(3)]

    assert set(late) == {403}
    assert again == [403] * 3
    assert stored(select(func.count()).select_from(Post)) == count


def test_many_admins_at_once_suspend_once(app, as_user, path, log):
    headers, url = as_user("root"), f"{path('ana')}/suspension"

    answers = at_once([lambda: app.test_client().put(url, json={"until": FAR}, headers=headers)] * 12)

    assert Counter(answer.status_code for answer in answers) == {200: 12}
    assert len({answer.json["data"]["suspension"]["since"] for answer in answers}) == 1
    assert len(log()) == 1


def test_every_change_of_a_race_is_logged_in_its_order(app, as_user, path, log, overview):
    """Each row begins where the last one has ended."""
    headers, url = as_user("root"), f"{path('ana')}/suspension"
    puts = [
        lambda year=year: app.test_client().put(url, json={"until": f"{year}-01-01T00:00:00Z"}, headers=headers)
        for year in range(2090, 2096)
    ]
    deletes = [lambda: app.test_client().delete(url, headers=headers)] * 3

    answers = at_once([*puts, *deletes])

    assert {answer.status_code for answer in answers} == {200}
    states = [(row[-2], row[-1]) for row in log()]
    assert [after for _, after in states[:-1]] == [before for before, _ in states[1:]]
    last = overview("ana")["suspension"]
    assert states[-1][1] == (last and f'{{"suspended_until":"{last["until"]}"}}')


# A user as admins see them


def test_a_user_that_was_never_seen_has_nothing(client, as_user):
    data = client.get(f"{API}/admin/users/unknown", headers=as_user("root")).json["data"]

    assert data == {
        "user_id": "unknown",
        "posts": {"visible": 0, "hidden": 0, "deleted": 0},
        "reports": {"made": 0},
        "is_deactivated": False,
        "suspension": None,
    }


def test_a_user_s_posts_are_counted_by_their_status(app, client, make_post, as_user, user_id, overview):
    for status, count in (("visible", 3), ("hidden", 2)):
        for _ in range(count):
            make_post(author="ana", status=status)
    client.delete(f"{POSTS}/{make_post(author='ana')}", headers=as_user("root"))
    other = make_post(author="bo")
    with app.app_context():
        db.session.add(Report(post_id=other, user_id=user_id("ana"), reason="spam"))
        db.session.commit()

    data = overview("ana")

    assert data["posts"] == {"visible": 3, "hidden": 2, "deleted": 1}
    assert data["reports"] == {"made": 1}


def test_what_a_user_has_costs_no_more_than_an_index_s_range(app, client, as_user, path, count_queries, *, database):
    with count_queries() as statements:
        client.get(path("ana"), headers=as_user("root"))
    assert len([statement for statement in statements if statement.startswith("SELECT")]) == 3  # one of the admin

    explain = "EXPLAIN QUERY PLAN" if database == "sqlite" else "EXPLAIN FORMAT=TRADITIONAL"
    with app.app_context():
        query = moderated_users.COUNTS.params(user_id="x").compile(db.engine, compile_kwargs={"literal_binds": True})
        plan = db.session.connection().exec_driver_sql(f"{explain} {query}").mappings().all()

    if database == "sqlite":
        assert not [step["detail"] for step in plan if re.match(r"SCAN (posts|reports|post_counts)", step["detail"])]
    else:
        ways = {step["table"]: step["type"] for step in plan if not str(step["table"]).startswith("<")}
        assert {name: ways.get(name) for name in ("posts", "reports", "post_counts")} == {
            "posts": "ref",
            "reports": "ref",
            "post_counts": "ref",
        }


def test_an_image_is_not_added_by_a_suspended_author(client, make_post, as_user, suspend, count_media):
    post_id = make_post(author="ana")
    suspend("ana")

    answer = client.post(
        media_url(post_id), headers=as_user("ana"), **multipart(('name="file"; filename="a.png"', PNG))
    )

    assert fault(answer) == REFUSED
    assert count_media() == 0
