"""What Checkov knows of images and of Kubernetes."""

import re

from tests.deploy.checks import checkov, needs_checkov
from tests.deploy.mutations import broken
from tests.servers import PROJECT

FILES = {"Dockerfile": PROJECT / "Dockerfile", "deployment.yaml": PROJECT / "k8s" / "deployment.yaml"}
TEXTS = {name: path.read_text() for name, path in FILES.items()}
FRAMEWORKS = ("dockerfile", "kubernetes")
SKIP = re.compile(r"checkov(?::skip=|\.io/skip\d: )(\w+)[:=] ?(.*)")


@needs_checkov
def test_checkov_finds_no_fault(tmp_path):
    suppressed = dict(SKIP.findall("".join(TEXTS.values())))

    found = checkov(TEXTS, tmp_path, *FRAMEWORKS)

    assert set(found["failed"]) == set()
    assert len(found["passed"]) > 60
    assert set(found["skipped"]) == set(suppressed)
    assert all(len(reason) >= len("As above.") for reason in suppressed.values())


@needs_checkov
def test_checkov_would_find_what_is_suppressed_and_what_is_broken(tmp_path):
    dockerfile = broken(TEXTS["Dockerfile"], ("USER 10001:10001\n", ""))
    manifest = broken(TEXTS["deployment.yaml"], ("runAsUser: 10001", "runAsUser: 1"), ("drop: [ALL]", "drop: []"))
    texts = {"Dockerfile": dockerfile, "deployment.yaml": manifest}

    found = checkov({name: text.replace("checkov", "once") for name, text in texts.items()}, tmp_path, *FRAMEWORKS)

    suppressed = dict(SKIP.findall("".join(TEXTS.values())))
    assert set(found["failed"]) >= {*suppressed, "CKV_DOCKER_3", "CKV_K8S_40", "CKV_K8S_37"}
