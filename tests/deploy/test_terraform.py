"""The pipeline's Terraform, before Terraform (its form, the provider's schema, what it plans) and before Checkov."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.deploy.mutations import broken, mutations
from tests.servers import PROJECT, wait_until

FILE = PROJECT / "post-cicd.tf"
TESTS = Path(__file__).with_name("pipeline.tftest.hcl")
VALIDATE = PROJECT.parent / "shared" / "tools" / "terraform-validate"
VALIDATE_ROOT = Path(os.environ.get("TF_VALIDATE_ROOT", "/var/tmp/post-service-terraform"))

needs_terraform = pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform on this machine")
needs_schema = pytest.mark.skipif(
    not VALIDATE.exists() or shutil.which("terraform") is None,
    reason="no terraform-validate beside the project, which has the provider's schema",
)


@contextmanager
def provider_to_oneself() -> Iterator[None]:
    """Terraform-validate lays its provider out anew each time: not while another process of the suite runs it."""
    with (Path(tempfile.gettempdir()) / "post-service-terraform.lock").open("w") as file:

        def is_locked() -> bool:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            return False

        wait_until(is_locked, what=f"another process keeps {file.name}")
        yield


def validate(folder: Path) -> tuple[int, str]:
    with provider_to_oneself():
        return run(VALIDATE, folder)


def run(*command: str | Path, folder: Path = PROJECT, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Run a program; its exit status, and all that it says."""
    done = subprocess.run(
        command, check=False, cwd=folder, env=env, stdout=-1, stderr=subprocess.STDOUT, text=True, timeout=300
    )
    return done.returncode, done.stdout


@pytest.fixture(scope="session")
def validated() -> tuple[int, str]:
    """What terraform-validate says; it also sets up the provider that the plans are made with."""
    return validate(PROJECT)


@needs_terraform
@pytest.mark.parametrize("file", [FILE, TESTS], ids=lambda file: file.name)
def test_a_file_is_laid_out_as_terraform_lays_it_out(file):
    status, said = run("terraform", "fmt", "-check", "-diff", "-no-color", file)

    assert status == 0, said


@needs_terraform
def test_another_layout_is_refused(tmp_path):
    (tmp_path / FILE.name).write_text(broken(FILE.read_text(), ("  region = var.region", "    region = var.region")))

    assert run("terraform", "fmt", "-check", folder=tmp_path)[0] != 0


@needs_schema
def test_the_provider_s_schema_is_kept(validated):
    status, said = validated

    assert status == 0, said


@needs_schema
@mutations(
    ("no such argument", "enable_key_rotation ", "rotate_key          ", "Unsupported argument"),
    ("no such resource", "location = aws_s3_bucket.artifacts", "location = aws_s3_bucket.other", "undeclared resource"),
)
def test_the_provider_s_schema_refuses_a_broken_copy(old, new, check, tmp_path):
    (tmp_path / FILE.name).write_text(broken(FILE.read_text(), (old, new)))

    status, said = validate(tmp_path)

    assert status != 0
    assert check in said


def planned(text: str, folder: Path) -> tuple[int, str]:
    """Run pipeline.tftest.hcl against a copy."""
    env = {**os.environ, "TF_CLI_CONFIG_FILE": str(VALIDATE_ROOT / "terraform.rc"), "TF_IN_AUTOMATION": "1"}
    (folder / FILE.name).write_text(text)
    shutil.copy(TESTS, folder)
    with provider_to_oneself():
        assert run("terraform", "init", "-backend=false", "-input=false", folder=folder, env=env)[0] == 0
        return run("terraform", "test", "-no-color", folder=folder, env=env)


@needs_schema
def test_it_plans_two_environments_and_refuses_wrong_variables(validated, tmp_path):
    status, said = planned(FILE.read_text(), tmp_path)

    assert status == 0, said
    assert "3 passed, 0 failed" in said


@needs_schema
def test_what_is_planned_from_a_broken_copy_is_refused(validated, tmp_path):
    edits = [
        ("alias/${local.name}", "alias/post-service-prod"),
        ("731], var.log_days)", "731], var.log_days) || true"),
    ]

    status, said = planned(broken(FILE.read_text(), *edits), tmp_path)

    assert status != 0
    assert "something has the other environment's name" in said
    assert "Missing expected failure" in said
