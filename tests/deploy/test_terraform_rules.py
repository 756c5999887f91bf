"""The pipeline's Terraform: the rules that a reviewer would look for, wherever there is a parser."""

import functools
import re
from collections.abc import Iterator
from typing import Any

import hcl2
import pytest
from hcl2.utils import SerializationOptions

from tests.deploy.checks import waited_seconds
from tests.deploy.mutations import broken, mutations
from tests.servers import PROJECT

FILE = PROJECT / "post-cicd.tf"
PLAIN = SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)

# Statements that name no resource, or every action, and why AWS leaves no other way.
STARS = {
    ("key", "AccountAdministersByIam"): "a key's policy is about that key; AWS's default, without which IAM is ignored",
    ("key", "LogsEncrypt"): "a key's policy is about that key; narrowed to two log groups by their encryption context",
    ("artifacts", "TlsOnly"): "it denies, and what it denies is everything",
    ("build", "LogInToTheRegistry"): "ecr:GetAuthorizationToken knows no resource",
}


@functools.cache
def parsed_block(text: str) -> dict[str, Any]:
    return hcl2.loads(text, serialization_options=PLAIN)


def parsed(text: str) -> dict[str, Any]:
    """Parse a file block by block, so that of a copy with one edit one block is parsed anew."""
    document: dict[str, Any] = {}
    for block in re.findall(r"^\w.*?^\}\n", text, flags=re.DOTALL | re.MULTILINE):
        for kind, items in parsed_block(block).items():
            document.setdefault(kind, []).extend(items)
    return document


def named(document: dict[str, Any], kind: str, block: str = "resource") -> dict[str, dict[str, Any]]:
    """The blocks of one type, by their names."""
    return {name: body for item in document[block] if kind in item for name, body in item[kind].items()}


def only(document: dict[str, Any], kind: str) -> dict[str, Any]:
    """The one resource of a type."""
    found = list(named(document, kind).values())
    assert len(found) == 1, f"{kind}: {len(found)}"
    return found[0]


def statements(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, policy in named(document, "aws_iam_policy_document", "data").items():
        for statement in policy.get("statement", []):
            yield name, statement


# The rules. Each yields what is wrong.


def variables(document: dict[str, Any]) -> Iterator[str]:
    for item in document["variable"]:
        for name, body in item.items():
            for part in ("description", "type", "validation"):
                if not body.get(part):
                    yield f"{name} has no {part}"


def outputs(document: dict[str, Any]) -> Iterator[str]:
    yield from (f"{n} has no description" for o in document["output"] for n, b in o.items() if not b.get("description"))


def provider(document: dict[str, Any]) -> Iterator[str]:
    terraform = document["terraform"][0]
    if not terraform["required_providers"][0]["aws"]["version"].startswith("~> 5."):
        yield "the provider is not held to 5.x"
    backend = terraform["backend"][0]["s3"]
    if not (backend.get("encrypt") and backend.get("use_lockfile")):
        yield "the state is not encrypted, or not locked"


def stars(document: dict[str, Any]) -> Iterator[str]:
    for policy, statement in statements(document):
        if statement.get("effect") != "Deny" and "*" in str(statement.get("principals", {})):
            yield f"{policy} allows anybody"
        all_actions = any(action.rpartition(":")[2] == "*" for action in statement["actions"])
        is_wide = all_actions or "*" in statement.get("resources", [])
        if is_wide and (policy, statement.get("sid")) not in STARS:
            yield f"{policy}, {statement.get('sid')}: *"
    wide = {action for _, one in statements(document) if one.get("resources") == ["*"] for action in one["actions"]}
    if not wide <= {"ecr:GetAuthorizationToken", *(action for action in wide if action.startswith("kms:"))}:
        yield f"actions without a resource: {sorted(wide)}"


def trust(document: dict[str, Any]) -> Iterator[str]:
    for name, statement in statements(document):
        if "sts:AssumeRole" in statement["actions"] and "aws:SourceAccount" not in str(statement.get("condition")):
            yield f"{name}: a service may be made to use the role for another account"


def images(document: dict[str, Any]) -> Iterator[str]:
    repository = only(document, "aws_ecr_repository")
    if repository["image_tag_mutability"] != "IMMUTABLE":
        yield "a commit's tag could be moved"
    if repository["image_scanning_configuration"][0]["scan_on_push"] is not True:
        yield "images are not scanned"
    if repository["encryption_configuration"][0]["encryption_type"] != "KMS":
        yield "images are not encrypted by the key"
    rules = only(document, "aws_ecr_lifecycle_policy")["policy"]
    if "untagged" not in rules or "var.images_kept" not in rules:
        yield "images are never deleted"


def moving_tag(document: dict[str, Any]) -> Iterator[str]:
    command = str(only(document, "terraform_data")["provisioner"])
    if "IMMUTABLE_WITH_EXCLUSION" not in command or "filter=latest" not in command:
        yield "the second build could not push latest"
    if only(document, "aws_ecr_repository")["lifecycle"][0]["ignore_changes"] != ["image_tag_mutability"]:
        yield "the next apply would take it back"


def artifacts(document: dict[str, Any]) -> Iterator[str]:
    block = only(document, "aws_s3_bucket_public_access_block")
    switches = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
    if not all(block.get(switch) is True for switch in switches):
        yield "the bucket could be made public"
    if only(document, "aws_s3_bucket_versioning")["versioning_configuration"][0]["status"] != "Enabled":
        yield "no versions"
    rule = only(document, "aws_s3_bucket_server_side_encryption_configuration")["rule"][0]
    if rule["apply_server_side_encryption_by_default"][0]["sse_algorithm"] != "aws:kms":
        yield "not encrypted by the key"
    expiry = only(document, "aws_s3_bucket_lifecycle_configuration")["rule"][0]
    if expiry["status"] != "Enabled" or not {"expiration", "noncurrent_version_expiration"} <= set(expiry):
        yield "nothing expires"
    if only(document, "aws_s3_bucket_ownership_controls")["rule"][0]["object_ownership"] != "BucketOwnerEnforced":
        yield "ACLs are on"


def tls(document: dict[str, Any]) -> Iterator[str]:
    denied = [one for name, one in statements(document) if name == "artifacts"]
    if not any("aws:SecureTransport" in str(one) and one["effect"] == "Deny" for one in denied):
        yield "the bucket answers without TLS"


def logs(document: dict[str, Any]) -> Iterator[str]:
    for name, group in named(document, "aws_cloudwatch_log_group").items():
        if not group.get("retention_in_days"):
            yield f"{name} is kept for ever"
        if not group.get("kms_key_id"):
            yield f"{name} is not encrypted by the key"
    for name, project in named(document, "aws_codebuild_project").items():
        if "aws_cloudwatch_log_group.codebuild" not in str(project.get("logs_config")):
            yield f"{name} logs elsewhere"


def pipeline(document: dict[str, Any]) -> Iterator[str]:
    found = only(document, "aws_codepipeline")
    if found["pipeline_type"] != "V2":
        yield "not of type V2"
    if [stage["name"] for stage in found["stage"]] != ["Source", "Build", "Deploy"]:
        yield "other stages"
    source, build, deploy = (stage["action"][0] for stage in found["stage"])
    if source["provider"] != "CodeStarSourceConnection" or "aws_codeconnections" not in str(source["configuration"]):
        yield "the source is no connection's"
    if "project.build" not in str(build["configuration"]) or "project.deploy" not in str(deploy["configuration"]):
        yield "a stage runs another project"
    if f"#{{{build['namespace']}.IMAGE_URI}}" not in str(deploy["configuration"]):
        yield "the rollout does not get the image that was built"


def projects(document: dict[str, Any]) -> Iterator[str]:
    found = named(document, "aws_codebuild_project")
    for name, project in found.items():
        if not (PROJECT / project["source"][0]["buildspec"]).is_file():
            yield f"{name} runs {project['source'][0]['buildspec']}, which is not there"
    waited = waited_seconds((PROJECT / "buildspec-deploy.yml").read_text())
    if found["deploy"]["build_timeout"] * 60 < 2 * waited + 300:
        yield "a roll-back is ended by CodeBuild"
    if found["deploy"]["environment"][0].get("privileged_mode"):
        yield "the rollout is privileged"
    if any("eks:" in action for name, one in statements(document) if name != "deploy" for action in one["actions"]):
        yield "what runs tests may reach the cluster"


def publishing(document: dict[str, Any]) -> Iterator[str]:
    """Build adds files to the site's bucket, and to no other; it deletes none."""
    allowed = [one for name, one in statements(document) if name == "build"]
    rights = {action: one["resources"] for one in allowed for action in one["actions"] if action.startswith("s3:")}
    bucket = "${local.site_bucket_arn}"
    if rights != {"s3:PutObject": [f"{bucket}/*"], "s3:ListBucket": [bucket]}:
        yield f"Build may do more than to add files to the site's bucket, or less: {rights}"
    variables = named(document, "aws_codebuild_project")["build"]["environment"][0]["environment_variable"]
    if {"name": "SITE_BUCKET", "value": "${local.site_bucket}"} not in variables:
        yield "Build is not told the site's bucket"


def cluster(document: dict[str, Any]) -> Iterator[str]:
    """The rollout has the rights of its group, which k8s/deployment.yaml has, and none of EKS's own policies."""
    if not only(document, "aws_eks_access_entry").get("kubernetes_groups"):
        yield "the rollout has no rights"
    if named(document, "aws_eks_access_policy_association"):
        yield "the rollout has rights of EKS"


RULES = {
    rule.__name__: rule
    for rule in (
        variables, outputs, provider, stars, trust, images, moving_tag, artifacts, tls, logs,
        pipeline, projects, publishing, cluster,
    )
}  # fmt: skip


def test_the_file_is_parsed_whole():
    text = FILE.read_text()

    assert parsed(text) == hcl2.loads(text, serialization_options=PLAIN)


@pytest.mark.parametrize("rule", RULES)
def test_the_pipeline_keeps_the_rule(rule):
    assert list(RULES[rule](parsed(FILE.read_text()))) == []


@mutations(
    ("no description", '  description = "The branch whose pushes are built and deployed."\n', "", "variables"),
    ("no type", '  type        = string\n  default     = "main"', '  default     = "main"', "variables"),
    ("silent output", '  description = "The pipeline."\n', "", "outputs"),
    ("provider 6", '"~> 5.99"', '"~> 6.0"', "provider"),
    ("unlocked state", "use_lockfile = true", "use_lockfile = false", "provider"),
    (
        "any bucket",
        'resources = ["${aws_s3_bucket.artifacts.arn}/*"]\n  }\n\n  statement {\n    sid       = "SourceBucket"',
        'resources = ["*"]\n  }\n\n  statement {\n    sid       = "SourceBucket"',
        "stars",
    ),
    ("all of EKS", '["eks:DescribeCluster"]', '["eks:*"]', "stars"),
    (
        "any key",
        '["kms:Decrypt"]\n    resources = [aws_kms_key.pipeline.arn]',
        '["kms:Decrypt"]\n    resources = ["*"]',
        "stars",
    ),
    (
        "anybody's account",
        '["codepipeline.amazonaws.com"]\n    }\n\n    condition {\n      test     = "StringEquals"\n'
        '      variable = "aws:SourceAccount"',
        '["codepipeline.amazonaws.com"]\n    }\n\n    condition {\n      test     = "StringEquals"\n'
        '      variable = "aws:RequestedRegion"',
        "trust",
    ),
    ("mutable tags", '= "IMMUTABLE"\n', '= "MUTABLE"\n', "images"),
    ("no scan", "scan_on_push = true", "scan_on_push = false", "images"),
    ("no image key", 'encryption_type = "KMS"', 'encryption_type = "AES256"', "images"),
    ("images for ever", "countNumber = var.images_kept", "countNumber = 100000", "images"),
    ("latest stays", "filterType=WILDCARD,filter=latest", "filterType=WILDCARD,filter=stable", "moving_tag"),
    ("taken back", "ignore_changes = [image_tag_mutability]", "ignore_changes = [name]", "moving_tag"),
    ("public policy", "block_public_policy     = true", "block_public_policy     = false", "artifacts"),
    ("no versions", 'status = "Enabled"\n  }\n}', 'status = "Suspended"\n  }\n}', "artifacts"),
    ("no bucket key", '"aws:kms"', '"AES256"', "artifacts"),
    ("kept for ever", '    status = "Enabled"\n\n    filter', '    status = "Disabled"\n\n    filter', "artifacts"),
    ("ACLs", '"BucketOwnerEnforced"', '"ObjectWriter"', "artifacts"),
    ("plain HTTP", "aws:SecureTransport", "aws:MultiFactorAuthPresent", "tls"),
    ("logs for ever", "  retention_in_days = var.log_days\n", "", "logs"),
    (
        "plain logs",
        "  retention_in_days = var.log_days\n  kms_key_id        = aws_kms_key.pipeline.arn\n",
        "  retention_in_days = var.log_days\n",
        "logs",
    ),
    ("V1", '"V2"', '"V1"', "pipeline"),
    ("no Deploy", 'name = "Deploy"', 'name = "Approve"', "pipeline"),
    ("another image", "#{image.IMAGE_URI}", "#{source.CommitId}", "pipeline"),
    ("no such file", '"buildspec-deploy.yml"', '"deploy.yml"', "projects"),
    ("privileged rollout", '"BUILD_GENERAL1_SMALL"', '"BUILD_GENERAL1_SMALL"\n    privileged_mode = true', "projects"),
    ("builder deploys", '"ecr:DescribeImages"', '"eks:DescribeCluster"', "projects"),
    ("no time to go back", "build_timeout  = 60 # a rollout's", "build_timeout  = 50 # a rollout's", "projects"),
    ("files are deleted", '["s3:PutObject"]', '["s3:PutObject", "s3:DeleteObject"]', "publishing"),
    ("any bucket's files", '["${local.site_bucket_arn}/*"]', '["arn:aws:s3:::*/*"]', "publishing"),
    ("no bucket", '      name  = "SITE_BUCKET"\n', '      name  = "BUCKET"\n', "publishing"),
    ("no group", '  kubernetes_groups = ["post-service-deploy"]\n', "", "cluster"),
    (
        "EKS's rights",
        'resource "aws_codebuild_project" "deploy"',
        'resource "aws_eks_access_policy_association" "deploy" {\n  policy_arn = "AmazonEKSEditPolicy"\n}\n\n'
        'resource "aws_codebuild_project" "deploy"',
        "cluster",
    ),
)
def test_a_rule_refuses_a_broken_copy(old, new, check):
    document = parsed(broken(FILE.read_text(), (old, new)))

    assert list(RULES[check](document)) != []
