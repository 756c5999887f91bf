"""Faults of a copy of the Terraform files, each of which a check of the plan must see; one plan has them all."""

from pathlib import Path
from typing import NamedTuple

from tests.deploy.mutations import broken


class Fault(NamedTuple):
    """A text in the place of another, and the check that must see it: a row's id, a rule's name or a message."""

    file: str
    old: str
    new: str
    check: str


LAID_OUT = '"awsvpc"\n  requires_compatibilities = ["FARGATE"]\n'
# Each in a place of its own, so that no fault hides another. A row a line, however long.
# ruff: noqa: E501
FAULTS = {
    "another network": Fault("network.tf", 'a = "10.0.11.0/24"', 'a = "10.0.21.0/24"', "N3"),
    "a public subnet gives addresses": Fault(
        "network.tf",
        'local.zones[each.key]\n  map_public_ip_on_launch = false\n\n  tags = { Name = "${local.name}-public',
        'local.zones[each.key]\n  map_public_ip_on_launch = true\n\n  tags = { Name = "${local.name}-public',
        "public",
    ),
    "the balancer speaks to the database": Fault(
        "security_groups.tf",
        'description                  = "From the containers"\n  referenced_security_group_id = aws_security_group.ecs.id',
        'description                  = "From the containers"\n  referenced_security_group_id = aws_security_group.alb.id',
        "N7",
    ),
    "all the world reaches the containers": Fault(
        "security_groups.tf",
        'description                  = "From the load balancer"\n  referenced_security_group_id = aws_security_group.alb.id',
        'description                  = "From the load balancer"\n  cidr_ipv4                    = "0.0.0.0/0"',
        "ingress",
    ),
    "sessions never end": Fault("dynamodb.tf", 'attribute_name = "expiresAt"', 'attribute_name = "expires"', "D2"),
    "sessions cannot be had back": Fault(
        "dynamodb.tf",
        "    enabled        = true\n  }\n\n  point_in_time_recovery {\n    enabled = true",
        "    enabled        = true\n  }\n\n  point_in_time_recovery {\n    enabled = false",
        "tables",
    ),
    "a public database": Fault("rds.tf", "publicly_accessible    = false", "publicly_accessible    = true", "public"),
    "another class": Fault("variables.tf", '"db.t3.micro"\n\n', '"db.t3.large"\n\n', "D6"),
    "a bucket may be public": Fault(
        "storage.tf", "block_public_policy     = true", "block_public_policy     = false", "public"
    ),
    "a tag moves": Fault("ecr.tf", '"IMMUTABLE"', '"MUTABLE"', "P9"),
    "functions without memory": Fault("lambda.tf", "= each.value.memory_size", "= 128", "functions"),
    "logs go elsewhere": Fault(
        "logs.tf", '"/aws/lambda/${local.name}-${key}"', '"/aws/lambdas/${local.name}-${key}"', "M1"
    ),
    "events are given up": Fault(
        "messaging.tf",
        "maxReceiveCount     = 5",
        "maxReceiveCount     = 4",
        "an event is tried another number of times",
    ),
    "a password in the environment": Fault(
        "ecs.tf", '{ DB_USER = "products_app", ', '{ DB_USER = "products_app", DB_PASSWORD = "x", ', "secrets"
    ),
    "a size that Fargate has not": Fault(
        "ecs.tf",
        f'"${{local.name}}-${{each.key}}"\n  network_mode             = {LAID_OUT}  cpu                      = 256',
        f'"${{local.name}}-${{each.key}}"\n  network_mode             = {LAID_OUT}  cpu                      = 300',
        "sizes",
    ),
    "a setting that ECS has not": Fault(
        "ecs.tf", "readonlyRootFilesystem = true\n    linux", "readonlyRootFileSystem = true\n    linux", "task_model"
    ),
    "a service of one task": Fault(
        "services.tf",
        'service["products"].arn\n  desired_count                      = local.tasks_min\n',
        'service["products"].arn\n  desired_count                      = 1\n',
        "P13",
    ),
    "a public balancer": Fault(
        "alb.tf", "internal                   = true", "internal                   = false", "public"
    ),
    "another check of health": Fault("alb.tf", 'path                = "/health"', 'path                = "/"', "P12"),
    "products are asked of somebody": Fault(
        "api_gateway.tf",
        "products_url           = local.alb_url",
        'products_url           = "http://example.com"',
        "routes",
    ),
    "the stage stays before the path": Fault("alb.tf", 'replace = "$1"', 'replace = "$0"', "rewritten"),
    "a key without the slash's form": Fault("api_gateway.tf", '"/", "~1")', '"/", "/")', "throttled"),
    "many processes a task": Fault(
        "ecs.tf",
        '{ DB_USER = "orders_app", CORS_ORIGIN',
        '{ WEB_CONCURRENCY = 99, DB_USER = "orders_app", CORS_ORIGIN',
        "connections",
    ),
    "another stage": Fault("api_gateway.tf", '"Production stage"', '"A stage"', "G6"),
    "another page first": Fault("cloudfront.tf", '"index.html"', '"home.html"', "C2"),
    "a figure that nobody writes": Fault("dashboard.tf", '"RequestCount"', '"Requests"', "metrics"),
    "an alarm of another queue": Fault(
        "alarms.tf",
        '"ApproximateNumberOfMessagesVisible", dimensions = { QueueName = aws_sqs_queue.notifications_dlq.name }',
        '"ApproximateNumberOfMessagesVisible", dimensions = { QueueName = "${local.name}-dead" }',
        "metrics",
    ),
    "no room to grow": Fault("autoscaling.tf", "max_capacity       = var.tasks_max", "max_capacity       = 2", "A7"),
}


def break_copy(folder: Path) -> Path:
    """Put every fault into a copy."""
    for fault in FAULTS.values():
        path = folder / "terraform" / fault.file
        path.write_text(broken(path.read_text(), (fault.old, fault.new)))
    return folder
