"""
Bytes that no client should send, through nginx and straight to gunicorn.

Each is answered in the envelope with a code that is documented for its status, or by a clean close; nothing crashes,
and nothing that is hidden in a request is taken for another. ``RAW_REQUESTS`` is the number of the random ones.
"""

import json
import os
import random
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

import pytest
import requests

from post.auth_utils.tokens import TOKEN_MAX_BYTES
from tests.nginx import proxied_service
from tests.servers import HANG_SECONDS, UNLIMITED
from tests.test_media import PNG
from tests.test_service import token

SEED = os.environ.get("RAW_REQUESTS_SEED", "1")
RANDOM_CASES = int(os.environ.get("RAW_REQUESTS", "120"))
PATIENCE_SECONDS, SECONDS_MAX = 4, 20
DOCUMENTED = {
    400: {"validation_error", "invalid_json", "invalid_post_id", "malformed_request"},
    401: {"token_missing", "token_invalid", "token_expired"},
    403: {"forbidden"},
    404: {"not_found", "post_not_found", "category_not_found", "media_not_found"},
    405: {"method_not_allowed"},
    408: {"request_timeout"},
    409: {"media_limit_reached"},
    412: {"precondition_failed"},
    413: {"payload_too_large"},
    414: {"uri_too_long"},
    415: {"unsupported_media_type"},
    431: {"header_fields_too_large"},
}
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
JSON_BODY = b'{"username":"ana"}'


def head(line: bytes, *fields: bytes, host: bytes = b"Host: x", ends: bytes = b"Connection: close") -> bytes:
    return b"\r\n".join([line, *(field for field in (host, *fields, ends) if field), b"", b""])


def get(target: bytes, *fields: bytes) -> bytes:
    return head(b"GET " + target + b" HTTP/1.1", *fields)


def post(*fields: bytes, body: bytes = b"", path: bytes = b"/dev/token", kind: bytes = b"application/json") -> bytes:
    return head(b"POST " + path + b" HTTP/1.1", b"Content-Type: " + kind, *fields) + body


def sized(body: bytes, *fields: bytes, path: bytes = b"/dev/token", kind: bytes = b"application/json") -> bytes:
    return post(b"Content-Length: %d" % len(body), *fields, body=body, path=path, kind=kind)


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


LINES = [
    b"",
    b" ",
    b"\r\n",
    b"\r\n\r\n\r\n",
    b"GET",
    b"GET /",
    b"GET  / HTTP/1.1",
    b"GET / HTTP/1.1 x",
    b" GET / HTTP/1.1",
    b"get / HTTP/1.1",
    b"GET\t/\tHTTP/1.1",
    b"G\x00T / HTTP/1.1",
    b"GET / HTTP/1.10",
    b"GET / HTTP/2.0",
    b"GET / HTTP/9.9",
    b"GET / HTTP/0.9",
    b"GET / http/1.1",
    b"GET / HTTP/1",
    b"GET / HTTP/-1.1",
    b"GET / HTCPCP/1.0",
    b"PRI * HTTP/2.0",
    b"GET / HTTP/1.1\x00",
    b"GET http://evil.example/health HTTP/1.1",
    b"GET //evil.example HTTP/1.1",
    b"GET * HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"CONNECT evil.example:443 HTTP/1.1",
    b"TRACE / HTTP/1.1",
    b"BREW /health HTTP/1.1",
    b"A" * 5_000 + b" / HTTP/1.1",
    b"GET /" + b"a" * 60_000 + b" HTTP/1.1",
    b"GET ? HTTP/1.1",
    b"GET # HTTP/1.1",
    b"GET health HTTP/1.1",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\xff\xfe\xfd",
    b"SSH-2.0-x",
    b"*1\r\n$4\r\nPING",
    b"GET / HTTP/1.1\n",
    b"\x00" * 100,
    b"GET /health HTTP/1.0",
]
TARGETS = [
    b"/api/v1/posts?q=\xed\x95\x9c\xea\xb8\x80",
    b"/\xed\x95\x9c\xea\xb8\x80",
    b"/api/v1/posts?q=\xff\xfe",
    b"/\xff",
    b"/%",
    b"/%00",
    b"/%zz",
    b"/%ff%fe",
    b"/api/v1/posts?q=%",
    b"/api/v1/posts?q=%00",
    b"/api/v1/posts?q=%ED%A0%80",
    b"/\x7f",
    b"/\x01",
    b"/health\x00",
    b"/a\x0bb",
    b"/api/v1/posts/%2e%2e/%2e%2e/health",
    b"/../../etc/passwd",
    b"/..%2f..%2fetc",
    b"/api/v1/posts/" + b"a" * 4_000,
    b"/api/v1/posts?" + b"a=b&" * 3_000,
    b"/api/v1/posts?page=" + b"9" * 5_000,
    b"/api/v1/posts?page=1e9",
    b"/api/v1/posts?page[]=1&page[]=2",
    b"/api/v1/posts?cursor=" + b"A" * 3_000,
    b"/api/docs/..%2fapp.py",
    b"/api/v1/images/..%2f..%2fetc%2fpasswd",
    b"/api/v1/images/%00",
    b"/api/v1/posts/undefined",
    b"/api/v1/posts/%0d%0aX: y",
    b"/health;x=1",
    b"/health/",
    b"/HEALTH",
    b"/health?" + b"%41" * 2_000,
    b"///",
    b"/;/",
    b"/\\",
    b'/"<script>',
    b"/{post_id}",
    b"/api/v1/posts?q=" + b"%CC%81" * 900,
    b"/api/v1/posts?category=" + b"%E3%85%A4" * 10,
    b"/api/v1/posts?ids=,,,,",
]
FIELDS = [
    b"X",
    b"X Y: z",
    b": x",
    b" X: y",
    b"X : y",
    b"X\x00: y",
    b"X: \x00",
    b"X: \x01\x02",
    b"X: a\rb",
    b"X: a\n b",
    b"X: a\r\n b",
    b"X\xff: y",
    b"X: \xed\x95\x9c",
    b"Host: y",
    b"Host:",
    b"Host: a b",
    b"Host: \xff",
    b"Host: x:99999999",
    b"X: " + b"a" * 17_000,
    b"A" * 17_000 + b": x",
    b"\r\n".join(b"X-%d: y" % number for number in range(3_000)),
    b"X-Request-ID: \xed\x95\x9c",
    b"X-Request-ID: " + b"a" * 5_000,
    b"Cookie: " + b"a=b;" * 3_000,
    b"Accept-Language: " + b"ko;q=0.1," * 1_500,
    b"Accept-Language: \xff;q=x",
    b"If-None-Match: " + b'W/"a",' * 2_000,
    b'If-None-Match: "',
    b"Range: bytes=0-",
    b"Expect: x",
    b"X-Forwarded-For: " + b"1.1.1.1," * 1_500,
    b"X-Forwarded-For: \xff",
    b'Forwarded: for="[',
    b"Forwarded: " + b"for=_x;" * 1_500,
    b"Origin: \xff",
    b"Origin: null",
    b"Authorization: Bearer " + b"a" * (TOKEN_MAX_BYTES + 1),
    b"Authorization: Bearer \xff",
    b"Authorization:",
    b"Authorization: Bearer a.b.c",
    b"Authorization: Bearer " + b"." * 8_000,
    b"Connection: upgrade\r\nUpgrade: websocket",
    b"Connection: x,y",
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMA",
    b"traceparent: 00-\xff",
    b"TE: trailers",
    b"X_FORWARDED_FOR: 1.1.1.1",
    b"SCRIPT_NAME: /x",
    b"Content-Length: x",
    b"Content-Length: -1",
    b"Content-Length: +1",
    b"Content-Length: 1e3",
    b"Content-Length: 0x10",
    b"Content-Length:",
    b"Content-Length: 99999999999999999999999",
    b"Content-Length: 1,1",
    b"Content-Length: 1_0",
    b"Content-Length: \xd9\xa1",
    b"Transfer-Encoding: x",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding:",
    b"Transfer-Encoding: \x0bchunked",
]
# Where two readers may see the end of the body in two places: what follows it must never be read as a request.
SMUGGLED = [
    [b"Content-Length: %d" % (len(HIDDEN) + 5), b"Transfer-Encoding: chunked"],
    [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
    [b"Content-Length: 5", b"Content-Length: %d" % (len(HIDDEN) + 5)],
    [b"Content-Length: 5, %d" % (len(HIDDEN) + 5)],
    [b"Content-Length : 5", b"Transfer-Encoding: chunked"],
    [b"Transfer-Encoding : chunked", b"Content-Length: 5"],
    [b"Transfer-Encoding: xchunked", b"Content-Length: 5"],
    [b"Transfer-Encoding:\x0bchunked", b"Content-Length: 5"],
    [b"Transfer-Encoding: chunked", b"Transfer-Encoding: x"],
    [b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked", b"Content-Length: 5"],
    [b"Transfer-Encoding: chunked\r\n x", b"Content-Length: 5"],
    [b"X: y\nTransfer-Encoding: chunked", b"Content-Length: 5"],
    [b"X: y\rTransfer-Encoding: chunked", b"Content-Length: 5"],
    [b"Content-Length: +5"],
    [b"Content-Length: 5 5"],
    [b"Transfer_Encoding: chunked", b"Content-Length: %d" % (len(HIDDEN) + 5)],
]
CHUNKS = [
    b"zz\r\n{}\r\n0\r\n\r\n",
    b"-2\r\n{}\r\n0\r\n\r\n",
    b"2\r\n{}XX0\r\n\r\n",
    b"2;\x00\r\n{}\r\n0\r\n\r\n",
    b"0x2\r\n{}\r\n0\r\n\r\n",
    b"2 \r\n{}\r\n0\r\n\r\n",
    b"2\n{}\n0\n\n",
    b"\r\n",
    b"2;" + b"x" * 20_000 + b"\r\n{}\r\n0\r\n\r\n",
    b"FFFFFFFFFFFFFFFFF\r\n{}",
    b"7FFFFFFFFFFFFFFF\r\n{}",
    b"2\r\n{}\r\n0\r\nX: y\r\n\r\n",
    b"2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n",
    b"0\r\n\r\n",
    b"2\r\n{}\r\n0\r\nX\r\n\r\n",
    b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    b"00000000000002\r\n{}\r\n0\r\n\r\n",
    b"\xff\r\n{}\r\n0\r\n\r\n",
    b"2\r\n{}\r\n0\r\nX: \x00\r\n\r\n",
    b"1\r\n \r\n" * 5_000 + b"0\r\n\r\n",
]
BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    b'{"username":"\\ud800"}',
    b'{"username":"\xff"}',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"username":' + b"9" * 6_000 + b"}",
    b'{"username":"' + b"a" * 900_000 + b'"}',
    b"NaN",
    b'{"username":"a\x00"}',
    b'{"username":"a","username":1}',
    b"\x1f\x8b\x08\x00",
    b" " * 1_048_577,
    b'{"username":"' + b"\xcc\x81" * 9_000 + b'"}',
]
FORM = b"multipart/form-data; boundary=x"
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
WHOLE = PART + PNG + b"\r\n--x--\r\n"
FORMS = [
    *((FORM, body) for body in (b"", b"--x", b"--x--", b"--x\r\n", b"--x\r\n\r\n\r\n--x--\r\n", PART, PART + PNG)),
    *((FORM, PART + PNG + end) for end in (b"--x--\r\n", b"\r\n--x", b"\r\n--y--\r\n")),
    (FORM, PART + b"\r\n--x--"),
    (FORM, WHOLE + HIDDEN),
    (FORM, WHOLE.replace(b"a.png", b"\x00\xff\xe2\x80\xae")),
    (FORM, WHOLE.replace(b'"a.png"', b'"a')),
    (FORM, WHOLE.replace(b"; filename", b"; filename*=utf-8''%ff%00; filename")),
    (FORM, WHOLE.replace(b"\r\n\r\n", b"\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", 1)),
    (FORM, WHOLE.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n", 1)),
    (FORM, b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 1_500 + b"--x--\r\n"),
    (FORM, b"\r" * 300_000),
    (FORM, b"\r\n--" * 100_000),
    *(
        (FORM.replace(b"; boundary=x", other), WHOLE)
        for other in (b"", b"; boundary=", b'; boundary="x', b"; boundary=\xff")
    ),
    *((kind, WHOLE) for kind in (FORM + b"x" * 5_000, FORM.replace(b"form-data", b"mixed"), b"", b"\xff")),
]
PIPELINES = [
    get(b"/health").replace(b"Connection: close", b"X: y") * 20 + get(b"/health"),
    get(b"/health").replace(b"Connection: close", b"X: y") + b"nonsense\r\n\r\n",
    get(b"/health").replace(b"Connection: close", b"X: y") + b"\r\n\r\n" + get(b"/health"),
    sized(JSON_BODY).replace(b"Connection: close", b"X: y") * 5 + get(b"/nowhere"),
    sized(JSON_BODY).replace(b"Connection: close", b"X: y") + sized(JSON_BODY)[:-3],
    chunked(b"2\r\n{}\r\n0\r\n\r\n").replace(b"Connection: close", b"X: y") + get(b"/health"),
    get(b"/health") + get(b"/health"),
    sized(JSON_BODY, path=b"/nowhere").replace(b"Connection: close", b"X: y") + get(b"/health"),
]


def listed_cases() -> list[bytes]:
    media = b"/api/v1/posts/POST_ID/media"
    bearer = b"Authorization: BEARER"
    return [
        *(head(line) for line in LINES),
        *(get(target) for target in TARGETS),
        *(get(b"/api/v1/posts", field) for field in FIELDS),
        *(head(b"GET /health HTTP/1.1", host=host) for host in (b"", b"Host: x\r\nHost: x")),
        *(post(*fields, body=b"0\r\n\r\n" + HIDDEN) for fields in SMUGGLED),
        *(chunked(chunks) for chunks in CHUNKS),
        *(sized(body, path=path) for body in BODIES for path in (b"/dev/token", b"/api/v1/posts")),
        *(sized(body, bearer, path=media, kind=kind) for kind, body in FORMS),
        *(post(b"Content-Length: %d" % length, body=JSON_BODY) for length in (0, 1, 17, 19, 1_048_577, 10**18)),
        *(sized(JSON_BODY, b"Content-Encoding: " + coding) for coding in (b"gzip", b"br", b"identity", b"\xff")),
        *(sized(JSON_BODY, b"Expect: 100-continue") for _ in range(1)),
        *(sized(JSON_BODY, kind=kind) for kind in (b"", b"text/plain", b"application/json; charset=utf-16", b"\xff")),
        *PIPELINES,
    ]


def random_cases(chance: random.Random) -> list[bytes]:
    """Sound requests with some of their bytes changed, lost or doubled."""
    sound = [
        get(b"/api/v1/posts?page=1&q=a", b"Accept-Language: ko, en;q=0.5", b"If-None-Match: \"a\""),
        sized(JSON_BODY),
        chunked(b"12\r\n" + JSON_BODY + b"\r\n0\r\n\r\n"),
        sized(PART + PNG + b"\r\n--x--\r\n", b"Authorization: BEARER", path=b"/api/v1/posts/POST_ID/media", kind=FORM),
    ]  # fmt: skip
    return [_spoilt(chance, chance.choice(sound)) for _ in range(RANDOM_CASES)]


def _spoilt(chance: random.Random, content: bytes) -> bytes:
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(content))
        other = chance.choice(
            [b"", b"\r\n", b"\n", b"\x00", b" ", b":", b"\xff", content[at : at + 40] * 2, chance.randbytes(3)]
        )
        content = content[:at] + other + content[at + 1 :]
    return content


CASES = listed_cases() + random_cases(random.Random(SEED))


class Answer(NamedTuple):
    status: int
    content: bytes


def answers_of(received: bytes) -> list[Answer]:
    """What was answered on a connection, to the last byte."""
    if received and not received.startswith(b"HTTP/"):  # to a request without a version, as HTTP/0.9 has it
        is_error = received.startswith(b'{"success":false')
        return [Answer(json.loads(received)["error"]["status"] if is_error else 200, received)]
    answers = []
    while received:
        start, _, rest = received.partition(b"\r\n\r\n")
        status = int(re.match(rb"HTTP/1\.[01] (\d{3}) ", start)[1])
        length = re.search(rb"(?im)^content-length: (\d+)\r?$", start)
        size = int(length[1]) if length else 0
        assert len(rest) >= size, "cut off"
        if status != 100:
            answers.append(Answer(status, rest[:size]))
        received = rest[size:]
    return answers


def exchange(port: int, content: bytes) -> list[Answer]:
    """Send bytes, and end the request when nothing comes; returns what is answered until the connection is closed."""
    received = b""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection,
        suppress(ConnectionResetError, BrokenPipeError),  # refused, and closed before all was read
    ):
        connection.sendall(content)
        while data := _receive(connection):
            received += data
    return answers_of(received)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except TimeoutError:
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(SECONDS_MAX)
        return connection.recv(65_536)


def fault_of(port: int, content: bytes) -> str | None:
    """What is wrong with the answers to some bytes."""
    try:
        for answer in exchange(port, content):
            assert_is_documented(answer)
    except (AssertionError, ValueError, KeyError, TypeError, OSError) as fault:
        return f"{content[:160]!r} … ({len(content)}): {fault!r}"
    return None


def assert_is_documented(answer: Answer) -> None:
    if answer.status < 400:
        return
    body = json.loads(answer.content)
    assert (body["success"], body["error"]["status"]) == (False, answer.status)
    assert body["error"]["code"] in DOCUMENTED.get(answer.status, ()), (answer.status, body["error"]["code"])


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    changes = {f"client_{part}_timeout 10s": f"client_{part}_timeout 2s" for part in ("header", "body")}
    settings = {"WEB_THREADS": "8", **UNLIMITED}
    with proxied_service(tmp_path_factory.mktemp("service"), changes=changes, **settings) as proxied:
        yield proxied


@pytest.fixture(scope="module")
def cases(proxied):
    """The cases, with ana's post and token in them."""
    bearer = token(proxied.service.url)["Authorization"]
    body = {"title": "제목", "content": "내용"}
    created = requests.post(
        f"{proxied.service.url}/api/v1/posts", json=body, headers={"Authorization": bearer}, timeout=HANG_SECONDS
    )
    post_id = created.json()["data"]["id"]
    return [case.replace(b"POST_ID", post_id.encode()).replace(b"BEARER", bearer.encode()) for case in CASES]


@pytest.mark.parametrize("way", ["through nginx", "straight to gunicorn"])
def test_whatever_is_sent_is_answered_by_a_documented_code_or_a_close(way, proxied, cases):
    assert len(cases) >= 200
    port = int((proxied.url if way == "through nginx" else proxied.service.url).rpartition(":")[2])

    with ThreadPoolExecutor(12) as pool:
        faults = [fault for fault in pool.map(lambda case: fault_of(port, case), cases) if fault]

    print(f"{len(cases)} cases, seed {SEED}")
    assert not faults, "\n".join(faults)
    assert "/hidden" not in proxied.service.log
    assert [line for line in proxied.service.log.splitlines() if " ERROR " in line] == []
    assert proxied.service.log.count("Booting worker") == proxied.service.workers
    assert requests.get(f"{proxied.url}/health/ready", timeout=HANG_SECONDS).json()["status"] == "ready"
