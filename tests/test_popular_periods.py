"""The most popular posts of a day, a week or a month: which there are, in their order, and how many."""

import random
import sqlite3
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event, select

from post.models import Post, db
from post.paging import Cursor
from post.services import pages, search_plans
from tests.answers import wrong_fields
from tests.test_search import as_asked, sort_key, store_posts

POSTS = "/api/v1/posts"
DAYS = {"day": 1, "week": 7, "month": 30}
NOON = datetime(2026, 3, 1, 12, 34, 56, 789_000)  # noqa: DTZ001 - as stored
# The first and the last moment of days too, of which one is a month's last day but one in a leap year.
MOMENTS = [NOON, datetime(2026, 1, 1), datetime(2024, 2, 29, 23, 59, 59, 999_000)]  # noqa: DTZ001 - as stored
MILLISECOND = timedelta(milliseconds=1)
every_period = pytest.mark.parametrize("period", DAYS)


@pytest.fixture
def clock(app):
    """Stop the database's clock: connections have the moment that is set, until the test ends."""
    clock = StoppedClock()
    with app.app_context():
        engines = list(db.engines.values())
    for engine in engines:
        engine.dispose()
        event.listen(engine, "checkout", clock.stop)
    yield clock
    for engine in engines:
        event.remove(engine, "checkout", clock.stop)
        engine.dispose()


class StoppedClock:
    """The moment that the database takes for now, in UTC."""

    def __init__(self):
        self.now = NOON
        self._real = sqlite3.connect(":memory:", check_same_thread=False)

    def stop(self, connection, *_):
        """Set the clock of a connection."""
        if isinstance(connection, sqlite3.Connection):
            connection.create_function("strftime", -1, self._strftime)
            return
        with connection.cursor() as cursor:
            seconds = (self.now - datetime(1970, 1, 1)) / timedelta(seconds=1)  # noqa: DTZ001 - as stored
            cursor.execute(f"SET timestamp = {seconds:.3f}")

    def _strftime(self, *arguments):
        given = [self.now.isoformat(" ") if argument == "now" else argument for argument in arguments]
        ((text,),) = self._real.execute(f"SELECT strftime({', '.join('?' * len(given))})", given)
        return text


@pytest.fixture
def ask(client):
    """Get a page of a period's posts."""

    def get(period, **query):
        response = client.get(POSTS, query_string={"sort": "popular", "period": period} | query)
        assert response.status_code == 200, response.data
        return response

    return get


@pytest.fixture
def shown(ask):
    """The titles of a period's posts, and their number as it is told."""

    def get(period, **query):
        answer = ask(period, per_page=50, **query).json
        return [post["title"] for post in answer["data"]], answer["meta"]["total"]

    return get


# The time


@every_period
@pytest.mark.parametrize("now", MOMENTS, ids=str)
def test_a_period_begins_to_the_millisecond(clock, make_post, shown, period, now):
    clock.now, start = now, now - timedelta(days=DAYS[period])
    for number, moment in enumerate([start - MILLISECOND, start, start + MILLISECOND, now]):
        make_post(title=str(number), created_at=moment, like_count=number)

    seen = [shown(period)]
    for _ in range(2):
        clock.now += MILLISECOND
        seen.append(shown(period))

    assert seen == [(["3", "2", "1"], 3), (["3", "2"], 2), (["3"], 1)]


@every_period
def test_other_lists_have_posts_of_any_time(clock, make_post, client, period):
    make_post(created_at=clock.now - timedelta(days=400))

    assert client.get(f"{POSTS}?sort=popular").json["meta"]["total"] == 1
    assert client.get(f"{POSTS}?sort=popular&period={period}").json["meta"]["total"] == 0


def test_a_page_is_another_once_a_post_is_too_old(clock, make_post, ask, client):
    make_post(created_at=clock.now - timedelta(days=1))
    make_post(created_at=clock.now)
    headers = {"If-None-Match": ask("day").headers["ETag"]}

    same = client.get(f"{POSTS}?sort=popular&period=day", headers=headers)
    clock.now += MILLISECOND
    another = client.get(f"{POSTS}?sort=popular&period=day", headers=headers)

    assert (same.status_code, another.status_code) == (304, 200)
    assert another.json["meta"]["total"] == 1


@every_period
def test_a_new_post_is_of_each_period(client, as_user, shown, period):
    body = {"title": "새 글", "content": "내용"}
    assert client.post(POSTS, json=body, headers=as_user("ana")).status_code == 201

    assert shown(period) == (["새 글"], 1)


# Every list


def random_post(chance):
    return {
        "title": as_asked(chance.choice(["a", "ab", "abc", "ABCD", "글"])),
        "status": chance.choice([*["visible"] * 6, "hidden", "deleted"]),
        "user_id": chance.choice(["ana", "ana", "bo"]),
        "category": chance.choice(["여행", "여행", "맛집"]),
        "like_count": chance.choice([0, 0, 1, 5]),
        "view_count": chance.randrange(3),
        "created_at": NOON - timedelta(days=chance.choice([0, 0.3, 1, 3, 7, 29, 30, 31]), seconds=chance.randrange(9)),
    }


FILTERS = {
    "all": {},
    "category": {"category": "여행"},
    "author": {"user_id": "ana"},
    "both": {"category": "맛집", "user_id": "ana"},
    "character": {"q": "a"},
    "pair": {"q": "ab"},
    "pairs": {"q": "abc"},
    "pair-category": {"q": "AB", "category": "여행"},
}


@every_period
@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("cap", [1, 10_000], ids=["walked", "looked-up"])
def test_every_page_is_its_slice_of_the_list(clock, app, ask, monkeypatch, period, filters, cap):
    chance = random.Random(4)
    stored = store_posts(app, [random_post(chance) for _ in range(120)])
    monkeypatch.setattr(search_plans, "SEARCH_TOTAL_MAX", cap)
    monkeypatch.setattr(pages, "DEEP_OFFSET", 8)
    wanted = [post for post in stored if is_wanted(post, period, **filters)]
    numbers = [post.No for post in sorted(wanted, key=lambda post: sort_key(post, "popular"), reverse=True)]
    is_capped = "q" in filters and len(numbers) > cap

    answers = [ask(period, page=page, per_page=4, **filters).json for page in range(1, len(numbers) // 4 + 3)]
    cursors = [answer["meta"]["next_cursor"] for answer in answers]
    behind = [ask(period, cursor=cursor, per_page=4, **filters).json for cursor in cursors if cursor]

    of_pages = [[post["No"] for post in answer["data"]] for answer in answers]
    assert of_pages == [numbers[start : start + 4] for start in range(0, 4 * len(of_pages), 4)]
    assert {answer["meta"]["total"] for answer in answers} == {cap if is_capped else len(numbers)}
    assert [[post["No"] for post in answer["data"]] for answer in behind] == of_pages[1 : len(behind) + 1]
    assert len(numbers) > 8 or filters == FILTERS["both"]


def is_wanted(post, period, q="", **filters):
    is_new = post.created_at >= NOON - timedelta(days=DAYS[period])
    is_found = post.status == "visible" and q.lower() in post.title.lower()
    return is_new and is_found and all(getattr(post, name) == value for name, value in filters.items())


@every_period
def test_cursors_lead_back_as_they_lead_on(clock, app, ask, client, period):
    chance = random.Random(5)
    store_posts(app, [random_post(chance) for _ in range(60)])
    whole = [post["No"] for post in ask(period, per_page=50).json["data"]]
    first = ask(period, per_page=5)
    second = ask(period, per_page=5, cursor=first.json["meta"]["next_cursor"])
    after = second.json["data"][0]

    back = Cursor("prev", "popular", tuple(after[name] for name in ("like_count", "view_count", "No"))).encode()

    assert [post["No"] for post in ask(period, per_page=5, cursor=back).json["data"]] == whole[:5]


# While posts change


@pytest.fixture
def send(client, as_user):
    """Send a request as somebody, which must succeed."""

    def send(method, path, who="ana", **json):
        response = client.open(f"{POSTS}{path}", method=method, json=json or None, headers=as_user(who))
        assert response.status_code in (200, 201), response.data
        return response.json["data"]

    return send


def test_the_number_is_right_after_each_change(send, shown, rows, wrong):
    post_id = send("POST", "", title="제목", content="내용")["id"]
    changes = [
        (("PATCH", f"/{post_id}"), {"status": "hidden"}, 0),
        (("PATCH", f"/{post_id}"), {"status": "visible"}, 1),
        (("PATCH", f"/{post_id}"), {"category": "여행"}, 1),
        (("PUT", f"/{post_id}/like"), {}, 1),
        (("DELETE", f"/{post_id}"), {}, 0),
        (("PATCH", f"/{post_id}", "root"), {"status": "visible"}, 1),
        (("DELETE", f"/{post_id}", "root"), {}, 0),
    ]

    for request, body, expected in changes:
        send(*request, **body)

        assert {shown(period)[1] for period in DAYS} == {expected}
        assert wrong() == []


def test_the_number_is_of_whole_days_and_of_a_part_of_the_first(clock, app, shown, wrong):
    ages = [timedelta(days=days, hours=hours) for days in range(33) for hours in (0, 5, 13)]
    given = random_post(random.Random(1)) | {"status": "visible", "like_count": 0}
    store_posts(app, [given | {"created_at": NOON - age} for age in ages])

    told = {period: shown(period)[1] for period in DAYS}

    assert told == {period: sum(age <= timedelta(days=days) for age in ages) for period, days in DAYS.items()}
    assert wrong() == []


def test_a_walk_has_each_post_once_whose_likes_stay_as_they_are(clock, make_post, ask, send):
    ids = {
        str(n): make_post(title=str(n), like_count=n % 4, created_at=NOON - timedelta(hours=5 * n)) for n in range(24)
    }
    changing = {"3", "8", "14", "21"}
    seen, answer = [], ask("week", per_page=5).json

    for title in sorted(changing):
        seen += [post["title"] for post in answer["data"]]
        send("PUT", f"/{ids[title]}/like", who="bo")
        answer = ask("week", per_page=5, cursor=answer["meta"]["next_cursor"]).json
    seen += [post["title"] for post in answer["data"]]

    assert answer["meta"]["has_next"] is False
    assert sorted(set(seen) - changing) == sorted(set(ids) - changing)
    assert all(seen.count(title) == 1 for title in set(ids) - changing)
    assert answer["meta"]["total"] == 24


# Refusals


@pytest.mark.parametrize("period", ["year", "Week", "", "7", "week "])
def test_an_unknown_period_is_refused_by_its_name(client, period):
    response = client.get(POSTS, query_string={"sort": "popular", "period": period})

    assert wrong_fields(response) == {"period"}


@pytest.mark.parametrize("query", [{}, {"sort": "latest"}])
@pytest.mark.parametrize(("language", "words"), [("ko", "기간: sort=popular와"), ("en", "Period: Needs sort=popular.")])
def test_a_period_needs_the_order_by_popularity(client, query, language, words):
    response = client.get(POSTS, query_string=query | {"period": "week"}, headers={"Accept-Language": language})

    assert wrong_fields(response) == {"period"}
    assert response.json["message"].startswith(words)


def test_of_a_wrong_order_the_order_alone_is_told(client):
    assert wrong_fields(client.get(f"{POSTS}?sort=oldest&period=week")) == {"sort"}


def test_the_day_of_a_post_is_the_same_in_every_database(app, make_post, rows):
    moments = {make_post(created_at=moment): moment for moment in [*MOMENTS, datetime(1970, 1, 1)]}  # noqa: DTZ001 - as stored

    days = dict(rows(select(Post.id, Post.created_day)))

    assert days == {post_id: moment.toordinal() + 365 for post_id, moment in moments.items()}
    assert 719_528 in days.values()  # MySQL's TO_DAYS('1970-01-01')
