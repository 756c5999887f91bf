"""The npm packages of ``tests/site``, for clients of the service in tests."""

import os
from pathlib import Path

import pytest

from tests.servers import PROJECT

SITE = PROJECT / "tests" / "site"
PACKAGES = SITE / "node_modules"


def npm_packages() -> Path:
    """Return the folder of the packages; without them, skip the module, or fail in CI."""
    if not PACKAGES.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail("tests/site needs its packages: make tests/site/node_modules", pytrace=False)
        pytest.skip("no packages of tests/site (Node.js and npm, then: make test)", allow_module_level=True)
    return PACKAGES
