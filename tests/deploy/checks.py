"""What the files of a deployment are held against: programs that know their formats, and the service itself."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from post.openapi.document import new_openapi_app
from post.routes import system
from tests.servers import HANG_SECONDS, PROJECT

CHECKOV = shutil.which("checkov", path=os.pathsep.join([str(PROJECT / ".venv/checkov/bin"), os.environ["PATH"]]))

if CHECKOV is None and os.environ.get("CI") == "true":
    raise RuntimeError("no Checkov: make .venv/checkov")
FRAMEWORKS = ("dockerfile", "kubernetes", "terraform")
needs_checkov = pytest.mark.skipif(CHECKOV is None, reason="no Checkov on this machine: make .venv/checkov")


def tool(name: str, *arguments: str | Path) -> tuple[int, str]:
    """Run a program of the virtual environment; its exit status, and all that it says."""
    command = [Path(sys.executable).parent / name, *arguments]
    done = subprocess.run(command, check=False, stdout=-1, stderr=subprocess.STDOUT, text=True, timeout=HANG_SECONDS)
    return done.returncode, done.stdout


def hadolint(text: str, folder: Path) -> set[str]:
    """The rules of hadolint and ShellCheck that a Dockerfile breaks."""
    path = folder / "Dockerfile"
    path.write_text(text)
    return set(re.findall(r"\b(?:DL|SC)\d{4}\b", tool("hadolint", "--no-color", path)[1]))


def checkov(files: dict[str, str], folder: Path) -> dict[str, set[str]]:
    """
    Have Checkov look at copies of files, at all at once, for it takes its time to start.

    Args:
        files: Their texts, by their paths in the project: one for each of Checkov's frameworks.
        folder: Where the copies are put.

    Returns:
        The ids of its checks by what they have come to: ``passed``, ``failed``, ``skipped``.
    """
    for name, text in files.items():
        copy = folder / name
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(text)
    checked = checkov_results(folder, *FRAMEWORKS)
    return {kind: {check["check_id"] for check in found} for kind, found in checked.items()}


def checkov_results(folder: Path, *frameworks: str) -> dict[str, list[dict[str, Any]]]:
    """
    Have Checkov look at a folder.

    Args:
        folder: The folder, which has files of each framework.
        frameworks: Checkov's names of what is looked for.

    Returns:
        Its checks by what they have come to: ``passed``, ``failed``, ``skipped``.
    """
    command = [CHECKOV, "--directory", folder, "--framework", *frameworks, "--skip-download", "--output", "json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    reports = json.loads(done.stdout)  # of one framework, it is no list
    found = [report["results"] for report in (reports if isinstance(reports, list) else [reports])]
    assert [results["parsing_errors"] for results in found] == [[]] * len(frameworks)
    return {
        kind: [check for results in found for check in results[f"{kind}_checks"]]
        for kind in ("passed", "failed", "skipped")
    }


def known_paths() -> set[str]:
    """The paths around the board that the service answers, its probes' among them."""
    app = new_openapi_app(__name__)
    app.register_api(system.bp)
    return {rule.rule for rule in app.url_map.iter_rules()}


def waited_seconds(buildspec: str) -> int:
    """How long a rollout is waited for, and then the roll-back."""
    found = re.search(r"^    ROLLOUT_TIMEOUT: (\d+)m$", buildspec, re.M)
    assert found is not None
    return int(found[1]) * 60


def graceful_seconds() -> int:
    """How long gunicorn lets requests end once it is told to stop."""
    found = re.search(r"^graceful_timeout = (\d+)\b", (PROJECT / "gunicorn.conf.py").read_text(), re.M)
    assert found is not None
    return int(found[1])


def seconds_of(configuration: str, directive: str) -> int:
    """What a directive of nginx sets, where it sets seconds."""
    found = re.search(rf"^ *{directive} (\d+)s;", configuration, re.M)
    assert found is not None
    return int(found[1])
