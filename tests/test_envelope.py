"""The envelope and the headers that every answer has."""

import gzip
import importlib
import json
import logging
import pkgutil
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pymysql
import pytest
from flask import Flask, abort, session
from flask.testing import FlaskClient
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import ClientDisconnected
from werkzeug.test import TestResponse

import post
from post import messages
from post.errors import ServiceError
from post.shared.memory import SharedCounters
from post.shared.rate_windows import MemoryRateWindows
from post.web import error_answers
from post.web.cors import headers_for

API = "/api/v1"
NO_POST = "0" * 32
MIB = 1024 * 1024
SITE = "https://hhottdogg.shop"
POST = {"title": "제목", "content": "내용"}

# Every code of the contract with its status.
STATUS_OF_CODE = {
    "validation_error": 400,
    "invalid_json": 400,
    "invalid_post_id": 400,
    "malformed_request": 400,
    "token_missing": 401,
    "token_invalid": 401,
    "token_expired": 401,
    "forbidden": 403,
    "account_deactivated": 403,
    "account_suspended": 403,
    "moderated": 403,
    "not_found": 404,
    "post_not_found": 404,
    "category_not_found": 404,
    "media_not_found": 404,
    "report_not_found": 404,
    "method_not_allowed": 405,
    "precondition_failed": 412,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "category_exists": 409,
    "category_in_use": 409,
    "category_limit_reached": 409,
    "already_reported": 409,
    "post_not_deleted": 409,
    "category_merging": 409,
    "pin_limit_reached": 409,
    "media_limit_reached": 409,
    "idempotency_conflict": 409,
    "rate_limited": 429,
    "internal_error": 500,
    "database_unavailable": 503,
    "auth_unavailable": 503,
    "storage_unavailable": 503,
    "request_timeout": 408,
    "uri_too_long": 414,
    "header_fields_too_large": 431,
    "overloaded": 503,
    "gateway_timeout": 504,
}
HANGUL = re.compile(r"[가-힣]")


def error_of(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.json["error"]["code"]


def assert_is_error(response: TestResponse, status: int, code: str) -> None:
    body = response.json
    assert response.status_code == status, response.text
    assert response.mimetype == "application/json"
    assert set(body) == {"success", "message", "error"}
    assert body["success"] is False
    assert isinstance(body["message"], str)
    assert body["message"]
    assert set(body["error"]) == {"code", "status", "details", "request_id"}
    assert (body["error"]["code"], body["error"]["status"]) == (code, status)
    assert isinstance(body["error"]["details"], list)
    assert all(set(detail) == {"field", "message"} for detail in body["error"]["details"])
    assert all(detail["field"] and detail["message"] for detail in body["error"]["details"])
    assert bool(body["error"]["details"]) == (code == "validation_error")
    assert body["error"]["request_id"] == response.headers["X-Request-ID"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Origin" in response.vary


@pytest.fixture(scope="module")
def plain_app(make_app, tmp_path_factory) -> Flask:
    """The service for what is the same on every database, and so is tested once."""
    return make_app(DATABASE_URL=f"sqlite:///{tmp_path_factory.mktemp('plain')}/postdb.sqlite3")


@pytest.fixture
def plain(plain_app) -> FlaskClient:
    return plain_app.test_client()


@pytest.fixture
def ana(plain_app) -> dict[str, str]:
    """Headers of a user of the plain service."""
    token = plain_app.extensions["post"].dev_issuer.issue("ana", [])["access_token"]
    return {"Authorization": f"Bearer {token}"}


# Success


def test_a_success_has_message_and_data(client, make_post):
    post_id = make_post(title="제목")

    response = client.get(f"{API}/posts/{post_id}")

    assert set(response.json) == {"success", "message", "data"}
    assert response.json["success"] is True
    assert response.json["message"]
    assert response.json["data"]["title"] == "제목"


def test_a_list_has_meta_besides(client, make_post):
    make_post()

    response = client.get(f"{API}/posts")

    assert set(response.json) == {"success", "message", "data", "meta"}
    assert response.json["success"] is True


def test_json_is_utf8_with_korean_as_itself(client, make_post):
    post_id = make_post(title="안녕 👋")

    response = client.get(f"{API}/posts/{post_id}")

    assert response.mimetype == "application/json"
    assert "안녕 👋".encode() in response.data
    assert b"\\u" not in response.data


def test_an_error_is_utf8_with_korean_as_itself(plain):
    response = plain.get("/nothing")

    assert HANGUL.search(response.data.decode())
    assert b"\\u" not in response.data


# Errors of each layer


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        f"{API}/nothing",
        f"{API}/",
        "/api",
        f"{API}/posts/",
        f"{API}/posts/{NO_POST}/nothing",
        "/static/app.py",
        "/../config.py",
        "/%00",
        "/api/docs/app.py",
        "/없는/주소",
    ],
)
def test_an_unknown_route_is_404_in_the_envelope(plain, path):
    assert_is_error(plain.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", f"{API}/posts", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("PATCH", f"{API}/categories", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("GET", f"{API}/posts/{NO_POST}/like", {"POST", "PUT", "DELETE", "OPTIONS"}),
        ("POST", "/health", {"GET", "HEAD", "OPTIONS"}),
        ("TRACE", f"{API}/posts", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("BREW", f"{API}/posts", {"GET", "HEAD", "OPTIONS", "POST"}),
    ],
)
def test_a_wrong_method_is_405_and_names_the_right_ones(plain, method, path, allowed):
    response = plain.open(path, method=method)

    assert_is_error(response, 405, "method_not_allowed")
    assert set(response.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None], ids=str)
def test_a_body_over_1_mib_is_413_before_anything_else_is_wrong_with_it(plain, ana, content_type):
    body = b"x" * (MIB + 1)

    response = plain.post(f"{API}/posts", data=body, content_type=content_type, headers=ana)

    assert_is_error(response, 413, "payload_too_large")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/posts"),
        ("PUT", f"/posts/{NO_POST}"),
        ("PATCH", f"/posts/{NO_POST}"),
        ("PATCH", "/posts/undefined"),
        ("POST", f"/posts/{NO_POST}/like"),
        ("POST", "/categories"),
    ],
)
def test_every_route_with_a_body_refuses_a_large_one(plain, ana, method, path):
    response = plain.open(API + path, method=method, data=b"x" * (MIB + 1), headers=ana)

    assert_is_error(response, 413, "payload_too_large")


def test_a_large_body_of_untold_length_is_413(plain, ana):
    environ = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}

    response = plain.post(
        f"{API}/posts",
        input_stream=BytesIO(b"x" * (MIB + 1)),
        content_type="application/json",
        headers=ana,
        environ_overrides=environ,
    )

    assert_is_error(response, 413, "payload_too_large")


def test_a_body_of_1_mib_is_read(plain, ana):
    whole = json.dumps(POST | {"unknown": ""}).encode()
    body = json.dumps(POST | {"unknown": "x" * (MIB - len(whole))}).encode()

    response = plain.post(f"{API}/posts", data=body, content_type="application/json", headers=ana)

    assert len(body) == MIB
    assert response.status_code == 201


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
        "json",
        "",
        None,
    ],
    ids=repr,
)
def test_a_body_of_another_type_is_415(plain, ana, content_type):
    body = json.dumps(POST)

    response = plain.post(f"{API}/posts", data=body, content_type=content_type, headers=ana)

    assert_is_error(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_may_say_its_charset(plain, ana, content_type):
    response = plain.post(f"{API}/posts", data=json.dumps(POST), content_type=content_type, headers=ana)

    assert response.status_code == 201


def test_a_byte_order_mark_before_json_is_ignored(plain, ana):
    data = "\ufeff".encode() + json.dumps(POST).encode()

    response = plain.post(f"{API}/posts", data=data, content_type="application/json", headers=ana)

    assert response.json["data"]["title"] == POST["title"]


@pytest.mark.parametrize(
    ("encoding", "status"), [("gzip", 415), ("br", 415), ("gzip, identity", 415), ("Identity", 201)]
)
def test_a_compressed_body_is_415(plain, ana, encoding, status):
    data = gzip.compress(json.dumps(POST).encode()) if status == 415 else json.dumps(POST)
    headers = ana | {"Content-Encoding": encoding}

    response = plain.post(f"{API}/posts", data=data, content_type="application/json", headers=headers)

    assert response.status_code == status
    if status == 415:
        assert_is_error(response, 415, "unsupported_media_type")
        assert "압축" in response.json["message"]


@pytest.mark.parametrize(
    ("values", "status"),
    [
        pytest.param("[" + "0," * 9_000 + "0]", 201, id="9,000"),
        pytest.param("[" + "0," * 10_000 + "0]", 400, id="10,000"),
        pytest.param("[" + "[]," * 10_000 + "[]]", 400, id="lists"),
        pytest.param(json.dumps('[{,\\"' * 5_000 + '",'), 201, id="in-a-string"),
        pytest.param('"' + '\\",' * 10_000 + '"', 201, id="in-a-string-after-quotes"),
        pytest.param(json.dumps([""] * 20_000), 400, id="strings"),
        pytest.param(json.dumps({str(number): number for number in range(10_000)}), 400, id="fields"),
    ],
)
def test_a_body_may_have_10000_values(plain, ana, values, status):
    data = f'{{"title": "t", "content": "c", "more": {values}}}'

    response = plain.post(f"{API}/posts", data=data, content_type="application/json", headers=ana)

    assert response.status_code == status
    if status == 400:
        assert_is_error(response, 400, "invalid_json")
        assert "10,000" in response.json["message"]


def test_the_type_of_a_body_is_looked_at_before_the_body(plain, ana):
    response = plain.post(f"{API}/posts", data="{", content_type="text/plain", headers=ana)

    assert_is_error(response, 415, "unsupported_media_type")


NO_JSON = {
    "empty": b"",
    "spaces": b"  \n",
    "word": b"title",
    "cut off": b'{"title": "t", "content": "c"',
    "more behind": b'{"title": "t", "content": "c"} {}',
    "single quotes": b"{'title': 't', 'content': 'c'}",
    "comma": b'{"title": "t", "content": "c",}',
    "comment": b'{"title": "t", "content": "c"} // yes',
    "NaN": b'{"title": "t", "content": "c", "x": NaN}',
    "Infinity": b'{"title": "t", "content": "c", "x": Infinity}',
    "minus Infinity": b'{"title": "t", "content": "c", "x": -Infinity}',
    "invalid UTF-8": b'{"title": "\xff", "content": "c"}',
    "Latin-1": '{"title": "é", "content": "c"}'.encode("latin-1"),
    "CESU-8": b'{"title": "\xed\xa0\xbd\xed\xb1\x8b", "content": "c"}',
    "UTF-16": '{"title": "t", "content": "c"}'.encode("utf-16"),
    "raw newline": b'{"title": "a\nb", "content": "c"}',
    "raw NUL": b'{"title": "a\x00b", "content": "c"}',
    "100,000 lists": b"[" * 100_000,
    "100,000 whole lists": b"[" * 100_000 + b"]" * 100_000,
    "100,000 objects": b'{"title":' * 100_000,
    "nested title": b'{"title": ' + b"[" * 100_000 + b"]" * 100_000 + b', "content": "c"}',
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON.keys())
def test_a_body_that_is_no_json_is_400(plain, ana, body):
    response = plain.post(f"{API}/posts", data=body, content_type="application/json", headers=ana)

    assert_is_error(response, 400, "invalid_json")


@pytest.mark.parametrize(
    "title",
    ["1" * 5000, "-" + "9" * 100_000, "1" * 400, "1e400", "0.1", "true", "null", "[]", "{}", '["t"]'],
    ids=lambda title: title[:9],
)
def test_a_wrongly_typed_field_is_400(plain, ana, title):
    body = f'{{"title": {title}, "content": "c"}}'

    response = plain.post(f"{API}/posts", data=body, content_type="application/json", headers=ana)

    assert response.status_code == 400
    assert response.json["error"]["code"] in ("validation_error", "invalid_json")


@pytest.mark.parametrize("body", ["[]", "null", '"title"', "7", "true", '[{"title": "t"}]'])
def test_json_that_is_no_object_is_400(plain, ana, body):
    response = plain.post(f"{API}/posts", data=body, content_type="application/json", headers=ana)

    assert_is_error(response, 400, "validation_error")


def test_every_wrong_field_is_named(plain, ana):
    response = plain.post(f"{API}/posts", json={"title": 7, "category": []}, headers=ana)

    assert_is_error(response, 400, "validation_error")
    assert {detail["field"] for detail in response.json["error"]["details"]} == {"title", "content", "category"}


def test_every_wrong_query_parameter_is_named(plain):
    response = plain.get(f"{API}/posts?page=0&per_page=x&sort=oldest&view=none&cursor=x")

    assert_is_error(response, 400, "validation_error")
    named = {detail["field"] for detail in response.json["error"]["details"]}
    assert named >= {"page", "per_page", "sort", "view"}


@pytest.mark.parametrize("post_id", ["null", "undefined", "0", "0" * 31, "0" * 33, "G" * 32, "A" * 32, "%00"])
@pytest.mark.parametrize("path", ["", "/like/status?user_id=ana"], ids=["post", "like status"])
def test_an_id_of_another_shape_is_400(plain, post_id, path):
    assert_is_error(plain.get(f"{API}/posts/{post_id}{path}"), 400, "invalid_post_id")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"data": b"{", "content_type": "application/json"}),
        ("PUT", "", {"data": b"", "content_type": "application/json"}),
        ("POST", "/like", {"data": b"[", "content_type": "application/json"}),
        ("POST", "/media", {"data": {"note": "no file"}, "content_type": "multipart/form-data"}),
    ],
)
def test_an_id_is_checked_before_what_the_body_says(plain, ana, *, method, path, body):
    response = plain.open(f"{API}/posts/null{path}", method=method, headers=ana, **body)

    assert_is_error(response, 400, "invalid_post_id")


def test_a_missing_token_is_401(plain):
    assert_is_error(plain.post(f"{API}/posts", json=POST), 401, "token_missing")


def test_a_bad_token_is_401(plain):
    response = plain.post(f"{API}/posts", json=POST, headers={"Authorization": "Bearer x"})

    assert_is_error(response, 401, "token_invalid")


def test_anothers_post_is_403(client, make_post, as_user):
    post_id = make_post(author="ana")

    response = client.patch(f"{API}/posts/{post_id}", json={"title": "새"}, headers=as_user("bo"))

    assert_is_error(response, 403, "forbidden")


def test_an_unknown_post_is_404(plain):
    assert_is_error(plain.get(f"{API}/posts/{NO_POST}"), 404, "post_not_found")


def test_an_existing_category_is_409(client, as_user):
    client.post(f"{API}/categories", json={"name": "Travel"}, headers=as_user("ana"))

    response = client.post(f"{API}/categories", json={"name": "travel"}, headers=as_user("ana"))

    assert_is_error(response, 409, "category_exists")


def test_shape_is_checked_before_existence_and_ownership(client, make_post, as_user):
    post_id = make_post(author="ana")

    responses = [
        client.patch(f"{API}/posts/{NO_POST}", json={}, headers=as_user("bo")),
        client.patch(f"{API}/posts/{NO_POST}", json={"title": "새"}, headers=as_user("bo")),
        client.patch(f"{API}/posts/{post_id}", json={}, headers=as_user("bo")),
        client.patch(f"{API}/posts/{post_id}", json={"title": "새"}, headers=as_user("bo")),
        client.patch(f"{API}/posts/{post_id}", data="x", headers=as_user("bo")),
        client.patch(f"{API}/posts/{post_id}", data="x", headers={}),
    ]

    assert [error_of(response) for response in responses] == [
        (400, "validation_error"),
        (404, "post_not_found"),
        (400, "validation_error"),
        (403, "forbidden"),
        (415, "unsupported_media_type"),
        (401, "token_missing"),
    ]


def test_an_error_of_a_head_request_has_headers_and_no_body(plain):
    response = plain.head(f"{API}/posts/{NO_POST}")

    assert (response.status_code, response.data) == (404, b"")
    assert response.headers["X-Request-ID"]


# Crashes, and a database that is away


def fails(error: Exception) -> Callable[..., Any]:
    def fail(*_args: Any, **_options: Any) -> Any:
        raise error

    return fail


def driver_error(kind: type, number: int) -> Any:
    said = "(secret-host) at /secret/path"
    return kind(
        "SELECT secret_column FROM secret_table", {"secret": "parameter"}, pymysql.err.OperationalError(number, said)
    )


def test_a_crash_is_500_and_tells_nothing(plain, monkeypatch, caplog):
    monkeypatch.setattr("post.services.list_posts", fails(RuntimeError("secret-sql")))

    with caplog.at_level(logging.ERROR):
        response = plain.get(f"{API}/posts")

    assert_is_error(response, 500, "internal_error")
    assert not re.search(r"secret|RuntimeError|Traceback|\.py", response.text + str(response.headers))


def test_a_crash_leaves_its_traceback_and_the_requests_id_in_the_log(plain, monkeypatch, caplog):
    monkeypatch.setattr("post.services.list_posts", fails(RuntimeError("secret-sql")))

    with caplog.at_level(logging.ERROR):
        plain.get(f"{API}/posts", headers={"X-Request-ID": "crash-1"})

    logged = [record for record in caplog.records if record.exc_info]
    assert len(logged) == 1
    assert "secret-sql" in caplog.text
    assert "Traceback" in caplog.text
    assert logged[0].request_id == "crash-1"


def test_a_write_that_crashes_tells_nothing_either(plain, ana, monkeypatch):
    monkeypatch.setattr("post.services.create_post", fails(KeyError("secret-sql")))

    response = plain.post(f"{API}/posts", json=POST, headers=ana)

    assert_is_error(response, 500, "internal_error")
    assert "secret" not in response.text


def test_the_service_goes_on_after_a_crash(plain, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("post.services.list_posts", fails(RuntimeError("secret-sql")))
        plain.get(f"{API}/posts")

    assert plain.get(f"{API}/posts").status_code == 200


@pytest.mark.parametrize(
    "error",
    [
        driver_error(OperationalError, 2003),
        driver_error(OperationalError, 2006),
        driver_error(OperationalError, 2013),
        driver_error(OperationalError, 1040),
        driver_error(OperationalError, 1205),
        driver_error(OperationalError, 1213),
        PoolTimeout("QueuePool limit of size 8 secret"),
    ],
    ids=["refused", "gone away", "lost", "too many connections", "lock wait", "deadlock", "pool"],
)
def test_a_database_that_is_away_is_503_and_says_when_to_try_again(plain, monkeypatch, error):
    monkeypatch.setattr("post.services.list_posts", fails(error))

    response = plain.get(f"{API}/posts")

    assert_is_error(response, 503, "database_unavailable")
    assert int(response.headers["Retry-After"]) >= 1
    assert "secret" not in response.text


@pytest.mark.parametrize(
    "error",
    [
        driver_error(OperationalError, 1054),
        driver_error(ProgrammingError, 1146),
        driver_error(ProgrammingError, 1064),
        driver_error(IntegrityError, 1452),
    ],
    ids=["unknown column", "unknown table", "syntax", "foreign key"],
)
def test_a_fault_of_ours_in_the_database_is_500(plain, monkeypatch, caplog, error):
    monkeypatch.setattr("post.services.list_posts", fails(error))

    response = plain.get(f"{API}/posts")

    assert_is_error(response, 500, "internal_error")
    assert "secret" not in response.text
    assert "Traceback" in caplog.text


# Languages


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (None, "ko"),
        ("", "ko"),
        ("ko", "ko"),
        ("ko-KR", "ko"),
        ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "ko"),
        ("ko-KR,en;q=0.9", "ko"),
        ("en;q=0.1,ko", "ko"),
        ("*", "ko"),
        ("fr", "ko"),
        ("en;q=0", "ko"),
        ("english", "ko"),
        (";;,q=,=", "ko"),
        ("en;q=abc,ko;q=", "ko"),
        ("\x7f\xff", "ko"),
        ("en", "en"),
        ("EN", "en"),
        ("en-US", "en"),
        ("en_GB", "en"),
        ("en-US,en;q=0.9", "en"),
        ("en-US,en;q=0.9,ko;q=0.8", "en"),
        ("en-US,ko;q=0.9", "en"),
        ("ko;q=0.5,en", "en"),
        ("fr,en;q=0.5", "en"),
    ],
)
def test_the_message_is_korean_or_english_where_that_is_preferred(plain, accepted, language):
    headers = {} if accepted is None else {"Accept-Language": accepted}

    response = plain.get("/nothing", headers=headers)

    assert response.json["message"] == getattr(messages.ERRORS["not_found"], language)
    assert response.json["error"]["code"] == "not_found"


@pytest.mark.parametrize(("accepted", "is_korean"), [("ko", True), ("en", False)])
def test_the_words_on_each_field_follow_the_language_too(plain, ana, accepted, is_korean):
    headers = ana | {"Accept-Language": accepted}

    response = plain.post(f"{API}/posts", json={"title": "x" * 201, "content": "\x00"}, headers=headers)

    assert_is_error(response, 400, "validation_error")
    said = [detail["message"] for detail in response.json["error"]["details"]]
    assert [bool(HANGUL.search(words)) for words in said] == [is_korean, is_korean]


@pytest.mark.parametrize(("accepted", "is_korean"), [("ko", True), ("en", False)])
def test_the_message_of_a_success_follows_the_language_too(plain, accepted, is_korean):
    response = plain.get(f"{API}/categories", headers={"Accept-Language": accepted})

    assert bool(HANGUL.search(response.json["message"])) is is_korean


def test_caches_are_told_that_the_language_matters(plain):
    assert all("Accept-Language" in plain.get(path).vary for path in ("/nothing", f"{API}/posts"))


@pytest.mark.parametrize("code", sorted(messages.ERRORS))
def test_every_code_is_one_of_the_contract(code):
    assert code in STATUS_OF_CODE


CATALOGUE = messages.ERRORS | messages.FIELDS | messages.SUCCESSES


@pytest.mark.parametrize("key", sorted(CATALOGUE))
def test_every_sentence_has_words_in_both_languages(key):
    message = CATALOGUE[key]

    assert message.ko.strip()
    assert message.en.strip()
    assert message.ko != message.en
    assert HANGUL.search(message.ko)
    assert not HANGUL.search(message.en)


@pytest.mark.parametrize("key", sorted(CATALOGUE))
def test_every_sentence_has_the_same_parameters_in_both_languages(key):
    message = CATALOGUE[key]

    assert re.findall(r"{(\w+)}", message.ko) == re.findall(r"{(\w+)}", message.en)


# The error family


def family(root: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for member in root.__subclasses__():
        yield member
        yield from family(member)


def error_classes() -> list[type[ServiceError]]:
    for module in pkgutil.walk_packages(post.__path__, "post."):
        importlib.import_module(module.name)
    return sorted(set(family(ServiceError)), key=lambda member: member.__name__)


@pytest.mark.parametrize("member", error_classes(), ids=lambda member: member.__name__)
def test_every_error_of_the_family_has_a_status(member):
    families = [parent for parent in member.__mro__ if parent in error_answers.HTTP_STATUS]

    assert families


@pytest.mark.parametrize(
    "member", [member for member in error_classes() if not member.__subclasses__()], ids=lambda member: member.__name__
)
def test_every_error_that_is_raised_has_a_code_of_the_contract_with_its_status(member):
    status = next(error_answers.HTTP_STATUS[parent] for parent in member.__mro__ if parent in error_answers.HTTP_STATUS)

    assert member.code in messages.ERRORS
    assert STATUS_OF_CODE[member.code] == status


def test_what_flask_refuses_has_codes_of_the_contract():
    assert error_answers.HTTP_CODES
    assert all(STATUS_OF_CODE[code] == status for status, code in error_answers.HTTP_CODES.items())


# Headers of every answer

EVERYWHERE = [
    ("GET", "/health"),
    ("GET", "/health/ready"),
    ("GET", "/"),
    ("GET", "/api/docs"),
    ("GET", "/api/docs/swagger-ui.css"),
    ("GET", "/api/openapi.json"),
    ("GET", f"{API}/posts"),
    ("HEAD", f"{API}/posts"),
    ("OPTIONS", f"{API}/posts"),
    ("GET", f"{API}/categories"),
    ("GET", f"{API}/posts/{NO_POST}"),
    ("GET", f"{API}/posts/undefined"),
    ("GET", f"{API}//posts"),
    ("GET", "/nothing"),
    ("OPTIONS", "/nothing"),
    ("DELETE", f"{API}/posts"),
    ("POST", f"{API}/posts"),
    ("POST", "/dev/token"),
    ("GET", "/dev/.well-known/jwks.json"),
]


@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
def test_every_answer_has_a_request_id_and_is_not_sniffed(plain, method, path):
    with plain.open(path, method=method, headers={"X-Request-ID": "trace-1"}) as response:
        headers = response.headers

    assert headers.get_all("X-Request-ID") == ["trace-1"]
    assert headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert "Origin" in response.vary


@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
@pytest.mark.parametrize("origin", [None, SITE, "https://evil.example"])
def test_no_header_is_sent_twice(plain, method, path, origin):
    headers = {"Origin": origin} if origin else {}
    with plain.open(path, method=method, headers=headers) as response:
        names = [name.lower() for name, _ in response.headers]

    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
def test_no_answer_sets_a_cookie(plain, method, path):
    with plain.open(path, method=method) as response:
        assert "Set-Cookie" not in response.headers
        assert "Cookie" not in response.vary


@pytest.mark.parametrize("offered", ["a", "0", "-", "_", "A-z_09", "x" * 64, "550e8400-e29b-41d4-a716-446655440000"])
def test_the_callers_request_id_is_kept(plain, offered):
    success = plain.get("/health", headers={"X-Request-ID": offered})
    error = plain.get("/nothing", headers={"X-Request-ID": offered})

    assert success.headers["X-Request-ID"] == offered
    assert error.headers["X-Request-ID"] == error.json["error"]["request_id"] == offered


@pytest.mark.parametrize(
    "offered", [None, "", "x" * 65, "a b", "a.b", "a;b", "a/b", "é", "<b>", "a,b", "a\tb", "x" * 5000], ids=ascii
)
def test_another_request_id_is_replaced(plain, offered):
    response = plain.get("/nothing", headers={} if offered is None else {"X-Request-ID": offered})

    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", response.headers["X-Request-ID"])
    assert response.headers["X-Request-ID"] != offered
    assert response.json["error"]["request_id"] == response.headers["X-Request-ID"]


def test_a_new_request_id_is_new_every_time(plain):
    ids = {plain.get("/health").headers["X-Request-ID"] for _ in range(20)}

    assert len(ids) == 20


@pytest.mark.parametrize("error", [RuntimeError("x"), driver_error(OperationalError, 2003)], ids=["crash", "away"])
def test_a_crash_has_the_headers_too(plain, monkeypatch, error):
    monkeypatch.setattr("post.services.list_posts", fails(error))

    response = plain.get(f"{API}/posts", headers={"X-Request-ID": "trace-1", "Origin": SITE})

    assert response.headers["X-Request-ID"] == response.json["error"]["request_id"] == "trace-1"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Access-Control-Allow-Origin"] == SITE


# CORS


SENDABLE = {
    "content-type", "authorization", "idempotency-key", "if-match", "if-none-match", "x-request-id",
    "traceparent", "tracestate", "x-amzn-trace-id",
}  # fmt: skip
READABLE = {
    "x-request-id", "location", "link", "etag", "retry-after", "idempotency-replayed",
    "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset",
}  # fmt: skip


def listed(response: TestResponse, header: str) -> set[str]:
    return {item.strip().lower() for item in response.headers.get(header, "").split(",") if item.strip()}


def preflight(
    client: FlaskClient, path: str = f"{API}/posts", *, origin: str = SITE, method: str = "POST"
) -> TestResponse:
    asked = {"Access-Control-Request-Method": method}
    asked["Access-Control-Request-Headers"] = ", ".join(sorted(SENDABLE))
    return client.options(path, headers=asked | {"Origin": origin})


@pytest.mark.parametrize(
    "origin", [SITE, "https://www.hhottdogg.shop", "http://localhost:3000", "http://localhost:5173"]
)
def test_an_allowed_origin_may_read_answers(plain, origin):
    response = plain.get(f"{API}/posts", headers={"Origin": origin})

    assert response.headers.get_all("Access-Control-Allow-Origin") == [origin]
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in response.vary


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://hhottdogg.shop",
        "https://hhottdogg.shop.evil.example",
        "https://evil-hhottdogg.shop",
        "https://hhottdoggXshop",
        "https://hhottdogg.shop:8443",
        "https://hhottdogg.shop/",
        "https://api.hhottdogg.shop",
        "http://localhost",
        "http://localhost:30000",
        "null",
        "*",
        "",
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_another_origin_may_not(plain, origin, method):
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}

    response = plain.open(f"{API}/posts", method=method, headers=headers)

    assert not [name for name, _ in response.headers if name.lower().startswith("access-control-")]
    assert "Origin" in response.vary


def test_without_an_origin_no_cors_header_is_sent(plain):
    response = plain.get(f"{API}/posts")

    assert not [name for name, _ in response.headers if name.lower().startswith("access-control-")]
    assert "Origin" in response.vary


@pytest.mark.parametrize(
    ("path", "method"), [("/posts", "POST"), (f"/posts/{NO_POST}", "PATCH"), (f"/posts/{NO_POST}/like", "PUT")]
)
def test_a_preflight_tells_what_the_contract_allows(plain, path, method):
    response = preflight(plain, API + path, method=method)

    assert response.status_code in (200, 204)
    assert response.headers["Access-Control-Allow-Origin"] == SITE
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert response.headers["Access-Control-Max-Age"] == "86400"
    assert listed(response, "Access-Control-Allow-Methods") == {"get", "post", "put", "patch", "delete", "options"}
    assert listed(response, "Access-Control-Allow-Headers") == SENDABLE


@pytest.mark.parametrize("path", ["/nowhere", f"{API}/nowhere", f"{API}/posts/", "/", f"{API}/posts/x/y/z"])
def test_a_preflight_of_an_unknown_route_lets_a_page_read_its_404(plain, path):
    asked = preflight(plain, path, method="GET")
    plain_options = plain.options(path, headers={"Origin": SITE})
    answer = plain.get(path, headers={"Origin": SITE})

    assert (asked.status_code, asked.data) == (200, b"")
    assert asked.headers["Access-Control-Allow-Origin"] == SITE
    assert listed(asked, "Access-Control-Allow-Headers") == SENDABLE
    assert plain_options.status_code == (200 if path == "/" else 404)
    assert answer.headers["Access-Control-Allow-Origin"] == SITE
    assert listed(answer, "Access-Control-Expose-Headers") == READABLE


def test_a_preflight_of_an_unknown_route_tells_a_stranger_nothing(plain):
    response = preflight(plain, "/nowhere", origin="https://evil.example")

    assert not [name for name, _ in response.headers if name.lower().startswith("access-control-")]


def test_a_preflight_allows_no_other_header(plain):
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-evil, content-type"}

    response = plain.options(f"{API}/posts", headers=asked | {"Origin": SITE})

    assert "x-evil" not in listed(response, "Access-Control-Allow-Headers")


def test_a_preflight_needs_no_token_even_for_ones_own_posts(plain):
    response = preflight(plain, f"{API}/posts/my", method="GET")

    assert response.status_code in (200, 204)
    assert response.headers["Access-Control-Allow-Origin"] == SITE


def test_the_contracts_headers_are_exposed(plain):
    response = plain.get(f"{API}/posts", headers={"Origin": SITE})

    assert listed(response, "Access-Control-Expose-Headers") == READABLE


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("DELETE", f"{API}/posts", 405),
        ("POST", f"{API}/posts", 401),
        ("GET", f"{API}/posts/undefined", 400),
        ("GET", f"{API}/posts/{NO_POST}", 404),
    ],
)
def test_an_error_may_be_read_by_an_allowed_origin(plain, method, path, status):
    response = plain.open(path, method=method, headers={"Origin": SITE})

    assert response.status_code == status
    assert response.headers.get_all("Access-Control-Allow-Origin") == [SITE]
    assert "x-request-id" in listed(response, "Access-Control-Expose-Headers")


def test_answers_to_several_sites_are_not_mixed_up(plain):
    origins = [SITE, "https://evil.example", "http://localhost:3000", SITE, "https://evil.example"]

    told = [
        plain.get(path, headers={"Origin": origin}).headers.get("Access-Control-Allow-Origin")
        for origin in origins
        for path in ("/health", "/nothing")
    ]

    assert told == [origin if origin != "https://evil.example" else None for origin in origins for _ in range(2)]


def test_an_answer_to_a_site_has_no_header_of_a_preflight(plain):
    preflight(plain)

    headers = plain.get(f"{API}/posts", headers={"Origin": SITE}).headers

    allowed = {name for name, _ in headers if name.startswith("Access-Control-")}
    assert allowed == {f"Access-Control-{name}" for name in ("Allow-Origin", "Allow-Credentials", "Expose-Headers")}
    assert headers_for(SITE) == {name: headers[name] for name in allowed}  # of an answer that gunicorn makes


@pytest.mark.parametrize("own", ["https://board.example", "http://[::1]:3000"])
def test_configured_origins_take_the_place_of_the_default(make_app, tmp_path, own):
    client = make_app(DATABASE_URL=f"sqlite:///{tmp_path}/db.sqlite3", CORS_ORIGINS=own).test_client()

    allowed = [
        client.get("/health", headers={"Origin": origin}).headers.get("Access-Control-Allow-Origin")
        for origin in (own, SITE, "http://localhost:3000", f"{own}.evil.example", "http://1:3000.evil.example")
    ]

    assert allowed == [own, None, None, None, None]


def test_production_does_not_allow_the_origins_of_development(make_app, tmp_path):
    client = make_app(
        FLASK_ENV="production",
        SECRET_KEY="a-secret-of-the-tests-and-no-other",
        DATABASE_URL=f"sqlite:///{tmp_path}/db.sqlite3",
        COGNITO_USER_POOL_ID="ap-northeast-2_x",
        COGNITO_REGION="ap-northeast-2",
        COGNITO_CLIENT_ID="client",
    ).test_client()

    allowed = [
        client.get("/health", headers={"Origin": origin}).headers.get("Access-Control-Allow-Origin")
        for origin in (SITE, "https://www.hhottdogg.shop", "http://localhost:3000", "http://localhost:5173")
    ]

    assert allowed == [SITE, "https://www.hhottdogg.shop", None, None]


# Sessions


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "malformed_request"),
        (408, "request_timeout"),
        (412, "precondition_failed"),
        (413, "payload_too_large"),
        (414, "uri_too_long"),
        (417, "malformed_request"),
        (431, "header_fields_too_large"),
        (500, "internal_error"),
        (501, "internal_error"),
        (503, "overloaded"),
        (504, "gateway_timeout"),
    ],
)
def test_what_werkzeug_refuses_has_the_code_of_its_status(make_app, tmp_path, status, code):
    app = make_app(DATABASE_URL=f"sqlite:///{tmp_path}/db.sqlite3")
    app.add_url_rule("/refused", view_func=lambda: abort(status))

    response = app.test_client().get("/refused")

    assert_is_error(response, status, code)
    assert ("Retry-After" in response.headers) == (status == 503)


def test_a_request_that_its_client_gives_up_is_no_fault_of_the_service(make_app, tmp_path, caplog):
    app = make_app(DATABASE_URL=f"sqlite:///{tmp_path}/db.sqlite3")

    def gone() -> None:
        raise ClientDisconnected

    app.add_url_rule("/gone", view_func=gone)

    response = app.test_client().get("/gone")

    assert_is_error(response, 400, "malformed_request")
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.fixture
def with_session(make_app, tmp_path) -> FlaskClient:
    """A service with a route that counts its visits in a session, as a later one may."""
    app = make_app(DATABASE_URL=f"sqlite:///{tmp_path}/db.sqlite3")

    def count() -> dict[str, int]:
        session["visits"] = session.get("visits", 0) + 1
        return {"visits": session["visits"]}

    def forget() -> dict[str, int]:
        session.clear()
        return {}

    app.add_url_rule("/visits", view_func=count)
    app.add_url_rule("/forget", view_func=forget)
    app.add_url_rule("/look", view_func=lambda: {"visits": session.get("visits")})
    return app.test_client()


def test_a_session_is_kept_in_a_cookie_that_other_sites_cannot_send(with_session):
    responses = [with_session.get("/visits") for _ in range(3)]

    assert [response.json for response in responses] == [{"visits": 1}, {"visits": 2}, {"visits": 3}]
    cookie = responses[0].headers["Set-Cookie"]
    assert "SameSite=Lax" in cookie
    assert "HttpOnly" in cookie
    assert {"Cookie", "Origin"} <= set(responses[0].vary)


def test_a_session_that_is_emptied_takes_its_cookie_away(with_session):
    with_session.get("/visits")

    response = with_session.get("/forget")

    assert "Expires=Thu, 01 Jan 1970" in response.headers["Set-Cookie"]
    assert with_session.get("/look").json == {"visits": None}


def test_an_answer_that_depends_on_a_session_says_so_to_caches(with_session):
    assert "Cookie" in with_session.get("/look").vary
    assert "Cookie" not in with_session.get("/health").vary


def test_a_forged_session_is_none(with_session):
    with_session.set_cookie("session", "eyJ2aXNpdHMiOjl9.forged.forged")

    assert with_session.get("/visits").json == {"visits": 1}


# Rate limits


@pytest.fixture(scope="module")
def limited_app(make_app, database_url) -> Flask:
    return make_app(DATABASE_URL=database_url, RATELIMIT_WRITE="3/minute", RATELIMIT_READ="4/minute")


@pytest.fixture
def limited(app, limited_app) -> FlaskClient:
    """Three writes and four reads a minute; nothing is used up yet."""
    limited_app.extensions["post"].limiter.windows = MemoryRateWindows(SharedCounters())
    return limited_app.test_client()


def write(client: FlaskClient, headers: dict[str, str], *, address: str = "192.0.2.1") -> int:
    where = {"REMOTE_ADDR": address}
    return client.post(f"{API}/posts", json=POST, headers=headers, environ_overrides=where).status_code


def read(client: FlaskClient, headers: dict[str, str] | None = None, *, address: str = "192.0.2.1") -> int:
    return client.get(f"{API}/posts", headers=headers, environ_overrides={"REMOTE_ADDR": address}).status_code


def test_a_request_too_many_is_429_and_says_when_to_try_again(limited, as_user):
    for _ in range(3):
        limited.post(f"{API}/posts", json=POST, headers=as_user("ana"))

    response = limited.post(f"{API}/posts", json=POST, headers=as_user("ana") | {"Origin": SITE})

    assert_is_error(response, 429, "rate_limited")
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert len(response.headers.get_all("Retry-After")) == 1
    assert response.headers["Access-Control-Allow-Origin"] == SITE


def test_a_refused_write_writes_nothing(limited, as_user):
    statuses = [write(limited, as_user("ana")) for _ in range(6)]

    assert statuses == [201] * 3 + [429] * 3
    assert limited.get(f"{API}/posts").json["meta"]["total"] == 3


def test_a_limited_route_tells_its_limit(limited, as_user):
    told = []
    for _ in range(4):
        response = limited.post(f"{API}/posts", json=POST, headers=as_user("ana"))
        told.append((response.headers["RateLimit-Limit"], response.headers["RateLimit-Remaining"]))
        assert 1 <= int(response.headers["RateLimit-Reset"]) <= 60

    assert told == [("3", "2"), ("3", "1"), ("3", "0"), ("3", "0")]


def test_a_read_tells_the_limit_of_reads(limited):
    response = limited.get(f"{API}/posts")

    assert (response.headers["RateLimit-Limit"], response.headers["RateLimit-Remaining"]) == ("4", "3")
    assert "Retry-After" not in response.headers


def test_reads_and_writes_are_counted_apart(limited, as_user):
    writes = [write(limited, as_user("ana")) for _ in range(4)]
    reads = [read(limited, as_user("ana")) for _ in range(5)]

    assert (writes, reads) == ([201] * 3 + [429], [200] * 4 + [429])


def test_all_routes_share_the_limit(limited, as_user):
    headers = as_user("ana")

    reads = [
        limited.get(path, headers=headers).status_code
        for path in (f"{API}/posts", f"{API}/categories", f"{API}/posts/my", f"{API}/posts/{NO_POST}", f"{API}/posts")
    ]

    assert reads == [200, 200, 200, 404, 429]


def test_a_head_request_counts_as_a_read(limited):
    for _ in range(4):
        limited.head(f"{API}/posts")

    assert read(limited, address="127.0.0.1") == 429


def test_two_users_of_one_address_have_a_limit_each(limited, as_user):
    ana = [write(limited, as_user("ana")) for _ in range(4)]
    bo = [write(limited, as_user("bo")) for _ in range(4)]

    assert ana == bo == [201] * 3 + [429]


def test_a_user_has_one_limit_on_all_addresses_and_with_all_tokens(limited, as_user):
    statuses = [
        write(limited, as_user("ana", token=token), address=f"192.0.2.{number}")
        for number, token in enumerate(["access_token", "id_token", "access_token", "id_token"])
    ]

    assert statuses == [201, 201, 201, 429]


def test_each_address_without_a_token_has_a_limit_of_its_own(limited):
    first = [read(limited, address="192.0.2.1") for _ in range(5)]
    second = [read(limited, address="192.0.2.2") for _ in range(5)]

    assert first == second == [200] * 4 + [429]


def test_bad_tokens_count_for_their_address(limited):
    with_tokens = [read(limited, {"Authorization": f"Bearer garbage-{number}"}) for number in range(4)]

    without = read(limited)

    assert (with_tokens, without) == ([200] * 4, 429)


def test_writes_without_a_good_token_are_limited_too(limited):
    statuses = [write(limited, {"Authorization": f"Bearer garbage-{number}"}) for number in range(5)]

    assert statuses == [401] * 3 + [429] * 2


def test_a_forwarded_address_that_nobody_vouches_for_gives_no_limit_of_its_own(limited):
    statuses = [
        limited.get(f"{API}/posts", headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code for number in range(5)
    ]

    assert statuses == [200] * 4 + [429]


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_health_has_no_limit(limited, path):
    responses = [limited.get(path) for _ in range(10)]

    assert {response.status_code for response in responses} == {200}
    assert not [name for name, _ in responses[-1].headers if "ratelimit" in name.lower()]
    assert read(limited, address="127.0.0.1") == 200


def test_health_answers_an_address_whose_limit_is_used_up(limited):
    for _ in range(5):
        read(limited, address="192.0.2.1")

    response = limited.get("/health", environ_overrides={"REMOTE_ADDR": "192.0.2.1"})

    assert response.status_code == 200


def test_a_preflight_has_no_limit(limited):
    for _ in range(10):
        preflight(limited)
    for _ in range(5):
        read(limited, address="127.0.0.1")

    response = preflight(limited)

    assert response.status_code in (200, 204)
    assert response.headers["Access-Control-Allow-Origin"] == SITE


# Health


def test_health_says_what_answers_without_the_database(client, count_queries):
    with count_queries() as statements:
        response = client.get("/health")

    assert response.json == {"status": "healthy", "service": "post-service", "version": post.__version__}
    assert statements == []
