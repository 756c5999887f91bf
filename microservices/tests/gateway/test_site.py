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

    assert (answer.status, answer.headers[0], answer.body) == (200, ("Content-Type", kind), body)


def test_a_file_has_the_deployed_headers():
    headers = dict(site_answer("GET", "/").headers)

    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-cache"


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
