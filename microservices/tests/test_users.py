"""The users service."""

import base64
import json
import re
import shlex
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

import pytest

from microservices.tests.callers import new_email
from microservices.tests.running import PATIENCE_SECONDS, PROJECT
from shared import dynamodb
from shared.dynamodb import Table
from shared.people import Caller
from users import directory

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def caller(person, role="user"):
    return Caller(person.account_id, person.email, role)


# One user


def test_a_user_reads_their_own_profile(api):
    ana = api.person()

    answer = api("GET", f"/users/{quote(ana.email)}", token=ana.token)

    assert answer.status == 200
    assert answer.json == {
        "userId": ana.email,
        "name": "Ana",
        "accountId": ana.account_id,
        "role": "user",
        "createdAt": answer.json["createdAt"],
    }
    assert TIME.fullmatch(answer.json["createdAt"])


@pytest.mark.parametrize("address", ["a+b", "a%b", "a/b", "a'b", "a?b", "a#b", "a&b=c", "a%2bb"])
def test_an_address_in_the_path_is_decoded_once(api, address):
    ana = api.person(f"{address}-{new_email()}")

    answer = api("GET", f"/users/{quote(ana.email, safe='')}", token=ana.token)

    assert answer.json["userId"] == ana.email


def test_an_address_in_the_path_is_the_same_however_it_is_written(api):
    ana = api.person()

    for written in (ana.email.upper(), f" {ana.email}"):
        assert api("GET", f"/users/{quote(written, safe='')}", token=ana.token).json["userId"] == ana.email


@pytest.mark.parametrize(
    ("method", "suffix", "body"),
    [("GET", "", None), ("PUT", "", {"name": "Bo"}), ("DELETE", "", None), ("PUT", "/role", {"role": "admin"})],
)
def test_nobody_else_may_read_or_change_a_user(api, method, suffix, body):
    ana, bo = api.person(), api.person()

    for email in (ana.email, new_email()):
        answer = api(method, f"/users/{email}{suffix}", body, token=bo.token)
        assert answer.error == (403, "forbidden", "Forbidden")

    assert api("GET", f"/users/{ana.email}", token=ana.token).json["name"] == "Ana"
    assert api("GET", f"/users/{bo.email}", token=bo.token).json["role"] == "user"


def test_rights_are_told_before_what_is_wrong_with_the_body(api):
    bo = api.person()

    assert api("PUT", f"/users/{new_email()}", raw="x" * 70_000, token=bo.token).status == 403
    assert api("PUT", f"/users/{bo.email}/role", raw="{", token=bo.token).status == 403


def test_an_admin_reads_and_changes_any_user(api, admin):
    ana = api.person()
    target = f"/users/{ana.email}"

    assert api("PUT", target, {"name": "Ana B"}, token=admin.token).json == {"message": "User updated successfully"}
    profile = api("GET", target, token=admin.token).json
    assert (profile["name"], TIME.fullmatch(profile["updatedAt"]) is not None) == ("Ana B", True)
    assert api("DELETE", target, token=admin.token).status == 204
    assert api("GET", target, token=admin.token).error == (404, "user_not_found", "User not found")


@pytest.mark.parametrize("user_id", ["nobody@example.com", "nobody", "x" * 3000, "é@b", "%00", "%20", "\ud800"])
@pytest.mark.parametrize(
    ("method", "suffix", "body"),
    [("GET", "", None), ("PUT", "", {"name": "Bo"}), ("DELETE", "", None), ("PUT", "/role", {"role": "admin"})],
)
def test_an_admin_learns_that_there_is_no_such_user(api, admin, aws, method, suffix, body, user_id):
    target = user_id if user_id.isascii() else quote(user_id.encode(errors="surrogatepass"))

    answer = api(method, f"/users/{target}{suffix}", body, token=admin.token)

    assert answer.error == (404, "user_not_found", "User not found")


# The name


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"nothing": "known"},
        {"name": None},
        {"name": 7},
        {"name": True},
        {"name": ["Ana"]},
        {"name": ""},
        {"name": "   "},
        {"name": "x" * 101},
        {"name": "x" * 60_000},
        {"name": "a\u0000b"},
        {"name": "a\u0085b"},
        {"name": "a\u2028b"},
        {"email": "new@example.com", "role": "admin"},
    ],
)
def test_a_change_of_nothing_or_to_no_name_is_refused(api, body):
    ana = api.person()

    answer = api("PUT", f"/users/{ana.email}", body, token=ana.token)

    assert answer.error == (400, "validation_error", "Validation failed")
    assert [one["field"] for one in answer.json["details"]] == ["name"]
    profile = api("GET", f"/users/{ana.email}", token=ana.token).json
    assert (profile["name"], profile["role"], "updatedAt" in profile) == ("Ana", "user", False)


@pytest.mark.parametrize(
    ("written", "kept"), [("  Bo  ", "Bo"), ("x" * 100, "x" * 100), ("e\u0301", "é"), ("한글 이름", "한글 이름")]
)
def test_a_name_is_changed(api, written, kept):
    ana = api.person()
    body = {"name": written, "role": "admin", "passwordHash": "x", "sessionEpoch": 9}

    answer = api("PUT", f"/users/{ana.email}", body, token=ana.token)

    assert (answer.status, answer.text) == (200, '{"message": "User updated successfully"}')
    profile = api("GET", f"/users/{ana.email}", token=ana.token).json
    assert (profile["name"], profile["role"]) == (kept, "user")
    assert api.log_in(ana.email).json["user"]["name"] == kept


def test_a_change_never_brings_a_deleted_user_back(api, admin, aws):
    ana = api.person()
    api("DELETE", f"/users/{ana.email}", token=ana.token)

    with pytest.raises(directory.UserNotFound):
        directory.rename_user(caller(ana), ana.email, "Ana B")
    with pytest.raises(directory.UserNotFound):
        directory.set_role(caller(admin, "admin"), ana.email, "admin")

    assert "Item" not in aws.get_item(TableName="microservices-users", Key={"userId": {"S": ana.email}})


def test_a_deleted_users_late_request_never_reaches_who_has_the_address_now(api):
    """The request was let through, then the address changed hands."""
    ana = api.person()
    api("DELETE", f"/users/{ana.email}", token=ana.token)
    heir = api.person(ana.email)

    with pytest.raises(directory.UserNotFound):
        directory.get_user(caller(ana), ana.email)
    with pytest.raises(directory.UserNotFound):
        directory.rename_user(caller(ana), ana.email, "Ana B")
    with pytest.raises(directory.UserNotFound):
        directory.delete_user(caller(ana), ana.email)

    assert api("GET", f"/users/{ana.email}", token=heir.token).json["name"] == "Ana"


# The role


def test_an_admin_gives_and_takes_the_role(api, admin):
    ana = api.person()
    target = f"/users/{ana.email}/role"

    assert api("GET", "/users", token=ana.token).status == 403
    assert api("PUT", target, {"role": "admin"}, token=admin.token).json == {"message": "User updated successfully"}
    assert api("GET", "/users", token=ana.token).status == 200
    assert api("PUT", target, {"role": "user"}, token=admin.token).status == 200
    assert api("GET", "/users", token=ana.token).error == (403, "forbidden", "Forbidden")


@pytest.mark.parametrize("body", [{}, {"role": "root"}, {"role": None}, {"role": ["admin"]}, {"role": "Admin"}])
def test_there_are_two_roles(api, admin, body):
    ana = api.person()

    answer = api("PUT", f"/users/{ana.email}/role", body, token=admin.token)

    assert answer.error == (400, "validation_error", "Validation failed")
    assert [one["field"] for one in answer.json["details"]] == ["role"]


@pytest.mark.parametrize("role", ["user", "admin"])
def test_admins_never_change_their_own_role(api, admin, role):
    answer = api("PUT", f"/users/{admin.email}/role", {"role": role}, token=admin.token)

    assert answer.error == (409, "own_role", "Admins cannot change their own role")


def test_an_admin_who_was_demoted_meanwhile_changes_no_role(api, admin):
    other, ana = api.person(role="admin"), api.person()
    api("PUT", f"/users/{admin.email}/role", {"role": "user"}, token=other.token)

    with pytest.raises(directory.Forbidden):
        directory.set_role(caller(admin, "admin"), ana.email, "admin")

    assert api("GET", f"/users/{ana.email}", token=ana.token).json["role"] == "user"


def test_of_two_admins_who_demote_each_other_one_stays(api):
    for _ in range(10):
        pair = [api.person(role="admin"), api.person(role="admin")]
        start = threading.Barrier(2, timeout=PATIENCE_SECONDS)

        def demote(number, pair=pair, start=start):
            start.wait()
            try:
                directory.set_role(caller(pair[number], "admin"), pair[1 - number].email, "user")
            except directory.Forbidden:
                return 403
            return 200

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(demote, range(2))) == [200, 403]


CONFLICTS = {
    "transact_write_items": ("TransactionCanceledException", ["None", "TransactionConflict"]),
    "transact_get_items": ("TransactionCanceledException", ["TransactionConflict", "None", "None"]),
    "update_item": ("TransactionConflictException", []),
}


class Busy:
    """DynamoDB, whose first calls of one operation meet a transaction."""

    def __init__(self, client, operation, times):
        self._client, self._operation, self._left = client, operation, times

    def __getattr__(self, name):
        found = getattr(self._client, name)
        if name != self._operation or self._left == 0:
            return found
        self._left -= 1
        code, reasons = CONFLICTS[name]
        response = {"Error": {"Code": code}, "CancellationReasons": [{"Code": reason} for reason in reasons]}

        def busy(**_):
            raise getattr(self._client.exceptions, code)(response, name)

        return busy


@pytest.mark.parametrize("operation", CONFLICTS)
@pytest.mark.parametrize(("times", "is_done"), [(1, True), (5, True), (6, False)])
def test_a_call_that_meets_a_transaction_is_repeated(api, admin, monkeypatch, operation, times, is_done):
    """The stand-in has no such meetings, since its calls wait for each other."""
    ana = api.person()
    monkeypatch.setattr(dynamodb.time, "sleep", lambda _: None)
    busy = Busy(dynamodb.client(), operation, times)
    monkeypatch.setattr(dynamodb, "client", lambda: busy)

    statuses = {
        "transact_write_items": lambda: api("PUT", f"/users/{ana.email}/role", {"role": "admin"}, token=admin.token),
        "transact_get_items": lambda: api.log_in(ana.email),
        "update_item": lambda: api("PUT", f"/users/{ana.email}", {"name": "Ana B"}, token=ana.token),
    }

    assert statuses[operation]().status == (200 if is_done else 500)


@pytest.mark.parametrize("page", ["README.md", "README.ko.md"])
def test_the_pages_command_makes_the_first_admin(api, aws, page):
    """Its options are boto3's arguments."""
    ana = api.person()
    text = (PROJECT / "microservices" / page).read_text().replace("EMAIL", ana.email)
    _, service, operation, *options = shlex.split(re.search(r"^aws .*$", text, flags=re.MULTILINE)[0])
    assert (service, operation) == ("dynamodb", "update-item")
    arguments = {
        "".join(map(str.capitalize, name.removeprefix("--").split("-"))): json.loads(text) if "{" in text else text
        for name, text in zip(options[::2], options[1::2], strict=True)
    }

    aws.update_item(**arguments)

    assert api("GET", "/users?limit=1", token=ana.token).status == 200


# The list


def pages(api, admin, query=""):
    """Follow the links, from the request's own address as a client does."""
    url = f"https://shop.example/api/users{query}"
    while url:
        parts = urlsplit(url)
        assert parts.path == "/api/users"
        answer = api("GET", f"/users?{parts.query}", token=admin.token)
        assert answer.status == 200, answer.text
        yield answer
        if "link" not in answer.headers:
            assert "x-next-cursor" not in answer.headers
            return
        link = re.fullmatch(r'<(.+)>; rel="next"', answer.headers["link"])[1]
        assert dict(parse_qsl(urlsplit(link).query))["cursor"] == answer.headers["x-next-cursor"]
        url = urljoin(url, link)


def test_the_list_is_for_admins(api):
    ana = api.person()

    assert api("GET", "/users", token=ana.token).error == (403, "forbidden", "Forbidden")


def test_an_entry_has_the_documents_three_fields(users_table, api, admin):
    ana = api.person()

    [listing] = pages(api, admin)

    assert {entry["userId"] for entry in listing.json} == {ana.email, admin.email}
    assert all(list(entry) == ["userId", "name", "createdAt"] for entry in listing.json)


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1] * 4), (2, [2, 2]), (3, [3, 1]), (4, [4]), (100, [4])])
def test_a_list_has_pages_and_the_last_names_no_next(users_table, api, admin, limit, sizes):
    emails = {admin.email, *(api.person().email for _ in range(3))}

    found = list(pages(api, admin, f"?limit={limit}&x=%26"))

    assert [len(page.json) for page in found] == sizes
    assert sorted(entry["userId"] for page in found for entry in page.json) == sorted(emails)
    assert all("x=%26" in page.headers["link"] for page in found[:-1])


def test_a_page_has_50_users_unless_it_is_asked_otherwise(users_table, api, admin):
    fill("page", 60)

    assert [len(page.json) for page in pages(api, admin)] == [50, 11]


def fill(prefix, number):
    for one in range(number):
        directory.users().put(
            {"userId": f"{prefix}{one}@example.com", "name": "x", "createdAt": "2026-01-01T00:00:00.000Z"}
        )


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "x", "", "٣", "1e1", "9" * 5000, "+1", " 1"])
def test_a_limit_is_from_1_to_100(api, admin, limit):
    answer = api("GET", f"/users?limit={quote(limit)}", token=admin.token)

    assert answer.error == (400, "validation_error", "Validation failed")
    assert [one["field"] for one in answer.json["details"]] == ["limit"]


def cursor(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "***",
        "é",
        cursor("a"),
        cursor([]),
        cursor([1]),
        cursor([""]),
        cursor(["a", "b"]),
        cursor(["\ud800"]),
        cursor(["é"]),
        cursor({"a": 1}),
        "x" * 5000,
        "W" * 1024,
    ],
)
def test_a_cursor_is_one_that_was_given(api, admin, text):
    answer = api("GET", f"/users?cursor={quote(text)}", token=admin.token)

    assert answer.error == (400, "validation_error", "Validation failed")
    assert [one["field"] for one in answer.json["details"]] == ["cursor"]


def test_a_page_goes_on_where_its_last_user_was_even_if_they_are_gone(users_table, api, admin):
    emails = {admin.email, *(api.person().email for _ in range(5))}
    seen, gone = [], set()

    for page in pages(api, admin, "?limit=2"):
        seen += [entry["userId"] for entry in page.json]
        if page.json[-1]["userId"] != admin.email:
            gone.add(page.json[-1]["userId"])
            assert api("DELETE", f"/users/{page.json[-1]['userId']}", token=admin.token).status == 204

    assert gone
    assert sorted(seen) == sorted(emails)


def test_a_page_is_full_though_one_read_ends_at_a_megabyte(users_table, api, admin):
    for one in range(30):
        directory.users().put({"userId": f"big{one}@example.com", "name": "x", "createdAt": "x", "pad": "x" * 100_000})

    found = list(pages(api, admin, "?limit=25"))

    assert [len(page.json) for page in found] == [25, 6]


def test_numbers_and_texts_stay_what_they_are(aws):
    table = Table("microservices-users", key="userId")
    table.put({"userId": "x@y", "sessionEpoch": 2**53, "flag": True, "none": None, "text": "7"})

    assert table.get("x@y", "sessionEpoch", "flag", "none", "text") == {
        "sessionEpoch": 2**53,
        "flag": True,
        "none": None,
        "text": "7",
    }
    table.delete("x@y")
