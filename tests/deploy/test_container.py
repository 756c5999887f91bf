"""The image in a real engine: what is in it, and how it starts, serves and stops as Kubernetes would run it."""

import json
import os
import random
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import boto3
import pymysql
import pytest
import requests
from sqlalchemy.engine import make_url

from post import __version__
from tests.image_samples import encoded, scene
from tests.servers import HANG_SECONDS, PROJECT, free_port, moto_server, wait_until

if shutil.which("docker") is None or not os.environ.get("DOCKER_HOST"):
    pytest.skip("no Docker engine: DOCKER_HOST is unset, or there is no docker", allow_module_level=True)

REGION = "ap-northeast-2"
PASSWORD = "Passw0rd!"
BUCKET = "post-service-images"
DOMAIN = "https://board.auth.ap-northeast-2.amazoncognito.com"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
AS_IN_KUBERNETES = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--memory=1g", "--cpus=0.7"]
GRACE_SECONDS = 40  # more than gunicorn's own 30


def docker(*arguments: str, check: bool = True) -> str:
    """Run docker; what it says on both outputs."""
    done = subprocess.run(
        ["docker", *arguments], check=False, stdout=-1, stderr=subprocess.STDOUT, text=True, timeout=600
    )
    assert done.returncode == 0 or not check, done.stdout
    return done.stdout.strip()


def inspected(name: str) -> Any:
    return json.loads(docker("inspect", name))[0]


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    name = f"post-service:test-{uuid4().hex[:12]}"
    labels = [f"--build-arg=VERSION={__version__}", "--build-arg=REVISION=of-the-test"]
    docker("build", "--network=host", f"--tag={name}", *labels, str(PROJECT))
    yield name
    docker("rmi", name)


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="module")
def pool(aws: str) -> dict[str, str]:
    """A pool of Cognito with one user: its settings, and the user's token."""
    client = boto3.client("cognito-idp", region_name=REGION, endpoint_url=aws, **KEYS)
    pool_id = client.create_user_pool(PoolName="site")["UserPool"]["Id"]
    client_id = client.create_user_pool_client(UserPoolId=pool_id, ClientName="web")["UserPoolClient"]["ClientId"]
    client.sign_up(ClientId=client_id, Username="ana", Password=PASSWORD)
    client.confirm_sign_up(ClientId=client_id, Username="ana", ConfirmationCode="123456")
    login = {"USERNAME": "ana", "PASSWORD": PASSWORD}
    tokens = client.initiate_auth(ClientId=client_id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=login)
    client.close()
    return {"id": pool_id, "client": client_id, "token": tokens["AuthenticationResult"]["AccessToken"]}


@pytest.fixture(scope="module")
def production(own_mysql_database: str, aws: str, pool: dict[str, str]) -> dict[str, str]:
    """The settings of production, with a bucket."""
    client = boto3.client("s3", region_name=REGION, endpoint_url=aws, **KEYS)
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.close()
    return {
        "SECRET_KEY": "a-secret-of-the-tests-and-no-other",
        "DATABASE_URL": own_mysql_database,
        "DATABASE_READ_TIMEOUT_SECONDS": "30",  # longer than a test holds a lock
        "COGNITO_USER_POOL_ID": pool["id"],
        "COGNITO_REGION": REGION,
        "COGNITO_CLIENT_ID": pool["client"],
        "COGNITO_DOMAIN": DOMAIN,
        "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": aws,
        "S3_BUCKET_NAME": BUCKET,
        "AWS_ENDPOINT_URL_S3": aws,
        **{name.upper(): value for name, value in KEYS.items()},
    }


class Container:
    def __init__(self, image: str, *options: str, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        settings = {"PORT": str(self.port), "METRICS_PORT": str(free_port()), **settings}
        env = [f"--env={name}={value}" for name, value in settings.items()]
        self.id = docker("run", "--detach", "--network=host", *options, *env, image)

    @property
    def state(self) -> Any:
        return inspected(self.id)["State"]

    def wait_until_healthy(self) -> None:
        def healthy() -> bool:
            state = self.state
            assert state["Running"], docker("logs", self.id)
            return state["Health"]["Status"] == "healthy"

        wait_until(healthy, what=docker("logs", self.id))

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command in it."""
        return docker("exec", self.id, *command, check=check)


@contextmanager
def running(image: str, *options: str, **settings: str) -> Iterator[Container]:
    container = Container(image, *options, **settings)
    try:
        container.wait_until_healthy()
        yield container
    finally:
        docker("rm", "--force", "--volumes", container.id)


@pytest.fixture(scope="module")
def container(image: str, production: dict[str, str]) -> Iterator[Container]:
    with running(image, *AS_IN_KUBERNETES, **production) as one:
        yield one


@pytest.fixture
def ana(pool: dict[str, str]) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {pool['token']}"
        yield session


def test_the_image_says_what_it_is(image):
    config = inspected(image)["Config"]

    assert config["User"] == "10001:10001"
    assert set(config["ExposedPorts"]) == {"8082/tcp"}
    assert config["Labels"]["org.opencontainers.image.version"] == __version__
    assert config["Labels"]["org.opencontainers.image.revision"] == "of-the-test"
    assert "FLASK_ENV=production" in config["Env"]


def test_the_image_has_the_service_compiled_and_nothing_to_build_with(container):
    tools = "command -v gcc cc g++ make node npm; python -m pip --version; ls /root/.cache /build"

    assert container.run("sh", "-c", "ls -A /app").split() == [
        "__pycache__", "app.py", "config.py", "gunicorn.conf.py", "migrations", "post", "site",
    ]  # fmt: skip
    assert "/" not in container.run("sh", "-c", f"({tools}) 2>/dev/null; true")
    sources = container.run("sh", "-c", "find /app/post /opt/venv -name '*.py' | wc -l")
    assert container.run("sh", "-c", "find /app/post /opt/venv -name '*.pyc' | wc -l") == sources


def test_it_is_nobody_of_the_host_and_needs_no_folder_that_can_be_written_to(container):
    assert container.run("id", "-u") == "10001"
    assert "Read-only" in container.run("touch", "/var/lib/post-service/file", check=False)


def test_it_serves_a_create_a_list_and_a_like(container, ana):
    posts = f"{container.url}/api/v1/posts"

    created = ana.post(posts, json={"title": "제목", "content": "내용"}, timeout=HANG_SECONDS)
    listed = ana.get(posts, timeout=HANG_SECONDS).json()["data"]
    liked = ana.post(f"{posts}/{created.json()['data']['id']}/like", timeout=HANG_SECONDS)

    assert created.status_code == 201
    assert [post["id"] for post in listed] == [created.json()["data"]["id"]]
    assert liked.json()["data"] == {"action": "added", "is_liked": True, "like_count": 1}


def test_it_serves_the_pages_with_the_settings_of_production(container, pool):
    page = requests.get(f"{container.url}/write", timeout=HANG_SECONDS)
    config = json.loads(re.search(r'id="board-config">(.*?)</script>', page.text)[1])
    path = re.search(r'src="(/assets/[^"]+\.js)"', page.text)[1]
    script = requests.get(container.url + path, timeout=HANG_SECONDS)

    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
    assert (config["cognito"], config["local_issuer"]) == ({"domain": DOMAIN, "client_id": pool["client"]}, False)
    assert (script.status_code, script.headers["Content-Encoding"]) == (200, "gzip")
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert container.run("sh", "-c", "ls -A /app/site") == "dist"


def test_it_cleans_an_image_in_a_process_apart_and_puts_it_into_the_bucket(container, ana):
    posts = f"{container.url}/api/v1/posts"
    post_id = ana.post(posts, json={"title": "제목", "content": "내용"}, timeout=HANG_SECONDS).json()["data"]["id"]

    answer = ana.post(f"{posts}/{post_id}/media", files={"file": encoded(scene(), "PNG")}, timeout=HANG_SECONDS)

    assert answer.status_code == 201
    assert (
        requests.get(container.url + answer.json()["data"]["thumbnail_url"], timeout=HANG_SECONDS).content[8:12]
        == b"WEBP"
    )


def test_process_1_is_gunicorn_and_waits_for_orphans(container):
    container.run("sh", "-c", "(sleep 0.2 &)")

    assert "gunicorn" in container.run("cat", "/proc/1/cmdline")
    processes = "cat /proc/[0-9]*/stat 2>/dev/null | grep -c ' Z ' || true"
    wait_until(lambda: container.run("sh", "-c", processes) == "0", what="a zombie stays")


@contextmanager
def locked(url: str, post_id: str) -> Iterator[None]:
    """Hold the lock of a post's row, for which a like has to wait."""
    at = make_url(url)
    with (
        pymysql.connect(
            host=at.host, port=at.port, user=at.username, password=at.password or "", database=at.database
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT id FROM posts WHERE id = %s FOR UPDATE", (post_id,))
        yield
        connection.rollback()


def test_it_stops_in_the_grace_period_and_answers_what_is_in_flight(image, production, ana):
    with running(image, *AS_IN_KUBERNETES, **production) as container:
        posts = f"{container.url}/api/v1/posts"
        post_id = ana.post(posts, json={"title": "제목", "content": "내용"}, timeout=HANG_SECONDS).json()["data"]["id"]
        answers: list[requests.Response] = []
        like = threading.Thread(
            target=lambda: answers.append(ana.post(f"{posts}/{post_id}/like", timeout=HANG_SECONDS))
        )
        stop = threading.Thread(target=docker, args=("stop", f"--time={GRACE_SECONDS}", container.id))

        with locked(production["DATABASE_URL"], post_id):
            like.start()
            time.sleep(1)
            stop.start()
            time.sleep(1)
            assert answers == []
        like.join()
        stop.join()

        assert answers[0].json()["data"]["like_count"] == 1
        assert (container.state["ExitCode"], container.state["OOMKilled"]) == (0, False)


def test_a_body_that_ends_8_seconds_after_the_stop_is_answered(image, production, ana):
    with running(image, *AS_IN_KUBERNETES, **production) as container:
        body = b'{"title": "a", "content": "b"}'
        head = f"POST /api/v1/posts HTTP/1.1\r\nHost: x\r\nAuthorization: {ana.headers['Authorization']}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        stop = threading.Thread(target=docker, args=("stop", f"--time={GRACE_SECONDS}", container.id))
        with socket.create_connection(("127.0.0.1", container.port), timeout=HANG_SECONDS) as client:
            client.sendall(head.encode() + body[:5])
            time.sleep(1)
            stop.start()
            time.sleep(8)
            client.sendall(body[5:])
            answer = client.makefile("rb").read()
        stop.join()

        assert answer.startswith(b"HTTP/1.1 201 ")
        assert container.state["ExitCode"] == 0
        assert "Traceback" not in docker("logs", container.id)


@pytest.mark.parametrize("seed", range(6))
def test_a_stop_as_it_starts_is_not_lost(seed, image, production):
    container = Container(image, *AS_IN_KUBERNETES, **production)
    try:
        wait_until(lambda: "Booting worker" in docker("logs", container.id), what="it does not start")
        time.sleep(random.Random(seed).uniform(0, 0.03))
        docker("stop", f"--time={GRACE_SECONDS}", container.id)

        assert container.state["ExitCode"] == 0
        assert "SIGKILL" not in docker("logs", container.id)
    finally:
        docker("rm", "--force", "--volumes", container.id)


def test_a_development_env_file_works_and_what_it_writes_is_in_one_folder(image):
    writable = "find / -xdev -writable ! -type l ! -path '/proc/*' 2>/dev/null; true"

    with running(image, f"--env-file={PROJECT / '.env.example'}") as container:
        token = requests.post(f"{container.url}/dev/token", json={"username": "ana"}, timeout=HANG_SECONDS)
        folders = container.run("sh", "-c", writable).split()

        assert token.status_code == 200
        assert {"dev-issuer.pem", "postdb.sqlite3"} <= set(container.run("ls", "/var/lib/post-service").split())
        own = [path for path in folders if path.startswith("/var/lib/post-service")]
        assert own
        assert set(folders) - set(own) <= {"/tmp", "/var/tmp", "/run/lock"}


@pytest.mark.parametrize(
    "empty", [[], ["--env=FLASK_ENV="], ["--env=FLASK_ENV=", "--env=HOST=", "--env=INSTANCE_PATH="]]
)
def test_without_its_settings_it_names_them_and_ends(empty, image):
    said = docker("run", "--rm", "--network=host", *empty, image, check=False)

    assert said.splitlines() == [
        f"{name}: must be set when FLASK_ENV=production"
        for name in ("SECRET_KEY", "DATABASE_URL", "COGNITO_USER_POOL_ID", "COGNITO_REGION", "COGNITO_CLIENT_ID")
    ]
