"""nginx before gunicorn: what it refuses, what it hands on, and what it does where gunicorn fails."""

import json
import os
import re
import select
import signal
import socket
import sqlite3
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from urllib.parse import quote

import pytest
import requests
from jose import jwt

from config import SITE_ORIGINS
from post import messages
from tests.image_samples import encoded, scene
from tests.load import new_post
from tests.nginx import CONFIGURATION, PATIENT_WITH_BODIES, proxied_service, running_nginx
from tests.servers import HANG_SECONDS, UNLIMITED, children_of, free_port, wait_until, wait_until_in_flight
from tests.test_service import token

SITE, STRANGER = SITE_ORIGINS[0], "https://stranger.example"
MIB = 1024 * 1024
MEDIA = f"/api/v1/posts/{'0' * 32}/media"


def get(path: str = "/health", *fields: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (f"GET {path} HTTP/1.1", "Host: x", *fields, "")).encode()


def post(path: str, length: int, *fields: str, body: bytes = b"") -> bytes:
    return get(path, f"Content-Length: {length}", *fields).replace(b"GET", b"POST", 1) + body


class Answer:
    """An answer as it came over a connection."""

    def __init__(self, content: bytes) -> None:
        head, _, self.content = content.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        self.status = int(line.split()[1])
        self.headers = requests.structures.CaseInsensitiveDict(field.split(": ", 1) for field in fields)

    @property
    def error(self) -> dict:
        body = json.loads(self.content)
        assert body["success"] is False
        return body["error"] | {"message": body["message"]}


def exchange(port: int, content: bytes) -> Answer:
    """Send bytes, and read until the connection ends or the answer is all there."""
    with socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS) as connection:
        connection.sendall(content)
        return read_answer(connection)


def read_answer(connection: socket.socket) -> Answer:
    received = b""
    while not _is_whole(received):
        data = connection.recv(65_536)
        if not data:
            break
        received += data
    return Answer(received)


def _is_whole(received: bytes) -> bool:
    head, ended, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return bool(ended and length and len(body) >= int(length[1]))


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    changes = {"client_body_timeout 10s": "client_body_timeout 1s"}
    with proxied_service(tmp_path_factory.mktemp("service"), changes=changes, **UNLIMITED) as proxied:
        yield proxied


class Silent:
    """A service that accepts connections, and answers nothing until told to."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def accept(self) -> socket.socket:
        self._listener.settimeout(HANG_SECONDS)
        connection, _ = self._listener.accept()
        connection.settimeout(HANG_SECONDS)
        return connection

    def is_asked(self, *, within_seconds: float) -> bool:
        self._listener.settimeout(within_seconds)
        try:
            self._listener.accept()[0].close()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def silent():
    with closing(Silent()) as silent:
        yield silent


# Refusals

REFUSED = {
    "no HTTP": (b"nonsense\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "a length that is none": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
    "the refusal's own address": (get("/refused"), 404),
    "the check's own address": (get("/internal/uploader"), 404),
    "TRACE": (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "a body that stalls": (post("/api/v1/posts", 10, body=b"{"), 408),
    "chunks that stall": (
        get("/api/v1/posts", "Transfer-Encoding: chunked").replace(b"GET", b"POST", 1) + b"5\r\n{",
        408,
    ),
    "an upload that stalls": (post(MEDIA, 2 * MIB, "Authorization: TOKEN", body=b"x" * MIB), 408),
    "JSON over its limit": (post("/api/v1/posts", MIB + 1), 413),
    "an upload over its limit": (post(MEDIA, 52 * MIB + 1), 413),
    "a long address": (get("/" + "a" * 17_000), 414),
    "a long field": (get("/", "X-A: " + "a" * 17_000), 431),
    "many fields": (get("/", *["X-A: " + "a" * 8_000] * 10), 431),
    "an unknown transfer coding": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n", 400),
    "an unknown version": (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 400),
}
CODES = {
    400: "malformed_request",
    401: "token_missing",
    403: "account_deactivated",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "payload_too_large",
    414: "uri_too_long",
    431: "header_fields_too_large",
    502: "internal_error",
    503: "overloaded",
    504: "gateway_timeout",
}
OTHER_CODES_OF_CHECKS = {
    "token_invalid",
    "token_expired",
    "account_suspended",
    "auth_unavailable",
    "database_unavailable",
}


def assert_is_own_refusal(answer: Answer, status: int, nginx, *, code: str | None = None) -> None:
    assert (answer.status, answer.error["code"], answer.error["status"]) == (status, code or CODES[status], status)
    assert answer.error["details"] == []
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Request-ID"] == answer.error["request_id"]
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert ("Allow" in answer.headers) == (status == 405)
    (line,) = lines_of(nginx, answer.error["request_id"])
    assert (line["status"], line["event"], line["client"]) == (status, "request", "127.0.0.1")
    assert line["level"] == ("error" if status >= 500 else "info")


def lines_of(nginx, request_id: str) -> list[dict]:
    wait_until(lambda: request_id in nginx.log, what=f"no line of {request_id}: {nginx.log}")
    lines = [json.loads(line) for line in nginx.log.splitlines()]
    return [line for line in lines if line["request_id"] == request_id]


@pytest.mark.parametrize(("content", "status"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_in_the_envelope_and_in_the_log(content, status, proxied):
    sent = content.replace(b"TOKEN", token(proxied.url)["Authorization"].encode())
    answer = exchange(proxied.nginx.port, sent)

    assert_is_own_refusal(answer, status, proxied.nginx)
    lines = [line for line in proxied.service.log.splitlines() if answer.error["request_id"] in line]
    assert ["route=/internal/uploader" in line for line in lines] == [True] * (sent != content)


@pytest.mark.parametrize(
    ("preferred", "language"),
    [
        ("en", "en"),
        ("en-US,en;q=0.9,ko;q=0.8", "en"),
        ("fr-FR,fr;q=0.9,en;q=0.5", "en"),
        ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "ko"),
        ("fr", "ko"),
        ("tlh-en, korean", "ko"),
    ],
)
def test_its_words_are_the_services_own_in_the_language_that_is_preferred(preferred, language, proxied):
    refused = exchange(proxied.nginx.port, post("/api/v1/posts", 2 * MIB, f"Accept-Language: {preferred}"))
    same = requests.get(
        proxied.service.url + "/nowhere", headers={"Accept-Language": preferred}, timeout=HANG_SECONDS
    ).json()

    assert refused.error["message"] == messages.text("payload_too_large", language)
    assert same["message"] == messages.text("not_found", language)


def test_no_accept_language_takes_it_long(proxied):
    """Its expressions are linear; where one is not, PCRE gives up at a limit and logs that."""
    for item in ("ko,", "fr,", ",", " ", "ko, ", "en;q=0 "):
        accepted = item * (16_000 // len(item))
        answer = exchange(proxied.nginx.port, get("/", f"Accept-Language: {accepted}", "Transfer-Encoding: x"))
        assert (answer.status, answer.error["code"]) == (400, "malformed_request")

    assert "pcre" not in proxied.nginx.errors.lower()


# Addresses


@pytest.fixture(params=["nginx", "gunicorn"])
def port(proxied, request) -> int:
    return proxied.nginx.port if request.param == "nginx" else int(proxied.service.url.rpartition(":")[2])


@pytest.mark.parametrize("encoding", ["utf-8", "cp949"])
@pytest.mark.parametrize("target", ["/api/v1/posts?q=비밀", "/api/v1/posts/글?q=비밀"])
def test_raw_korean_in_an_address_is_refused_with_words_and_logged_with_its_path(port, proxied, target, encoding):
    answer = exchange(port, get("TARGET").replace(b"TARGET", target.encode(encoding)))

    assert (answer.status, answer.error["code"]) == (400, "malformed_request")
    assert "퍼센트 인코딩" in answer.error["message"]
    path = target.partition("?")[0].encode(encoding).decode(errors="replace")
    line = f"request_id={answer.error['request_id']} method=GET path={path} "
    wait_until(lambda: line in proxied.service.log, what=f"no {line}: {proxied.service.log}")
    assert "비밀" not in proxied.service.log
    assert "\xeb\xb9" not in proxied.service.log


def test_percent_encoded_korean_is_read(port, proxied):
    title, posts = f"한글 {port}", f"{proxied.url}/api/v1/posts"
    requests.post(posts, json={"title": title, "content": "c"}, headers=token(proxied.url), timeout=HANG_SECONDS)

    found = exchange(port, get(f"/api/v1/posts?q={quote(title)}"))

    assert [post["title"] for post in json.loads(found.content)["data"]] == [title]


def test_an_address_with_a_space_is_refused_with_words(port, proxied):
    answer = exchange(port, get("/api/v1/posts?q=a b"))

    assert (answer.status, answer.error["code"]) == (400, "malformed_request")
    assert "퍼센트 인코딩" in answer.error["message"]
    request_id = answer.error["request_id"]
    logs = [proxied.service, proxied.nginx]
    wait_until(lambda: any(request_id in log.log for log in logs), what="no line of the refusal")
    (line,) = [line for log in logs for line in log.log.splitlines() if request_id in line]
    assert "a b" not in line
    if port == proxied.nginx.port:  # gunicorn does not say which address it was
        assert json.loads(line)["path"] == "/api/v1/posts"


def test_every_word_is_that_of_the_catalogue():
    text = CONFIGURATION.read_text()

    written = {(code, language): words for code, language, words in re.findall(r'"(\w+) (ko|en)" "(.*)";', text)}

    assert written == {
        (code, language): messages.text(code, language)
        for code in {*CODES.values(), *OTHER_CODES_OF_CHECKS}
        for language in messages.LANGUAGES
    }


@pytest.mark.parametrize(("origin", "is_allowed"), [(SITE, True), (STRANGER, False), (SITE + ".evil.example", False)])
def test_a_page_of_an_allowed_origin_may_read_a_refusal(origin, is_allowed, proxied):
    answer = exchange(proxied.nginx.port, post("/api/v1/posts", 2 * MIB, f"Origin: {origin}"))

    allowed = {name.lower(): value for name, value in answer.headers.items() if name.lower().startswith("access-")}
    own = requests.get(proxied.service.url + "/nowhere", headers={"Origin": SITE}, timeout=HANG_SECONDS).headers
    names = ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers")
    expected = {name.lower(): own[name] for name in names}
    assert allowed == (expected if is_allowed else {})
    assert answer.headers["Vary"] == "Accept-Language, Origin"


def test_the_origins_are_those_of_the_settings():
    text = CONFIGURATION.with_name("origins.conf").read_text()

    assert tuple(re.findall(r"^(https\S+) \$http_origin;$", text, re.M)) == SITE_ORIGINS


@pytest.mark.parametrize(
    ("offered", "is_taken"), [("abc_-9", True), ("a" * 64, True), ("a" * 65, False), ("a b", False)]
)
def test_a_callers_request_id_is_kept_where_it_is_one(offered, is_taken, proxied):
    refused = exchange(proxied.nginx.port, post("/api/v1/posts", 2 * MIB, f"X-Request-ID: {offered}"))
    answered = exchange(proxied.nginx.port, get("/health", f"X-Request-ID: {offered}"))

    assert [answer.headers["X-Request-ID"] == offered for answer in (refused, answered)] == [is_taken] * 2
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", refused.headers["X-Request-ID"])


def test_what_gunicorn_answers_is_logged_by_gunicorn_alone(proxied):
    answers = [exchange(proxied.nginx.port, get(path)) for path in ("/health", "/nowhere", "/api/v1/posts?page=0")]

    wait_until(lambda: answers[-1].headers["X-Request-ID"] in proxied.service.log, what="no line")
    assert [answer.status for answer in answers] == [200, 404, 400]
    for answer in answers:
        assert proxied.service.log.count(answer.headers["X-Request-ID"]) == 1
        assert answer.headers["X-Request-ID"] not in proxied.nginx.log


def test_without_gunicorn_it_is_502():
    with running_nginx(free_port()) as nginx:
        for content in (get(), post("/api/v1/posts", 2, body=b"{}")):
            assert_is_own_refusal(exchange(nginx.port, content), 502, nginx)


def test_an_answer_that_does_not_come_is_504(silent):
    with running_nginx(silent.port, {"proxy_read_timeout 30s": "proxy_read_timeout 1s"}) as nginx:
        assert_is_own_refusal(exchange(nginx.port, get()), 504, nginx)


# Uploads


def slow_upload(stack: ExitStack, port: int, *fields: str) -> socket.socket:
    """Begin an upload that does not end."""
    upload = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS))
    upload.sendall(post(MEDIA, 50_000_000, *fields, body=b"x"))
    return upload


def field_of(url: str, name: str) -> str:
    return f"Authorization: {token(url, name)['Authorization']}"


def upload_picture(url: str, name: str) -> requests.Response:
    files = {"file": ("a.png", encoded(scene((20, 20)), "PNG"))}
    return requests.post(
        f"{url}{new_post(url, name)}/media", files=files, headers=token(url, name), timeout=HANG_SECONDS
    )


def lines_of_checks(proxied) -> int:
    return proxied.service.log.count("route=/internal/uploader")


def test_more_uploads_than_there_is_room_for_are_503(tmp_path):
    changes = PATIENT_WITH_BODIES | {"limit_conn uploads 64": "limit_conn uploads 2"}
    with proxied_service(tmp_path, changes=changes, **UNLIMITED) as proxied, ExitStack() as stack:
        for name in ("ana", "bo"):
            slow_upload(stack, proxied.nginx.port, field_of(proxied.url, name))
        wait_until(lambda: lines_of_checks(proxied) == 2, what="not all are checked")
        time.sleep(0.5)

        refused = exchange(proxied.nginx.port, post(MEDIA, 1000, field_of(proxied.url, "cy"), body=b"x"))

        assert_is_own_refusal(refused, 503, proxied.nginx)
        assert new_post(proxied.url, "cy")


@pytest.mark.parametrize(
    "field",
    ["X-A: no token", "Authorization: Bearer h.c.{}", "X-Uploader: {}", "Authorization: Basic {}"],
    ids=["no token", "made-up tokens", "made-up users", "another scheme"],
)
def test_uploads_without_a_valid_token_hold_no_place(field, proxied):
    with ExitStack() as stack:
        slow = [slow_upload(stack, proxied.nginx.port, field.format(number)) for number in range(70)]
        statuses = Counter(read_answer(upload).status for upload in slow)

        uploaded = upload_picture(proxied.url, "bo")

    assert (statuses, uploaded.status_code) == ({401: 70}, 201)
    assert not {"x-uploader", "x-refusal"} & {name.lower() for name in uploaded.headers}


def test_a_users_slow_uploads_leave_room_for_others_however_many_tokens_they_have(tmp_path):
    with proxied_service(tmp_path, changes=PATIENT_WITH_BODIES, **UNLIMITED) as proxied, ExitStack() as stack:
        own = [field_of(proxied.url, "hog") for _ in range(6)]
        assert len({*own}) == 6
        slow = [slow_upload(stack, proxied.nginx.port, own[turn % 6], f"X-Uploader: {turn}") for turn in range(70)]

        def answered() -> list[socket.socket]:
            return select.select(slow, [], [], 0)[0]

        wait_until(lambda: len(answered()) >= 70 - 12, what="not all but twelve are refused")

        statuses = [upload_picture(proxied.url, name).status_code for name in ("bo", "hog")]
        refused = [read_answer(upload) for upload in answered()]

        assert statuses == [201, 503]
        assert len(refused) == 70 - 12
        for answer in refused:
            assert_is_own_refusal(answer, 503, proxied.nginx)


def sub_of(headers: dict[str, str]) -> str:
    return jwt.get_unverified_claims(headers["Authorization"].removeprefix("Bearer "))["sub"]


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize(
    ("who", "status", "code"),
    [
        (None, 401, "token_missing"),
        ("nobody", 401, "token_invalid"),
        ("gone", 403, "account_deactivated"),
        ("held", 403, "account_suspended"),
    ],
)
def test_an_upload_is_refused_before_its_body_as_the_service_refuses_it(who, status, code, language, proxied):
    headers = {"Accept-Language": language, "Origin": SITE, "X-Request-ID": f"{code}-{language}"}
    if who == "nobody":
        headers["Authorization"] = "Bearer a.b.c"
    elif who == "gone":
        headers |= token(proxied.url, "gone")
        requests.post(f"{proxied.url}/api/v1/users/me/deactivate", headers=headers, timeout=HANG_SECONDS)
    elif who == "held":
        headers |= token(proxied.url, "held")
        suspension = f"{proxied.url}/api/v1/admin/users/{sub_of(headers)}/suspension"
        requests.put(suspension, headers=token(proxied.url, "root", "admin"), timeout=HANG_SECONDS).raise_for_status()
    own = requests.post(proxied.service.url + MEDIA, headers=headers, timeout=HANG_SECONDS)

    headers["X-Request-ID"] += "-2"
    fields = [f"{name}: {value}" for name, value in headers.items()]
    refused = exchange(proxied.nginx.port, post(MEDIA, 50_000_000, *fields, body=b"x"))

    assert_is_own_refusal(refused, status, proxied.nginx, code=code)
    assert refused.error["message"] == own.json()["message"]
    told = {name: value for name, value in own.headers.items() if name.lower().startswith(("access-", "www-"))}
    assert told == {name: refused.headers.get(name) for name in told}
    assert ("WWW-Authenticate" in refused.headers) == (status == 401)


@pytest.mark.parametrize(
    ("check", "status", "code"),
    [
        ("401 Unauthorized\r\nX-Refusal: token_expired\r\nWWW-Authenticate: Bearer x", 401, "token_expired"),
        ("503 Unavailable\r\nX-Refusal: auth_unavailable", 503, "auth_unavailable"),
        ("503 Unavailable\r\nX-Refusal: database_unavailable", 503, "database_unavailable"),
        ("500 Error\r\nX-Refusal: internal_error", 503, "overloaded"),
        ("404 Not Found", 503, "overloaded"),
    ],
)
def test_a_check_that_fails_is_told_as_what_it_is(check, status, code, silent):
    with running_nginx(silent.port) as nginx, ExitStack() as stack:
        upload = slow_upload(stack, nginx.port, "Authorization: Bearer a")
        asked = answer_check(silent, check)
        answer = read_answer(upload)

        assert_is_own_refusal(answer, status, nginx, code=code)
        assert answer.headers.get("WWW-Authenticate") == ("Bearer x" if status == 401 else None)
        assert asked.startswith(b"GET /internal/uploader HTTP/1.1\r\n")
        assert b"\r\nauthorization: bearer a\r\n" in asked.lower()
        assert b"\r\ncontent-length:" not in asked.lower()


def more_of(connection: socket.socket) -> bytes:
    data = connection.recv(65_536)
    assert data, "nginx has ended the connection"
    return data


def answer_check(silent: Silent, answer: str) -> bytes:
    """Answer the check of a token in the service's place; returns what was asked."""
    with silent.accept() as asked:
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += more_of(asked)
        length = "" if answer.startswith("204") else "Content-Length: 0\r\n"
        asked.sendall(f"HTTP/1.1 {answer}\r\n{length}Connection: close\r\n\r\n".encode())
        return received


# Requests


@pytest.mark.parametrize("path", ["/api/v1/posts", MEDIA])
@pytest.mark.parametrize("chunked", [False, True], ids=["by length", "in chunks"])
def test_a_body_reaches_gunicorn_only_when_all_of_it_is_there(path, chunked, silent):
    body = b"x" * 300_000
    with (
        running_nginx(silent.port) as nginx,
        socket.create_connection(("127.0.0.1", nginx.port), timeout=HANG_SECONDS) as client,
    ):
        if chunked:
            head = get(path, "Transfer-Encoding: chunked").replace(b"GET", b"POST", 1)
            first, last = head + b"%x\r\n" % len(body) + body[:-1], body[-1:] + b"\r\n0\r\n\r\n"
        else:
            head = post(path, len(body))
            first, last = head + body[:-1], body[-1:]
        client.sendall(first)
        if path == MEDIA:
            answer_check(silent, "204 No Content\r\nX-Uploader: ana")
        is_early = silent.is_asked(within_seconds=0.5)
        client.sendall(last)
        with silent.accept() as asked:
            received = b""
            while len(received.partition(b"\r\n\r\n")[2]) < len(body):
                received += more_of(asked)

    head, _, arrived = received.partition(b"\r\n\r\n")
    assert not is_early
    assert b"X-Uploader" not in head
    assert b"Content-Length: %d\r\n" % len(body) in head + b"\r\n"
    assert arrived == body


def test_a_body_that_comes_slowly_is_served(proxied):
    body = json.dumps({"username": "ana"}).encode()
    with socket.create_connection(("127.0.0.1", proxied.nginx.port), timeout=HANG_SECONDS) as client:
        client.sendall(post("/dev/token", len(body), "Content-Type: application/json", "Connection: close"))
        for byte in body:  # in all longer than it may stall
            client.sendall(bytes([byte]))
            time.sleep(0.1)
        answer = Answer(client.makefile("rb").read())

    assert answer.status == 200


def test_a_photo_that_comes_slowly_for_longer_than_any_wait_is_served(tmp_path):
    stalls = {
        "client_body_timeout 10s": "client_body_timeout 3s",
        "client_body_timeout 20s": "client_body_timeout 4s",
        "proxy_read_timeout 30s": "proxy_read_timeout 6s",
        "proxy_read_timeout 40s": "proxy_read_timeout 7s",
    }
    with proxied_service(tmp_path, changes=stalls) as service:
        path, headers = new_post(service.url, "ana"), token(service.url, "ana")
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        body = head + encoded(scene((900, 700)), "JPEG", quality=95) + b"\r\n--x--\r\n"
        fields = [f"Authorization: {headers['Authorization']}", "Content-Type: multipart/form-data; boundary=x"]
        with socket.create_connection(("127.0.0.1", service.nginx.port), timeout=HANG_SECONDS) as client:
            client.sendall(post(f"{path}/media", len(body), *fields, "Connection: close"))
            step = len(body) // 20 + 1
            for start in range(0, len(body), step):
                client.sendall(body[start : start + step])
                time.sleep(0.4)
            answer = Answer(client.makefile("rb").read())

    assert answer.status == 201


@pytest.mark.parametrize("size", [70_000, 900_000])
@pytest.mark.parametrize("path", ["/api/v1/posts", MEDIA])
def test_a_refusal_of_a_body_that_nobody_reads_is_not_lost(path, size, proxied):
    content = post(path, size, "Content-Type: application/json", "Connection: close", body=b"x" * size)

    assert {exchange(proxied.nginx.port, content).status for _ in range(15)} == {401}


@pytest.mark.parametrize(
    ("hops", "forwarded", "client"),
    [
        ("0", "203.0.113.9", "127.0.0.1"),
        ("1", "203.0.113.9", "127.0.0.1"),
        ("2", "198.51.100.7, 203.0.113.9", "203.0.113.9"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_clients_address_is_what_the_proxies_before_have_said(method, hops, forwarded, client, tmp_path):
    with proxied_service(tmp_path, TRUSTED_PROXY_HOPS=hops) as proxied:
        answer = requests.request(
            method, f"{proxied.url}/api/v1/posts", headers={"X-Forwarded-For": forwarded}, timeout=HANG_SECONDS
        )
        request_id = answer.headers["X-Request-ID"]
        wait_until(lambda: request_id in proxied.service.log, what="no line")

        (line,) = [line for line in proxied.service.log.splitlines() if request_id in line]

    assert f" client={client} " in line


# Answers


def test_unread_answers_hold_no_thread_and_arrive_whole(proxied):
    document = requests.get(f"{proxied.url}/api/openapi.json", timeout=HANG_SECONDS).content
    with ExitStack() as stack:
        address = ("127.0.0.1", proxied.nginx.port)
        readers = [stack.enter_context(socket.create_connection(address, timeout=HANG_SECONDS)) for _ in range(60)]
        for reader in readers:  # more than gunicorn has threads
            reader.sendall(get("/api/openapi.json", "Connection: close"))
        time.sleep(1)
        others = [requests.get(f"{proxied.url}/health", timeout=HANG_SECONDS).status_code for _ in range(10)]

        answers = [Answer(reader.makefile("rb").read()) for reader in readers]

    assert others == [200] * 10
    assert {answer.content for answer in answers} == {document}


# Connections that are kept


@pytest.mark.parametrize("through_nginx", [True, False])
def test_a_connection_is_kept_for_as_long_as_is_set(through_nginx, tmp_path):
    changes = {"keepalive_timeout 400s": "keepalive_timeout 8s"}
    with (
        proxied_service(tmp_path, changes=changes, KEEPALIVE_SECONDS="8", **UNLIMITED) as proxied,
        ExitStack() as stack,
    ):
        port = int((proxied.url if through_nginx else proxied.service.url).rpartition(":")[2])
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS)) for _ in range(120)
        ]
        answers = []
        for pause in (2.5, 0):  # a client's, shorter than ours; then none, and it waits for the end
            for connection in connections:
                connection.sendall(get())
            answers += [read_answer(connection).status for connection in connections]
            time.sleep(pause)
        ends = {connection.recv(1) for connection in connections}

    assert Counter(answers) == {200: 240}
    assert ends == {b""}


# Workers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("PUT", "/like", 200), ("DELETE", "/like", 200), ("POST", "/like", 502), ("PATCH", "", 502)],
)
def test_what_a_killed_worker_had_is_sent_again_where_that_is_safe(method, path, status, tmp_path):
    with proxied_service(tmp_path, WEB_CONCURRENCY="1", **UNLIMITED) as proxied, ThreadPoolExecutor(1) as pool:
        headers, body = token(proxied.url), {"title": "제목", "content": "내용"}
        created = requests.post(f"{proxied.url}/api/v1/posts", json=body, headers=headers, timeout=HANG_SECONDS)
        url = created.headers["Location"]
        with closing(sqlite3.connect(tmp_path / "instance" / "postdb.sqlite3", isolation_level=None)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            options = {"json": {"title": "neu"}, "headers": headers, "timeout": HANG_SECONDS}
            wait_until_in_flight(proxied.service, 0)  # a request stays counted for a moment after its answer
            sent = pool.submit(requests.request, method, proxied.url + url + path, **options)
            wait_until_in_flight(proxied.service, 1)
            for worker in children_of(proxied.service.process.pid):
                os.kill(worker, signal.SIGKILL)
            time.sleep(0.5)
        answer = sent.result()

    assert answer.status_code == status
    if status == 502:
        assert answer.json()["error"]["code"] == "internal_error"


def test_a_killed_worker_costs_only_what_may_not_be_sent_again(tmp_path):
    with proxied_service(tmp_path, **UNLIMITED) as proxied:
        headers, statuses, ended = token(proxied.url), Counter(), threading.Event()

        def read() -> None:
            with requests.Session() as session:
                while not ended.is_set():
                    try:
                        answer = session.get(f"{proxied.url}/api/v1/posts", headers=headers, timeout=HANG_SECONDS)
                    except requests.exceptions.ChunkedEncodingError:  # cut off, since it had begun
                        statuses["cut off"] += 1
                    else:
                        statuses[answer.status_code] += 1

        readers = [threading.Thread(target=read) for _ in range(8)]
        for reader in readers:
            reader.start()
        for killed in range(1, 4):
            time.sleep(0.5)
            os.kill(next(children_of(proxied.service.process.pid)), signal.SIGKILL)
            wait_until(
                lambda: proxied.service.log.count("Booting worker") == 2 + killed,  # noqa: B023 - called in this turn
                what="no other comes",
            )
        ended.set()
        for reader in readers:
            reader.join()

    print(dict(statuses))
    assert set(statuses) <= {200, "cut off"}
    assert statuses["cut off"] <= 3 * len(readers) // 2


def test_reloading_it_resets_nobody(proxied):
    ended, faults, statuses = threading.Event(), [], Counter()

    def ask() -> None:
        while not ended.is_set():  # each time by a new connection: an idle one may be closed at any time
            try:
                statuses[requests.get(f"{proxied.url}/health", timeout=HANG_SECONDS).status_code] += 1
            except requests.RequestException as exc:
                faults.append(repr(exc))

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    for _ in range(3):
        time.sleep(0.3)
        proxied.nginx.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    ended.set()
    for client in clients:
        client.join()

    assert (faults, set(statuses)) == ([], {200})


def test_a_write_that_takes_long_is_waited_for(tmp_path):
    with proxied_service(tmp_path, **UNLIMITED) as proxied, ThreadPoolExecutor(1) as pool:
        headers, body = token(proxied.url), {"title": "제목", "content": "내용"}
        with closing(sqlite3.connect(tmp_path / "instance" / "postdb.sqlite3", isolation_level=None)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            url = f"{proxied.url}/api/v1/posts"
            created = pool.submit(requests.post, url, json=body, headers=headers, timeout=HANG_SECONDS)
            wait_until_in_flight(proxied.service, 1)
            time.sleep(3)
        assert created.result().status_code == 201
