"""The Atom feed of the newest posts, as a reader of feeds parses it (RFC 4287)."""

import re
from urllib.parse import quote
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
from sqlalchemy import update

from config import load_config
from post.models import Post, db
from tests.test_config import PRODUCTION

ATOM = "{http://www.w3.org/2005/Atom}"
SITE = "http://localhost:8082"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def parsed(response):
    assert (response.status_code, response.content_type) == (200, "application/atom+xml; charset=utf-8")
    assert response.data.startswith(b"<?xml version='1.0' encoding='utf-8'?>")
    root = ET.fromstring(response.data)
    assert root.tag == f"{ATOM}feed"
    return root


def texts(element, name):
    return [found.text for found in element.findall(f"{ATOM}{name}")]


def links(element):
    return {link.get("rel"): link.get("href") for link in element.findall(f"{ATOM}link")}


def entries(response):
    return parsed(response).findall(f"{ATOM}entry")


def titles(response):
    return [texts(entry, "title")[0] for entry in entries(response)]


def test_a_post_is_an_entry(client, make_post):
    post_id = make_post(author="ana", title="여름 여행", content="바다에 갔다.", category="여행")

    feed = parsed(client.get("/feed.atom"))
    (entry,) = feed.findall(f"{ATOM}entry")

    post = client.get(f"/api/v1/posts/{post_id}").json["data"]
    assert texts(entry, "id") == [UUID(post_id).urn]
    assert texts(entry, "title") == ["여름 여행"]
    assert texts(entry, "summary") == ["바다에 갔다."]
    assert (texts(entry, "published"), texts(entry, "updated")) == ([post["created_at"]], [post["updated_at"]])
    assert links(entry) == {"alternate": f"{SITE}/posts/{post_id}"}
    assert texts(entry.find(f"{ATOM}author"), "name") == ["ana"]
    assert entry.find(f"{ATOM}category").get("term") == "여행"
    assert texts(feed, "updated") == [post["updated_at"]]
    assert links(feed) == {"self": f"{SITE}/feed.atom", "alternate": f"{SITE}/"}


def test_every_element_that_must_be_there_is_there_once(client, make_post):
    """Of a feed and of each entry: id, title, updated (RFC 4287, 4.1.1 and 4.1.2), of an entry also an author."""
    for number in range(3):
        make_post(title=f"제목 {number}")

    feed = parsed(client.get("/feed.atom"))

    for element in [feed, *feed.findall(f"{ATOM}entry")]:
        for name in ("id", "title", "updated"):
            assert len(texts(element, name)) == 1, name
        assert MOMENT.fullmatch(texts(element, "updated")[0])
    ids = [texts(element, "id")[0] for element in [feed, *feed.findall(f"{ATOM}entry")]]
    assert len(set(ids)) == 4
    assert all(str(UUID(one)) == one.removeprefix("urn:uuid:") for one in ids)


def test_the_newest_twenty_come_newest_first_whatever_is_pinned(client, make_post, as_user):
    posts = [make_post(title=f"제목 {number}") for number in range(22)]
    client.put(f"/api/v1/posts/{posts[0]}/pin", json={"scope": "all"}, headers=as_user("root"))

    assert titles(client.get("/feed.atom")) == [f"제목 {number}" for number in range(21, 1, -1)]


def test_only_visible_posts_are_in_the_feed(client, make_post, as_user):
    make_post(title="보이는 글")
    make_post(title="숨긴 글", status="hidden")
    make_post(title="지운 글", status="deleted")

    for who in ("nobody", "ana", "root"):
        assert titles(client.get("/feed.atom", headers=as_user(who))) == ["보이는 글"]


@pytest.mark.parametrize("asked", ["Travel", "tRAVEL", " Travel "])
def test_a_category_has_a_feed_of_its_own(client, make_post, asked):
    make_post(title="하나", category="Travel")
    make_post(title="둘", category="음식")

    response = client.get(f"/feed.atom?category={quote(asked)}")

    feed = parsed(response)
    assert titles(response) == ["하나"]
    assert texts(feed, "title") == ["게시판: Travel"]
    assert links(feed) == {"self": f"{SITE}/feed.atom?category=Travel", "alternate": f"{SITE}/?category=Travel"}


def test_feeds_have_ids_that_stay(client, make_post):
    make_post(category="Travel"), make_post(category="음식")

    def id_of(path="/feed.atom"):
        return texts(parsed(client.get(path)), "id")[0]

    ids = [id_of(), id_of("/feed.atom?category=Travel"), id_of("/feed.atom?category=%EC%9D%8C%EC%8B%9D")]

    assert ids[0] == "urn:uuid:7393b2e2-fec7-54c0-9d9b-19f4aa3227b4"
    assert len(set(ids)) == 3
    assert id_of("/feed.atom?category=tRAVEL") == ids[1]


def test_a_feed_without_posts_is_a_feed(client):
    for path in ("/feed.atom", "/feed.atom?category=none", "/feed.atom?category="):
        feed = parsed(client.get(path))

        assert feed.findall(f"{ATOM}entry") == []
        assert texts(feed, "updated") == ["1970-01-01T00:00:00Z"]


def test_the_title_of_the_feed_is_in_the_readers_language(client):
    korean, english = client.get("/feed.atom"), client.get("/feed.atom", headers={"Accept-Language": "en"})

    assert (texts(parsed(korean), "title"), texts(parsed(english), "title")) == (["게시판"], ["Board"])
    assert korean.headers["ETag"] != english.headers["ETag"]
    assert "Accept-Language" in english.headers["Vary"]


NASTY = ["<b>&amp;</b>", "]]> <!-- -->", "\u202e\u0633\u062a\u0629", "🏳️‍🌈", "a & b \"c\" 'd'", "긴" * 200]


@pytest.mark.parametrize("text", NASTY)
def test_texts_come_back_as_they_were_written(client, make_post, text):
    make_post(content=text, title=text)

    (entry,) = entries(client.get("/feed.atom"))

    assert (texts(entry, "title"), texts(entry, "summary")) == ([text], [text])


def test_what_xml_forbids_breaks_no_feed(client, app, make_post):
    """Texts have no control characters; an older row, or one that was not written by the service, might."""
    post_id = make_post(content="줄\n\t바꿈")
    with app.app_context():
        bad = {"title": "a\x01\x0b\x1f\ufffe\uffffb", "username": "x\x08y"}
        db.session.execute(update(Post).where(Post.id == post_id).values(bad))
        db.session.commit()

    (entry,) = entries(client.get("/feed.atom"))

    assert texts(entry, "title") == ["ab"]
    assert texts(entry.find(f"{ATOM}author"), "name") == ["xy"]
    assert texts(entry, "summary") == ["줄\n\t바꿈"]


def test_a_feed_that_is_known_is_not_sent_again_until_a_post_changes(client, make_post, as_user):
    post_id = make_post()
    tag = client.get("/feed.atom").headers["ETag"]

    def again():
        return client.get("/feed.atom", headers={"If-None-Match": tag})

    client.get(f"/api/v1/posts/{post_id}")  # a view, which is none of the feed's
    client.put(f"/api/v1/posts/{post_id}/like", headers=as_user("bo"))
    known = again()
    client.patch(f"/api/v1/posts/{post_id}", json={"title": "다른 제목"}, headers=as_user("ana"))

    assert (known.status_code, known.data, known.headers["Cache-Control"]) == (304, b"", "no-cache")
    assert titles(again()) == ["다른 제목"]


def test_the_number_of_queries_does_not_grow_with_the_posts(client, make_post, count_queries):
    def queries():
        with count_queries() as sent:
            assert client.get("/feed.atom").status_code == 200
        return len(sent)

    make_post()
    one = queries()
    for _ in range(5):
        make_post()

    assert queries() == one <= 2


def test_a_wrong_category_is_refused_in_the_envelope(client):
    response = client.get(f"/feed.atom?category={'x' * 51}", headers={"Accept": "application/atom+xml"})

    assert (response.status_code, response.json["error"]["details"][0]["field"]) == (400, "category")


@pytest.mark.parametrize(
    ("settings", "base"),
    [
        ({}, "https://hhottdogg.shop"),
        ({"CORS_ORIGINS": "https://one.example,https://two.example"}, "https://one.example"),
        ({"PUBLIC_URL": "https://board.example/"}, "https://board.example"),
    ],
    ids=["the site's", "the first origin", "PUBLIC_URL"],
)
def test_links_lead_to_the_site_in_production(settings, base):
    assert load_config(PRODUCTION | settings).site_url == base


def test_links_lead_to_public_url(make_app, database_url, make_post):
    post_id = make_post()
    client = make_app(DATABASE_URL=database_url, PUBLIC_URL="https://board.example").test_client()

    (entry,) = entries(client.get("/feed.atom", headers={"Host": "evil.example"}))

    assert links(entry) == {"alternate": f"https://board.example/posts/{post_id}"}


def test_the_feed_uses_up_no_reads_of_the_api(make_app, tmp_path):
    client = make_app(DATABASE_URL=f"sqlite:///{tmp_path}/postdb.sqlite3", RATELIMIT_READ="1/minute").test_client()

    assert [client.get("/feed.atom").status_code for _ in range(2)] == [200, 429]
    assert client.get("/api/v1/categories").status_code == 200
