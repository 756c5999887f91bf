"""The buildspecs, run as CodeBuild runs them, with an `aws`, a `docker` and a `kubectl` that note their calls."""

import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from config import load_config
from post.web.site import DIGEST, FILE_MAX_AGE_SECONDS, FOR_A_YEAR, HASHED, PAGE, Site
from tests.deploy.buildspecs import Build, built, check_shape
from tests.deploy.checks import waited_seconds
from tests.deploy.kubernetes_rules import longest_rollout
from tests.deploy.manifest import Manifest
from tests.deploy.mutations import broken
from tests.servers import HANG_SECONDS, PROJECT

BUILD, DEPLOY = PROJECT / "buildspec.yml", PROJECT / "buildspec-deploy.yml"
MANIFEST = Manifest((PROJECT / "k8s" / "deployment.yaml").read_text())
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/post-service"
IMAGE, LATEST = f"{REPOSITORY}:0123456789ab", f"{REPOSITORY}:latest"
BASE = f"public.ecr.aws/docker/library/python@sha256:{'0' * 64}"
SAYS = {
    "get-login-password": "a-token",
    "get deployment": "7",
    "docker inspect": BASE,
    "docker create": "a-container",
}
SITE_BUCKET = "post-service-site-123456789012"
ASSETS, OTHERS = (f"aws s3 sync /tmp/site{place} s3://{SITE_BUCKET}{place} " for place in ("/assets", ""))
# ECR says that there is no such image.
NOT_PUSHED = "describe-images"


def build(
    folder: Path,
    text: str = "",
    *,
    fails: str = NOT_PUSHED,
    says: dict[str, str] | None = None,
    commit: str = COMMIT,
) -> Build:
    given = {"REPOSITORY_URL": REPOSITORY, "SITE_BUCKET": SITE_BUCKET, "CODEBUILD_RESOLVED_SOURCE_VERSION": commit}
    return built(text or BUILD.read_text(), folder, says=SAYS | (says or {}), fails=fails, **given)


def deploy(
    folder: Path, text: str = "", *, fails: str = "", says: dict[str, str] | None = None, image: str = IMAGE
) -> Build:
    given = {"IMAGE_URI": image, "CLUSTER_NAME": "post"}
    return built(text or DEPLOY.read_text(), folder, says=SAYS | (says or {}), fails=fails, **given)


# Build


def test_a_build_logs_in_tests_builds_and_pushes_in_this_order(tmp_path):
    done = build(tmp_path)

    places = [
        done.place("aws ecr get-login-password"),
        done.place(f"docker login --username AWS --password-stdin {REPOSITORY.partition('/')[0]}$"),
        done.place(r"docker run .*\.ci/run$"),
        done.place("docker build"),
        done.place(f"docker create {IMAGE}$"),
        done.place("docker cp a-container:/app/site/dist /tmp/site$"),
        done.place(ASSETS),
        done.place(OTHERS),
        done.place(f"docker push {IMAGE}$"),
        done.place(f"docker push {LATEST}$"),
    ]
    assert done.succeeded
    assert done.phases == ["pre_build", "build", "post_build"]
    assert places == sorted(places)


def test_what_is_run_before_the_push_runs_pytest(tmp_path):
    """`.ci/run` in a container; it runs `make test`, which runs pytest."""
    done = build(tmp_path)
    target = re.search(r"^test:.*\n\t(.*)$", (PROJECT / "Makefile").read_text(), flags=re.MULTILINE)

    assert f"{PROJECT}:/src:ro" in done.calls[done.place(r"\.ci/run")]
    assert "\nmake test\n" in (PROJECT / ".ci" / "run").read_text()
    assert target
    assert "-m pytest" in target[1]


def test_the_check_is_run_whatever_modes_its_files_have(tmp_path):
    """As in the pipeline, whose source is a ZIP file."""
    (script,) = re.findall(r"bash -c '(.+)'", BUILD.read_text())
    (tmp_path / "src" / ".ci").mkdir(parents=True)
    (tmp_path / "src" / ".ci" / "run").write_text('pwd; exit "${STATUS:-0}"\n')
    script = script.replace("/src", f"{tmp_path}/src").replace("/check", f"{tmp_path}/check")

    runs = [
        subprocess.run(
            ["bash", "-c", script], check=False, env=env, capture_output=True, text=True, timeout=HANG_SECONDS
        )
        for env in ({}, {"STATUS": "3"})
    ]

    assert [(run.returncode, run.stdout) for run in runs] == [(0, f"{tmp_path}/check\n"), (3, f"{tmp_path}/check\n")]


def test_an_image_is_tagged_and_labelled_by_its_commit(tmp_path):
    from post import __version__

    done = build(tmp_path)

    command = done.calls[done.place("docker build")]
    assert command.endswith(f"--tag {IMAGE} --tag {LATEST} .")
    assert f"--build-arg PYTHON_IMAGE={BASE} --label org.opencontainers.image.base.name={BASE} " in command
    assert f"--build-arg VERSION={__version__} --build-arg REVISION={COMMIT}" in command
    assert done.exported == {"IMAGE_URI": IMAGE}


@pytest.mark.parametrize(
    "fails",
    [
        "docker login",
        r"\.ci/run",
        "docker pull",
        "docker inspect",
        "docker build",
        "docker create",
        "docker cp",
        ASSETS,
        OTHERS,
        f"docker push {IMAGE}",
    ],
)
def test_a_failure_stops_a_build_before_anything_is_pushed(tmp_path, fails):
    done = build(tmp_path, fails=f"{fails}|{NOT_PUSHED}")

    assert not done.succeeded
    assert re.search(fails, done.calls[-1])  # nothing is called after it
    assert not done.has(f"docker push {LATEST}")


def test_a_build_of_no_commit_does_not_begin(tmp_path):
    done = build(tmp_path, commit="main")

    assert (done.succeeded, done.calls) == (False, [])


def test_a_repeated_build_deploys_what_was_pushed_before(tmp_path):
    done = build(tmp_path, fails="", says={"describe-images": "sha256:0123"})

    assert done.succeeded
    assert done.has(f"docker pull {IMAGE}$")
    assert done.has(f"docker tag {IMAGE} {LATEST}$")
    assert not done.has("docker build")
    assert not done.has(f"docker push {IMAGE}$")
    assert done.exported == {"IMAGE_URI": IMAGE}


def published(done: Build, names: set[str]) -> dict[str, str]:
    """The files that a build publishes out of those names, with their ``Cache-Control``."""
    found = {}
    for command, folder in ((ASSETS, HASHED), (OTHERS, "")):
        call = done.calls[done.place(command)]
        kept = re.search(r"--cache-control (.+)$", call)
        assert kept
        excluded = re.findall(r"--exclude (\S+)", call)
        within = {name.removeprefix(folder) for name in names if name.startswith(folder)}
        found |= {folder + one: kept[1] for one in within if not any(fnmatch(one, pattern) for pattern in excluded)}
    return found


def built_site(folder: Path) -> Site:
    """A build with a file of each kind."""
    for name in (PAGE, DIGEST, "favicon.svg", "robots.txt", "assets/index-1.js", "assets/index-1.css"):
        for ending in ("", ".br", ".gz"):
            file = folder / f"{name}{ending}"
            file.parent.mkdir(exist_ok=True)
            file.write_text('<title>Board</title><script id="board-config"></script>')
    return Site(folder, load_config({}))


def test_a_build_publishes_what_the_service_serves_beside_its_page(tmp_path):
    done, site = build(tmp_path), built_site(tmp_path / "site")
    names = {file.relative_to(tmp_path / "site").as_posix() for file in (tmp_path / "site").rglob("*.*")}
    for_an_hour = f"public, max-age={FILE_MAX_AGE_SECONDS}"

    found = published(done, names)

    assert found == {name: FOR_A_YEAR if name.startswith(HASHED) else for_an_hour for name in site.files}
    assert not done.has("aws s3 .*--delete")


def test_a_repeated_build_fails_where_what_was_pushed_cannot_be_had(tmp_path):
    done = build(tmp_path, fails="docker pull", says={"describe-images": "sha256:0123"})

    assert not done.succeeded
    assert not done.has("docker push")


# Deploy


def test_a_rollout_sets_the_image_and_waits(tmp_path):
    done = deploy(tmp_path)

    kubectl = "kubectl --namespace post-service"
    places = [
        done.place("aws eks update-kubeconfig --name post$"),
        done.place(f"{kubectl} get deployment post-service-deployment"),
        done.place(f"{kubectl} set image deployment/post-service-deployment post-service={IMAGE}$"),
        done.place(f"{kubectl} rollout status deployment/post-service-deployment --timeout 25m$"),
    ]
    assert done.succeeded
    assert places == sorted(places)
    assert not done.has("undo")


def test_a_rollout_that_does_not_get_ready_is_undone_and_fails(tmp_path):
    done = deploy(tmp_path, fails="rollout status")

    assert not done.succeeded
    undone = done.place("rollout undo deployment/post-service-deployment --to-revision 7$")
    assert "rollout status" in done.calls[undone - 3]
    assert "get pods,events" in done.calls[undone - 2]
    assert " logs --selector app.kubernetes.io/name=post-service " in done.calls[undone - 1]
    assert "rollout status" in done.calls[undone + 1]  # and the roll-back is waited for


@pytest.mark.parametrize("fails", ["update-kubeconfig", "get deployment", "set image"])
def test_a_failure_stops_a_rollout(tmp_path, fails):
    done = deploy(tmp_path, fails=fails, says={"get deployment": ""} if fails == "get deployment" else None)

    assert not done.succeeded
    assert fails in done.calls[-1]


def test_a_rollout_of_no_image_does_not_begin(tmp_path):
    done = deploy(tmp_path, image="")

    assert (done.succeeded, done.calls) == (False, [])


def test_what_is_rolled_out_is_what_kubernetes_knows():
    names = yaml.safe_load(DEPLOY.read_text())["env"]["variables"]
    deployment = MANIFEST["Deployment"]["metadata"]

    assert (names["NAMESPACE"], names["DEPLOYMENT"]) == (deployment["namespace"], deployment["name"])
    assert names["CONTAINER"] == MANIFEST.container["name"]


def test_a_rollout_is_waited_for_as_long_as_it_may_take():
    assert waited_seconds(DEPLOY.read_text()) >= longest_rollout(MANIFEST)


@pytest.mark.parametrize("file", [BUILD, DEPLOY], ids=lambda file: file.name)
def test_a_buildspec_is_of_codebuild_s_shape(file):
    check_shape(file.read_text())


def test_a_build_keeps_what_it_has_downloaded(tmp_path):
    done = build(tmp_path)

    (path,) = yaml.safe_load(BUILD.read_text())["cache"]["paths"]
    assert f"--volume {path.removesuffix('/**/*')}:/root/.cache/pip " in done.calls[done.place(r"\.ci/run")]
    assert f"--cache-from {LATEST} " in done.calls[done.place("docker build")]


# Broken copies


def test_a_push_after_failed_tests_is_noticed(tmp_path):
    text = broken(BUILD.read_text(), ("ABORT # or CodeBuild would", "CONTINUE # or CodeBuild would"))

    done = build(tmp_path, text, fails=rf"\.ci/run|{NOT_PUSHED}")

    assert not done.succeeded
    assert done.has(f"docker push {LATEST}")


def test_tests_whose_failure_is_passed_over_are_noticed(tmp_path):
    text = broken(BUILD.read_text(), ("exec bash .ci/run'\n", "exec bash .ci/run' || true\n"))

    assert build(tmp_path, text, fails=rf"\.ci/run|{NOT_PUSHED}").succeeded


def test_a_page_that_is_published_without_its_configuration_is_noticed(tmp_path):
    text = broken(BUILD.read_text(), (" --exclude index.html", ""))

    assert PAGE in published(build(tmp_path, text), {PAGE})


def test_a_push_of_latest_alone_is_noticed(tmp_path):
    text = broken(BUILD.read_text(), ('|| docker push "$IMAGE_URI"', "|| true"))

    with pytest.raises(AssertionError, match="0 in"):
        build(tmp_path, text).place(f"docker push {IMAGE}$")


def test_a_roll_back_that_passes_for_success_is_noticed(tmp_path):
    text = broken(DEPLOY.read_text(), ("          false\n", "          true\n"))

    assert deploy(tmp_path, text, fails="rollout status").succeeded


def test_a_rollout_that_is_given_up_too_early_is_noticed():
    text = broken(DEPLOY.read_text(), ("ROLLOUT_TIMEOUT: 25m", "ROLLOUT_TIMEOUT: 20m"))

    assert waited_seconds(text) < longest_rollout(MANIFEST)
