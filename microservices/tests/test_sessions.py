"""Sessions: login, check, and every way to end them."""

import hashlib
import re
from datetime import UTC, datetime, timedelta

import pytest

from auth import accounts, passwords, sessions
from microservices.tests.callers import PASSWORD, answered, new_email
from shared import clock, dynamodb
from shared.dynamodb import Table
from users import handler as users_handler

TOKEN = "A" * 43
SESSION = re.compile(r"[A-Za-z0-9_-]{43}")


def status_of(api, token):
    """The answers of a route of each service, which must agree."""
    verify = api("GET", "/auth/verify", token=token)
    listing = api("GET", "/users", token=token)
    assert (listing.status == 401) == (verify.status == 401)
    if verify.status == 401:
        assert listing.json["code"] == verify.json["code"]
        assert listing.json["error"] == verify.json["error"]
    return verify.status


def all_sessions(aws):
    pages = aws.get_paginator("scan").paginate(TableName="microservices-sessions")
    return [item for page in pages for item in page["Items"]]


# Login


def test_a_login_starts_a_session(api):
    ana = api.person()

    login = api.log_in(ana.email)

    assert login.json.keys() == {"sessionId", "expiresAt", "user"}
    assert SESSION.fullmatch(login.json["sessionId"])
    assert login.json["user"] == {
        "userId": ana.email,
        "name": "Ana",
        "accountId": ana.account_id,
        "role": "user",
    }
    verify = api("GET", "/auth/verify", token=login.json["sessionId"])
    assert verify.json == {
        "valid": True,
        "userId": ana.email,
        "role": "user",
        "expiresAt": login.json["expiresAt"],
    }


@pytest.mark.parametrize(
    "body",
    [{}, {"email": "a@b"}, {"password": "x"}, {"email": "", "password": "x"}, {"email": "a@b", "password": None}],
)
def test_a_login_that_lacks_a_field_is_told_in_the_documents_words(api, body):
    assert api("POST", "/auth/login", body).error == (400, "missing_fields", "Email and password required")


@pytest.mark.parametrize(
    ("field", "value"), [("password", 1), ("email", 1), ("email", ["a@b"]), ("password", {"a": 1})]
)
def test_a_login_by_other_than_texts_is_refused(api, field, value):
    answer = api("POST", "/auth/login", {"email": "a@b.example", "password": PASSWORD, field: value})

    assert answer.error == (400, "validation_error", "Validation failed")
    assert [one["field"] for one in answer.json["details"]] == [field]


@pytest.mark.parametrize("email", ["nobody@example.com", "nobody", "a" * 3000 + "@b", "é@b", "a\x00@b", "-"])
def test_a_login_as_nobody_is_a_wrong_password(api, email):
    answer = api.log_in(email)

    assert answer.error == (401, "invalid_credentials", "Invalid credentials")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("password", ["x", PASSWORD + "x", PASSWORD.upper(), "x" * 60_000])
def test_a_wrong_password_is_told_as_an_unknown_user(api, password):
    ana = api.person()

    assert api.log_in(ana.email, password).error == (401, "invalid_credentials", "Invalid credentials")


# What a session is


def test_the_table_has_no_token(api, aws):
    ana = api.person()

    items = all_sessions(aws)

    assert ana.token not in str(items)
    key = hashlib.sha256(ana.token.encode()).hexdigest()
    [item] = [item for item in items if item["sessionId"]["S"] == key]
    assert item.keys() == {"sessionId", "userId", "accountId", "sessionEpoch", "expiresAt"}
    assert status_of(api, key) == 401


@pytest.mark.parametrize("written", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer   {}", " Bearer {} "])
@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_a_token_is_read_however_the_header_is_written(api, name, written):
    ana = api.person()

    for target in ("/auth/verify", f"/users/{ana.email}"):
        assert api("GET", target, headers={name: written.format(ana.token)}).status == 200


@pytest.mark.parametrize(
    "written",
    [
        "{}",
        "Basic {}",
        "Bearer",
        "Bearer ",
        "Bearer{}",
        "Bearer Bearer {}",
        "{} Bearer ",
        "Bearer {} x",
        "Bearer {}x",
        "Bearer {}, Bearer {}",
        "Bearer\t{}\nx",
        "Bearer " + "x" * 42,
        "Bearer " + "*" * 43,
        "Bearer " + "é" * 43,
        "Bearer " + "x" * 5000,
        "Bearer " + TOKEN,
    ],
)
def test_what_is_no_token_is_an_invalid_session(api, aws, written):
    ana = api.person()

    answer = api("GET", "/auth/verify", headers={"Authorization": written.replace("{}", ana.token)})

    assert answer.error == (401, "invalid_session", "Invalid session")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_what_is_no_token_costs_no_read(api, monkeypatch):
    monkeypatch.setattr(Table, "get", None)

    assert api("GET", "/auth/verify", headers={"Authorization": "Bearer x"}).status == 401


@pytest.mark.parametrize("headers", [{}, {"Authorization": ""}, {"Authorization": "  "}])
@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/auth/verify"), ("POST", "/auth/logout"), ("POST", "/auth/logout-all"), ("PUT", "/auth/password")],
)
def test_a_request_without_a_token_is_told_so(api, method, target, headers):
    answer = api(method, target, headers=headers)

    assert answer.error == (401, "authorization_required", "Authorization header required")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_session_is_asked_for_before_the_body(api):
    assert api("PUT", "/auth/password", raw="{", token=TOKEN).error[:2] == (401, "invalid_session")


# Its end by time


def test_a_session_lasts_a_day_to_the_millisecond(api, set_clock):
    started = datetime(2026, 11, 28, 12, 0, 0, 345_000, UTC)
    set_clock(started)
    ana = api.person()
    end = datetime(2026, 11, 29, 12, 0, 0, tzinfo=UTC)
    assert api("GET", "/auth/verify", token=ana.token).json["expiresAt"] == "2026-11-29T12:00:00.000Z"

    set_clock(end - timedelta(milliseconds=1))
    assert status_of(api, ana.token) == 200
    set_clock(end)
    assert api("GET", "/auth/verify", token=ana.token).error == (401, "session_expired", "Session expired")
    assert status_of(api, ana.token) == 401
    set_clock(end + timedelta(days=400))
    assert api("GET", "/auth/verify", token=ana.token).error[1] == "session_expired"


def test_the_life_of_a_session_is_a_setting(api, monkeypatch, later):
    monkeypatch.setenv("SESSION_TTL_SECONDS", "60")
    ana = api.person()

    later(58.5)
    assert status_of(api, ana.token) == 200
    later(1.5)
    assert status_of(api, ana.token) == 401


def test_the_tables_ttl_is_on_the_attribute_of_sessions_and_counters(aws, api):
    ttl = aws.describe_time_to_live(TableName="microservices-sessions")["TimeToLiveDescription"]
    before = {item["sessionId"]["S"] for item in all_sessions(aws)}
    api.person()
    api.log_in(new_email())

    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "expiresAt")
    items = [item for item in all_sessions(aws) if item["sessionId"]["S"] not in before]
    assert len(items) == 3
    assert all(item["expiresAt"]["N"].isdigit() for item in items)


def test_times_are_utc_with_milliseconds():
    moment = datetime(2026, 1, 2, 12, 4, 5, 678_912, UTC)

    assert clock.isoformat(moment) == "2026-01-02T12:04:05.678Z"
    assert clock.now().utcoffset() == timedelta(0)


# Its end by deed


def test_a_logout_ends_its_session_alone(api):
    ana = api.person()
    other = api.log_in(ana.email).json["sessionId"]

    answer = api("POST", "/auth/logout", token=ana.token)

    assert (answer.status, answer.text) == (204, "")
    assert api("POST", "/auth/logout", token=ana.token).error == (401, "invalid_session", "Invalid session")
    assert status_of(api, ana.token) == 401
    assert status_of(api, other) == 200


def test_a_logout_everywhere_ends_every_session_of_the_user(api):
    ana, bo = api.person(), api.person()
    other = api.log_in(ana.email).json["sessionId"]

    assert api("POST", "/auth/logout-all", token=other).status == 204

    assert [status_of(api, token) for token in (ana.token, other, bo.token)] == [401, 401, 200]
    assert status_of(api, api.log_in(ana.email).json["sessionId"]) == 200


def test_a_change_of_the_password_ends_every_session_but_the_new_one(api):
    ana = api.person()
    other = api.log_in(ana.email).json["sessionId"]
    change = {"currentPassword": PASSWORD, "newPassword": "a new password"}

    answer = api("PUT", "/auth/password", change, token=ana.token)

    assert answer.status == 200
    assert answer.json.keys() == {"sessionId", "expiresAt"}
    assert [status_of(api, token) for token in (ana.token, other, answer.json["sessionId"])] == [401, 401, 200]
    assert api.log_in(ana.email).status == 401
    assert api.log_in(ana.email, "a new password").status == 200


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "missing_fields"),
        ({"currentPassword": PASSWORD}, "missing_fields"),
        ({"currentPassword": "", "newPassword": "a new password"}, "missing_fields"),
        ({"currentPassword": PASSWORD, "newPassword": "short"}, "validation_error"),
        ({"currentPassword": 1, "newPassword": "a new password"}, "validation_error"),
    ],
)
def test_a_change_that_is_wrong_changes_nothing(api, body, error):
    ana = api.person()

    answer = api("PUT", "/auth/password", body, token=ana.token)

    assert (answer.status, answer.json["code"]) == (400, error)
    if error == "validation_error":
        assert answer.json["details"][0]["field"] in body
    assert status_of(api, ana.token) == 200


def test_a_change_needs_the_present_password(api):
    ana = api.person()
    change = {"currentPassword": "wrong password", "newPassword": "a new password"}

    answer = api("PUT", "/auth/password", change, token=ana.token)

    assert answer.error == (401, "invalid_credentials", "Invalid credentials")
    assert status_of(api, ana.token) == 200
    assert api.log_in(ana.email).status == 200


def test_a_users_end_is_their_sessions_end(api):
    ana = api.person()

    assert api("DELETE", f"/users/{ana.email}", token=ana.token).status == 204

    assert status_of(api, ana.token) == 401
    assert api.log_in(ana.email).error[1] == "invalid_credentials"


def test_who_registers_a_deleted_address_anew_is_somebody_else(api):
    ana = api.person()
    api("DELETE", f"/users/{ana.email}", token=ana.token)

    heir = api.person(ana.email)

    assert heir.account_id != ana.account_id
    assert status_of(api, ana.token) == 401
    assert status_of(api, heir.token) == 200


# Races


def during_a_verification(monkeypatch, deed):
    """Do something while a login or a change has the password verified."""
    verify = passwords.verify_password

    def interrupted(password, password_hash):
        monkeypatch.setattr(passwords, "verify_password", verify)
        deed()
        return verify(password, password_hash)

    monkeypatch.setattr(passwords, "verify_password", interrupted)


def test_a_login_that_ran_during_a_logout_everywhere_is_not_alive(api, monkeypatch):
    ana = api.person()
    session = sessions.check_session(f"Bearer {ana.token}")
    during_a_verification(monkeypatch, lambda: sessions.end_all_sessions(session.account))

    login = accounts.log_in(email=ana.email, password=PASSWORD, address=api.address)

    assert status_of(api, login.session.token) == 401


def test_a_change_of_the_password_loses_against_a_logout_everywhere(api, monkeypatch):
    ana = api.person()
    session = sessions.check_session(f"Bearer {ana.token}")
    during_a_verification(monkeypatch, lambda: sessions.end_all_sessions(session.account))

    with pytest.raises(sessions.InvalidSession):
        accounts.change_password(session, current=PASSWORD, new="a new password", address=api.address)

    assert api.log_in(ana.email).status == 200


def test_a_change_of_the_password_never_touches_a_later_owner_of_the_address(api, monkeypatch):
    ana = api.person()
    session = sessions.check_session(f"Bearer {ana.token}")
    api("DELETE", f"/users/{ana.email}", token=ana.token)
    heir = api.person(ana.email)

    with pytest.raises(sessions.InvalidSession):
        accounts.change_password(session, current=PASSWORD, new="a new password", address=api.address)
    with pytest.raises(sessions.InvalidSession):
        sessions.end_all_sessions(session.account)

    assert status_of(api, heir.token) == 200


def test_a_change_whose_answer_was_lost_is_not_taken_for_a_failure(api, monkeypatch):
    """boto3 repeats the write, and finds the hash that its first try stored."""
    ana = api.person()
    update = Table.update

    def update_twice(self, key, expression, **arguments):
        update(self, key, expression, **arguments)
        return update(self, key, expression, **arguments)

    monkeypatch.setattr(Table, "update", update_twice)

    change = {"currentPassword": PASSWORD, "newPassword": "a new password"}
    answer = api("PUT", "/auth/password", change, token=ana.token)

    assert answer.status == 200
    assert status_of(api, answer.json["sessionId"]) == 200


def test_sessions_and_credentials_are_read_consistently(api, monkeypatch):
    """The stand-in is always consistent, so the calls themselves are looked at."""
    calls = []
    ana = api.person()
    client = dynamodb.client()
    monkeypatch.setattr(dynamodb, "client", lambda: Recorded(client, calls))
    api("GET", "/auth/verify", token=ana.token)
    api.log_in(ana.email)
    api("GET", f"/users/{ana.email}", token=ana.token)

    reads = [
        (name, arguments)
        for name, arguments in calls
        if name.startswith(("get_", "transact_get", "query", "scan", "batch_get"))
    ]
    assert len(reads) >= 4
    assert [one for one in reads if one[0] != "transact_get_items" and one[1].get("ConsistentRead") is not True] == []


def test_a_session_that_is_known_is_checked_by_one_call(api, monkeypatch):
    calls = []
    ana = api.person()
    assert api("GET", "/auth/verify", token=ana.token).status == 200
    client = dynamodb.client()
    monkeypatch.setattr(dynamodb, "client", lambda: Recorded(client, calls))

    assert api("GET", "/auth/verify", token=ana.token).status == 200

    assert [name for name, _ in calls] == ["transact_get_items"]


@pytest.mark.parametrize("most", [1, 2, 10_000])
def test_known_sessions_are_as_good_as_the_table_says(api, monkeypatch, most):
    monkeypatch.setattr(sessions, "_OWNERS_MAX", most)
    people = [api.person() for _ in range(3)]

    def statuses():
        return [api("GET", "/auth/verify", token=one.token).status for one in people]

    assert statuses() == [200] * 3
    assert api("POST", "/auth/logout", token=people[0].token).status == 204
    assert statuses() == [401, 200, 200]
    assert api("POST", "/auth/logout-all", token=people[1].token).status == 204
    assert statuses() == [401, 401, 200]
    assert api("DELETE", f"/users/{people[2].email}", token=people[2].token).status == 204
    assert statuses() == [401, 401, 401]
    assert len(sessions._owners) <= most


class Recorded:
    def __init__(self, client, calls):
        self._client, self._calls = client, calls

    def __getattr__(self, name):
        operation = getattr(self._client, name)
        if name == "exceptions":
            return operation

        def call(**arguments):
            self._calls.append((name, arguments))
            return operation(**arguments)

        return call


def test_users_are_not_served_without_an_authorizer(api):
    """Were the authorizer taken from a route, the service would have nobody to serve."""
    event = api.event("GET", "/users", token=TOKEN)

    for authorizer in (None, {}, {"principalId": "x"}):
        event["requestContext"]["authorizer"] = authorizer
        answer = answered(users_handler.lambda_handler(event, None))
        assert answer.error == (401, "authorization_required", "Authorization header required")
