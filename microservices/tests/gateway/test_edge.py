"""The edge's rule, as CloudFront runs it and as the local gateway does: one table for both."""

import json
import re
import shutil
import subprocess

import pytest

from microservices.local.gateway.edge import edge_headers, restore_challenge, strip_api
from microservices.tests.running import PATIENCE_SECONDS, PROJECT

FUNCTION = PROJECT / "microservices" / "edge" / "strip_api.js"
RESPONSE_FUNCTION = FUNCTION.with_name("restore_challenge.js")
FRESH = "fresh-Id_1"
PATHS = {
    "/api/auth/login": "/auth/login",
    "/api/": "/",
    "/api/api/x": "/api/x",
    "/api/users/a%2Fapi%2Fb": "/users/a%2Fapi%2Fb",
    "/api//x": "//x",
    "/api": "/api",
    "/apiary/x": "/apiary/x",
    "/x/api/y": "/x/api/y",
    "/API/x": "/API/x",
    "/": "/",
}
REQUEST_IDS = {
    None: FRESH,
    "abc-DEF_09": "abc-DEF_09",
    "x" * 64: "x" * 64,
    "x" * 65: FRESH,
    "": FRESH,
    "a b": FRESH,
    'a"b': FRESH,
    "a\nb": FRESH,
    "abc\n": FRESH,
    "가": FRESH,
}


@pytest.fixture(scope="module")
def run_in_node(tmp_path_factory):
    """Run a function of the edge in Node on many events at once; CloudFront's own are not asynchronous."""
    node = shutil.which("node")
    if not node:
        pytest.skip("node is not installed")
    script = tmp_path_factory.mktemp("edge") / "run.js"
    shows = """
        const run = typeof handler === 'function' ? handler : exports.handler;
        const events = JSON.parse(require('fs').readFileSync(0));
        Promise.all(events.map((event) => run(event))).then((answers) => console.log(JSON.stringify(answers)));
    """

    def run(function, events):
        script.write_text(f"{function.read_text()}\n{shows}")
        done = subprocess.run(
            [node, script],
            input=json.dumps(events),
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE_SECONDS,
        )
        return json.loads(done.stdout)

    return run


@pytest.fixture
def run_function(run_in_node):
    return lambda events: run_in_node(FUNCTION, events)


def event_of(path="/api/x", **headers):
    """The event that CloudFront gives the function; a request's id there ends with ``=``."""
    named = {name.replace("_", "-"): {"value": value} for name, value in headers.items() if value is not None}
    return {
        "context": {"requestId": f"{FRESH}=="},
        "viewer": {"ip": "192.0.2.7"},
        "request": {"method": "GET", "uri": path, "headers": named},
    }


def test_both_strip_alike(run_function):
    answers = run_function([event_of(path) for path in PATHS])

    assert [answer["uri"] for answer in answers] == list(PATHS.values())
    assert [strip_api(path) for path in PATHS] == list(PATHS.values())


def test_both_keep_a_safe_request_id_and_no_other(run_function):
    answers = run_function([event_of(x_request_id=given) for given in REQUEST_IDS])

    assert [answer["headers"]["x-request-id"]["value"] for answer in answers] == list(REQUEST_IDS.values())
    for given, kept in REQUEST_IDS.items():
        headers = edge_headers([] if given is None else [("x-request-id", given)], "192.0.2.7", FRESH)
        assert [value for name, value in headers if name.lower() == "x-request-id"] == [kept], given


def test_both_say_who_the_viewer_is_whatever_the_client_said(run_function):
    (answer,) = run_function([event_of(x_viewer_address="203.0.113.9")])
    headers = edge_headers([("x-viewer-address", "203.0.113.9"), ("X-VIEWER-ADDRESS", "::1")], "192.0.2.7", FRESH)

    assert answer["headers"]["x-viewer-address"] == {"value": "192.0.2.7"}
    assert [value for name, value in headers if name.lower() == "x-viewer-address"] == ["192.0.2.7"]


def test_both_give_a_challenge_its_name_back(run_in_node):
    """API Gateway renames it in a Lambda's answer; the gateway's own answers have it under its name."""
    for before, after in [
        ({"x-amzn-remapped-www-authenticate": "Bearer", "etag": "x"}, {"www-authenticate": "Bearer", "etag": "x"}),
        ({"www-authenticate": "Bearer"}, {"www-authenticate": "Bearer"}),
        ({}, {}),
    ]:
        headers = {name: [{"key": name, "value": value}] for name, value in before.items()}
        response = {"status": "401", "headers": headers}
        [answer] = run_in_node(RESPONSE_FUNCTION, [{"Records": [{"cf": {"response": response}}]}])

        assert {name: one["value"] for name, (one,) in answer["headers"].items()} == after
        assert {name.lower(): value for name, value in restore_challenge(list(before.items()))} == after
    assert restore_challenge([("x-amzn-Remapped-WWW-Authenticate", "Bearer")]) == [("WWW-Authenticate", "Bearer")]


def test_the_function_on_the_request_is_one_that_cloudfront_takes():
    """CloudFront's runtime is no Node: nothing is required, and 10 KB are its limit."""
    source = FUNCTION.read_text()

    assert len(source.encode()) <= 10_240
    assert not re.search(r"\b(require|import|await|process|fetch)\b", source)


def test_the_function_on_the_answer_is_of_the_kind_that_runs_on_refusals():
    """CloudFront Functions are not run for the viewer's response from status 400 on; Lambda@Edge at the origin is."""
    assert "exports.handler" in RESPONSE_FUNCTION.read_text()
