"""How the service stops: as a pod does, nginx first; and alone."""

import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path

import pytest
import requests

from tests.nginx import PATIENT_WITH_BODIES, POD_USER, WITHOUT_CAPABILITIES, proxied_service
from tests.servers import (
    HANG_SECONDS,
    PROJECT,
    UNLIMITED,
    Service,
    changed_configuration,
    children_of,
    running_service,
    start_service,
    stop,
    wait_until,
    wait_until_healthy,
    wait_until_in_flight,
)
from tests.test_service import token

DRAIN_SECONDS = 2  # of the 120 for which the pod's hooks wait
CLIENTS = 16
BODY = b'{"username": "ana"}'


def without_rights() -> list[str]:
    """What to begin a command with, so that it has no capability; as the pod's user, where that may read Python."""
    if os.geteuid() != 0:
        return []
    as_user = ["setpriv", f"--reuid={POD_USER}", f"--regid={POD_USER}", *WITHOUT_CAPABILITIES, "--clear-groups"]
    imports = [sys.executable, "-c", "import flask"]
    may_read = subprocess.run([*as_user, *imports], cwd=PROJECT, check=False, timeout=HANG_SECONDS)
    return as_user if may_read.returncode == 0 else ["setpriv", *WITHOUT_CAPABILITIES]


@pytest.fixture
def folder():
    """A folder of the user whom the service runs as: what pytest gives is root's alone."""
    with tempfile.TemporaryDirectory(prefix="post-service-") as name:
        if os.geteuid() == 0:
            os.chown(name, POD_USER, POD_USER)
        yield Path(name)


def connect(url: str) -> HTTPConnection:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=HANG_SECONDS)
    connection.connect()
    return connection


def ask(connection: HTTPConnection, path: str = "/health") -> HTTPResponse:
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    return response


@contextmanager
def locked_database(folder):
    """Let writes wait."""
    lock = sqlite3.connect(folder / "instance" / "postdb.sqlite3", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        lock.close()


def write(url: str, headers) -> int:
    body = {"title": "제목", "content": "내용"}
    return requests.post(f"{url}/api/v1/posts", json=body, headers=headers, timeout=HANG_SECONDS).status_code


# As a pod


class LoadBalancer:
    """Whether a replica is ready, as a load balancer finds out from time to time."""

    def __init__(self, url: str) -> None:
        self._url, self._ended = url, threading.Event()
        self.is_ready = True
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(0.1) and self.is_ready:
            self.is_ready = requests.get(f"{self._url}/health/ready", timeout=HANG_SECONDS).ok

    def close(self) -> None:
        self._ended.set()
        self._thread.join()


class Caller:
    """A client that asks over and over: by a new connection only while the load balancer sends it here."""

    def __init__(self, url: str, balancer: LoadBalancer, *, keeps_alive: bool) -> None:
        self._url, self._balancer, self._keeps_alive = url, balancer, keeps_alive
        self.faults: list[str] = []
        self.answers: Counter[int] = Counter()

    def run(self) -> None:
        connection = None
        while connection or self._balancer.is_ready:
            connection = connection or connect(self._url)
            try:
                response = ask(connection)
            except (OSError, HTTPException) as exc:
                self.faults.append(repr(exc))
                return
            self.answers[response.status] += 1
            if not self._keeps_alive or response.headers["Connection"] == "close":
                connection.close()
                connection = None


def test_a_pod_that_stops_under_load_resets_nobody(tmp_path):
    with proxied_service(tmp_path, **UNLIMITED) as pod:
        with closing(LoadBalancer(pod.url)) as balancer:
            callers = [Caller(pod.url, balancer, keeps_alive=number < CLIENTS) for number in range(CLIENTS + 4)]
            threads = [threading.Thread(target=caller.run) for caller in callers]
            for thread in threads:
                thread.start()
            time.sleep(1)

            pod.nginx.begin_stop()
            wait_until(lambda: not balancer.is_ready, what="the load balancer does not notice")
            time.sleep(DRAIN_SECONDS)
            quit_code = pod.nginx.quit()
            for thread in threads:
                thread.join()
        pod.service.process.terminate()
        exit_code = pod.service.process.wait(timeout=HANG_SECONDS)

    answers = sum((caller.answers for caller in callers), Counter())
    print(answers)
    assert not balancer.is_ready
    assert [fault for caller in callers for fault in caller.faults] == []
    assert set(answers) == {200}
    assert (quit_code, exit_code) == (0, 0)
    assert "Traceback" not in pod.service.log


def test_while_it_stops_it_is_not_ready_and_serves_on(tmp_path):
    with proxied_service(tmp_path, **UNLIMITED) as pod, closing(connect(pod.url)) as kept:
        first = ask(kept)
        pod.nginx.begin_stop()
        readiness = requests.get(f"{pod.url}/health/ready", timeout=HANG_SECONDS)
        last = ask(kept)
        written = write(pod.url, token(pod.url))

    assert (first.status, first.headers["Connection"]) == (200, "keep-alive")
    assert (last.status, last.headers["Connection"]) == (200, "close")
    assert (readiness.status_code, written) == (503, 201)


def slow_request(port: int, *, until: threading.Event) -> tuple[int, bytes]:
    """Send a request whose body ends when ``until`` is set; returns its status and the answer."""
    head = b"POST /dev/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS) as client:
        client.sendall(head + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:5])
        until.wait()
        client.sendall(BODY[5:])
        answer = client.makefile("rb").read()
    return int(answer.split()[1]), answer


@pytest.mark.parametrize("behind_nginx", [True, False], ids=["as a pod", "alone"])
def test_a_body_that_ends_8_seconds_after_the_stop_is_answered(behind_nginx, folder):
    prefix = without_rights()
    with (
        proxied_service(folder, changes=PATIENT_WITH_BODIES, prefix=prefix, **UNLIMITED) as pod,
        ThreadPoolExecutor(3) as pool,
    ):
        port = pod.nginx.port if behind_nginx else int(pod.service.url.rpartition(":")[2])
        whole = threading.Event()
        asked = [pool.submit(slow_request, port, until=whole) for _ in range(2)]
        time.sleep(1)
        if behind_nginx:
            stopping = pool.submit(pod.nginx.quit)
        else:
            pod.service.process.terminate()
        time.sleep(8)
        whole.set()
        answers = [answer.result() for answer in asked]
        if behind_nginx:
            assert stopping.result() == 0
            pod.service.process.terminate()
        exit_code = pod.service.process.wait(timeout=HANG_SECONDS)

    assert [status for status, _ in answers] == [200, 200]
    assert exit_code == 0
    assert "Traceback" not in pod.service.log


# Gunicorn alone


def test_requests_in_flight_are_answered_and_a_second_sigterm_does_no_harm(tmp_path):
    with running_service(tmp_path, **UNLIMITED) as service, ThreadPoolExecutor(8) as pool:
        headers = token(service.url)
        with locked_database(tmp_path):
            sent = [pool.submit(write, service.url, headers) for _ in range(8)]
            wait_until_in_flight(service, 8)
            service.process.terminate()
            time.sleep(0.5)
            service.process.terminate()
            for worker in children_of(service.process.pid):
                os.kill(worker, signal.SIGTERM)
            time.sleep(1)
            waiting = [future.done() for future in sent]
        statuses = [future.result() for future in sent]
        exit_code = service.process.wait(timeout=HANG_SECONDS)

    assert waiting == [False] * 8
    assert statuses == [201] * 8
    assert exit_code == 0


def sleeps_on(service: Service, looks: Counter) -> int:
    """Look whether all workers' main threads sleep (proc(5)); returns for how many looks they have by now."""
    states = [
        Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in children_of(service.process.pid)
    ]
    looks["asleep"] = looks["asleep"] + 1 if set(states) == {"S"} else 0
    return looks["asleep"]


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGQUIT])
def test_a_developer_need_not_wait(stop_signal, tmp_path):
    """For a client that keeps its connection, however long it may."""
    patient = changed_configuration(tmp_path, "graceful_timeout = keepalive = 3600")
    service = start_service(tmp_path, configuration=patient)
    try:
        wait_until_healthy(service)
        with closing(connect(service.url)) as kept:
            ask(kept)
            # Gunicorn's handler of SIGQUIT locks up where it meets a worker that hands over a request.
            looks = Counter()
            wait_until(lambda: sleeps_on(service, looks) >= 5, what="the workers do not rest")

            service.process.send_signal(stop_signal)

            assert service.process.wait(timeout=HANG_SECONDS) == 0
    finally:
        stop(service.process)


@pytest.mark.parametrize("reload", [False, True], ids=["its only worker told to stop", "told to reload"])
def test_it_listens_again_after_its_workers_have_left(reload, tmp_path):
    with running_service(tmp_path, WEB_CONCURRENCY="1") as service:
        (first,) = children_of(service.process.pid)
        os.kill(*((service.process.pid, signal.SIGHUP) if reload else (first, signal.SIGTERM)))
        wait_until(lambda: first not in children_of(service.process.pid), what="the worker does not go")
        wait_until(lambda: service.log.count("Booting worker") == 2, what="no other comes")

        statuses = [requests.get(f"{service.url}/health/ready", timeout=HANG_SECONDS).status_code for _ in range(10)]

    assert statuses == [200] * 10


@pytest.mark.parametrize("seed", range(8))
def test_a_worker_that_has_just_begun_hears_that_it_is_to_stop(seed, folder):
    service = start_service(folder, prefix=without_rights())
    try:
        wait_until(lambda: "Booting worker" in service.log, what="it does not start")
        time.sleep(random.Random(seed).uniform(0, 0.03))

        service.process.terminate()

        assert service.process.wait(timeout=HANG_SECONDS) == 0
        assert "SIGKILL" not in service.log  # as whoever has not heard is ended, after 30 s
    finally:
        service.process.kill()
        service.process.wait()


def test_a_worker_that_is_told_to_stop_before_it_has_handlers_hears_of_it(tmp_path):
    """Told by itself, in the first thing that it does after the fork."""
    told = """
import os, signal
begin = post_fork
def post_fork(server, worker):
    if worker.age == 1:
        os.kill(os.getpid(), signal.SIGTERM)
    begin(server, worker)
"""
    service = start_service(tmp_path, configuration=changed_configuration(tmp_path, told))
    try:
        wait_until(lambda: service.log.count("Booting worker") == 3, what="the first has not heard of it")
        wait_until_healthy(service)
        service.process.terminate()
        assert service.process.wait(timeout=HANG_SECONDS) == 0
    finally:
        service.process.kill()
        service.process.wait()
