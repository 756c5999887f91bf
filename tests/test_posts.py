"""One post: created, read and viewed, replaced, changed, deleted and restored."""

import json
import re
import time
import unicodedata
from datetime import UTC, datetime

import pytest

from post.models import Post, db
from tests.answers import OWNER_FIELDS, POST_FIELDS, UNKNOWN_ID, as_anyone, fault, wrong_fields

POSTS = "/api/v1/posts"
LONG_AGO = datetime(2020, 1, 2, 3, 4, 5, 678000, UTC).replace(tzinfo=None)  # as the database has it
NEW = {"title": "제목", "content": "내용"}
WHOLE = {"title": "새 제목", "content": "새 내용", "category": "여행"}
BAD_IDS = {
    "null": "null",
    "undefined": "undefined",
    "upper-case": "A" * 32,
    "31": "a" * 31,
    "33": "a" * 33,
    "not-hex": "g" * 32,
    "dashes": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "newline-after": "a" * 32 + "%0A",
    "full-width-digits": "%EF%BC%90" * 32,
}
WRITES = {
    "PUT": ("PUT", "", WHOLE),
    "PATCH": ("PATCH", "", {"title": "새 제목"}),
    "DELETE": ("DELETE", "", None),
}
with_bad_ids = pytest.mark.parametrize("bad_id", BAD_IDS.values(), ids=BAD_IDS)
with_writes = pytest.mark.parametrize(("method", "suffix", "body"), WRITES.values(), ids=WRITES)
for_edits = pytest.mark.parametrize("method", ["PUT", "PATCH"])

GOOD_TITLES = {
    "one-character": ("a", "a"),
    "200-characters": ("가" * 200, "가" * 200),
    "200-emoji": ("😀" * 200, "😀" * 200),
    "200-after-trimming": (f"  {'a' * 200}\n", "a" * 200),
    "trimmed-of-unicode-space": ("\u3000 제목\u00a0\t", "제목"),
    "inner-space-kept": ("a  b\tc", "a  b\tc"),
    "html-is-data": ("<script>alert('&amp;')</script>", "<script>alert('&amp;')</script>"),
    "quotes-and-backslashes": ("\"'\\n%_`; -- ", "\"'\\n%_`; --"),
    "nfc": (unicodedata.normalize("NFD", "한글 café"), "한글 café"),
    "300-of-nfd-are-200-of-nfc": (unicodedata.normalize("NFD", "각") * 200, "각" * 200),
    "joined-emoji": ("👩‍👩‍👧‍👦", "👩‍👩‍👧‍👦"),
}
GOOD_CONTENTS = {
    "one-character": "a",
    "white-space-as-written": "  첫 줄\r\n\t둘째 줄\n\n ",
    "65535-bytes": "a" * 65_535,
    "65535-bytes-of-korean": "가" * 21_845,
    "html-is-data": '<b onclick="x()">&lt;굵게&gt;</b>',
    "emoji": "😀👨‍👩‍👧",
}
BAD_TITLES = {
    "missing": {},
    "empty": {"title": ""},
    "blank": {"title": " \t\r\n\u3000"},
    "201-characters": {"title": "a" * 201},
    "201-emoji": {"title": "😀" * 201},
    "201-after-nfc": {"title": "\u0958" * 101},  # a composition exclusion: NFC makes two of each
    "null": {"title": None},
    "number": {"title": 1},
    "boolean": {"title": True},
    "list": {"title": ["a"]},
    "object": {"title": {"a": "b"}},
    "NUL": {"title": "a\x00b"},
    "escape": {"title": "a\x1bb"},
    "vertical-tab": {"title": "a\x0bb"},
    "form-feed": {"title": "a\x0cb"},
    "delete": {"title": "a\x7fb"},
    "C1": {"title": "a\x9bb"},
    "C1-next-line-at-the-end": {"title": "a\x85"},
    "NUL-at-the-end": {"title": "a\x00"},
}
BAD_CONTENTS = {
    "missing": {},
    "empty": {"content": ""},
    "blank": {"content": " \n\t\u3000"},
    "65536-bytes": {"content": "a" * 65_536},
    "65536-bytes-of-korean": {"content": "가" * 21_845 + "a"},
    "null": {"content": None},
    "number": {"content": 1.5},
    "list": {"content": []},
    "NUL": {"content": "a\x00"},
    "bell": {"content": "\x07a"},
    "C1": {"content": "a\x80b"},
}
BAD_CATEGORIES = {
    "empty": {"category": ""},
    "blank": {"category": " \t"},
    "51-characters": {"category": "가" * 51},
    "null": {"category": None},
    "number": {"category": 7},
    "NUL": {"category": "a\x00b"},
    "C1": {"category": "a\x81b"},
}
BAD_FIELDS = [
    *(pytest.param("title", value, id=f"title-{name}") for name, value in BAD_TITLES.items()),
    *(pytest.param("content", value, id=f"content-{name}") for name, value in BAD_CONTENTS.items()),
    *(pytest.param("category", value, id=f"category-{name}") for name, value in BAD_CATEGORIES.items()),
]


def viewed(client, post_id, address="192.0.2.1", *, method="GET", **options):
    return client.open(f"{POSTS}/{post_id}", method=method, environ_base={"REMOTE_ADDR": address}, **options)


@pytest.fixture
def other_client(app, make_app, database_url):
    """Clients of services with settings of their own, on this half's database."""
    made = []

    def build(**settings):
        made.append(make_app(DATABASE_URL=database_url, **settings))
        return made[-1].test_client()

    yield build
    for other in made:
        with other.app_context():
            db.engine.dispose()


# The post object


def test_a_post_has_the_documented_fields_and_no_others(client, make_post, as_user, user_id):
    post_id = make_post(author="ana", title="제목", content="내용", category="여행")

    post = client.get(f"{POSTS}/{post_id}").json["data"]

    assert set(post) == POST_FIELDS
    assert {name: post[name] for name in ("id", "title", "content", "username", "user_id", "category")} == {
        "id": post_id,
        "title": "제목",
        "content": "내용",
        "username": "ana",
        "user_id": user_id("ana"),
        "category": "여행",
    }
    assert re.fullmatch("[0-9a-f]{32}", post["id"])
    assert re.fullmatch("[0-9a-f]{32}", post["category_id"])
    assert post["status"] == "visible"
    assert post["media_files"] == []
    assert post["media_count"] == 0
    assert isinstance(post["No"], int)


def test_times_are_in_utc_with_milliseconds(client, make_post):
    post_id = make_post(created_at=LONG_AGO, updated_at=LONG_AGO)

    post = client.get(f"{POSTS}/{post_id}").json["data"]

    assert post["created_at"] == "2020-01-02T03:04:05.678Z"
    assert post["updated_at"] == "2020-01-02T03:04:05.678Z"


def test_a_new_post_is_dated_now_in_utc(client, as_user):
    before = time.time()

    post = client.post(POSTS, json=NEW, headers=as_user("ana")).json["data"]

    created = datetime.fromisoformat(post["created_at"]).timestamp()
    assert post["updated_at"] == post["created_at"]
    assert before - 1 < created < time.time() + 1


def test_korean_text_is_written_as_itself(client, make_post):
    post_id = make_post(title="안녕 😀", content="<b>내용</b>")

    response = client.get(f"{POSTS}/{post_id}")

    assert "안녕 😀".encode() in response.data
    assert "<b>내용</b>".encode() in response.data
    assert b"\\u" not in response.data


def test_a_post_is_answered_as_json_that_no_browser_executes(client, make_post):
    post_id = make_post(title="<script>alert(1)</script>")

    response = client.get(f"{POSTS}/{post_id}")

    assert response.mimetype == "application/json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


# Creating


def test_a_new_post_is_201_with_the_post_at_its_location(client, as_user):
    response = client.post(POSTS, json=NEW | {"category": "여행"}, headers=as_user("ana"))

    assert response.status_code == 201
    assert response.json["success"] is True
    assert "meta" not in response.json
    post = response.json["data"]
    assert set(post) == POST_FIELDS | OWNER_FIELDS
    assert (post["view_count"], post["like_count"], post["comment_count"]) == (0, 0, 0)
    assert response.headers["Location"].endswith(f"{POSTS}/{post['id']}")
    assert client.head(response.headers["Location"]).status_code == 200
    assert client.get(response.headers["Location"]).json["data"] == as_anyone(post) | {"view_count": 1}


@pytest.mark.parametrize(("who", "status"), [("ana", 201), ("bo", 201), ("root", 201), ("nobody", 401)])
def test_whoever_has_a_token_may_write_a_post(client, as_user, who, status):
    response = client.post(POSTS, json=NEW, headers=as_user(who))

    assert response.status_code == status


def test_a_post_without_a_category_is_in_the_default_one(client, as_user):
    post = client.post(POSTS, json=NEW, headers=as_user("ana")).json["data"]

    assert post["category"] == "일반"
    assert [category["name"] for category in client.get("/api/v1/categories").json["data"]] == ["일반"]


def test_a_category_is_created_when_a_post_names_a_new_one(client, as_user):
    post = client.post(POSTS, json=NEW | {"category": "여행"}, headers=as_user("ana")).json["data"]

    categories = client.get("/api/v1/categories").json["data"]
    assert [(category["id"], category["name"]) for category in categories] == [(post["category_id"], "여행")]


def test_a_refused_post_creates_no_category(client, as_user):
    client.post(POSTS, json={"title": "a", "category": "여행"}, headers=as_user("ana"))

    assert client.get("/api/v1/categories").json["data"] == []


@pytest.mark.parametrize("token", ["access_token", "id_token"])
def test_the_author_comes_from_the_token_whatever_the_body_says(client, as_user, user_id, token):
    body = NEW | {"user_id": user_id("bo"), "username": "bo"}

    post = client.post(POSTS, json=body, headers=as_user("ana", token=token)).json["data"]

    assert (post["user_id"], post["username"]) == (user_id("ana"), "ana")


def test_body_fields_that_no_author_decides_are_ignored(client, as_user):
    body = NEW | {"id": UNKNOWN_ID, "No": 0, "view_count": 99, "like_count": "many", "user_id": "x"}
    body |= {"created_at": None, "category_id": 7, "tags": [{"deep": []}]}

    response = client.post(POSTS, json=body, headers=as_user("ana"))

    assert response.status_code == 201
    post = response.json["data"]
    assert post["id"] != UNKNOWN_ID
    assert post["No"] > 0
    assert (post["view_count"], post["like_count"], post["status"]) == (0, 0, "visible")


def test_board_numbers_rise(client, as_user):
    numbers = [client.post(POSTS, json=NEW, headers=as_user("ana")).json["data"]["No"] for _ in range(4)]

    assert numbers == sorted(set(numbers))


def test_the_number_of_a_row_that_is_gone_is_not_given_again(app, client, as_user):
    last = client.post(POSTS, json=NEW, headers=as_user("ana")).json["data"]
    with app.app_context():
        db.session.execute(db.delete(Post).where(Post.id == last["id"]))
        db.session.commit()

    number = client.post(POSTS, json=NEW, headers=as_user("ana")).json["data"]["No"]

    assert number > last["No"]


def test_the_number_of_a_deleted_post_is_not_given_again(client, as_user):
    last = client.post(POSTS, json=NEW, headers=as_user("ana")).json["data"]
    client.delete(f"{POSTS}/{last['id']}", headers=as_user("ana"))

    number = client.post(POSTS, json=NEW, headers=as_user("ana")).json["data"]["No"]

    assert number > last["No"]


# Text


@pytest.mark.parametrize(("written", "stored"), GOOD_TITLES.values(), ids=GOOD_TITLES)
def test_a_title_is_stored_trimmed_in_nfc_and_otherwise_as_written(client, as_user, written, stored):
    created = client.post(POSTS, json=NEW | {"title": written}, headers=as_user("ana"))

    assert created.status_code == 201
    assert created.json["data"]["title"] == stored
    assert client.get(created.headers["Location"]).json["data"]["title"] == stored


@pytest.mark.parametrize("content", GOOD_CONTENTS.values(), ids=GOOD_CONTENTS)
def test_content_is_given_back_as_it_was_written(client, as_user, content):
    created = client.post(POSTS, json=NEW | {"content": content}, headers=as_user("ana"))

    assert created.status_code == 201
    assert created.json["data"]["content"] == content
    assert client.get(created.headers["Location"]).json["data"]["content"] == content


def test_content_is_stored_in_nfc(client, as_user):
    decomposed = unicodedata.normalize("NFD", "한글 café")

    created = client.post(POSTS, json=NEW | {"content": decomposed}, headers=as_user("ana"))

    assert created.json["data"]["content"] == "한글 café"


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS)
def test_a_new_post_with_a_wrong_field_is_refused_by_its_name(client, as_user, field, value):
    body = {name: text for name, text in NEW.items() if name != field} | value

    response = client.post(POSTS, json=body, headers=as_user("ana"))

    assert wrong_fields(response) == {field}
    assert client.get(POSTS).json["meta"]["total"] == 0


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS)
def test_replacing_refuses_a_wrong_field_by_its_name(client, make_post, as_user, field, value):
    post_id = make_post()
    body = {name: text for name, text in WHOLE.items() if name != field} | value

    response = client.put(f"{POSTS}/{post_id}", json=body, headers=as_user("ana"))

    assert wrong_fields(response) == {field}


@pytest.mark.parametrize(("field", "value"), [case for case in BAD_FIELDS if case.values[1]])
def test_changing_refuses_a_wrong_field_by_its_name(client, make_post, as_user, field, value):
    post_id = make_post()

    response = client.patch(f"{POSTS}/{post_id}", json=value, headers=as_user("ana"))

    assert wrong_fields(response) == {field}


@pytest.mark.parametrize("field", ["title", "content", "category"])
@pytest.mark.parametrize("half", ["d800", "DBFF", "dc00", "dfff"])
def test_half_of_a_surrogate_pair_is_refused(client, as_user, field, half):
    texts = WHOLE | {field: "HALF"}
    body = json.dumps(texts).replace("HALF", f"a\\u{half}b").encode()

    response = client.post(POSTS, data=body, content_type="application/json", headers=as_user("ana"))

    assert wrong_fields(response) == {field}


def test_a_whole_surrogate_pair_is_the_character_that_it_stands_for(client, as_user):
    body = b'{"title": "\\ud83d\\ude00", "content": "c"}'

    response = client.post(POSTS, data=body, content_type="application/json", headers=as_user("ana"))

    assert response.json["data"]["title"] == "😀"


def test_an_unknown_field_may_hold_what_known_ones_may_not(client, as_user):
    body = b'{"title": "a", "content": "c", "draft": "\\ud800\\u0000"}'

    response = client.post(POSTS, data=body, content_type="application/json", headers=as_user("ana"))

    assert response.status_code == 201


def test_every_wrong_field_is_named_at_once(client, as_user):
    response = client.post(POSTS, json={"title": "", "content": None, "category": 3}, headers=as_user("ana"))

    assert wrong_fields(response) == {"title", "content", "category"}


@pytest.mark.parametrize(
    ("data", "content_type", "expected"),
    [
        pytest.param(b"{}", "text/plain", (415, "unsupported_media_type"), id="plain-text"),
        pytest.param(b"title=a", "application/x-www-form-urlencoded", (415, "unsupported_media_type"), id="form"),
        pytest.param(b"{}", None, (415, "unsupported_media_type"), id="no-type"),
        pytest.param(b"", "application/json", (400, "invalid_json"), id="empty"),
        pytest.param(b"{", "application/json", (400, "invalid_json"), id="broken"),
        pytest.param(b'{"title": NaN}', "application/json", (400, "invalid_json"), id="NaN"),
        pytest.param(b'{"title": "\xff"}', "application/json", (400, "invalid_json"), id="not-utf-8"),
        pytest.param(b"[]", "application/json", (400, "validation_error"), id="list"),
        pytest.param(b"null", "application/json", (400, "validation_error"), id="null"),
        pytest.param(b" " * (1024 * 1024 + 1), "application/json", (413, "payload_too_large"), id="over-1-MiB"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_body_that_is_no_json_object_is_refused(client, make_post, as_user, *, method, data, content_type, expected):
    url = POSTS if method == "POST" else f"{POSTS}/{make_post()}"

    response = client.open(url, method=method, data=data, content_type=content_type, headers=as_user("ana"))

    assert fault(response) == expected


# Reading, and who sees what


def test_a_post_that_never_was_is_404(client):
    assert fault(client.get(f"{POSTS}/{UNKNOWN_ID}")) == (404, "post_not_found")


@pytest.mark.parametrize(
    ("status", "who", "expected"),
    [
        ("visible", "ana", 200),
        ("visible", "bo", 200),
        ("visible", "nobody", 200),
        ("visible", "root", 200),
        ("hidden", "ana", 200),
        ("hidden", "bo", 404),
        ("hidden", "nobody", 404),
        ("hidden", "root", 200),
        ("deleted", "ana", 404),
        ("deleted", "bo", 404),
        ("deleted", "nobody", 404),
        ("deleted", "root", 200),
    ],
)
def test_hidden_posts_are_for_their_author_and_admins_and_deleted_ones_for_admins(
    client, make_post, as_user, *, status, who, expected
):
    post_id = make_post(author="ana", status=status)

    got = client.get(f"{POSTS}/{post_id}", headers=as_user(who))
    headed = client.head(f"{POSTS}/{post_id}", headers=as_user(who))

    assert got.status_code == headed.status_code == expected
    if expected == 200:
        assert got.json["data"]["status"] == status
    else:
        assert got.json["error"]["code"] == "post_not_found"


@pytest.mark.parametrize("authorization", ["Bearer broken", "Bearer", "Basic YTpi"])
def test_a_reader_with_a_bad_token_reads_as_anonymous(client, make_post, authorization):
    visible, hidden = make_post(), make_post(status="hidden")

    responses = [client.get(f"{POSTS}/{post}", headers={"Authorization": authorization}) for post in (visible, hidden)]

    assert [response.status_code for response in responses] == [200, 404]


@with_bad_ids
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading_refuses_an_id_of_another_shape(client, bad_id, method):
    response = client.open(f"{POSTS}/{bad_id}", method=method)

    assert response.status_code == 400
    assert method == "HEAD" or response.json["error"]["code"] == "invalid_post_id"


@with_bad_ids
@with_writes
def test_writing_refuses_an_id_of_another_shape(client, as_user, *, bad_id, method, suffix, body):
    response = client.open(f"{POSTS}/{bad_id}{suffix}", method=method, json=body, headers=as_user("ana"))

    assert fault(response) == (400, "invalid_post_id")


# Views


def test_an_address_is_counted_once_within_the_window(client, make_post, row):
    post_id = make_post()

    counts = [viewed(client, post_id).json["data"]["view_count"] for _ in range(3)]

    assert counts == [1, 1, 1]
    assert row(post_id).view_count == 1


def test_each_address_is_counted(client, make_post):
    post_id = make_post()

    addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"]  # IPv6 by /64
    counts = [viewed(client, post_id, address).json["data"]["view_count"] for address in addresses]

    assert counts == [1, 2, 3, 4]


def test_each_post_counts_an_address_for_itself(client, make_post):
    first, second = make_post(), make_post()
    viewed(client, first)

    count = viewed(client, second).json["data"]["view_count"]

    assert count == 1


def test_two_users_behind_one_address_are_counted_once(client, make_post, as_user):
    post_id = make_post()
    viewed(client, post_id, headers=as_user("ana"))

    count = viewed(client, post_id, headers=as_user("bo")).json["data"]["view_count"]

    assert count == 1


def test_an_address_is_counted_again_after_the_window(other_client, make_post):
    client = other_client(VIEW_WINDOW_SECONDS="1")
    post_id = make_post()
    viewed(client, post_id)
    time.sleep(1.1)

    count = viewed(client, post_id).json["data"]["view_count"]

    assert count == 2


def test_a_reload_does_not_lengthen_the_window(other_client, make_post):
    client = other_client(VIEW_WINDOW_SECONDS="1")
    post_id = make_post()
    viewed(client, post_id)
    time.sleep(0.6)
    viewed(client, post_id)
    time.sleep(0.6)

    count = viewed(client, post_id).json["data"]["view_count"]

    assert count == 2


def test_head_never_counts(client, make_post):
    post_id = make_post()

    response = viewed(client, post_id, method="HEAD")

    assert (response.status_code, response.data) == (200, b"")
    assert viewed(client, post_id).json["data"]["view_count"] == 1


@pytest.mark.parametrize("who", ["ana", "root", "bo", "nobody"])
def test_a_hidden_post_counts_no_views(client, make_post, as_user, row, who):
    post_id = make_post(author="ana", status="hidden")

    viewed(client, post_id, headers=as_user(who))

    assert row(post_id).view_count == 0


def test_a_view_while_hidden_does_not_use_up_the_window(client, make_post, as_user):
    post_id = make_post(author="ana", status="hidden")
    viewed(client, post_id, headers=as_user("ana"))
    client.patch(f"{POSTS}/{post_id}", json={"status": "visible"}, headers=as_user("ana"))

    count = viewed(client, post_id, headers=as_user("ana")).json["data"]["view_count"]

    assert count == 1


def test_lists_and_writes_are_no_views(client, make_post, as_user, row):
    post_id = make_post()

    client.get(POSTS)
    client.get(f"{POSTS}/my", headers=as_user("ana"))
    client.patch(f"{POSTS}/{post_id}", json={"title": "새"}, headers=as_user("ana"))
    client.put(f"{POSTS}/{post_id}/like", headers=as_user("bo"))

    assert row(post_id).view_count == 0


def test_a_forwarded_address_is_not_believed_without_a_proxy(client, make_post):
    post_id = make_post()

    counts = [
        viewed(client, post_id, headers={"X-Forwarded-For": forwarded}).json["data"]["view_count"]
        for forwarded in ("198.51.100.1", "198.51.100.2", "198.51.100.3, 198.51.100.4")
    ]

    assert counts == [1, 1, 1]


@pytest.mark.parametrize(
    ("hops", "forwarded", "counts"),
    [
        pytest.param("1", ["198.51.100.1", "198.51.100.2"], [1, 2], id="the-entry-of-the-one-proxy"),
        pytest.param("1", ["203.0.113.1, 198.51.100.1", "203.0.113.2, 198.51.100.1"], [1, 1], id="none-before-it"),
        pytest.param("2", ["198.51.100.1, 10.0.0.1", "198.51.100.2, 10.0.0.1"], [1, 2], id="second-of-two-proxies"),
        pytest.param(
            "2", ["1.1.1.1, 198.51.100.1, 10.1.1.1", "2.2.2.2, 198.51.100.1, 10.1.1.1"], [1, 1], id="no-third"
        ),
        pytest.param("2", ["198.51.100.1", "198.51.100.2"], [1, 1], id="fewer-entries-than-proxies"),
    ],
)
def test_a_forwarded_address_is_believed_for_exactly_the_trusted_hops(other_client, make_post, hops, forwarded, counts):
    client = other_client(TRUSTED_PROXY_HOPS=hops)
    post_id = make_post()

    got = [
        viewed(client, post_id, headers={"X-Forwarded-For": value}).json["data"]["view_count"] for value in forwarded
    ]

    assert got == counts


# Who may write, and in which order it is checked


@pytest.mark.parametrize(("who", "status"), [("ana", 200), ("root", 200), ("bo", 403), ("nobody", 401)])
@with_writes
def test_only_the_author_and_admins_write_to_a_post(
    client, make_post, as_user, row, *, method, suffix, body, who, status
):
    post_id = make_post(author="ana", title="제목")

    response = client.open(f"{POSTS}/{post_id}{suffix}", method=method, json=body, headers=as_user(who))

    assert response.status_code == status
    changed = row(post_id).title != "제목" or row(post_id).status == "deleted"
    assert changed == (status == 200)
    if status == 403:
        assert response.json["error"]["code"] == "forbidden"
    if status == 401:
        assert response.json["error"]["code"] == "token_missing"
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("who", "expected"), [("ana", 200), ("root", 200), ("bo", 404), ("nobody", 401)])
@with_writes
def test_a_hidden_post_is_written_by_those_who_see_it(
    client, make_post, as_user, *, method, suffix, body, who, expected
):
    post_id = make_post(author="ana", status="hidden")

    response = client.open(f"{POSTS}/{post_id}{suffix}", method=method, json=body, headers=as_user(who))

    assert response.status_code == expected


@pytest.mark.parametrize(("who", "expected"), [("ana", 404), ("root", 404), ("bo", 404), ("nobody", 401)])
@with_writes
def test_a_deleted_post_is_404_to_writers(client, make_post, as_user, row, *, method, suffix, body, who, expected):
    post_id = make_post(author="ana", status="deleted")

    response = client.open(f"{POSTS}/{post_id}{suffix}", method=method, json=body, headers=as_user(who))

    assert response.status_code == expected
    assert row(post_id).status == "deleted"


@pytest.mark.parametrize("data", [b"{", b" " * (1024 * 1024 + 1)], ids=["broken", "too-large"])
@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("PUT", "/null"), ("PATCH", "/null"), ("DELETE", "/null")])
def test_the_token_is_checked_before_the_shape(client, method, path, data):
    response = client.open(f"{POSTS}{path}", method=method, data=data, content_type="text/plain")

    assert fault(response) == (401, "token_missing")


@for_edits
def test_the_shape_is_checked_before_existence(client, as_user, method):
    response = client.open(f"{POSTS}/{UNKNOWN_ID}", method=method, json={"title": 1}, headers=as_user("ana"))

    assert response.status_code == 400


@for_edits
def test_the_shape_is_checked_before_ownership(client, make_post, as_user, method):
    post_id = make_post(author="ana")

    response = client.open(f"{POSTS}/{post_id}", method=method, json={"title": 1}, headers=as_user("bo"))

    assert response.status_code == 400


@with_writes
def test_existence_is_checked_before_ownership(client, as_user, method, suffix, body):
    response = client.open(f"{POSTS}/{UNKNOWN_ID}{suffix}", method=method, json=body, headers=as_user("bo"))

    assert fault(response) == (404, "post_not_found")


# Replacing and changing


def test_replacing_answers_the_replaced_post(client, make_post, as_user):
    post_id = make_post()

    response = client.put(f"{POSTS}/{post_id}", json=WHOLE, headers=as_user("ana"))

    assert response.status_code == 200
    assert set(response.json["data"]) == POST_FIELDS | OWNER_FIELDS
    assert {name: response.json["data"][name] for name in WHOLE} == WHOLE
    assert viewed(client, post_id).json["data"] == as_anyone(response.json["data"]) | {"view_count": 1}


@pytest.mark.parametrize("missing", ["title", "content", "category"])
def test_replacing_needs_title_content_and_category(client, make_post, as_user, missing):
    post_id = make_post()
    body = {name: text for name, text in WHOLE.items() if name != missing}

    response = client.put(f"{POSTS}/{post_id}", json=body, headers=as_user("ana"))

    assert wrong_fields(response) == {missing}


def test_replacing_ignores_a_status(client, make_post, as_user):
    post_id = make_post()

    response = client.put(f"{POSTS}/{post_id}", json=WHOLE | {"status": "hidden"}, headers=as_user("ana"))

    assert response.json["data"]["status"] == "visible"


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        pytest.param({"title": " 새 제목 "}, {"title": "새 제목"}, id="title"),
        pytest.param({"content": " 새 내용"}, {"content": " 새 내용"}, id="content"),
        pytest.param({"status": "hidden"}, {"status": "hidden", "hidden_by": "author"}, id="status"),
        pytest.param({"title": "새", "status": "visible"}, {"title": "새"}, id="two"),
        pytest.param({"title": "새", "user_id": "x", "No": 1, "view_count": 0}, {"title": "새"}, id="unknown-ignored"),
    ],
)
def test_changing_changes_what_is_named_alone(client, make_post, as_user, changes, changed):
    post_id = make_post(view_count=7, like_count=3, comment_count=2, created_at=LONG_AGO, updated_at=LONG_AGO)
    before = client.get(f"{POSTS}/my", headers=as_user("ana")).json["data"][0]

    response = client.patch(f"{POSTS}/{post_id}", json=changes, headers=as_user("ana"))

    assert response.status_code == 200
    after = response.json["data"]
    assert after == before | changed | {"updated_at": after["updated_at"]}


def test_changing_the_category_changes_its_name_and_id_alone(client, make_post, as_user):
    post_id = make_post(category="일반")
    before = client.get(f"{POSTS}/my", headers=as_user("ana")).json["data"][0]

    after = client.patch(f"{POSTS}/{post_id}", json={"category": "여행"}, headers=as_user("ana")).json["data"]

    assert {name for name in after if after[name] != before[name]} - {"updated_at"} == {"category", "category_id"}
    assert after["category"] == "여행"


def test_changing_writes_no_column_that_is_not_named(client, make_post, as_user, count_queries):
    post_id = make_post()
    headers = as_user("ana")

    with count_queries() as statements:
        client.patch(f"{POSTS}/{post_id}", json={"title": "새 제목"}, headers=headers)

    written = re.findall(r"(\w+)\W?=", "".join(s for s in statements if s.startswith("UPDATE")).split("WHERE")[0])
    assert set(written) == {"title", "updated_at"}


@pytest.mark.parametrize("body", [{}, {"tags": [], "user_id": "x"}], ids=["empty", "unknown-fields-alone"])
def test_changing_nothing_is_refused(client, make_post, as_user, body):
    post_id = make_post()

    response = client.patch(f"{POSTS}/{post_id}", json=body, headers=as_user("ana"))

    assert fault(response) == (400, "validation_error")


@pytest.mark.parametrize("status", ["deleted", "VISIBLE", "", "public", None, 1, True, ["hidden"]], ids=repr)
@pytest.mark.parametrize("who", ["ana", "root"])
def test_a_status_is_visible_or_hidden(client, make_post, as_user, row, *, who, status):
    post_id = make_post(author="ana")

    response = client.patch(f"{POSTS}/{post_id}", json={"title": "새", "status": status}, headers=as_user(who))

    assert wrong_fields(response) == {"status"}
    assert row(post_id).title == "제목"


def test_an_author_hides_a_post_and_shows_it_again(client, make_post, as_user):
    post_id = make_post(author="ana")
    client.patch(f"{POSTS}/{post_id}", json={"status": "hidden"}, headers=as_user("ana"))
    while_hidden = client.get(f"{POSTS}/{post_id}")

    response = client.patch(f"{POSTS}/{post_id}", json={"status": "visible"}, headers=as_user("ana"))

    assert while_hidden.status_code == 404
    assert response.json["data"]["status"] == "visible"
    assert client.get(f"{POSTS}/{post_id}").status_code == 200


def test_an_edit_by_an_admin_leaves_the_author(client, make_post, as_user, user_id):
    post_id = make_post(author="ana")

    post = client.put(f"{POSTS}/{post_id}", json=WHOLE, headers=as_user("root")).json["data"]

    assert (post["user_id"], post["username"]) == (user_id("ana"), "ana")


@pytest.mark.parametrize(
    ("method", "body"),
    [("PUT", WHOLE), ("PATCH", {"title": "새"}), ("PATCH", {"category": "여행"}), ("PATCH", {"status": "hidden"})],
    ids=["PUT", "title", "category", "status"],
)
def test_updated_at_moves_when_people_edit(client, make_post, as_user, method, body):
    post_id, before = make_post(created_at=LONG_AGO, updated_at=LONG_AGO), time.time()

    post = client.open(f"{POSTS}/{post_id}", method=method, json=body, headers=as_user("ana")).json["data"]

    moved_to = datetime.fromisoformat(post["updated_at"]).timestamp()
    assert before - 1 < moved_to < time.time() + 1
    assert post["created_at"] == "2020-01-02T03:04:05.678Z"


def test_updated_at_stays_when_counts_move(client, make_post, as_user, row):
    post_id = make_post(created_at=LONG_AGO, updated_at=LONG_AGO)

    viewed(client, post_id)
    client.post(f"{POSTS}/{post_id}/like", headers=as_user("bo"))
    client.put(f"{POSTS}/{post_id}/like", headers=as_user("ana"))
    client.delete(f"{POSTS}/{post_id}/like", headers=as_user("bo"))

    stored = row(post_id)
    assert (stored.view_count, stored.like_count) == (1, 1)
    assert stored.updated_at == LONG_AGO


# Deleting and restoring


def test_deleting_answers_the_id_and_the_status(client, make_post, as_user):
    post_id = make_post()

    response = client.delete(f"{POSTS}/{post_id}", headers=as_user("ana"))

    assert response.status_code == 200
    assert response.json["data"] == {"id": post_id, "status": "deleted"}


def test_deleting_is_soft(client, make_post, as_user, row):
    post_id = make_post(title="제목", content="내용")

    client.delete(f"{POSTS}/{post_id}", headers=as_user("ana"))

    stored = row(post_id)
    assert (stored.status, stored.title, stored.content) == ("deleted", "제목", "내용")


@pytest.mark.parametrize("who", ["ana", "root", "bo"])
def test_deleting_again_is_404(client, make_post, as_user, who):
    post_id = make_post()
    client.delete(f"{POSTS}/{post_id}", headers=as_user("ana"))

    response = client.delete(f"{POSTS}/{post_id}", headers=as_user(who))

    assert fault(response) == (404, "post_not_found")


def test_an_admin_restores_a_deleted_post(client, make_post, as_user):
    post_id = make_post(author="ana", title="제목", view_count=5, status="deleted")

    response = client.patch(f"{POSTS}/{post_id}", json={"status": "visible"}, headers=as_user("root"))

    assert response.status_code == 200
    post = response.json["data"]
    assert (post["status"], post["title"], post["username"], post["view_count"]) == ("visible", "제목", "ana", 5)
    assert client.get(f"{POSTS}/{post_id}").status_code == 200


@pytest.mark.parametrize("who", ["ana", "bo"])
def test_nobody_else_restores_a_deleted_post(client, make_post, as_user, row, who):
    post_id = make_post(author="ana", status="deleted")

    response = client.patch(f"{POSTS}/{post_id}", json={"status": "visible"}, headers=as_user(who))

    assert fault(response) == (404, "post_not_found")
    assert row(post_id).status == "deleted"


def test_an_admin_hides_no_deleted_post(client, make_post, as_user, row):
    post_id = make_post(author="ana", status="deleted")

    response = client.patch(f"{POSTS}/{post_id}", json={"status": "hidden"}, headers=as_user("root"))

    assert fault(response) == (404, "post_not_found")
    assert row(post_id).status == "deleted"
