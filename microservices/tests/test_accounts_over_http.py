"""Invariants of accounts through the gateway, with many callers at once; each test prints its figures."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from hashlib import sha256
from urllib.parse import quote

import pytest

from microservices.local.aws import connect
from microservices.tests.callers import PASSWORD, Http, new_email
from microservices.tests.running import PATIENCE_SECONDS
from tests.servers import wait_until

RACERS, ROUNDS = 32, 20


@pytest.fixture
def api(platform, aws):
    return Http(platform)


def at_once(number, deed):
    """The results of a deed that as many threads begin together."""
    start = threading.Barrier(number, timeout=PATIENCE_SECONDS)

    def begin(one):
        start.wait()
        return deed(one)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(begin, range(number)))


def test_the_documents_lines_are_answered_as_documented(api):
    """Its own example, with the bytes of the document."""
    register = api(
        "POST", "/auth/register", {"email": "test@example.com", "password": "password123", "name": "Test User"}
    )
    login = api("POST", "/auth/login", {"email": "test@example.com", "password": "password123"})

    assert register.status == 201
    assert register.text == '{"message": "User created successfully", "userId": "test@example.com"}'
    user = login.json["user"]
    assert login.text == (
        f'{{"sessionId": "{login.json["sessionId"]}", "expiresAt": "{login.json["expiresAt"]}", '
        f'"user": {{"userId": "test@example.com", "name": "Test User", "accountId": "{user["accountId"]}", '
        f'"role": "user"}}}}'
    )
    verify = api("GET", "/auth/verify", token=login.json["sessionId"])
    assert verify.json == {
        "valid": True,
        "userId": "test@example.com",
        "role": "user",
        "expiresAt": login.json["expiresAt"],
    }


def test_of_32_parallel_registrations_one_wins_and_its_password_alone_logs_in(platform, capsys):
    won = 0
    for _ in range(ROUNDS):
        racers, email = [Http(platform) for _ in range(RACERS)], new_email()

        def register(number, racers=racers, email=email):
            written = email.upper() if number % 2 else email
            return racers[number].register(written, password=f"password-{number}").status

        statuses = at_once(RACERS, register)
        won += statuses.count(201)
        assert sorted(statuses) == [201] + [409] * (RACERS - 1)
        winner = statuses.index(201)
        assert racers[winner].log_in(email, f"password-{winner}").status == 200
        for loser in {0, 1, RACERS - 1} - {winner}:
            assert racers[loser].log_in(email, f"password-{loser}").status == 401
    with capsys.disabled():
        print(f"\n  {ROUNDS} rounds of {RACERS} registrations of one address: {won} winners")


def test_a_session_is_good_until_its_end_and_not_at_it(api, stand_in, capsys):
    """The end is moved into the next second; what counts is when a request was sent and when it was answered."""
    client = connect("dynamodb", stand_in)
    early = late = 0
    seconds = 0.5
    for _ in range(5):
        ana, refused = api.person(), 0
        end = time.time() + seconds
        client.update_item(
            TableName="microservices-sessions",
            Key={"sessionId": {"S": sha256(ana.token.encode()).hexdigest()}},
            UpdateExpression="SET expiresAt = :end",
            ExpressionAttributeValues={":end": {"N": str(Decimal(end))[:20]}},
        )
        while (sent := time.time()) < end + 0.3 or not refused:
            answer = api("GET", "/auth/verify", token=ana.token)
            if time.time() < end:
                early += 1
                assert answer.status == 200
            elif sent >= end:
                refused += 1
                assert answer.error == (401, "session_expired", "Session expired")
                assert api("GET", f"/users/{ana.email}", token=ana.token).error[1] == "session_expired"
        late += refused
        seconds *= 1 if early else 2  # a busy machine answers later
    assert early
    assert late
    with capsys.disabled():
        print(f"\n  {early} requests answered before the end: all good; {late} sent after it: all refused")


ENDS = ["logout", "logout-all", "password", "demotion", "deletion"]


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_granted_after_the_answer_that_took_it(api, admin, end, capsys):
    """200 requests from 16 threads, which are at it before the answer, and go on after."""
    ana = api.person(role="admin" if end == "demotion" else "user")
    target = "/users?limit=1" if end == "demotion" else f"/users/{ana.email}"
    refused = 403 if end == "demotion" else 401
    answered_at = None
    sent_before, sent_after, wrong = [], [], []
    enough = threading.Event()

    def ask(number):
        route = target if number % 2 or end == "demotion" else "/auth/verify"
        while not enough.is_set():
            is_after = answered_at is not None
            status = api("GET", route, token=ana.token).status
            (sent_after if is_after else sent_before).append(status)
            if is_after and status != refused:
                wrong.append((route, status))
            if len(sent_after) >= 200:
                enough.set()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: sent_before.count(200) >= len(threads), what="nobody is answered")
        answer = take(api, admin, ana, end)
        answered_at = time.monotonic()
    except BaseException:
        enough.set()
        raise
    finally:
        for thread in threads:
            thread.join()

    assert answer.status in (200, 204)
    assert 200 in sent_before
    assert wrong == []
    assert len(sent_after) >= 200
    with capsys.disabled():
        print(f"\n  {end}: {len(sent_before)} requests before its answer; after it 0 of {len(sent_after)} granted")


def take(api, admin, person, end):
    if end == "logout":
        return api("POST", "/auth/logout", token=person.token)
    if end == "logout-all":
        return api("POST", "/auth/logout-all", token=person.token)
    if end == "password":
        change = {"currentPassword": PASSWORD, "newPassword": "a new password"}
        return api("PUT", "/auth/password", change, token=person.token)
    if end == "demotion":
        return api("PUT", f"/users/{person.email}/role", {"role": "user"}, token=admin.token)
    return api("DELETE", f"/users/{person.email}", token=admin.token)


def logins_around_a_logout(api, ana):
    """Logins as they were sent and answered, and the begin and end of the logout everywhere in their midst."""
    logins, done = [], threading.Event()

    def log_in():
        while not done.is_set():
            sent = time.monotonic()
            logins.append((sent, api.log_in(ana.email).json["sessionId"], time.monotonic()))

    threads = [threading.Thread(target=log_in) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(logins) >= 6, what="nobody logs in before")
        began = time.monotonic()
        assert api("POST", "/auth/logout-all", token=ana.token).status == 204
        ended = time.monotonic()
        wait_until(lambda: sum(sent > ended for sent, _, _ in logins) >= 6, what="nobody logs in after")
    finally:
        done.set()
        for thread in threads:
            thread.join()
    return logins, began, ended


def test_a_logout_everywhere_parts_the_logins_before_it_from_those_after(api, capsys):
    """Logins that overlap with it may fall on either side; which is tried with the handlers themselves."""
    counts = {"before": 0, "beside": 0, "after": 0}
    for _ in range(5):
        logins, began, ended = logins_around_a_logout(api, api.person())
        for sent, token, answered in logins:
            side = "before" if answered < began else "after" if sent > ended else "beside"
            counts[side] += 1
            status = api("GET", "/auth/verify", token=token).status
            assert side == "beside" or status == {"before": 401, "after": 200}[side]
    assert counts["before"]
    assert counts["after"]
    with capsys.disabled():
        print(
            f"\n  logins before a logout everywhere, all ended: {counts['before']}; after it, all good: "
            f"{counts['after']}; beside it: {counts['beside']}"
        )


def test_an_address_that_is_registered_anew_sees_nothing_of_the_old_account(api):
    ana = api.person()
    assert api("DELETE", f"/users/{ana.email}", token=ana.token).status == 204

    heir = api.person(ana.email)

    assert heir.account_id != ana.account_id
    for target in ("/auth/verify", f"/users/{ana.email}"):
        assert api("GET", target, token=ana.token).error == (401, "invalid_session", "Invalid session")
    assert api("GET", f"/users/{ana.email}", token=heir.token).json["accountId"] == heir.account_id


@pytest.mark.parametrize("address", ["a+b", "a/b", "a%b", "a%2fb", "a?b", "a#b", "a&b=c", "a'b"])
def test_an_address_goes_through_the_gateway_as_it_is(api, address):
    ana = api.person(f"{address}-{new_email()}")

    answer = api("GET", f"/users/{quote(ana.email, safe='')}", token=ana.token)

    assert (answer.status, answer.json["userId"]) == (200, ana.email)


@pytest.mark.parametrize(
    ("method", "target", "body_bytes", "error"),
    [
        ("GET", "/nothing", 0, (404, "not_found", "Not found")),
        ("POST", "/users", 70_000, (405, "method_not_allowed", "Method not allowed")),
        ("POST", "/auth/verify", 70_000, (405, "method_not_allowed", "Method not allowed")),
        ("PUT", "/users/a%40b", 70_000, (401, "authorization_required", "Authorization header required")),
        ("PUT", "/auth/password", 70_000, (401, "authorization_required", "Authorization header required")),
        ("POST", "/auth/login", 70_000, (413, "payload_too_large", "Payload too large")),
        ("POST", "/auth/login", 7, (415, "unsupported_media_type", "Content-Type must be application/json")),
    ],
)
def test_what_is_wrong_first_is_told(api, method, target, body_bytes, error):
    """No route, no such method, no token, too large, another type: in this order."""
    answer = api(method, target, raw=b"x" * body_bytes, headers={"Content-Type": "text/plain"})

    assert answer.error == error
    assert answer.json["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["/auth/login", "/auth/login/"])
def test_a_trailing_slash_changes_no_route(api, path):
    ana = api.person()

    assert api("POST", path, {"email": ana.email, "password": PASSWORD}).status == 200
