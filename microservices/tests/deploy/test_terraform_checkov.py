"""The platform's Terraform before Checkov: no fault, and each that is suppressed has its reason."""

import re
import shutil
from pathlib import Path

import pytest

from microservices.tests.deploy.planned import FOLDER
from tests.deploy.checks import checkov_results, needs_checkov
from tests.deploy.mutations import broken

FILES = sorted((FOLDER / "terraform").rglob("*.tf"))
SKIP = re.compile(r"#checkov:skip=(\w+):(.*)")
SUPPRESSED = {rule: reason for path in FILES for rule, reason in SKIP.findall(path.read_text())}
EDITS = {
    "rds.tf": ("storage_encrypted     = true", "storage_encrypted     = false"),
    "logs.tf": ("enable_key_rotation     = true", "enable_key_rotation     = false"),
    "ecr.tf": ("scan_on_push = true", "scan_on_push = false"),
    "storage.tf": ("block_public_acls       = true", "block_public_acls       = false"),
    "alb.tf": ("drop_invalid_header_fields = true", "drop_invalid_header_fields = false"),
}
FOUND_BROKEN = {"CKV_AWS_16", "CKV_AWS_7", "CKV_AWS_163", "CKV_AWS_53", "CKV_AWS_131"}


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """The files, and beside them a copy that is broken and has nothing suppressed: Checkov takes its time to start."""
    folder = tmp_path_factory.mktemp("checkov")
    for name in ("whole", "broken"):
        (folder / name / "terraform" / "pipeline").mkdir(parents=True)
        shutil.copytree(FOLDER / "edge", folder / name / "edge")
        for path in FILES:
            text = path.read_text()
            if name == "broken":
                text = SKIP.sub("", broken(text, EDITS[path.name]) if path.name in EDITS else text)
            (folder / name / path.relative_to(FOLDER)).write_text(text)
    results = checkov_results(folder, "terraform")
    return {
        name: {
            kind: [one for one in found if Path(one["file_path"]).parts[1] == name] for kind, found in results.items()
        }
        for name in ("whole", "broken")
    }


def rules(checks):
    return {one["check_id"] for one in checks}


def places(checks):
    """A check's rule and its resource, of which a loop makes several."""
    return {(one["check_id"], one["resource"].partition("[")[0]) for one in checks}


@needs_checkov
def test_checkov_finds_no_fault(checked):
    found = checked["whole"]

    assert [(one["check_id"], one["resource"]) for one in found["failed"]] == []
    assert len(found["passed"]) > 300
    assert rules(found["skipped"]) == set(SUPPRESSED)
    assert all(len(reason) >= len("As above.") for reason in SUPPRESSED.values())


@needs_checkov
def test_checkov_would_find_what_is_suppressed_and_what_is_broken(checked):
    assert rules(checked["broken"]["failed"]) >= FOUND_BROKEN
    assert places(checked["broken"]["failed"]) >= places(checked["whole"]["skipped"])
