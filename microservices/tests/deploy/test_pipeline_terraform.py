"""The pipeline's module before Terraform: its form, the provider's schema, and what it plans."""

import shutil

import pytest

from microservices.local.terraform import FOLDER
from tests.deploy.mutations import broken
from tests.deploy.test_terraform import VALIDATE, needs_schema, needs_terraform, provider_to_oneself, run

MODULE = FOLDER / "pipeline"


def planned(folder):
    """Run the module's tests: the exit status, and all that terraform says."""
    with provider_to_oneself():
        return run(VALIDATE, "--test", folder)


@needs_terraform
@pytest.mark.parametrize("file", [FOLDER / "pipeline.tf", *sorted(MODULE.rglob("*.*"))], ids=lambda file: file.name)
def test_a_file_is_laid_out_as_terraform_lays_it_out(file):
    status, said = run("terraform", "fmt", "-check", "-diff", "-no-color", file)

    assert status == 0, said


@needs_schema
@pytest.mark.slow
def test_it_plans_two_environments():
    status, said = planned(MODULE)

    assert status == 0, said
    assert "2 passed, 0 failed" in said


@needs_schema
@pytest.mark.slow
def test_what_is_planned_from_a_broken_copy_is_refused(tmp_path):
    edits = [
        ("alias/${var.name}-pipeline", "alias/microservices-pipeline"),
        ('execution_mode = "SUPERSEDED"', 'execution_mode = "PARALLEL"'),
        ("    resources = var.task_role_arns\n", '    resources = ["*"]\n'),
    ]
    shutil.copytree(MODULE, tmp_path, dirs_exist_ok=True)
    (tmp_path / "main.tf").write_text(broken((MODULE / "main.tf").read_text(), *edits))

    status, said = planned(tmp_path)

    assert status != 0
    for message in ("two releases could be", "give tasks other roles", "reaches everything", "the other environment's"):
        assert message in said
