"""AWS for a release: moto's Lambda, S3 and ECR, and an ECS whose rollouts succeed, fail or hang as a test says."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from zipfile import ZipFile, ZipInfo

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from moto import mock_aws

from microservices.deploy.rollout import Patience, Target

REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/microservices"
OLD, NEW = "0" * 40, "1" * 40
FUNCTIONS = {
    "microservices-auth": "auth",
    "microservices-authorizer": "auth",
    "microservices-users": "users",
    "microservices-notifications": "notifications",
    "microservices-notifications-worker": "notifications",
}
SERVICES = {
    "microservices-products-service": ("microservices-products", "products"),
    "microservices-orders-service": ("microservices-orders", "orders"),
    "microservices-orders-relay-service": ("microservices-orders-relay", "orders"),
}
MIGRATIONS = "microservices-migrations"
TARGET = Target(
    region="us-east-1",
    cluster="microservices-cluster",
    repositories=[f"{REGISTRY}/products", f"{REGISTRY}/orders"],
    services=list(SERVICES),
    migrations=MIGRATIONS,
    functions=FUNCTIONS,
    alias="live",
    releases_bucket="microservices-releases-test",
    site_bucket="microservices-static-test",
    distribution_id="E2QWRUHAPOMQZL",
    url="https://shop.test",
)
IMPATIENT = Patience(service=(0, 3), task=(0, 3), function=(0, 3))
SITES = {
    OLD: {"index.html": b"<html>old</html>", "old.js": b"old", "app.css": b"same"},
    NEW: {"index.html": b"<html>new</html>", "new.js": b"new", "app.css": b"same"},
}
# Of an image's own collector, which a release leaves as it is.
SIDECAR = {"name": "otel", "image": "public.ecr.aws/aws-observability/aws-otel-collector:v0.45.1"}


def zipped(files: dict[str, bytes]) -> bytes:
    """Return a zip without times: the same files give the same bytes."""
    content = io.BytesIO()
    with ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(ZipInfo(name), data)
    return content.getvalue()


class Ecs:
    """
    Task definitions, services and tasks.

    ``sick`` are families whose new tasks do not get well: the circuit breaker goes back by itself. ``stuck`` are those
    whose rollout never ends, ``exits`` the exit codes of the migrations' containers.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, dict[str, Any]] = {}
        self.deployments: dict[str, list[dict[str, Any]]] = {}
        self.sick: set[str] = set()
        self.stuck: set[str] = set()
        self.exits: list[int | None] = [0, 0, 0]
        self.unable: list[dict[str, str]] = []
        self.ran: list[dict[str, Any]] = []

    def __call__(self, *, model: Any, params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        """Answer a call; botocore has checked it against AWS's model."""
        return AWSResponse("", 200, {}, None), getattr(self, model.name)(**json.loads(params["body"]))

    def running(self) -> dict[str, str]:
        """Return the family and the image of each service."""
        return {name: self.image(found[0]["taskDefinition"]) for name, found in self.deployments.items()}

    def image(self, definition: str) -> str:
        return str(self.definitions[definition]["containerDefinitions"][0]["image"])

    def RegisterTaskDefinition(self, family: str, **fields: Any) -> dict[str, Any]:
        revision = 1 + sum(one["family"] == family for one in self.definitions.values())
        arn = f"arn:aws:ecs:us-east-1:123456789012:task-definition/{family}:{revision}"
        own = {"taskDefinitionArn": arn, "revision": revision, "status": "ACTIVE", "registeredBy": "somebody"}
        self.definitions[arn] = {"family": family, **fields, **own}
        return {"taskDefinition": self.definitions[arn]}

    def DescribeTaskDefinition(self, **given: str) -> dict[str, Any]:
        name = given["taskDefinition"]
        of_family = [one for one in self.definitions.values() if one["family"] == name]
        return {"taskDefinition": of_family[-1] if of_family else self.definitions[name]}

    def DescribeServices(self, **given: Any) -> dict[str, Any]:
        (name,) = given["services"]
        if name not in self.deployments or given["cluster"] != TARGET.cluster:
            return {"services": [], "failures": [{"arn": name, "reason": "MISSING"}]}
        found = self.deployments[name]
        network = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}}
        service = {
            "serviceName": name,
            "status": "ACTIVE",
            "desiredCount": 2,
            "runningCount": 2,
            "deployments": list(found),
            "events": [{"message": f"({name}) is as it is"}],
            "networkConfiguration": network,
        }
        self._go_on(found)
        return {"services": [service], "failures": []}

    def _go_on(self, found: list[dict[str, Any]]) -> None:
        """Let a rollout end once it has been looked at."""
        if len(found) == 1:
            return
        family = self.definitions[found[0]["taskDefinition"]]["family"]
        if family in self.sick:
            found[:] = [{**found[1], "status": "PRIMARY"}]
        elif family not in self.stuck:
            del found[1]

    def UpdateService(self, **given: str) -> dict[str, Any]:
        deployments, definition = self.deployments[given["service"]], given["taskDefinition"]
        old = [{**one, "status": "ACTIVE"} for one in deployments[:1]]
        deployments[:] = [{"status": "PRIMARY", "taskDefinition": definition}, *old]
        family = self.definitions[definition]["family"]
        if self.image(definition).endswith(digest_of(OLD)):
            self.stuck.discard(family)  # what ran before gets well
        return {"service": {}}

    def RunTask(self, **given: Any) -> dict[str, Any]:
        self.ran.append(given)
        tasks = [] if self.unable else [{"taskArn": "arn:aws:ecs:us-east-1:123456789012:task/1"}]
        return {"tasks": tasks, "failures": self.unable}

    def DescribeTasks(self, **_given: Any) -> dict[str, Any]:
        names = ("products-migrate", "orders-migrate", "products-seed")
        containers = [{"name": name, "exitCode": code} for name, code in zip(names, self.exits, strict=True)]
        for one in containers:
            if one["exitCode"] is None:
                del one["exitCode"]
        return {
            "tasks": [{"lastStatus": "STOPPED", "containers": containers, "stoppedReason": "ended"}],
            "failures": [],
        }


class Cloud:
    """An account in which the commit ``OLD`` runs, and ``NEW`` is built."""

    def __init__(self) -> None:
        self.ecs = Ecs()
        self.calls: list[str] = []
        self.invalidated: list[str] = []
        self.refuses: dict[str, Exception] = {}

    def note_call(self, *, model: Any, **_: Any) -> None:
        call = f"{model.service_model.signing_name}:{model.name}"
        self.calls.append(call)
        if call in self.refuses:
            raise self.refuses[call]

    def invalidate(self, *, params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        self.invalidated.append(params["url_path"])
        return AWSResponse("", 201, {}, None), {"Invalidation": {"Id": "I1"}}

    def site(self) -> dict[str, bytes]:
        s3 = boto3.client("s3", region_name=TARGET.region)
        names = [one["Key"] for one in s3.list_objects_v2(Bucket=TARGET.site_bucket).get("Contents", [])]
        return {name: s3.get_object(Bucket=TARGET.site_bucket, Key=name)["Body"].read() for name in names}

    def aliases(self) -> dict[str, tuple[str, str]]:
        """Return the commit, and the code, that each function's alias leads to."""
        functions = boto3.client("lambda", region_name=TARGET.region)
        found = {}
        for name in FUNCTIONS:
            alias = functions.get_alias(FunctionName=name, Name="live")
            code = functions.get_function_configuration(FunctionName=name, Qualifier="live")
            found[name] = (alias["Description"], code["CodeSha256"])
        return found

    def newest(self) -> dict[str, tuple[str, str, str]]:
        """Return each function's version that is called, its newest one, and the code that is not published."""
        functions = boto3.client("lambda", region_name=TARGET.region)
        found = {}
        for name in FUNCTIONS:
            latest, *versions = functions.list_versions_by_function(FunctionName=name)["Versions"]
            called = functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
            found[name] = (called, versions[-1]["Version"], latest["CodeSha256"])
        return found

    def state(self) -> tuple[Any, ...]:
        return self.ecs.running(), self.aliases(), self.site()


def digest_of(commit: str) -> str:
    return f"sha256:{commit[0] * 64}"


def image_of(name: str, commit: str) -> str:
    return f"{REGISTRY}/{name}@{digest_of(commit)}"


def make_containers(cloud: Cloud) -> None:
    roles = {"executionRoleArn": "arn:aws:iam::123456789012:role/start", "networkMode": "awsvpc"}
    for service, (family, name) in SERVICES.items():
        own = {"name": f"{name}-service", "image": image_of(name, OLD), "environment": [{"name": "A", "value": "1"}]}
        made = cloud.ecs.RegisterTaskDefinition(family, containerDefinitions=[own, SIDECAR], **roles)
        arn = made["taskDefinition"]["taskDefinitionArn"]
        cloud.ecs.deployments[service] = [{"status": "PRIMARY", "taskDefinition": arn}]
    steps = [{"name": f"{name}-migrate", "image": image_of(name, OLD)} for name in ("products", "orders")]
    cloud.ecs.RegisterTaskDefinition(MIGRATIONS, containerDefinitions=steps, **roles)


def make_functions() -> None:
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = boto3.client("iam").create_role(RoleName="lambda", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    functions = boto3.client("lambda", region_name=TARGET.region)
    for name, package in FUNCTIONS.items():
        code = {"ZipFile": zipped({f"{package}.py": OLD.encode()})}
        runtime = {"Runtime": "python3.13", "Handler": f"{package}.handler", "Role": role}
        functions.create_function(FunctionName=name, Code=code, Publish=True, **runtime)
        functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1", Description=OLD)


def make_files() -> None:
    s3 = boto3.client("s3", region_name=TARGET.region)
    for bucket in (TARGET.site_bucket, TARGET.releases_bucket):
        s3.create_bucket(Bucket=bucket)
    for name, content in SITES[OLD].items():
        s3.put_object(Bucket=TARGET.site_bucket, Key=name, Body=content)
    for commit in (OLD, NEW):
        zips = {package: zipped({f"{package}.py": commit.encode()}) for package in set(FUNCTIONS.values())}
        for name, content in {**zips, "site": zipped(SITES[commit])}.items():
            s3.put_object(Bucket=TARGET.releases_bucket, Key=f"{commit}/{name}.zip", Body=content)


def images(*, params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
    """Answer ECR's DescribeImages: two commits have images."""
    (tag,) = (one["imageTag"] for one in json.loads(params["body"])["imageIds"])
    known = {commit[:12]: commit for commit in (OLD, NEW)}
    if tag not in known:
        error = {"Code": "ImageNotFoundException", "Message": f"The image with imageTag {tag} does not exist"}
        return AWSResponse("", 400, {}, None), {"Error": error}
    return AWSResponse("", 200, {}, None), {"imageDetails": [{"imageDigest": digest_of(known[tag])}]}


@contextmanager
def running_cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """An account, until the block ends; every client of this process is one of it."""
    with mock_aws():
        cloud, session = Cloud(), boto3.Session(region_name=TARGET.region)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
        make_containers(cloud)
        make_functions()
        make_files()
        answers: dict[str, Callable[..., Any]] = {
            "before-call.ecs": cloud.ecs,
            "before-call.ecr.DescribeImages": images,
            "before-call.cloudfront.CreateInvalidation": cloud.invalidate,
        }
        session.events.register("before-parameter-build", cloud.note_call)
        for event, answer in answers.items():
            session.events.register(event, answer)
        yield cloud
