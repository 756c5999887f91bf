"""
Every row of the platform's requirements, by its id: what the plan makes of it, or the page that says why not.

The one table of all rows is in terraform/README.md. A row here is what the plan must have: a resource, a value's path
in it, and the value; or a question that the plan must answer with yes.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from microservices.tests.deploy.broken_terraform import FAULTS
from microservices.tests.deploy.planned import FOLDER, Plan
from tests.deploy.test_terraform import needs_schema
from tests.pages import cells, names

PAGE = (FOLDER / "terraform" / "README.md").read_text()
IDS = [
    f"{letter}{number}"
    for letter, count in {
        "A": 10,
        "N": 7,
        "D": 9,
        "U": 7,
        "V": 5,
        "P": 13,
        "G": 6,
        "C": 4,
        "M": 3,
        "T": 4,
        "X": 4,
    }.items()
    for number in range(1, count + 1)
]
METHODS = {"GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"}
FUNCTION = re.compile(r":function:microservices-([\w-]+):live/invocations$")

Check = tuple[str, str, Any] | Callable[[Plan], bool]


def backs(plan: Plan) -> dict[str, set[str]]:
    """The backs of each first segment of a path: functions, and the load balancer."""
    found: dict[str, set[str]] = {}
    for path, item in plan.body()["paths"].items():
        for method, operation in item.items():
            if method in {"parameters", "options"}:
                continue
            integration = operation["x-amazon-apigateway-integration"]
            function = FUNCTION.search(integration["uri"])
            back = function[1] if function else integration["integrationTarget"]
            found.setdefault(path.split("/")[1], set()).add(back)
    return found


def origin(plan: Plan, name: str) -> dict[str, Any]:
    [found] = [one for one in plan["aws_cloudfront_distribution.main"]["origin"] if one["origin_id"] == name]
    return found


def ingress(plan: Plan, rule: str, port: int, source: str) -> bool:
    found = plan[f"aws_vpc_security_group_ingress_rule.{rule}"]
    given = (found["ip_protocol"], found["from_port"], found["to_port"], found["referenced_security_group_id"])
    return given == ("tcp", port, port, source) and found["cidr_ipv4"] is None


def patterns(plan: Plan, service: str) -> set[str]:
    """The paths by which the load balancer chooses a service."""
    return set(plan.value(f'aws_lb_listener_rule.service["{service}"]', "condition.0.path_pattern.0.values"))


def preflight(plan: Plan, header: str) -> set[str]:
    """The values of a header that every preflight has."""
    answers = {
        item["options"]["x-amazon-apigateway-integration"]["responses"]["default"]["responseParameters"][
            f"method.response.header.Access-Control-Allow-{header}"
        ].strip("'")
        for item in plan.body()["paths"].values()
    }
    assert len(answers) == 1
    return set(answers.pop().split(","))


def environment(plan: Plan, family: str) -> dict[str, str]:
    [found] = [one for name, one in plan.containers() if name == family and one["name"] != "otel"]
    return {one["name"]: one["value"] for one in found["environment"]}


VPC, RDS, STAGE = "aws_vpc.main", "aws_db_instance.main", "aws_api_gateway_stage.prod"
DISTRIBUTION, API_BEHAVIOUR = "aws_cloudfront_distribution.main", "ordered_cache_behavior.0"
API, PRIVATE = "aws_api_gateway_rest_api.main", ["subnet-private-a", "subnet-private-b"]
PRODUCTS, TASK = "aws_ecs_service.products", 'aws_ecs_task_definition.service["products"]'
GROUP = 'aws_lb_target_group.service["products"]'
USERS, SESSIONS = "aws_dynamodb_table.users", "aws_dynamodb_table.sessions"

ROWS: dict[str, list[Check]] = {
    "A1": [
        lambda plan: origin(plan, "api")["domain_name"] == "api.execute-api.us-east-1.amazonaws.com",
    ],
    "A2": [
        lambda plan: {first: back for first, back in backs(plan).items() if first in {"auth", "users", "notifications"}}
        == {name: {name} for name in ("auth", "users", "notifications")},
        lambda plan: backs(plan)["products"] == backs(plan)["orders"] == {plan["aws_lb.main"]["arn"]},
    ],
    "A3": [
        lambda plan: all({f"/{one}", f"/{one}/*"} <= patterns(plan, one) for one in ("products", "orders")),
        lambda plan: len(plan.all("aws_ecs_cluster")) == 1,
    ],
    "A4": [
        ('aws_lambda_function.service["auth"]', "environment.0.variables.USERS_TABLE", "microservices-users"),
        ('aws_lambda_function.service["users"]', "environment.0.variables.USERS_TABLE", "microservices-users"),
        (
            'aws_lambda_function.service["notifications"]',
            "environment.0.variables.NOTIFICATIONS_BUCKET",
            "microservices-notifications-a1b2c3",
        ),
        lambda plan: environment(plan, "microservices-products")["DB_HOST"] == plan[RDS]["address"],
        lambda plan: environment(plan, "microservices-orders")["DB_HOST"] == plan[RDS]["address"],
    ],
    "A5": [
        (TASK, "container_definitions.0.logConfiguration.options.awslogs-group", "/ecs/microservices-products"),
        ('aws_ecs_task_definition.service["orders"]', "container_definitions.0.logConfiguration.logDriver", "awslogs"),
        ('aws_lambda_function.service["auth"]', "tracing_config.0.mode", "Active"),
        ('aws_lambda_function.service["users"]', "tracing_config.0.mode", "Active"),
    ],
    "A6": [
        lambda plan: "session" in plan.body()["components"]["securitySchemes"],
        ("aws_service_discovery_private_dns_namespace.main", "name", "microservices.local"),
        (PRODUCTS, "service_connect_configuration.0.service.0.client_alias.0.dns_name", "products"),
        (PRODUCTS, "service_connect_configuration.0.service.0.client_alias.0.port", 8080),
        ("aws_cloudwatch_dashboard.main", "dashboard_name", "microservices-dashboard"),
    ],
    "A7": [
        ('aws_appautoscaling_target.service["products"]', "min_capacity", 2),
        ('aws_appautoscaling_target.service["products"]', "max_capacity", 3),
        (
            'aws_appautoscaling_policy.cpu["orders"]',
            "target_tracking_scaling_policy_configuration.0.target_value",
            60,
        ),
        (
            'aws_appautoscaling_policy.requests["orders"]',
            "target_tracking_scaling_policy_configuration.0.predefined_metric_specification.0.predefined_metric_type",
            "ALBRequestCountPerTarget",
        ),
    ],
    "A10": [
        ('aws_subnet.private["a"]', "availability_zone", "us-east-1a"),
        ("aws_cloudwatch_dashboard.main", "dashboard_body.widgets.0.properties.region", "us-east-1"),
    ],
    "N1": [
        (VPC, "tags.Name", "microservices-vpc"),
        (VPC, "cidr_block", "10.0.0.0/16"),
        (VPC, "assign_generated_ipv6_cidr_block", None),
        (VPC, "instance_tenancy", "default"),
    ],
    "N2": [
        ('aws_subnet.public["a"]', "cidr_block", "10.0.1.0/24"),
        ('aws_subnet.public["a"]', "availability_zone", "us-east-1a"),
        ('aws_subnet.public["b"]', "cidr_block", "10.0.2.0/24"),
        ('aws_subnet.public["b"]', "availability_zone", "us-east-1b"),
    ],
    "N3": [
        ('aws_subnet.private["a"]', "cidr_block", "10.0.11.0/24"),
        ('aws_subnet.private["a"]', "availability_zone", "us-east-1a"),
        ('aws_subnet.private["b"]', "cidr_block", "10.0.12.0/24"),
        ('aws_subnet.private["b"]', "availability_zone", "us-east-1b"),
    ],
    "N4": [
        ("aws_route.internet", "destination_cidr_block", "0.0.0.0/0"),
        ('aws_nat_gateway.main["a"]', "subnet_id", "subnet-public-a"),
        ('aws_nat_gateway.main["b"]', "subnet_id", "subnet-public-b"),
        ('aws_route.nat["a"]', "nat_gateway_id", "nat-a"),
        ('aws_route.nat["b"]', "nat_gateway_id", "nat-b"),
        lambda plan: len(plan.all("aws_internet_gateway")) == 1,
        lambda plan: len(plan.all("aws_route_table_association")) == 4,
    ],
    "N5": [
        ("aws_security_group.alb", "name", "microservices-alb-sg"),
        lambda plan: ingress(plan, "alb_from_vpc_link", 80, "sg-vpc_link"),
    ],
    "N6": [
        ("aws_security_group.ecs", "name", "microservices-ecs-sg"),
        lambda plan: ingress(plan, "ecs_from_alb", 8080, "sg-alb"),
        lambda plan: ingress(plan, "ecs_from_ecs", 8080, "sg-ecs"),
    ],
    "N7": [
        ("aws_security_group.rds", "name", "microservices-rds-sg"),
        lambda plan: ingress(plan, "rds_from_ecs", 5432, "sg-ecs"),
    ],
    "D1": [
        (USERS, "name", "microservices-users"),
        (USERS, "hash_key", "userId"),
        (USERS, "attribute", [{"name": "userId", "type": "S"}]),
        (USERS, "billing_mode", "PAY_PER_REQUEST"),
    ],
    "D2": [
        (SESSIONS, "name", "microservices-sessions"),
        (SESSIONS, "hash_key", "sessionId"),
        (SESSIONS, "attribute", [{"name": "sessionId", "type": "S"}]),
        (SESSIONS, "billing_mode", "PAY_PER_REQUEST"),
        (SESSIONS, "ttl.0.attribute_name", "expiresAt"),
        (SESSIONS, "ttl.0.enabled", True),
    ],
    "D5": [
        ("aws_db_subnet_group.main", "name", "microservices-db-subnet-group"),
        lambda plan: sorted(plan["aws_db_subnet_group.main"]["subnet_ids"]) == PRIVATE,
    ],
    "D6": [
        (RDS, "identifier", "microservices-db"),
        (RDS, "engine", "postgres"),
        (RDS, "engine_version", "17"),
        (RDS, "username", "postgres"),
        (RDS, "instance_class", "db.t3.micro"),
        (RDS, "allocated_storage", 20),
        (RDS, "storage_type", "gp3"),
        (RDS, "db_subnet_group_name", "microservices-db-subnet-group"),
        (RDS, "vpc_security_group_ids", ["sg-rds"]),
    ],
    "D9": [
        ("aws_s3_bucket.static", "bucket", "microservices-static-a1b2c3"),
        ('aws_s3_bucket_public_access_block.all["static"]', "restrict_public_buckets", True),
    ],
    "U1": [
        ('aws_iam_role.lambda["auth"]', "name", "microservices-auth-lambda-role"),
        lambda plan: len({one["name"] for one in plan.all("aws_iam_role").values()}) == len(plan.all("aws_iam_role")),
    ],
    "U2": [
        ('aws_lambda_function.service["auth"]', "function_name", "microservices-auth"),
        ('aws_lambda_function.service["auth"]', "runtime", "python3.13"),
        ('aws_lambda_function.service["auth"]', "handler", "auth.handler.lambda_handler"),
    ],
    "V1": [
        ('aws_lambda_function.service["users"]', "function_name", "microservices-users"),
        ('aws_lambda_function.service["users"]', "runtime", "python3.13"),
    ],
    "P1": [
        ("aws_ecs_cluster.main", "name", "microservices-cluster"),
        (PRODUCTS, "launch_type", "FARGATE"),
    ],
    "P3": [
        lambda plan: {"DB_HOST", "DB_NAME", "DB_USER"} <= set(environment(plan, "microservices-products")),
        (TASK, "container_definitions.0.secrets.0.name", "DB_PASSWORD"),
    ],
    "P9": [
        ('aws_ecr_repository.service["products"]', "name", "microservices/products"),
        ('aws_ecr_repository.service["products"]', "image_tag_mutability", "IMMUTABLE"),
    ],
    "P10": [
        (TASK, "family", "microservices-products"),
        (TASK, "network_mode", "awsvpc"),
        (TASK, "requires_compatibilities", ["FARGATE"]),
        (TASK, "cpu", "256"),
        (TASK, "memory", "512"),
        (TASK, "container_definitions.0.name", "products-service"),
        (TASK, "container_definitions.0.portMappings.0.containerPort", 8080),
        (TASK, "container_definitions.0.portMappings.0.protocol", "tcp"),
        (TASK, "container_definitions.0.logConfiguration.options.awslogs-group", "/ecs/microservices-products"),
        (TASK, "container_definitions.0.logConfiguration.options.awslogs-region", "us-east-1"),
        (TASK, "container_definitions.0.logConfiguration.options.awslogs-stream-prefix", "ecs"),
    ],
    "P11": [
        ("aws_lb.main", "name", "microservices-alb"),
        ("aws_lb.main", "internal", True),
        ("aws_lb.main", "ip_address_type", "ipv4"),
        ("aws_lb.main", "security_groups", ["sg-alb"]),
        lambda plan: sorted(plan["aws_lb.main"]["subnets"]) == PRIVATE,
    ],
    "P12": [
        (GROUP, "name", "microservices-products-tg"),
        (GROUP, "target_type", "ip"),
        (GROUP, "protocol", "HTTP"),
        (GROUP, "port", 8080),
        (GROUP, "health_check.0.path", "/health"),
    ],
    "P13": [
        (PRODUCTS, "name", "microservices-products-service"),
        (PRODUCTS, "desired_count", 2),
        (PRODUCTS, "network_configuration.0.security_groups", ["sg-ecs"]),
        (PRODUCTS, "network_configuration.0.assign_public_ip", False),
        lambda plan: sorted(plan.value(PRODUCTS, "network_configuration.0.subnets")) == PRIVATE,
        lambda plan: plan.value(PRODUCTS, "load_balancer.0.target_group_arn") == plan[GROUP]["arn"],
        (PRODUCTS, "load_balancer.0.container_name", "products-service"),
        (PRODUCTS, "load_balancer.0.container_port", 8080),
    ],
    "G1": [
        (API, "name", "microservices-api"),
        (API, "description", "Microservices API Gateway"),
        (API, "body.info.title", "microservices-api"),
        (API, "body.info.description", "Microservices API Gateway"),
        (API, "endpoint_configuration.0.types", ["REGIONAL"]),
    ],
    "G2": [
        lambda plan: backs(plan)["auth"] == {"auth"},
        lambda plan: {"post"} <= set(plan.body()["paths"]["/auth/login"]) & set(plan.body()["paths"]["/auth/register"]),
        lambda plan: "get" in plan.body()["paths"]["/auth/verify"],
    ],
    "G3": [
        lambda plan: backs(plan)["users"] == {"users"},
        lambda plan: "get" in plan.body()["paths"]["/users"],
        lambda plan: {"get", "put"} <= set(plan.body()["paths"]["/users/{userId}"]),
    ],
    "G4": [
        lambda plan: {"get", "post"} <= set(plan.body()["paths"]["/products"]),
        (
            API,
            "body.paths./products.get.x-amazon-apigateway-integration.uri",
            "http://alb.us-east-1.elb.amazonaws.com/products",
        ),
        (API, "body.paths./products.get.x-amazon-apigateway-integration.type", "http_proxy"),
    ],
    "G5": [
        lambda plan: preflight(plan, "Origin") == {"*"},
        lambda plan: preflight(plan, "Methods") >= {"GET", "POST", "PUT", "DELETE", "OPTIONS"},
        lambda plan: preflight(plan, "Headers")
        >= {"Content-Type", "X-Amz-Date", "Authorization", "X-Api-Key", "X-Amz-Security-Token"},
    ],
    "G6": [(STAGE, "stage_name", "prod"), (STAGE, "description", "Production stage")],
    "C1": [
        lambda plan: origin(plan, "api")["origin_path"] == "/prod",
        (DISTRIBUTION, f"{API_BEHAVIOUR}.viewer_protocol_policy", "redirect-to-https"),
        lambda plan: set(plan.value(DISTRIBUTION, f"{API_BEHAVIOUR}.allowed_methods")) == METHODS,
        (DISTRIBUTION, f"{API_BEHAVIOUR}.cache_policy_id", "Managed-CachingDisabled"),
        (DISTRIBUTION, f"{API_BEHAVIOUR}.origin_request_policy_id", "Managed-AllViewerExceptHostHeader"),
    ],
    "C2": [
        lambda plan: origin(plan, "static")["domain_name"] == "static.s3.us-east-1.amazonaws.com",
        lambda plan: not origin(plan, "static")["origin_path"],
        lambda plan: origin(plan, "static")["origin_access_control_id"] == "static-oac",
        ("aws_cloudfront_origin_access_control.static", "signing_behavior", "always"),
        (DISTRIBUTION, "default_root_object", "index.html"),
    ],
    "C3": [
        (DISTRIBUTION, f"{API_BEHAVIOUR}.path_pattern", "/api/*"),
        (DISTRIBUTION, f"{API_BEHAVIOUR}.target_origin_id", "api"),
        (DISTRIBUTION, "default_cache_behavior.0.target_origin_id", "static"),
        lambda plan: len(plan[DISTRIBUTION]["ordered_cache_behavior"]) == 1,
    ],
    "C4": [lambda plan: not plan.all("aws_route53_zone")],
    "M1": [
        ('aws_cloudwatch_log_group.service["auth"]', "name", "/aws/lambda/microservices-auth"),
        ('aws_cloudwatch_log_group.service["users"]', "name", "/aws/lambda/microservices-users"),
        ('aws_cloudwatch_log_group.service["products"]', "name", "/ecs/microservices-products"),
    ],
    "M2": [
        (STAGE, "xray_tracing_enabled", True),
        (TASK, "container_definitions.1.name", "otel"),
        ('aws_lambda_function.service["authorizer"]', "tracing_config.0.mode", "Active"),
        ('aws_lambda_function.service["notifications"]', "tracing_config.0.mode", "Active"),
    ],
    "M3": [
        ("aws_cloudwatch_dashboard.main", "dashboard_name", "microservices-dashboard"),
        lambda plan: shown(plan)
        >= {
            ("AWS/ApiGateway", "Count"), ("AWS/ApiGateway", "Latency"), ("AWS/Lambda", "Invocations"),
            ("AWS/Lambda", "Errors"), ("AWS/ECS", "CPUUtilization"), ("AWS/ECS", "MemoryUtilization"),
            ("AWS/RDS", "DatabaseConnections"), ("AWS/RDS", "CPUUtilization"),
        },
    ],
}  # fmt: skip
# What only an environment with a domain has.
ROWS_WITH_A_DOMAIN: dict[str, list[Check]] = {
    "A1": [('aws_route53_record.public["api.shop.example.com A"]', "alias.0.name", "d.cloudfront.net")],
    "N5": [lambda plan: ingress(plan, "alb_from_vpc_link", 443, "sg-vpc_link")],
    "C4": [
        ("aws_route53_zone.main[0]", "name", "shop.example.com"),
        ('aws_route53_record.public["api.shop.example.com A"]', "type", "A"),
        ('aws_route53_record.public["api.shop.example.com AAAA"]', "alias.0.name", "d.cloudfront.net"),
    ],
}  # fmt: skip


def shown(plan: Plan) -> set[tuple[str, str]]:
    """Namespace and name of the dashboard's metrics."""
    widgets = plan.value("aws_cloudwatch_dashboard.main", "dashboard_body.widgets")
    return {(metric[0], metric[1]) for widget in widgets for metric in widget["properties"]["metrics"]}


def wrong(plan: Plan, checks: list[Check]) -> Iterator[str]:
    for number, check in enumerate(checks):
        if callable(check):
            if not check(plan):
                yield f"question {number}"
            continue
        address, path, expected = check
        found = plan.value(address, path)
        if found != expected:
            yield f"{address}, {path}: {found}"


@needs_schema
@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_planned(plan, row):
    assert list(wrong(plan, ROWS[row])) == []


@needs_schema
@pytest.mark.parametrize("row", ROWS_WITH_A_DOMAIN)
def test_a_row_is_planned_with_a_domain(second_plan, row):
    assert list(wrong(second_plan, ROWS_WITH_A_DOMAIN[row])) == []


@needs_schema
@pytest.mark.parametrize("fault", [name for name, one in FAULTS.items() if one.check in ROWS])
def test_a_broken_row_is_seen(broken_plan, fault):
    assert list(wrong(broken_plan, ROWS[FAULTS[fault].check])) != []


# The page's table


def rows_of_the_page() -> dict[str, tuple[str, str]]:
    """State and words of each row, by its id."""
    columns = (list(cells(PAGE.partition("## Rows\n")[2].partition("\n## ")[0], column)) for column in (0, 2, 3))
    return {row: (state, words) for row, state, words in zip(*columns, strict=True)}


def test_the_page_has_every_row_once_and_in_order():
    ids = list(cells(PAGE.partition("## Rows\n")[2].partition("\n## ")[0], 0))

    assert ids == IDS
    assert {state for state, _ in rows_of_the_page().values()} == {"as said", "mended", "code", "page", "refused"}


@pytest.mark.parametrize("row", IDS)
def test_what_the_page_says_of_a_row_is_so(row):
    """What is made is checked in the plan, what is code has its files, what is refused or changed has its reason."""
    state, words = rows_of_the_page()[row]

    assert (state in {"as said", "mended"}) == (row in ROWS)
    if state in {"mended", "refused"}:
        assert len(words) >= 30
    for name in names(words):
        if "/" in name and not name.startswith(("/", "http", "microservices/")) and " " not in name:
            assert (FOLDER / name).exists() or (FOLDER.parent / name).exists(), name
    if state in {"code", "page"}:
        assert names(words)
