"""What is hidden is hidden: who has hidden a post, who may show it again, and its images meanwhile."""

import io

import pytest
from PIL import Image
from sqlalchemy import select

from post.components import components
from post.images.storage import digest_of, new_key
from post.models import Post
from tests.answers import fault
from tests.test_media import multipart

POSTS = "/api/v1/posts"


@pytest.fixture
def patch(client, as_user):
    """Change a post's fields as a user; returns the response."""
    return lambda post_id, who, **body: client.patch(f"{POSTS}/{post_id}", json=body, headers=as_user(who))


@pytest.fixture
def get(client, as_user):
    """GET a path below the posts as a user; returns the response."""
    return lambda path, who: client.get(f"{POSTS}{path}", headers=as_user(who))


@pytest.fixture
def moderated(make_post, patch):
    """A post of ana's that an admin has hidden."""
    post_id = make_post(author="ana")
    assert patch(post_id, "root", status="hidden").status_code == 200
    return post_id


def test_its_author_cannot_show_what_an_admin_has_hidden(moderated, patch, get):
    refused = patch(moderated, "ana", status="visible")

    assert fault(refused) == (403, "moderated")
    assert get(f"/{moderated}", "nobody").status_code == 404


def test_a_refused_change_changes_nothing_else(moderated, patch, row):
    before = row(moderated)

    refused = patch(moderated, "ana", status="visible", title="새 제목", category="새 카테고리")

    after = row(moderated)
    assert fault(refused) == (403, "moderated")
    assert (after.title, after.category, after.updated_at) == (before.title, before.category, before.updated_at)


def test_hiding_it_oneself_does_not_undo_what_an_admin_has_hidden(moderated, patch):
    """Else its author would hide it, and then show it."""
    hidden = patch(moderated, "ana", status="hidden")
    shown = patch(moderated, "ana", status="visible")

    assert hidden.json["data"]["hidden_by"] == "moderator"
    assert fault(shown) == (403, "moderated")


def test_its_author_may_still_edit_what_an_admin_has_hidden(moderated, patch):
    edited = patch(moderated, "ana", title="새 제목")

    assert (edited.json["data"]["title"], edited.json["data"]["status"]) == ("새 제목", "hidden")
    assert edited.json["data"]["hidden_by"] == "moderator"


def test_an_admin_shows_it_again_and_then_it_is_its_author_s_to_hide(moderated, patch, get):
    shown = patch(moderated, "root", status="visible")
    hidden = patch(moderated, "ana", status="hidden")
    again = patch(moderated, "ana", status="visible")

    assert (shown.json["data"]["status"], shown.json["data"]["hidden_by"]) == ("visible", None)
    assert hidden.json["data"]["hidden_by"] == "author"
    assert again.json["data"]["status"] == "visible"
    assert get(f"/{moderated}", "nobody").status_code == 200


def test_an_admin_takes_over_what_its_author_has_hidden(make_post, patch):
    post_id = make_post(author="ana")
    patch(post_id, "ana", status="hidden")

    taken_over = patch(post_id, "root", status="hidden")

    assert taken_over.json["data"]["hidden_by"] == "moderator"
    assert fault(patch(post_id, "ana", status="visible")) == (403, "moderated")


def test_an_admin_hides_a_post_of_their_own_as_its_author(make_post, patch):
    post_id = make_post(author="root")

    assert patch(post_id, "root", status="hidden").json["data"]["hidden_by"] == "author"


def test_what_is_deleted_and_restored_is_no_longer_moderated(moderated, client, as_user, patch):
    client.delete(f"{POSTS}/{moderated}", headers=as_user("ana"))

    restored = patch(moderated, "root", status="visible")

    assert (restored.json["data"]["status"], restored.json["data"]["hidden_by"]) == ("visible", None)
    assert patch(moderated, "ana", status="hidden").json["data"]["hidden_by"] == "author"


def test_what_an_earlier_release_has_hidden_is_its_author_s(make_post, patch, get, stored):
    post_id = make_post(author="ana", status="hidden")

    assert stored(select(Post.hidden_by).where(Post.id == post_id)) is None
    assert get(f"/{post_id}", "ana").json["data"]["hidden_by"] == "author"
    assert patch(post_id, "ana", status="visible").status_code == 200


@pytest.mark.parametrize(("who", "is_shown"), [("ana", True), ("root", True), ("bo", False), ("nobody", False)])
@pytest.mark.parametrize("view", ["full", "summary"])
def test_hidden_by_is_shown_to_the_author_and_admins_alone(make_post, get, *, who, is_shown, view):
    post_id = make_post(author="ana")

    (listed,) = get(f"?view={view}", who).json["data"]
    post = get(f"/{post_id}", who).json["data"]

    for shown in (listed, post):
        assert ("hidden_by" in shown) == is_shown
        assert shown.get("hidden_by") is None


def test_an_authors_own_list_tells_who_has_hidden_each(make_post, moderated, patch, get):
    drafted, shown = make_post(author="ana"), make_post(author="ana")
    patch(drafted, "ana", status="hidden")

    posts = get("/my", "ana").json["data"]

    assert {post["id"]: post["hidden_by"] for post in posts} == {
        moderated: "moderator",
        drafted: "author",
        shown: None,
    }


@pytest.mark.parametrize("headers", [{}, {"If-None-Match": 'W/"x"'}], ids=["plain", "conditional"])
def test_an_admin_reads_a_deleted_post(make_post, client, as_user, headers):
    post_id = make_post(author="ana", status="deleted")

    statuses = {
        who: client.get(f"{POSTS}/{post_id}", headers=as_user(who) | headers).status_code
        for who in ("root", "ana", "bo", "nobody")
    }
    shown = client.get(f"{POSTS}/{post_id}", headers=as_user("root") | headers).json["data"]

    assert statuses == {"root": 200, "ana": 404, "bo": 404, "nobody": 404}
    assert (shown["status"], shown["hidden_by"], shown["view_count"]) == ("deleted", None, 0)


def test_two_callers_never_share_a_tag(make_post, client, as_user):
    """What is shown depends on the caller, so that a tag of one would keep another's answer alive."""
    post_id = make_post(author="ana")
    client.get(f"{POSTS}/{post_id}")  # counts the view

    for path in (f"{POSTS}/{post_id}", POSTS):
        tags = {client.get(path, headers=as_user(who)).headers["ETag"] for who in ("ana", "bo", "root", "nobody")}
        assert len(tags) == 4


# Images


@pytest.fixture
def image(client, as_user, make_post):
    """A post of ana's with an image: the post's id, and the URLs of the image and its thumbnail."""
    post_id = make_post(author="ana")
    body = multipart(('name="file"; filename="a.png"', png()))
    uploaded = client.post(f"{POSTS}/{post_id}/media", headers=as_user("ana"), **body).json["data"]
    return post_id, [uploaded["url"], uploaded["thumbnail_url"]]


def png():
    output = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(output, "PNG")
    return output.getvalue()


@pytest.fixture
def answers(client, as_user):
    """Ask for URLs as everybody, also with the tag that a browser has; returns the different answers."""

    def ask(urls):
        found = set()
        for url in urls:
            for known in ({}, {"If-None-Match": "*"}, {"If-None-Match": f'"{digest_of(url.rpartition("/")[2])}"'}):
                for who in ("nobody", "ana", "bo", "root"):
                    response = client.get(url, headers=as_user(who) | known)
                    assert client.head(url, headers=as_user(who) | known).status_code == response.status_code
                    found.add((response.status_code, response.headers["Cache-Control"]))
        return found

    return ask


FOR_A_YEAR = "public, max-age=31536000, immutable"
SERVED, GONE = {(200, FOR_A_YEAR), (304, FOR_A_YEAR)}, {(404, "no-store")}


@pytest.mark.parametrize("who", ["ana", "root"])
def test_images_of_a_hidden_post_are_404_until_it_is_visible_again(image, patch, answers, who):
    post_id, urls = image

    before = answers(urls)
    patch(post_id, who, status="hidden")
    hidden = answers(urls)
    patch(post_id, "root", status="visible")

    assert (before, hidden, answers(urls)) == (SERVED, GONE, SERVED)


def test_images_of_a_deleted_post_are_404_until_it_is_restored(image, client, as_user, patch, answers):
    post_id, urls = image

    client.delete(f"{POSTS}/{post_id}", headers=as_user("ana"))
    deleted = answers(urls)
    patch(post_id, "root", status="visible")

    assert (deleted, answers(urls)) == (GONE, SERVED)


def test_an_object_that_no_post_has_is_404(app, client):
    key = new_key(png(), "png")
    with app.app_context():
        components().image_storage.put(key, png())

    assert fault(client.get(f"/api/v1/images/{key}")) == (404, "media_not_found")
