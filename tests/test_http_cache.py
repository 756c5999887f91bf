"""Answers that caches may keep and must ask about: the tag follows what is shown, and nobody is shown an old state."""

import io
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from PIL import Image
from sqlalchemy import event, func, update

from post import services
from post.models import Post, db
from post.paging import Cursor
from post.services import pages, search_plans
from post.utils import Caller
from tests.answers import UNKNOWN_ID, fault
from tests.test_media import multipart

POSTS = "/api/v1/posts"
MINE = "/api/v1/posts/my"
CATEGORIES = "/api/v1/categories"
WEAK_TAG = re.compile(r'W/"[0-9a-f]{32}"')
COMMENTS_SCOPE = "post-service/comments.write"
ORIGIN = "http://localhost:3000"

# Every kind of list, as ``ana`` asks for it; the names in braces are of the post that is written to.
LISTS = {
    "latest": POSTS,
    "popular": f"{POSTS}?sort=popular",
    "summary": f"{POSTS}?view=summary",
    "by-category": f"{POSTS}?category=travel",
    "by-category-popular": f"{POSTS}?category=Travel&sort=popular",
    "by-category-id": f"{POSTS}?category_id={{category_id}}",
    "by-author": f"{POSTS}?user_id={{user_id}}",
    "by-author-and-category": f"{POSTS}?user_id={{user_id}}&category=Travel",
    "search-of-one-character": f"{POSTS}?q={quote('찾')}",
    "search-of-a-pair": f"{POSTS}?q={quote('찾는')}",
    "search-of-more": f"{POSTS}?q={quote('찾는 글')}",
    "search-in-a-category": f"{POSTS}?q={quote('찾는')}&category=Travel",
    "search-by-popularity": f"{POSTS}?q={quote('찾는')}&sort=popular",
    "my": MINE,
    "my-summary": f"{MINE}?view=summary",
    "from-a-cursor": f"{POSTS}?cursor={{after_newer}}",
    "back-from-a-cursor": f"{POSTS}?cursor={{before_older}}",
    "from-a-cursor-by-popularity": f"{POSTS}?sort=popular&cursor={{after_most_popular}}",
    "my-from-a-cursor": f"{MINE}?cursor={{after_newer}}",
    "large": f"{POSTS}?per_page=50",
}
every_list = pytest.mark.parametrize("url", LISTS.values(), ids=LISTS)


@pytest.fixture
def post(make_post, row, user_id):
    """A post of ana's that every list shows, among others: its id and what lists are asked for by."""
    make_post(title="찾는 글 더", category="Travel")
    post_id = make_post(title="찾는 글", category="Travel")
    make_post(author="bo", title="찾는 글 새", category="Travel")
    number = row(post_id).No
    return {
        "id": post_id,
        "category_id": row(post_id).category_id,
        "user_id": user_id("ana"),
        "after_newer": Cursor("next", "latest", (number + 1,)).encode(),
        "before_older": Cursor("prev", "latest", (number - 1,)).encode(),
        "after_most_popular": Cursor("next", "popular", (9, 9, 9)).encode(),
    }


@pytest.fixture
def ask(client, as_user):
    """GET a URL as a user, with a tag that they have; returns the response."""

    def get(url, tag=None, *, who="ana", method="GET", address=None, **headers):
        known = {"If-None-Match": tag} if tag is not None else {}
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        base = {"REMOTE_ADDR": address} if address else {}
        return client.open(url, method=method, headers=as_user(who) | known | said, environ_base=base)

    return get


@pytest.fixture
def tag_of(ask):
    """The tag of what a URL shows now."""

    def read(url, **how):
        response = ask(url, method="HEAD", **how)
        assert response.status_code == 200
        return response.headers["ETag"]

    return read


def write(client, headers, post, method, path="", **body):
    response = client.open(f"{POSTS}/{post['id']}{path}", method=method, headers=headers, **body)
    assert response.status_code in (200, 201), response.json
    return response


def png() -> dict:
    output = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(output, "PNG")
    return multipart(('name="file"; filename="a.png"', output.getvalue()))


# What people do to a post: as whom, and how.
EDITS: dict[str, Callable] = {
    "title": lambda client, ana, post: write(client, ana, post, "PATCH", json={"title": "찾는 글 고침"}),
    "content": lambda client, ana, post: write(client, ana, post, "PATCH", json={"content": "다른 내용"}),
    "the-same-again": lambda client, ana, post: write(client, ana, post, "PATCH", json={"title": "찾는 글"}),
    "whole": lambda client, ana, post: write(
        client, ana, post, "PUT", json={"title": "찾는 글 2", "content": "새 내용", "category": "Travel"}
    ),
    "like": lambda client, ana, post: write(client, ana, post, "PUT", "/like"),
}
# What takes it out of lists and back, and what comes beside it, one after the other.
COMING_AND_GOING: dict[str, Callable] = {
    "hide": lambda client, ana, post: write(client, ana, post, "PATCH", json={"status": "hidden"}),
    "show": lambda client, ana, post: write(client, ana, post, "PATCH", json={"status": "visible"}),
    "delete": lambda client, ana, post: write(client, ana, post, "DELETE"),
    "new-post": lambda client, ana, _post: client.post(
        POSTS, headers=ana, json={"title": "찾는 글 새로", "content": "내용", "category": "Travel"}
    ),
}
every_edit = pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)


# The headers


@every_list
def test_a_list_has_a_weak_tag_and_is_304_while_nothing_changes(url, post, ask):
    url = url.format(**post)

    first = ask(url)
    again = ask(url, first.headers["ETag"])

    assert first.status_code == 200
    assert WEAK_TAG.fullmatch(first.headers["ETag"])
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize("url", [f"{POSTS}/{{id}}", POSTS, CATEGORIES, f"{POSTS}?q=%EC%B0%BE"])
@pytest.mark.parametrize("who", ["nobody", "ana", "bo", "root"])
def test_304_has_the_headers_of_200_without_a_body(url, who, post, ask):
    url = url.format(**post)
    ask(url, who=who)  # counts the view
    told = ("ETag", "Cache-Control", "Vary", "X-Content-Type-Options", "Access-Control-Allow-Origin")
    told += ("Access-Control-Allow-Credentials", "Access-Control-Expose-Headers", "RateLimit-Limit")

    shown = ask(url, who=who, Origin=ORIGIN)
    known = ask(url, shown.headers["ETag"], who=who, Origin=ORIGIN, X_Request_ID="mine-304")

    assert (shown.status_code, known.status_code, known.data) == (200, 304, b"")
    assert {name: known.headers.get(name) for name in told} == {name: shown.headers.get(name) for name in told}
    assert known.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert known.headers["X-Request-ID"] == "mine-304"
    assert not {"Content-Type", "Content-Length"} & set(known.headers.keys())


@pytest.mark.parametrize("url", [f"{POSTS}/{{id}}", POSTS, CATEGORIES, f"{POSTS}?sort=popular&view=summary"])
def test_what_is_asked_for_with_a_token_stays_in_a_private_cache(url, post, ask):
    url = url.format(**post)

    alone, named = ask(url, who="nobody"), ask(url, who="ana")
    mistaken = ask(url, who="nobody", Authorization="Bearer nonsense")

    assert alone.headers["Cache-Control"] == "public, no-cache"
    assert named.headers["Cache-Control"] == mistaken.headers["Cache-Control"] == "private, no-cache"
    for response in (alone, named, mistaken):
        assert {"Authorization", "Accept-Language", "Origin"} <= set(response.vary)


def test_a_hidden_post_is_its_authors_alone(make_post, ask):
    url = f"{POSTS}/{make_post(status='hidden')}"

    shown = ask(url)
    known, stranger = ask(url, shown.headers["ETag"]), ask(url, shown.headers["ETag"], who="nobody")

    assert (shown.status_code, shown.headers["Cache-Control"]) == (200, "private, no-cache")
    assert (known.status_code, known.headers["Cache-Control"]) == (304, "private, no-cache")
    assert (fault(stranger), stranger.headers["Cache-Control"]) == ((404, "post_not_found"), "no-store")


@pytest.mark.parametrize(
    ("url", "who", "status"),
    [
        (f"{POSTS}/{UNKNOWN_ID}", "ana", 404),
        (f"{POSTS}/null", "ana", 400),
        (f"{POSTS}?page=0", "ana", 400),
        (f"{POSTS}?cursor=x", "ana", 400),
        (MINE, "nobody", 401),
        ("/api/v1/nothing", "ana", 404),
    ],
)
@pytest.mark.parametrize("tag", [None, "*", f'W/"{"0" * 32}"'], ids=["no tag", "any tag", "a tag"])
def test_errors_are_kept_by_nobody_and_have_no_tag(url, who, status, tag, ask):
    response = ask(url, tag, who=who)

    assert response.status_code == status
    assert response.json["success"] is False
    assert response.headers["Cache-Control"] == "no-store"
    assert "ETag" not in response.headers


def test_a_deleted_post_is_404_to_whoever_has_its_tag(post, ask, client, as_user):
    url = f"{POSTS}/{post['id']}"
    tag = ask(url).headers["ETag"]
    client.delete(url, headers=as_user("ana"))

    answers = [ask(url, tag, who=who) for who in ("ana", "bo", "nobody")]

    assert [fault(answer) for answer in answers] == [(404, "post_not_found")] * 3


@pytest.mark.parametrize("change", [*EDITS.values(), *COMING_AND_GOING.values()], ids=[*EDITS, *COMING_AND_GOING])
def test_what_is_written_is_kept_by_nobody(change, post, client, as_user):
    response = change(client, as_user("ana"), post)

    assert response.headers["Cache-Control"] == "no-store"
    assert "ETag" not in response.headers


@pytest.mark.parametrize("path", ["/like/status", ""], ids=["like status", "none"])
def test_what_has_no_tag_is_kept_by_nobody(path, post, ask):
    url = f"{POSTS}/{post['id']}{path}" if path else f"{POSTS}/media/check-permissions"

    response = ask(url, "*")

    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")
    assert "ETag" not in response.headers


# If-None-Match


@pytest.mark.parametrize("url", [f"{POSTS}/{{id}}", POSTS, f"{POSTS}?page=9", CATEGORIES])
@pytest.mark.parametrize(
    ("written", "status"),
    [
        ("{tag}", 304),
        ("{strong}", 304),  # compared weakly (RFC 9110, 13.1.2)
        ('"other", {tag}', 304),
        ('W/"a,b" ,{tag},"c"', 304),
        ("*", 304),
        ('"other"', 200),
        ('W/"other", "*"', 200),
        ("", 200),
        ("W/", 200),
        ('"', 200),
        ('W/"', 200),
        (", ,", 200),
        ('"' + "x" * 4000, 200),
        ("\xff\xfe", 200),
    ],
)
def test_a_tag_is_known_in_whatever_way_it_is_written(url, written, status, post, ask, tag_of):
    url = url.format(**post)
    ask(url)
    tag = tag_of(url)

    response = ask(url, written.format(tag=tag, strong=tag.removeprefix("W/")))

    assert (response.status_code, response.headers["ETag"]) == (status, tag)
    assert bool(response.data) == (status == 200)


def test_a_date_alone_does_not_make_a_304(post, ask):
    response = ask(POSTS, If_Modified_Since="Fri, 01 Jan 2100 00:00:00 GMT")

    assert response.status_code == 200


# What a tag stands for


@every_list
def test_a_writer_sees_every_edit_in_every_list(url, post, ask, client, as_user):
    url, ana = url.format(**post), as_user("ana")
    old = ask(url)

    for name, edit in EDITS.items():
        edit(client, ana, post)
        new = ask(url, old.headers["ETag"])

        assert (name, new.status_code) == (name, 200)
        assert shown_in(new, post) != shown_in(old, post), name
        assert new.json == ask(url).json
        old = new


def shown_in(response, post):
    return [shown for shown in response.json["data"] if shown["id"] == post["id"]]


@every_list
def test_a_writer_sees_what_comes_and_goes_in_every_list(url, post, ask, client, as_user):
    url, ana = url.format(**post), as_user("ana")
    old = ask(url)

    for name, change in COMING_AND_GOING.items():
        change(client, ana, post)
        new = ask(url, old.headers["ETag"])

        assert (name, new.status_code) == (name, 200)
        assert new.json == ask(url).json != old.json, name
        old = new


@every_edit
def test_a_writer_sees_their_edit_of_a_post(edit, post, ask, client, as_user):
    url = f"{POSTS}/{post['id']}"
    ask(url)
    old = ask(url)

    edit(client, as_user("ana"), post)

    new = ask(url, old.headers["ETag"])
    assert (old.status_code, new.status_code) == (200, 200)
    assert new.headers["ETag"] != old.headers["ETag"]
    assert new.json["data"] != old.json["data"]
    assert new.json == ask(url).json


@pytest.mark.parametrize("url", [f"{POSTS}/{{id}}", MINE])
def test_what_is_hidden_and_shown_again_is_seen_so_by_its_author(url, post, ask, client, as_user):
    url = url.format(**post)
    ask(url)
    tags, statuses = [ask(url).headers["ETag"]], []

    for status in ("hidden", "visible"):
        write(client, as_user("ana"), post, "PATCH", json={"status": status})
        seen = ask(url, tags[-1])
        tags.append(seen.headers["ETag"])
        data = seen.json["data"]
        statuses.append(next(one["status"] for one in (data if url == MINE else [data]) if one["id"] == post["id"]))

    assert statuses == ["hidden", "visible"]
    assert len(set(tags)) == 3


def test_what_an_admin_restores_is_seen_again(post, ask, client, as_user):
    client.delete(f"{POSTS}/{post['id']}", headers=as_user("ana"))
    tag = ask(POSTS).headers["ETag"]

    write(client, as_user("root"), post, "PATCH", json={"status": "visible"})

    seen = ask(POSTS, tag)
    assert seen.status_code == 200
    assert post["id"] in {one["id"] for one in seen.json["data"]}


@pytest.mark.parametrize("url", [f"{POSTS}/{{id}}", *LISTS.values()], ids=["detail", *LISTS])
def test_others_likes_views_and_comments_change_the_tag(url, post, ask, client, as_user, app):
    url = url.format(**post)
    ask(f"{POSTS}/{post['id']}")
    issuer = app.extensions["post"].dev_issuer
    token = issuer.issue("comment-service", [], COMMENTS_SCOPE)["access_token"]
    tags = [ask(url, method="HEAD").headers["ETag"]]

    write(client, as_user("bo"), post, "PUT", "/like")
    tags.append(ask(url, tags[-1], method="HEAD").headers["ETag"])
    ask(f"{POSTS}/{post['id']}", address="10.0.0.9")
    tags.append(ask(url, tags[-1], method="HEAD").headers["ETag"])
    write(client, {"Authorization": f"Bearer {token}"}, post, "PUT", "/comment-count", json={"comment_count": 7})
    tags.append(ask(url, tags[-1], method="HEAD").headers["ETag"])

    assert len(set(tags)) == 4


@pytest.mark.parametrize("url", [f"{POSTS}/{{id}}", POSTS, MINE, f"{POSTS}?sort=popular&view=summary"])
def test_an_image_is_seen_from_when_it_is_added_until_it_is_removed(url, post, ask, client, as_user):
    url, ana = url.format(**post), as_user("ana")
    ask(url)
    before = ask(url)

    media_id = write(client, ana, post, "POST", "/media", **png()).json["data"]["id"]
    added = ask(url, before.headers["ETag"])
    write(client, ana, post, "DELETE", f"/media/{media_id}")
    removed = ask(url, added.headers["ETag"])

    assert [response.status_code for response in (added, removed)] == [200, 200]
    assert [media_id in response.text for response in (before, added, removed)] == [False, True, False]


def test_a_like_that_is_taken_back_leads_back_to_the_same_post(post, ask, client, as_user):
    url = f"{POSTS}/{post['id']}"
    ask(url)
    before = ask(url)
    write(client, as_user("bo"), post, "PUT", "/like")
    liked = ask(url, before.headers["ETag"])

    write(client, as_user("bo"), post, "DELETE", "/like")

    after = ask(url, liked.headers["ETag"])
    assert (liked.status_code, after.status_code) == (200, 200)
    assert (after.json, after.headers["ETag"]) == (before.json, before.headers["ETag"])


@pytest.mark.parametrize("url", [f"{POSTS}/{{id}}", *LISTS.values(), CATEGORIES], ids=["detail", *LISTS, "categories"])
def test_another_language_has_another_tag(url, post, ask):
    url = url.format(**post)
    ask(url)

    korean, english = ask(url), ask(url, Accept_Language="en")
    again = ask(url, korean.headers["ETag"], Accept_Language="en")

    assert korean.json["message"] != english.json["message"]
    assert korean.headers["ETag"] != english.headers["ETag"]
    assert (again.status_code, again.json) == (200, english.json)


def test_a_page_that_has_changed_on_its_other_side_alone_is_the_same(make_post, client, as_user, ask):
    ids = [make_post() for _ in range(6)]
    url = f"{POSTS}?per_page=2"
    tag = ask(url).headers["ETag"]

    client.put(f"{POSTS}/{ids[0]}/like", headers=as_user("bo"))
    client.patch(f"{POSTS}/{ids[1]}", headers=as_user("ana"), json={"title": "고침"})

    assert ask(url, tag).status_code == 304


@pytest.mark.parametrize(
    "url", [f"{POSTS}/{{id}}", f"{POSTS}?category=Travel", f"{POSTS}?q=%EC%B0%BE", MINE, CATEGORIES]
)
def test_what_is_not_shown_changes_no_tag(url, post, make_post, client, as_user, ask):
    other = make_post(author="bo", title="다른 글", category="Music")
    url = url.format(**post)
    ask(url)
    tag = ask(url).headers["ETag"]

    client.put(f"{POSTS}/{other}/like", headers=as_user("ana"))
    client.patch(f"{POSTS}/{other}", headers=as_user("bo"), json={"title": "또 다른 글", "content": "새 내용"})

    assert ask(url, tag).status_code == 304


def test_a_total_that_changes_changes_the_tag_of_a_page_that_stays(make_post, client, as_user, ask):
    ids = [make_post() for _ in range(6)]
    url = f"{POSTS}?per_page=2"
    old = ask(url)

    client.delete(f"{POSTS}/{ids[0]}", headers=as_user("ana"))

    new = ask(url, old.headers["ETag"])
    assert new.status_code == 200
    assert new.json["data"] == old.json["data"]
    assert (old.json["meta"]["total"], new.json["meta"]["total"]) == (6, 5)


@pytest.mark.parametrize("url", [f"{POSTS}?page=9", f"{POSTS}?q=nowhere", f"{POSTS}?category=nowhere", MINE])
def test_an_empty_list_has_a_tag_until_it_is_filled(url, client, as_user, ask):
    empty = ask(url)

    again = ask(url, empty.headers["ETag"])
    for _ in range(81 if "page" in url else 1):
        body = {"title": "nowhere", "content": "내용", "category": "nowhere"}
        client.post(POSTS, headers=as_user("ana"), json=body)
    filled = ask(url, empty.headers["ETag"])

    assert (empty.json["data"], again.status_code, filled.status_code) == ([], 304, 200)
    assert len(filled.json["data"]) == 1


def test_categories_change_with_their_counts_and_their_number(post, client, as_user, ask):
    tags = [ask(CATEGORIES).headers["ETag"]]
    ana = as_user("ana")

    for change in (
        lambda: client.post(CATEGORIES, headers=ana, json={"name": "Music"}),
        lambda: write(client, ana, post, "PATCH", json={"category": "Music"}),
        lambda: write(client, ana, post, "PATCH", json={"status": "hidden"}),
        lambda: write(client, ana, post, "PATCH", json={"status": "visible"}),
        lambda: write(client, ana, post, "DELETE"),
    ):
        change()
        seen = ask(CATEGORIES, tags[-1])
        assert seen.status_code == 200
        tags.append(seen.headers["ETag"])

    assert tags[3] == tags[5]  # with none in it both times
    assert tags[2] == tags[4]
    assert len(set(tags)) == 4


def test_a_total_that_stops_at_the_limit_changes_the_tag_when_there_are_more(make_post, ask, monkeypatch, row):
    monkeypatch.setattr(search_plans, "SEARCH_TOTAL_MAX", 3)
    ids = [make_post(title="찾는 글") for _ in range(3)]
    cursor = Cursor("next", "latest", (row(ids[-1]).No,)).encode()
    url = f"{POSTS}?q={quote('찾는')}&cursor={cursor}"  # the page is the same when another is written
    exact = ask(url)

    make_post(title="찾는 글")

    capped = ask(url, exact.headers["ETag"])
    assert capped.status_code == 200
    assert (exact.json["meta"].get("total_capped"), capped.json["meta"].get("total_capped")) == (None, True)


# Deep pages


@pytest.mark.parametrize(
    "url",
    [
        f"{POSTS}?per_page=2&page=3",
        f"{POSTS}?per_page=2&page=3&category=Travel",
        f"{POSTS}?per_page=2&page=3&sort=popular",
        f"{POSTS}?per_page=2&page=3&q={quote('찾는')}",
        f"{MINE}?per_page=2&page=3",
    ],
)
def test_a_deep_page_has_a_tag_that_follows_it(url, make_post, client, as_user, ask, monkeypatch):
    monkeypatch.setattr(pages, "DEEP_OFFSET", 1)
    ids = [make_post(title="찾는 글", category="Travel") for _ in range(7)]
    old = ask(url)

    known = ask(url, old.headers["ETag"])
    client.put(f"{POSTS}/{ids[2]}/like", headers=as_user("bo"))
    liked = ask(url, known.headers["ETag"])
    client.post(POSTS, headers=as_user("ana"), json={"title": "찾는 글", "content": "내용", "category": "Travel"})
    shifted = ask(url, liked.headers["ETag"])

    assert (known.status_code, liked.status_code, shifted.status_code) == (304, 200, 200)
    assert len({response.headers["ETag"] for response in (old, liked, shifted)}) == 3
    assert shifted.json == ask(url).json


# Views


def test_a_view_counts_though_the_viewer_has_the_post(post, ask, row):
    url = f"{POSTS}/{post['id']}"
    tag = ask(url, method="HEAD").headers["ETag"]

    first = ask(url, tag, address="10.0.0.1")
    again = ask(url, first.headers["ETag"], address="10.0.0.1")
    other = ask(url, again.headers["ETag"], address="10.0.0.2")

    assert [response.status_code for response in (first, again, other)] == [200, 304, 200]
    assert (first.json["data"]["view_count"], other.json["data"]["view_count"]) == (1, 2)
    assert row(post["id"]).view_count == 2


def test_a_304_counts_the_view_of_whoever_has_the_tag_already(post, ask, row):
    """Another has looked meanwhile, and this one's view makes the count that they know."""
    url = f"{POSTS}/{post['id']}"

    ask(url, "*", address="10.0.0.1")
    known = ask(url, "*", address="10.0.0.2")

    assert known.status_code == 304
    assert row(post["id"]).view_count == 2
    assert known.headers["ETag"] == ask(url, method="HEAD").headers["ETag"]


def test_head_has_the_headers_of_get_and_counts_nothing(post, ask, row):
    differing = {"X-Request-ID", "RateLimit-Remaining", "RateLimit-Reset"}
    for url in (f"{POSTS}/{post['id']}", POSTS, CATEGORIES, MINE):
        head = ask(url, method="HEAD", address="10.0.0.1")
        assert row(post["id"]).view_count == 0
        known = ask(url, head.headers["ETag"], method="HEAD", address="10.0.0.1")
        if url != f"{POSTS}/{post['id']}":
            got = ask(url, address="10.0.0.1")
            same = {name: value for name, value in got.headers if name not in differing}
            assert same == {name: value for name, value in head.headers if name not in differing}
        assert (head.status_code, head.data, known.status_code, known.data) == (200, b"", 304, b"")
        assert row(post["id"]).view_count == 0


def test_head_of_a_viewed_post_is_as_get(post, ask):
    url = f"{POSTS}/{post['id']}"
    ask(url)
    differing = {"X-Request-ID", "RateLimit-Remaining", "RateLimit-Reset"}

    got, head = ask(url), ask(url, method="HEAD")

    told = [{name: value for name, value in response.headers if name not in differing} for response in (got, head)]
    assert told[0] == told[1]


@pytest.fixture
def collecting(make_app, database_url):
    """A service that collects views for longer than the test takes."""
    app = make_app(DATABASE_URL=database_url, VIEW_FLUSH_SECONDS="60")
    yield app
    app.extensions["post"].view_counter.flush()


def test_views_that_wait_are_in_the_tag_and_writing_them_does_not_change_it(collecting, post):
    client, url = collecting.test_client(), f"{POSTS}/{post['id']}"

    def look(address, tag=None):
        headers = {"If-None-Match": tag} if tag else {}
        return client.get(url, headers=headers, environ_base={"REMOTE_ADDR": address})

    first = look("10.0.0.1")
    second = look("10.0.0.2", first.headers["ETag"])
    waiting = look("10.0.0.1", second.headers["ETag"])
    written = collecting.extensions["post"].view_counter.flush()
    after = look("10.0.0.1", second.headers["ETag"])

    assert [response.status_code for response in (first, second, waiting, after)] == [200, 200, 304, 304]
    assert second.json["data"]["view_count"] == written == 2


# What a 304 costs, and that both ways to a tag agree


def reads(statements):
    return [statement for statement in statements if not statement.startswith("BEGIN")]  # SQLite's


@pytest.mark.parametrize("url", [f"{POSTS}/{{id}}", *LISTS.values(), CATEGORIES], ids=["detail", *LISTS, "categories"])
def test_a_304_reads_no_post(url, post, ask, count_queries):
    url = url.format(**post)
    who = "ana" if url.startswith(MINE) else "nobody"
    ask(url, who=who)
    tag = ask(url, who=who).headers["ETag"]

    with count_queries() as statements:
        known = ask(url, tag, who=who)

    assert known.status_code == 304
    assert not [statement for statement in statements if re.search(r"\bcontent\b|\bposts\.title\b", statement)]
    # A search looks for the way to search first.
    assert len(reads(statements)) == (1 if "q=" not in url else 3 if "%EA%B8%80" in url else 2)


def test_a_list_that_has_changed_is_read_once_more_than_its_version(post, ask, count_queries):
    with count_queries() as statements:
        changed = ask(POSTS, '"old"', who="nobody")

    assert changed.status_code == 200
    assert len(reads(statements)) == 2


DEMO_LISTS = [
    "?per_page=50",
    "?per_page=50&page=3",
    "?per_page=50&sort=popular",
    "?per_page=50&view=summary",
    "?per_page=50&sort=popular&page=2",
    "?per_page=49&category=%EC%9D%BC%EB%B0%98",
    "?per_page=50&category=%EC%9D%BC%EB%B0%98&sort=popular",
    "?per_page=50&q=%20",
    "?per_page=7&page=5",
]


def test_both_ways_to_the_version_of_a_list_agree_on_the_demo_data(app, client, count_queries):
    seeded = app.test_cli_runner().invoke(args=["seed-demo", "--posts", "400"])
    assert seeded.exit_code == 0, seeded.output
    largest = {Post.view_count: 2**31 - 1, Post.like_count: 2**31 - 1, Post.comment_count: 2**31 - 1}
    with app.app_context():
        db.session.execute(update(Post).where(Post.No % 2 == 0).values({**largest, Post.updated_at: Post.updated_at}))
        db.session.commit()

    wrong = []
    for query in DEMO_LISTS:
        shown = client.get(f"{POSTS}{query}")
        with count_queries() as statements:
            known = client.get(f"{POSTS}{query}", headers={"If-None-Match": shown.headers["ETag"]})
        if known.status_code != 304 or any("posts.content" in statement for statement in statements):
            wrong.append(query)

    assert wrong == []


@pytest.mark.parametrize("microseconds", [0, 999, 1000, 678_000, 678_999, 999_999])
def test_both_ways_to_the_version_agree_on_any_moment(microseconds, app, make_post, ask, count_queries):
    post_id = make_post()
    with app.app_context():
        moment = f"2026-01-02 03:04:05.{microseconds:06}"
        kept = moment if db.engine.dialect.name == "sqlite" else moment[:23]
        db.session.execute(update(Post).where(Post.id == post_id).values(updated_at=func.coalesce(None, kept)))
        db.session.commit()
    tags = [ask(url, method="HEAD").headers["ETag"] for url in (POSTS, f"{POSTS}/{post_id}")]

    with count_queries() as statements:
        known = [ask(url, tag, method="HEAD") for url, tag in zip((POSTS, f"{POSTS}/{post_id}"), tags, strict=True)]

    assert [response.status_code for response in known] == [304, 304]
    assert not [statement for statement in statements if "posts.content" in statement]


# Writes between the reads of one answer


@pytest.fixture
def between_reads(app):
    """Do something once, before the second statement from now on that reads posts."""
    waiting, reads_so_far = [], []

    def act(_connection, _cursor, statement, *_rest):
        if "posts" in statement and waiting:
            reads_so_far.append(statement)
            if len(reads_so_far) == 2:
                waiting.pop()()

    with app.app_context():
        engines = list(db.engines.values())
    for engine in engines:
        event.listen(engine, "before_cursor_execute", act)
    yield waiting.append
    for engine in engines:
        event.remove(engine, "before_cursor_execute", act)
    assert not waiting


@pytest.mark.parametrize("url", [f"{POSTS}/{{id}}", POSTS, f"{POSTS}?sort=popular"])
def test_who_was_shown_a_like_as_it_came_is_told_when_it_is_gone(url, post, app, ask, user_id, between_reads):
    """The version is read first and the post then: one tag must not stand for two states."""
    url, bo = url.format(**post), Caller(user_id=user_id("bo"), username="bo")
    ask(url)

    def do(service):
        with app.app_context():
            service(post["id"], user_id=bo.user_id, viewer=bo)

    between_reads(lambda: do(services.like_post))
    seen = ask(url, '"old"')
    do(services.unlike_post)
    after = ask(url, seen.headers["ETag"])

    assert after.status_code == 200 or seen.json == ask(url).json
