"""What must hold when many write at once, on both databases and with threads."""

import random
import threading
from collections import Counter

import pytest
from sqlalchemy import func, select

from post import services
from post.database.writes import retried, transaction
from post.models import Category, Like, Post, PostCount, SearchGram, db
from post.services.posts import lock_seen_post
from post.utils import Caller
from tests.conftest import at_once, empty, wrong_in
from tests.servers import HANG_SECONDS

pytestmark = pytest.mark.slow


def send(app, method, url, headers, body=None):
    # A client for each call: clients are not made for threads.
    return lambda: app.test_client().open(url, method=method, headers=headers, json=body)


@pytest.mark.parametrize("repetition", range(5))
def test_200_toggles_by_20_users_leave_the_count_equal_to_the_rows(repetition, app, make_post, as_user, stored):
    post_id = make_post()
    users = [as_user(f"user{n}") for n in range(20)]
    calls = [send(app, "POST", f"/api/v1/posts/{post_id}/like", headers) for headers in users * 10]
    random.Random(repetition).shuffle(calls)

    answers = at_once(calls, threads=40)

    assert Counter(answer.status_code for answer in answers) == {200: 200}
    rows = stored(select(func.count()).select_from(Like).where(Like.post_id == post_id))
    assert stored(select(Post.like_count).where(Post.id == post_id)) == rows == 0  # each user toggled ten times


def test_many_copies_of_one_user_like_once(app, make_post, as_user, stored):
    post_id = make_post()

    answers = at_once([send(app, "PUT", f"/api/v1/posts/{post_id}/like", as_user("bo"))] * 30)

    assert Counter(answer.json["data"]["action"] for answer in answers) == {"added": 1, "unchanged": 29}
    assert stored(select(Post.like_count).where(Post.id == post_id)) == 1
    assert stored(select(func.count()).select_from(Like)) == 1


def test_likes_edits_and_views_of_one_post_at_once_lose_nothing(app, make_post, as_user, row):
    post_id = make_post()
    url = f"/api/v1/posts/{post_id}"
    likes = [send(app, "PUT", f"{url}/like", as_user(f"user{n}")) for n in range(20)]
    edits = [send(app, "PATCH", url, as_user("ana"), {"category": f"분류{n % 3}"}) for n in range(20)]
    views = [lambda n=n: app.test_client().get(url, environ_base={"REMOTE_ADDR": f"10.0.0.{n}"}) for n in range(20)]

    answers = at_once([*likes, *edits, *views], threads=30)

    assert {answer.status_code for answer in answers} == {200}
    post = row(post_id)
    assert (post.like_count, post.view_count) == (20, 20)


def test_categories_named_by_posts_at_once_are_made_once(app, as_user, stored):
    bodies = [
        {"title": "제목", "content": "내용", "category": name} for name in ("Travel", "TRAVEL", "여행", "음식") * 10
    ]

    answers = at_once([send(app, "POST", "/api/v1/posts", as_user("ana"), body) for body in bodies], threads=20)

    assert {answer.status_code for answer in answers} == {201}
    assert stored(select(func.count()).select_from(Category)) == 3
    shown = {answer.json["data"]["category"].casefold() for answer in answers}
    assert shown == {"travel", "여행", "음식"}


def test_a_category_created_at_once_is_made_once_and_refused_to_the_others(app, as_user):
    calls = [send(app, "POST", "/api/v1/categories", as_user("ana"), {"name": "여행"})] * 20

    answers = at_once(calls)

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 19}


def test_numbers_given_at_once_are_unique_and_without_gaps_of_more_than_what_failed(app, as_user):
    call = send(app, "POST", "/api/v1/posts", as_user("ana"), {"title": "제목", "content": "내용"})

    answers = at_once([call] * 60, threads=20)

    numbers = sorted(answer.json["data"]["No"] for answer in answers)
    assert numbers == list(range(numbers[0], numbers[0] + 60))


def test_a_view_is_counted_once_for_an_address_that_comes_twice_at_once(app, make_post, row):
    post_id = make_post()

    at_once([send(app, "GET", f"/api/v1/posts/{post_id}", {})] * 30)

    assert row(post_id).view_count == 1


def test_batches_of_views_of_the_same_posts_at_once_are_added_whole_in_any_order(app, make_post, row):
    amounts = {make_post(): amount for amount in range(1, 31)}

    def add_shuffled():
        with (
            app.app_context()
        ):  # not retried: the batches lock the posts in one order, so that none is a deadlock's victim
            services.add_views(dict(random.sample([*amounts.items()], len(amounts))))

    at_once([add_shuffled] * 8)

    assert {post_id: row(post_id).view_count for post_id in amounts} == {key: 8 * amounts[key] for key in amounts}


def test_a_post_deleted_by_two_at_once_is_deleted_by_one(app, make_post, as_user):
    post_id = make_post()

    answers = at_once([send(app, "DELETE", f"/api/v1/posts/{post_id}", as_user("ana"))] * 10)

    assert Counter(answer.status_code for answer in answers) == {200: 1, 404: 9}


def test_post_counts_are_right_after_random_writes_at_once(app, make_post, as_user, client):
    ids = [make_post(category=name) for name in ("가", "나", "다") for _ in range(4)]
    chance = random.Random(7)
    calls = []
    for _ in range(60):
        url = f"/api/v1/posts/{chance.choice(ids)}"
        change = chance.choice(
            [{"status": "hidden"}, {"status": "visible"}, {"category": chance.choice("가나다")}, None]
        )
        calls.append(send(app, "PATCH" if change else "DELETE", url, as_user("root"), change))

    answers = at_once(calls, threads=20)

    assert {answer.status_code for answer in answers} <= {200, 404}
    with app.app_context():
        visible = select(Post.category, func.count()).where(Post.status == "visible").group_by(Post.category)
        expected = dict(db.session.execute(visible).all())
    shown = {item["name"]: item["post_count"] for item in client.get("/api/v1/categories").json["data"]}
    assert shown == {name: expected.get(name, 0) for name in "가나다"}


def test_fifty_writers_of_one_category_and_one_post_lose_nothing(app, make_post, as_user, stored, client):
    hot = f"/api/v1/posts/{make_post(category='가')}"
    users, root = [as_user(f"user{n}") for n in range(10)], as_user("root")
    new = {"title": "제목 하나", "content": "내용", "category": "가"}
    calls = [
        *[send(app, "POST", "/api/v1/posts", user, new) for user in users * 4],
        *[send(app, "POST", f"{hot}/like", user) for user in users * 4],
        *[send(app, "DELETE", f"{hot}/like", user) for user in users * 2],
        *[send(app, "PATCH", hot, root, {"status": status}) for status in ("hidden", "visible") * 15],
        *[send(app, "DELETE", hot, root) for _ in range(10)],
        *[send(app, "PATCH", hot, root, {"category": name, "title": f"제목 {name}"}) for name in "가나" * 15],
    ]
    random.Random(3).shuffle(calls)

    answers = at_once(calls, threads=50)

    assert {answer.status_code for answer in answers} <= {200, 201, 404}
    created = sum(answer.status_code == 201 for answer in answers)
    assert (created, stored(select(func.count()).select_from(Post))) == (40, 41)
    assert wrong_in(app) == []
    shown = {item["name"]: item["post_count"] for item in client.get("/api/v1/categories").json["data"]}
    visible = stored(select(func.count()).where(Post.status == "visible"))
    assert sum(shown.values()) == visible == client.get("/api/v1/posts").json["meta"]["total"]
    assert client.get("/api/v1/posts", query_string={"q": "제목 하나"}).json["meta"]["total"] == created


def test_writers_of_posts_of_their_own_in_one_category_lose_nothing(app, as_user, stored):
    changes = [{"status": "hidden"}, {"category": "나"}, {"status": "visible"}, {"title": "다른 제목"}]

    def live(number):
        client, own = app.test_client(), as_user(f"user{number % 5}")
        body = {"title": "제목", "content": "내용", "category": "가"}
        url = client.post("/api/v1/posts", headers=own, json=body).headers["Location"]
        answers = [client.patch(url, headers=own, json=change) for change in changes]
        answers += [client.put(f"{url}/like", headers=own), client.delete(f"{url}/like", headers=own)]
        return [answer.status_code for answer in [*answers, client.delete(url, headers=own)]]

    answers = at_once([lambda number=number: live(number) for number in range(50)])

    assert answers == [[200] * 7] * 50
    assert wrong_in(app) == []
    assert stored(select(func.sum(PostCount.visible + PostCount.hidden))) == 0
    assert stored(select(func.count()).select_from(SearchGram)) == 0


def test_a_deadlocks_victim_is_run_again(make_app, mysql_server):
    """Two transactions lock two posts in opposite orders; MySQL ends one, and it comes through all the same."""
    app = make_app(DATABASE_URL=mysql_server)
    ana = Caller(user_id="ana", username="ana")
    with app.app_context():
        one, other = (
            services.create_post(author=ana, title="제목", content="내용", category="일반")["id"] for _ in range(2)
        )
    met = threading.Barrier(2, timeout=HANG_SECONDS)
    runs = Counter()

    @retried
    def lock_both(first, second):
        with transaction() as session:
            runs[first] += 1
            lock_seen_post(session, first, ana)
            if runs[first] == 1:
                met.wait()
            lock_seen_post(session, second, ana)
        return "done"

    def in_context(first, second):
        with app.app_context():
            return lock_both(first, second)

    results = at_once([lambda: in_context(one, other), lambda: in_context(other, one)])

    empty(app)
    assert results == ["done", "done"]
    assert sum(runs.values()) == 3
