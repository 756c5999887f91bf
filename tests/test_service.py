"""The service as it is started: under gunicorn, in processes of its own."""

import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from post import messages
from post.database.schema import MIGRATIONS_DIR
from tests.servers import (
    HANG_SECONDS,
    PATIENT_WITH_MYSQL,
    PROJECT,
    free_port,
    running_service,
    start_service,
    stop,
    wait_until,
    wait_until_healthy,
    wait_until_in_flight,
)


def token(url: str, name: str = "ana", *groups: str) -> dict[str, str]:
    answer = requests.post(f"{url}/dev/token", json={"username": name, "groups": groups}, timeout=HANG_SECONDS).json()
    return {"Authorization": f"Bearer {answer['data']['access_token']}"}


def test_python_app_py_serves_and_shows_how_to_create_a_post(tmp_path):
    port = free_port()
    env = {"PATH": "/usr/bin:/bin", "PORT": str(port), "METRICS_PORT": str(free_port())}
    env |= {"INSTANCE_PATH": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    (tmp_path / ".curlrc").write_text(f"max-time = {HANG_SECONDS / 4}\n")
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen([sys.executable, str(PROJECT / "app.py")], env=env, cwd=tmp_path, stdout=file)

    def shows_all() -> bool:
        assert process.poll() is None, output.read_text()
        return "content" in output.read_text().rpartition("\n")[0]

    try:
        wait_until(shows_all, what="no command is shown")
        shown = output.read_text()
        lines = [line for line in shown.splitlines() if line.startswith(("  TOKEN", "    -d", "  curl", "    -H"))]
        created = subprocess.run(
            ["bash", "-c", "\n".join(lines)],
            env={**os.environ, "CURL_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
            timeout=HANG_SECONDS,
        )
    finally:
        stop(process)

    assert f"http://localhost:{port}/api/docs" in shown
    assert '"No":1,"title":"안녕하세요"' in created.stdout


@pytest.mark.parametrize("workers", ["1", "4"])
def test_a_reload_is_not_counted_whichever_worker_it_meets(workers, tmp_path):
    with running_service(tmp_path, WEB_CONCURRENCY=workers) as service:
        body = {"title": "제목", "content": "내용"}
        created = requests.post(
            f"{service.url}/api/v1/posts", json=body, headers=token(service.url), timeout=HANG_SECONDS
        )
        url = service.url + created.headers["Location"]

        views = [requests.get(url, timeout=HANG_SECONDS).json()["data"]["view_count"] for _ in range(20)]

    assert views == [1] * 20


def test_a_limit_holds_across_workers(tmp_path):
    with running_service(tmp_path, WEB_CONCURRENCY="4", RATELIMIT_READ="10/hour") as service:
        statuses = [
            requests.get(f"{service.url}/api/v1/categories", timeout=HANG_SECONDS).status_code for _ in range(20)
        ]

    assert statuses == [200] * 10 + [429] * 10


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\nno colon here\r\n\r\n", 400, "malformed_request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", 400, "malformed_request"),
        (b"GET /" + b"a" * 5_000 + b" HTTP/1.1\r\n\r\n", 414, "uri_too_long"),
        (b"GET / HTTP/1.1\r\nX-A: " + b"a" * 17_000 + b"\r\n\r\n", 431, "header_fields_too_large"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n", 400, "malformed_request"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: x\r\nContent-Length: 2\r\n\r\n", 400, "malformed_request"),
    ],
    ids=["no field", "two lengths", "a long address", "a long field", "a coding", "an expectation"],
)
def test_a_request_that_gunicorn_refuses_is_answered_in_the_envelope(request_, status, code, refusing):
    port = int(refusing.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS) as peer:
        peer.sendall(request_)
        answer = peer.makefile("rb").read().decode()

    head, _, body = answer.partition("\r\n\r\n")
    request_id = re.search("X-Request-ID: ([0-9a-f]{32})", head)[1]
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert "X-Content-Type-Options: nosniff" in head
    assert requests.models.complexjson.loads(body) == {
        "success": False,
        "message": messages.text(code, "ko"),
        "error": {"code": code, "status": status, "details": [], "request_id": request_id},
    }


@pytest.fixture(scope="module")
def refusing(tmp_path_factory):
    with running_service(tmp_path_factory.mktemp("service")) as service:
        yield service


def test_a_chunked_body_over_the_limit_is_413(tmp_path):
    chunks = (b" " * 65536 for _ in range(17))
    with running_service(tmp_path) as service:
        headers = {**token(service.url), "Content-Type": "application/json"}

        answer = requests.post(f"{service.url}/api/v1/posts", data=chunks, headers=headers, timeout=HANG_SECONDS)

    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "payload_too_large"


def test_three_masters_started_at_once_on_an_empty_mysql_all_serve_one_schema(new_mysql_database, tmp_path):
    services = [start_service(tmp_path, DATABASE_URL=new_mysql_database, **PATIENT_WITH_MYSQL) for _ in range(3)]
    try:
        for service in services:
            wait_until_healthy(service)
        ready = [requests.get(f"{service.url}/health/ready", timeout=HANG_SECONDS).json() for service in services]
        body = {"title": "제목", "content": "내용"}
        made = [
            requests.post(f"{service.url}/api/v1/posts", json=body, headers=token(service.url), timeout=HANG_SECONDS)
            for service in services
        ]
    finally:
        for service in services:
            stop(service.process)

    assert ready == [{"status": "ready", "checks": {"database": "up"}}] * 3
    assert [answer.json()["data"]["No"] for answer in made] == [1, 2, 3]
    head = ScriptDirectory(str(MIGRATIONS_DIR)).get_current_head()
    assert rows(new_mysql_database, "SELECT version_num FROM alembic_version") == [(head,)]


def rows(url: str, query: str) -> list[tuple]:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_requests_in_flight_are_answered_when_the_service_is_told_to_stop(tmp_path):
    body = {"title": "제목", "content": "내용"}
    with running_service(tmp_path) as service, ThreadPoolExecutor(8) as pool:
        headers = token(service.url)
        lock = sqlite3.connect(tmp_path / "instance" / "postdb.sqlite3", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")

        sent = [
            pool.submit(requests.post, f"{service.url}/api/v1/posts", json=body, headers=headers, timeout=HANG_SECONDS)
            for _ in range(8)
        ]
        wait_until_in_flight(service, 8)
        service.process.terminate()
        time.sleep(0.5)
        waiting = [future.done() for future in sent]
        lock.close()
        statuses = [future.result().status_code for future in sent]
        exit_code = service.process.wait(timeout=HANG_SECONDS)

    assert waiting == [False] * 8
    assert statuses == [201] * 8
    assert exit_code == 0


def exchange(port: int, request: bytes) -> tuple[int, str]:
    """Send bytes as they are; returns the answer's status and body."""
    with socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS) as peer:
        peer.sendall(request)
        peer.shutdown(socket.SHUT_WR)
        head, _, body = peer.makefile("rb").read().decode().partition("\r\n\r\n")
    return int(head.split()[1]), body


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    port = free_port()
    with running_service(tmp_path_factory.mktemp("service"), PORT=str(port)):
        yield port


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "malformed_request"),
        (b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n", "malformed_request"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n", "malformed_request"),
        (b'Content-Length: 500\r\n\r\n{"username": "ana"}', "invalid_json"),
    ],
    ids=["no size", "negative size", "no end of a chunk", "cut off"],
)
def test_a_body_that_breaks_http_is_refused_and_is_no_crash(rest, code, port):
    status, body = exchange(port, b"POST /dev/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + rest)

    assert status == 400
    assert f'"code":"{code}"' in body


@pytest.mark.parametrize("length", [8192, 8193, 16000], ids=["8 KiB", "a byte more", "16 KB"])
def test_a_long_bad_token_leaves_a_public_page_readable(length, port):
    headers = {"Authorization": f"Bearer {'x' * length}"}

    read = requests.get(f"http://127.0.0.1:{port}/api/v1/posts", headers=headers, timeout=HANG_SECONDS)
    written = requests.post(f"http://127.0.0.1:{port}/api/v1/posts", headers=headers, timeout=HANG_SECONDS)

    assert read.status_code == 200
    assert (written.status_code, written.json()["error"]["code"]) == (401, "token_invalid")


@pytest.mark.parametrize("header", ["SCRIPT_NAME: /x", "SCRIPT-NAME: /x", "PATH_INFO: /x"])
def test_no_header_rewrites_the_path(header, port):
    status, _ = exchange(port, f"GET /health HTTP/1.1\r\nHost: x\r\n{header}\r\nConnection: close\r\n\r\n".encode())

    assert status == 200


def test_no_redirect_leads_to_a_host_that_the_client_names(port):
    request = b"GET /api//v1/posts HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"

    status, body = exchange(port, request)

    assert status == 404
    assert "evil.example" not in body
