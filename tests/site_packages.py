"""The npm packages of ``tests/site``, for clients of the service in tests, and of the site itself."""

import os
from pathlib import Path

import pytest

from tests.servers import PROJECT

SITE = PROJECT / "tests" / "site"


def npm_packages(site: Path = SITE) -> Path:
    """Return the folder of the packages; without them, skip the module, or fail in CI."""
    packages = site / "node_modules"
    if not packages.is_dir():
        name = site.relative_to(PROJECT)
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} needs its packages: make {name}/node_modules", pytrace=False)
        pytest.skip(f"no packages of {name} (Node.js and npm, then: make test)", allow_module_level=True)
    return packages
