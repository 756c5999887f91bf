"""A client in TypeScript whose types are made from the OpenAPI document."""

import json
import shutil
import subprocess

import pytest

from tests.servers import UNLIMITED, running_service
from tests.site_packages import SITE, npm_packages
from tests.test_service import token

PROGRAMS = npm_packages() / ".bin"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running_service(tmp_path_factory.mktemp("service"), **UNLIMITED) as service:
        yield service


def run(folder, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_sound_and_creates_a_post_without_a_category(service, tmp_path):
    for name in ("client.ts", "tsconfig.json", "package.json"):
        shutil.copy(SITE / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(npm_packages())

    run(tmp_path, f"{PROGRAMS}/openapi-typescript", f"{service.url}/api/openapi.json", "--output", "api.ts")
    run(tmp_path, f"{PROGRAMS}/tsc", "--project", ".")
    bearer = token(service.url)["Authorization"].removeprefix("Bearer ")
    answered = json.loads(run(tmp_path, "node", "client.js", service.url, bearer))

    assert answered == {
        "category": "일반",
        "statuses": [201, 400, 404, 200, 200],
        "codes": ["validation_error", "post_not_found"],
        "total": 1,
    }
