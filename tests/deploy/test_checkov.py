"""What Checkov knows of images, of Kubernetes and of AWS."""

import re

from tests.deploy.checks import checkov, needs_checkov
from tests.deploy.mutations import broken
from tests.servers import PROJECT

TEXTS = {name: (PROJECT / name).read_text() for name in ("Dockerfile", "k8s/deployment.yaml", "post-cicd.tf")}
OWN = "\n          volumeMounts:\n            - name: tmp"
SKIP = re.compile(r"checkov(?::skip=|\.io/skip\d: )(\w+)[:=] ?(.*)")
SUPPRESSED = dict(SKIP.findall("".join(TEXTS.values())))
BROKEN = {
    "Dockerfile": [("USER 10001:10001\n", "")],
    "k8s/deployment.yaml": [("runAsUser: 10001", "runAsUser: 1"), (f"drop: [ALL]{OWN}", f"drop: []{OWN}")],
    "post-cicd.tf": [
        ("enable_key_rotation     = true", "enable_key_rotation     = false"),
        ("block_public_acls       = true", "block_public_acls       = false"),
        ("scan_on_push = true", "scan_on_push = false"),
    ],
}
FOUND_BROKEN = {"CKV_DOCKER_3", "CKV_K8S_40", "CKV_K8S_37", "CKV_AWS_7", "CKV_AWS_53", "CKV_AWS_163"}


@needs_checkov
def test_checkov_finds_no_fault(tmp_path):
    found = checkov(TEXTS, tmp_path)

    assert found["failed"] == set()
    assert len(found["passed"]) > 100
    assert found["skipped"] == set(SUPPRESSED)
    assert all(len(reason) >= len("As above.") for reason in SUPPRESSED.values())


@needs_checkov
def test_checkov_would_find_what_is_suppressed_and_what_is_broken(tmp_path):
    texts = {name: broken(TEXTS[name], *edits).replace("checkov", "once") for name, edits in BROKEN.items()}

    found = checkov(texts, tmp_path)

    assert found["failed"] >= {*SUPPRESSED} | FOUND_BROKEN
