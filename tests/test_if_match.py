"""``If-Match``: a write happens only to the post that its writer has read."""

from collections import Counter
from datetime import datetime, timedelta

import pytest

from tests.answers import fault
from tests.conftest import at_once
from tests.test_http_cache import png

POSTS = "/api/v1/posts"
WHOLE = {"title": "다시", "content": "다시 쓴 내용", "category": "새 카테고리"}
WRITES = {"PUT": WHOLE, "PATCH": {"title": "다시"}, "DELETE": None}
every_write = pytest.mark.parametrize("method", WRITES)


@pytest.fixture
def post(make_post):
    """The URL of a post of ana's."""
    return f"{POSTS}/{make_post(author='ana')}"


@pytest.fixture
def tag_of(client, as_user):
    """The tag of a post as a caller reads it now."""

    def read(url, who="ana", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.get(url, headers=as_user(who) | named).headers["ETag"]

    return read


@pytest.fixture
def write(client, as_user):
    """Write to a post with an ``If-Match``; returns the response."""

    def send(url, method, tag, *, who="ana", body=None):
        headers = as_user(who) | {"If-Match": tag}
        return client.open(url, method=method, json=body or WRITES[method], headers=headers)

    return send


def edit(client, url, as_user):
    assert client.patch(url, json={"content": "고침"}, headers=as_user("ana")).status_code == 200


@every_write
def test_a_write_to_what_was_read_happens(post, tag_of, write, method):
    assert write(post, method, tag_of(post)).status_code == 200


@every_write
def test_a_write_to_what_was_edited_since_is_412_and_changes_nothing(client, as_user, post, tag_of, write, row, method):
    tag = tag_of(post)
    edit(client, post, as_user)
    before = client.get(post, headers=as_user("ana")).json

    refused = write(post, method, tag)

    assert fault(refused) == (412, "precondition_failed")
    assert client.get(post, headers=as_user("ana")).json == before
    assert [category["name"] for category in client.get("/api/v1/categories").json["data"]] == ["일반"]


def test_a_tag_is_good_for_one_edit(post, tag_of, write):
    tag = tag_of(post)

    answers = [write(post, "PATCH", tag) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 412, 412]
    assert write(post, "PATCH", tag_of(post)).status_code == 200


EDITS = {
    "title": lambda client, url, ana: client.patch(url, json={"title": "다른"}, headers=ana),
    "same-title": lambda client, url, ana: client.patch(url, json={"title": "제목"}, headers=ana),
    "hidden": lambda client, url, ana: client.patch(url, json={"status": "hidden"}, headers=ana),
    "image": lambda client, url, ana: client.post(f"{url}/media", headers=ana, **png()),
}


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS)
def test_every_edit_ends_a_tag(client, as_user, post, tag_of, write, change):
    tag = tag_of(post)
    assert change(client, post, as_user("ana")).status_code in (200, 201)

    assert fault(write(post, "PATCH", tag)) == (412, "precondition_failed")


@every_write
def test_views_likes_and_comments_are_no_edits(app, client, as_user, post, tag_of, write, method):
    tag = tag_of(post)
    comments = app.extensions["post"].dev_issuer.issue("comments", [], "post-service/comments.write")["access_token"]

    client.get(post, environ_base={"REMOTE_ADDR": "192.0.2.77"})
    client.put(f"{post}/like", headers=as_user("ana"))
    client.put(f"{post}/like", headers=as_user("bo"))
    counted = {"Authorization": f"Bearer {comments}"}
    assert client.put(f"{post}/comment-count", json={"comment_count": 9}, headers=counted).status_code == 200

    assert tag_of(post) != tag
    assert write(post, method, tag).status_code == 200


def test_a_tag_is_good_whoever_has_read_it_and_in_which_language(post, tag_of, write):
    for who in ("nobody", "bo", "root", "ana"):
        for language in ("ko", "en"):
            assert write(post, "PATCH", tag_of(post, who, Accept_Language=language)).status_code == 200


FORMS = {
    "weak": "{}",
    "strong": "{strong}",
    "listed": '"other", {}',
    "listed-tight": 'W/"x",{},"y"',
    "repeated": "{}, {}",
    "any": "*",
    "any-in-space": " * ",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@every_write
def test_forms_of_the_header_that_match(post, tag_of, write, *, form, method):
    tag = tag_of(post)

    assert write(post, method, form.format(tag, tag, strong=tag.removeprefix("W/"))).status_code == 200


OTHERS = {
    "another": '"' + "0" * 32 + '"',
    "short": '"x"',
    "unquoted": "{unquoted}",
    "half-quoted": '"{unquoted}',
    "half-of-it": '"{half}"',
    "upper-case": "{upper}",
    "empty": "",
    "commas": ",,,",
    "star-quoted": '"*"',
    "long": '"' * 8000,
    "spaces": "a" + " " * 8000 + "b",
}


@pytest.mark.parametrize("form", OTHERS.values(), ids=OTHERS)
@every_write
def test_what_is_no_tag_of_the_post_matches_nothing(post, tag_of, write, *, form, method):
    unquoted = tag_of(post).removeprefix("W/").strip('"')

    header = form.format(unquoted=unquoted, half=unquoted[:16], upper=f'"{unquoted.upper()}"')

    assert fault(write(post, method, header)) == (412, "precondition_failed")


def test_tags_of_another_post_and_of_lists_match_nothing(client, as_user, post, make_post, tag_of, write):
    for url in (f"{POSTS}/{make_post()}", POSTS, f"{POSTS}/my", "/api/v1/categories"):
        assert fault(write(post, "PATCH", tag_of(url))) == (412, "precondition_failed")


@every_write
def test_existence_and_ownership_are_checked_first(make_post, write, method):
    stranger, gone = f"{POSTS}/{make_post(author='bo')}", f"{POSTS}/{make_post(status='deleted')}"

    assert fault(write(stranger, method, '"x"')) == (403, "forbidden")
    assert fault(write(gone, method, "*")) == (404, "post_not_found")


def test_of_many_at_once_with_one_tag_one_writes(app, as_user, post, tag_of):
    headers = as_user("ana") | {"If-Match": tag_of(post)}

    answers = at_once(
        [lambda n=n: app.test_client().patch(post, json={"title": f"제목 {n}"}, headers=headers) for n in range(12)]
    )

    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 11}


def test_edits_within_a_millisecond_have_different_tags(client, as_user, post, tag_of):
    tags, ana = [], as_user("ana")
    for _ in range(20):
        client.patch(post, json={"title": "제목"}, headers=ana)
        tags.append(tag_of(post)[3:19])

    assert len(set(tags)) == 20


def test_each_edit_moves_updated_at_also_where_the_clock_has_gone_back(client, as_user, make_post, row):
    later = datetime(2100, 1, 1)  # noqa: DTZ001 - as stored
    post_id = make_post(author="ana", updated_at=later)

    client.patch(f"{POSTS}/{post_id}", json={"title": "새"}, headers=as_user("ana"))

    assert row(post_id).updated_at == later + timedelta(milliseconds=1)


def test_reads_ignore_the_header(client, post):
    assert client.get(post, headers={"If-Match": '"x"'}).status_code == 200
