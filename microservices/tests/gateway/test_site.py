"""The site's files are served as CloudFront serves its bucket, and nothing beside them."""

import pytest

from microservices.local.gateway.site import site_answer


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<p>home")
    (tmp_path / "site" / "app.js").write_text("1")
    (tmp_path / "site" / "가.txt").write_text("나")
    (tmp_path / "secret").write_text("x")
    return tmp_path / "site"


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/", "text/html", b"<p>home"),
        ("/index.html", "text/html", b"<p>home"),
        ("/app.js", "text/javascript", b"1"),
        ("/%EA%B0%80.txt", "text/plain", "나".encode()),
    ],
)
def test_a_file_is_served_with_its_type(folder, path, kind, body):
    answer = site_answer("GET", path, folder)

    assert (answer.status, answer.headers, answer.body) == (200, [("Content-Type", kind)], body)


@pytest.mark.parametrize(
    "path", ["/../secret", "/%2e%2e/secret", "//../secret", "/absent", "/app.js/", "/%00", "/..", "/%2Fetc%2Fpasswd"]
)
def test_nothing_beside_the_site_is_served(folder, path):
    assert site_answer("GET", path, folder) is None


def test_only_reading_is_served(folder):
    assert site_answer("POST", "/", folder) is None
    assert site_answer("HEAD", "/", folder).status == 200


def test_a_site_that_is_not_built_yet_serves_nothing(tmp_path):
    assert site_answer("GET", "/", tmp_path / "absent") is None
