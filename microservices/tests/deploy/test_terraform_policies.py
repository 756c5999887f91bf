"""Rights in the platform's Terraform: a policy has the actions of this table and no others, on named resources."""

# A broken copy a line, however long.
# ruff: noqa: E501

import functools
import re
from collections.abc import Iterator
from typing import Any

import pytest

from microservices.tests.deploy.planned import FOLDER
from tests.deploy.mutations import broken, mutations
from tests.deploy.test_terraform_rules import named, parsed, statements

TEXT = "".join(path.read_text() for path in sorted((FOLDER / "terraform").glob("*.tf")))
LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
TRACE = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
ASSUME = {"sts:AssumeRole"}
# What each policy may allow, by its name.
ALLOWED = {
    "auth": {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"},
    "authorizer": {"dynamodb:GetItem"},
    "users": {
        "dynamodb:GetItem", "dynamodb:Scan", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem",
    },
    "notifications": {"s3:ListBucket", "s3:GetObject", "s3:PutObject"},
    "notifications_worker": {"s3:PutObject", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
    "lambda_signals": LOG | TRACE,
    "edge": {"logs:CreateLogGroup", *LOG},
    "execution": {
        "ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer",
        "secretsmanager:GetSecretValue", "kms:Decrypt", *LOG,
    },
    "task_signals": TRACE,
    "relay": {"sns:Publish"},
    "database": {"secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "kms:Decrypt", "kms:GenerateDataKey"},
    "flow_log": {"logs:DescribeLogStreams", *LOG},
    "notifications_queue": {"sqs:SendMessage"},
    "tls_only": {"s3:*"},
    "static": {"s3:GetObject", "s3:ListBucket"},
    "logs": {"s3:PutObject"},
    "key": {"kms:*", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"},
    **{f"{name}_trust": ASSUME for name in ("lambda", "task", "flow_log", "api_account", "edge")},
}  # fmt: skip
# Statements that name no resource, or every action, and why AWS leaves no other way.
STARS = {
    ("lambda_signals", "Trace"): "segments of traces have no resource",
    ("task_signals", "Trace"): "as above",
    ("execution", "LogInToTheRegistry"): "ecr:GetAuthorizationToken knows no resource",
    ("key", "AccountAdministersByIam"): "a key's policy is about that key; AWS's default, without which IAM is ignored",
    ("key", "LogsEncrypt"): "as above; narrowed to our log groups by their encryption context",
    ("key", "AlarmsPublish"): "as above; narrowed to this account's alarms",
    ("tls_only", "TlsOnly"): "it denies, and what it denies is everything",
}
# Trusts that AWS itself checks, or documents, without the account's condition.
UNCONDITIONED = {"api_account_trust", "edge_trust"}


@functools.cache
def document(text: str = TEXT) -> dict[str, Any]:
    return parsed(text)


def actions(found: dict[str, Any]) -> Iterator[str]:
    given: dict[str, set[str]] = {name: set() for name in named(found, "aws_iam_policy_document", "data")}
    for name, statement in statements(found):
        given[name] |= set(statement["actions"])
    for name in given.keys() | ALLOWED.keys():
        if given.get(name) != ALLOWED.get(name):
            yield f"{name}: {given.get(name, set()) ^ ALLOWED.get(name, set())}"


def resources_of(statement: dict[str, Any]) -> list[str]:
    """Resources of a statement; a list that is computed is one expression."""
    given = statement.get("resources", [])
    return given if isinstance(given, list) else [given]


def stars(found: dict[str, Any]) -> Iterator[str]:
    seen = set()
    for name, statement in statements(found):
        wide = any(action.rpartition(":")[2] == "*" for action in statement["actions"])
        if wide or "*" in resources_of(statement):
            seen.add((name, statement.get("sid")))
        if statement.get("effect") != "Deny" and "*" in str(statement.get("principals", {})):
            yield f"{name} allows anybody"
    yield from (f"{one}" for one in seen ^ STARS.keys())


def resources(found: dict[str, Any]) -> Iterator[str]:
    """Resources are those of this plan, or begin with this account."""
    for name, statement in statements(found):
        for resource in resources_of(statement):
            if resource != "*" and not re.search(r"\.arn|_arn|local\.readable_secrets|account_id", resource):
                yield f"{name}: {resource}"


def trust(found: dict[str, Any]) -> Iterator[str]:
    for name, statement in statements(found):
        conditions = str(statement.get("condition", ""))
        if name in UNCONDITIONED:
            continue
        if "sts:AssumeRole" in statement["actions"] and "aws:SourceAccount" not in conditions:
            yield f"{name}: a service may be made to use the role for another account"
        if "'Service'" in str(statement.get("principals")) and not conditions:
            yield f"{name}: a service may be made to do it for anybody"


def managed(found: dict[str, Any]) -> Iterator[str]:
    """AWS's own policies have stars; one of them is all that API Gateway takes."""
    for one in named(found, "aws_iam_role_policy_attachment").values():
        if not one["policy_arn"].endswith("AmazonAPIGatewayPushToCloudWatchLogs"):
            yield one["policy_arn"]
    yield from (name for name in named(found, "aws_iam_role") if "managed_policy_arns" in str(name))


def described(found: dict[str, Any]) -> Iterator[str]:
    """Every variable and output has its description, every value that can be wrong its validation."""
    for item in found["variable"]:
        for name, body in item.items():
            if not body.get("description") or not body.get("type"):
                yield f"{name} has no description, or no type"
            if (
                not body.get("validation")
                and body["type"] not in {"bool", "${bool}"}
                and name not in {"zip_folder", "lambda_concurrency"}
            ):
                yield f"{name} takes anything"
    yield from (name for item in found["output"] for name, body in item.items() if not body.get("description"))


def provider(found: dict[str, Any]) -> Iterator[str]:
    [terraform] = found["terraform"]
    if terraform["required_providers"][0]["aws"]["version"] != "~> 6.20":
        yield "another provider"
    backend = terraform["backend"][0]["s3"]
    if not (backend.get("encrypt") and backend.get("use_lockfile")):
        yield "the state is not encrypted, or not locked"


RULES = {rule.__name__: rule for rule in (actions, stars, resources, trust, managed, described, provider)}


@pytest.mark.parametrize("rule", RULES)
def test_the_files_keep_the_rule(rule):
    assert list(RULES[rule](document())) == []


@mutations(
    ("sessions may be scanned", '"dynamodb:UpdateItem", "dynamodb:DeleteItem"]', '"dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:Scan"]', "actions"),
    ("all of SNS", '["sns:Publish"]', '["sns:*"]', "stars"),
    ("any topic", "resources = [aws_sns_topic.order_events.arn]", 'resources = ["*"]', "stars"),
    ("any secret", "resources = local.readable_secrets[each.key]", 'resources = ["*"]', "stars"),
    ("another's bucket", 'resources = ["${aws_s3_bucket.logs.arn}/s3/*"]', 'resources = ["arn:aws:s3:::other/*"]', "resources"),
    (
        "anybody's CloudFront",
        'sid       = "CloudFrontReads"\n    actions   = ["s3:GetObject"]\n    resources = ["${aws_s3_bucket.static.arn}/*"]\n\n'
        '    principals {\n      type        = "Service"\n      identifiers = ["cloudfront.amazonaws.com"]\n    }\n\n'
        '    condition {\n      test     = "StringEquals"\n      variable = "AWS:SourceArn"\n'
        "      values   = [aws_cloudfront_distribution.main.arn]\n    }\n",
        'sid       = "CloudFrontReads"\n    actions   = ["s3:GetObject"]\n    resources = ["${aws_s3_bucket.static.arn}/*"]\n\n'
        '    principals {\n      type        = "Service"\n      identifiers = ["cloudfront.amazonaws.com"]\n    }\n',
        "trust",
    ),
    (
        "another account's tasks",
        'identifiers = ["ecs-tasks.amazonaws.com"]\n    }\n\n    condition {\n      test     = "StringEquals"\n'
        '      variable = "aws:SourceAccount"\n      values   = [local.account_id]\n    }\n',
        'identifiers = ["ecs-tasks.amazonaws.com"]\n    }\n',
        "trust",
    ),
    ("AWS's own policy", "service-role/AmazonAPIGatewayPushToCloudWatchLogs", "AdministratorAccess", "managed"),
    ("a silent variable", '  description = "Class of the database\'s machine."\n', "", "described"),
    ("an older provider", '"~> 6.20"', '"~> 5.99"', "provider"),
    ("an unlocked state", "use_lockfile = true", "use_lockfile = false", "provider"),
)  # fmt: skip
def test_a_rule_refuses_a_broken_copy(old, new, check):
    assert list(RULES[check](parsed(broken(TEXT, (old, new))))) != []
