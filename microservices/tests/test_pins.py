"""Pins: one version of a package in every file that names it, the repository's own included."""

import re

import pytest

from microservices.tests.running import PROJECT

PLATFORM = PROJECT / "microservices"
FILES = [
    PROJECT / "requirements.in",
    PROJECT / "requirements-dev.in",
    *sorted(PLATFORM.glob("requirements-*.in")),
    *sorted(PLATFORM.glob("*/requirements.in")),
]
LOCKS = [path.with_suffix(".txt") for path in FILES[2:]]
PIN = re.compile(r"([\w.-]+)(?:\[[\w,]+\])?==(\S+)\s+# \S.*")
LOCKED = re.compile(r"([\w.-]+)==([^\s;]+)(?: ; [^\\]+)?((?: --hash=sha256:[0-9a-f]{64})+)")


def pins_of(path):
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith(("#", "-r ", "-c "))]
    found = [PIN.fullmatch(line) or line for line in lines]
    assert [line for line in found if isinstance(line, str)] == [] or path.parent == PROJECT, path
    return {match[1].lower().replace("_", "-"): match[2] for match in found if not isinstance(match, str)}


def test_a_package_has_one_version_everywhere():
    versions = {}
    for path in FILES:
        for package, version in pins_of(path).items():
            versions.setdefault(package, {}).setdefault(version, []).append(str(path.relative_to(PROJECT)))

    assert {package: found for package, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("path", FILES[2:], ids=lambda path: str(path.relative_to(PROJECT)))
def test_each_pin_of_the_platform_is_exact_and_says_what_it_is_for(path):
    assert pins_of(path)


def test_the_local_run_installs_what_every_service_needs():
    included = re.findall(r"^-r (\S+)$", (PLATFORM / "requirements-local.in").read_text(), re.MULTILINE)

    assert sorted(included) == sorted(str(path.relative_to(PLATFORM)) for path in PLATFORM.glob("*/requirements.in"))
    assert "-r microservices/requirements-local.in" in (PROJECT / "requirements-dev.in").read_text()


def locked(path):
    """The packages of a list that is installed; each has its version and the hashes of its files."""
    text = re.sub(r"^ *#.*\n", "", path.read_text(), flags=re.MULTILINE)
    lines = re.sub(r" *\\\n *", " ", text).splitlines()
    found = [LOCKED.fullmatch(line) or line for line in lines]
    assert [line for line in found if isinstance(line, str)] == [], path
    return {match[1].lower().replace("_", "-"): match[2] for match in found}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_what_is_installed_has_hashes_and_the_versions_of_the_suite(path):
    """The tested packages are the deployed ones, down to those that packages need."""
    installed = locked(path)

    assert pins_of(path.with_suffix(".in")).items() <= installed.items()
    assert installed.items() <= locked(PROJECT / "requirements-dev.txt").items()
