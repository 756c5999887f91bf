"""
Parts of a release: containers, functions, pages. Each notes what runs, rolls a release out, and goes back to its note.

Names come from Terraform's output ``release``.
"""

import io
import json
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4
from zipfile import ZipFile

import boto3
from botocore.exceptions import WaiterError

from microservices.local.words import say

TAG_DIGITS = 12  # of a commit, in an image's tag
LAST_EVENTS = 5


class ReleaseFailed(Exception):
    """A release that cannot be rolled out, or that does not work."""


@dataclass(frozen=True)
class Target:
    """The place that releases go to, as Terraform's output ``release`` has it."""

    region: str
    cluster: str
    repositories: list[str]  # registry and name of products' and orders' images
    services: list[str]  # of ECS, those that others ask first
    migrations: str  # family of the task that brings the schemas up to date
    functions: dict[str, str]  # package of its zip, by the function's name
    alias: str  # version of a function that is called
    releases_bucket: str | None  # zips of each commit, in its folder; none without a pipeline
    site_bucket: str
    distribution_id: str
    url: str

    @classmethod
    def read(cls, text: str) -> "Target":
        """
        Read the output.

        Args:
            text: The output as JSON.

        Returns:
            The place.

        Raises:
            ReleaseFailed: It is no JSON object, or its fields are others.
        """
        try:
            fields = json.loads(text)
        except ValueError:
            fields = None
        if not isinstance(fields, dict) or set(fields) != set(cls.__dataclass_fields__):
            wanted = ", ".join(cls.__dataclass_fields__)
            raise ReleaseFailed(f"RELEASE_TARGET must be the JSON of `terraform output -json release`, with {wanted}")
        return cls(**fields)


@dataclass(frozen=True)
class Release:
    """One commit: its images by their repositories, ``…/products@sha256:…``, and the bucket of its zips."""

    commit: str
    images: dict[str, str]
    bucket: str

    def key(self, name: str) -> str:
        """Return the key of a zip in the bucket."""
        return f"{self.commit}/{name}.zip"


@dataclass(frozen=True)
class Patience:
    """Times between two looks, in seconds, and the most looks."""

    service: tuple[float, int] = (15, 60)  # 15 minutes: ECS gives a rollout up after three tasks that did not get well
    task: tuple[float, int] = (6, 300)  # half an hour for migrations
    function: tuple[float, int] = (1, 300)


def find_release(target: Target, commit: str) -> Release:
    """
    Find what the stage Build has left of a commit.

    Args:
        target: The place.
        commit: The commit, 40 hex digits.

    Returns:
        The release, whose images and zips are all there.

    Raises:
        ReleaseFailed: A zip is missing, or nothing says where zips are.
        ClientError: An image is missing, or AWS has refused a call.
    """
    if not target.releases_bucket:
        raise ReleaseFailed("releases_bucket: there is no pipeline, so nothing is built; terraform apply rolls out")
    ecr, s3 = (boto3.client(service, region_name=target.region) for service in ("ecr", "s3"))
    tag = {"imageTag": commit[:TAG_DIGITS]}
    images = {}
    for repository in target.repositories:
        answer = ecr.describe_images(repositoryName=repository.partition("/")[2], imageIds=[tag])
        images[repository] = f"{repository}@{answer['imageDetails'][0]['imageDigest']}"
    release = Release(commit, images, target.releases_bucket)
    there = s3.list_objects_v2(Bucket=release.bucket, Prefix=f"{commit}/").get("Contents", [])
    missing = {release.key(name) for name in (*target.functions.values(), "site")} - {one["Key"] for one in there}
    if missing:
        raise ReleaseFailed(f"{release.bucket} has no {', '.join(sorted(missing))}")
    return release


class Containers:
    """
    Services and the migrations' task of ECS.

    Args:
        target: The place.
        patience: Times that it waits.
    """

    name = "containers"

    def __init__(self, target: Target, patience: Patience) -> None:
        self._target = target
        self._patience = patience
        self._ecs = boto3.client("ecs", region_name=target.region)

    def note(self) -> dict[str, str]:
        """Return the task definition of each service."""
        return {service: self._primary(service)["taskDefinition"] for service in self._target.services}

    def migrate(self, release: Release) -> None:
        """
        Bring the schemas up to date, by one task of the new images.

        Args:
            release: The release.

        Raises:
            ReleaseFailed: The task could not start, or one of its containers failed.
        """
        definition = self._definition(self._target.migrations, release.images)
        started = self._ecs.run_task(
            cluster=self._target.cluster,
            taskDefinition=definition,
            launchType="FARGATE",
            networkConfiguration=self._service(self._target.services[0])["networkConfiguration"],
            startedBy=release.commit[:TAG_DIGITS],
        )
        if started["failures"]:
            raise ReleaseFailed(f"the migrations do not start: {started['failures']}")
        self._end(started["tasks"][0]["taskArn"])

    def _end(self, task: str) -> None:
        which = {"cluster": self._target.cluster, "tasks": [task]}
        try:
            self._ecs.get_waiter("tasks_stopped").wait(**which, WaiterConfig=waiting(self._patience.task))
        except WaiterError as error:
            raise ReleaseFailed(f"the migrations still run: {task}") from error
        stopped = self._ecs.describe_tasks(**which)["tasks"][0]
        failed = {one["name"]: one.get("exitCode") for one in stopped["containers"] if one.get("exitCode") != 0}
        if failed:
            reason = stopped.get("stoppedReason", "")
            raise ReleaseFailed(f"the migrations failed: {failed} ({reason}); log group /ecs/{self._target.migrations}")

    def roll_out(self, release: Release) -> None:
        """
        Give each service its new image, one after the other.

        Args:
            release: The release.

        Raises:
            ReleaseFailed: New tasks do not get well.
        """
        for service in self._target.services:
            current = self._primary(service)["taskDefinition"]
            definition = self._definition(current, release.images)
            if definition != current:
                self._update(service, definition)
                self._settle(service, definition)

    def go_back(self, noted: dict[str, str]) -> None:
        """
        Give services the task definitions that were noted.

        Args:
            noted: The note.

        Raises:
            ReleaseFailed: These tasks do not get well either.
        """
        changed = {name: was for name, was in noted.items() if self._primary(name)["taskDefinition"] != was}
        for service, definition in changed.items():
            self._update(service, definition)
        for service, definition in changed.items():
            self._settle(service, definition)

    def _definition(self, name: str, images: dict[str, str]) -> str:
        """Register a task definition like another one, but with new images; where these are its own, return it."""
        current = self._ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]
        containers = [
            {**one, "image": images.get(one["image"].partition("@")[0], one["image"])}
            for one in current["containerDefinitions"]
        ]
        if containers == current["containerDefinitions"]:
            return str(current["taskDefinitionArn"])
        fields = self._ecs.meta.service_model.operation_model("RegisterTaskDefinition").input_shape.members
        kept = {field: value for field, value in current.items() if field in fields}
        registered = self._ecs.register_task_definition(**kept | {"containerDefinitions": containers})
        return str(registered["taskDefinition"]["taskDefinitionArn"])

    def _update(self, service: str, definition: str) -> None:
        self._ecs.update_service(cluster=self._target.cluster, service=service, taskDefinition=definition)
        say(f"{service}: {definition.rpartition('/')[2]}")

    def _settle(self, service: str, definition: str) -> None:
        which = {"cluster": self._target.cluster, "services": [service]}
        try:
            self._ecs.get_waiter("services_stable").wait(**which, WaiterConfig=waiting(self._patience.service))
            settled = True
        except WaiterError:
            settled = False
        # Stable may be what ran before: ECS's circuit breaker takes a rollout back by itself, and the service is
        # stable again (aws-actions/amazon-ecs-deploy-task-definition, issue 191).
        if not settled or self._primary(service)["taskDefinition"] != definition:
            events = [event["message"] for event in self._service(service)["events"][:LAST_EVENTS]]
            raise ReleaseFailed("\n  ".join([f"{service} does not get well with {definition}", *events]))

    def _service(self, name: str) -> dict[str, Any]:
        answer = self._ecs.describe_services(cluster=self._target.cluster, services=[name])
        if answer["failures"]:
            raise ReleaseFailed(f"{self._target.cluster} has no service {name}")
        service: dict[str, Any] = answer["services"][0]
        return service

    def _primary(self, name: str) -> dict[str, Any]:
        """Return the newest deployment of a service."""
        return next(one for one in self._service(name)["deployments"] if one["status"] == "PRIMARY")


class Functions:
    """
    Lambda functions, which are called by their alias.

    Args:
        target: The place.
        patience: Times that it waits.
    """

    name = "functions"

    def __init__(self, target: Target, patience: Patience) -> None:
        self._target = target
        self._patience = patience
        self._lambda = boto3.client("lambda", region_name=target.region)

    def note(self) -> dict[str, tuple[str, str]]:
        """Return the version of each function's alias, and the description of the alias: its commit."""
        found = {}
        for function in self._target.functions:
            alias = self._lambda.get_alias(FunctionName=function, Name=self._target.alias)
            found[function] = (alias["FunctionVersion"], alias.get("Description", ""))
        return found

    def roll_out(self, release: Release) -> None:
        """
        Publish each function, then let the aliases name what was published.

        Args:
            release: The release.
        """
        published = {
            function: self._publish(function, release.commit, S3Bucket=release.bucket, S3Key=release.key(package))
            for function, package in self._target.functions.items()
        }
        for function, version in published.items():
            self._point(function, version, release.commit)

    def go_back(self, noted: dict[str, tuple[str, str]]) -> None:
        """
        Let the aliases name the versions that were noted.

        Args:
            noted: The note.
        """
        now = self.note()
        for function, was in noted.items():
            if now[function] != was:
                self._point(function, *was)

    def publish_again(self, zips: dict[str, bytes]) -> None:
        """
        Let what is called be the newest version of its function, too; after a roll back it is not.

        Terraform's provider reads a function's newest version, and an apply lets the alias name that one.

        Args:
            zips: The code that is called, by packages.
        """
        for function, (version, commit) in self.note().items():
            pages = self._lambda.get_paginator("list_versions_by_function").paginate(FunctionName=function)
            codes = {one["Version"]: one["CodeSha256"] for page in pages for one in page["Versions"]}
            latest = codes.pop("$LATEST")
            if version != max(codes, key=int) or codes[version] != latest:
                again = self._publish(function, commit, ZipFile=zips[self._target.functions[function]])
                self._point(function, again, commit)

    def _publish(self, function: str, commit: str, **code: Any) -> str:
        wait = {"FunctionName": function, "WaiterConfig": waiting(self._patience.function)}
        digest = self._lambda.update_function_code(FunctionName=function, **code)["CodeSha256"]
        self._lambda.get_waiter("function_updated_v2").wait(**wait)
        published = self._lambda.publish_version(FunctionName=function, CodeSha256=digest, Description=commit)
        version = str(published["Version"])
        self._lambda.get_waiter("published_version_active").wait(**wait, Qualifier=version)
        return version

    def _point(self, function: str, version: str, description: str) -> None:
        self._lambda.update_alias(
            FunctionName=function, Name=self._target.alias, FunctionVersion=version, Description=description
        )
        say(f"{function}: version {version}")


class Site:
    """
    Pages of the shop, in their bucket.

    Args:
        target: The place.
    """

    name = "site"

    def __init__(self, target: Target) -> None:
        self._target = target
        self._s3 = boto3.client("s3", region_name=target.region)
        self._cloudfront = boto3.client("cloudfront", region_name=target.region)

    def note(self) -> dict[str, bytes]:
        """Return the files that are served, by their names."""
        return {name: self._read(self._target.site_bucket, name) for name in self._names()}

    def roll_out(self, release: Release) -> None:
        """
        Put a commit's files in place of those that are there.

        Args:
            release: The release.
        """
        with ZipFile(io.BytesIO(self._read(release.bucket, release.key("site")))) as archive:
            self.go_back({name: archive.read(name) for name in archive.namelist() if not name.endswith("/")})

    def go_back(self, files: dict[str, bytes]) -> None:
        """
        Let files be those that are served; the first page, which names the others, is written last.

        Args:
            files: Their bytes by their names.
        """
        there = self.note()
        for name in sorted(files, key=lambda name: (name == "index.html", name)):
            if there.get(name) != files[name]:
                kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
                self._s3.put_object(Bucket=self._target.site_bucket, Key=name, Body=files[name], ContentType=kind)
        for name in set(there) - set(files):
            self._s3.delete_object(Bucket=self._target.site_bucket, Key=name)
        if there != files:
            self._forget_copies()

    def _forget_copies(self) -> None:
        """Let CloudFront ask the bucket anew."""
        paths = {"Quantity": 1, "Items": ["/*"]}
        made = self._cloudfront.create_invalidation(
            DistributionId=self._target.distribution_id,
            InvalidationBatch={"Paths": paths, "CallerReference": str(uuid4())},
        )
        say(f"{self._target.site_bucket}: invalidation {made['Invalidation']['Id']}")

    def _names(self) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._target.site_bucket)
        return (one["Key"] for page in pages for one in page.get("Contents", []))

    def _read(self, bucket: str, key: str) -> bytes:
        content: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content


def waiting(patience: tuple[float, int]) -> dict[str, float]:
    """Return the settings of a waiter of AWS's library."""
    delay, looks = patience
    return {"Delay": delay, "MaxAttempts": looks}
