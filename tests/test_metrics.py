"""What a running service counts for Prometheus, over all its workers."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import requests
from prometheus_client import REGISTRY
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from post import services
from post.database.instrumentation import MeteredPool, watch
from post.models import db
from post.telemetry import metrics
from post.utils import ACTIONS, Caller
from tests.redis_replicas import own_redis
from tests.servers import (
    HANG_SECONDS,
    PATIENT_WITH_MYSQL,
    PROJECT,
    UNLIMITED,
    Service,
    changed_configuration,
    find_mysqld,
    running_mysql,
    running_service,
    start_service,
    stop,
    wait_until,
    wait_until_healthy,
)

CATEGORIES = "/api/v1/categories"


class Scrape:
    """What one scrape tells."""

    def __init__(self, service: Service) -> None:
        answer = requests.get(service.metrics_url, timeout=HANG_SECONDS)
        answer.raise_for_status()
        families = list(text_string_to_metric_families(answer.text))
        self.samples = [sample for family in families for sample in family.samples]
        assert len({(sample.name, *sorted(sample.labels.items())) for sample in self.samples}) == len(self.samples)

    def total(self, name: str, **labels: str) -> float:
        """The sum over all series of a name that have the labels."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )  # fmt: skip

    def values(self, label: str) -> set[str]:
        return {sample.labels[label] for sample in self.samples if label in sample.labels}


def requests_to(service: Service, route: str) -> float:
    return Scrape(service).total("post_http_requests_total", route=route)


def ask(service: Service, times: int, path: str = CATEGORIES) -> list[int]:
    with ThreadPoolExecutor(8) as pool:
        return [*pool.map(lambda _: requests.get(service.url + path, timeout=HANG_SECONDS).status_code, range(times))]


def wait_until_counted(service: Service, count: int, route: str = CATEGORIES) -> None:
    # A request is counted when its answer has been sent, and so a moment after its client has it.
    wait_until(lambda: requests_to(service, route) >= count, what=f"{requests_to(service, route)} counted")


def wait_until_total(service: Service, name: str, total: int) -> None:
    """Wait while workers come and go."""

    def is_reached() -> bool:
        try:
            return Scrape(service).total(name) == total
        except requests.RequestException:  # it was asked of one that is ending, or answered by half
            return False

    wait_until(is_reached, what=service.log)


def wait_until_started(service: Service, workers: int) -> None:
    """Not until the log says so: that is before a worker counts."""
    wait_until_total(service, "post_worker_starts_total", workers)


def in_use(service: Service) -> list[float]:
    """Requests in flight, and connections of the database in use."""
    scrape = Scrape(service)
    return [scrape.total(f"post_{name}") for name in ("http_requests_in_flight", "database_connections_in_use")]


def worker_pids(service: Service) -> list[int]:
    return [int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", service.log)]


def folder_of(service: Service) -> Path:
    """Where the workers count, as one of them has mapped it."""
    maps = Path(f"/proc/{worker_pids(service)[-1]}/maps").read_text()
    return Path(re.search(r"(/\S*/post-metrics-\w+)/", maps)[1])


def answered_by(service: Service, worker: int) -> float:
    """How many requests to the route one worker has counted, by its number: what is in its own file."""
    families = MultiProcessCollector.merge([str(folder_of(service) / f"counter_worker-{worker}.db")])
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "post_http_requests_total" and sample.labels["route"] == CATEGORIES
    )


def test_a_thousand_requests_over_two_workers_are_a_thousand_in_one_scrape(tmp_path):
    with running_service(tmp_path, WEB_CONCURRENCY="2", **UNLIMITED) as service:
        statuses = ask(service, 1000)
        wait_until_counted(service, 1000)
        scrape, shares = Scrape(service), [answered_by(service, worker) for worker in (1, 2)]
        public = requests.get(f"{service.url}/metrics", timeout=HANG_SECONDS)
        other = requests.get(service.metrics_url.replace("/metrics", "/health"), timeout=HANG_SECONDS)

    assert statuses == [200] * 1000
    assert min(shares) > 0
    assert sum(shares) == 1000
    assert scrape.total("post_http_requests_total", method="GET", route=CATEGORIES, status="200") == 1000
    assert scrape.total("post_http_requests_total", route=CATEGORIES) == 1000
    assert scrape.total("post_http_request_duration_seconds_count", method="GET", route=CATEGORIES) == 1000
    assert scrape.total("post_http_requests_in_flight") == 0
    assert scrape.total("post_workers") == scrape.total("post_worker_starts_total") == 2
    assert scrape.total("post_service_info", version="1.0.0") == 1
    assert (public.status_code, public.json()["error"]["code"]) == (404, "not_found")
    assert other.status_code == 404


def test_a_killed_worker_takes_neither_counts_nor_endpoint_with_it(tmp_path):
    with running_service(tmp_path, WEB_CONCURRENCY="2", **UNLIMITED) as service:
        ask(service, 100)
        wait_until_counted(service, 100)
        for killed in (1, 2, 3):
            os.kill(worker_pids(service)[-1], signal.SIGKILL)
            wait_until_started(service, 2 + killed)
        after_kills = Scrape(service)
        ask(service, 100)
        wait_until_counted(service, 200)
        at_last, folder = Scrape(service), folder_of(service)
        files = sorted(path.name for path in folder.iterdir())
    assert after_kills.total("post_http_requests_total", route=CATEGORIES) == 100
    assert at_last.total("post_http_requests_total", route=CATEGORIES) == 200
    assert at_last.total("post_workers") == 2
    # However many die: those of the master and of two workers.
    assert {name.rpartition("_")[2] for name in files} == {"master.db", "worker-1.db", "worker-2.db"}
    assert not folder.exists()


def test_what_a_killed_worker_was_holding_is_not_held_for_ever(tmp_path):
    with running_service(tmp_path, WEB_CONCURRENCY="1", **UNLIMITED) as service:
        token = requests.post(f"{service.url}/dev/token", json={"username": "ana"}, timeout=HANG_SECONDS).json()["data"]
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        database = tmp_path / "instance" / "postdb.sqlite3"
        with closing(sqlite3.connect(database, isolation_level=None)) as lock, ThreadPoolExecutor(4) as pool:
            lock.execute("BEGIN IMMEDIATE")
            body = {"title": "제목", "content": "내용"}
            sent = [
                pool.submit(
                    requests.post, f"{service.url}/api/v1/posts", json=body, headers=headers, timeout=HANG_SECONDS
                )
                for _ in range(4)
            ]
            wait_until(lambda: in_use(service) == [4, 4], what="not held")
            os.kill(worker_pids(service)[0], signal.SIGKILL)
            errors = [future.exception(HANG_SECONDS) for future in sent]
        wait_until_started(service, 2)
        # Its threads for tasks and gauges use a connection now and then.
        wait_until(lambda: in_use(service) == [0, 0], what="still held")

    assert [type(error) for error in errors] == [requests.ConnectionError] * 4


def test_two_services_on_one_machine_do_not_mix(tmp_path):
    settings = {"WEB_CONCURRENCY": "1", **UNLIMITED}
    with running_service(tmp_path, **settings) as one, running_service(tmp_path, **settings) as two:
        ask(one, 30)
        ask(two, 20)
        wait_until_counted(one, 30)
        wait_until_counted(two, 20)
        counted = [requests_to(service, CATEGORIES) for service in (one, two)]

    assert counted == [30, 20]


def test_the_port_of_the_metrics_must_be_free(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = start_service(tmp_path, METRICS_PORT=str(port))
        try:
            code = service.process.wait(HANG_SECONDS)
        finally:
            stop(service.process)

    assert code != 0
    assert "Traceback" not in service.log
    told = service.log.splitlines()[-1]
    assert told.startswith("METRICS_PORT: must be free to listen on: Address already in use")
    assert str(port) in told


def test_the_metrics_outlive_a_reload_of_the_configuration(tmp_path):
    with running_service(tmp_path, WEB_CONCURRENCY="2", **UNLIMITED) as service:
        ask(service, 50)
        wait_until_counted(service, 50)
        service.process.send_signal(signal.SIGHUP)
        wait_until_started(service, 4)
        wait_until_total(service, "post_workers", 2)
        ask(service, 50)
        wait_until_counted(service, 100)

        assert requests_to(service, CATEGORIES) == 100


def test_a_client_that_says_nothing_does_not_keep_others_from_the_metrics(tmp_path):
    with running_service(tmp_path, WEB_CONCURRENCY="1") as service:
        port = int(re.search(r":(\d+)/", service.metrics_url)[1])
        with socket.create_connection(("127.0.0.1", port)):
            scrape = Scrape(service)

    assert scrape.total("post_workers") == 1


def test_a_scrape_that_has_begun_when_a_worker_ends_is_answered_whole(tmp_path):
    patient = changed_configuration(tmp_path, f"metrics_server.CLIENT_TIMEOUT_SECONDS = {HANG_SECONDS}")
    with running_service(tmp_path, configuration=patient, WEB_CONCURRENCY="1") as service:
        port = int(re.search(r":(\d+)/", service.metrics_url)[1])
        with socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS) as scraper:
            scraper.sendall(b"GET /metrics HTTP/1.0\r\n")
            time.sleep(0.2)
            os.kill(worker_pids(service)[0], signal.SIGTERM)
            wait_until(lambda: "Worker exiting" in service.log, what=service.log)
            time.sleep(0.5)  # longer than a worker takes to end
            scraper.sendall(b"\r\n")
            head, _, body = scraper.makefile("rb").read().partition(b"\r\n\r\n")

    assert b" 200 " in head.splitlines()[0]
    assert len(body) == int(re.search(rb"Content-Length: (\d+)", head)[1]) > 1000


def test_a_worker_goes_on_where_the_dead_one_of_its_number_stopped(tmp_path):
    with running_service(tmp_path, WEB_CONCURRENCY="1", **UNLIMITED) as service:
        ask(service, 10)
        wait_until_counted(service, 10)
        os.kill(worker_pids(service)[0], signal.SIGKILL)
        wait_until_started(service, 2)
        ask(service, 10)
        wait_until_counted(service, 20)

        assert answered_by(service, 1) == 20


def test_prometheus_gets_the_format_that_it_asks_for(tmp_path):
    with running_service(tmp_path, WEB_CONCURRENCY="1") as service:
        accepted = "application/openmetrics-text;version=1.0.0"
        plain, openmetrics = (
            requests.get(service.metrics_url, headers={"Accept": kind}, timeout=HANG_SECONDS)
            for kind in ("*/*", accepted)
        )

    assert plain.headers["Content-Type"].startswith("text/plain")
    assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")


def test_the_metrics_listen_on_ipv6_as_the_service_does(tmp_path):
    service = start_service(tmp_path, HOST="::1", WEB_CONCURRENCY="1")
    service.url, service.metrics_url = (url.replace("127.0.0.1", "[::1]") for url in (service.url, service.metrics_url))
    try:
        wait_until_healthy(service)

        assert Scrape(service).total("post_workers") == 1
    finally:
        stop(service.process)


def test_a_file_that_a_worker_has_just_begun_is_waited_for(tmp_path):
    patient = changed_configuration(tmp_path, "metrics_server.RETRY_SECONDS = 4")
    with running_service(tmp_path, configuration=patient, WEB_CONCURRENCY="1") as service:
        begun = folder_of(service) / "counter_worker-2.db"
        begun.touch()
        ready = threading.Timer(1, begun.write_bytes, [bytes(1 << 16)])
        ready.start()

        scrape = Scrape(service)
        ready.join()

    assert scrape.total("post_workers") == 1


def test_a_scrape_that_fails_is_in_the_log_and_the_next_is_answered(tmp_path):
    with running_service(tmp_path, WEB_CONCURRENCY="1") as service:
        broken = folder_of(service) / "counter_broken.db"
        broken.write_bytes(b"no numbers")
        failed = requests.get(service.metrics_url, timeout=HANG_SECONDS)
        broken.unlink()
        answered = requests.get(service.metrics_url, timeout=HANG_SECONDS)

    assert [failed.status_code, answered.status_code] == [500, 200]
    assert service.log.count("scrape_failed") == 1


@pytest.mark.skipif(find_mysqld() is None, reason="no MySQL server on this machine")
def test_whether_servers_are_there_shows_whichever_worker_has_found_out(tmp_path):
    with running_mysql() as database, own_redis(tmp_path) as redis:
        settings = {"DATABASE_URL": database.url, "REDIS_URL": redis.url, "SECRET_KEY": "of-the-tests", **UNLIMITED}
        # A busy machine is not to lose them before the test does.
        settings |= {"REDIS_TIMEOUT_MS": "1000", **PATIENT_WITH_MYSQL}
        with running_service(tmp_path, **settings) as service:

            def wait_until_told(told: float) -> Scrape:
                def is_told() -> bool:
                    ask(service, 8)
                    scrape = Scrape(service)
                    return {scrape.total("post_server_up", server=name) for name in ("database", "redis")} == {told}

                wait_until(is_told, what=service.log)
                return Scrape(service)

            never_lost = wait_until_told(1)
            database.kill()
            redis.kill()
            wait_until_told(0)
            database.start()
            redis.start()
            lost = wait_until_told(1)

    assert {never_lost.total("post_server_losses_total", server=name) for name in ("database", "redis")} == {0}
    assert min(lost.total("post_server_losses_total", server=name) for name in ("database", "redis")) >= 1
    assert never_lost.values("server") == {"database", "redis"}


def test_strangers_do_not_make_up_series(tmp_path):
    with running_service(tmp_path, WEB_CONCURRENCY="1", **UNLIMITED) as service:
        for number in range(20):
            requests.request(f"METHOD{number}", f"{service.url}/made/up/{number}?x={number}", timeout=HANG_SECONDS)
            requests.get(f"{service.url}/api/v1/posts/{number:032x}", timeout=HANG_SECONDS)
            requests.put(f"{service.url}/api/v1/images/{number}", timeout=HANG_SECONDS)
        port = int(service.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS) as peer:
            peer.sendall(b"nonsense\r\n\r\n")
            peer.makefile("rb").read()
        wait_until_counted(service, 41, route="unmatched")
        scrape = Scrape(service)

    assert scrape.values("method") == {"GET", "PUT", "other"}
    assert scrape.values("route") == {"/health", "/api/v1/posts/<post_id>", "unmatched"}
    assert scrape.total("post_http_requests_total", method="other", route="unmatched", status="400") == 1


def test_what_happens_on_the_board_is_counted(tmp_path, new_mysql_database):
    settings = {"DATABASE_URL": new_mysql_database, "RATELIMIT_READ": "5/hour", "VIEW_FLUSH_SECONDS": "0"}
    settings |= PATIENT_WITH_MYSQL
    with running_service(tmp_path, WEB_CONCURRENCY="2", **settings) as service:
        wait_until_total(service, "post_database_connections_in_use", 0)  # by threads that begin with the workers
        before = Scrape(service)
        token = requests.post(f"{service.url}/dev/token", json={"username": "ana"}, timeout=HANG_SECONDS).json()["data"]
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        body = {"title": "제목", "content": "내용"}
        made = requests.post(f"{service.url}/api/v1/posts", json=body, headers=headers, timeout=HANG_SECONDS)
        post = service.url + made.headers["Location"]
        for method in (requests.put, requests.put, requests.delete):
            method(f"{post}/like", headers=headers, timeout=HANG_SECONDS)
        statuses = [requests.get(post, timeout=HANG_SECONDS).status_code for _ in range(7)]
        wait_until_counted(service, 7, route="/api/v1/posts/<post_id>")
        wait_until_total(service, "post_database_connections_in_use", 0)
        scrape = Scrape(service)

    assert statuses == [200] * 5 + [429] * 2
    for name, labels, count in [
        ("post_views_total", {"result": "counted"}, 1),
        ("post_views_total", {"result": "repeated"}, 4),
        ("post_likes_total", {"action": "added"}, 1),
        ("post_likes_total", {"action": "unchanged"}, 1),
        ("post_likes_total", {"action": "removed"}, 1),
        ("post_rate_limited_total", {"scope": "read"}, 2),
        ("post_rate_limited_total", {"scope": "write"}, 0),
        ("post_jwks_fetches_total", {"result": "failure"}, 0),
        ("post_cache_requests_total", {"cache": "tokens"}, 4),
        ("post_database_query_duration_seconds_count", {"kind": "delete"}, 1),
        ("post_database_pool_waits_total", {}, 0),
    ]:
        assert before.total(name, **labels) == 0
        assert scrape.total(name, **labels) == count, (name, labels)
    assert 1 <= scrape.total("post_jwks_fetches_total", result="success") <= 2
    read = {"kind": "select"}
    selects = [told.total("post_database_query_duration_seconds_count", **read) for told in (before, scrape)]
    assert selects[1] - selects[0] >= 7


def test_reports_and_what_moderators_do_are_counted(tmp_path, make_app):
    url = f"sqlite:///{tmp_path}/board.sqlite3"
    with make_app(DATABASE_URL=url).app_context():
        post = services.create_post(author=Caller("ana", "ana"), title="제목", content="내용", category="일반")
        for name in ("bo", "cy"):
            report = services.report_post(post["id"], reporter=Caller(name, name), reason="spam")
        db.engine.dispose()

    with running_service(tmp_path, WEB_CONCURRENCY="2", DATABASE_URL=url) as service:
        wait_until_total(service, "post_reports_open", 2)
        before = Scrape(service)
        admin = {"username": "root", "groups": ["admin"]}
        data = requests.post(f"{service.url}/dev/token", json=admin, timeout=HANG_SECONDS).json()["data"]
        token = data["access_token"]
        resolved = requests.post(
            f"{service.url}/api/v1/admin/reports/{report['id']}/resolve",
            json={"action": "hide"},
            headers={"Authorization": f"Bearer {token}"},
            timeout=HANG_SECONDS,
        )
        wait_until_total(service, "post_moderation_actions_total", 1)
        scrape = Scrape(service)

    assert resolved.status_code == 200
    assert before.total("post_reports_oldest_seconds") > 0
    assert before.total("post_moderation_actions_total") == 0
    assert before.values("action") >= set(ACTIONS)
    assert scrape.total("post_moderation_actions_total", action="resolve") == 1


def test_without_gunicorn_no_file_counts_and_nothing_is_traced(tmp_path):
    script = (
        "import sys; from app import create_app; app = create_app();"
        "assert app.test_client().get('/api/v1/posts').status_code == 200;"
        "from prometheus_client import values;"
        "print(values.ValueClass.__name__, 'opentelemetry' in sys.modules)"
    )
    env = {"PATH": os.environ["PATH"], "INSTANCE_PATH": str(tmp_path), "PYTHONPATH": str(PROJECT)}

    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=HANG_SECONDS)

    assert done.stdout == "MutexValue False\n"


# In this process


def counted(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def small_pool(tmp_path, name, **options):
    """An engine with a pool of one connection. The name is for the test's own numbers."""
    engine = create_engine(
        f"sqlite:///{tmp_path}/pool.sqlite3", poolclass=MeteredPool, pool_size=1, max_overflow=0,
        pool_logging_name=name, **options,
    )  # fmt: skip
    watch(engine, slow_query_ms=0)
    return engine


def test_a_wait_for_a_connection_is_counted_with_its_seconds(tmp_path):
    engine = small_pool(tmp_path, "waited for")
    with engine.connect() as held, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: engine.connect().close())
        in_use = counted("post_database_connections_in_use", pool="waited for")
        time.sleep(1)
        held.close()
        waiting.result()
    engine.dispose()

    assert in_use == 1
    assert counted("post_database_pool_waits_total", pool="waited for") == 1
    assert counted("post_database_connections_in_use", pool="waited for") == 0
    assert counted("post_database_pool_wait_seconds_total", pool="waited for") >= 0.2


def test_a_wait_in_vain_is_counted_too(tmp_path):
    engine = small_pool(tmp_path, "in vain", pool_timeout=0.1)
    with engine.connect(), pytest.raises(PoolTimeout):
        engine.connect()
    engine.dispose()

    assert counted("post_database_pool_waits_total", pool="in vain") == 1
    assert counted("post_database_connections_in_use", pool="in vain") == 0


def test_a_connection_that_was_found_dead_is_not_in_use(tmp_path):
    engine = small_pool(tmp_path, "dead", pool_pre_ping=True)
    with engine.connect() as connection:
        connection.connection.driver_connection.close()  # as a server that goes away does
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        connection.invalidate()
    engine.dispose()

    assert counted("post_database_connections_in_use", pool="dead") == 0


def test_threads_that_meet_at_a_new_series_all_count():
    barrier = threading.Barrier(8, timeout=HANG_SECONDS)

    def count() -> None:
        barrier.wait()
        for _ in range(100):
            metrics.count_request("GET", "/of/this/test", 200, 0.001)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counted("post_http_requests_total", method="GET", route="/of/this/test", status="200") == 800
