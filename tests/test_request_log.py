"""The log of a running service: a line for each request, and none of what people keep to themselves."""

import functools
import io
import itertools
import json
import logging
import re
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, redirect_stdout
from datetime import timedelta
from typing import Any

import pytest
import requests
from gunicorn.config import Config
from sqlalchemy import bindparam, func, literal_column, select
from sqlalchemy.exc import OperationalError

from post.auth_utils.dev_issuer import CLIENT_ID, DevIssuer
from post.database.reads import Prepared, read
from post.server.request_log import JsonRequestLogger, log_refusal
from post.telemetry.request_info import RequestInfo, attach_caller, attach_request_info, attach_trace
from post.utils import Caller, new_id
from post.web.client_address import client_key
from tests.servers import HANG_SECONDS, Service, answering, running_service, wait_until, wait_until_in_flight

POSTS = "/api/v1/posts"
SECRETS = ("비밀제목", "비밀내용", "secret-query", "secret-header", "secret-line", "eyJ")
POOL = {"COGNITO_REGION": "ap-northeast-2", "COGNITO_USER_POOL_ID": "ap-northeast-2_signals"}
ISSUER = "https://cognito-idp.ap-northeast-2.amazonaws.com/ap-northeast-2_signals"


class Logged:
    """A service in production, with users, and what it has logged."""

    def __init__(self, service: Service, issuer: DevIssuer, database: Any) -> None:
        self.service, self.issuer, self.database = service, issuer, database

    def headers(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.issuer.issue(name, [])['access_token']}"}

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.service.log.splitlines()]

    def line_of(self, request_id: str, event: str = "request") -> dict:
        def found() -> list[dict]:
            return [line for line in self.lines() if (line["event"], line.get("request_id")) == (event, request_id)]

        wait_until(found, what=f"no {event} of {request_id}: {self.service.log}")
        (line,) = found()
        return line

    def send(self, content: bytes) -> tuple[int, dict]:
        """Send bytes as they are; returns the answer's status and body."""
        with socket.create_connection(
            ("127.0.0.1", int(self.service.url.rpartition(":")[2])), timeout=HANG_SECONDS
        ) as peer:
            peer.sendall(content)
            head, _, body = peer.makefile("rb").read().partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    issuer, database = DevIssuer(folder / "issuer.pem", issuer=ISSUER), folder / "postdb.sqlite3"
    keys = json.dumps(issuer.jwks()).encode()
    with answering(lambda _method, _path, _headers, _body: (200, "application/json", keys)) as aws:
        settings = {**POOL, "COGNITO_CLIENT_ID": CLIENT_ID, "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": aws}
        settings |= {"FLASK_ENV": "production", "SECRET_KEY": "a-secret-of-the-tests-and-no-other", "HOST": "127.0.0.1"}
        settings |= {"DATABASE_URL": f"sqlite:///{database}", "TRUSTED_PROXY_HOPS": "1", "SLOW_QUERY_MS": "200"}
        with running_service(folder, **settings) as service:
            yield Logged(service, issuer, database)


@pytest.fixture(scope="module")
def post_path(logged):
    body = {"title": "비밀제목", "content": "비밀내용"}
    made = requests.post(logged.service.url + POSTS, json=body, headers=logged.headers("ana"), timeout=HANG_SECONDS)
    return made.headers["Location"]


def test_a_request_is_one_line_that_says_who_did_what_and_how_it_went(logged, post_path):
    headers = {**logged.headers("ana"), "X-Forwarded-For": "198.51.100.7, 203.0.113.9", "X-Request-ID": new_id()}

    answer = requests.get(f"{logged.service.url}{post_path}?q=secret-query", headers=headers, timeout=HANG_SECONDS)
    line = logged.line_of(headers["X-Request-ID"])

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert 0 < line.pop("ms") < 10_000
    assert line == {
        "level": "info",
        "event": "request",
        "logger": "gunicorn.access",
        "request_id": headers["X-Request-ID"],
        "method": "GET",
        "route": "/api/v1/posts/<post_id>",
        "path": post_path,
        "status": 200,
        "user": logged.issuer.issue("ana", [])["sub"],
        "client": "203.0.113.9",
        "bytes": len(answer.content),
    }


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "route", "user"),
    [
        ("GET", "/nowhere/글", {}, 404, None, None),
        ("POST", POSTS, {}, 401, POSTS, None),
        ("POST", POSTS, {"Authorization": "Bearer eyJmade.up.token"}, 401, POSTS, None),
        ("DELETE", "/health", {}, 405, None, None),
        ("HEAD", "/health", {}, 200, "/health", None),
    ],
)
def test_a_refused_request_is_logged_as_well(logged, method, path, headers, status, route, user):
    answer = requests.request(method, logged.service.url + path, headers=headers, timeout=HANG_SECONDS)

    line = logged.line_of(answer.headers["X-Request-ID"])

    told = {name: line[name] for name in ("method", "path", "status", "route", "user", "bytes")}
    assert told == {
        "method": method, "path": path, "status": status, "route": route, "user": user, "bytes": len(answer.content)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"GET /secret-line?q=secret-query\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nAuthorization Bearer secret-header\r\n\r\n", 400),
        (b"GET /?q=secret-query HTTP/1.1\r\nX: " + b"secret-header" * 2000 + b"\r\n\r\n", 431),
        (b"GET /" + b"secret-line" * 1000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /?q=secret-query HTTP/1.1\r\nTransfer-Encoding: secret-header\r\n\r\n", 400),
    ],
    ids=["no version", "no colon", "a long header", "a long line", "an unknown coding"],
)
def test_a_request_that_gunicorn_refuses_is_logged_under_the_id_of_its_answer(logged, content, status):
    answered, body = logged.send(content)

    line = logged.line_of(body["error"]["request_id"])

    assert (answered, line["status"], line["client"]) == (status, status, "127.0.0.1")


def test_a_crash_is_in_the_log_and_its_id_alone_in_the_answer(logged, post_path):
    with sqlite3.connect(logged.database) as database:
        database.execute("ALTER TABLE likes RENAME TO hidden_likes")
    try:
        url = f"{logged.service.url}{post_path}/like"
        answer = requests.put(url, json={"x": "비밀내용"}, headers=logged.headers("bo"), timeout=HANG_SECONDS)
    finally:
        with sqlite3.connect(logged.database) as database:
            database.execute("ALTER TABLE hidden_likes RENAME TO likes")

    error = answer.json()["error"]
    crash = logged.line_of(error["request_id"], "request_failed")
    assert (answer.status_code, error["code"], error["details"]) == (500, "internal_error", [])
    assert not re.search(r"Traceback|likes|\.py", answer.text)
    assert "Traceback" in crash["exception"]
    assert "no such table: likes" in crash["exception"]
    assert logged.line_of(error["request_id"])["level"] == "error"


def test_a_slow_statement_is_logged_with_its_request(logged, post_path):
    url, headers = f"{logged.service.url}{post_path}/like", logged.headers("ana")
    with closing(sqlite3.connect(logged.database, isolation_level=None)) as lock, ThreadPoolExecutor(1) as pool:
        lock.execute("BEGIN IMMEDIATE")
        sent = pool.submit(requests.put, url, headers=headers, timeout=HANG_SECONDS)
        wait_until_in_flight(logged.service, 1)
        time.sleep(1)
        lock.rollback()
        answer = sent.result()

    slow = logged.line_of(answer.headers["X-Request-ID"], "slow_query")
    assert (slow["sql"], slow["level"]) == ("BEGIN IMMEDIATE", "warning")
    assert slow["ms"] >= 200


def test_every_line_is_json_and_none_has_a_token_a_body_or_a_query(logged, post_path):
    for path in (f"{POSTS}?q=secret-query", '/x%0A{"event":"forged"}%E2%80%A8%1B[31m'):
        answer = requests.get(logged.service.url + path, headers=logged.headers("ana"), timeout=HANG_SECONDS)
        logged.line_of(answer.headers["X-Request-ID"])

    events = {line["event"] for line in logged.lines()}

    assert {"request"} <= events
    assert "forged" not in events
    assert [secret for secret in SECRETS if secret in logged.service.log] == []


def test_of_a_start_gunicorn_alone_tells(logged):
    lines = itertools.takewhile(lambda line: line["event"] != "request", logged.lines())

    assert {line["logger"] for line in lines} == {"gunicorn.error"}


def test_in_development_the_lines_are_text(tmp_path):
    with running_service(tmp_path) as service:
        answer = requests.get(f"{service.url}{POSTS}?q=secret-query", timeout=HANG_SECONDS)
        request_id = answer.headers["X-Request-ID"]
        wait_until(lambda: request_id in service.log, what=service.log)
        (line,) = [line for line in service.log.splitlines() if request_id in line]

    assert f" request request_id={request_id} method=GET route={POSTS} path={POSTS} ms=" in line
    assert line.endswith(f" client=127.0.0.1 bytes={len(answer.content)} status=200")
    assert "secret-query" not in line


# Slow statements on MySQL, which can sleep

SLEEP = select(func.sleep(bindparam("seconds")).label("slept"), bindparam("word", "비밀내용").label("word"))


@pytest.mark.parametrize("send", [read, lambda query, values: Prepared(query).read(values)], ids=["read", "prepared"])
@pytest.mark.parametrize(("slow_query_ms", "logged"), [("100", 1), ("5000", 0), ("0", 0)])
def test_a_statement_is_slow_from_the_setting_on(make_app, mysql_server, caplog, send, slow_query_ms, logged):
    app = make_app(DATABASE_URL=mysql_server, SLOW_QUERY_MS=slow_query_ms)
    caplog.clear()  # of the start

    with app.app_context():
        send(SLEEP, {"seconds": 0.2})

    slow = [record for record in caplog.records if record.message == "slow_query"]
    assert len(slow) == logged
    for record in slow:
        assert record.sql == "SELECT sleep(%(seconds)s) AS slept, %(word)s AS word"
        assert record.ms >= 200


def test_a_statement_that_fails_late_is_slow_too(make_app, mysql_server, caplog):
    app = make_app(DATABASE_URL=mysql_server, SLOW_QUERY_MS="100")
    caplog.clear()  # of the start
    two_rows = "(SELECT 1 FROM (SELECT 1 AS a UNION SELECT 2) AS two WHERE RAND() >= 0)"
    failing = select(func.sleep(bindparam("seconds")), literal_column(two_rows))

    with app.app_context(), pytest.raises(OperationalError, match="more than 1 row"):
        read(failing, {"seconds": 0.2})

    assert [record.message for record in caplog.records].count("slow_query") == 1


# Gunicorn's logger, in this process


class Answered:
    """As much of gunicorn's response as a line tells of."""

    def __init__(self, status: str, sent: int = 0) -> None:
        self.status, self.sent = status, sent


@pytest.fixture
def gunicorn_log():
    """Gunicorn's logger as in production, and what it has written; this process's own log is put back afterwards."""
    logs = [logging.getLogger(), logging.getLogger("gunicorn.error"), logging.getLogger("gunicorn.access")]
    before = [(log.handlers[:], log.level, log.propagate) for log in logs]
    config = Config()
    config.set("accesslog", "-")
    with redirect_stdout(io.StringIO()) as stdout:
        log = JsonRequestLogger(config)
    try:
        yield log, lambda: [json.loads(line) for line in stdout.getvalue().splitlines()]
    finally:
        logging.captureWarnings(capture=False)
        for log, (handlers, level, propagate) in zip(logs, before, strict=True):
            log.handlers[:], log.propagate = handlers, propagate
            log.setLevel(level)


def test_all_logs_of_the_process_are_lines_on_stdout(gunicorn_log):
    log, written = gunicorn_log

    log.info("Booting worker with pid: %s", 7)
    logging.getLogger("post.sample").warning("something_happened", extra={"count": 2})
    logging.getLogger("py.warnings").warning("DeprecationWarning: old")

    told = [(line["level"], line["event"], line.get("count")) for line in written()]
    assert told == [
        ("info", "Booting worker with pid: 7", None),
        ("warning", "something_happened", 2),
        ("warning", "DeprecationWarning: old", None),
    ]


def test_a_line_has_what_the_application_left_in_the_environ(gunicorn_log):
    log, written = gunicorn_log
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/글".encode().decode("latin-1"), "REMOTE_ADDR": "192.0.2.1"}
    attach_request_info(environ, RequestInfo("r1", "/<word>"))
    attach_caller(environ, Caller(user_id="sub", username="ana"))
    attach_trace(environ, "6924b1f05ae4a1c9f0b3d2e177a1c5d3")

    log.access(Answered("503 Service Unavailable", 7), None, environ, timedelta(milliseconds=12.34))

    (line,) = written()
    assert line.pop("time")
    assert line == {
        "level": "error", "event": "request", "logger": "gunicorn.access", "request_id": "r1", "method": "GET",
        "route": "/<word>", "path": "/글", "ms": 12.3, "user": "sub", "client": "192.0.2.1", "bytes": 7, "status": 503,
        "trace_id": "6924b1f05ae4a1c9f0b3d2e177a1c5d3", "xray_trace_id": "1-6924b1f0-5ae4a1c9f0b3d2e177a1c5d3",
    }  # fmt: skip


DIRECT = functools.partial(client_key, hops=0, header="x-forwarded-for")


def test_a_refused_request_has_one_line_and_one_id(gunicorn_log):
    log, written = gunicorn_log
    environ = {"REQUEST_METHOD": "GET", "RAW_URI": "/x?q=secret-query", "REMOTE_ADDR": "192.0.2.1"}
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as ours:
        log.access(Answered("400 Bad Request"), None, environ, timedelta())
        parsed, parsed_environ = log_refusal(ours, 400, client_key=DIRECT)
        not_parsed, no_environ = log_refusal(ours, 414, client_key=DIRECT)

    first, second = written()
    assert (first["request_id"], first["path"], first["status"]) == (parsed, "/x", 400)
    assert (second["request_id"], second["client"], second["status"]) == (not_parsed, "127.0.0.1", 414)
    assert (parsed_environ, no_environ) == (environ, {"REMOTE_ADDR": "127.0.0.1"})


def test_a_client_that_has_gone_is_refused_without_its_address(gunicorn_log):
    _, written = gunicorn_log
    with socket.socket() as gone:
        log_refusal(gone, 400, client_key=DIRECT)

    assert [line["client"] for line in written()] == [None]


def test_gunicorn_does_not_quote_what_a_client_has_sent(gunicorn_log):
    log, written = gunicorn_log

    log.warning("Invalid request from ip=192.0.2.1: Invalid header 'Authorization secret-header'")
    log.warning("Worker (pid:%s) was sent %s!", 7, "SIGSEGV")
    try:
        1 / 0  # noqa: B018 - for its error
    except ZeroDivisionError:
        log.exception("Error handling request %s %s", "GET", "/x?q=secret-query")

    told = written()
    assert [line["event"] for line in told] == [
        "Worker (pid:7) was sent SIGSEGV!",
        "Error handling request GET /x",
    ]
    assert told[1]["exception"].endswith("ZeroDivisionError: division by zero")
