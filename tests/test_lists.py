"""Lists of posts: pages, cursors, orders, search and filters."""

import base64
import itertools
import re
import string
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from post.paging import SORT_COLUMNS, Cursor
from post.services import search_plans
from tests.answers import OWNER_FIELDS, POST_FIELDS, UNKNOWN_ID, wrong_fields

POSTS = "/api/v1/posts"
MINE = "/api/v1/posts/my"
META_FIELDS = {"page", "per_page", "total", "pages", "has_next", "has_prev", "next_cursor"}
SORTS = ["latest", "popular"]
AUTHORS = itertools.count()  # numbers for names, so that examples of one test do not meet
NOT_PAGES = ["0", "-1", "1.0", "1.5", "1e3", "abc", "", " ", "1 2", "1_000", "0x10", "null", "NaN", "٣", "-" + "9" * 30]
both_lists = pytest.mark.parametrize("url", [POSTS, MINE], ids=["posts", "my"])
both_sorts = pytest.mark.parametrize("sort", SORTS)


def titles(response) -> list[str]:
    assert response.status_code == 200, response.data
    return [post["title"] for post in response.json["data"]]


def links(response) -> dict[str, str]:
    return {rel: url for url, rel in re.findall(r'<([^>]*)>; rel="(\w+)"', response.headers.get("Link", ""))}


def ascii_lower(text: str) -> str:
    return text.translate(str.maketrans(string.ascii_uppercase, string.ascii_lowercase))


def written(plain: str) -> str:
    """Return a text in the way that cursors are written."""
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


@pytest.fixture
def found(client):
    """The titles of the posts that a query finds, oldest first."""

    def find(**query):
        return titles(client.get(POSTS, query_string=query))[::-1]

    return find


@pytest.fixture
def walk(client):
    """Follow one of a page's links to the end; yields each page's titles, the given page's first."""

    def follow(response, rel, headers=None):
        while True:
            yield titles(response)
            if rel not in links(response):
                return
            response = client.get(links(response)[rel], headers=headers)

    return follow


@pytest.fixture
def make_ranked(make_post):
    """Posts whose titles tell their place by popularity, made in another order."""

    def make():
        counts = {
            "d": (1, 5),
            "a": (9, 0),
            "f": (0, 3),
            "c": (1, 7),
            "g": (0, 0),
            "b": (2, 1),
            "e": (1, 5),
            "h": (0, 0),
        }
        made = {}
        for title in ("e", "a", "h", "f", "c", "g", "d", "b"):  # d is newer than e, and g than h
            likes, views = counts[title]
            made[title] = make_post(title=title, like_count=likes, view_count=views)
        return made

    return make


# The list


def test_an_empty_list_is_one_without_pages(client):
    response = client.get(POSTS)

    assert response.status_code == 200
    assert response.json["success"] is True
    assert response.json["data"] == []
    assert response.json["meta"] == {
        "page": 1,
        "per_page": 10,
        "total": 0,
        "pages": 0,
        "has_next": False,
        "has_prev": False,
        "next_cursor": None,
        "pinned": [],
    }
    assert "Link" not in response.headers


def test_the_newest_ten_are_the_first_page(client, make_post):
    for number in range(12):
        make_post(title=str(number))

    response = client.get(POSTS)

    assert titles(response) == [str(number) for number in range(11, 1, -1)]
    assert set(response.json["meta"]) == META_FIELDS | {"pinned"}
    assert response.json["meta"] | {"next_cursor": None} == {
        "page": 1,
        "per_page": 10,
        "total": 12,
        "pages": 2,
        "has_next": True,
        "has_prev": False,
        "next_cursor": None,
        "pinned": [],
    }


def test_lists_show_whole_posts_as_they_are_read_alone(client, make_post):
    post_id = make_post(title="안녕 😀", content=" 내용\n", view_count=3)

    response = client.get(POSTS)

    assert set(response.json["data"][0]) == POST_FIELDS
    assert response.json["data"][0] | {"view_count": 4} == client.get(f"{POSTS}/{post_id}").json["data"]
    assert "안녕 😀".encode() in response.data
    assert b"\\u" not in response.data


@pytest.mark.parametrize("who", ["ana", "bo", "root", "nobody"])
def test_visible_posts_alone_are_listed_to_everybody(client, make_post, as_user, who):
    make_post(title="visible")
    make_post(title="hidden", status="hidden")
    make_post(title="deleted", status="deleted")

    response = client.get(POSTS, headers=as_user(who))

    assert titles(response) == ["visible"]
    assert response.json["meta"]["total"] == 1


@pytest.mark.parametrize("authorization", ["Bearer broken", "Bearer", "Basic YTpi"])
def test_a_reader_with_a_bad_token_reads_as_anonymous(client, make_post, authorization):
    make_post(title="a")

    response = client.get(POSTS, headers={"Authorization": authorization})

    assert titles(response) == ["a"]


def test_unknown_parameters_are_ignored(client, make_post):
    make_post(title="a")

    response = client.get(POSTS, query_string={"limit": "0", "_": "1", "status": "deleted"})

    assert titles(response) == ["a"]


@pytest.mark.parametrize("query", ["", "view=summary", "sort=popular", "q=a", "category=일반", "per_page=50"])
@both_lists
def test_the_number_of_queries_does_not_grow_with_the_posts(client, make_post, as_user, count_queries, *, url, query):
    headers = as_user("ana")
    make_post(title="a")
    with count_queries() as with_one:
        client.get(f"{url}?{query}", headers=headers)
    for _ in range(8):
        make_post(title="a")

    with count_queries() as with_nine:
        client.get(f"{url}?{query}", headers=headers)

    assert len(with_nine) == len(with_one)


# Pages


@both_lists
def test_pages_hold_every_post_once(client, make_post, as_user, url):
    for number in range(7):
        make_post(title=str(number))

    pages = [client.get(f"{url}?page={page}&per_page=3", headers=as_user("ana")) for page in (1, 2, 3)]

    assert [titles(page) for page in pages] == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
    for number, page in enumerate(pages, start=1):
        meta = page.json["meta"]
        assert (meta["page"], meta["per_page"], meta["total"], meta["pages"]) == (number, 3, 7, 3)
        assert (meta["has_next"], meta["has_prev"]) == (number < 3, number > 1)
        assert (meta["next_cursor"] is not None) == meta["has_next"]


@pytest.mark.parametrize(("posts", "pages"), [(1, 1), (3, 1), (4, 2), (6, 2)])
def test_a_full_last_page_is_the_last(client, make_post, posts, pages):
    for _ in range(posts):
        make_post()

    meta = client.get(POSTS, query_string={"per_page": 3, "page": pages}).json["meta"]

    assert (meta["total"], meta["pages"], meta["has_next"]) == (posts, pages, False)


@both_lists
def test_above_50_a_page_is_served_as_50(client, make_post, as_user, url):
    for _ in range(51):
        make_post()
    headers = as_user("ana")

    pages = [client.get(f"{url}?per_page={asked}", headers=headers) for asked in (1, 50, 51, 1000, 2**31 - 1)]

    assert [len(titles(page)) for page in pages] == [1, 50, 50, 50, 50]
    assert [page.json["meta"]["per_page"] for page in pages] == [1, 50, 50, 50, 50]


@pytest.mark.parametrize("page", ["2", "3", "1000000", str(2**31 - 1)])
@both_lists
@both_sorts
def test_a_page_past_the_end_is_empty(client, make_post, as_user, *, url, sort, page):
    make_post()

    response = client.get(f"{url}?page={page}&sort={sort}", headers=as_user("ana"))

    assert titles(response) == []
    meta = response.json["meta"]
    assert (meta["total"], meta["pages"], meta["has_next"], meta["next_cursor"]) == (1, 1, False, None)


@pytest.mark.parametrize("page", ["2", str(2**31 - 1)])
def test_a_page_past_the_end_leads_back_to_the_last(client, make_post, page):
    for number in range(3):
        make_post(title=str(number))

    response = client.get(POSTS, query_string={"per_page": 3, "page": page})

    assert set(links(response)) == {"prev"}
    assert titles(client.get(links(response)["prev"])) == ["2", "1", "0"]


@pytest.mark.parametrize("value", [*NOT_PAGES, str(2**31), str(2**63), "9" * 4000])
@pytest.mark.parametrize("field", ["page", "per_page"])
@both_lists
def test_what_is_no_integer_from_1_to_2147483647_is_refused_by_its_name(client, as_user, *, url, field, value):
    response = client.get(url, query_string={field: value}, headers=as_user("ana"))

    assert wrong_fields(response) == {field}


@pytest.mark.parametrize("value", ["", "oldest", "LATEST", "latest,popular", "No", "null"])
def test_an_unknown_sort_is_refused_by_its_name(client, value):
    response = client.get(POSTS, query_string={"sort": value})

    assert wrong_fields(response) == {"sort"}


@pytest.mark.parametrize("value", ["", "FULL", "short", "null"])
@both_lists
def test_an_unknown_view_is_refused_by_its_name(client, as_user, url, value):
    response = client.get(url, query_string={"view": value}, headers=as_user("ana"))

    assert wrong_fields(response) == {"view"}


def test_every_wrong_parameter_is_named_at_once(client):
    query = {"page": "0", "per_page": "x", "view": "x", "q": "x" * 101, "cursor": "x", "category_id": "null"}

    response = client.get(POSTS, query_string=query)

    assert wrong_fields(response) == set(query)


# The Link header


@both_lists
@both_sorts
def test_links_lead_through_the_pages_and_back(client, make_post, as_user, walk, *, url, sort):
    for number in range(7):
        make_post(title=str(number))
    headers = as_user("ana")
    first = client.get(f"{url}?per_page=3&sort={sort}", headers=headers)

    last = client.get(f"{url}?per_page=3&sort={sort}&page=3", headers=headers)

    forwards = [["6", "5", "4"], ["3", "2", "1"], ["0"]]
    assert list(walk(first, "next", headers)) == forwards
    assert list(walk(last, "prev", headers)) == forwards[::-1]


def test_links_are_there_where_they_lead_somewhere(client, make_post):
    for _ in range(3):
        make_post()

    pages = [client.get(POSTS, query_string={"per_page": 1, "page": page}) for page in (1, 2, 3)]

    assert [set(links(page)) for page in pages] == [{"next"}, {"next", "prev"}, {"prev"}]


def test_links_keep_the_filters(client, make_post):
    title = '안녕 50% & "a+b"/<c>;,_\\ 😀'
    for _ in range(3):
        make_post(title=title, category="여행 & 맛집")
        make_post(title="다른 것")
    query = {"q": title, "category": "여행 & 맛집", "sort": "popular", "view": "summary", "per_page": 2}
    first = client.get(POSTS, query_string=query)

    second = client.get(links(first)["next"])

    assert titles(first) + titles(second) == [title] * 3
    assert all("excerpt" in post for post in second.json["data"])
    assert links(second).keys() == {"prev"}
    assert titles(client.get(links(second)["prev"])) == [title] * 2


# Orders


def test_the_latest_are_those_of_the_highest_number(client, make_post):
    for number in range(4):
        make_post(title=str(number), like_count=number % 2)

    numbers = [post["No"] for post in client.get(POSTS, query_string={"sort": "latest"}).json["data"]]

    assert numbers == sorted(numbers, reverse=True)
    assert client.get(POSTS).json["data"] == client.get(POSTS, query_string={"sort": "latest"}).json["data"]


def test_the_popular_are_those_of_most_likes_then_views_then_the_latest(client, make_ranked):
    make_ranked()

    response = client.get(POSTS, query_string={"sort": "popular"})

    assert titles(response) == list("abcdefgh")


def test_likes_and_views_through_the_api_move_a_post_up(client, make_post, as_user):
    liked, viewed = make_post(title="liked"), make_post(title="viewed")
    make_post(title="neither")
    client.get(f"{POSTS}/{viewed}")
    client.put(f"{POSTS}/{liked}/like", headers=as_user("bo"))

    response = client.get(POSTS, query_string={"sort": "popular"})

    assert titles(response) == ["liked", "viewed", "neither"]


# Summaries


@both_lists
def test_a_summary_has_an_excerpt_in_place_of_the_content(client, make_post, as_user, url):
    make_post(content="내용")

    (post,) = client.get(f"{url}?view=summary", headers=as_user("ana")).json["data"]

    assert set(post) == POST_FIELDS - {"content"} | {"excerpt"} | OWNER_FIELDS
    assert post["excerpt"] == "내용"


@both_lists
def test_the_full_view_is_the_default(client, make_post, as_user, url):
    make_post(content="a" * 300)

    (post,) = client.get(f"{url}?view=full", headers=as_user("ana")).json["data"]

    assert post["content"] == "a" * 300
    assert client.get(url, headers=as_user("ana")).json["data"] == [post]


@pytest.mark.parametrize(
    ("content", "excerpt"),
    [
        pytest.param("가" * 200, "가" * 200, id="200"),
        pytest.param("가" * 200 + "나", "가" * 200, id="201"),
        pytest.param("😀" * 201, "😀" * 200, id="emoji"),
        pytest.param("\n <b>" + "a" * 300, "\n <b>" + "a" * 195, id="as-written"),
    ],
)
def test_an_excerpt_is_the_first_200_characters(client, make_post, content, excerpt):
    make_post(content=content)

    (post,) = client.get(POSTS, query_string={"view": "summary"}).json["data"]

    assert post["excerpt"] == excerpt


# Filters


def test_a_category_s_id_filters(client, make_post, found):
    wanted = client.get(f"{POSTS}/{make_post(title='a', category='여행')}").json["data"]["category_id"]
    make_post(title="b", category="맛집")
    make_post(title="c", category="여행", status="hidden")

    assert found(category_id=wanted) == ["a"]
    assert found(category_id=UNKNOWN_ID) == []


@pytest.mark.parametrize("value", ["null", "undefined", "A" * 32, "a" * 31, "a" * 33])
def test_a_category_s_id_of_another_shape_is_refused_by_its_name(client, value):
    response = client.get(POSTS, query_string={"category_id": value})

    assert wrong_fields(response) == {"category_id"}


def test_a_category_s_name_filters(make_post, found):
    make_post(title="a", category="여행")
    make_post(title="b", category="맛집")

    assert found(category="여행") == ["a"]
    assert found(category="없는 것") == []


def test_an_author_filters(make_post, found, user_id):
    make_post(author="ana", title="a")
    make_post(author="bo", title="b")
    make_post(author="ana", title="c", status="hidden")

    assert found(user_id=user_id("ana")) == ["a"]
    assert found(user_id="nobody") == []
    assert found(user_id=user_id("ana").upper()) == []


def test_filters_are_all_applied(client, make_post, found, user_id):
    wanted = make_post(author="ana", title="봄 여행", category="여행")
    make_post(author="bo", title="봄 여행", category="여행")
    make_post(author="ana", title="봄 여행", category="맛집")
    make_post(author="ana", title="가을", category="여행")
    category_id = client.get(f"{POSTS}/{wanted}").json["data"]["category_id"]

    response = client.get(
        POSTS, query_string={"q": "봄", "category": "여행", "category_id": category_id, "user_id": user_id("ana")}
    )

    assert [post["id"] for post in response.json["data"]] == [wanted]
    assert response.json["meta"]["total"] == 1


@pytest.mark.parametrize("value", ["", " ", "\t\n"], ids=repr)
@pytest.mark.parametrize("field", ["q", "category_id", "category", "user_id", "cursor"])
def test_an_empty_filter_is_none(found, make_post, field, value):
    make_post(title="a")

    assert found(**{field: value}) == ["a"]


# Search


@pytest.mark.parametrize(
    ("title", "q"),
    [
        pytest.param("봄 여행 후기", "여행", id="in-the-middle"),
        pytest.param("봄 여행 후기", "봄", id="at-the-start"),
        pytest.param("봄 여행 후기", "후기", id="at-the-end"),
        pytest.param("봄 여행 후기", "봄 여행 후기", id="all-of-it"),
        pytest.param("봄 여행 후기", "행 후", id="over-a-space"),
        pytest.param("봄 여행 후기", "  여행\t", id="trimmed"),
        pytest.param("Hello World", "hELLO wORLD", id="letter-case"),
        pytest.param("hello", "HELLO", id="upper-case"),
        pytest.param("100% sure", "100%", id="percent"),
        pytest.param("snake_case", "e_c", id="underscore"),
        pytest.param("C:\\temp", ":\\T", id="backslash"),
        pytest.param("a\\", "\\", id="backslash-at-the-end"),
        pytest.param("a\\%b", "\\%", id="backslash-percent"),
        pytest.param("and/or", "D/O", id="slash"),
        pytest.param("a//%", "//%", id="slashes-percent"),
        pytest.param('it\'s "so"', "'s \"S", id="quotes"),
        pytest.param("[a-z]*?^", "[A-Z]*?^", id="brackets"),
        pytest.param("안녕 😀😁", "😁", id="emoji"),
        pytest.param("👩‍👩‍👧‍👦", "👩‍👧", id="part-of-a-joined-emoji"),
        pytest.param("café", "CAFé", id="accent"),
        pytest.param("café", "cafe\u0301", id="decomposed-accent"),
        pytest.param("한글", unicodedata.normalize("NFD", "한글"), id="decomposed-korean"),
        pytest.param("x" * 100, "X" * 100, id="100-characters"),
        pytest.param("x" * 100, f"  {'x' * 100}  ", id="100-after-trimming"),
        pytest.param("a  b", "a  b", id="two-spaces"),
        pytest.param("a\tb", "a\tb", id="tab"),
        pytest.param("\u13a0\u13a1", "\u13a0", id="cherokee"),
        pytest.param("\U00010400", "\U00010400", id="deseret"),
        pytest.param("\u1c90", "\u1c90", id="georgian"),
        pytest.param("\u0130stanbul", "\u0130", id="dotted-i"),
        pytest.param("STRASSE straße \u1e9e", "\u1e9e", id="capital-sharp-s"),
        pytest.param("\u2c2f \ua7ae \u2160 \u03f4", "\u2c2f \ua7ae \u2160 \u03f4", id="rare-capitals"),
    ],
)
def test_q_finds_titles_that_contain_it(found, make_post, title, q):
    make_post(title=title)

    assert found(q=q) == [title]


@pytest.mark.parametrize(
    ("title", "q"),
    [
        pytest.param("café", "cafe", id="accent"),
        pytest.param("cafe", "café", id="accent-asked-for"),
        pytest.param("100 sure", "100%", id="percent"),
        pytest.param("abc", "%", id="percent-alone"),
        pytest.param("abc", "a%c", id="percent-between"),
        pytest.param("snakecase", "_", id="underscore"),
        pytest.param("abc", "a_c", id="underscore-between"),
        pytest.param("abc", "\\", id="backslash"),
        pytest.param("a%", "\\%", id="backslash-percent"),
        pytest.param("a%", "/%", id="slash-percent"),
        pytest.param("a/b", "//", id="slashes"),
        pytest.param("a b", "a  b", id="two-spaces"),
        pytest.param("a  b", "a b", id="one-space"),
        pytest.param("ab", "a b", id="space"),
        pytest.param("ab", "ba", id="order"),
        pytest.param("😀", "😁", id="another-emoji"),
        pytest.param("한", "하", id="part-of-a-syllable"),
        pytest.param("Ａ", "a", id="full-width"),
        pytest.param("か", "カ", id="kana"),
        pytest.param("ss", "ß", id="sharp-s"),
        pytest.param("abc", "[a-c]", id="brackets"),
        pytest.param("abc", "a*", id="star"),
        pytest.param("abc", "' OR '1'='1", id="injection"),
    ],
)
def test_q_finds_no_other_titles(found, make_post, title, q):
    make_post(title=title)

    assert found(q=q) == []


def test_q_looks_at_titles_alone_and_at_visible_posts_alone(make_post, found):
    make_post(title="a", content="여행", category="여행", author="여행")
    make_post(title="여행", status="hidden")
    make_post(title="여행", status="deleted")

    assert found(q="여행") == []


@pytest.mark.parametrize(
    "q", ["x" * 101, "가" * 101, "a\x00b", "a\x1bb", "a\x85b"], ids=["101", "101-korean", "NUL", "C0", "C1"]
)
def test_a_q_that_no_title_can_hold_is_refused_by_its_name(client, q):
    response = client.get(POSTS, query_string={"q": q})

    assert wrong_fields(response) == {"q"}


@pytest.mark.parametrize(
    ("sort", "pages"), [("latest", [["x3", "x2"], ["x1"]]), ("popular", [["x2", "x3"], ["x1"]])], ids=SORTS
)
def test_found_posts_come_in_the_order_and_the_pages_of_the_list(client, make_post, walk, sort, pages):
    for title, likes in {"x1": 0, "y1": 5, "x2": 9, "y2": 3, "x3": 1}.items():
        make_post(title=title, like_count=likes)

    response = client.get(POSTS, query_string={"q": "X", "sort": sort, "per_page": 2})

    assert list(walk(response, "next")) == pages
    assert response.json["meta"]["total"] == 3


@pytest.mark.slow
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(data=st.data())
def test_search_is_python_s_in_with_ascii_letter_case_ignored(client, as_user, user_id, data):
    author = f"author-{next(AUTHORS)}"
    headers, character = as_user(author), st.sampled_from("aAbB%_\\/'\"*[]- \t한글éß😀\u0301")
    some = st.text(character, min_size=1, max_size=8).filter(str.strip)
    made = [
        client.post(POSTS, json={"title": title, "content": "c"}, headers=headers).json["data"]["title"]
        for title in data.draw(st.lists(some, min_size=1, max_size=4))
    ]
    part = st.sampled_from(made).flatmap(lambda title: st.sampled_from([title[:2], title[1:], title[-2:].swapcase()]))
    q = data.draw(st.one_of(st.text(character, min_size=1, max_size=3), part).filter(str.strip))

    response = client.get(POSTS, query_string={"q": q, "user_id": user_id(author)})

    wanted = unicodedata.normalize("NFC", q).strip()
    assert titles(response) == [title for title in reversed(made) if ascii_lower(wanted) in ascii_lower(title)]


# Totals


def test_a_search_counts_up_to_its_limit(client, make_post, monkeypatch):
    monkeypatch.setattr(search_plans, "SEARCH_TOTAL_MAX", 3)
    for number in range(5):
        make_post(title=f"a{number}")

    pages = [client.get(POSTS, query_string={"q": "a", "per_page": 2, "page": page}) for page in (1, 2, 3, 4)]

    assert [titles(page) for page in pages] == [["a4", "a3"], ["a2", "a1"], ["a0"], []]
    assert {page.json["meta"]["total"] for page in pages} == {3}
    assert all(page.json["meta"]["total_capped"] is True for page in pages)
    assert [page.json["meta"]["has_next"] for page in pages] == [True, True, False, False]


def test_the_links_of_a_search_lead_beyond_its_limit_and_back(client, make_post, monkeypatch, walk):
    monkeypatch.setattr(search_plans, "SEARCH_TOTAL_MAX", 2)
    for number in range(5):
        make_post(title=f"a{number}")
    first = client.get(POSTS, query_string={"q": "a", "per_page": 1})
    last = client.get(POSTS, query_string={"q": "a", "per_page": 1, "page": 5})

    forwards, backwards = list(walk(first, "next")), list(walk(last, "prev"))

    assert forwards == [["a4"], ["a3"], ["a2"], ["a1"], ["a0"]]
    assert backwards == forwards[::-1]


def test_the_cursors_of_a_search_lead_beyond_its_limit(client, make_post, monkeypatch):
    monkeypatch.setattr(search_plans, "SEARCH_TOTAL_MAX", 2)
    for number in range(5):
        make_post(title=f"a{number}")
    query = {"q": "a", "per_page": 2}
    got, cursor = (
        titles(client.get(POSTS, query_string=query)),
        client.get(POSTS, query_string=query).json["meta"]["next_cursor"],
    )

    while cursor:
        response = client.get(POSTS, query_string=query | {"cursor": cursor})
        got, cursor = got + titles(response), response.json["meta"]["next_cursor"]

    assert got == ["a4", "a3", "a2", "a1", "a0"]


@pytest.mark.parametrize("page", ["4", str(2**31 - 1)])
def test_a_page_past_the_end_of_a_search_beyond_its_limit_is_empty(client, make_post, monkeypatch, page):
    monkeypatch.setattr(search_plans, "SEARCH_TOTAL_MAX", 2)
    for _ in range(3):
        make_post(title="a")

    response = client.get(POSTS, query_string={"q": "a", "per_page": 1, "page": page})

    assert titles(response) == []
    assert response.json["meta"]["has_next"] is False


@pytest.mark.parametrize("matches", [2, 3])
def test_a_total_within_the_limit_is_exact_and_says_nothing_of_it(client, make_post, monkeypatch, matches):
    monkeypatch.setattr(search_plans, "SEARCH_TOTAL_MAX", 3)
    for _ in range(matches):
        make_post(title="a")

    meta = client.get(POSTS, query_string={"q": "a"}).json["meta"]

    assert meta["total"] == matches
    assert "total_capped" not in meta


@pytest.mark.parametrize("query", ["", "q=", "category=일반", "sort=popular"])
@both_lists
def test_without_a_search_totals_are_exact(client, make_post, as_user, monkeypatch, *, url, query):
    monkeypatch.setattr(search_plans, "SEARCH_TOTAL_MAX", 1)
    for _ in range(3):
        make_post()

    meta = client.get(f"{url}?{query}", headers=as_user("ana")).json["meta"]

    assert meta["total"] == 3
    assert "total_capped" not in meta


# Cursors


@both_sorts
def test_cursors_lead_through_every_post_once(client, make_ranked, sort):
    make_ranked()
    query = {"sort": sort, "per_page": 3}
    everything = titles(client.get(POSTS, query_string=query | {"per_page": 50}))
    pages = [client.get(POSTS, query_string=query)]

    while pages[-1].json["meta"]["next_cursor"]:
        pages.append(client.get(POSTS, query_string=query | {"cursor": pages[-1].json["meta"]["next_cursor"]}))

    assert [len(titles(page)) for page in pages] == [3, 3, 2]
    assert list(itertools.chain(*map(titles, pages))) == everything
    for number, page in enumerate(pages):
        meta = page.json["meta"]
        assert set(meta) == META_FIELDS | (set() if number else {"pinned"})
        assert (meta["page"], meta["per_page"], meta["total"], meta["pages"]) == (None if number else 1, 3, 8, 3)
        assert (meta["has_next"], meta["has_prev"]) == (number < 2, number > 0)


@both_sorts
def test_links_lead_along_the_cursors_and_back(client, make_ranked, walk, sort):
    make_ranked()
    first = client.get(POSTS, query_string={"sort": sort, "per_page": 3})
    everything = titles(client.get(POSTS, query_string={"sort": sort}))
    second = client.get(POSTS, query_string={"sort": sort, "per_page": 3, "cursor": first.json["meta"]["next_cursor"]})
    third = client.get(links(second)["next"])

    backwards = list(walk(third, "prev"))

    assert backwards == [everything[6:], everything[3:6], everything[:3]]
    assert list(walk(client.get(links(second)["prev"]), "next")) == backwards[::-1]


def test_the_first_page_that_a_cursor_leads_back_to_has_no_previous_one(client, make_ranked):
    make_ranked()
    cursor = client.get(POSTS, query_string={"per_page": 3}).json["meta"]["next_cursor"]
    second = client.get(POSTS, query_string={"per_page": 3, "cursor": cursor})

    first = client.get(links(second)["prev"])

    meta = first.json["meta"]
    assert (meta["page"], meta["has_prev"], meta["has_next"]) == (None, False, True)
    assert set(links(first)) == {"next"}
    assert meta["next_cursor"] == cursor


@both_sorts
def test_posts_created_meanwhile_are_neither_repeated_nor_do_they_hide_others(client, make_ranked, make_post, sort):
    make_ranked()
    query = {"sort": sort, "per_page": 2}
    before = titles(client.get(POSTS, query_string={"sort": sort}))
    response = client.get(POSTS, query_string=query)
    got = titles(response)

    for number in range(3):
        make_post(title=f"new {number}", like_count=99)
        response = client.get(POSTS, query_string=query | {"cursor": response.json["meta"]["next_cursor"]})
        got += titles(response)

    assert got == before
    assert response.json["meta"]["has_next"] is False


@both_sorts
def test_on_the_way_back_posts_created_meanwhile_come_last(client, make_ranked, make_post, sort):
    make_ranked()
    before = titles(client.get(POSTS, query_string={"sort": sort}))
    first = client.get(POSTS, query_string={"sort": sort, "per_page": 3})
    cursor = first.json["meta"]["next_cursor"]
    second = client.get(POSTS, query_string={"sort": sort, "per_page": 3, "cursor": cursor})
    response = client.get(links(second)["next"])
    pages = [titles(response)]

    for number in range(20):
        if "prev" not in links(response):
            break
        if number < 3:
            make_post(title=f"new {number}", like_count=99 + number)
        response = client.get(links(response)["prev"])
        pages.insert(0, titles(response))

    assert list(itertools.chain(*pages)) == ["new 2", "new 1", "new 0", *before]


@both_sorts
def test_a_cursor_outlives_the_post_that_it_was_made_at(client, make_ranked, as_user, sort):
    posts = make_ranked()
    response = client.get(POSTS, query_string={"sort": sort, "per_page": 3})
    everything = titles(client.get(POSTS, query_string={"sort": sort}))
    client.delete(f"{POSTS}/{posts[everything[2]]}", headers=as_user("ana"))

    rest = client.get(POSTS, query_string={"sort": sort, "cursor": response.json["meta"]["next_cursor"]})

    assert titles(rest) == everything[3:]


def test_a_cursor_at_the_end_is_an_empty_page(client, make_post, as_user):
    last, _ = make_post(title="a"), make_post(title="b")
    cursor = client.get(POSTS, query_string={"per_page": 1}).json["meta"]["next_cursor"]
    client.delete(f"{POSTS}/{last}", headers=as_user("ana"))

    response = client.get(POSTS, query_string={"per_page": 1, "cursor": cursor})

    assert titles(response) == []
    meta = response.json["meta"]
    assert (meta["has_next"], meta["next_cursor"]) == (False, None)
    assert meta["has_prev"] == ("prev" in links(response))


def test_a_cursor_back_to_the_start_is_an_empty_page(client, make_post, as_user):
    make_post(title="a")
    first = make_post(title="b")
    cursor = client.get(POSTS, query_string={"per_page": 1}).json["meta"]["next_cursor"]
    back = links(client.get(POSTS, query_string={"per_page": 1, "cursor": cursor}))["prev"]
    client.delete(f"{POSTS}/{first}", headers=as_user("ana"))

    response = client.get(back)

    assert titles(response) == []
    meta = response.json["meta"]
    assert meta["has_prev"] is False
    assert meta["has_next"] == (meta["next_cursor"] is not None) == ("next" in links(response))


def test_a_cursor_of_an_emptied_list_leads_nowhere(client, make_post, as_user):
    posts = [make_post() for _ in range(2)]
    cursor = client.get(POSTS, query_string={"per_page": 1}).json["meta"]["next_cursor"]
    for post_id in posts:
        client.delete(f"{POSTS}/{post_id}", headers=as_user("ana"))

    response = client.get(POSTS, query_string={"cursor": cursor})

    assert titles(response) == []
    meta = response.json["meta"]
    assert (meta["total"], meta["has_next"], meta["has_prev"], meta["next_cursor"]) == (0, False, False, None)


def test_a_cursor_takes_the_place_of_the_page(client, make_post):
    for number in range(4):
        make_post(title=str(number))
    cursor = client.get(POSTS, query_string={"per_page": 2}).json["meta"]["next_cursor"]

    response = client.get(POSTS, query_string={"per_page": 2, "page": 7, "cursor": cursor})

    assert titles(response) == ["1", "0"]
    assert response.json["meta"]["page"] is None


def test_a_cursor_goes_with_filters_and_another_size_of_page(client, make_post):
    for number in range(5):
        make_post(title=f"a{number}", category="여행")
        make_post(title=f"b{number}", category="맛집")
    query = {"q": "A", "category": "여행", "view": "summary"}
    cursor = client.get(POSTS, query_string=query | {"per_page": 2}).json["meta"]["next_cursor"]

    response = client.get(POSTS, query_string=query | {"per_page": 50, "cursor": cursor})

    assert titles(response) == ["a2", "a1", "a0"]


@both_sorts
def test_a_deep_cursor_costs_what_a_shallow_one_does(client, make_ranked, count_queries, database, sort):
    make_ranked()
    query = {"sort": sort, "per_page": 1}
    shallow = client.get(POSTS, query_string=query).json["meta"]["next_cursor"]
    deep = client.get(POSTS, query_string=query | {"page": 6}).json["meta"]["next_cursor"]

    with count_queries() as for_shallow:
        client.get(POSTS, query_string=query | {"cursor": shallow})
    with count_queries() as for_deep:
        client.get(POSTS, query_string=query | {"cursor": deep})

    assert for_deep == for_shallow
    # Of SQLite's dialect an offset is always written, of 0 where there is none.
    assert database == "sqlite" or "OFFSET" not in "".join(for_deep)


@pytest.mark.parametrize(
    "cursor",
    [
        pytest.param("garbage", id="garbage"),
        pytest.param("0", id="one-character"),
        pytest.param("-1", id="number"),
        pytest.param("null", id="null"),
        pytest.param("한글", id="korean"),
        pytest.param("a" * 10_000, id="long"),
        pytest.param("next.latest.5", id="not-encoded"),
        pytest.param("====", id="padding-alone"),
        pytest.param(written("next.latest"), id="no-value"),
        pytest.param(written("next.latest."), id="empty-value"),
        pytest.param(written("next.latest.5.5"), id="too-many-values"),
        pytest.param(written("next.latest.-5"), id="negative"),
        pytest.param(written("next.latest.05"), id="leading-zero"),
        pytest.param(written("next.latest.5.0"), id="float"),
        pytest.param(written(f"next.latest.{10**30}"), id="huge"),
        pytest.param(written("next.latest.5\n"), id="newline"),
        pytest.param(written("next.latest.٣"), id="arabic-digit"),
        pytest.param(written("next.popular.5"), id="popular-with-one-value"),
        pytest.param(written("next.popular.0.0.5"), id="of-another-sort"),
        pytest.param(written("last.latest.5"), id="unknown-direction"),
        pytest.param(written("next.oldest.5"), id="unknown-sort"),
        pytest.param(written("next.latest.5' OR 1=1"), id="injection"),
        pytest.param(written("next.latest.5") + "=", id="padded"),
        pytest.param(written("next.latest.5") + "!", id="byte-added"),
        pytest.param(written("next.latest.5")[:-1], id="byte-lost"),
        pytest.param("!" + written("next.latest.5")[1:], id="byte-altered"),
        pytest.param(written("next.latest.5").swapcase(), id="case-altered"),
        pytest.param(written("next.latest.5") + " ", id="space-after"),
    ],
)
@both_lists
def test_a_broken_cursor_is_refused_by_its_name(client, as_user, url, cursor):
    response = client.get(url, query_string={"cursor": cursor}, headers=as_user("ana"))

    assert wrong_fields(response) == {"cursor"}


@pytest.mark.parametrize(("given_by", "given_to"), [("latest", "popular"), ("popular", "latest")])
def test_a_cursor_of_another_sort_is_broken(client, make_ranked, given_by, given_to):
    make_ranked()
    cursor = client.get(POSTS, query_string={"sort": given_by, "per_page": 1}).json["meta"]["next_cursor"]

    response = client.get(POSTS, query_string={"sort": given_to, "cursor": cursor})

    assert wrong_fields(response) == {"cursor"}


@both_sorts
def test_no_altered_byte_of_a_cursor_crashes(client, make_ranked, sort):
    make_ranked()
    cursor = client.get(POSTS, query_string={"sort": sort, "per_page": 1}).json["meta"]["next_cursor"]
    altered = [
        cursor[:at] + byte + cursor[at + 1 :] for at in range(len(cursor)) for byte in "A9_é" if cursor[at] != byte
    ]

    answers = [client.get(POSTS, query_string={"sort": sort, "cursor": text}) for text in altered]

    assert {answer.status_code for answer in answers} <= {200, 400}
    assert all(wrong_fields(answer) == {"cursor"} for answer in answers if answer.status_code == 400)


@pytest.mark.parametrize("value", [0, 2**31 - 1, 2**31, 2**32, 9_999_999_999])
@pytest.mark.parametrize("direction", ["next", "prev"])
@both_sorts
def test_a_cursor_may_stand_beyond_every_number(client, make_post, *, sort, direction, value):
    make_post(title="a")
    cursor = Cursor(direction, sort, (value,) * len(SORT_COLUMNS[sort])).encode()

    response = client.get(POSTS, query_string={"sort": sort, "cursor": cursor})

    is_listed = (value > 0) == (direction == "next")
    assert titles(response) == ["a"] * is_listed


VALUES = st.integers(min_value=0, max_value=2**31 - 1)
CURSORS = st.sampled_from(SORTS).flatmap(
    lambda sort: st.builds(
        Cursor,
        st.sampled_from(["next", "prev"]),
        st.just(sort),
        st.tuples(*[VALUES] * len(SORT_COLUMNS[sort])),
    )
)


@given(CURSORS)
def test_a_cursor_is_read_as_it_was_written(cursor):
    text = cursor.encode()

    assert Cursor.decode(text) == cursor
    assert re.fullmatch("[A-Za-z0-9_-]+", text)


@given(
    st.one_of(
        st.text(),
        st.text("ABCabc012-_=+/"),
        st.text().map(lambda text: written(text.encode(errors="replace").decode())),
    )
)
def test_random_text_is_a_cursor_or_refused(text):
    try:
        cursor = Cursor.decode(text)
    except ValueError:
        return

    assert cursor.encode() == text


@given(CURSORS, st.data())
def test_a_cursor_with_an_altered_byte_is_another_or_refused(cursor, data):
    text = cursor.encode()
    at = data.draw(st.integers(0, len(text) - 1))
    altered = text[:at] + data.draw(st.characters()) + text[at + 1 :]

    try:
        read = Cursor.decode(altered)
    except ValueError:
        return

    assert (read == cursor) == (altered == text)


# My posts


def test_my_posts_are_the_caller_s_visible_and_hidden_ones(client, make_post, as_user):
    make_post(author="ana", title="visible")
    make_post(author="ana", title="hidden", status="hidden")
    make_post(author="ana", title="deleted", status="deleted")
    make_post(author="bo", title="another's")

    response = client.get(MINE, headers=as_user("ana"))

    assert titles(response) == ["hidden", "visible"]
    assert [post["status"] for post in response.json["data"]] == ["hidden", "visible"]
    assert set(response.json["data"][0]) == POST_FIELDS | OWNER_FIELDS
    assert set(response.json["meta"]) == META_FIELDS
    assert response.json["meta"]["total"] == 2


@pytest.mark.parametrize(("who", "mine"), [("ana", ["a"]), ("bo", ["b"]), ("root", [])])
def test_my_posts_are_nobody_else_s_not_even_for_an_admin(client, make_post, as_user, who, mine):
    make_post(author="ana", title="a")
    make_post(author="bo", title="b")

    response = client.get(MINE, headers=as_user(who))

    assert titles(response) == mine


@pytest.mark.parametrize(
    ("headers", "code"),
    [({}, "token_missing"), ({"Authorization": "Bearer broken"}, "token_invalid")],
    ids=["nobody", "bad-token"],
)
@pytest.mark.parametrize("query", ["", "page=0"], ids=["good-query", "bad-query"])
def test_my_posts_need_a_token_before_anything_else(client, headers, code, query):
    response = client.get(f"{MINE}?{query}", headers=headers)

    assert (response.status_code, response.json["error"]["code"]) == (401, code)
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_my_posts_have_cursors(client, make_post, as_user, walk):
    for number in range(5):
        make_post(author="ana", title=str(number), status="hidden" if number % 2 else "visible")
        make_post(author="bo")
    headers = as_user("ana")
    cursor = client.get(f"{MINE}?per_page=2", headers=headers).json["meta"]["next_cursor"]

    second = client.get(f"{MINE}?per_page=2&cursor={cursor}", headers=headers)

    assert second.json["meta"]["page"] is None
    assert list(walk(second, "next", headers)) == [["2", "1"], ["0"]]
    assert list(walk(second, "prev", headers)) == [["2", "1"], ["4", "3"]]


def test_a_cursor_of_the_popular_is_none_of_my_posts(client, as_user):
    cursor = Cursor("next", "popular", (0, 0, 5)).encode()

    response = client.get(f"{MINE}?cursor={cursor}&sort=popular", headers=as_user("ana"))

    assert wrong_fields(response) == {"cursor"}
