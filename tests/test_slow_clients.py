"""Clients that are slow, silent or without end keep no other from being served."""

import resource
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import requests

from tests.load import crowding
from tests.nginx import proxied_service
from tests.servers import HANG_SECONDS, UNLIMITED, wait_until
from tests.test_service import token

CLIENTS = 200
ANSWER_SECONDS_MAX = 2  # of an honest request, while the others do their worst
JSON = b"POST /api/v1/posts HTTP/1.1\r\nHost: x\r\nAuthorization: TOKEN\r\nContent-Type: application/json\r\n"
UPLOAD = (
    b"POST /api/v1/posts/%032d/media HTTP/1.1\r\nHost: x\r\nAuthorization: TOKEN\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n"
) % 0
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n"
TIME_WAIT, LISTEN = "06", "0A"
LARGE = b"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"  # 100 KB and more


@pytest.fixture(scope="module", autouse=True)
def many_descriptors():
    """Let this process, and the service, have more open than a shell's usual 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """The service behind nginx."""
    folder = tmp_path_factory.mktemp("service")
    with proxied_service(folder, WEB_CONCURRENCY="2", WEB_THREADS="8", **UNLIMITED) as proxied:
        yield proxied


def connect(service, *, receives: int | None = None) -> socket.socket:
    """Connect, with a window of so many bytes if need be."""
    connection = socket.socket()
    if receives:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    connection.settimeout(HANG_SECONDS)
    connection.connect(("127.0.0.1", service.nginx.port))
    return connection


def sockets(service) -> int:
    """Count the connections that nginx has with clients (proc(5): /proc/net/tcp)."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    states = [row[3] for row in rows if int(row[1].rpartition(":")[2], 16) == service.nginx.port]
    return sum(state not in (TIME_WAIT, LISTEN) for state in states)


def wait_until_all_have_gone(service) -> None:
    wait_until(lambda: sockets(service) == 0, what="connections are still open")


@contextmanager
def many(service, first: bytes, then: bytes = b"", *, receives: int | None = None, clients: int = CLIENTS):
    """Keep clients that send something, and then a byte a second of something else."""
    ended = threading.Event()

    def drip(connections) -> None:
        for byte in then:
            if ended.wait(1):
                return
            for connection in connections:
                with suppress(OSError):  # the service has ended this one
                    connection.send(bytes([byte]))

    with ExitStack() as stack:
        connections = [stack.enter_context(connect(service, receives=receives)) for _ in range(clients)]
        for connection in connections:
            connection.sendall(first)
        thread = threading.Thread(target=drip, args=(connections,))
        thread.start()
        try:
            yield connections
        finally:
            ended.set()
            thread.join()


def answer_seconds(service, path: str = "/health") -> float:
    began = time.monotonic()
    assert requests.get(service.url + path, timeout=HANG_SECONDS).status_code == 200
    return time.monotonic() - began


def honest_seconds(service) -> list[float]:
    paths = ["/health", "/health/ready", "/api/v1/posts", "/api/v1/categories"] * 10
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda path: answer_seconds(service, path), paths))


WORST = {
    "send nothing": (b"", b"", None),
    "send their head a byte a second": (b"G", b"ET /health HTTP/1.1", None),
    "never end their head": (HEALTH, b"X-A: aaaaaaaaaaaaaaa", None),
    "send JSON a byte a second": (JSON + b"Content-Length: 500\r\n\r\n{", b'"title": "aaaaaaaaaaaaaaa', None),
    "send chunks a byte a second": (
        JSON + b"Transfer-Encoding: chunked\r\n\r\n1f4\r\n{",
        b'"title": "aaaaaaaaaaaaaaa',
        None,
    ),
    "send images a byte a second": (UPLOAD + b"Content-Length: 500000\r\n\r\n--x\r\n", b"Content-Disposition:", None),
    "wait to be told to send": (UPLOAD + b"Expect: 100-continue\r\nContent-Length: 500000\r\n\r\n", b"", None),
    "stop amid their images": (UPLOAD + b"Content-Length: 500000\r\n\r\n" + b"x" * 100_000, b"", None),
    "never read": (LARGE * 20, b"", 4096),
    "never close": (HEALTH + b"Connection: close\r\n\r\n", b"", None),
    "are refused and never close": (b"nonsense\r\n", b"", None),
}


@pytest.mark.parametrize("worst", WORST.values(), ids=WORST)
def test_others_are_answered_meanwhile_and_nothing_is_left_behind(worst, service):
    first, then, receives = worst
    first = first.replace(b"TOKEN", token(service.url)["Authorization"].encode())
    wait_until_all_have_gone(service)

    with many(service, first, then, receives=receives):
        seconds = honest_seconds(service)
        held = sockets(service)

    print(f"{CLIENTS} clients, {held} sockets, slowest honest answer {max(seconds):.3f} s")
    assert max(seconds) < ANSWER_SECONDS_MAX * crowding()
    wait_until_all_have_gone(service)
    assert "Traceback" not in service.service.log


def test_a_thousand_that_never_end_their_head_stop_nobody(service):
    wait_until_all_have_gone(service)

    with many(service, HEALTH, b"X-A: aaaaa", clients=1000):
        seconds = honest_seconds(service)

    print(f"1000 clients, slowest honest answer {max(seconds):.3f} s")
    assert max(seconds) < ANSWER_SECONDS_MAX * crowding()
    wait_until_all_have_gone(service)


def test_more_than_it_can_hold_give_way_oldest_first(tmp_path):
    changes = {"worker_connections 4096": "worker_connections 256"}
    with proxied_service(tmp_path, changes=changes) as service, ExitStack() as stack:
        connections = [stack.enter_context(connect(service)) for _ in range(400)]

        seconds = answer_seconds(service)
        oldest = connections[0].recv(1)
        connections[-1].sendall(HEALTH + b"\r\n")
        newest = connections[-1].recv(12)

    assert seconds < ANSWER_SECONDS_MAX * crowding()
    assert oldest == b""
    assert newest == b"HTTP/1.1 200"


def answer_of(connection: socket.socket) -> bytes:
    """Read until the service ends the connection."""
    return connection.makefile("rb").read()


def drip(connection: socket.socket, byte: bytes, ended: threading.Event) -> None:
    while not ended.wait(0.5):
        with suppress(OSError):
            connection.send(byte)


@pytest.fixture
def dripping():
    """Send a byte over and over again."""
    ended, threads = threading.Event(), []

    def start(connection: socket.socket, byte: bytes) -> None:
        threads.append(threading.Thread(target=drip, args=(connection, byte, ended)))
        threads[-1].start()

    yield start
    ended.set()
    for thread in threads:
        thread.join()


def test_a_head_has_ten_seconds_whatever_comes_meanwhile(service, dripping):
    began = time.monotonic()
    with connect(service) as connection:
        connection.sendall(HEALTH + b"X-A: ")
        dripping(connection, b"a")

        answer = answer_of(connection)

    assert answer == b""  # though it would drip for ever
    assert time.monotonic() - began > 8


def test_a_refusal_is_read_by_a_client_that_still_sends(service):
    head = JSON.replace(b"TOKEN", token(service.url)["Authorization"].encode())
    with connect(service) as connection:
        connection.sendall(head + b"Content-Length: 20000000\r\n\r\n")
        for _ in range(20):
            connection.sendall(b" " * 1_000_000)

        answer = answer_of(connection)

    assert answer.startswith(b"HTTP/1.1 413")
    assert b"Connection: close" in answer
    assert b'"success":false' in answer


def test_a_body_that_is_too_large_need_not_be_sent_to_be_refused(service):
    head = JSON.replace(b"TOKEN", token(service.url)["Authorization"].encode())
    with connect(service) as connection:
        connection.sendall(head + b"Content-Length: 2000000\r\n\r\n")

        answer = connection.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 413")


def test_a_client_that_reads_slowly_gets_all_of_its_answers(service):
    with connect(service, receives=4096) as connection:
        connection.sendall(LARGE * 19 + LARGE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        time.sleep(1)

        answer = answer_of(connection)

    document = requests.get(f"{service.url}/api/openapi.json", timeout=HANG_SECONDS).content
    assert answer.count(b"HTTP/1.1 200 OK") == answer.count(document) == 20
