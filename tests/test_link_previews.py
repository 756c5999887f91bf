"""Previews of links to posts: the head of their pages, for crawlers that run no script."""

from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update

from config import load_config
from post.models import Post, db
from post.openapi.document import new_openapi_app
from post.web.site import LinkPreview, Site
from tests.built_site import build_site
from tests.conftest import noting
from tests.image_samples import encoded, scene
from tests.test_config import PRODUCTION
from tests.test_media import media_url, multipart

PUBLIC_URL = "https://board.example"


class Head(HTMLParser):
    """A page's head as a crawler reads it: its title, its ``meta`` and ``link`` elements, and the names of all."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.title, self.metas, self.links, self.elements = "", [], [], []
        self.feed(page.partition("</head>")[0])

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        values = dict(attributes)
        if tag == "meta" and "content" in values:
            self.metas.append((values.get("property") or values["name"], values["content"]))
        if tag == "link":
            self.links.append((values["rel"], values["href"]))

    def handle_data(self, data):
        if self.elements[-1:] == ["title"] and not self.title:
            self.title = data


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    return build_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def site_app(make_app, database_url, dist):
    return make_app(DATABASE_URL=database_url, SITE_PATH=str(dist), PUBLIC_URL=PUBLIC_URL)


@pytest.fixture
def site(app, site_app):
    return site_app.test_client()


def head_of(response):
    assert response.content_type == "text/html; charset=utf-8"
    return Head(response.get_data(as_text=True))


def test_a_post_shows_its_title_and_the_beginning_of_its_text(site, make_post):
    post_id = make_post(title="여름 여행", content=" 바다에\n\n\t갔다. " + "가" * 300)

    response = site.get(f"/posts/{post_id}")

    head, url = head_of(response), f"{PUBLIC_URL}/posts/{post_id}"
    metas = dict(head.metas)
    assert (response.status_code, head.title) == (200, "여름 여행 · 게시판")
    assert metas["description"] == metas["og:description"]
    assert metas["description"].startswith("바다에 갔다. 가")
    assert 150 < len(metas["description"]) <= 200
    shown = {name: metas[name] for name in metas if name not in ("viewport", "description", "og:description")}
    assert shown == {
        "og:type": "article",
        "og:site_name": "게시판",
        "og:title": "여름 여행",
        "og:url": url,
        "twitter:card": "summary",
    }
    assert ("canonical", url) in head.links
    assert ("alternate", "/feed.atom") in head.links
    assert response.headers["Cache-Control"] == "no-cache"
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


def test_the_page_is_otherwise_the_sites_own(site, make_post):
    post_id = make_post()

    page, own = site.get(f"/posts/{post_id}").text, site.get("/").text

    assert page.partition('<script type="module"')[2] == own.partition('<script type="module"')[2] != ""
    assert page.count("<title>") == page.count('name="description"') == 1


@pytest.fixture
def upload(client, as_user):
    """Add an image of a size to a post of ana's; returns the path of its file."""

    def add(post_id, size=(8, 8)):
        body = multipart(('name="file"; filename="a.png"', encoded(scene(size), "PNG")))
        response = client.post(media_url(post_id), headers=as_user("ana"), **body)
        assert response.status_code == 201, response.json
        return urlsplit(response.json["data"]["url"]).path

    return add


def test_a_post_with_images_shows_the_first_one_whole_with_its_size(site, make_post, upload):
    post_id = make_post()
    path = upload(post_id, (96, 64))
    upload(post_id, (40, 30))

    metas = dict(head_of(site.get(f"/posts/{post_id}")).metas)

    assert {name: value for name, value in metas.items() if name.startswith(("og:image", "twitter"))} == {
        "og:image": f"{PUBLIC_URL}{path}",
        "og:image:width": "96",
        "og:image:height": "64",
        "twitter:card": "summary_large_image",
    }


def test_where_images_have_paths_the_preview_has_urls_of_the_site(dist):
    settings = load_config(
        PRODUCTION | {"SITE_PATH": str(dist), "CORS_ORIGINS": "https://one.example,https://two.example"}
    )
    preview = LinkPreview(path="/posts/1", title="제목", description="내용", image=("/api/v1/images/1.png", 2, 3))

    with new_openapi_app(__name__).test_request_context():
        metas = dict(head_of(Site(dist, settings).page(preview)).metas)

    assert metas["og:url"] == "https://one.example/posts/1"
    assert metas["og:image"] == "https://one.example/api/v1/images/1.png"


def test_images_of_the_cdn_keep_their_urls(dist):
    preview = LinkPreview(path="/posts/1", title="a", description="b", image=("https://d1.cloudfront.net/1.png", 2, 3))

    with new_openapi_app(__name__).test_request_context():
        metas = dict(head_of(Site(dist, load_config({"SITE_PATH": str(dist)})).page(preview)).metas)

    assert metas["og:url"] == "http://localhost:8082/posts/1"
    assert metas["og:image"] == "https://d1.cloudfront.net/1.png"


NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onload='alert(1)",
    "</title></head><body>",
    "&lt;b&gt; &amp; &#60;",
    "<!-- --> ]]> {{x}} ${x} \\1 \\g<0>",
    "\u202e\u202b\u0633\u062a\u0629\u202c \u05e2\u05d1\u05e8\u05d9\u05ea",
    "긴" * 200,
    "🏳️‍🌈 👩‍👩‍👧‍👦",
]


@pytest.mark.parametrize("text", NASTY)
def test_texts_are_text_in_the_head(site, make_post, text):
    plain, post_id = make_post(), make_post(content=text, title=text)

    head = head_of(site.get(f"/posts/{post_id}"))

    metas = dict(head.metas)
    assert head.elements == head_of(site.get(f"/posts/{plain}")).elements
    assert metas["og:description"] == metas["og:title"] == text
    assert head.title == f"{text} · 게시판"


def test_characters_that_no_document_has_are_left_out(site, make_post):
    """Titles have none; an older row, or one that was not written by the service, might."""
    post_id = make_post()
    set_title = update(Post).where(Post.id == post_id).values(title="a\x01\x1b\x85\ufffe\tb")
    with site.application.app_context():
        db.session.execute(set_title)
        db.session.commit()

    head = head_of(site.get(f"/posts/{post_id}"))

    assert (head.title, dict(head.metas)["og:title"]) == ("a b · 게시판", "a b")


@pytest.mark.parametrize("status", ["hidden", "deleted"])
def test_nothing_leaks_of_a_post_that_not_everybody_may_see(site, make_post, as_user, status):
    post_id = make_post(title="비밀 제목", content="비밀 내용", status=status)
    own = site.get("/posts/" + "0" * 32)

    for who in ("nobody", "ana", "root"):
        response = site.get(f"/posts/{post_id}", headers=as_user(who))

        assert (response.status_code, response.text) == (404, own.text)
        assert "비밀" not in response.text
        assert response.headers["Cache-Control"] == "no-store"


def test_a_page_counts_no_view(site, make_post, row):
    post_id = make_post()

    for _ in range(3):
        assert site.get(f"/posts/{post_id}").status_code == 200

    assert row(post_id).view_count == 0


def test_a_page_costs_one_query_and_one_more_with_images(site, make_post, upload):
    bare, with_image = make_post(), make_post()
    upload(with_image)

    def queries(post_id):
        with noting(site.application, lambda statement, _parameters: statement) as sent:
            site.get(f"/posts/{post_id}")
        return sum(statement.startswith("SELECT") for statement in sent)

    assert (queries(bare), queries(with_image)) == (1, 2)


def test_a_page_changes_its_tag_with_its_post_alone(site, app, make_post, as_user):
    post_id = make_post()
    tag = site.get(f"/posts/{post_id}").headers["ETag"]
    client = app.test_client()

    client.put(f"/api/v1/posts/{post_id}/like", headers=as_user("bo"))
    known = site.get(f"/posts/{post_id}", headers={"If-None-Match": tag})
    client.patch(f"/api/v1/posts/{post_id}", json={"title": "다른 제목"}, headers=as_user("ana"))
    edited = site.get(f"/posts/{post_id}", headers={"If-None-Match": tag})

    assert (known.status_code, known.data) == (304, b"")
    assert (edited.status_code, head_of(edited).title) == (200, "다른 제목 · 게시판")
