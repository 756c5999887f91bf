"""Deactivated accounts: refused on every write route at once and everywhere, until they are reactivated."""

import re
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, func, select, update

from post import services
from post.models import RestrictedAccount, db
from post.utils import Caller
from tests.answers import UNKNOWN_ID, fault
from tests.conftest import at_once

API = "/api/v1"
POSTS = f"{API}/posts"
DEACTIVATE = f"{API}/users/me/deactivate"
NEW = {"title": "제목", "content": "내용"}
WHOLE = {**NEW, "category": "일반", "name": "새 이름"}  # a post, and a category
LONG_AGO = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC).replace(tzinfo=None)  # as the database has it
REFUSED = (403, "account_deactivated")
WRITES = {"POST", "PUT", "PATCH", "DELETE"}
# Wrong in size, and in type.
WRONG_BODY = {"data": b"x" * (1024 * 1024 + 1), "content_type": "text/plain"}


@pytest.fixture
def deactivate(client, as_user):
    """Deactivate a user's account; returns the answer."""
    return lambda name: client.post(DEACTIVATE, headers=as_user(name))


@pytest.fixture
def another_app(app, make_app, database_url):
    """Build a further service on this half's database, as another replica is."""
    apps = []

    def build(**settings):
        apps.append(make_app(DATABASE_URL=database_url, **settings))
        return apps[-1]

    yield build
    for built in apps:
        with built.app_context():
            db.engine.dispose()


@pytest.fixture
def flask(app):
    """Run a command of ``flask``; returns click's result."""
    return lambda *arguments: app.test_cli_runner().invoke(args=arguments)


OPEN = ("/dev/token", f"{POSTS}/<post_id>/update-comment-count")  # they look at no token


def write_routes(app, post_id: str) -> list[tuple[str, str]]:
    """Every route that writes as somebody, but for the one that deactivates."""
    return [
        (method, re.sub(r"<[^>]+>", post_id, rule.rule))
        for rule in app.url_map.iter_rules()
        for method in sorted(rule.methods & WRITES)
        if rule.rule not in (DEACTIVATE, *OPEN)
    ]


# Deactivating


def test_an_account_is_deactivated(client, as_user):
    response = client.post(DEACTIVATE, headers=as_user("ana"))

    assert response.status_code == 200
    assert response.json["success"] is True
    assert response.json["data"] == {"username": "ana", "deactivated": True}


def test_nobody_has_no_account(client):
    response = client.post(DEACTIVATE)

    assert fault(response) == (401, "token_missing")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "body", [{"json": {"user_id": "x"}}, {"data": b"{", "content_type": "text/plain"}], ids=["JSON", "garbage"]
)
def test_the_body_says_nothing(client, as_user, user_id, stored, body):
    response = client.post(DEACTIVATE, headers=as_user("ana"), **body)

    assert response.status_code == 200
    assert stored(select(RestrictedAccount.user_id)) == user_id("ana")


def test_a_second_call_changes_nothing(client, deactivate, stored):
    deactivate("ana")
    with client.application.app_context():
        db.session.execute(update(RestrictedAccount).values(created_at=LONG_AGO))
        db.session.commit()

    response = deactivate("ana")

    assert response.status_code == 200
    assert response.json["data"] == {"username": "ana", "deactivated": True}
    assert stored(select(func.count()).select_from(RestrictedAccount)) == 1
    assert stored(select(RestrictedAccount.created_at)) == LONG_AGO


def test_many_calls_at_once_deactivate_once(app, as_user, stored):
    headers = as_user("ana")

    answers = at_once([lambda: app.test_client().post(DEACTIVATE, headers=headers)] * 20)

    assert Counter(answer.status_code for answer in answers) == {200: 20}
    assert stored(select(func.count()).select_from(RestrictedAccount)) == 1


# What is refused


@pytest.mark.parametrize("token", ["access_token", "id_token"])
@pytest.mark.parametrize("who", ["ana", "root"], ids=["author", "admin"])
def test_every_write_route_refuses_a_deactivated_account(app, client, make_post, as_user, deactivate, *, who, token):
    post_id = make_post(author=who)
    deactivate(who)

    answers = {
        route: fault(client.open(route[1], method=route[0], headers=as_user(who, token=token)))
        for route in write_routes(app, post_id)
    }

    assert len(answers) >= 11
    assert set(answers.values()) == {REFUSED}, answers


@pytest.mark.parametrize("post_id", ["null", UNKNOWN_ID], ids=["malformed-id", "unknown-id"])
def test_it_is_refused_before_its_request_is_looked_at(app, client, as_user, deactivate, post_id):
    deactivate("ana")
    headers = as_user("ana") | {"Idempotency-Key": "é"}

    answers = {
        route: fault(client.open(route[1], method=route[0], headers=headers, **WRONG_BODY))
        for route in write_routes(app, post_id)
    }

    assert set(answers.values()) == {REFUSED}, answers


@pytest.mark.parametrize("language", ["ko", "en"])
def test_it_is_told_so_in_the_caller_s_language(client, as_user, deactivate, language):
    deactivate("ana")

    response = client.post(POSTS, json=NEW, headers=as_user("ana") | {"Accept-Language": language})

    assert response.json["message"] == {"ko": "탈퇴한 계정입니다.", "en": "This account is deactivated."}[language]


def test_nothing_of_it_is_written(client, make_post, as_user, deactivate, row):
    post_id = make_post(author="ana")
    deactivate("ana")

    client.patch(f"{POSTS}/{post_id}", json={"title": "새 제목"}, headers=as_user("ana"))
    client.put(f"{POSTS}/{post_id}/like", headers=as_user("ana"))
    client.post(f"{API}/categories", json={"name": "여행"}, headers=as_user("ana"))
    client.delete(f"{POSTS}/{post_id}", headers=as_user("ana"))

    post = row(post_id)
    assert (post.title, post.like_count, post.status) == ("제목", 0, "visible")
    assert [category["name"] for category in client.get(f"{API}/categories").json["data"]] == ["일반"]


def test_a_bad_token_is_401_also_of_a_deactivated_account(client, as_user, deactivate):
    deactivate("ana")
    forged = as_user("ana")["Authorization"][:-4] + "AAAA"

    response = client.post(POSTS, json=NEW, headers={"Authorization": forged})

    assert fault(response) == (401, "token_invalid")


def test_an_answer_that_is_kept_is_not_given_to_it_again(client, as_user, deactivate):
    headers = as_user("ana") | {"Idempotency-Key": "k"}
    client.post(POSTS, json=NEW, headers=headers)
    deactivate("ana")

    response = client.post(POSTS, json=NEW, headers=headers)

    assert fault(response) == REFUSED


def test_other_accounts_go_on_writing(client, make_post, as_user, deactivate):
    post_id = make_post(author="ana")
    deactivate("ana")

    statuses = [
        client.post(POSTS, json=NEW, headers=as_user("bo")).status_code,
        client.put(f"{POSTS}/{post_id}/like", headers=as_user("bo")).status_code,
        client.patch(f"{POSTS}/{post_id}", json={"title": "새 제목"}, headers=as_user("root")).status_code,
    ]

    assert statuses == [201, 200, 200]


def test_a_sub_of_another_letter_case_is_another_account(app):
    with app.app_context():
        services.deactivate_account(Caller(user_id="Sub-A", username="ana", login="ana"), directory=None)

        found = {sub: services.restriction_of(sub) for sub in ("Sub-A", "sub-a", "Sub-Á", "Sub-")}

    assert found == {"Sub-A": "deactivated", "sub-a": None, "Sub-Á": None, "Sub-": None}


@pytest.mark.parametrize("after", ["deactivation", "reactivation"])
def test_another_replica_knows_at_once(client, another_app, as_user, deactivate, *, flask, user_id, after):
    """With a token that it has verified before."""
    replica: FlaskClient = another_app().test_client()
    headers = as_user("ana")
    before = replica.post(POSTS, json=NEW, headers=headers)

    deactivate("ana")
    refused = replica.post(POSTS, json=NEW, headers=headers)
    if after == "reactivation":
        flask("users", "reactivate", user_id("ana"))
    now = replica.post(POSTS, json=NEW, headers=headers)

    assert before.status_code == 201
    assert fault(refused) == REFUSED
    assert now.status_code == (201 if after == "reactivation" else 403)


def test_its_token_is_refused_also_where_likes_need_none(another_app, make_post, as_user, user_id, deactivate):
    url = f"{POSTS}/{make_post()}/like"
    open_client = another_app(LIKE_REQUIRES_AUTH="false").test_client()
    deactivate("ana")

    refused = [
        open_client.post(url, headers=as_user("ana"), **body)
        for body in ({}, {"json": {"user_id": user_id("ana")}}, {"json": {"user_id": user_id("bo")}}, WRONG_BODY)
    ]
    others = open_client.post(url, json={"user_id": user_id("bo")})

    assert [fault(response) for response in refused] == [REFUSED] * 4
    assert others.json["data"]["action"] == "added"


# What stays


def test_its_posts_and_likes_stay(client, make_post, as_user, deactivate):
    post_id = make_post(author="ana")
    client.put(f"{POSTS}/{post_id}/like", headers=as_user("ana"))
    deactivate("ana")

    post = client.get(f"{POSTS}/{post_id}").json["data"]
    listed = client.get(f"{POSTS}?user_id={post['user_id']}").json["data"]

    assert (post["username"], post["title"], post["status"], post["like_count"]) == ("ana", "제목", "visible", 1)
    assert [item["id"] for item in listed] == [post_id]


def test_it_still_reads_its_own_posts(client, make_post, as_user, deactivate):
    post_id = make_post(author="ana", status="hidden")
    deactivate("ana")

    own = client.get(f"{POSTS}/my", headers=as_user("ana"))
    hidden = client.get(f"{POSTS}/{post_id}", headers=as_user("ana"))
    status = client.get(f"{POSTS}/{post_id}/like/status", headers=as_user("ana"))

    assert [post["id"] for post in own.json["data"]] == [post_id]
    assert (hidden.status_code, status.status_code) == (200, 200)


def test_it_is_told_that_it_may_not_upload(client, as_user, deactivate):
    before = client.get(f"{POSTS}/media/check-permissions", headers=as_user("ana"))
    deactivate("ana")

    after = client.get(f"{POSTS}/media/check-permissions", headers=as_user("ana"))

    assert (before.status_code, before.json["data"]["has_permission"]) == (200, True)
    assert (after.status_code, after.json["data"]["has_permission"]) == (200, False)


# What the check costs


@pytest.fixture
def lookups(app):
    """Note the queries on deactivated accounts that a block sends, with their parameters."""

    @contextmanager
    def noting():
        noted = []

        def note(_connection, _cursor, statement, parameters, *_rest):
            if "deactivated_accounts" in statement:
                noted.append((statement, parameters))

        with app.app_context():
            engines = list(db.engines.values())
        for engine in engines:
            event.listen(engine, "before_cursor_execute", note)
        try:
            yield noted
        finally:
            for engine in engines:
                event.remove(engine, "before_cursor_execute", note)

    return noting


def test_a_write_to_a_post_looks_the_account_up_by_a_query_that_it_sends_anyway(
    app, client, make_post, as_user, *, lookups
):
    queries = {}
    for method, path in write_routes(app, "{post_id}"):
        url = path.replace("{post_id}", make_post(author="ana"))
        with lookups() as noted:
            response = client.open(url, method=method, headers=as_user("ana"), json=WHOLE)
        if response.status_code < 300:
            queries[method, path] = [statement.count("FROM") == 1 for statement, _ in noted]  # the account's own query

    assert queries.pop(("POST", f"{API}/categories"))[0] is True  # before the request is looked at
    assert len(queries) >= 7
    assert all(found and not any(found) for found in queries.values()), queries


def test_a_refused_write_looks_the_account_up_once_more_at_most(client, as_user, lookups):
    with lookups() as noted:
        statuses = [
            client.patch(f"{POSTS}/{UNKNOWN_ID}", headers=as_user("ana"), json=body).status_code for body in (NEW, {})
        ]

    assert statuses == [404, 400]
    assert len(noted) <= 3


def test_the_lookup_is_by_the_primary_key(app, client, make_post, as_user, deactivate, *, lookups, database):
    make_post(author="ana")
    for name in ("ana", "bo", "root"):
        deactivate(name)
    with lookups() as noted:
        client.post(POSTS, json=NEW, headers=as_user("ana"))

    explain = "EXPLAIN QUERY PLAN" if database == "sqlite" else "EXPLAIN FORMAT=TRADITIONAL"
    with app.app_context():
        plans = db.session.connection().exec_driver_sql(f"{explain} {noted[0][0]}", noted[0][1]).mappings().all()
    [plan] = [plan for plan in plans if "deactivated_accounts" in (plan.get("table") or plan.get("detail") or "")]

    if database == "sqlite":
        assert re.match(r"SEARCH .+ INDEX sqlite_autoindex_deactivated_accounts_1 \(user_id=\?\)", plan["detail"])
    else:
        assert (plan["type"], plan["key"]) == ("const", "PRIMARY")  # one row at most


@pytest.mark.parametrize("who", ["ana", "nobody"])
def test_public_reads_look_no_account_up(client, make_post, as_user, lookups, who):
    post_id = make_post(author="ana")
    paths = [POSTS, f"{POSTS}/{post_id}", f"{POSTS}/{post_id}/like/status?user_id=x", f"{API}/categories", "/health"]

    with lookups() as noted:
        statuses = [client.get(path, headers=as_user(who)).status_code for path in paths]

    assert statuses == [200] * 5
    assert noted == []


def test_nor_does_a_list_of_one_s_own_posts(client, as_user, lookups):
    with lookups() as noted:
        response = client.get(f"{POSTS}/my", headers=as_user("ana"))

    assert response.status_code == 200
    assert noted == []


def test_an_account_is_not_looked_up_without_a_good_token(app, client, lookups):
    with lookups() as noted:
        for method, path in write_routes(app, UNKNOWN_ID):
            client.open(path, method=method, headers={"Authorization": "Bearer broken"})

    assert noted == []


# Commands


def test_a_reactivated_account_writes_again(client, as_user, deactivate, flask, user_id):
    deactivate("ana")

    result = flask("users", "reactivate", user_id("ana"))

    assert (result.exit_code, result.output) == (0, f"Reactivated {user_id('ana')}.\n")
    assert client.post(POSTS, json=NEW, headers=as_user("ana")).status_code == 201


def test_no_other_account_is_reactivated(client, as_user, deactivate, flask, user_id):
    for name in ("ana", "bo"):
        deactivate(name)

    flask("users", "reactivate", user_id("ana"))

    assert fault(client.post(POSTS, json=NEW, headers=as_user("bo"))) == REFUSED


def test_a_reactivated_account_can_be_deactivated_again(client, as_user, deactivate, flask, user_id):
    deactivate("ana")
    flask("users", "reactivate", user_id("ana"))

    response = deactivate("ana")

    assert response.status_code == 200
    assert fault(client.post(POSTS, json=NEW, headers=as_user("ana"))) == REFUSED


@pytest.mark.parametrize("sub", ["nobody-s", "' OR '1'='1", ""], ids=["unknown", "SQL", "empty"])
def test_an_account_that_is_not_deactivated_cannot_be_reactivated(client, as_user, deactivate, flask, sub):
    deactivate("ana")

    result = flask("users", "reactivate", sub)

    assert (result.exit_code, result.output) == (1, f"Error: no account of {sub} is deactivated\n")
    assert fault(client.post(POSTS, json=NEW, headers=as_user("ana"))) == REFUSED


def test_a_reactivation_needs_a_sub(flask):
    result = flask("users", "reactivate")

    assert result.exit_code == 2
    assert "Missing argument 'SUB'" in result.output


def test_deactivated_accounts_are_listed_the_latest_first(app, deactivate, flask, user_id):
    for name, year in (("ana", 2021), ("bo", 2023), ("root", 2022)):
        deactivate(name)
        with app.app_context():
            this = update(RestrictedAccount).where(RestrictedAccount.user_id == user_id(name))
            db.session.execute(this.values(created_at=LONG_AGO.replace(year=year)))
            db.session.commit()

    result = flask("users", "list-deactivated")

    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"{year}-01-02T03:04:05.000Z  {user_id(name)}  {name}"
        for name, year in (("bo", 2023), ("root", 2022), ("ana", 2021))
    ]


def test_a_list_of_accounts_ends_where_it_is_told(flask, client, as_user):
    for name in ("ana", "bo"):
        client.post("/api/v1/users/me/deactivate", headers=as_user(name))

    result = flask("users", "list-deactivated", "--limit", "1")

    assert len(result.output.splitlines()) == 1


def test_a_list_of_no_accounts_is_empty(flask):
    result = flask("users", "list-deactivated")

    assert (result.exit_code, result.output) == (0, "")
