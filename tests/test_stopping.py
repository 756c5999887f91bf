"""How the service stops: what is asked of it meanwhile is answered, and nothing of it hangs."""

import os
import re
import signal
import sqlite3
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import urlsplit

import pytest
import requests

from post import messages
from tests.servers import UNLIMITED, children_of, running_service, wait_until
from tests.test_service import token

DRAIN_SECONDS = 2
CLIENTS = 16


@contextmanager
def draining_service(folder, **settings: str):
    with running_service(folder, DRAIN_SECONDS=str(DRAIN_SECONDS), **UNLIMITED, **settings) as running:
        yield running


def connect(service) -> HTTPConnection:
    connection = HTTPConnection(urlsplit(service.url).netloc, timeout=20)
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


def write(service, headers) -> int:
    body = {"title": "제목", "content": "내용"}
    return requests.post(f"{service.url}/api/v1/posts", json=body, headers=headers, timeout=30).status_code


def test_it_is_not_ready_at_once_and_serves_until_it_has_drained(tmp_path):
    with draining_service(tmp_path) as service, closing(connect(service)) as kept:
        ask(kept)

        service.process.terminate()
        time.sleep(0.3)
        readiness = [requests.get(f"{service.url}/health/ready", timeout=5) for _ in range(8)]
        health = requests.get(f"{service.url}/health", timeout=5)
        last = ask(kept)
        exit_code = service.process.wait(timeout=25)

    assert [answer.status_code for answer in readiness] == [503] * 8
    assert {answer.json()["status"] for answer in readiness} == {"stopping"}
    assert (health.status_code, health.headers["Connection"]) == (200, "close")
    assert (last.status, last.headers["Connection"]) == (200, "close")
    assert exit_code == 0


class Callers:
    """Clients that ask over and over until nobody listens; each fault but that is kept."""

    def __init__(self, service, *, keeps_alive: bool) -> None:
        self._service, self._keeps_alive = service, keeps_alive
        self.faults: list[str] = []
        self.answers: Counter[int] = Counter()
        self.ended_at = 0.0

    def run(self) -> None:
        connection = None
        while True:
            if connection is None:
                try:
                    connection = connect(self._service)
                except ConnectionRefusedError:
                    self.ended_at = time.monotonic()
                    return
            try:
                response = ask(connection)
            except (OSError, HTTPException) as exc:
                self.faults.append(repr(exc))
                connection.close()
                connection = None
                continue
            self.answers[response.status] += 1
            if not self._keeps_alive or response.headers["Connection"] == "close":
                connection.close()
                connection = None


def test_no_answer_is_lost_and_nobody_is_reset_while_it_stops_under_load(tmp_path):
    with draining_service(tmp_path) as service:
        callers = [Callers(service, keeps_alive=kind < CLIENTS) for kind in range(CLIENTS + 4)]
        threads = [threading.Thread(target=caller.run) for caller in callers]
        for thread in threads:
            thread.start()
        time.sleep(1)

        told_at = time.monotonic()
        service.process.terminate()
        exit_code = service.process.wait(timeout=25)
        for thread in threads:
            thread.join(timeout=30)

    answers = sum((caller.answers for caller in callers), Counter())
    print(
        f"{answers} answers, first refused {min(caller.ended_at for caller in callers) - told_at:.2f} s after SIGTERM"
    )
    assert [fault for caller in callers for fault in caller.faults] == []
    assert set(answers) == {200}
    assert min(caller.ended_at for caller in callers) - told_at >= DRAIN_SECONDS
    assert exit_code == 0
    assert "Traceback" not in service.log


def test_what_has_connected_and_not_yet_been_accepted_is_answered(tmp_path):
    """While both workers are stopped, the kernel lets clients in that nobody accepts."""
    with draining_service(tmp_path) as service, ThreadPoolExecutor(20) as pool:
        workers = sorted(children_of(service.process.pid))
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        waiting = [pool.submit(requests.get, f"{service.url}/health", timeout=20) for _ in range(20)]
        time.sleep(0.5)
        service.process.terminate()
        time.sleep(DRAIN_SECONDS)
        for worker in workers:
            os.kill(worker, signal.SIGCONT)

        statuses = [answer.result().status_code for answer in waiting]
        exit_code = service.process.wait(timeout=25)

    assert statuses == [200] * 20
    assert exit_code == 0


def test_requests_in_flight_outlast_the_drain_and_a_second_sigterm_does_no_harm(tmp_path):
    with draining_service(tmp_path) as service, ThreadPoolExecutor(8) as pool:
        headers = token(service.url)
        with locked_database(tmp_path):
            sent = [pool.submit(write, service, headers) for _ in range(8)]
            time.sleep(1)
            service.process.terminate()
            time.sleep(0.5)
            service.process.terminate()
            for worker in children_of(service.process.pid):
                os.kill(worker, signal.SIGTERM)
            time.sleep(DRAIN_SECONDS)
            waiting = [future.done() for future in sent]
        statuses = [future.result() for future in sent]
        exit_code = service.process.wait(timeout=25)

    assert waiting == [False] * 8
    assert statuses == [201] * 8
    assert exit_code == 0


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGQUIT])
def test_a_developer_need_not_wait_for_the_drain(stop_signal, tmp_path):
    with running_service(tmp_path, DRAIN_SECONDS="30") as service, closing(connect(service)) as kept:
        ask(kept)

        service.process.send_signal(stop_signal)

        assert service.process.wait(timeout=15) == 0


def test_a_killed_worker_takes_only_its_own_requests_with_it(tmp_path):
    with draining_service(tmp_path) as service, ExitStack() as stack:
        killed, other = sorted(children_of(service.process.pid))
        connections = [stack.enter_context(closing(connect(service))) for _ in range(8)]
        for connection in connections:
            ask(connection)

        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: killed not in children_of(service.process.pid), seconds=10, what="it is not reaped")
        outcomes = []
        for connection in connections:
            try:
                outcomes.append(ask(connection).status)
            except (OSError, HTTPException):
                outcomes.append(0)
        wait_until(lambda: len(list(children_of(service.process.pid))) == 2, seconds=15, what="no new worker comes")
        again = [requests.get(f"{service.url}/health", timeout=10).status_code for _ in range(20)]
        others = set(children_of(service.process.pid))

    assert Counter(outcomes) == {200: 4, 0: 4}
    assert again == [200] * 20
    assert other in others


@pytest.mark.parametrize("reload", [False, True], ids=["its only worker told to stop", "told to reload"])
def test_it_listens_again_after_its_workers_have_left(reload, tmp_path):
    with draining_service(tmp_path, WEB_CONCURRENCY="1") as service:
        (first,) = children_of(service.process.pid)
        os.kill(*((service.process.pid, signal.SIGHUP) if reload else (first, signal.SIGTERM)))
        wait_until(lambda: first not in children_of(service.process.pid), seconds=20, what="the worker does not go")
        wait_until(lambda: service.log.count("Booting worker") == 2, seconds=10, what="no other comes")

        statuses = [requests.get(f"{service.url}/health/ready", timeout=5).status_code for _ in range(10)]

    assert statuses == [200] * 10


def test_a_request_that_is_not_answered_in_time_is_given_up(tmp_path):
    """Two are in the worker's threads; the third waits for one of them."""
    origin = "https://site.example"
    settings = {"REQUEST_TIMEOUT": "1", "WEB_THREADS": "2", "WEB_CONCURRENCY": "1", "CORS_ORIGINS": origin}
    with draining_service(tmp_path, **settings) as service, ThreadPoolExecutor(3) as pool:
        headers = token(service.url) | {"Accept-Language": "en", "Origin": origin}
        with locked_database(tmp_path):
            answers = list(pool.map(lambda n: _asked(service, headers | {"X-Request-ID": f"given-up-{n}"}), range(3)))
        wait_until(lambda: write(service, headers) == 201, seconds=20, what="its threads do not come back")
        wait_until(lambda: "status=201" in service.log, seconds=10, what=service.log)

    for n, (seconds, answer) in enumerate(answers):
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "internal_error")
        assert answer.json()["message"] == messages.text("internal_error", "en")
        assert answer.headers["Retry-After"]
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["X-Request-ID"] == answer.json()["error"]["request_id"] == f"given-up-{n}"
        assert seconds < 5
        (line,) = re.findall(rf" request request_id=given-up-{n} (.*)", service.log)
        assert re.fullmatch(r"method=POST (route=/api/v1/posts )?path=/api/v1/posts ms=\d{4}.* status=503", line)
    assert service.log.count("route=/api/v1/posts path=/api/v1/posts ms=") == 2 + service.log.count("status=201")
    assert service.log.count("Request not answered within 1 s") == 3
    assert "Traceback" not in service.log


def _asked(service, headers):
    began = time.monotonic()
    body = {"title": "제목", "content": "내용"}
    answer = requests.post(f"{service.url}/api/v1/posts", json=body, headers=headers, timeout=30)
    return time.monotonic() - began, answer
