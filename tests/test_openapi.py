"""The service against its OpenAPI document."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from post import messages
from tests.servers import HANG_SECONDS, PROJECT, UNLIMITED, running_service
from tests.test_media import PNG, media_url, multipart

# Codes of what reaches no operation.
OF_NO_OPERATION = (
    "gateway_timeout",
    "header_fields_too_large",
    "method_not_allowed",
    "request_timeout",
    "uri_too_long",
)


def issue(url: str, username: str) -> str:
    data = requests.post(f"{url}/dev/token", json={"username": username}, timeout=HANG_SECONDS).json()["data"]
    return data["access_token"]


def test_schemathesis_finds_no_crash_and_no_answer_outside_the_schema(tmp_path):
    with running_service(tmp_path, **UNLIMITED) as service:
        token = issue(service.url, "ana")
        for n in range(30):  # half of them are another's, who alone may write to them
            headers = {"Authorization": f"Bearer {token if n % 2 else issue(service.url, 'bo')}"}
            body = {"title": f"제목 {n}", "content": "내용"}
            requests.post(
                f"{service.url}/api/v1/posts", json=body, headers=headers, timeout=HANG_SECONDS
            ).raise_for_status()

        command = [
            str(Path(sys.executable).parent / "schemathesis"),
            "--config-file", str(PROJECT / "tests" / "schemathesis.toml"), "run", f"{service.url}/api/openapi.json",
            "--max-examples", os.environ.get("SCHEMATHESIS_EXAMPLES", "10"), "--seed", "1", "--no-color",
            "--generation-database", "none", "--request-timeout", "40", "--workers", "1",
            "--suppress-health-check", "too_slow",  # as a busy machine is
        ]  # fmt: skip
        env = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.schemathesis_hooks", "PYTHONPATH": str(PROJECT)}
        env["TOKEN"], env["TOKEN_OF_WHO_LEAVES"] = token, issue(service.url, "leaver")
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, check=False, timeout=500)

    print(done.stdout[done.stdout.find("Test cases:") :])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def shown(client, make_post, as_user):
    """What a read answers: by the path that the document has for it."""
    post_id = make_post()
    image = multipart(('name="file"; filename="a.png"', PNG))
    media = client.post(media_url(post_id), headers=as_user("ana"), **image).json["data"]
    named = {"post_id": post_id, "key": media["url"].rpartition("/")[2], "name": "docs.js", "sub": "a"}

    def show(path, tag, **more):
        headers = as_user("root" if "/admin/" in path else "ana") | {"If-None-Match": tag} | more
        return client.get(path.format(**named), headers=headers, buffered=True)  # closes the file that is sent

    return show


@pytest.mark.parametrize("path", ["/api/v1/images/{key}", "/api/docs", "/api/docs/{name}"])
def test_a_file_is_served_whole_whatever_is_asked_of_it_but_what_a_cache_asks(shown, path):
    condition = {"If-Match": '"other"', "Range": "bytes=1-2"}
    whole = shown(path, '"other"')

    response = shown(path, '"other"', **condition)
    known = shown(path, whole.headers["ETag"], **condition)

    assert (response.status_code, response.data) == (200, whole.data)
    assert "Accept-Ranges" not in response.headers
    assert (known.status_code, known.data) == (304, b"")


def test_each_error_has_examples_of_its_codes_and_of_no_other(client):
    document = client.get("/api/openapi.json").json
    documented = set()

    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {}).get("application/json", {})
                if not content or status < "400" or operation["operationId"] == "ready":
                    continue
                codes = content["schema"]["allOf"][1]["properties"]["error"]["properties"]["code"]["enum"]
                values = [document["components"]["examples"][code]["value"] for code in content["examples"]]
                assert [value["error"]["code"] for value in values] == codes
                assert {value["error"]["status"] for value in values} == {int(status)}
                documented |= set(codes)

    assert set(messages.ERRORS) - documented == set(OF_NO_OPERATION)


def test_the_example_of_a_wrong_field_is_what_is_answered(client, as_user):
    example = client.get("/api/openapi.json").json["components"]["examples"]["validation_error"]["value"]

    answer = client.post("/api/v1/posts", json={"content": "내용"}, headers=as_user("ana")).json

    answer["error"]["request_id"] = example["error"]["request_id"]
    assert answer == example


def assert_headers_are_documented(document, method, path, response):
    documented = document["paths"][path][method]["responses"][str(response.status_code)]["headers"]
    headers = document["components"]["headers"]
    sent = {name for name in headers if name in response.headers}
    assert sent <= documented.keys(), path
    assert documented.keys() - sent <= {"Link", "Idempotency-Replayed"}, path
    for name in sent & {name for name in headers if headers[name]["schema"]["type"] == "integer"}:
        assert response.headers[name].isdigit(), path


@pytest.mark.parametrize(
    ("method", "path", "who", "said", "header"),
    [
        ("post", "/api/v1/posts", "ana", {"title": "제목", "content": "내용"}, "Location"),
        ("post", "/api/v1/posts", "ana", {"title": "제목", "content": "내용"}, "Idempotency-Replayed"),
        ("post", "/api/v1/posts", "nobody", {}, "WWW-Authenticate"),
        ("get", "/api/v1/posts", "nobody", None, "Link"),
        ("get", "/api/v1/posts/my", "ana", None, "Link"),
        ("post", "/dev/token", "nobody", {"username": "ana"}, "X-Request-ID"),
    ],
)
def test_headers_of_some_answers_are_documented(client, make_post, as_user, *, method, path, who, said, header):
    document = client.get("/api/openapi.json").json
    make_post(), make_post()
    headers = as_user(who) | {"Idempotency-Key": "one"}

    answers = [client.open(f"{path}?per_page=1", method=method, json=said, headers=headers) for _ in range(2)]

    assert header in answers[1].headers
    for answer in answers:
        assert_headers_are_documented(document, method, path, answer)


def test_the_headers_and_304_are_documented_where_they_are_answered_and_nowhere_else(client, shown):
    document = client.get("/api/openapi.json").json
    paths = document["paths"]
    documented = {
        (method, path) for path in paths for method in paths[path] if "304" in paths[path][method]["responses"]
    }

    answered = set()
    for path in (path for path in paths if "get" in paths[path]):
        first = shown(path, '"other"')
        assert first.status_code in (200, 302), path
        again = shown(path, first.headers.get("ETag", "*"))
        for response in (first, again):
            assert_headers_are_documented(document, "get", path, response)
        if again.status_code == 304:
            answered.add(("get", path))

    # The site's page has a tag where the site is built: tests/test_site_serving.py
    assert documented == answered | {("get", "/")}
    assert {("get", f"/api/v1/{path}") for path in ("posts", "posts/my", "posts/{post_id}", "categories")} < answered
