"""Fixtures of the deployment's tests: one run of Terraform for all of them, in whichever process it is wanted first."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microservices.tests.deploy.broken_terraform import break_copy
from microservices.tests.deploy.planned import Plan, copy_to, make_plans
from tests.deploy.test_terraform import provider_to_oneself


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of the session have."""
    folder = factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of a call that only the first of the session's processes makes."""
    kept = shared_folder(factory) / f"{name}.json"
    with provider_to_oneself():
        if not kept.exists():
            kept.write_text(json.dumps(make()))
        found: dict[str, Any] = json.loads(kept.read_text())
    return found


@pytest.fixture(scope="session")
def terraform_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Terraform's plans of the files."""
    return once(tmp_path_factory, "plans", lambda: make_plans(copy_to(tmp_path_factory.mktemp("terraform"))))


@pytest.fixture(scope="session")
def broken_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Its plans of a copy in which much is wrong."""

    def make() -> dict[str, Any]:
        return make_plans(break_copy(copy_to(tmp_path_factory.mktemp("broken"))))

    return once(tmp_path_factory, "broken-plans", make)


@pytest.fixture(scope="session")
def plan(terraform_run: dict[str, Any]) -> Plan:
    """The plan of production."""
    assert "production" in terraform_run["plans"], terraform_run["summary"]
    return Plan(terraform_run["plans"]["production"])


@pytest.fixture(scope="session")
def second_plan(terraform_run: dict[str, Any]) -> Plan:
    """The plan of another environment, a cheap one with a domain."""
    return Plan(terraform_run["plans"]["a_second_environment_is_a_second_set_of_variables"])


@pytest.fixture(scope="session")
def broken_plan(broken_run: dict[str, Any]) -> Plan:
    """The plan of the broken copy's production."""
    assert "production" in broken_run["plans"], broken_run["summary"]
    return Plan(broken_run["plans"]["production"])
