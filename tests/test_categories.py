"""Categories: listed, created, named by posts, one request after another."""

import json
import re
import time
import unicodedata
from collections import Counter
from datetime import datetime

import pytest
from sqlalchemy import func, insert, select

from post.models import Category, db
from tests.answers import fault, wrong_fields
from tests.conftest import at_once

POSTS = "/api/v1/posts"
CATEGORIES = "/api/v1/categories"
# Each pair is one name, as it is created first and as it comes again.
SAME_NAMES = {
    "the-same": ("Travel", "Travel"),
    "upper-case": ("Travel", "TRAVEL"),
    "lower-case": ("TRAVEL", "travel"),
    "accented-letter": ("École", "éCOLE"),
    "sharp-s": ("Straße", "STRASSE"),
    "sigma": ("ΟΔΟΣ", "οδος"),
    "cyrillic": ("Кино", "КИНО"),
    "white-space": ("맛집 여행", " \t맛집\u3000\n 여행 "),
    "decomposed": ("Café", unicodedata.normalize("NFD", "CAFÉ")),
    "korean-decomposed": ("한글", unicodedata.normalize("NFD", "한글")),
}
OTHER_NAMES = {
    "accent": ("cafe", "café"),
    "inner-space": ("맛집여행", "맛집 여행"),
    "wildcard": ("a_c", "abc"),
    "percent": ("a%", "abc"),
    "full-width": ("Ａ", "A"),
    "kana": ("カ", "か"),
    "emoji": ("😀", "😁"),
    "trailing-dot": ("a", "a."),
}
STORED_NAMES = {
    "one-character": ("a", "a"),
    "50-characters": ("가" * 50, "가" * 50),
    "50-emoji": ("😀" * 50, "😀" * 50),
    "50-after-trimming": (f"  {'a' * 50} ", "a" * 50),
    "50-after-folding": (f"{'a' * 24}  \t {'b' * 25}", f"{'a' * 24} {'b' * 25}"),
    "50-after-nfc": (unicodedata.normalize("NFD", "각" * 50), "각" * 50),
    "50-that-fold-to-150": ("\u0390" * 50, "\u0390" * 50),
    "folded": (" 맛집 \t\r\n\u3000\u00a0 여행  ", "맛집 여행"),
    "case-kept": ("TraVel", "TraVel"),
    "html-and-wildcards": ("<b>%_\\'\"</b>", "<b>%_\\'\"</b>"),
}
BAD_NAMES = {
    "missing": {},
    "empty": {"name": ""},
    "blank": {"name": " \t\n\u3000"},
    "51-characters": {"name": "a" * 51},
    "51-after-folding": {"name": f"{'a' * 25}   {'b' * 25}"},
    "null": {"name": None},
    "number": {"name": 1},
    "boolean": {"name": False},
    "list": {"name": ["a"]},
    "object": {"name": {}},
    "NUL": {"name": "a\x00"},
    "C1": {"name": "a\x85b"},
}
with_same_names = pytest.mark.parametrize(("first", "again"), SAME_NAMES.values(), ids=SAME_NAMES)
with_other_names = pytest.mark.parametrize(("first", "other"), OTHER_NAMES.values(), ids=OTHER_NAMES)


def post_counts(client) -> dict[str, int]:
    return {category["name"]: category["post_count"] for category in client.get(CATEGORIES).json["data"]}


# Listing


def test_there_are_no_categories_at_first(client):
    response = client.get(CATEGORIES)

    assert response.status_code == 200
    assert response.json["success"] is True
    assert response.json["data"] == []


def test_a_category_has_the_documented_fields_and_no_others(client, make_post):
    before = time.time()
    make_post(category="여행")

    (category,) = client.get(CATEGORIES).json["data"]

    assert set(category) == {"id", "name", "post_count", "is_open", "position", "created_at"}
    assert re.fullmatch("[0-9a-f]{32}", category["id"])
    assert (category["name"], category["post_count"]) == ("여행", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", category["created_at"])
    assert before - 1 < datetime.fromisoformat(category["created_at"]).timestamp() < time.time() + 1


def test_categories_are_listed_by_name_in_one_order_on_every_database(client, make_post):
    for name in ("나들이", "zoo", "École", "Zebra", "가족", "😀", "Apple", "7"):
        make_post(category=name)

    names = [category["name"] for category in client.get(CATEGORIES).json["data"]]

    assert names == ["7", "Apple", "Zebra", "zoo", "École", "가족", "나들이", "😀"]


def test_korean_names_are_written_as_themselves(client, make_post):
    make_post(category="여행")

    response = client.get(CATEGORIES)

    assert "여행".encode() in response.data
    assert b"\\u" not in response.data


def test_listing_takes_the_same_number_of_queries_however_many_there_are(client, make_post, count_queries):
    make_post(category="0")
    with count_queries() as with_one:
        client.get(CATEGORIES)
    for number in range(1, 8):
        make_post(category=str(number))

    with count_queries() as with_eight:
        client.get(CATEGORIES)

    assert len(with_eight) == len(with_one)


@pytest.mark.parametrize("who", ["ana", "bo", "root", "nobody"])
def test_everybody_reads_the_categories(client, make_post, as_user, who):
    make_post(category="여행", status="hidden")

    response = client.get(CATEGORIES, headers=as_user(who))

    assert [(category["name"], category["post_count"]) for category in response.json["data"]] == [("여행", 0)]


# Counting


def test_visible_posts_alone_are_counted(client, make_post):
    make_post(category="여행")
    make_post(category="여행")
    make_post(category="여행", status="hidden")
    make_post(category="여행", status="deleted")
    make_post(category="맛집", status="deleted")

    assert post_counts(client) == {"여행": 2, "맛집": 0}


def test_the_count_follows_a_post_through_its_life(client, as_user):
    ana, root = as_user("ana"), as_user("root")
    created = client.post(POSTS, json={"title": "a", "content": "b", "category": "여행"}, headers=ana)
    url = created.headers["Location"]
    counts = [post_counts(client)]

    for method, body, headers in [
        ("PATCH", {"category": "맛집"}, ana),
        ("PATCH", {"status": "hidden"}, ana),
        ("PATCH", {"status": "visible"}, ana),
        ("DELETE", None, ana),
        ("PATCH", {"status": "visible"}, root),
        ("PUT", {"title": "a", "content": "b", "category": "여행"}, ana),
    ]:
        assert client.open(url, method=method, json=body, headers=headers).status_code == 200
        counts.append(post_counts(client))

    assert counts == [
        {"여행": 1},
        {"여행": 0, "맛집": 1},
        {"여행": 0, "맛집": 0},
        {"여행": 0, "맛집": 1},
        {"여행": 0, "맛집": 0},
        {"여행": 0, "맛집": 1},
        {"여행": 1, "맛집": 0},
    ]


# Creating


def test_a_new_category_is_201_and_listed(client, as_user):
    response = client.post(CATEGORIES, json={"name": "여행"}, headers=as_user("ana"))

    assert response.status_code == 201
    category = response.json["data"]
    assert set(category) == {"id", "name", "post_count", "is_open", "position", "created_at"}
    assert (category["name"], category["post_count"]) == ("여행", 0)
    assert client.get(CATEGORIES).json["data"] == [category]


@pytest.mark.parametrize(("who", "status"), [("ana", 201), ("bo", 201), ("root", 201), ("nobody", 401)])
def test_whoever_has_a_token_creates_categories(client, as_user, who, status):
    response = client.post(CATEGORIES, json={"name": "여행"}, headers=as_user(who))

    assert response.status_code == status
    assert len(post_counts(client)) == (status == 201)


@pytest.mark.parametrize(("written", "stored"), STORED_NAMES.values(), ids=STORED_NAMES)
def test_a_name_is_stored_trimmed_folded_and_in_nfc(client, as_user, written, stored):
    response = client.post(CATEGORIES, json={"name": written}, headers=as_user("ana"))

    assert response.status_code == 201
    assert response.json["data"]["name"] == stored
    assert post_counts(client) == {stored: 0}


@pytest.mark.parametrize("body", BAD_NAMES.values(), ids=BAD_NAMES)
def test_a_wrong_name_is_refused_by_its_field(client, as_user, body):
    response = client.post(CATEGORIES, json=body, headers=as_user("ana"))

    assert wrong_fields(response) == {"name"}
    assert post_counts(client) == {}


def test_half_of_a_surrogate_pair_is_refused(client, as_user):
    response = client.post(
        CATEGORIES, data=b'{"name": "a\\ud800"}', content_type="application/json", headers=as_user("ana")
    )

    assert wrong_fields(response) == {"name"}


def test_unknown_fields_are_ignored(client, as_user):
    body = {"name": "여행", "id": "0" * 32, "post_count": 9, "user_id": None}

    category = client.post(CATEGORIES, json=body, headers=as_user("ana")).json["data"]

    assert category["id"] != "0" * 32
    assert category["post_count"] == 0


@pytest.mark.parametrize(
    ("data", "content_type", "expected"),
    [
        pytest.param(b'{"name": "a"}', "text/plain", (415, "unsupported_media_type"), id="plain-text"),
        pytest.param(b"{", "application/json", (400, "invalid_json"), id="broken"),
        pytest.param(b'["a"]', "application/json", (400, "validation_error"), id="list"),
        pytest.param(b" " * (1024 * 1024 + 1), "application/json", (413, "payload_too_large"), id="over-1-MiB"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(client, as_user, data, content_type, expected):
    response = client.post(CATEGORIES, data=data, content_type=content_type, headers=as_user("ana"))

    assert fault(response) == expected


@with_same_names
def test_a_name_that_exists_is_409_letter_case_ignored(client, as_user, first, again):
    client.post(CATEGORIES, json={"name": first}, headers=as_user("ana"))

    response = client.post(CATEGORIES, json={"name": again}, headers=as_user("bo"))

    assert fault(response) == (409, "category_exists")
    assert post_counts(client) == {first: 0}


@with_same_names
def test_a_name_that_a_post_brought_is_409(client, make_post, as_user, first, again):
    make_post(category=first)

    response = client.post(CATEGORIES, json={"name": again}, headers=as_user("bo"))

    assert fault(response) == (409, "category_exists")


@with_other_names
def test_other_names_are_other_categories(client, as_user, first, other):
    client.post(CATEGORIES, json={"name": first}, headers=as_user("ana"))

    response = client.post(CATEGORIES, json={"name": other}, headers=as_user("ana"))

    assert response.status_code == 201
    assert post_counts(client) == {first: 0, other: 0}


@pytest.mark.parametrize(
    ("who", "body", "expected"),
    [
        pytest.param("nobody", {"name": "여행"}, (401, "token_missing"), id="token-before-state"),
        pytest.param("nobody", {"name": 1}, (401, "token_missing"), id="token-before-shape"),
        pytest.param("ana", {"name": 1}, (400, "validation_error"), id="shape"),
        pytest.param("ana", {"name": "여행"}, (409, "category_exists"), id="state"),
    ],
)
def test_the_token_is_checked_before_the_shape_and_that_before_the_state(
    client, make_post, as_user, *, who, body, expected
):
    make_post(category="여행")

    response = client.post(CATEGORIES, json=body, headers=as_user(who))

    assert fault(response) == expected


# Named by posts


@with_same_names
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_post_finds_the_category_and_shows_its_name(client, make_post, as_user, *, method, first, again):
    category = client.post(CATEGORIES, json={"name": first}, headers=as_user("ana")).json["data"]
    url = POSTS if method == "POST" else f"{POSTS}/{make_post(category='old')}"
    body = {"title": "제목", "content": "내용", "category": again}

    post = client.open(url, method=method, json=body, headers=as_user("ana")).json["data"]

    assert (post["category"], post["category_id"]) == (first, category["id"])
    assert post_counts(client)[first] == 1


@with_other_names
def test_a_post_with_another_name_is_in_another_category(client, make_post, as_user, first, other):
    make_post(category=first)

    client.post(POSTS, json={"title": "a", "content": "b", "category": other}, headers=as_user("ana"))

    assert post_counts(client) == {first: 1, other: 1}


@pytest.mark.parametrize(("written", "stored"), STORED_NAMES.values(), ids=STORED_NAMES)
def test_a_post_s_category_is_read_as_a_new_category_s_name_is(client, as_user, written, stored):
    body = {"title": "a", "content": "b", "category": written}

    response = client.post(POSTS, json=body, headers=as_user("ana"))

    assert response.status_code == 201
    assert response.json["data"]["category"] == stored
    assert post_counts(client) == {stored: 1}


@with_same_names
def test_the_filter_finds_the_category(client, make_post, first, again):
    wanted = make_post(category=first)
    make_post(category="다른 것")

    response = client.get(POSTS, query_string={"category": again})

    assert [(post["id"], post["category"]) for post in response.json["data"]] == [(wanted, first)]


@with_other_names
def test_the_filter_finds_no_other_category(client, make_post, first, other):
    make_post(category=first)

    response = client.get(POSTS, query_string={"category": other})

    assert response.json["data"] == []


@pytest.mark.parametrize("name", ["a" * 51, "a\x00", "a\x85b"], ids=["51-characters", "NUL", "C1"])
def test_the_filter_refuses_what_no_category_is_called(client, name):
    response = client.get(POSTS, query_string={"category": name})

    assert wrong_fields(response) == {"category"}


# Where only admins create them


@pytest.fixture
def admins_client(app, make_app, database_url):
    """A client of a service with ``CATEGORY_CREATION=admins``, on this half's database."""
    service = make_app(DATABASE_URL=database_url, CATEGORY_CREATION="admins")
    yield service.test_client()
    with service.app_context():
        db.engine.dispose()


@pytest.mark.parametrize("who", ["ana", "bo"])
def test_others_than_admins_create_no_category_where_only_admins_may(admins_client, make_post, as_user, who):
    post_id, new = make_post(author="ana", category="있음"), {"title": "제목", "content": "내용", "category": "새것"}

    answers = [
        admins_client.post(CATEGORIES, json={"name": "새것"}, headers=as_user(who)),
        admins_client.post(CATEGORIES, json={"name": "있음"}, headers=as_user(who)),
        admins_client.post(POSTS, json=new, headers=as_user(who)),
        admins_client.post(POSTS, json=new, headers=as_user(who) | {"Idempotency-Key": "a"}),
        admins_client.put(f"{POSTS}/{post_id}", json=new, headers=as_user("ana")),
        admins_client.patch(f"{POSTS}/{post_id}", json={"category": "새것"}, headers=as_user("ana")),
    ]

    assert [fault(answer) for answer in answers] == [(403, "forbidden")] * 6
    assert post_counts(admins_client) == {"있음": 1}


def test_admins_create_categories_and_all_use_them_where_only_admins_may(admins_client, as_user):
    post = {"title": "제목", "content": "내용"}

    created = admins_client.post(CATEGORIES, json={"name": "새것"}, headers=as_user("root"))
    used = admins_client.post(POSTS, json=post | {"category": "새것"}, headers=as_user("ana"))
    brought = admins_client.post(POSTS, json=post | {"category": "또"}, headers=as_user("root"))
    by_default = admins_client.post(POSTS, json=post, headers=as_user("ana"))

    assert [answer.status_code for answer in (created, used, brought, by_default)] == [201] * 4
    assert post_counts(admins_client) == {"새것": 1, "또": 1, "일반": 1}


# At most 1,000


@pytest.fixture
def fill(app):
    """Store categories until there are so many."""

    def store(number):
        with app.app_context(), db.engine.begin() as connection:
            rows = [{"name": f"c{index}", "name_key": f"c{index}"} for index in range(number)]
            connection.execute(insert(Category), rows)

    return store


def test_there_are_at_most_1000_categories(client, make_post, as_user, fill, stored):
    fill(998)
    post_id, new = make_post(category="c1"), {"title": "제목", "content": "내용", "category": "더"}

    last = [client.post(CATEGORIES, json={"name": name}, headers=as_user("ana")) for name in ("a", "b")]
    refused = [
        client.post(CATEGORIES, json={"name": "더"}, headers=as_user("root")),
        client.post(POSTS, json=new, headers=as_user("root")),
        client.post(POSTS, json=new, headers=as_user("ana") | {"Idempotency-Key": "a"}),
        client.put(f"{POSTS}/{post_id}", json=new, headers=as_user("ana")),
        client.patch(f"{POSTS}/{post_id}", json={"category": "더"}, headers=as_user("ana")),
    ]
    exists = client.post(CATEGORIES, json={"name": "C1"}, headers=as_user("ana"))
    used = client.post(POSTS, json=new | {"category": "C1"}, headers=as_user("ana"))

    assert [answer.status_code for answer in last] == [201, 201]
    assert [fault(answer) for answer in refused] == [(409, "category_limit_reached")] * 5
    assert (fault(exists), used.status_code) == ((409, "category_exists"), 201)
    assert stored(select(func.count()).select_from(Category)) == 1000


def test_of_many_at_once_none_is_the_1001st(app, as_user, fill, stored):
    fill(995)
    creations = [(CATEGORIES, {"name": f"n{index}"}) for index in range(8)]
    creations += [(POSTS, {"title": "제목", "content": "내용", "category": f"p{index}"}) for index in range(8)]
    headers = as_user("ana")

    answers = at_once(
        [lambda u=url, b=body: app.test_client().post(u, json=b, headers=headers) for url, body in creations]
    )

    assert Counter(answer.status_code for answer in answers) == {201: 5, 409: 11}
    assert stored(select(func.count()).select_from(Category)) == 1000


def test_of_equal_names_at_once_one_is_created(app, as_user):
    headers = as_user("ana")

    answers = at_once([lambda: app.test_client().post(CATEGORIES, json={"name": "여행"}, headers=headers)] * 8)

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 7}


def test_a_category_outlives_its_posts(client, make_post, as_user):
    post_id = make_post(category="여행")

    client.delete(f"{POSTS}/{post_id}", headers=as_user("ana"))

    assert post_counts(client) == {"여행": 0}


def test_a_category_s_name_survives_the_way_through_json(client, as_user):
    name = '여행 "\\/😀'

    response = client.post(
        CATEGORIES, data=json.dumps({"name": name}), content_type="application/json", headers=as_user("ana")
    )

    assert response.json["data"]["name"] == name
