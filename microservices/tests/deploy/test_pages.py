"""Pages for operators: the picture and the alarms are Terraform's, and what pages name exists."""

import json
import re
import subprocess
import sys
from itertools import product

import hcl2
import pytest

from microservices.docs import draw
from microservices.local.terraform import FOLDER as TERRAFORM
from microservices.local.terraform import OPTIONS, deployed
from microservices.tests.running import PATIENCE_SECONDS, PROJECT
from tests.deploy.mutations import broken, mutations
from tests.deploy.test_pages import aws, aws_commands, blocks, shell, syntax, waiters
from tests.pages import broken_links, cells, names, section

FOLDER = PROJECT / "microservices" / "docs"
PAGES = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.md"))}
FILES = [
    hcl2.loads(path.read_text(), serialization_options=OPTIONS)
    for path in (*sorted(TERRAFORM.glob("*.tf")), TERRAFORM / "pipeline" / "main.tf")
]


def declared(kind):
    return {name for file in FILES for block in file.get(kind, []) for name in block}


def local(name):
    return next(block[name] for file in FILES for block in file.get("locals", []) if name in block)


# The picture


@pytest.mark.parametrize("page", draw.PAGES, ids=lambda page: page.name)
def test_the_picture_is_current(page):
    (shown,) = draw.PICTURE.findall(page.read_text())

    assert shown == draw.picture()


def test_the_picture_has_what_is_deployed():
    drawn = draw.picture()

    for name in (*local("lambdas"), *local("services")):
        assert f"\n        {name}\n" in drawn
    routes = sum(int(number) for number in re.findall(r": (\d+) routes?\"", drawn))
    assert routes == len(re.findall(r"^      operationId: ", draw.PATH.read_text(), re.MULTILINE))
    for edge in (
        "orders -- Service Connect --> products",
        "sns_order_events --> sqs_notifications",
        "sqs_notifications --> notifications-worker",
        'sqs_notifications -. "after 5 tries" .-> sqs_notifications_dlq',
        "users --> dynamodb_users",
        "notifications-worker --> s3_notifications",
        'cloudfront -- "/api/*" --> api[API Gateway]',
    ):
        assert f"    {edge}\n" in drawn
    assert "users --> dynamodb_sessions" not in drawn


def test_a_change_of_terraform_changes_the_picture(tmp_path, monkeypatch):
    for path in TERRAFORM.glob("*.tf"):
        (tmp_path / path.name).write_text(path.read_text())
    messaging = tmp_path / "messaging.tf"
    messaging.write_text(re.sub(r"(maxReceiveCount\s*=) 5", r"\1 7", messaging.read_text()))

    edges = list(draw.events(draw.Files(tmp_path)))

    assert '    sqs_notifications -. "after 7 tries" .-> sqs_notifications_dlq' in edges


# Alarms


def alarms():
    """Names of the alarms: those that are written out, and those of each function, target group and table."""
    text = local("alarms")
    groups = draw.Files().resources("aws_lb_target_group")["service"]["for_each"]
    keys = {
        "aws_lambda_function.service": set(local("lambdas")),
        "aws_lb_target_group.service": set(re.findall(r'"(\w+)"', groups)),
    }
    found = set(re.findall(r"([\w-]+) = \{namespace = ", text))
    for things, suffix in re.findall(r'for key(?:, \w+)? in (.+?) : "\$\{key\}-([\w-]+)" =>', text):
        found |= {f"{key}-{suffix}" for key in keys.get(things) or re.findall(r'[\w-]+(?=" *[,\]]| = aws_)', things)}
    return found


def test_every_alarm_says_what_to_do_and_no_other():
    shown = [name for cell in cells(section(PAGES["operations.md"], "Alarms"), 0) for name in names(cell)]

    assert len(shown) == len(set(shown))
    assert set(shown) == alarms()
    assert len(shown) > 20


def test_the_costs_have_the_number_of_alarms():
    assert f"| Container Insights, {len(alarms())} alarms |" in PAGES["costs.md"]


def test_the_alarms_are_read_from_the_file():
    found = alarms()

    assert {"api-5xx", "outbox-age", "products-5xx", "orders-unhealthy", "sessions-reads-throttled"} <= found
    assert {f"{name}-{what}" for name, what in product(local("lambdas"), ("errors", "throttles"))} <= found


# Commands and names


def outputs(page):
    for name in re.findall(r"(?:\bout|terraform output) -(?:raw|json) (\w+)", page):
        if name not in declared("output"):
            yield f"output {name}"


def variables(page):
    known = declared("variable")
    for text in re.findall(r"<<HCL\n(.*?)^HCL$", page, flags=re.DOTALL | re.MULTILINE):
        yield from (name for name in re.findall(r"^(\w+) +=", text, re.MULTILINE) if name not in known)
    for name in re.findall(r"-var=(\w+)=|`(\w+) = [^`]+`", page):
        if not known & set(name) and "Service" not in name:
            yield f"variable {name}"


def targets(page):
    there = {
        (kind, name) for file in FILES for block in file.get("resource", []) for kind in block for name in block[kind]
    }
    yield from (target for target in re.findall(r"-target=(\w+)\.(\w+)", page) if target not in there)


def groups(page):
    """Log groups; NAME stands for a function's."""
    known = {
        *(f"/aws/lambda/microservices-{name}" for name in (*local("lambdas"), "NAME")),
        *(f"/ecs/microservices-{name}" for name in re.findall(r'"([\w-]+)"', str(local("log_configurations")))),
        *(f"/aws/codebuild/microservices-{step}" for step in ("build", "deploy")),
        "/aws/apigateway/microservices-api",
    }
    for name in re.findall(r"`((?:/aws/(?:lambda|codebuild|apigateway)|/ecs)/microservices[\w-]*)`", page):
        if name not in known:
            yield name


def modules(page):
    for name in re.findall(r"python -m (microservices[\w.]*\w)", page):
        if not (PROJECT / name.replace(".", "/")).with_suffix(".py").exists():
            yield name


def links(page):
    yield from broken_links(page, FOLDER)


RULES = {rule.__name__: rule for rule in (syntax, links, aws, waiters, outputs, variables, targets, groups, modules)}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_keeps_the_rule(page, rule):
    assert list(RULES[rule](PAGES[page])) == []


def test_the_pages_commands_are_looked_at():
    text = "\n".join(PAGES.values())

    assert len(blocks(text)) >= 12
    assert len(list(aws_commands(text))) >= 30
    assert len(shell(text)) > 3000


def test_the_services_that_are_waited_for_are_those_that_run():
    commands = re.findall(r"aws ecs wait services-stable (.*)", shell(PAGES["deployment.md"]))
    files = draw.Files()

    waited = [set(re.findall(r"\$NAME(-[\w-]+-service)\b", command)) for command in commands]

    running = {one["name"].removeprefix("${local.name}") for one in files.resources("aws_ecs_service").values()}
    assert waited == [running] * 2
    assert files.resources("aws_ecs_cluster")["main"]["name"] == "${local.name}-cluster"
    assert files.resources("aws_lb_target_group")["service"]["name"] == "${local.name}-${each.key}-tg"


def test_the_question_for_what_grows_is_one_that_the_database_answers(database):
    """As the task ``database`` asks it: by the modules of its image."""
    (overrides,) = re.findall(r"<<'JSON'\n(.*?)^JSON$", PAGES["operations.md"], re.DOTALL | re.MULTILINE)
    [container] = json.loads(overrides)["containerOverrides"]
    interpreter, *options = container["command"]
    settings = {**database.settings("orders_app"), "PYTHONPATH": str(PROJECT / "microservices")}

    done = subprocess.run(
        [sys.executable, *options],
        env=settings,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_SECONDS,
    )

    assert (container["name"], interpreter) == ("database", "python")
    tables = [line.split("'")[3] for line in done.stdout.splitlines()]
    assert {"orders", "outbox", "products", "stock_changes"} <= set(tables)


def test_a_clean_up_begins_as_every_shell_does():
    (shared,) = blocks(section(PAGES["deployment.md"], "In a new shell"))

    assert blocks(PAGES["clean-up.md"])[0].startswith(shared)


@mutations(
    ("unclosed", "    docker push", "    (docker push", "syntax"),
    ("no such page", "(../buildspec-deploy.yml)", "(../buildspec-rollout.yml)", "links"),
    ("no such heading", "(../README.md#accounts)", "(../README.md#account)", "links"),
    ("no such operation", "aws codepipeline start-pipeline-execution", "aws codepipeline start-pipeline", "aws"),
    ("no such option", " --function-version VERSION", " --version VERSION", "aws"),
    ("no such output", "-raw connection_arn", "-raw connection", "outputs"),
    ("no such variable", "alarm_emails      = []", "alarms            = []", "variables"),
    ("no such resource", "-target=aws_ecr_repository.service", "-target=aws_ecr_repository.main", "targets"),
    ("no such group", "`/aws/codebuild/microservices-deploy`", "`/aws/codebuild/microservices-rollout`", "groups"),
    ("no such module", "-m microservices.deploy.running", "-m microservices.deploy.runs", "modules"),
)
def test_a_rule_refuses_a_broken_copy(old, new, check):
    assert list(RULES[check](broken(PAGES["deployment.md"], (old, new)))) != []


def test_both_first_pages_lead_to_the_same_pages():
    ours, theirs = (re.findall(r"^\| \[(\S+)\]", PAGES[page], re.MULTILINE) for page in ("README.md", "README.ko.md"))

    assert ours == theirs
    assert set(ours) == set(PAGES) - {"README.md", "README.ko.md"}


@pytest.mark.parametrize("page", ["README.md", "README.ko.md"])
def test_the_platforms_page_leads_to_these(page):
    assert f"](docs/{page})" in (FOLDER.parent / page).read_text()


def test_the_checklist_has_the_documents_fifteen_steps():
    steps = list(cells(PAGES["checklist.md"], 0))

    assert steps == [str(number) for number in range(1, 16)]
    assert all(re.search(r"\]\(", cell) for cell in cells(PAGES["checklist.md"], 2))


def test_the_switches_of_the_costs_are_variables_with_these_defaults():
    table = section(PAGES["costs.md"], "By the hour, without any request")
    named = {name for cell in cells(table, 4) for name in names(cell)}

    assert {"cheap", "tasks_max", "database_class", "log_days", "log_level"} <= named
    assert [name for name in named if name.split(" = ")[0] not in declared("variable") and name != "awswaf"] == []


def test_a_task_costs_what_the_page_says():
    """By the document's prices; the sizes are Terraform's."""
    task = draw.Files().resources("aws_ecs_task_definition")["service"]
    month = 730 * (task["cpu"] / 1024 * 0.04048 + task["memory"] / 1024 * 0.004445)

    assert f"${month:.2f} a task and month: ${6 * month:.2f}, or ${3 * month:.2f}" in PAGES["costs.md"]
    assert deployed().value("${var.cheap}") is False
