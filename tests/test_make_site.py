"""`make run` and `make site`: when the pages are built, and what is said where they cannot be."""

import os
import shutil
import subprocess

import pytest

from tests.servers import HANG_SECONDS, PROJECT

TOOLS = ("bash", "sh", "make", "touch", "env")
WITHOUT = "without them / leads to the API's documentation\n"
NO_NODE = f"The pages need Node.js 20.19 or newer with npm; {WITHOUT}"


def stub(path, script):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def make(tmp_path):
    """A checkout with the Makefile, made-up sources, and a service that says that it is served; runs its targets."""
    if shutil.which("make") is None:
        pytest.skip("no make on this machine")
    checkout, tools = tmp_path / "checkout", tmp_path / "tools"
    checkout.mkdir(), tools.mkdir()
    shutil.copy(PROJECT / "Makefile", checkout)
    for name in ("requirements.txt", "site/package-lock.json"):
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).touch()
    stub(checkout / ".venv" / "bin" / "python", "echo served")
    (checkout / ".venv" / "run").touch()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name))

    def run(target, **programs):
        for name, script in programs.items():
            stub(tools / name, script)
        env = {"PATH": str(tools), "HOME": str(tmp_path)}
        done = subprocess.run(
            [shutil.which("make"), target],
            cwd=checkout,
            env=env,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout

    return run


# Stand-ins: node is asked for its version by -e, and else if the build is current.
NEW_NODE = 'case "$1" in -e) exit 0 ;; esac; exit 1'
OLD_NODE = "exit 1"
CURRENT = "exit 0"
NPM = 'case "$*" in *build*) echo built ;; esac'


def test_without_node_the_service_runs_and_one_line_says_what_is_missing(make):
    status, said = make("run")

    assert (status, said) == (0, f"{NO_NODE}served\n")


def test_an_old_node_is_none(make):
    assert make("run", node=OLD_NODE, npm=NPM)[1] == f"{NO_NODE}served\n"


def test_with_node_the_pages_are_built_first(make):
    status, said = make("run", node=NEW_NODE, npm=f"{NPM}; {mkdir()}")

    assert (status, said) == (0, "Installing site/package-lock.json\nbuilt\nserved\n")


def test_what_is_current_is_not_built_again(make):
    make("site", node=NEW_NODE, npm=f"{NPM}; {mkdir()}")

    assert make("run", node=CURRENT) == (0, "served\n")


def test_pages_that_cannot_be_built_are_no_reason_not_to_serve(make):
    status, said = make("run", node=NEW_NODE, npm="exit 1")

    assert status == 0
    assert said.endswith(f"The pages are not built (see above); {WITHOUT}served\n")


def mkdir():
    """Return a command that makes the folder of packages without a program in ``PATH``."""
    return f"{shutil.which('mkdir', path=os.defpath)} -p node_modules"
