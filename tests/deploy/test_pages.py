"""The deployment page: what it names exists, and its commands are ones that their programs know."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.session
import hcl2
import pytest
import yaml
from botocore import xform_name
from botocore.model import OperationModel
from botocore.validate import ParamValidator
from flask import Flask, redirect
from hcl2.utils import SerializationOptions
from werkzeug.serving import make_server

from config import SITE_ORIGINS, Settings
from post.database.engines import database_config
from post.web.site import REFERRER_POLICY, Site, content_security_policy
from tests.deploy.checks import tool, waited_seconds
from tests.deploy.kubernetes_rules import configured
from tests.deploy.manifest import Manifest
from tests.deploy.mutations import broken, mutations
from tests.pages import broken_links
from tests.servers import HANG_SECONDS, PROJECT, running_in_thread

PAGE = PROJECT / "docs" / "deployment.md"
MANIFEST, DISTRIBUTION = PROJECT / "k8s" / "deployment.yaml", PROJECT / "cloudfront-config.json"
AWS = botocore.session.get_session()
# What the AWS CLI has beside the operations of its services.
OF_THE_CLI = {
    ("ecr", "get-login-password"),
    ("eks", "update-kubeconfig"),
    ("logs", "tail"),
    ("s3", "cp"),
    ("s3", "sync"),
}
EVERYWHERE = {"--region", "--query", "--output"}
# CloudFront's own policies are no examples, nor are addresses that mean "anywhere".
EXAMPLE = re.compile(
    r"\b\d{12}\b|\b0{8}(?:-0{4}){3}-0{12}\b|\b1{8}(?:-1{4}){3}-1{12}\b|\b2{8}(?:-2{4}){3}-2{12}\b|\bEEXAMPLE\w+|\bexample\w+|\b10[.\d]+/\d+"
    r"|\bhhottdogg\.shop\b"
)


def blocks(page: str) -> list[str]:
    """The page's commands, a block of shell each; one within a list is indented."""
    found = re.findall(r"^( *)```sh\n(.*?)^ *```$", page, flags=re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def shell(page: str) -> str:
    """All commands that the page shows: in blocks and in lines, each on a line of its own, heredocs left out."""
    text = "\n".join(blocks(page))
    text = re.sub(r"<<'?(\w+)'?[^\n]*\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    inline = re.findall(r"`((?:aws|kubectl|terraform) [^`]*)`", re.sub(r"```.*?```", "", page, flags=re.DOTALL))
    return "\n".join([text.replace("\\\n", " "), *inline])


def section(page: str, title: str) -> str:
    return page.partition(f"{title}\n")[2].partition("\n#")[0]


# The rules. Each yields what is wrong with a page.


def syntax(page: str) -> Iterator[str]:
    for block in blocks(page):
        done = subprocess.run(
            ["bash", "-n"], check=False, input=block, capture_output=True, text=True, timeout=HANG_SECONDS
        )
        if done.returncode != 0:
            yield done.stderr


def links(page: str) -> Iterator[str]:
    yield from broken_links(page, PAGE.parent)


def placeholders(page: str) -> Iterator[str]:
    rows = re.findall(r"^\| (`.*?`) \| (.*?) \|", section(page, "### Placeholders"), flags=re.MULTILINE)
    told = [(example, where) for examples, where in rows for example in re.findall("`(.+?)`", examples)]
    found = {file: set(EXAMPLE.findall(file.read_text())) for file in (MANIFEST, DISTRIBUTION)}
    for file, examples in found.items():
        here = {example for example, where in told if where == "both" or file.name in where}
        if here != examples:
            yield f"{file.name}: {sorted(here ^ examples)}"
    filled = section(page, "### Placeholders")
    for example, _ in told:
        if f"s/{example}/" not in filled and not example.startswith("10."):  # which step 1 makes so
            yield f"{example} is not filled in"


def aws_commands(page: str) -> Iterator[list[str]]:
    for found in re.finditer(r"\baws ((?:[a-z0-9]+-?)+ [a-z0-9-]+)((?:[^\n\"')|;`]|\"[^\"]*\"|'[^']*')*)", shell(page)):
        yield [
            *found[1].replace("s3api", "s3").split(),
            *re.findall(r"(?<=\s)--[a-z0-9-]+", re.sub(r"\"[^\"]*\"|'[^']*'", "", found[2])),
        ]


def members(operation: OperationModel) -> set[str]:
    shape = operation.input_shape
    names = {xform_name(name, "-") for name in shape.members} if shape else set()
    return {f"--{name}" for name in names} | {f"--no-{name}" for name in names} | EVERYWHERE


def operations(service: str) -> dict[str, Any]:
    model = AWS.get_service_model(service)
    return {xform_name(name, "-"): model.operation_model(name) for name in model.operation_names}


def aws(page: str) -> Iterator[str]:
    """Services, operations and options that botocore does not know, and so the AWS CLI does not either."""
    for service, name, *options in aws_commands(page):
        if (service, name) in OF_THE_CLI:
            continue
        if service not in AWS.get_available_services():
            yield f"aws {service}"
        elif name == "wait":
            continue
        elif name not in operations(service):
            yield f"aws {service} {name}"
        else:
            known = members(operations(service)[name])
            yield from (f"aws {service} {name} {option}" for option in options if option not in known)


def waiters(page: str) -> Iterator[str]:
    for service, name in re.findall(r"\baws (\S+) wait ([a-z-]+)", shell(page)):
        if name not in {xform_name(waiter, "-") for waiter in AWS.get_waiter_model(service).waiter_names}:
            yield f"aws {service} wait {name}"


def terraform(page: str) -> Iterator[str]:
    plain = SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)
    document = hcl2.loads((PROJECT / "post-cicd.tf").read_text(), serialization_options=plain)
    outputs = {name for item in document["output"] for name in item}
    variables = {name: body for item in document["variable"] for name, body in item.items()}
    yield from (f"output {name}" for name in re.findall(r"terraform output -raw (\w+)", page) if name not in outputs)
    for text in re.findall(r"<<HCL\n(.*?)^HCL$", page, flags=re.DOTALL | re.MULTILINE):
        given = set(hcl2.loads(text.replace("$CLUSTER", "post"), serialization_options=plain))
        if given - set(variables) or {name for name, body in variables.items() if "default" not in body} - given:
            yield f"variables {sorted(given)}"
    for address in re.findall(r"-replace=(\w+)\.(\w+)", page):
        if not any(address[1] in item.get(address[0], {}) for item in document["resource"]):
            yield f"resource {address}"


def manifest() -> dict[str, set[str]]:
    documents = [document for document in yaml.safe_load_all(MANIFEST.read_text()) if document]
    kinds = {document["kind"].lower() for document in documents}
    return {kind: {one["metadata"]["name"] for one in documents if one["kind"].lower() == kind} for kind in kinds}


def kubernetes(page: str) -> Iterator[str]:
    """What is asked of Kubernetes about the service must be in the manifest, and in its namespace."""
    named = manifest()
    for command in re.findall(r"\bkubectl (?:[^\n|`\"]|\"[^\"]*\")*", shell(page)):
        for kind, name in re.findall(r"(?<![\w-])(deployment|service)[/ ]([a-z][a-z-]+)", command):
            if name not in named[kind] and "--namespace kube-system" not in command:
                yield command
        if "post-service" in command and not re.search("--namespace post-service|create namespace", command):
            yield command


def secrets(page: str) -> Iterator[str]:
    told = dict.fromkeys(re.findall(r"--from-literal=([a-z-]+)=", shell(page)))
    wanted = re.findall(r"secretKeyRef:\n\s+name: (\S+)\n\s+key: (\S+)", MANIFEST.read_text())
    table = section(page, "## 6. The secrets").partition("```")[0]
    for secret, key in wanted:
        if key not in told or not re.search(rf"\| `{secret}` \|[^|]*`{key}`", table):
            yield f"{secret}: {key}"
    yield from (f"{key}, which nothing reads" for key in told if key not in {key for _, key in wanted})


def signing_in(page: str) -> Iterator[str]:
    """The pool must know the addresses to which the site has it send the browser back, and the site the pool's."""
    commands = re.sub(" +", " ", shell(page)).splitlines()
    (client,) = (line for line in commands if "create-user-pool-client" in line and "--client-name site" in line)
    (callback,) = re.findall(r'CALLBACK = "(.+)"', (PROJECT / "site/src/session/marks.ts").read_text())
    for option, path in (("callback", callback), ("logout", "/")):
        addresses = " ".join(f'"{origin}{path}"' for origin in SITE_ORIGINS).replace("hhottdogg.shop", "$SITE")
        if f"--{option}-urls {addresses} " not in client:
            yield f"{option}: not {addresses}"
    code = "--allowed-o-auth-flows-user-pool-client --allowed-o-auth-flows code --allowed-o-auth-scopes openid "
    if code not in client:
        yield "no authorization code"
    (domain,) = re.findall(r'create-user-pool-domain .* --domain "(\S+)"', page)
    address = domain.replace("$ACCOUNT_ID", "123456789012")
    if not (configured(Manifest(MANIFEST.read_text())).cognito_domain or "").startswith(f"https://{address}.auth."):
        yield f"the site sends nobody to {domain}"


def rollout(page: str) -> Iterator[str]:
    minutes = waited_seconds((PROJECT / "buildspec-deploy.yml").read_text()) // 60
    if f"for `kubectl rollout status` for {minutes} minutes:" not in re.sub(r"\s", " ", page):
        yield f"a rollout is waited for for {minutes} minutes"


def pools(settings: Settings) -> list[tuple[int, int]]:
    """A worker's pools of connections to the primary: how many each keeps, and how many more it may open."""
    options = database_config(settings.database_url, settings, for_command=False)
    both = [options["SQLALCHEMY_ENGINE_OPTIONS"], *options["SQLALCHEMY_BINDS"].values()]
    return [(pool["pool_size"], pool["max_overflow"]) for pool in both]


def connections(page: str) -> Iterator[str]:
    """Of a pod, and of all that there may be at once: one stops still while the next one starts."""
    found = Manifest(MANIFEST.read_text())
    settings = configured(found)
    of_a_pod = settings.web_concurrency * sum(kept + more for kept, more in pools(settings))
    surge = found.spec("Deployment")["strategy"]["rollingUpdate"]["maxSurge"]
    pods = found.spec("HorizontalPodAutoscaler")["maxReplicas"] + surge + 1
    if not re.search(rf"\b{of_a_pod} for a pod\b.* and {pods * of_a_pod} for five pods\b", page):
        yield f"{of_a_pod} connections of a pod, {pods * of_a_pod} of {pods}"


RULES = {
    rule.__name__: rule
    for rule in (
        syntax, links, placeholders, aws, waiters, terraform, kubernetes, secrets, signing_in, rollout, connections,
    )
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_the_page_keeps_the_rule(rule):
    assert list(RULES[rule](PAGE.read_text())) == []


def test_the_page_s_commands_are_looked_at():
    page = PAGE.read_text()

    assert len(blocks(page)) >= 15
    assert len(list(aws_commands(page))) >= 40
    assert len(re.findall(r"\bkubectl ", shell(page))) >= 15


@mutations(
    (
        "unclosed",
        "    aws acm wait certificate-validated --region",
        "    (aws acm wait certificate-validated --region",
        "syntax",
    ),
    ("no such file", "(../buildspec-deploy.yml)", "(../buildspec-rollout.yml)", "links"),
    ("no such heading", "(#migrations)", "(#migration)", "links"),
    ("a placeholder is missing", "| `EEXAMPLEOAC` |", "| `EXAMPLE` |", "placeholders"),
    ("a placeholder stays", ' -e "s/exampleapi/$API_ID/"', "", "placeholders"),
    ("no such service", "aws apigatewayv2 create-stage", "aws apigateway2 create-stage", "aws"),
    ("no such operation", "aws rds create-db-instance ", "aws rds create-database ", "aws"),
    ("no such option", "--storage-encrypted --no-publicly", "--encrypted --no-publicly", "aws"),
    ("no such waiter", "aws acm wait certificate-validated", "aws acm wait certificate-issued", "waiters"),
    ("no such output", "-raw connection_arn", "-raw connection", "terraform"),
    ("no such variable", "log_days           = 30", "log_retention      = 30", "terraform"),
    ("no such resource", "=terraform_data.latest_moves", "=terraform_data.latest", "terraform"),
    (
        "no such deployment",
        "get deployment post-service-deployment --ignore",
        "get deployment post-service --ignore",
        "kubernetes",
    ),
    ("no namespace", "kubectl --namespace post-service rollout history", "kubectl rollout history", "kubernetes"),
    ("a secret is missing", '    --from-literal=cognito-region="$AWS_REGION" \\\n', "", "secrets"),
    ("another key", "--from-literal=database-url=", "--from-literal=url=", "secrets"),
    ("back elsewhere", "https://www.$SITE/signed-in", "https://www.$SITE/sign-in", "signing_in"),
    ("no way out", '--logout-urls "https://$SITE/" ', '--logout-urls "https://$SITE" ', "signing_in"),
    ("a token in the address", "--allowed-o-auth-flows code", "--allowed-o-auth-flows implicit", "signing_in"),
    ("another pool's page", '--domain "post-$ACCOUNT_ID"', '--domain "board-$ACCOUNT_ID"', "signing_in"),
    ("another time", "for 25", "for ten", "rollout"),
    ("one pool", "56 for a pod", "28 for a pod", "connections"),
    ("as many pods", "280 for five pods", "224 for five pods", "connections"),
)
def test_a_rule_refuses_a_broken_copy(old, new, check):
    assert list(RULES[check](broken(PAGE.read_text(), (old, new)))) != []


@pytest.mark.parametrize("page", ["architecture.md", "deployment.md", "operations.md", "settings.md"])
def test_a_page_tells_how_many_connections_a_worker_may_have(page):
    settings = configured(Manifest(MANIFEST.read_text()))
    found = pools(settings)
    (more,) = {more for _, more in found}

    assert found == [(settings.web_threads, more)] * len(found)
    assert f"{len(found)} × (WEB_THREADS + {more})" in (PROJECT / "docs" / page).read_text().replace("`", "")


OWN = {
    "123456789012": ("ACCOUNT_ID", "210987654321"),
    "hhottdogg.shop": ("SITE", "staging.example.org"),
    "00000000-0000-0000-0000-000000000000": ("NLB_CERTIFICATE_ID", "33333333-3333-3333-3333-333333333333"),
    "11111111-1111-1111-1111-111111111111": ("SITE_CERTIFICATE_ID", "44444444-4444-4444-4444-444444444444"),
    "22222222-2222-2222-2222-222222222222": ("SITE_HEADERS_ID", "55555555-5555-5555-5555-555555555555"),
    "EEXAMPLEOAC": ("OAC_ID", "E2QWRUHAPOMQZL"),
    "exampleapi": ("API_ID", "a1b2c3d4e5"),
}


def called(function: str, file: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Call one of the page's functions."""
    functions = re.findall(r"^\w+\(\) \{.*?^\}$", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    script = "\n".join([*functions, f"{function} {file}"])
    return subprocess.run(
        ["bash", "-c", script], check=False, env=env, capture_output=True, text=True, timeout=HANG_SECONDS
    )


@pytest.mark.parametrize("file", [MANIFEST, DISTRIBUTION], ids=lambda file: file.name)
def test_a_file_is_filled_in_whole_or_not_at_all(file):
    env = dict(OWN.values())
    wanted = {name for example, (name, _) in OWN.items() if example in file.read_text()}

    missed = {name for name in env if called("filled", file, {**env, name: ""}).returncode != 0}

    filled = called("filled", file, {name: env[name] for name in wanted})
    assert missed == wanted
    assert filled.returncode == 0
    assert not {*EXAMPLE.findall(filled.stdout)} & {*OWN}
    assert {name for name in env if env[name] in filled.stdout} == wanted
    assert called("filled", file, {}).stdout == ""


@pytest.mark.parametrize("file", [MANIFEST, DISTRIBUTION], ids=lambda file: file.name)
def test_a_second_environment_has_names_of_its_own(file):
    own = re.compile(r":role/[\w-]+|\.com/[\w-]+:latest|post-service-[a-z-]+-\d{12}|function/[\w-]+|//[\w-]+\.auth")

    names = own.findall(called("staged", file, dict(OWN.values())).stdout)

    assert len(names) == len(own.findall(file.read_text()))
    assert [name for name in names if "-staging" not in name] == []


def with_kubectl(folder: Path, says: str) -> dict[str, str]:
    """An environment in which ``kubectl`` says that."""
    (folder / "says").write_text(says)
    (folder / "kubectl").write_text(f"#!/bin/sh\necho called $@ >&2\ncat {folder}/says\n")
    (folder / "kubectl").chmod(0o755)
    return {**dict(OWN.values()), "PATH": f"{folder}:/usr/bin:/bin"}


RUNNING = "210987654321.dkr.ecr.ap-northeast-2.amazonaws.com/post-service:0123456789ab"


@pytest.mark.parametrize("running", [RUNNING, ""])
def test_the_manifest_applied_again_keeps_the_image_that_runs(running, tmp_path):
    done = called("filled", f"{MANIFEST} | keep_image", with_kubectl(tmp_path, running))

    images = re.findall(r" image: (\S+)", done.stdout)
    assert images[0] == (running or "210987654321.dkr.ecr.ap-northeast-2.amazonaws.com/post-service:latest")
    assert len(images) == 2
    assert done.stdout.count("kind: ") == MANIFEST.read_text().count("kind: ")


@pytest.mark.skipif(shutil.which("jq") is None, reason="no jq on this machine")
def test_the_schema_is_upgraded_by_a_pod_that_the_namespace_accepts(tmp_path):
    deployment = Manifest(MANIFEST.read_text())["Deployment"]

    done = called("migration", RUNNING, with_kubectl(tmp_path, json.dumps(deployment)))

    (tmp_path / "job.yaml").write_text(done.stdout)
    job = json.loads(done.stdout)
    pod, own = job["spec"]["template"]["spec"], deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert tool("kubernetes-validate", "--strict", tmp_path / "job.yaml")[0] == 0
    assert (pod["securityContext"], pod["serviceAccountName"]) == (own["securityContext"], own["serviceAccountName"])
    assert container["securityContext"] == own["containers"][0]["securityContext"]
    assert (container["env"], container["envFrom"]) == (own["containers"][0]["env"], own["containers"][0]["envFrom"])
    assert (container["image"], container["command"]) == (RUNNING, ["flask", "db", "upgrade"])
    assert not {"ports", "readinessProbe", "lifecycle"} & set(container)
    assert (
        job["spec"]["template"]["metadata"]["labels"]
        .items()
        .isdisjoint(Manifest(MANIFEST.read_text()).spec("Service")["selector"].items())
    )


def test_no_password_travels_in_a_pod_s_spec():
    commands = [line for line in shell(PAGE.read_text()).splitlines() if re.search(r"\bkubectl (run|exec)\b", line)]

    assert commands
    assert [line for line in commands if "PASSWORD" in line or "--env" in line] == []


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_a_readme_leads_to_the_page(readme):
    assert "](docs/deployment.md)" in (PROJECT / readme).read_text()


# The page of the site, and its headers


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """Serve an application in a thread; yields its host and port."""
    server = make_server("127.0.0.1", 0, app)
    with running_in_thread(server):
        yield f"127.0.0.1:{server.server_port}"


def with_page(folder: Path) -> Flask:
    """An application that has the page at ``/``, as the manifest's settings make it."""
    folder.mkdir()
    (folder / "index.html").write_text('<title>게시판</title><script id="board-config"></script>\n')
    app, site = Flask(__name__), Site(folder, configured(Manifest(MANIFEST.read_text())))
    app.add_url_rule("/", "page", site.page)
    return app


def without_page(status: int) -> Flask:
    """An application that has none: it answers with an error, or leads elsewhere."""
    app = Flask(__name__)
    app.add_url_rule("/", "nothing", lambda: redirect("/api/docs") if status == 302 else ("", status))
    return app


needs_curl = pytest.mark.skipif(None in map(shutil.which, ("curl", "jq")), reason="no curl or jq on this machine")


@needs_curl
def test_the_pages_get_the_headers_of_the_service_s_own(tmp_path):
    with serving(with_page(tmp_path / "site")) as host:
        done = called("site_headers", "post-service-site", {**os.environ, "NLB": host})

    given = json.loads(done.stdout)
    model = AWS.get_service_model("cloudfront").operation_model("CreateResponseHeadersPolicy").input_shape
    headers = given["SecurityHeadersConfig"]
    policy = content_security_policy(configured(Manifest(MANIFEST.read_text())))
    assert ParamValidator().validate({"ResponseHeadersPolicyConfig": given}, model).generate_report() == ""
    assert headers["ContentSecurityPolicy"] == {"Override": False, "ContentSecurityPolicy": policy}
    assert "https://post-123456789012.auth.ap-northeast-2.amazoncognito.com" in policy
    assert headers["ReferrerPolicy"] == {"Override": False, "ReferrerPolicy": REFERRER_POLICY}


@needs_curl
@pytest.mark.parametrize("status", [302, 503])
def test_pages_get_no_headers_of_a_service_without_pages(status):
    with serving(without_page(status)) as host:
        done = called("site_headers", "post-service-site", {**os.environ, "NLB": host})

    assert (done.returncode != 0, done.stdout) == (True, "")


def with_aws(folder: Path, host: str) -> dict[str, str]:
    """An environment in which ``aws`` keeps its arguments and its input."""
    (folder / "aws").write_text(f'#!/bin/sh\necho "$@" > {folder}/call\ncat > {folder}/input\n')
    (folder / "aws").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "NLB": host}


@needs_curl
def test_the_page_is_published_with_its_configuration_and_is_asked_for_again(tmp_path):
    with serving(with_page(tmp_path / "site")) as host:
        done = called("publish_page", "post-service-site-210987654321", with_aws(tmp_path, host))

    page = (tmp_path / "input").read_text()
    assert done.returncode == 0
    assert (tmp_path / "call").read_text() == (
        "s3 cp - s3://post-service-site-210987654321/index.html"
        " --cache-control no-cache --content-type text/html; charset=utf-8\n"
    )
    assert '"local_issuer": false' in page
    assert '"domain": "https://post-123456789012.auth.ap-northeast-2.amazoncognito.com"' in page


@needs_curl
@pytest.mark.parametrize("status", [302, 503])
def test_what_is_no_page_is_not_published(status, tmp_path):
    with serving(without_page(status)) as host:
        done = called("publish_page", "post-service-site-210987654321", with_aws(tmp_path, host))

    assert done.returncode != 0
    assert not (tmp_path / "call").exists()


# The function that finds the site's own routes

FUNCTION = re.compile(r"<<'JS'\n(.*?)^JS$", re.DOTALL | re.MULTILINE)


@pytest.mark.skipif(shutil.which("node") is None, reason="no node on this machine")
def test_the_site_s_routes_are_its_first_page():
    (code,) = FUNCTION.findall(PAGE.read_text())
    uris = ["/", "/admin/reports", "/my", "/assets/app.9f3c.js", "/favicon.svg"]
    calls = ", ".join(f"handler({{request: {{uri: {uri!r}}}}}).uri" for uri in uris)
    script = f"{code}\nconsole.log([{calls}].join(' '))"

    done = subprocess.run(["node", "-e", script], check=True, capture_output=True, text=True, timeout=HANG_SECONDS)

    assert done.stdout.split() == ["/index.html"] * 3 + ["/assets/app.9f3c.js", "/favicon.svg"]


def test_the_function_is_the_one_that_the_distribution_names():
    (name,) = re.findall(r"create-function --name (\S+)", PAGE.read_text())

    assert f"function/{name}" in DISTRIBUTION.read_text()
