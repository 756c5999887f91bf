"""Clients that take what they can: answers that nobody reads, uploads without end."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests

from tests.image_samples import encoded, scene
from tests.load import API, crowding, token
from tests.nginx import Proxied, proxied_service
from tests.servers import HANG_SECONDS, PATIENT_WITH_MYSQL, UNLIMITED, children_of, image_allocator

SECONDS = float(os.environ.get("DRILL_SECONDS", "10"))
CONNECTIONS = 300
WARM_UP_READS = 30
POSTS, TEXT_CHARS = 50, 34_000  # a page of them is 1.7 MB
MEMORY_MAX_MIB, LEFT_MAX_MIB = 400, 50
UPLOADS, UPLOAD_BYTES_A_SECOND = 20, 130_000
OTHERS_SECONDS_MAX = 3


@pytest.fixture
def proxied(server, tmp_path) -> Iterator[Proxied]:
    settings = {**PATIENT_WITH_MYSQL, **UNLIMITED, **image_allocator()}
    with proxied_service(tmp_path, DATABASE_URL=server.url, **settings) as proxied:
        yield proxied


def memory_mib(proxied: Proxied) -> float:
    """What gunicorn and nginx have, in MiB; what they share counts once (proc(5): Pss)."""
    masters = [proxied.service.process.pid, proxied.nginx.process.pid]
    total = 0
    for process in [*masters, *(child for master in masters for child in children_of(master))]:
        fields = Path(f"/proc/{process}/smaps_rollup").read_text().split()
        total += int(fields[fields.index("Pss:") + 1])
    return total / 1024


def test_answers_that_nobody_reads(proxied):
    headers = token(proxied.url, "ana")
    body = {"title": "제목", "content": "a" * TEXT_CHARS}
    for _ in range(POSTS):
        created = requests.post(f"{proxied.url}{API}/posts", json=body, headers=headers, timeout=HANG_SECONDS)
        assert created.status_code == 201
    # The rest of a service in use: both workers have made such pages, for clients that read them.
    for _ in range(WARM_UP_READS):
        page = requests.get(f"{proxied.url}{API}/posts?per_page={POSTS}", timeout=HANG_SECONDS).content
    request = f"GET {API}/posts?per_page={POSTS} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 2
    rest, most, slowest = memory_mib(proxied), 0.0, 0.0

    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with ExitStack() as stack:
            for _ in range(CONNECTIONS):
                client = stack.enter_context(socket.socket())
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.connect(("127.0.0.1", proxied.nginx.port))
                client.sendall(request)
            for _ in range(10):
                time.sleep(0.4)
                most = max(most, memory_mib(proxied))
                began = time.monotonic()
                assert requests.get(f"{proxied.url}/health", timeout=HANG_SECONDS).ok
                slowest = max(slowest, time.monotonic() - began)
    deadline = time.monotonic() + HANG_SECONDS
    while (left := memory_mib(proxied)) > rest + LEFT_MAX_MIB and time.monotonic() < deadline:
        time.sleep(1)

    print(
        f"\nunread answers of {len(page) / 1e6:.1f} MB for {SECONDS:.0f} s: at rest {rest:.0f} MiB, most {most:.0f}, "
        f"afterwards {left:.0f}; slowest honest answer {slowest:.2f} s"
    )
    assert most < MEMORY_MAX_MIB
    assert left < rest + LEFT_MAX_MIB
    assert "Traceback" not in proxied.service.log


def multipart(image: bytes) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    return head + image + b"\r\n--x--\r\n"


def upload_head(path: str, headers: dict[str, str], length: int) -> bytes:
    fields = [f"Authorization: {headers['Authorization']}", "Content-Type: multipart/form-data; boundary=x"]
    fields += ["Host: x", "Connection: close", f"Content-Length: {length}"]
    return "\r\n".join([f"POST {path}/media HTTP/1.1", *fields, "", ""]).encode()


def drip(client: socket.socket, ended: threading.Event) -> None:
    """Send without end, at the rate of a poor mobile network."""
    with suppress(OSError):  # nginx refuses more than a dozen of one user
        while not ended.wait(0.1):
            client.sendall(b"x" * (UPLOAD_BYTES_A_SECOND // 10))


def test_slow_uploads_of_one_user(proxied):
    image = multipart(encoded(scene((1440, 1120)), "JPEG", quality=95))
    own = {"hog": "", "bo": ""}
    for name in own:
        body = {"title": "제목", "content": "내용"}
        created = requests.post(
            f"{proxied.url}{API}/posts", json=body, headers=token(proxied.url, name), timeout=HANG_SECONDS
        )
        own[name] = created.headers["Location"]
    hog_heads = [upload_head(own["hog"], token(proxied.url, "hog"), 5_000_000) for _ in range(UPLOADS)]
    other_head = upload_head(own["bo"], token(proxied.url, "bo"), len(image))
    seconds, statuses, ended = [], [], threading.Event()
    others = crowding()

    with ExitStack() as stack:
        threads = []
        for hog_head in hog_heads:  # each with a token of its own
            client = stack.enter_context(socket.create_connection(("127.0.0.1", proxied.nginx.port)))
            client.sendall(hog_head)
            threads.append(threading.Thread(target=drip, args=(client, ended)))
            threads[-1].start()
        time.sleep(1)
        for _ in range(5):
            began = time.monotonic()
            with socket.create_connection(("127.0.0.1", proxied.nginx.port), timeout=HANG_SECONDS) as client:
                client.sendall(other_head + image)
                statuses.append(int(client.makefile("rb").read().split()[1]))
            seconds.append(time.monotonic() - began)
        ended.set()
        for thread in threads:
            thread.join()

    print(
        f"\n{UPLOADS} uploads of one user at {UPLOAD_BYTES_A_SECOND // 1000} kB/s: another's of "
        f"{len(image) // 1000} kB took at most {max(seconds):.2f} s"
    )
    assert statuses == [201] * 5
    assert max(seconds) < OTHERS_SECONDS_MAX * others
