"""The platform's Terraform: its form, the provider's schema, its own tests, and the rules that the plan must keep."""

import json
import math
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

import botocore.session
import pytest
from botocore.validate import ParamValidator

from microservices.local.terraform import deployed
from microservices.tests.deploy.broken_terraform import FAULTS
from microservices.tests.deploy.planned import FOLDER, Plan, copy_to
from microservices.tests.deploy.test_terraform_rows import ROWS
from microservices.tests.test_house_rules import FILES, reached_from, service_files
from shared import metrics as metrics_of_ours
from tests.deploy.mutations import broken
from tests.deploy.test_cloudfront import values
from tests.deploy.test_terraform import VALIDATE, needs_schema, needs_terraform, provider_to_oneself, run
from tests.pages import cells, names

TERRAFORM = FOLDER / "terraform"
# Processors and memory that Fargate has, of its smaller sizes ("Task CPU and memory", ECS Developer Guide).
FARGATE_SIZES = {"256": {"512", "1024", "2048"}, "512": {"1024", "2048", "3072", "4096"}}
# Metrics by namespace: the dimensions with which they are written, all of them or none is found, and their names.
METRICS = {
    "AWS/ApiGateway": (
        {"ApiName", "Stage"},
        {"Count", "4XXError", "5XXError", "Latency", "IntegrationLatency"},
    ),
    "AWS/Lambda": ({"FunctionName"}, {"Invocations", "Errors", "Throttles", "Duration"}),
    "AWS/ECS": ({"ClusterName", "ServiceName"}, {"CPUUtilization", "MemoryUtilization"}),
    "AWS/ApplicationELB": (
        {"LoadBalancer", "TargetGroup"},
        {"RequestCount", "UnHealthyHostCount", "HTTPCode_Target_5XX_Count"},
    ),
    "AWS/RDS": (
        {"DBInstanceIdentifier"},
        {"CPUUtilization", "DatabaseConnections", "FreeStorageSpace", "FreeableMemory"},
    ),
    "AWS/SQS": ({"QueueName"}, {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"}),
    "AWS/DynamoDB": ({"TableName"}, {"ReadThrottleEvents", "WriteThrottleEvents"}),
    "microservices": (
        {"service"},
        {one.name for one in vars(metrics_of_ours).values() if isinstance(one, metrics_of_ours.Metric)},
    ),
}
# The type and argument of what a dimension names.
DIMENSIONS = {
    "ApiName": ("aws_api_gateway_rest_api", "name"),
    "Stage": ("aws_api_gateway_stage", "stage_name"),
    "FunctionName": ("aws_lambda_function", "function_name"),
    "ClusterName": ("aws_ecs_cluster", "name"),
    "ServiceName": ("aws_ecs_service", "name"),
    "LoadBalancer": ("aws_lb", "arn_suffix"),
    "TargetGroup": ("aws_lb_target_group", "arn_suffix"),
    "DBInstanceIdentifier": ("aws_db_instance", "identifier"),
    "QueueName": ("aws_sqs_queue", "name"),
    "TableName": ("aws_dynamodb_table", "name"),
}
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|CREDENTIAL|PRIVATE|API_KEY")
# Who may speak to whom: group, port and source of each rule.
INGRESS = {
    ("sg-alb", 80, "sg-vpc_link"),
    ("sg-ecs", 8080, "sg-alb"),
    ("sg-ecs", 8080, "sg-ecs"),
    ("sg-rds", 5432, "sg-ecs"),
}


# Form


@needs_terraform
def test_the_files_are_laid_out_as_terraform_lays_them_out():
    status, said = run("terraform", "fmt", "-check", "-diff", "-recursive", "-no-color", TERRAFORM)

    assert status == 0, said


@needs_terraform
def test_another_layout_is_refused(tmp_path):
    (tmp_path / "ecr.tf").write_text(broken((TERRAFORM / "ecr.tf").read_text(), ("  force_delete  ", "force_delete ")))

    assert run("terraform", "fmt", "-check", tmp_path)[0] != 0


def validate(folder):
    with provider_to_oneself():
        return run(VALIDATE, folder / "terraform", folder)


@needs_schema
@pytest.mark.slow
def test_the_provider_s_schema_is_kept():
    status, said = validate(FOLDER)

    assert status == 0, said


@needs_schema
@pytest.mark.slow
def test_the_provider_s_schema_refuses_a_broken_copy(tmp_path):
    path = copy_to(tmp_path) / "terraform" / "ecr.tf"
    path.write_text(broken(path.read_text(), ("scan_on_push", "scan_at_push")))

    status, said = validate(tmp_path)

    assert status != 0
    assert "Unsupported argument" in said


@needs_schema
def test_its_own_tests_pass(terraform_run):
    assert (terraform_run["faults"], terraform_run["summary"]) == ([], "Success! 4 passed, 0 failed.")
    assert (TERRAFORM / "tests" / "platform.tftest.hcl").read_text().count("assert {") >= 25


# Rules. Each yields what is wrong.


def public(plan: Plan) -> Iterator[str]:
    """Nothing but CloudFront, and API Gateway behind its web firewall, takes a request from the internet."""
    if not plan["aws_lb.main"]["internal"]:
        yield "the load balancer"
    yield from (name for name, one in plan.all("aws_db_instance").items() if one["publicly_accessible"] is not False)
    yield from (name for name, one in plan.all("aws_subnet").items() if one["map_public_ip_on_launch"] is not False)
    blocks = plan.all("aws_s3_bucket_public_access_block")
    if len(blocks) != len(plan.all("aws_s3_bucket")):
        yield "a bucket without a block"
    for name, block in blocks.items():
        switches = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
        yield from (f"{name}: {switch}" for switch in switches if block[switch] is not True)
    for name, service in plan.all("aws_ecs_service").items():
        if service["network_configuration"][0]["assign_public_ip"] is not False:
            yield name
    yield from plan.types() & {
        "aws_instance",
        "aws_lambda_function_url",
        "aws_s3_bucket_acl",
        "aws_s3_bucket_website_configuration",
    }


def ingress(plan: Plan) -> Iterator[str]:
    rules = plan.all("aws_vpc_security_group_ingress_rule").values()
    found = {(one["security_group_id"], one["from_port"], one["referenced_security_group_id"]) for one in rules}
    if found != INGRESS or any(one["ip_protocol"] != "tcp" or one["from_port"] != one["to_port"] for one in rules):
        yield f"{found ^ INGRESS}"
    yield from (f"a rule within {name}" for name, one in plan.all("aws_security_group").items() if one.get("ingress"))


def tables(plan: Plan) -> Iterator[str]:
    for name, table in plan.all("aws_dynamodb_table").items():
        if [one["enabled"] for one in table["point_in_time_recovery"]] != [True]:
            yield f"{name} cannot be had back"
        if not table["deletion_protection_enabled"] or not table["server_side_encryption"][0]["enabled"]:
            yield f"{name} is not protected"


def functions(plan: Plan) -> Iterator[str]:
    groups = {one["name"] for one in plan.all("aws_cloudwatch_log_group").values()}
    for name, one in plan.all("aws_lambda_function").items():
        if not one["memory_size"] >= 256 or not one["timeout"] < 29:
            yield f"{name}: {one['memory_size']} MB, {one['timeout']} s"
        if not {f"/aws/lambda/{one['function_name']}", f"/aws/lambda/us-east-1.{one['function_name']}"} & groups:
            yield f"{name} has no log group"
    roles = {one["name"] for one in plan.all("aws_iam_role").values()}
    if missing := {f"{one['function_name']}-lambda-role" for one in plan.all("aws_lambda_function").values()} - roles:
        yield f"{missing}"


def secrets(plan: Plan) -> Iterator[str]:
    """No password or token is in an environment; PASSWORD_SECRETS has the names of secrets."""
    environments = {
        f"{family}, {container['name']}": {one["name"]: one["value"] for one in container["environment"]}
        for family, container in plan.containers()
    }
    for name, function in plan.all("aws_lambda_function").items():
        environments[name] = {} if not function["environment"] else function["environment"][0]["variables"]
    for place, given in environments.items():
        yield from (f"{place}: {name}" for name in given if SECRET.search(name) and name != "PASSWORD_SECRETS")
        yield from (f"{place}: {name}" for name, value in given.items() if "0123456789" * 3 in value)
    for family, container in plan.containers():
        if container["name"] != "otel" and [one["name"] for one in container["secrets"]] != ["DB_PASSWORD"]:
            yield f"{family}, {container['name']} has no password, or more than one"


def sizes(plan: Plan) -> Iterator[str]:
    for name, task in plan.all("aws_ecs_task_definition").items():
        if task["memory"] not in FARGATE_SIZES.get(task["cpu"], set()):
            yield f"{name}: {task['cpu']}, {task['memory']}"


def task_model(plan: Plan) -> Iterator[str]:
    """RegisterTaskDefinition itself would refuse these."""
    model = (
        botocore.session.get_session().get_service_model("ecs").operation_model("RegisterTaskDefinition").input_shape
    )
    for name, task in plan.all("aws_ecs_task_definition").items():
        asked = {
            "family": task["family"],
            "networkMode": task["network_mode"],
            "requiresCompatibilities": task["requires_compatibilities"],
            "cpu": task["cpu"],
            "memory": task["memory"],
            "containerDefinitions": json.loads(task["container_definitions"]),
        }
        report = ParamValidator().validate(asked, model).generate_report()
        yield from (f"{name}: {line}" for line in report.splitlines() if line)
        yield from values(asked, model, name)


def confined(plan: Plan) -> Iterator[str]:
    """A container runs as in the images' tests; ECS takes no notice of an image's own health check."""
    for family, one in plan.containers():
        if one["readonlyRootFilesystem"] is not True:
            yield f"{family}, {one['name']} may write"
        if one["name"] != "otel" and (one["user"], one["linuxParameters"]["capabilities"]) != (
            "10001:10001",
            {"drop": ["ALL"]},
        ):
            yield f"{family}, {one['name']} has rights"
        if "@sha256:" not in one["image"] and one["name"] != "otel":
            yield f"{family}, {one['name']} runs a tag"
        if ("portMappings" in one) != ("healthCheck" in one):
            yield f"{family}, {one['name']} has no check of its health"


def metrics_of(plan: Plan) -> Iterator[tuple[str, str, str, dict[str, str]]]:
    """Where a metric is used, its namespace and name, and its dimensions."""
    for widget in plan.value("aws_cloudwatch_dashboard.main", "dashboard_body.widgets"):
        for namespace, name, *pairs in widget["properties"]["metrics"]:
            yield widget["properties"]["title"], namespace, name, dict(zip(pairs[::2], pairs[1::2], strict=True))
    for place, alarm in plan.all("aws_cloudwatch_metric_alarm").items():
        yield place, alarm["namespace"], alarm["metric_name"], alarm["dimensions"]


def is_written(namespace: str, name: str, dimensions: set[str]) -> bool:
    """Return True for a metric that somebody writes, with these dimensions."""
    written, names_of_metrics = METRICS.get(namespace, (set(), set()))
    return name in names_of_metrics and dimensions == written


def metrics(plan: Plan) -> Iterator[str]:
    """Dashboard and alarms ask for what is written, of what is planned."""
    for place, namespace, name, dimensions in metrics_of(plan):
        if not is_written(namespace, name, set(dimensions)):
            yield f"{place}: nobody writes {namespace} {name} by {sorted(dimensions)}"
        elif namespace == "microservices":
            writers = {container["name"].removesuffix("-service") for _, container in plan.containers()}
            if dimensions["service"] not in writers | set(deployed().local("lambdas")):
                yield f"{place}: {dimensions}"
            continue
        for dimension, value in dimensions.items():
            kind, argument = DIMENSIONS[dimension]
            if value not in {one[argument] for one in plan.all(kind).values()}:
                yield f"{place}: no {kind} is {value}"


def patterns(plan: Plan) -> set[str]:
    """The paths that the load balancer's rules take."""
    rules = plan.all("aws_lb_listener_rule").values()
    return {path for one in rules for path in one["condition"][0]["path_pattern"][0]["values"]}


def rewritten(plan: Plan) -> Iterator[str]:
    """A path reaches its container without the stage, with which or without which the link sends it."""
    stage = f"/{plan['aws_api_gateway_stage.prod']['stage_name']}"
    for name in ("products", "orders"):
        [transform] = plan[f'aws_lb_listener_rule.service["{name}"]']["transform"]
        [rewrite] = transform["url_rewrite_config"][0]["rewrite"]
        for path in (f"/{name}", f"/{name}/1/stock?a={stage}/b"):
            for sent in (path, stage + path):
                got = re.sub(rewrite["regex"], rewrite["replace"].replace("$1", r"\1"), sent)
                if got != path or not any(fnmatchcase(sent.partition("?")[0], one) for one in patterns(plan)):
                    yield f"{sent} becomes {got}"
    hidden = "/internal/reservations/1"
    yield from (path for path in (hidden, stage + hidden) if any(fnmatchcase(path, one) for one in patterns(plan)))


def routes(plan: Plan) -> Iterator[str]:
    """Every integration names a function that is planned, or the load balancer by a path that a rule has."""
    arns = {one["invoke_arn"] for one in plan.all("aws_lambda_alias").values()}
    rules = patterns(plan)
    balancer = f"http://{plan['aws_lb.main']['dns_name']}"
    for path, item in plan.body()["paths"].items():
        for method, operation in item.items():
            found = operation["x-amazon-apigateway-integration"] if method != "parameters" else {"type": "mock"}
            uri = found.get("uri", "")
            if found["type"] == "aws_proxy" and uri not in arns:
                yield f"{method} {path}: {uri}"
            if found["type"] == "http_proxy" and (
                found["integrationTarget"] != plan["aws_lb.main"]["arn"]
                or uri != f"{balancer}{path}"
                or not {path, f"/{path.split('/')[1]}/*"} & rules
            ):
                yield f"{method} {path}: {uri}"
    authorizer = plan.body()["components"]["securitySchemes"]["session"]["x-amazon-apigateway-authorizer"]
    if authorizer["authorizerUri"] != plan['aws_lambda_alias.live["authorizer"]']["invoke_arn"]:
        yield "another authorizer"


def edge(plan: Plan) -> Iterator[str]:
    """The functions of the edge are the files that Node runs in the gateway's tests."""
    if plan["aws_cloudfront_function.strip_api"]["code"] != (FOLDER / "edge" / "strip_api.js").read_text():
        yield "another function on the request"
    if plan["aws_lambda_function.restore_challenge"]["handler"] != "restore_challenge.handler":
        yield "another function on the answer"
    behaviour = plan["aws_cloudfront_distribution.main"]["ordered_cache_behavior"][0]
    events = {
        one["event_type"] for name in ("function_association", "lambda_function_association") for one in behaviour[name]
    }
    if events != {"viewer-request", "origin-response"}:
        yield f"run on {events}"


def throttled(plan: Plan) -> Iterator[str]:
    """The stage's limits are those that the local gateway keeps, by API Gateway's keys of methods that there are."""
    found = {
        one["method_path"]: {
            "rate_limit": one["settings"][0]["throttling_rate_limit"],
            "burst_limit": one["settings"][0]["throttling_burst_limit"],
        }
        for one in plan.all("aws_api_gateway_method_settings").values()
    }
    methods = {
        "/".join((path.replace("/", "~1"), method.upper())): f"{path[1:]}/{method.upper()}"
        for path, item in plan.body()["paths"].items()
        for method in item
    }
    if {methods.get(key, key): limits for key, limits in found.items()} != deployed().local("throttle"):
        yield f"{found}"
    yield from (key for key in found if key not in methods and key != "*/*")


def connections(plan: Plan) -> Iterator[str]:
    """As many tasks as scaling starts have no more connections than the database's class has for them."""
    tasks = {
        "products-service": plan['aws_appautoscaling_target.service["products"]']["max_capacity"],
        "orders-service": plan['aws_appautoscaling_target.service["orders"]']["max_capacity"],
        "orders-relay": plan["aws_ecs_service.relay"]["desired_count"],
    }
    needed = 0
    for _, container in plan.containers():
        given = {one["name"]: one["value"] for one in container["environment"]} if container["name"] in tasks else {}
        processes, threads = (int(given.get(name, 0)) for name in ("WEB_CONCURRENCY", "WEB_THREADS"))
        needed += tasks.get(container["name"], 0) * processes * threads
    allowed = deployed().local("database_connections")[plan["aws_db_instance.main"]["instance_class"].split(".")[-1]]
    if not sum(tasks.values()) <= needed <= allowed:
        yield f"{needed} of {allowed}"


RULES = {
    rule.__name__: rule
    for rule in (
        public, ingress, tables, functions, secrets, sizes, task_model, confined, metrics, routes, rewritten, edge,
        throttled, connections,
    )
}  # fmt: skip


@needs_schema
@pytest.mark.parametrize("rule", RULES)
def test_the_plan_keeps_the_rule(plan, rule):
    assert list(RULES[rule](plan)) == []


@pytest.mark.parametrize(
    ("namespace", "name", "dimensions"),
    [
        ("AWS/DynamoDB", "ThrottledRequests", {"TableName"}),
        ("AWS/DynamoDB", "ReadThrottleEvents", set()),
        ("AWS/ApplicationELB", "UnHealthyHostCount", {"TargetGroup"}),
        ("AWS/Nobody", "Count", set()),
    ],
    ids=["the operation is missing", "no table", "no balancer", "no such namespace"],
)
def test_a_metric_that_nobody_writes_so_is_seen(namespace, name, dimensions):
    assert not is_written(namespace, name, dimensions)


@needs_schema
@pytest.mark.parametrize("fault", [name for name, one in FAULTS.items() if one.check in RULES])
def test_a_broken_rule_is_seen(broken_plan, fault):
    assert list(RULES[FAULTS[fault].check](broken_plan)) != []


@needs_schema
@pytest.mark.parametrize("fault", [name for name, one in FAULTS.items() if one.check not in {*RULES, *ROWS}])
def test_terraform_s_own_tests_see_a_fault(broken_run, fault):
    assert any(FAULTS[fault].check in said for said in broken_run["faults"])


@needs_schema
@pytest.mark.parametrize("task", ["products", "orders", "orders-relay"])
def test_a_container_is_given_the_settings_that_it_reads(plan, task):
    sources = {
        "products": service_files("products"),
        "orders": service_files("orders"),
        "orders-relay": ["orders/relay.py", "orders/outbox.py", "orders/sweep.py", "orders/placing.py"],
    }
    text = "".join(FILES[name].read_text() for name in reached_from(sources[task]))
    read = set(re.findall(r'settings\.(?:text|number)\(\s*"([A-Z_]+)"(?!,)', text))  # those without a default
    read -= {"orders": {"ORDER_EVENTS_TOPIC_ARN", "AWS_REGION"}}.get(task, set())  # of the relay
    container = json.loads(plan[f'aws_ecs_task_definition.service["{task}"]']["container_definitions"])[0]

    given = {one["name"] for kind in ("environment", "secrets") for one in container[kind]}

    assert read - given == set()
    assert read >= {"DB_HOST", "DB_USER", "DB_PASSWORD"}


def test_the_page_says_how_many_tasks_a_class_carries():
    table = (TERRAFORM / "README.md").read_text().partition("## Connections\n")[2].partition("\n## ")[0]
    of_a_task = math.prod(deployed().local("process_environment").values())

    said = {names(size)[0]: (int(allowed), int(most)) for size, allowed, most in zip(*columns(table), strict=True)}

    relays = 2
    assert said == {
        size: (allowed, (allowed // of_a_task - relays) // 2)
        for size, allowed in deployed().local("database_connections").items()
    }


def columns(table: str) -> list[list[str]]:
    return [list(cells(table, column)) for column in range(3)]


@needs_schema
def test_the_check_of_health_is_the_image_s_own(plan):
    container = plan.value('aws_ecs_task_definition.service["products"]', "container_definitions.0")
    for service in ("products", "orders"):
        dockerfile = (FOLDER / service / "Dockerfile").read_text()
        assert 'CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(' in dockerfile
    assert container["healthCheck"]["command"][:3] == ["CMD", "python", "-c"]
    assert "http://127.0.0.1:8080/health" in container["healthCheck"]["command"][3]


def test_the_zips_that_the_plan_names_are_those_that_are_built():
    from microservices.deploy.package_lambda import OUTPUT, packages

    folder = deployed().value("${var.zip_folder}")
    assert (TERRAFORM / folder).resolve() == OUTPUT.resolve()
    assert {path.stem for path in (TERRAFORM / "tests" / "zips").glob("*.zip")} == set(packages())
