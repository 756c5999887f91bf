"""The built site as the service serves it: its page, its files, and what a browser gets elsewhere."""

import gzip
import json
import logging
import re
import shutil
import subprocess

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout

from config import PROJECT_ROOT, ConfigError, load_config
from post import messages
from post.web.site import DIGEST, content_security_policy, runtime_config, sources_digest
from tests.built_site import FILES, SCRIPT, SCRIPT_TEXT, build_site
from tests.servers import HANG_SECONDS
from tests.test_config import PRODUCTION

NAVIGATION = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}
PAGES = ["/", "/write", "/my", "/sign-in", "/signed-in?code=1&state=2", "/account", "/admin", "/admin/reports"]
PAGES += ["/admin/users/x-1", f"/posts/{'0' * 32}/edit"]
NOBODYS_POST = "/posts/" + "0" * 32


@pytest.fixture
def dist(tmp_path):
    return build_site(tmp_path)


@pytest.fixture
def site_app(make_app, dist, tmp_path):
    """The service with a built site, on a SQLite of its own."""

    def make(**settings):
        return make_app(DATABASE_URL=f"sqlite:///{tmp_path}/postdb.sqlite3", SITE_PATH=str(dist), **settings)

    return make


@pytest.fixture
def site(site_app):
    return site_app().test_client()


def config_of(response):
    found = re.search(r'<script type="application/json" id="board-config">(.*?)</script>', response.text, re.DOTALL)
    return json.loads(found[1])


# The page


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_the_one_page_with_its_policies(site, path):
    response = site.get(path)

    assert (response.status_code, response.content_type) == (200, "text/html; charset=utf-8")
    assert "<title>게시판</title>" in response.text
    assert '<link rel="alternate" type="application/atom+xml" href="/feed.atom"' in response.text
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; ")
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-cache"


def test_a_page_that_is_known_is_not_sent_again(site):
    first = site.get("/")

    again = site.get("/", headers={"If-None-Match": first.headers["ETag"]})
    head = site.head("/")

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Content-Security-Policy"] == first.headers["Content-Security-Policy"]
    assert (head.status_code, head.data, head.content_length) == (200, b"", len(first.data))


def test_a_page_asks_the_database_nothing(site_app, monkeypatch):
    app = site_app()

    def refuse(*_args, **_kwargs):
        raise AssertionError("a page was read from the database")

    monkeypatch.setattr("sqlalchemy.engine.Engine.connect", refuse)
    monkeypatch.setattr("sqlalchemy.engine.Engine.raw_connection", refuse)

    assert {app.test_client().get(path).status_code for path in [*PAGES, f"/{SCRIPT}"]} == {200}


def test_without_a_built_site_the_root_leads_to_the_documentation(client):
    response = client.get("/")

    assert (response.status_code, response.headers["Location"]) == (302, "/api/docs")
    assert client.get("/write", headers=NAVIGATION).json["error"]["code"] == "not_found"


def test_other_methods_than_reading_are_refused_in_the_envelope(site):
    response = site.post("/write", headers=NAVIGATION)

    assert (response.status_code, response.json["error"]["code"]) == (405, "method_not_allowed")
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("page", ["<title>x</title>", '<script id="board-config">{}</script>'], ids=["script", "title"])
def test_a_page_without_a_place_for_what_is_put_in_stops_the_start(site_app, dist, page):
    (dist / "index.html").write_text(page)

    with pytest.raises(ConfigError, match=r"SITE_PATH: index\.html must have one "):
        site_app()


# Configuration and policy

POOL = {"COGNITO_USER_POOL_ID": "ap-northeast-2_a", "COGNITO_REGION": "ap-northeast-2", "COGNITO_CLIENT_ID": "one,two"}
DOMAIN = "https://board.auth.ap-northeast-2.amazoncognito.com"
COGNITO = {"domain": DOMAIN, "client_id": "one"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"cognito": None, "local_issuer": True, "like_requires_auth": True}),
        ({"LIKE_REQUIRES_AUTH": "false"}, {"cognito": None, "local_issuer": True, "like_requires_auth": False}),
        (POOL, {"cognito": None, "local_issuer": False, "like_requires_auth": True}),
        (
            {**POOL, "COGNITO_DOMAIN": f"{DOMAIN}/"},
            {"cognito": COGNITO, "local_issuer": False, "like_requires_auth": True},
        ),
    ],
    ids=["development", "likes without a token", "a pool without its page", "a pool"],
)
def test_the_page_has_the_settings_that_it_needs(site_app, settings, expected):
    response = site_app(**settings).test_client().get("/my")

    assert config_of(response) == {"api": "", **expected}


def test_no_value_of_the_configuration_ends_its_element(site_app):
    domain = "https://x.example/</script><!--<script>alert(1)&amp;"

    response = site_app(**POOL, COGNITO_DOMAIN=domain).test_client().get("/")

    element = response.text.partition('id="board-config">')[2].partition("</script>")[0]
    assert not {"<", ">", "&"} & set(element)
    assert config_of(response)["cognito"]["domain"] == domain


def test_a_domain_without_a_pool_is_a_mistake():
    with pytest.raises(ConfigError, match=r"^COGNITO_USER_POOL_ID: must be set if COGNITO_DOMAIN is$"):
        load_config({"COGNITO_DOMAIN": DOMAIN})


def policy(settings, **more):
    rules = (rule.split() for rule in content_security_policy(load_config(settings), **more).split("; "))
    return {name: sources for name, *sources in rules}


def test_the_policy_allows_no_more_than_the_page_needs():
    assert policy({"PORT": "8099"}) == {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:", "http://localhost:8099"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "manifest-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
    }


@pytest.mark.parametrize(
    ("settings", "images"),
    [
        ({}, []),
        ({"S3_BUCKET_NAME": "images", "CLOUDFRONT_DOMAIN": "d1.cloudfront.net"}, ["https://d1.cloudfront.net"]),
        ({"PUBLIC_URL": "https://board.example/board"}, ["https://board.example"]),
    ],
    ids=["paths", "CloudFront", "PUBLIC_URL"],
)
def test_the_policy_allows_images_from_where_their_urls_lead(settings, images):
    assert policy({**PRODUCTION, **settings})["img-src"] == ["'self'", "blob:", "data:", *images]


def test_the_policy_allows_calls_of_the_pool_and_of_an_api_elsewhere():
    settings = {**POOL, "COGNITO_DOMAIN": f"{DOMAIN}/page"}

    assert policy(settings)["connect-src"] == ["'self'", DOMAIN]
    assert policy(settings, api="https://api.example/base")["connect-src"] == ["'self'", "https://api.example", DOMAIN]
    assert runtime_config(load_config(settings), api="https://api.example")["api"] == "https://api.example"


# Files


def test_a_file_of_the_build_is_kept_for_a_year(site):
    response = site.get(f"/{SCRIPT}")

    assert (response.status_code, response.text) == (200, SCRIPT_TEXT)
    assert response.content_type == "text/javascript; charset=utf-8"
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Accept-Encoding" in response.headers["Vary"]
    assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("assets/app-AbC12345.css", "text/css; charset=utf-8"),
        ("favicon.svg", "image/svg+xml"),
        ("robots.txt", "text/plain; charset=utf-8"),
    ],
)
def test_files_have_their_types_on_any_machine(site, name, content_type):
    response = site.get(f"/{name}")

    assert (response.status_code, response.text, response.content_type) == (200, FILES[name], content_type)


def test_a_file_without_a_digest_in_its_name_is_kept_for_an_hour(site):
    response = site.get("/robots.txt")

    assert response.headers["Cache-Control"] == "public, max-age=3600"
    assert site.get("/robots.txt", headers={"If-None-Match": response.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("gzip, br;q=0", "gzip"),
        ("deflate", None),
        ("", None),
        ("identity", None),
    ],
)
def test_a_file_is_sent_in_the_best_encoding_that_the_client_takes(site, dist, accepted, encoding):
    response = site.get(f"/{SCRIPT}", headers={"Accept-Encoding": accepted})
    known = site.get(f"/{SCRIPT}", headers={"Accept-Encoding": accepted, "If-None-Match": response.headers["ETag"]})
    others = {site.get(f"/{SCRIPT}", headers={"Accept-Encoding": name}).headers["ETag"] for name in ("br", "gzip", "")}

    assert response.headers.get("Content-Encoding") == encoding
    assert response.data == (dist / (SCRIPT + {"br": ".br", "gzip": ".gz", None: ""}[encoding])).read_bytes()
    assert response.content_length == len(response.data)
    assert known.status_code == 304
    assert len(others) == 3
    if encoding == "gzip":
        assert gzip.decompress(response.data).decode() == SCRIPT_TEXT


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../index.html",
        "/assets/..%2findex.html",
        "/assets/%2e%2e/%2e%2e/postdb.sqlite3",
        "/assets/..%5cindex.html",
        "/assets//etc/passwd",
        "/assets/",
        f"/{SCRIPT}.gz",
        f"/{SCRIPT}%00",
        f"/{SCRIPT}/",
        f"/{DIGEST}",
        "/.hidden",
        "/index.html",
        "/assets/other.js",
    ],
)
def test_nothing_but_the_files_of_the_build_is_served(site, dist, path):
    (dist / DIGEST).write_text("0" * 64)

    response = site.get(path)

    assert (response.status_code, response.json["error"]["code"]) == (404, "not_found")


# Errors


@pytest.mark.parametrize("path", ["/nowhere", "/write/", "/posts", "/posts/", "/index.html", "/assets/old.js"])
def test_a_browser_that_goes_astray_gets_the_page_and_others_the_envelope(site, path):
    page, error = site.get(path, headers=NAVIGATION), site.get(path)

    assert (page.status_code, page.content_type) == (404, "text/html; charset=utf-8")
    assert config_of(page)["local_issuer"] is True
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert page.headers["Cache-Control"] == "no-store"
    assert "Accept" in page.headers["Vary"].split(", ")
    assert (error.status_code, error.json["message"]) == (404, messages.text("not_found", "ko"))


@pytest.mark.parametrize(
    ("method", "path", "accept"),
    [
        ("GET", "/api", "text/html"),
        ("GET", "/api/v1/nowhere", "text/html"),
        ("GET", "/api/v1/posts/x", "text/html"),
        ("GET", "/dev/nowhere", "text/html"),
        ("GET", "/health/nowhere", "text/html"),
        ("GET", "/internal/uploader/x", "text/html"),
        ("POST", "/nowhere", "text/html"),
        ("GET", "/nowhere", "*/*"),
        ("GET", "/nowhere", "application/json"),
        ("GET", "/nowhere", "application/json, text/html;q=0"),
    ],
)
def test_the_envelope_is_kept_for_all_but_a_browsers_navigation(site, method, path, accept):
    response = site.open(path, method=method, headers={"Accept": accept})

    assert response.status_code in (400, 404)
    assert response.json["success"] is False


@pytest.mark.parametrize("path", [NOBODYS_POST, "/posts/x", "/posts/undefined", f"{NOBODYS_POST}%0a"])
def test_a_post_that_nobody_has_is_the_same_page_with_404(site, path):
    response = site.get(path)

    assert (response.status_code, response.content_type) == (404, "text/html; charset=utf-8")
    assert "<title>게시판</title>" in response.text
    assert "og:" not in response.text


def test_a_post_is_a_page_too_while_the_database_is_away(site_app, monkeypatch):
    client = site_app().test_client()

    def fail(*_args, **_kwargs):
        raise PoolTimeout

    monkeypatch.setattr("sqlalchemy.engine.Engine.connect", fail)
    page, error = client.get(NOBODYS_POST, headers=NAVIGATION), client.get(NOBODYS_POST)

    assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    assert config_of(page)["api"] == ""
    assert error.json["error"]["code"] == "database_unavailable"


# Limits


def told(response):
    return response.status_code, response.headers.get("RateLimit-Remaining")


def test_pages_and_files_use_up_no_reads(site_app):
    client = site_app(RATELIMIT_READ="2/minute").test_client()

    free = [client.get(path) for path in [*PAGES, f"/{SCRIPT}", "/robots.txt"] * 2]
    posts = [told(client.get(NOBODYS_POST)) for _ in range(2)]
    read = told(client.get("/api/v1/categories"))

    assert {told(response) for response in free} == {(200, None)}
    assert posts == [(404, "1"), (404, "0")]  # counted apart, since they ask the database
    assert read == (200, "1")


def test_too_many_pages_of_posts_are_refused_in_a_page(site_app):
    client = site_app(RATELIMIT_READ="1/minute").test_client()

    client.get(NOBODYS_POST)
    page, error = client.get(NOBODYS_POST, headers=NAVIGATION), client.get(NOBODYS_POST)

    assert (page.status_code, page.content_type) == (429, "text/html; charset=utf-8")
    assert int(page.headers["Retry-After"]) >= 1
    assert (error.status_code, error.json["error"]["code"]) == (429, "rate_limited")


# Builds and their sources

SOURCES = {
    "src/main.tsx": "1",
    "src/pages/Post Page.tsx": "2",
    "src/한글.ts": "3",
    "src/\U0001f600.ts": "4",
    "src/\uff5e.ts": "5",
    "public/favicon.svg": "6",
    "index.html": "7",
    "package.json": "8",
    "package-lock.json": "9",
    "tsconfig.json": "10",
    "vite.config.ts": "11",
}


@pytest.fixture
def sources(dist):
    """Sources beside the build."""
    for name, text in SOURCES.items():
        (dist.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (dist.parent / name).write_text(text)
    return dist.parent


def test_a_build_of_these_sources_is_served(site_app, sources, dist):
    (dist / DIGEST).write_text(f"{sources_digest(sources)}\n")

    assert site_app().test_client().get("/write").status_code == 200


@pytest.mark.parametrize("change", ["edited", "added", "removed", "renamed", "without a digest"])
def test_a_build_of_other_sources_is_never_served(site_app, sources, dist, caplog, change):
    (dist / DIGEST).write_text(f"{sources_digest(sources)}\n")
    main = sources / "src" / "main.tsx"
    if change == "edited":
        main.write_text("another")
    elif change == "added":
        (sources / "src" / "new.tsx").touch()
    elif change == "removed":
        main.unlink()
    elif change == "renamed":
        main.rename(main.with_name("other.tsx"))
    else:
        (dist / DIGEST).unlink()

    with caplog.at_level(logging.WARNING, logger="post.web.site"):
        response = site_app().test_client().get("/")

    assert response.status_code == 302
    (record,) = [record for record in caplog.records if record.name == "post.web.site"]
    assert (record.msg, record.remedy) == ("site_is_stale", "make site")


def test_what_is_no_source_makes_no_other_build(sources, dist):
    before = sources_digest(sources)

    (sources / "src" / ".main.tsx.swp").touch()
    (sources / "src" / ".cache").mkdir()
    (sources / "src" / ".cache" / "x").touch()
    (sources / "node_modules").mkdir()
    (sources / "node_modules" / "x.js").touch()
    (dist / "other.js").touch()

    assert sources_digest(sources) == before


def test_the_build_and_the_service_compute_the_same_digest(sources, dist):
    if shutil.which("node") is None:
        pytest.skip("no Node.js on this machine")
    shutil.copytree(PROJECT_ROOT / "site" / "scripts", sources / "scripts")
    command = ["node", str(sources / "scripts" / "sources.mjs")]

    computed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=HANG_SECONDS).stdout
    unknown = subprocess.run([*command, "--current"], timeout=HANG_SECONDS, check=False).returncode
    (dist / DIGEST).write_text(computed)
    current = subprocess.run([*command, "--current"], timeout=HANG_SECONDS, check=False).returncode

    assert computed == f"{sources_digest(sources)}\n"
    assert (unknown, current) == (1, 0)
