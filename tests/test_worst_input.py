"""The worst that a stranger can send costs no more than a few times as much as something plain of the same size."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.servers import HANG_SECONDS, UNLIMITED, running_service
from tests.test_service import token

KIB, MIB = 1024, 1024 * 1024
POSTS = "/api/v1/posts"
FIELD_MAX = 16_000  # what gunicorn and nginx let through of a header field, about
TIMES, FLOOR_SECONDS = 12, 0.03  # what is plain costs a few milliseconds


def marks(size: int) -> str:
    """Two classes of marks in turn of a wrong order, as many as fit into a number of bytes."""
    return "a" + "\u0301" * (size // 4 - 1) + "\u0316" * (size // 4 - 1)


def filled(item: str, size: int) -> str:
    return item * (size // len(item.encode()))


TEXTS = {
    "marks": marks,
    "runs-of-30": lambda size: filled("a" + "\u0301" * 15 + "\u0316" * 15, size),
    "enclosing-marks": lambda size: filled("\u20dd", size),
    "joiners": lambda size: filled("\u200d", size),
    "joiners-after-a-letter": lambda size: "ی" + filled("\u200c", size - 2),
    "tags": lambda size: "🏴" + filled("\U000e0067", size - 4),
    "fillers": lambda size: filled("\u3164", size),
    "spaces": lambda size: " " * size,
    "words": lambda size: filled("a ", size),
    "line-breaks": lambda size: filled("\n", size),
    "separators": lambda size: filled("\u2028", size),
    "compositions-excluded": lambda size: filled("\u0958", size),
    "jamo": lambda size: filled("\u1112\u1161\u11ab", size),
}
LISTS = [
    ",",
    "a,",
    '"a",',
    'W/"a",',
    "a;",
    ";a=",
    ";q=0.1,",
    '"',
    '\\"',
    '" ',
    " ",
    "a ",
    "*,",
    "=",
    "1,",
    "[::1],",
    "for=",
    'for="[::1]";',
]
FIELDS = [
    "If-None-Match",
    "If-Match",
    "Accept-Language",
    "Cookie",
    "X-Forwarded-For",
    "Forwarded",
    "Range",
    "If-Modified-Since",
]
BODIES = {
    "lists-400-deep": b"[" + b",".join([b"[" * 400 + b"]" * 400] * 1300) + b"]",
    "lists": b"[" + b",".join([b"[]"] * 349_000) + b"]",
    "never-closed": b"[" * (MIB - 100),
    "objects": b"[" + b",".join([b"{}"] * 349_000) + b"]",
    "numbers": b"[" + b",".join([b"1"] * 524_000) + b"]",
    "long-numbers": b"[" + b",".join([b"1" * 4300] * 243) + b"]",
    "one-number": b"1" * (MIB - 100),
    "one-fraction": b"0." + b"1" * (MIB - 100),
    "strings": b"[" + b",".join([b'""'] * 349_000) + b"]",
    "quotes": b'"' + b'\\"' * 524_000 + b'"',
    "quotes-and-commas": b'"' + b'\\",' * 349_000 + b'"',
    "never-ending-string": b'"' + b',\\"' * 349_000,
    "names": b"{" + b",".join(b'"%d":0' % number for number in range(90_000)) + b"}",
    "escapes": b'"' + b"\\u0301" * 174_000 + b'"',
}


@pytest.fixture
def cpu_seconds() -> Callable[..., float]:
    def measure(call: Callable[[], object], times: int = 3) -> float:
        """Return the least time of this thread that a call takes, of several."""
        taken = []
        for _ in range(times):
            begun = time.thread_time()
            call()
            taken.append(time.thread_time() - begun)
        return min(taken)

    return measure


@pytest.fixture
def post(client, as_user):
    headers = as_user("ana")
    return lambda data: client.post(POSTS, data=data, content_type="application/json", headers=headers)


def body(**fields: str) -> bytes:
    return json.dumps({"title": "t", "content": "c"} | fields, ensure_ascii=False).encode()


def assert_cheap(worst: float, plain: float) -> None:
    assert worst < max(FLOOR_SECONDS, plain) * TIMES, f"{worst:.3f} s, plain {plain:.3f} s"


@pytest.mark.parametrize("size", [64 * KIB - 1, MIB - 100], ids=["64-kib", "1-mib"])
@pytest.mark.parametrize("field", ["title", "content", "category"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_no_text_is_costly(post, cpu_seconds, *, text, field, size):
    worst, plain = body(**{field: text(size)}), body(content="a" * size)

    assert_cheap(cpu_seconds(lambda: post(worst)), cpu_seconds(lambda: post(plain)))


@pytest.mark.parametrize("parameter", ["q", "category", "user_id", "category_id", "cursor", "page", "per_page", "sort"])
@pytest.mark.parametrize("text", [*TEXTS.values(), lambda size: "9" * size], ids=[*TEXTS, "digits"])
def test_no_parameter_is_costly(client, cpu_seconds, *, text, parameter):
    worst = {parameter: text(4_000)}

    assert_cheap(cpu_seconds(lambda: client.get(POSTS, query_string=worst)), cpu_seconds(lambda: client.get(POSTS)))


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("item", LISTS)
def test_no_header_is_costly(client, make_post, cpu_seconds, *, item, field):
    path, value = f"{POSTS}/{make_post()}", filled(item, FIELD_MAX)

    worst = cpu_seconds(lambda: client.get(path, headers={field: value}))

    assert_cheap(worst, cpu_seconds(lambda: client.get(path, headers={field: "a" * FIELD_MAX})))


@pytest.mark.parametrize(
    "value", ["[" * 6_000, "a." * 4_000, "a" * 8_000, "W1tb" * 2_000 + ".a.b", "." * 8_000], ids=lambda value: value[:5]
)
def test_no_token_is_costly(client, cpu_seconds, value):
    worst = cpu_seconds(lambda: client.get(POSTS, headers={"Authorization": f"Bearer {value}"}))

    assert_cheap(worst, cpu_seconds(lambda: client.get(POSTS)))


@pytest.mark.parametrize("value", BODIES.values(), ids=BODIES)
def test_no_json_is_costly(post, cpu_seconds, value):
    worst = b'{"title": "t", "content": "c", "x": ' + value + b"}"

    assert_cheap(cpu_seconds(lambda: post(worst)), cpu_seconds(lambda: post(body(content="a" * (MIB - 100)))))


FRAME = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n%s\r\n--x--'


@pytest.mark.parametrize(
    "content",
    [b"\r", b"\n", b"\r\n", b"\r\n--", b"\r\n--x", b"\n--x ", b"\n--x\r\n", b"--x", b"\r\n\r\n", b"\n--xy"],
    ids=repr,
)
def test_no_upload_is_costly(client, make_post, as_user, cpu_seconds, content):
    """8 MiB: what they cost is linear, and a body of 52 MiB takes minutes to write on a busy machine."""
    path, headers, size = f"{POSTS}/{make_post()}/media", as_user("ana"), 8 * MIB

    def upload(filling: bytes) -> None:
        data = FRAME % (filling * (size // len(filling)))
        client.post(path, data=data, content_type="multipart/form-data; boundary=x", headers=headers)

    assert_cheap(cpu_seconds(lambda: upload(content)), cpu_seconds(lambda: upload(b"a")))


@pytest.mark.parametrize("item", ["; a", ';a="', ";a=", '\\"', " ", "\r\n ", "\r\nA", "é", "\u0301", ";filename*=a'"])
def test_no_head_of_a_part_is_costly(client, make_post, as_user, cpu_seconds, item):
    path, headers = f"{POSTS}/{make_post()}/media", as_user("ana")

    def upload(filling: str) -> None:
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="' + filled(filling, FIELD_MAX).encode()
        data = head + b'"\r\n\r\nx\r\n--x--'
        client.post(path, data=data, content_type="multipart/form-data; boundary=x", headers=headers)

    assert_cheap(cpu_seconds(lambda: upload(item)), cpu_seconds(lambda: upload("a")))


def test_four_bodies_of_marks_leave_the_service_answering(tmp_path):
    with running_service(tmp_path, **UNLIMITED) as service, ThreadPoolExecutor(4) as pool:
        headers, data = token(service.url) | {"Content-Type": "application/json"}, body(content=marks(MIB - 100))
        sent = [
            pool.submit(requests.post, service.url + POSTS, data=data, headers=headers, timeout=HANG_SECONDS)
            for _ in range(4)
        ]
        while not all(answer.done() for answer in sent):
            assert requests.get(f"{service.url}/health", timeout=HANG_SECONDS).ok

    assert [answer.result().status_code for answer in sent] == [400] * 4
