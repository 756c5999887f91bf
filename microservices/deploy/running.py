"""
The release that runs, for an apply of Terraform: its images' digests as variables, and its functions' zips.

Without them, an apply would roll out the release of the last apply, or one that was taken back: the newest versions of
functions are made those that are called.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import boto3
import urllib3
from botocore.exceptions import BotoCoreError, ClientError

from microservices.deploy.rollout import Containers, Functions, Patience, ReleaseFailed, Target
from microservices.local.words import say

FOLDER = Path(__file__).parents[2] / "instance"


def digests(target: Target) -> dict[str, str]:
    """
    Look up the images that run.

    Args:
        target: The place.

    Returns:
        Each image's digest, by the last part of its repository's name, such as ``products``.
    """
    ecs = boto3.client("ecs", region_name=target.region)
    found = {}
    for definition in Containers(target, Patience()).note().values():
        task = ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]
        for container in task["containerDefinitions"]:
            repository, _, digest = container["image"].partition("@")
            if repository in target.repositories:
                found[repository.rpartition("/")[2]] = digest
    return found


def called_zips(target: Target) -> dict[str, bytes]:
    """
    Fetch the zips of the functions that are called.

    Args:
        target: The place.

    Returns:
        The zips, by their packages' names.

    Raises:
        ReleaseFailed: Functions of one package run different code, or a zip cannot be had.
    """
    functions, pool = boto3.client("lambda", region_name=target.region), urllib3.PoolManager()
    found: dict[str, dict[str, Any]] = {}
    for function, package in target.functions.items():
        called = functions.get_function(FunctionName=function, Qualifier=target.alias)
        one = found.setdefault(package, called)
        if one["Configuration"]["CodeSha256"] != called["Configuration"]["CodeSha256"]:
            other = one["Configuration"]["FunctionName"]
            raise ReleaseFailed(f"{other} and {function} run different code of {package}: release one commit to both")
    return {package: download(pool, package, one["Code"]["Location"]) for package, one in found.items()}


def download(pool: urllib3.PoolManager, package: str, url: str) -> bytes:
    """Fetch a package's zip."""
    answer = pool.request("GET", url)
    if answer.status != 200:
        raise ReleaseFailed(f"{package}: its zip was answered {answer.status}")
    return bytes(answer.data)


def environment_name() -> str:
    """Return the environment's name, which its files have."""
    name = os.environ.get("ENVIRONMENT", "")
    if not name:
        raise ReleaseFailed("ENVIRONMENT must be the environment's name, such as prod")
    return name


def main() -> None:
    """Write ``instance/running-ENVIRONMENT.tfvars.json`` and ``instance/zips-ENVIRONMENT/``, which it names."""
    try:
        environment = environment_name()
        target = Target.read(os.environ.get("RELEASE_TARGET", ""))
        zips = called_zips(target)
        Functions(target, Patience()).publish_again(zips)
        folder = FOLDER / f"zips-{environment}"
        folder.mkdir(parents=True, exist_ok=True)
        for package, content in zips.items():
            (folder / f"{package}.zip").write_bytes(content)
        values = {"image_digests": digests(target), "zip_folder": f"../../{folder.relative_to(FOLDER.parent)}"}
        variables = FOLDER / f"running-{environment}.tfvars.json"
        variables.write_text(json.dumps(values))
    except (BotoCoreError, ClientError, ReleaseFailed) as error:
        sys.exit(str(error))
    say(f"{variables.relative_to(FOLDER.parent)}: {variables.read_text()}")


if __name__ == "__main__":
    main()
