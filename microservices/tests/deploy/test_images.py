"""The build of the images of products and orders: Dockerfiles, files that reach it, and RDS's certificates."""

import hashlib
import json
import re
import subprocess
import sys

import pytest
from docker.utils.build import exclude_paths

from microservices.tests.running import PATIENCE_SECONDS, PROJECT
from tests.deploy.checks import hadolint
from tests.deploy.mutations import broken, mutations
from tests.servers import answering

FOLDER = PROJECT / "microservices"
SERVICES = ("products", "orders")
DOCKERFILE = (FOLDER / "products" / "Dockerfile").read_text()
DOCKERIGNORE = (FOLDER / ".dockerignore").read_text()
STOP_SECONDS = 30  # ECS's own, from SIGTERM to SIGKILL
BALANCER_IDLE_SECONDS = 60  # the ALB's default


def test_both_images_are_built_alike():
    """Differences between the services are in their folders."""
    assert (FOLDER / "orders" / "Dockerfile").read_text() == DOCKERFILE.replace("products", "orders")


def test_hadolint_finds_nothing_to_better(tmp_path):
    assert hadolint(DOCKERFILE, tmp_path) == set()


@mutations(
    ("any version", "FROM ${PYTHON_IMAGE} AS builder", "FROM python:latest AS builder", "DL3007"),
    ("two commands", "EXPOSE 8080\n", 'EXPOSE 8080\nCMD ["true"]\n', "DL4003"),
)
def test_hadolint_refuses_a_broken_dockerfile(old, new, check, tmp_path):
    assert check in hadolint(broken(DOCKERFILE, (old, new)), tmp_path)


def test_an_image_is_pinned_and_is_nobodys():
    last = DOCKERFILE.rpartition("FROM ")[2]

    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.\d+-slim-\w+$", DOCKERFILE, re.M)
    assert DOCKERFILE.count("--require-hashes") == 2
    assert "--only-binary=:all:" in DOCKERFILE
    assert re.findall(r"^USER (.*)$", last, re.M) == ["10001:10001"]
    assert all(line.startswith("COPY --from=builder ") for line in last.splitlines() if line.startswith("COPY"))


def test_a_build_must_name_the_sum_of_the_bundle():
    assert re.search(r"^ARG RDS_BUNDLE_SHA256=$", DOCKERFILE, re.M)
    assert re.search(r"^ARG RDS_BUNDLE_URL=https://truststore\.pki\.rds\.amazonaws\.com/", DOCKERFILE, re.M)


def test_gunicorn_ends_before_it_is_killed_and_keeps_connections_longer_than_the_balancer():
    text = (FOLDER / "shared" / "gunicorn_conf.py").read_text()
    graceful, keepalive = (
        int(re.search(rf"^{name} = (\d+)\b", text, re.M)[1]) for name in ("graceful_timeout", "keepalive")
    )

    assert graceful < STOP_SECONDS
    assert keepalive > BALANCER_IDLE_SECONDS


def test_the_page_has_every_setting_of_the_containers():
    shared = [path for path in FOLDER.glob("shared/*.py") if path.name != "observability.py"]  # functions' alone
    files = [*shared, *(path for service in SERVICES for path in FOLDER.glob(f"{service}/*.py"))]
    read = {name for path in files for name in re.findall(r'settings\.\w+\("([A-Z_]+)"', path.read_text())}
    rows = [line for line in (FOLDER / "deploy" / "README.md").read_text().splitlines() if line.startswith("| `")]

    told = {name for row in rows for name in re.findall(r"`([A-Z_0-9]+)`", row.split("|")[1])}
    assert read == told - {*re.findall(r"^ARG (\w+)", DOCKERFILE, re.M)}


NEEDED = {"deploy/fetch_rds_bundle.py"} | {
    f"{service}/{name}"
    for service in SERVICES
    for name in ("app.py", "requirements.txt", "migrations/env.py", "migrations/versions/0001.py")
}
PRIVATE = {
    "terraform/terraform.tfvars",
    ".env",
    "auth/handler.py",
    "local/aws.py",
    "products/__pycache__/app.pyc",
    "orders/x.pyc",
}


def context(ignored, folder):
    """The files that reach a build of a folder with some that must not."""
    for name in NEEDED | PRIVATE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    patterns = [line for line in ignored.splitlines() if line and not line.startswith("#")]
    return {name for name in exclude_paths(folder, patterns) if (folder / name).is_file()} - {
        ".dockerignore",
        "Dockerfile",
    }


def test_nothing_reaches_a_build_but_what_an_image_is_made_of(tmp_path):
    assert context(DOCKERIGNORE, tmp_path) == NEEDED


@mutations(
    ("no rule for the rest", "\n*\n", "\n", ".env"),
    ("stale bytecode", "**/__pycache__\n**/*.pyc\n", "", "orders/x.pyc"),
)
def test_what_must_not_reach_a_build_is_noticed(old, new, check, tmp_path):
    assert check in context(broken(DOCKERIGNORE, (old, new)), tmp_path)


@pytest.fixture
def bundle():
    """The address of something that is served."""
    with answering(lambda *_request: (200, "application/x-pem-file", b"certificates")) as url:
        yield url


def fetch(url, digest, path):
    command = [sys.executable, FOLDER / "deploy" / "fetch_rds_bundle.py", url, digest, path]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)


def test_the_bundle_is_taken_if_it_is_the_one_that_was_named(bundle, tmp_path):
    done = fetch(bundle, hashlib.sha256(b"certificates").hexdigest(), tmp_path / "rds.pem")

    assert done.returncode == 0
    assert (tmp_path / "rds.pem").read_bytes() == b"certificates"


@pytest.mark.parametrize("digest", ["", "0" * 64])
def test_another_bundle_is_refused(digest, bundle, tmp_path):
    done = fetch(bundle, digest, tmp_path / "rds.pem")

    assert done.returncode == 1
    assert done.stderr.startswith(f"RDS_BUNDLE_SHA256: is {digest or 'not set'}, but ")
    assert not (tmp_path / "rds.pem").exists()


@pytest.mark.parametrize(("status", "is_healthy"), [(200, True), (503, False)])
def test_the_health_check_asks_the_port_that_is_listened_on(status, is_healthy):
    command = json.loads(re.search(r"^    CMD (\[.*\])$", DOCKERFILE, re.M)[1])
    asked = []

    def answer(_method, path, *_rest):
        asked.append(path)
        return status, "application/json", b"{}"

    with answering(answer) as url:
        environment = {"BIND": url.removeprefix("http://")}
        done = subprocess.run(
            [sys.executable, *command[1:]], env=environment, check=False, capture_output=True, timeout=PATIENCE_SECONDS
        )

    assert (done.returncode == 0, asked) == (is_healthy, ["/health"])
