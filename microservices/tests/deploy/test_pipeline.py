"""The shop's buildspecs, run as CodeBuild runs them, and what they have in common with the files beside them."""

import json
import re
import subprocess
import sys
from zipfile import ZipFile

import pytest
import yaml

from microservices.local.terraform import FOLDER as TERRAFORM
from microservices.local.terraform import deployed
from microservices.tests.running import PATIENCE_SECONDS, PROJECT
from tests.deploy.buildspecs import built, check_shape, stubbed
from tests.deploy.mutations import broken

FOLDER = PROJECT / "microservices"
BUILD, DEPLOY = FOLDER / "buildspec.yml", FOLDER / "buildspec-deploy.yml"
MODULE = (TERRAFORM / "pipeline" / "main.tf").read_text()
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
URLS = [f"{REGISTRY}/microservices/{name}" for name in ("products", "orders")]
SUM = "a" * 64
BASE = f"public.ecr.aws/docker/library/python@sha256:{'0' * 64}"
SAYS = {"get-login-password": "a-token", "docker inspect": BASE}
# Variables that the commands set themselves.
MADE = {"BASE", "PUSHED_BEFORE", "PWD", "REGISTRY", "TAG"}
# ECR says that there is no such image.
NOT_PUSHED = "describe-images"


def build(folder, text="", *, fails=NOT_PUSHED, says=None, commit=COMMIT, **given):
    given = {
        "REPOSITORY_URLS": " ".join(URLS),
        "RELEASES_BUCKET": "microservices-releases-test",
        "RDS_BUNDLE_SHA256": SUM,
        "CODEBUILD_RESOLVED_SOURCE_VERSION": commit,
        **given,
    }
    return built(text or BUILD.read_text(), folder, says=SAYS | (says or {}), fails=fails, **given)


def deploy(folder, *, fails="", target="{}"):
    given = {"RELEASE_TARGET": target, "CODEBUILD_RESOLVED_SOURCE_VERSION": COMMIT}
    return built(DEPLOY.read_text(), folder, fails=fails, **given)


# Build


def test_a_build_tests_before_it_makes_and_makes_before_it_pushes(tmp_path):
    done = build(tmp_path)

    places = [
        done.place("aws ecr get-login-password"),
        done.place(f"docker login --username AWS --password-stdin {REGISTRY}$"),
        done.place(r"docker run .*\.ci/run$"),
        *(done.place(f"docker build --file microservices/{name}/Dockerfile") for name in ("products", "orders")),
        done.place(r"docker run .*package_release\.sh /zips$"),
        *(done.place(f"docker push {url}:{COMMIT[:12]}$") for url in URLS),
        done.place(f"aws s3 cp --recursive /tmp/zips s3://microservices-releases-test/{COMMIT}/$"),
    ]
    assert done.succeeded
    assert places == sorted(places)


def test_images_are_of_one_base_and_know_their_commit(tmp_path):
    done = build(tmp_path)

    for url in URLS:
        name = url.rpartition("/")[2]
        assert done.calls[done.place(f"docker build .*{name}/Dockerfile")] == (
            f"docker build --file microservices/{name}/Dockerfile --build-arg PYTHON_IMAGE={BASE}"
            f" --label org.opencontainers.image.base.name={BASE} --label org.opencontainers.image.revision={COMMIT}"
            f" --build-arg RDS_BUNDLE_SHA256={SUM} --tag {url}:{COMMIT[:12]} microservices"
        )
    assert f" {BASE} bash -c " in done.calls[done.place("package_release")]


@pytest.mark.parametrize(
    "fails",
    ["docker login", r"\.ci/run", "docker pull", "docker inspect", "docker build .*products", "docker build .*orders",
     "package_release", "docker push .*products"],
)  # fmt: skip
def test_a_failure_stops_a_build_before_zips_are_left(tmp_path, fails):
    done = build(tmp_path, fails=f"{fails}|{NOT_PUSHED}")

    assert not done.succeeded
    assert re.search(fails, done.calls[-1])  # nothing is called after it
    assert not done.has("aws s3 cp")


@pytest.mark.parametrize(
    "given",
    [{"commit": "main"}, {"REPOSITORY_URLS": ""}, {"RELEASES_BUCKET": ""}],
    ids=["no commit", "no repositories", "no bucket"],
)
def test_a_build_without_its_settings_does_not_begin(tmp_path, given):
    done = build(tmp_path, **given)

    assert (done.succeeded, done.calls) == (False, [])


def test_a_repeated_build_keeps_the_images_that_were_pushed_first(tmp_path):
    pushed = r"describe-images --repository-name microservices/products"

    done = build(tmp_path, fails=f"{NOT_PUSHED} --repository-name microservices/orders", says={pushed: "sha256:01"})

    assert done.succeeded
    assert not done.has("docker build .*products")
    assert not done.has("docker push .*products")
    done.place("docker build .*orders")
    done.place("docker push .*orders")
    done.place("aws s3 cp")


def test_the_zips_of_a_commit_are_packaged_with_the_site_beside_them(tmp_path):
    """The site's files are in its zip by the names that pages ask for."""
    (tmp_path / "stubs").mkdir()
    (tmp_path / "zips").mkdir()
    env = stubbed(tmp_path / "stubs", says={})
    python = tmp_path / "stubs" / "python"
    python.write_text(
        f'#!/bin/sh\n[ "$2" = zipfile ] && exec {sys.executable} "$@"\necho "[\\"python $*\\", null]" >>$STUB_CALLS\n'
    )
    script = FOLDER / "deploy" / "package_release.sh"

    done = subprocess.run(
        ["bash", script, tmp_path / "zips"],
        env=env,
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )

    assert done.returncode == 0, done.stderr
    calls = [json.loads(line)[0] for line in (tmp_path / "stubs" / "calls").read_text().splitlines()]
    assert [call.split()[:4] for call in calls] == [
        ["pip", "install", "--quiet", "--disable-pip-version-check"],
        ["python", "-m", "microservices.deploy.package_lambda", "--output"],
    ]
    assert "--require-hashes" in calls[0]
    with ZipFile(tmp_path / "zips" / "site.zip") as archive:
        assert set(archive.namelist()) == {path.name for path in (FOLDER / "site").iterdir()}


# Deploy


def test_a_rollout_is_the_release_of_the_commit(tmp_path):
    done = deploy(tmp_path)

    assert done.succeeded
    assert "--require-hashes" in done.calls[done.place("^pip install")]
    assert done.calls[-1] == f"python -m microservices.deploy.release {COMMIT}"


def test_a_rollout_that_was_taken_back_fails(tmp_path):
    assert not deploy(tmp_path, fails="deploy.release").succeeded


def test_a_rollout_to_no_place_does_not_begin(tmp_path):
    done = deploy(tmp_path, target="")

    assert (done.succeeded, done.calls) == (False, [])


# Both


@pytest.mark.parametrize("file", [BUILD, DEPLOY], ids=lambda file: file.name)
def test_a_buildspec_is_of_codebuild_s_shape(file):
    check_shape(file.read_text())


def test_a_project_runs_the_buildspec_that_is_here_and_sets_what_it_reads():
    projects = re.findall(r'resource "aws_codebuild_project" "(\w+)" \{(.*?)^\}', MODULE, re.DOTALL | re.MULTILINE)

    assert [name for name, _ in projects] == ["build", "deploy"]
    for (_, text), file in zip(projects, (BUILD, DEPLOY), strict=True):
        spec = yaml.safe_load(file.read_text())
        script = "\n".join(command for phase in spec["phases"].values() for command in phase["commands"])
        read = set(re.findall(r"\$\{?([A-Z][A-Z0-9_]+)", script)) - MADE - set(spec["env"].get("variables", {}))
        given = set(re.findall(r'^      name  = "(\w+)"', text, re.MULTILINE))
        assert f'buildspec = "microservices/{file.name}"' in text
        assert {name for name in read if not name.startswith("CODEBUILD_")} == given


def test_functions_images_and_rollouts_have_one_python():
    """Zips are compiled by the base of the images; another version's bytecode would not be read."""
    (image,) = re.findall(r"PYTHON_IMAGE: \S+/(python:\S+)", BUILD.read_text())
    (rollout,) = re.findall(r'deploy_image = "\S+/(python:\S+)"', MODULE)
    bases = {re.search(r"^ARG PYTHON_IMAGE=(\S+)", path.read_text(), re.M)[1] for path in FOLDER.glob("*/Dockerfile")}

    assert {image, rollout} | bases == {image}
    assert image.startswith(f"python:{deployed().value('${var.lambda_runtime}').removeprefix('python')}-")


# Broken copies


def test_a_push_after_failed_tests_is_noticed(tmp_path):
    text = broken(BUILD.read_text(), ("ABORT # or CodeBuild would", "CONTINUE # or CodeBuild would"))

    done = build(tmp_path, text, fails=rf"\.ci/run|{NOT_PUSHED}")

    assert not done.succeeded
    assert done.has("docker push")


def test_an_image_that_is_pushed_twice_is_noticed(tmp_path):
    text = broken(BUILD.read_text(), ('[[ "$PUSHED_BEFORE" == *" $url:"* ]] || docker push', "docker push"))

    assert build(tmp_path, text, fails="", says={"describe-images": "sha256:01"}).has("docker push")


def test_tests_whose_failure_is_passed_over_are_noticed(tmp_path):
    text = broken(BUILD.read_text(), ("exec bash .ci/run'\n", "exec bash .ci/run' || true\n"))

    assert build(tmp_path, text, fails=rf"\.ci/run|{NOT_PUSHED}").succeeded
