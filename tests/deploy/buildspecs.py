"""Buildspecs, run as CodeBuild runs them, with programs that note their calls."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.servers import HANG_SECONDS, PROJECT

PHASES = ("install", "pre_build", "build", "post_build")
PROGRAMS = ("aws", "docker", "kubectl", "pip", "python")

# A stub notes its arguments and what it reads, says what it is told to say, and fails where it is told to.
STUB = """#!{python}
import json, os, re, sys
call = " ".join([os.path.basename(sys.argv[0]), *sys.argv[1:]])
read = sys.stdin.read() if "--password-stdin" in sys.argv else None
with open(os.environ["STUB_CALLS"], "a") as calls:
    calls.write(json.dumps([call, read]) + "\\n")
for pattern, said in json.loads(os.environ["STUB_SAYS"]).items():
    if re.search(pattern, call):
        print(said)
sys.exit(1 if re.search(os.environ["STUB_FAILS"] or "$^", call) else 0)
"""


class Build(NamedTuple):
    """What a build did: whether it succeeded, which phases began, which programs it called, what it exported."""

    succeeded: bool
    phases: list[str]
    calls: list[str]
    exported: dict[str, str]

    def place(self, pattern: str) -> int:
        """Where the one call is that matches."""
        found = [number for number, call in enumerate(self.calls) if re.search(pattern, call)]
        assert len(found) == 1, f"{pattern}: {len(found)} in {self.calls}"
        return found[0]

    def has(self, pattern: str) -> bool:
        return any(re.search(pattern, call) for call in self.calls)


def stubbed(folder: Path, *, says: dict[str, str], fails: str = "") -> dict[str, str]:
    """Return an environment in which programs are stubs, which note their calls in the file ``calls``."""
    (folder / "calls").touch()
    for name in PROGRAMS:
        (folder / name).write_text(STUB.format(python=sys.executable))
        (folder / name).chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "STUB_CALLS": f"{folder}/calls", "STUB_SAYS": json.dumps(says), "STUB_FAILS": fails}


def run_phase(commands: list[str], env: dict[str, str], folder: Path) -> tuple[bool, dict[str, str]]:
    """Run commands one by one in one shell's environment; the first that fails is the last."""
    for command in commands:
        script = ["bash", "-c", f"{command}\nstatus=$?; env -0 >{folder}/env; exit $status"]
        done = subprocess.run(script, check=False, cwd=PROJECT, env=env, timeout=HANG_SECONDS, capture_output=True)
        pairs = (folder / "env").read_text().split("\0")
        env = dict(pair.split("=", 1) for pair in pairs if pair)
        if done.returncode != 0:
            return False, env
    return True, env


def built(text: str, folder: Path, *, fails: str = "", says: dict[str, str] | None = None, **given: str) -> Build:
    """
    Run a buildspec.

    Follows CodeBuild's "Build phase transitions": a phase that fails ends the build, but after `build` there is
    `post_build` all the same, unless `on-failure` is ABORT.
    """
    spec, calls = yaml.safe_load(text), folder / "calls"
    env = stubbed(folder, says=says or {}, fails=fails)
    env |= {name: str(value) for name, value in spec["env"].get("variables", {}).items()} | given
    began, succeeded = [], True
    for name in [phase for phase in PHASES if phase in spec["phases"]]:
        phase = spec["phases"][name]
        began.append(name)
        good, env = run_phase(phase["commands"], env, folder)
        succeeded = succeeded and good
        if not good and (name != "build" or phase.get("on-failure") == "ABORT"):
            break
    lines = [json.loads(line) for line in calls.read_text().splitlines()]
    assert all(read in (None, "a-token\n") for _, read in lines)
    exported = {name: env.get(name, "") for name in spec["env"].get("exported-variables", [])}
    return Build(succeeded, began, [call for call, _ in lines], exported)


def check_shape(text: str) -> None:
    """
    Check that a buildspec's members are those of the "Build specification reference for CodeBuild".

    Args:
        text: The buildspec, each of whose phases ends the build where it fails.
    """
    spec = yaml.safe_load(text)
    assert spec["version"] == 0.2  # from which on a phase's commands share one shell
    assert set(spec) <= {"version", "env", "phases", "cache", "artifacts", "reports", "proxy", "batch", "run-as"}
    assert set(spec["env"]) <= {"shell", "variables", "exported-variables", "parameter-store", "secrets-manager"}
    assert set(spec["phases"]) <= set(PHASES)
    assert all(phase["on-failure"] == "ABORT" for phase in spec["phases"].values())
