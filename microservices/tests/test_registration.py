"""``POST /auth/register``."""

import re
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from auth import accounts
from microservices.tests.callers import PASSWORD, Direct, new_email
from microservices.tests.running import PATIENCE_SECONDS
from shared.dynamodb import ConditionFailed, Table


def stored(aws, email):
    return aws.get_item(TableName="microservices-users", Key={"userId": {"S": email}})["Item"]


def test_a_registration_makes_a_user(api, aws):
    email = new_email()

    answer = api.register(email, name="Ana")

    assert (answer.status, answer.text) == (
        201,
        f'{{"message": "User created successfully", "userId": "{email}"}}',
    )
    item = stored(aws, email)
    assert item.keys() == {"userId", "accountId", "name", "role", "passwordHash", "sessionEpoch", "createdAt"}
    assert UUID(item["accountId"]["S"]).version == 7
    assert item["role"] == {"S": "user"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", item["createdAt"]["S"])


@pytest.mark.parametrize("field", ["email", "password", "name"])
@pytest.mark.parametrize("value", [None, "", ...], ids=["null", "empty", "absent"])
def test_a_field_that_is_missing_is_told_in_the_documents_words(api, field, value):
    body = {"email": new_email(), "password": PASSWORD, "name": "Ana", field: value}
    if value is ...:
        del body[field]

    answer = api("POST", "/auth/register", body)

    assert answer.error == (400, "missing_fields", "Email, password, and name required")


WRONG = {
    "a password that is a number": ("password", 1),
    "a password that is false": ("password", False),
    "a password that is a list": ("password", ["password123"]),
    "7 characters": ("password", "1234567"),
    "129 characters": ("password", "x" * 129),
    "8 characters that are 7 in NFC": ("password", "123456e\u0301"),
    "an address that is a number": ("email", 1),
    "an address without @": ("email", "nobody"),
    "an address with two @": ("email", "a@b@c"),
    "nobody at all": ("email", "@example.com"),
    "a space inside": ("email", "a b@example.com"),
    "a line inside": ("email", "a\nb@example.com"),
    "a letter beyond ASCII": ("email", "é@example.com"),
    "Kelvin, which lower-cases to k": ("email", "\u212a@example.com"),
    "255 characters of an address": ("email", "a" * 243 + "@example.com"),
    "3,000 characters of an address": ("email", "a" * 3000 + "@example.com"),
    "a name that is a number": ("name", 7),
    "a name of spaces": ("name", "  \t "),
    "a name of 101 characters": ("name", "x" * 101),
    "a name with a NUL": ("name", "a\x00b"),
    "a name of two lines": ("name", "a\nb"),
}


@pytest.mark.parametrize(("field", "value"), WRONG.values(), ids=WRONG)
def test_a_field_that_is_wrong_is_named(api, field, value):
    answer = api("POST", "/auth/register", {"email": new_email(), "password": PASSWORD, "name": "Ana", field: value})

    assert answer.error == (400, "validation_error", "Validation failed")
    assert [one["field"] for one in answer.json["details"]] == [field]
    assert all(one["message"] for one in answer.json["details"])


def test_all_that_is_wrong_is_told_at_once(api):
    answer = api("POST", "/auth/register", {"email": 1, "password": "short", "name": "\x07"})

    assert [one["field"] for one in answer.json["details"]] == ["email", "password", "name"]


@pytest.mark.parametrize("length", [8, 128])
def test_the_shortest_and_the_longest_password_are_taken(api, length):
    email = new_email()

    assert api.register(email, password="é" * length).status == 201

    assert api.log_in(email, "é" * length).status == 200
    assert api.log_in(email, unicodedata.normalize("NFD", "é" * length)).status == 200
    assert api.log_in(email, "é" * length + " ").status == 401


def test_a_password_is_not_trimmed(api):
    email = new_email()

    api.register(email, password="  password  ")

    assert api.log_in(email, "  password  ").status == 200
    assert api.log_in(email, "password").status == 401


def test_a_name_is_trimmed_and_composed(api):
    email = new_email()
    api.register(email, name="  Ana\u0301 한글  ")

    assert api.log_in(email).json["user"]["name"] == "Aná 한글"


@pytest.mark.parametrize("written", ["{}", " {} ", "{}\n"])
def test_an_address_is_one_however_it_is_written(api, written):
    email = new_email()
    api.register(written.format(email.upper()))

    assert api.log_in(email).json["user"]["userId"] == email
    assert api.log_in(written.format(email.title())).status == 200
    assert api.register(email).error == (409, "user_exists", "User already exists")
    assert api.register(email.swapcase()).status == 409


def test_a_longest_address_is_taken(api):
    email = "a" * 222 + new_email()[:20] + "@example.com"
    assert len(email) == 254

    assert api.register(email).status == 201
    assert api.log_in(email).status == 200


def test_of_32_registrations_at_once_one_makes_the_user(api):
    email = new_email()
    start = threading.Barrier(32, timeout=PATIENCE_SECONDS)

    def register(number):
        caller = Direct(api.address)
        start.wait()
        written = email.upper() if number % 2 else email
        return api_status(caller, written, f"password-{number}")

    with ThreadPoolExecutor(32) as pool:
        statuses = list(pool.map(register, range(32)))

    assert sorted(statuses) == [201] + [409] * 31
    logins = [api.log_in(email, f"password-{number}").status for number in (statuses.index(201),)]
    assert logins == [200]


def api_status(caller, email, password):
    """One registration through the service: the handler itself takes one event at a time, as in a Lambda."""
    try:
        accounts.register_user(email=email.lower(), password=password, name="Ana", address=caller.address)
    except accounts.UserExists:
        return 409
    return 201


def test_a_registration_whose_answer_was_lost_is_not_taken_for_another(api, monkeypatch):
    """boto3 repeats the write, and finds the user that its first try made."""
    put = Table.put

    def put_twice(self, item, **arguments):
        put(self, item, **arguments)
        put(self, item, **arguments)

    monkeypatch.setattr(Table, "put", put_twice)

    assert api.register().status == 201


def test_a_taken_address_keeps_its_password(api, monkeypatch):
    ana = api.person()

    assert api.register(ana.email, password="another password").status == 409

    assert api.log_in(ana.email, "another password").status == 401
    assert api.log_in(ana.email).status == 200


def test_a_failed_condition_is_no_other_error(aws):
    table = Table("microservices-users", key="userId")
    table.put({"userId": "x@y", "accountId": "1"})

    with pytest.raises(ConditionFailed) as failure:
        table.put({"userId": "x@y"}, condition="attribute_not_exists(#userId)")

    assert failure.value.item == {"userId": "x@y", "accountId": "1"}
