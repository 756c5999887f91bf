"""Workers: connections are shared out among them, and what was loaded before them is shared by them."""

import os
import signal
import socket
from collections import Counter
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import requests

from post.worker import SILENT_SECONDS, ConnectionCounts
from tests.servers import PROJECT, UNLIMITED, children_of, running_service, wait_until

WORKERS = 3


@pytest.fixture
def service(tmp_path):
    with running_service(tmp_path, WEB_CONCURRENCY=str(WORKERS)) as running:
        yield running


def connect(service, stack):
    url = urlsplit(service.url)
    return stack.enter_context(socket.create_connection((url.hostname, url.port), timeout=10))


def ask(connection):
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert connection.recv(4096).startswith(b"HTTP/1.1 200")


def shares(service):
    """Return how many established connections each worker has, by the inodes of its sockets (proc(5))."""
    port = f":{urlsplit(service.url).port:04X}"
    inodes = set()
    with open("/proc/net/tcp") as table:
        for line in list(table)[1:]:
            _, local, _, state, *rest = line.split()
            if local.endswith(port) and state == "01":
                inodes.add(rest[5])
    held = Counter()
    for worker in children_of(service.process.pid):
        for descriptor in os.listdir(f"/proc/{worker}/fd"):
            try:
                target = os.readlink(f"/proc/{worker}/fd/{descriptor}")
            except FileNotFoundError:
                continue
            held[worker] += target.removeprefix("socket:[").removesuffix("]") in inodes
    return sorted(held[worker] for worker in children_of(service.process.pid))


def test_a_burst_of_connections_is_shared_out_evenly(service):
    with ExitStack() as stack:
        connections = [connect(service, stack) for _ in range(8 * WORKERS)]
        for connection in connections:
            ask(connection)

        held = shares(service)

    assert sum(held) == 8 * WORKERS
    assert held[-1] - held[0] <= 2


def test_a_worker_that_takes_the_place_of_a_killed_one_takes_its_share(service):
    os.kill(sorted(children_of(service.process.pid))[0], signal.SIGKILL)
    wait_until(lambda: service.log.count("Booting worker") == WORKERS + 1, seconds=15, what="no new worker boots")

    with ExitStack() as stack:
        for connection in [connect(service, stack) for _ in range(8 * WORKERS)]:
            ask(connection)
        held = shares(service)

    assert len(held) == WORKERS
    assert held[-1] - held[0] <= 2


def test_while_a_worker_hangs_the_others_take_its_connections(service):
    hanging = sorted(children_of(service.process.pid))[0]
    os.kill(hanging, signal.SIGSTOP)
    try:
        answers = [requests.get(f"{service.url}/health", timeout=10).status_code for _ in range(20)]
    finally:
        os.kill(hanging, signal.SIGCONT)

    assert answers == [200] * 20


def test_a_worker_that_no_longer_tells_is_not_waited_for(monkeypatch):
    counts, now = ConnectionCounts(), [1000.0]
    monkeypatch.setattr("post.worker.time.monotonic", lambda: now[0])
    counts.tell(1, 0)
    counts.tell(2, 5)
    assert counts.fewest() == 0

    now[0] += SILENT_SECONDS + 1
    counts.tell(2, 5)

    assert counts.fewest() == 5


def test_a_worker_that_leaves_is_not_counted():
    counts = ConnectionCounts()
    counts.tell(1, 0)
    counts.tell(2, 5)

    counts.leave(1)

    assert counts.fewest() == 5


NOTE_COLLECTIONS = """
import gc, os

def note(phase, info):
    if phase == "stop":
        with open(os.environ["COLLECTIONS"], "a") as file:
            print(os.getpid(), gc.get_freeze_count(), file=file)

gc.callbacks.append(note)
"""


def test_each_worker_collects_its_own_garbage_and_leaves_out_what_was_loaded(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(NOTE_COLLECTIONS)
    noted = tmp_path / "collections"
    noted.touch()

    def collected():
        return dict(map(int, line.split()) for line in noted.read_text().splitlines())

    path = os.pathsep.join(map(str, (tmp_path, PROJECT)))
    with running_service(tmp_path, PYTHONPATH=path, COLLECTIONS=str(noted), **UNLIMITED) as service:
        workers = {*children_of(service.process.pid)}

        def all_have_collected():
            for _ in range(50):
                requests.get(f"{service.url}/api/v1/posts", timeout=5)
            return collected().keys() >= workers

        wait_until(all_have_collected, seconds=20, what=f"not all of {workers} collect: {collected()}")
        left_out = collected()

    assert min(left_out[worker] for worker in workers) > 50_000
