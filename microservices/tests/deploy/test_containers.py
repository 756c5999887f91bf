"""The images of products and orders in a real engine: what is in them, and how they run and stop as ECS runs them."""

import hashlib
import json
import os
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from microservices.local import aws
from microservices.tests.databases import running_database
from microservices.tests.deploy.certificates import Authority
from microservices.tests.running import PATIENCE_SECONDS, PROJECT, free_port, process_on
from tests.servers import answering

if shutil.which("docker") is None or not os.environ.get("DOCKER_HOST"):
    pytest.skip("no Docker engine: DOCKER_HOST is unset, or there is no docker", allow_module_level=True)

pytestmark = pytest.mark.slow

SERVICES = ("products", "orders")
# As the task definition has it: 512 MB, nothing to write to but /dev/shm, no rights.
AS_IN_ECS = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=512m", "--cpus=0.5"]
STOP_SECONDS = 30  # ECS's own, from SIGTERM to SIGKILL
ADMIN = {"X-Account-Id": "admin-1", "X-User-Role": "admin"}
BUYER = {"X-Account-Id": "buyer-1", "X-User-Role": "user"}


def docker(*arguments, check=True):
    """Run docker; what it says on both outputs."""
    done = subprocess.run(
        ["docker", *arguments], check=False, stdout=-1, stderr=subprocess.STDOUT, text=True, timeout=600
    )
    assert done.returncode == 0 or not check, done.stdout
    return done.stdout.strip()


def inspected(name):
    return json.loads(docker("inspect", name))[0]


@pytest.fixture(scope="module")
def authority():
    """An authority in the place of RDS's: its certificate is in the images."""
    return Authority()


@pytest.fixture(scope="module")
def bundle(authority):
    """The address of its certificate: AWS's cannot be reached here."""
    with answering(lambda *_request: (200, "application/x-pem-file", authority.certificate)) as url:
        yield url


def build(service, bundle, digest, *options, check=True):
    folder = PROJECT / "microservices"
    arguments = [f"--file={folder / service / 'Dockerfile'}", f"--build-arg=RDS_BUNDLE_URL={bundle}"]
    arguments += [f"--build-arg=RDS_BUNDLE_SHA256={digest}", *options]
    return docker("build", "--network=host", *arguments, str(folder), check=check)


@pytest.fixture(scope="module")
def images(authority, bundle):
    digest = hashlib.sha256(authority.certificate).hexdigest()
    names = {service: f"microservices/{service}:test-{uuid4().hex[:12]}" for service in SERVICES}
    for service, name in names.items():
        build(service, bundle, digest, f"--tag={name}")
    yield names
    docker("rmi", *names.values())


@pytest.fixture(scope="module")
def database(authority, images):
    """A database that speaks TLS by the name localhost; its schemas are the images' own work."""
    with running_database() as database:
        with database.connect(database.name) as connection:
            [folder] = connection.execute("SHOW data_directory").fetchone()
            authority.certify("localhost", Path(folder))
            connection.execute("ALTER SYSTEM SET ssl = on")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("DROP SCHEMA IF EXISTS products, orders CASCADE")
        database.prepare()
        for service in SERVICES:
            for _ in range(2):  # the second finds nothing to do
                run(images[service], "python", "-m", f"{service}.migrate", **settings(database, f"{service}_owner"))
        yield database


def settings(database, role):
    """A container's settings: the certificate and the server's name are verified, which is the default."""
    found = {**database.settings(role), "DB_HOST": "localhost"}
    del found["DB_SSLMODE"]
    return found


def options_of(environment):
    return [*AS_IN_ECS, "--network=host", *(f"--env={name}={value}" for name, value in environment.items())]


def run(image, *command, check=True, **environment):
    """Run a container that ends by itself."""
    return docker("run", "--rm", *options_of(environment), image, *command, check=check)


class Container:
    def __init__(self, image, *command, **environment):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        options = options_of({"BIND": f"127.0.0.1:{self.port}", **environment})
        self.id = docker("run", "--detach", "--health-interval=1s", *options, image, *command)

    @property
    def state(self):
        return inspected(self.id)["State"]

    @property
    def log(self):
        return docker("logs", self.id)

    def wait_until_healthy(self):
        """Wait for the image's own health check."""
        end = time.monotonic() + PATIENCE_SECONDS
        while self.state["Health"]["Status"] != "healthy":
            assert self.state["Running"], self.log
            assert time.monotonic() < end, self.log
            time.sleep(0.2)

    def run(self, *command, check=True):
        """Run a command in it."""
        return docker("exec", self.id, *command, check=check)

    def stop(self):
        """Stop it as ECS does; its exit status."""
        docker("stop", f"--time={STOP_SECONDS}", self.id)
        return self.state["ExitCode"]


@contextmanager
def running(image, *command, **environment):
    container = Container(image, *command, **environment)
    try:
        if not command:
            container.wait_until_healthy()
        yield container
    finally:
        docker("rm", "--force", "--volumes", container.id)


@pytest.fixture(scope="module")
def products(images, database):
    with running(images["products"], **settings(database, "products_app")) as container:
        yield container


@pytest.fixture(scope="module")
def orders(images, database, products):
    environment = {**settings(database, "orders_app"), "PRODUCTS_URL": products.url}
    with running(images["orders"], **environment) as container:
        yield container


def new_product(products, **fields):
    body = {"name": "Lamp", "price": 19.99, "stock": 5, **fields}
    answer = requests.post(f"{products.url}/products", json=body, headers=ADMIN, timeout=PATIENCE_SECONDS)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_runs_as_nobody_and_listens_on_8080(images, service):
    config = inspected(images[service])["Config"]

    assert config["User"] == "10001:10001"
    assert set(config["ExposedPorts"]) == {"8080/tcp"}
    assert config["Cmd"][0] == "gunicorn"
    assert config["Healthcheck"]["Test"][0] == "CMD"


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_has_its_service_compiled_and_nothing_to_build_with(images, service):
    tools = "command -v gcc cc g++ make; python -m pip --version; ls -d /root/.cache /build"
    sources = "find /app /opt/venv -name '*.py' | wc -l; find /app /opt/venv -name '*.pyc' | wc -l"

    assert run(images[service], "ls", "-A", "/app").split() == sorted([service, "shared"])
    assert "/" not in run(images[service], "sh", "-c", f"({tools}) 2>/dev/null; true")
    source, compiled = run(images[service], "sh", "-c", sources).split()
    assert source == compiled


def test_a_build_refuses_another_bundle_than_it_was_told_of(images, bundle):
    said = build("products", bundle, "0" * 64, check=False)

    assert f"RDS_BUNDLE_SHA256: is {'0' * 64}, but {bundle} has " in said
    assert "Successfully built" not in said


def test_without_its_settings_a_container_names_them_and_ends(images):
    assert "DB_HOST is not set" in run(images["products"], check=False, BIND=f"127.0.0.1:{free_port()}")


def test_a_container_is_nobody_of_the_host_and_can_write_nowhere(products):
    writable = "find / -xdev -writable ! -type l ! -path '/proc/*' 2>/dev/null; true"

    assert products.run("id", "-u") == "10001"
    assert "Read-only" in products.run("touch", "/tmp/file", check=False)
    assert set(products.run("sh", "-c", writable).split()) <= {"/tmp", "/var/tmp", "/run/lock"}


def test_a_container_speaks_to_its_database_by_tls_alone(products, database):
    new_product(products)
    with database.connect(database.name) as connection:
        rows = connection.execute(
            "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'products_app'"
        ).fetchall()

    assert rows == [(True,)]


def test_a_server_whose_certificate_is_of_another_name_is_not_spoken_to(images, database):
    environment = {**settings(database, "products_app"), "DB_HOST": "127.0.0.1"}
    with running(images["products"], **environment) as container:
        ready = requests.get(f"{container.url}/health/ready", timeout=PATIENCE_SECONDS)
        listed = requests.get(f"{container.url}/products", timeout=PATIENCE_SECONDS)

    assert (ready.status_code, listed.status_code) == (503, 503)


def test_the_containers_take_an_order(products, orders):
    product = new_product(products, stock=3)
    body = {"items": [{"product_id": product["id"], "quantity": 2}]}

    answer = requests.post(
        f"{orders.url}/orders", json=body, headers={**BUYER, "Idempotency-Key": "k1"}, timeout=PATIENCE_SECONDS
    )
    left = requests.get(f"{products.url}/products/{product['id']}", timeout=PATIENCE_SECONDS).json()["stock"]

    assert answer.status_code == 201, answer.text
    assert (answer.json()["status"], answer.json()["total"], left) == ("confirmed", 39.98, 1)
    assert requests.get(f"{orders.url}/health", timeout=PATIENCE_SECONDS).json() == {
        "status": "healthy",
        "service": "orders",
    }


def test_the_image_of_orders_relays_its_events_and_ends_in_order(images, database, products, orders):
    product = new_product(products)
    body = {"items": [{"product_id": product["id"], "quantity": 1}]}
    order = requests.post(
        f"{orders.url}/orders", json=body, headers={**BUYER, "Idempotency-Key": "k2"}, timeout=PATIENCE_SECONDS
    )
    port = free_port()
    with process_on(port, "-m", "microservices.local.aws", str(port)):
        endpoint = f"http://127.0.0.1:{port}"
        aws.make_resources(endpoint)
        queue = aws.connect("sqs", endpoint)
        environment = {
            **settings(database, "orders_app"),
            "PRODUCTS_URL": products.url,
            "ORDER_EVENTS_TOPIC_ARN": aws.connect("sns", endpoint).create_topic(Name="microservices-order-events")[
                "TopicArn"
            ],
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }
        with running(images["orders"], "python", "-m", "orders.relay", **environment) as relay:
            found = received(queue, order.json()["id"], relay)
            status = relay.stop()

    assert found["type"] == "order.confirmed"
    assert status == 0


def received(queue, order_id, relay):
    """The event of an order, once it is in the queue."""
    url = queue.get_queue_url(QueueName="microservices-notifications")["QueueUrl"]
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        for message in queue.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []):
            event = json.loads(message["Body"])
            event = json.loads(event["Message"]) if "Message" in event else event
            if event["order"]["id"] == order_id:
                return event
    raise AssertionError(relay.log)


def test_a_stop_answers_what_is_in_flight(images, database):
    with running(images["products"], **settings(database, "products_app")) as container:
        product = new_product(container)
        answers = []

        def restock():
            url = f"{container.url}/products/{product['id']}/stock"
            answers.append(requests.post(url, json={"delta": 1}, headers=ADMIN, timeout=PATIENCE_SECONDS))

        threads = [threading.Thread(target=work) for work in (restock, container.stop)]
        with database.connect(database.name) as connection, connection.transaction():
            connection.execute("SELECT 1 FROM products.products WHERE id = %s FOR UPDATE", [product["id"]])
            for thread in threads:
                thread.start()
                time.sleep(0.7)  # the first waits for the row by then, and the second for the first
            assert answers == []
        for thread in threads:
            thread.join()

        assert (answers[0].status_code, answers[0].json()["stock"]) == (200, 6)
        assert container.state["ExitCode"] == 0
        assert "couldn't stop" not in container.log  # of a pool's threads, for which the process would wait
