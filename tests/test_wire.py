"""Requests as they come over the wire: in pieces, several at once, malformed, too large."""

import hashlib
import inspect
import itertools
import re
import socket
import time

import pytest
from gunicorn import util
from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.message import Message, Request
from gunicorn.http.parser import Parser
from gunicorn.http.unreader import Unreader
from gunicorn.http.wsgi import Response
from gunicorn.workers.gthread import TConn, ThreadWorker
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from post.connections import BODY_BUFFERED_BYTES, HEAD_MAX_BYTES
from tests.servers import UNLIMITED, free_port, running_service

GET = b"GET /health HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\r\n\r\n"
LAST = b"GET /health HTTP/1.1\r\nHost: x\r\nX-Request-ID: z\r\nConnection: close\r\n\r\n"


def post(body: bytes, fields: bytes = b"", path: bytes = b"/dev/token") -> bytes:
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nX-Request-ID: b\r\nContent-Type: application/json\r\n" % path
    return head + (fields or b"Content-Length: %d\r\n" % len(body)) + b"\r\n" + body


CHUNKED = post(b'5\r\n{"use\r\nd;a=b\r\nrname": "ana"\r\n1\r\n!\r\n0\r\n\r\n', b"Transfer-Encoding: chunked\r\n")
REQUESTS = {
    "get": GET,
    "head": GET.replace(b"GET", b"HEAD"),
    "with a body that is not read": GET.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n12345"),
    "post": post(b'{"username": 1}'),
    "post of no body": post(b""),
    "post of line ends": post(b'\r\n\r\n{"username":\r\n\r\n2}\r\n\r\n'),
    "post of 100 kB": post(b'{"username": "' + b"x" * 100_000 + b'"}'),
    "post to nowhere": post(b'{"a": 1}', path=b"/nowhere"),
    "chunked": CHUNKED,
    "chunked with trailers": CHUNKED.replace(b"\r\n0\r\n\r\n", b"\r\n0\r\nX-A: b\r\n\r\n"),
    "expecting": post(b"{}", b"Content-Length: 2\r\nExpect: 100-continue\r\n"),
    "after an empty line": b"\r\n" + GET,
    "lower case": post(b"[]").replace(b"Content-Length: ", b"content-length:\t"),
}


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    port = free_port()
    folder = tmp_path_factory.mktemp("service")
    with running_service(folder, PORT=str(port), WEB_CONCURRENCY="1", **UNLIMITED) as running:
        yield port
    assert "Traceback" not in running.log


def answers(port: int, pieces: list[bytes], *, pause_seconds: float = 0) -> bytes:
    """Send a connection's requests in pieces; returns its answers, less what differs each time."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause_seconds)
        said = connection.makefile("rb").read()
    return re.sub(rb"Date: [^\r]*\r\n", b"", said)


def pieces_of(stream: bytes, cuts: list[int]) -> list[bytes]:
    at = [0, *sorted({cut % len(stream) for cut in cuts}), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(at) if start < end]


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_a_connection_is_used_again_after_each_request_also_where_it_comes_with_the_next(request_, port):
    alone = answers(port, [request_ + LAST])
    thrice = answers(port, [request_ * 3 + LAST])

    last = alone[alone.rindex(b"HTTP/1.1 ") :]
    assert last.startswith(b"HTTP/1.1 200 OK")
    assert thrice == alone.removesuffix(last) * 3 + last


@pytest.mark.parametrize("request_", ["get", "post", "chunked", "expecting", "after an empty line"])
def test_a_request_may_be_cut_at_each_byte(request_, port):
    stream = REQUESTS[request_] + LAST
    whole = answers(port, [stream])

    for at in range(1, len(stream)):
        assert answers(port, [stream[:at], stream[at:]], pause_seconds=0.001) == whole
    assert answers(port, [bytes([byte]) for byte in stream], pause_seconds=0.001) == whole


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.sampled_from(sorted(REQUESTS)), min_size=1, max_size=6),
    cuts=st.lists(st.integers(0, 2**20), max_size=8),
    pause_seconds=st.sampled_from([0, 0.002]),
)
@example(names=["chunked", "get"], cuts=[], pause_seconds=0)
def test_however_a_stream_of_requests_is_cut_its_answers_are_the_same(port, names, cuts, pause_seconds):
    stream = b"".join(REQUESTS[name] for name in names) + LAST

    assert answers(port, pieces_of(stream, cuts), pause_seconds=pause_seconds) == answers(port, [stream])


def test_http_1_0_is_answered_and_ended(port):
    said = answers(port, [b"GET /health HTTP/1.0\r\n\r\n"])

    assert said.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"Connection: close\r\n" in said


def test_http_1_0_is_kept_alive_where_it_asks_for_it(port):
    kept = b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"

    assert answers(port, [kept + kept + LAST]).count(b"200 OK") == 3


def field(size: int) -> bytes:
    return b"X-A: " + b"a" * (size - len(b"X-A: \r\n")) + b"\r\n"


REFUSED = {
    "obsolete line folding": (b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n", 400),
    "no request line": (b"nonsense\r\n", 400),
    "bare line feeds": (b"GET /health HTTP/1.1\nHost: x\n\n", 400),
    "another version": (b"GET /health HTTP/3.0\r\n", 400),
    "two lengths": (post(b"{}", b"Content-Length: 2\r\nContent-Length: 3\r\n"), 400),
    "a length that is none": (post(b"", b"Content-Length: -1\r\n"), 400),
    "a length and chunks": (post(b"0\r\n\r\n", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400),
    "a length beyond all numbers": (post(b"", b"Content-Length: " + b"9" * 5000 + b"\r\n"), 400),
    "a large length": (post(b"", b"Content-Length: " + b"9" * 30 + b"\r\n"), 413),
    "a long line": (b"GET /" + b"a" * 5000, 414),
    "a long field": (b"GET /health HTTP/1.1\r\nHost: x\r\n" + field(16_384) + b"\r\n", 431),
    "many fields": (b"GET /health HTTP/1.1\r\nHost: x\r\n" + field(10) * 100 + b"\r\n", 431),
    "a large head": (b"GET /health HTTP/1.1\r\nHost: x\r\n" + field(16_000) * 5 + b"\r\n", 431),
    "a head without end": (b"GET /health HTTP/1.1\r\nHost: x\r\n" + field(1000) * 70, 431),
    "a field without end": (b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"a" * (HEAD_MAX_BYTES + 1), 431),
}


@pytest.mark.parametrize(("request_", "status"), REFUSED.values(), ids=REFUSED)
def test_what_breaks_http_or_is_too_large_is_refused_in_the_envelope(request_, status, port):
    said = answers(port, [request_])

    head, _, body = said.partition(b"\r\n\r\n")
    code = b"payload_too_large" if status in (413, 414, 431) else b"validation_error"
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in head
    assert b'"success":false' in body
    assert b'"code":"%s"' % code in body


@pytest.mark.parametrize("size", [BODY_BUFFERED_BYTES - 1, BODY_BUFFERED_BYTES, BODY_BUFFERED_BYTES + 1])
def test_bodies_about_the_size_that_is_waited_for_are_read_whole(size, port):
    body = b'{"username": 1, "a": "'
    body += b"x" * (size - len(body) - 2) + b'"}'

    said = answers(port, [post(body)[:300], post(body)[300:], LAST], pause_seconds=0.01)

    assert said.count(b'"field":"username"') == 1
    assert said.count(b"200 OK") == 1


# The digests of what post/patient_worker.py, post/connections.py and post/client_socket.py replace, call or rely on:
# where a newer gunicorn changes one of these, read it beside them before noting its new digest.
RELIED_ON = {
    ThreadWorker.__init__: "5681b8b542ea",
    ThreadWorker.accept: "f8dcead3dce5",
    ThreadWorker.enqueue_req: "c9f428953d24",
    ThreadWorker.handle: "ca85c9be3df7",
    ThreadWorker.handle_exit: "b4e7decd4f92",
    ThreadWorker.finish_request: "616e7bb15a00",
    ThreadWorker.handle_request: "6d0de5b91910",
    ThreadWorker.on_client_socket_readable: "aead1a3ea7b7",
    ThreadWorker.run: "f92c7394d857",
    ThreadWorker.set_accept_enabled: "140150ebfd3c",
    ThreadWorker.wait_for_and_dispatch_events: "ea969b352482",
    ThreadWorker._keepalive_after: "4ebdbbc8bf5a",
    TConn: "a5f6f0ef0dae",
    Message.should_close: "37c454bfb3e3",
    Message.set_body_reader: "e3ba33f5ac7c",
    Request.parse: "34c084607ae1",
    Request._parse_python: "ed07ffec5178",
    Request.read_line: "13bf2e83f72a",
    Parser.__next__: "b8536520e958",
    Parser.finish_body: "54c5d0d28c26",
    Unreader: "57bf03ce91af",
    LengthReader: "47cd17de0305",
    ChunkedReader.read: "1aa9df6c4dcb",
    Body.read: "c7bdfdd1c2c3",
    Response.default_headers: "cb490cea5d6f",
    Response.should_close: "3888d47a96e2",
    Response.sendfile: "417ea65fb9a1",
    util.write: "cd995031295f",
    util.write_nonblock: "d2ff97701c36",
}


def digest(relied_on) -> str:
    # A class by its functions: to find a class, inspect parses the module, which Python 3.11 may refuse in a thread
    # (SystemError: AST constructor recursion depth mismatch).
    functions = filter(inspect.isfunction, vars(relied_on).values()) if inspect.isclass(relied_on) else [relied_on]
    return hashlib.sha256("".join(map(inspect.getsource, functions)).encode()).hexdigest()[:12]


@pytest.mark.parametrize("relied_on", RELIED_ON, ids=lambda source: source.__qualname__)
def test_gunicorn_is_as_the_worker_was_written_for(relied_on):
    assert digest(relied_on) == RELIED_ON[relied_on]
