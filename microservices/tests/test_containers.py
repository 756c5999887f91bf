"""The containers' common part: answers in the contract's form, a pool that loses nothing, health, an orderly end."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import urllib3

from microservices.tests.databases import forget_pool, in_process
from microservices.tests.running import PATIENCE_SECONDS, PROJECT, free_port, process_on

# It waits for the end of each, 5 s at most.
LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout")
LOST = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s"


# Answers


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/nope", (404, "not_found", "Not found")),
        ("GET", "/", (404, "not_found", "Not found")),
        ("GET", "/products/1/2", (404, "not_found", "Not found")),
        ("GET", "//products", (404, "not_found", "Not found")),
        ("GET", "/products/9", (404, "product_not_found", "Product not found")),
        ("DELETE", "/products", (405, "method_not_allowed", "Method not allowed")),
        ("GET", "/products?limit=x", (400, "validation_error", "Validation failed")),
        ("POST", "/products", (401, "authorization_required", "Authorization header required")),
    ],
)
def test_a_refusal_has_the_contracts_form(products, method, path, expected):
    answer = products(method, path, headers={"X-Request-ID": "mine"})

    assert answer.error == expected
    assert answer.json["request_id"] == answer.headers["x-request-id"] == "mine"
    assert set(answer.json) - {"details"} == {"error", "code", "request_id"}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) == (answer.status == 401)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/products", "GET, POST"),
        ("/products/2", "DELETE, GET, PATCH, PUT"),
        ("/products/x", "DELETE, GET, PATCH, PUT"),
        ("/products/2/stock", "POST"),
    ],
)
def test_another_method_is_refused_with_those_that_there_are(products, path, methods):
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TEAPOT"} - set(methods.split(", ")):
        answer = products(method, path)
        assert (answer.status, answer.headers["allow"]) == (405, methods)


def test_a_slash_at_the_end_changes_nothing(products, make_product):
    product = make_product()

    assert products("GET", "/products/").json == [product]
    assert products("GET", f"/products/{product['id']}/").json == product


@pytest.mark.parametrize("path", ["/products", "/nope", "/health"])
def test_every_answer_has_the_contracts_headers(products, path):
    headers = products("GET", path).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["access-control-allow-origin"] == "*"
    assert "X-Next-Cursor" in headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("given", "is_kept"), [("a-B_9", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("", False)]
)
def test_a_request_keeps_an_id_that_is_safe(products, given, is_kept):
    answered = products("GET", "/products", headers={"X-Request-ID": given}).headers["x-request-id"]

    assert (answered == given) == is_kept
    assert answered


def test_a_fault_of_ours_says_nothing_of_itself(products, monkeypatch, container_log):
    from products import services

    monkeypatch.setattr(services, "get_product", lambda _: 1 / 0)
    answer = products("GET", "/products/1", headers={"X-Request-ID": "mine"})

    assert answer.error == (500, "internal_error", "Internal server error")
    [line] = [line for line in container_log() if line["message"] == "request_failed"]
    assert line["request_id"] == "mine"
    assert "ZeroDivisionError" in line["exception"]
    assert "Zero" not in answer.text


def test_a_line_has_its_request_its_account_and_its_trace(products, make_product, container_log):
    make_product()
    trace = {"X-Amzn-Trace-Id": "Root=1-6b0ac478-f291bcfe62c7d583b1448e90;Parent=1", "X-Request-ID": "mine"}

    products("PATCH", "/products/2", {"name": "secret"}, role="admin", account="bo", headers=trace)

    lines = [line for line in container_log() if line.get("request_id") == "mine"]
    assert [line["message"] for line in lines] == ["product_changed", "request"]
    assert {line["xray_trace_id"] for line in lines} == {"1-6b0ac478-f291bcfe62c7d583b1448e90"}
    expected = {
        "level": "INFO",
        "service": "products",
        "method": "PATCH",
        "resource": "/products/<product_id>",
        "status": 200,
        "account_id": "bo",
    }
    assert lines[1].items() >= expected.items()
    assert "secret" not in json.dumps(lines)


# The pool


def test_no_connection_is_lost_on_any_way_out(products, make_product, monkeypatch, database):
    """More requests of each kind than the pool has connections; one that was lost would soon be waited for."""
    from products import services
    from shared import postgres

    make_product()
    for path in ("/products", "/products/2", "/products/9", "/products?limit=x", "/products/x", "/health/ready"):
        assert {products("GET", path).status for _ in range(20)} <= {200, 400, 404}
    assert {products("POST", "/products/2/stock", {"delta": -99}, role="admin").status for _ in range(20)} == {409}
    monkeypatch.setattr(services, "_product", lambda _: 1 / 0)
    assert {products("GET", "/products/2").status for _ in range(20)} == {500}
    assert {products("PATCH", "/products/2", {"price": 1}, role="admin").status for _ in range(20)} == {500}

    with database.connect(database.name) as connection:
        [(open_,)] = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'")
    stats = postgres.pool().get_stats()  # of this process: the session's container has a pool of its own
    assert (stats["pool_available"], open_) == (stats["pool_size"], 0)


def test_connections_that_the_server_has_ended_are_noticed_before_they_are_used(products, make_product, database):
    make_product()
    with ThreadPoolExecutor(8) as threads, database.connect(database.name) as connection:
        for _ in range(5):
            list(threads.map(lambda _: products("GET", "/products"), range(32)))
            assert connection.execute(LOST, ["products_app"]).fetchall()
            answers = list(threads.map(lambda _: products("GET", "/products/2").status, range(32)))
            assert set(answers) == {200}


def test_a_connection_with_a_high_descriptor_is_used(products):
    """A process with many clients has them above 1,023, which select(2) cannot watch."""
    forget_pool()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    with ExitStack() as files:
        for _ in range(1_100):
            files.enter_context(Path(os.devnull).open())
        answer = products("GET", "/health/ready")
    forget_pool()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert answer.status == 200


def test_a_transaction_that_idles_too_long_is_ended_as_if_the_database_were_away(products):
    """As that of a process which stood still: it is tried anew, or answered 503."""
    from shared.postgres import transaction

    def stand_still():
        with transaction() as connection:
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = 20")
            time.sleep(0.2)
            connection.execute("SELECT 1")

    with pytest.raises(psycopg.OperationalError):
        stand_still()
    assert products("GET", "/health/ready").status == 200


def test_statements_and_transactions_of_a_service_have_an_end(database, monkeypatch):
    from shared.postgres import reading

    with in_process(database, "products", monkeypatch, bounds={}), reading() as connection:
        shown = [connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in LIMITS]
    assert shown == [("3s",), ("5s",)]


def test_a_lock_that_others_hold_is_waited_for_and_then_answered_503(products, make_product, database, monkeypatch):
    make_product()
    with monkeypatch.context() as bounds, database.connect(database.name) as connection, connection.transaction():
        bounds.setattr("shared.postgres.STATEMENT_MILLISECONDS", 300)
        forget_pool()
        connection.execute("SELECT 1 FROM products.products FOR UPDATE")
        answer = products("POST", "/products/2/stock", {"delta": 1}, role="admin")
    forget_pool()

    assert answer.error == (503, "service_unavailable", "Service unavailable")
    assert answer.headers["retry-after"] == "1"
    assert products("GET", "/products/2").json["stock"] == 10


def test_a_server_that_shows_no_certificate_is_not_used(products, monkeypatch):
    """TLS that is verified is what a container asks for, unless it is told otherwise."""
    from shared import postgres

    monkeypatch.delenv("DB_SSLMODE")
    monkeypatch.setattr(postgres, "WAIT_SECONDS", 0.5)
    forget_pool()

    assert postgres.address()["sslmode"] == "verify-full"
    assert products("GET", "/health/ready").status == 503


# Health


def test_health_is_word_for_word_and_readiness_asks_the_database(products):
    answer = products("GET", "/health")

    assert (answer.status, answer.text) == (200, '{"status": "healthy", "service": "products"}')
    assert (products("GET", "/health/ready").status, products("GET", "/health/ready").json["status"]) == (200, "ready")


def test_without_its_database_a_service_is_alive_and_not_ready(products, monkeypatch, container_log):
    from shared import postgres

    monkeypatch.setenv("DB_PORT", str(free_port()))
    monkeypatch.setattr(postgres, "WAIT_SECONDS", 0.5)
    forget_pool()

    assert products("GET", "/health").status == 200
    assert products("GET", "/health/ready").error == (503, "service_unavailable", "Service unavailable")
    assert products("GET", "/products").error == (503, "service_unavailable", "Service unavailable")
    assert "database_unavailable" in [line["message"] for line in container_log()]


@pytest.mark.parametrize("missing", ["DB_HOST", "DB_USER", "DB_PASSWORD"])
def test_a_setting_that_is_missing_stops_the_start_and_is_named(database, missing):
    settings = database.settings("products_app")
    del settings[missing]
    command = [sys.executable, "-c", "from products.app import create_app; create_app()"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT / "microservices"), **settings}

    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )

    assert done.returncode == 1
    assert done.stderr.strip().endswith(f"SettingInvalid: {missing} is not set")


# The process


@pytest.fixture
def served(database, tmp_path):
    """A container's process, by its image's own command, and its address."""
    from microservices.tests.databases import empty

    empty(database, "products")
    port = free_port()
    environment = {
        **database.settings("products_app"),
        "PYTHONPATH": str(PROJECT / "microservices"),
        "BIND": f"127.0.0.1:{port}",
    }
    command = ("-m", "gunicorn", "-c", "python:shared.gunicorn_conf", "products.app:create_app()")
    with process_on(port, *command, log=tmp_path / "log", **environment) as process:
        yield process, f"http://127.0.0.1:{port}"


def test_a_container_that_is_stopped_answers_what_it_has_begun(served, database):
    """A change of stock waits for a lock while SIGTERM comes; it is answered, and the process ends well."""
    process, url = served
    admin = {"X-Account-Id": "ana", "X-User-Role": "admin"}
    with urllib3.PoolManager(timeout=PATIENCE_SECONDS) as pool, ThreadPoolExecutor(1) as threads:
        body = {"name": "A", "price": 1}
        assert pool.request("POST", f"{url}/products", json=body, headers=admin).status == 201
        # Two connections: within a transaction, pg_stat_activity stays as it was first read.
        with (
            database.connect(database.name) as watching,
            database.connect(database.name) as locking,
            locking.transaction(),
        ):
            locking.execute("SELECT 1 FROM products.products FOR UPDATE")
            asked = threads.submit(pool.request, "POST", f"{url}/products/2/stock", json={"delta": 7}, headers=admin)
            waiting = "SELECT 1 FROM pg_stat_activity WHERE usename = 'products_app' AND wait_event_type = 'Lock'"
            while not watching.execute(waiting).fetchone():
                assert not asked.done(), "it did not wait"
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        answer = asked.result()

    assert (answer.status, answer.json()) == (200, {"id": 2, "stock": 7})
    assert process.wait(PATIENCE_SECONDS) == 0


def test_connections_outlive_the_load_balancers(served):
    """Its idle timeout is 60 s: who closes first must be the load balancer."""
    from shared import gunicorn_conf

    assert gunicorn_conf.keepalive > 60
    assert gunicorn_conf.graceful_timeout < 30
    _, url = served
    with urllib3.PoolManager(maxsize=1, timeout=PATIENCE_SECONDS) as pool:
        for _ in range(20):
            assert pool.request("GET", f"{url}/products").status == 200
        kept = pool.connection_from_url(url)
        assert (kept.num_connections, kept.num_requests) == (1, 20)


@pytest.mark.parametrize(
    "headers",
    [
        {f"X-{number}": "a" for number in range(120)},  # a client's 100, and the gateway's and the load balancer's own
        {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "off"},
        {"SCRIPT_NAME": "/products", "PATH_INFO": "/nope"},
    ],
    ids=["many", "scheme", "path"],
)
def test_a_clients_headers_never_reach_an_answer_of_gunicorns(served, headers):
    _, url = served
    with urllib3.PoolManager(timeout=PATIENCE_SECONDS) as pool:
        assert pool.request("GET", f"{url}/products", headers=headers).status == 200


@pytest.mark.parametrize("chunks", [b"zz\r\n{}\r\n", b"2\r\n", b"2\r\n{}"])
def test_a_body_that_breaks_off_is_a_bad_request_and_no_fault(served, chunks):
    _, url = served
    head = b"POST /products HTTP/1.1\r\nHost: a\r\nX-Account-Id: a\r\nX-User-Role: admin\r\nTransfer-Encoding: chunked"
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=PATIENCE_SECONDS) as client:
        client.sendall(head + b"\r\n\r\n" + chunks)
        client.shutdown(socket.SHUT_WR)
        answer = client.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code": "bad_request"' in answer
