"""The plan that Terraform makes of the platform's files, offline: what each resource would be, by its address."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from microservices.tests.running import PROJECT
from tests.deploy.test_terraform import VALIDATE

FOLDER = PROJECT / "microservices"
# The files, and others that they refer to.
PARTS = ("openapi.yaml", "edge", "terraform")


class Plan:
    """
    One plan.

    Args:
        after: What each resource would be, by its address.
    """

    def __init__(self, after: dict[str, dict[str, Any]]) -> None:
        self._after = after

    def __getitem__(self, address: str) -> dict[str, Any]:
        return self._after[address]

    def all(self, kind: str) -> dict[str, dict[str, Any]]:
        """Resources of one type, by their names within it."""
        return {
            address.partition(".")[2]: one for address, one in self._after.items() if address.startswith(f"{kind}.")
        }

    def value(self, address: str, path: str) -> Any:
        """
        Read a value.

        Args:
            address: Address of its resource.
            path: Keys and numbers of blocks, with dots between them; they lead into texts of JSON, too.
        """
        found: Any = self[address]
        for key in path.split("."):
            found = json.loads(found) if isinstance(found, str) else found
            found = found[int(key)] if isinstance(found, list) else found[key]
        return found

    def types(self) -> set[str]:
        """The types that there are resources of."""
        return {address.partition(".")[0] for address in self._after}

    def containers(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every container of every task, with the task's family."""
        for task in self.all("aws_ecs_task_definition").values():
            for container in json.loads(task["container_definitions"]):
                yield task["family"], container

    def body(self) -> dict[str, Any]:
        """The document that the API is made of."""
        found: dict[str, Any] = json.loads(self["aws_api_gateway_rest_api.main"]["body"])
        return found


def copy_to(folder: Path) -> Path:
    """Copy what the files refer to, as it lies in the repository."""
    for part in PARTS:
        source = FOLDER / part
        if source.is_file():
            shutil.copy(source, folder)
        else:
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns(".terraform*"))
    return folder


def make_plans(folder: Path) -> dict[str, Any]:
    """
    Run ``platform.tftest.hcl``; whoever calls it has the provider to themselves.

    Args:
        folder: A copy.

    Returns:
        ``plans`` by the runs' names, with each resource by its address; ``faults``; and the last line, ``summary``.
    """
    command = [VALIDATE, "--test", folder / "terraform", folder, "--", "-json", "-verbose"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    plans, faults, summary = {}, [], done.stdout[-2000:] + done.stderr[-2000:]
    for line in done.stdout.splitlines():
        message = json.loads(line) if line.startswith("{") else {}
        if message.get("type") == "test_plan":
            changes = message["test_plan"].get("resource_changes", [])  # none where variables are refused
            plans[message["@testrun"]] = {
                change["address"]: change["change"]["after"] for change in changes if change["mode"] == "managed"
            }
        elif message.get("type") == "diagnostic" and message["@level"] == "error":
            faults.append(f"{message['diagnostic']['summary']}: {message['diagnostic']['detail']}")
        elif message.get("type") == "test_summary":
            summary = message["@message"]
    return {"plans": plans, "faults": faults, "summary": summary}
