"""Categories changed by admins: new names, order, closing, merging, deleting; each of them logged."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from post import services
from post.database.writes import transaction
from post.models import Category, LogEntry, Post, PostCount, Task, db
from post.services import category_moves, tasks
from post.utils import ACTIONS
from tests.answers import UNKNOWN_ID, fault, wrong_fields
from tests.test_list_plans import explained, on_mysql, sorts_or_copies

pytestmark = pytest.mark.usefixtures("patient_requests")

POSTS, CATEGORIES = "/api/v1/posts", "/api/v1/categories"
# Each route, with a body that is right.
ROUTES = {
    "edit": ("PATCH", "", {"position": 1}),
    "merge": ("POST", "/merge", {"into": UNKNOWN_ID}),
    "delete": ("DELETE", "", None),
}
every_route = pytest.mark.parametrize(("method", "path", "body"), ROUTES.values(), ids=ROUTES)


@pytest.fixture
def ask(client, as_user):
    """Send a request to a category as an admin."""

    def send(method, category_id, body=None, path="", who="root", **headers):
        url = f"{CATEGORIES}/{category_id}{path}"
        return client.open(url, method=method, json=body, headers=as_user(who) | headers)

    return send


@pytest.fixture
def merge(ask):
    """Merge a category into another as an admin."""
    return lambda source, into, **more: ask("POST", source, {"into": into} | more, "/merge")


@pytest.fixture
def make_category(client, as_user):
    """Create a category; returns its id."""

    def make(name):
        return client.post(CATEGORIES, json={"name": name}, headers=as_user("root")).json["data"]["id"]

    return make


@pytest.fixture
def write(client, as_user):
    """Send a post, or a change of one."""

    def send(method, url, who="ana", **body):
        return client.open(url, method=method, json=body, headers=as_user(who))

    return send


@pytest.fixture
def logged(rows):
    """Read the log: action, category, reason, before and after."""
    states = LogEntry.state_before, LogEntry.state_after
    query = select(LogEntry.action, LogEntry.category_id, LogEntry.reason, *states).order_by(LogEntry.No)

    def read():
        return [(*entry[:3], *(text and json.loads(text) for text in entry[3:])) for entry in rows(query)]

    return read


@pytest.fixture
def in_the_background(monkeypatch, shared_app):
    """Leave tasks to the thread, which does not run: returns a function that does what it would."""
    monkeypatch.setattr(tasks, "REQUEST_SECONDS", 0)
    woken = []
    monkeypatch.setattr(type(shared_app.extensions["post"].task_runner), "wake", lambda _self: woken.append(True))

    def work(should_stop=lambda: False):
        assert woken
        with shared_app.app_context():
            services.work_at_tasks(should_stop)

    return work


def listed(client):
    return {category["name"]: category["post_count"] for category in client.get(CATEGORIES).json["data"]}


def new_post(category):
    return {"title": "제목", "content": "내용", "category": category}


# Callers and ids


@every_route
@pytest.mark.parametrize(("who", "refusal"), [("nobody", (401, "token_missing")), ("ana", (403, "forbidden"))])
def test_admins_alone_change_categories(ask, make_category, client, method, path, body, who, refusal):
    category_id = make_category("여행")

    response = ask(method, category_id, body, path, who=who)

    assert fault(response) == refusal
    assert listed(client) == {"여행": 0}


@every_route
def test_an_unknown_category_is_404(ask, make_category, method, path, body):
    body = {"into": make_category("여행")} if path else body

    assert fault(ask(method, UNKNOWN_ID, body, path)) == (404, "category_not_found")


@every_route
def test_an_id_of_another_shape_is_400_and_named(ask, method, path, body):
    assert wrong_fields(ask(method, "undefined", body, path)) == {"category_id"}


def test_the_actions_are_of_the_log(app):
    assert {"edit_category", "merge_category", "delete_category"} <= set(ACTIONS)


# Order and names


def test_the_list_is_by_position_then_by_name(client, ask, make_category):
    for name, position in {"나": 1, "Z": 0, "a": 0, "가": 1, "공지": -1}.items():
        ask("PATCH", make_category(name), {"position": position})

    shown = [(category["position"], category["name"]) for category in client.get(CATEGORIES).json["data"]]

    assert shown == [(-1, "공지"), (0, "Z"), (0, "a"), (1, "가"), (1, "나")]


def test_a_change_is_answered_listed_and_logged_with_its_reason(client, ask, make_category, logged):
    category_id = make_category("여행")

    response = ask("PATCH", category_id, {"name": " 나들이 ", "is_open": False, "position": 7, "reason": "정리"})

    assert response.status_code == 200
    category = response.json["data"]
    assert {name: category[name] for name in ("id", "name", "post_count", "is_open", "position")} == {
        "id": category_id, "name": "나들이", "post_count": 0, "is_open": False, "position": 7,
    }  # fmt: skip
    assert client.get(CATEGORIES).json["data"] == [category]
    before = {"name": "여행", "is_open": True, "position": 0}
    after = {"name": "나들이", "is_open": False, "position": 7}
    assert logged() == [("edit_category", category_id, "정리", before, after)]


def test_a_change_to_what_is_there_is_200_and_no_action(ask, make_category, logged, rows):
    category_id = make_category("여행")

    response = ask("PATCH", category_id, {"name": "여행", "is_open": True, "position": 0})

    assert response.status_code == 200
    assert logged() == []
    assert rows(select(Task.id)) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"reason": "정리"}, "body"),
        ({"name": " "}, "name"),
        ({"name": "a" * 51}, "name"),
        ({"name": None}, "name"),
        ({"is_open": "false"}, "is_open"),
        ({"is_open": 0}, "is_open"),
        ({"is_open": None}, "is_open"),
        ({"position": "1"}, "position"),
        ({"position": 1.5}, "position"),
        ({"position": 2**31}, "position"),
        ({"position": 1, "reason": "a" * 501}, "reason"),
    ],
)
def test_a_wrong_change_is_400_and_changes_nothing(client, ask, make_category, body, field):
    category_id = make_category("여행")
    before = client.get(CATEGORIES).json["data"]

    assert wrong_fields(ask("PATCH", category_id, body)) == {field}

    assert client.get(CATEGORIES).json["data"] == before


def test_posts_of_every_status_show_a_new_name_and_are_not_edited(client, ask, make_category, make_post, row, wrong):
    category_id = make_category("여행")
    ids = [make_post(category="여행", status=status) for status in ("visible", "hidden", "deleted")]
    other = make_post(category="맛집")
    times = {post_id: row(post_id).updated_at for post_id in ids}

    ask("PATCH", category_id, {"name": "나들이"})

    assert [row(post_id).category for post_id in [*ids, other]] == ["나들이"] * 3 + ["맛집"]
    assert {post_id: row(post_id).updated_at for post_id in ids} == times
    assert client.get(f"{POSTS}?category=나들이").json["meta"]["total"] == 1
    assert wrong() == []


def test_the_letter_case_of_a_name_can_change(client, ask, make_category, make_post, row):
    category_id, post_id = make_category("travel"), make_post(category="travel")

    response = ask("PATCH", category_id, {"name": "Travel"})

    assert response.status_code == 200
    assert row(post_id).category == "Travel"
    assert listed(client) == {"Travel": 1}


@pytest.mark.parametrize("name", ["Travel", "TRAVEL"])
def test_the_name_of_another_is_409(client, ask, make_category, logged, rows, name):
    make_category("Travel")
    category_id = make_category("여행")

    response = ask("PATCH", category_id, {"name": name, "position": 3})

    assert fault(response) == (409, "category_exists")
    assert listed(client) == {"Travel": 0, "여행": 0}
    assert logged() == []
    assert rows(select(Task.id)) == []


def test_an_old_name_is_free_again(client, ask, make_category, write):
    ask("PATCH", make_category("여행"), {"name": "나들이"})

    assert write("POST", POSTS, **new_post("여행")).status_code == 201

    assert listed(client) == {"나들이": 0, "여행": 1}


@pytest.mark.parametrize("change", [{"name": "나들이"}, {"is_open": False}, {"position": 1}])
def test_a_change_gives_the_list_another_version(client, ask, make_category, change):
    category_id = make_category("여행")
    tag = client.get(CATEGORIES).headers["ETag"]

    ask("PATCH", category_id, change)

    assert client.get(CATEGORIES, headers={"If-None-Match": tag}).status_code == 200


# Versions of posts


@pytest.mark.parametrize("url", [POSTS, f"{POSTS}?view=summary", f"{POSTS}/{{id}}"])
@pytest.mark.parametrize("change", ["rename", "merge"])
def test_a_post_in_a_cache_gets_its_new_category(client, ask, merge, make_category, make_post, url, change):
    category_id, url = make_category("여행"), url.replace("{id}", make_post(category="여행"))
    tag = client.get(url).headers["ETag"]
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 304

    if change == "rename":
        ask("PATCH", category_id, {"name": "나들이"})
    else:
        merge(category_id, make_category("나들이"))

    response = client.get(url, headers={"If-None-Match": tag})
    assert response.status_code == 200
    post = response.json["data"]
    assert (post[0] if isinstance(post, list) else post)["category"] == "나들이"


def test_an_edit_of_what_was_read_before_a_merge_is_412(client, merge, make_category, make_post, as_user):
    source, post_id = make_category("여행"), make_post(category="여행")
    read = client.get(f"{POSTS}/{post_id}")
    merge(source, make_category("나들이"))

    headers = as_user("ana") | {"If-Match": read.headers["ETag"]}
    response = client.patch(f"{POSTS}/{post_id}", json={"title": "새 제목"}, headers=headers)

    assert fault(response) == (412, "precondition_failed")


# Closing


def test_a_closed_category_takes_no_new_post_and_says_so(client, ask, make_category, write):
    ask("PATCH", make_category("여행"), {"is_open": False})

    responses = [write("POST", POSTS, who, **new_post("여행")) for who in ("ana", "root")]

    assert [fault(response) for response in responses] == [(403, "forbidden")] * 2
    text = "새 글을 받지 않는 카테고리입니다. 다른 카테고리를 골라 주세요."
    assert responses[0].json["message"] == f"카테고리: {text}"
    assert responses[0].json["error"]["details"] == [{"field": "category", "message": text}]
    assert listed(client) == {"여행": 0}


def test_a_refused_post_with_a_key_may_be_sent_again_when_the_category_is_open(ask, make_category, as_user, client):
    category_id, headers = make_category("여행"), as_user("ana") | {"Idempotency-Key": "k"}
    ask("PATCH", category_id, {"is_open": False})
    refused = client.post(POSTS, json=new_post("여행"), headers=headers)
    ask("PATCH", category_id, {"is_open": True})

    created = client.post(POSTS, json=new_post("여행"), headers=headers)

    assert (refused.status_code, created.status_code) == (403, 201)


def test_posts_in_a_closed_category_can_be_edited(ask, make_category, make_post, write):
    category_id, post_id = make_category("여행"), make_post(category="여행")
    ask("PATCH", category_id, {"is_open": False})

    changes = [{"title": "새 제목"}, {"status": "hidden"}, {"status": "visible"}, {"category": "여행"}]
    statuses = [write("PATCH", f"{POSTS}/{post_id}", **change).status_code for change in changes]
    statuses.append(write("PUT", f"{POSTS}/{post_id}", **new_post("여행")).status_code)

    assert statuses == [200] * 5


@pytest.mark.parametrize(("who", "status"), [("ana", 403), ("root", 200)])
def test_admins_alone_move_a_post_into_a_closed_category(ask, make_category, make_post, write, row, who, status):
    post_id = make_post(category="맛집")
    ask("PATCH", make_category("여행"), {"is_open": False})

    response = write("PATCH", f"{POSTS}/{post_id}", who, category="여행")

    assert response.status_code == status
    assert row(post_id).category == ("여행" if who == "root" else "맛집")


# Merging


def test_a_merge_moves_posts_of_every_status_and_deletes_the_category(
    client, merge, make_category, make_post, rows, row, wrong, logged
):
    source, into = make_category("맛집"), make_category("여행")
    ids = [make_post(category="맛집", status=status) for status in ("visible", "hidden", "deleted")]
    before = {post_id: row(post_id).updated_at for post_id in ids}

    response = merge(source, into, reason="같은 주제")

    assert response.status_code == 200
    task = response.json["data"]
    assert (task["kind"], task["state"], task["total"], task["done"]) == ("merge", "done", 3, 3)
    assert set(rows(select(Post.category, Post.category_id))) == {("여행", into)}
    assert listed(client) == {"여행": 1}
    assert {post_id: row(post_id).updated_at for post_id in ids} == before
    assert rows(select(Category.id)) == [(into,)]
    assert rows(select(PostCount.shard).where(PostCount.subject == source)) == []
    assert logged() == [("merge_category", source, "같은 주제", {"name": "맛집"}, {"into": into})]
    assert wrong() == []


def test_the_same_request_again_shows_the_merge_that_has_ended(client, merge, make_category, make_post, logged):
    source, into, other = (make_category(name) for name in ("맛집", "여행", "일상"))
    make_post(category="맛집")
    first = merge(source, into)

    again, elsewhere = merge(source, into), merge(source, other)

    assert (again.status_code, again.json) == (200, first.json)
    assert fault(elsewhere) == (404, "category_not_found")
    assert len(logged()) == 1


@pytest.mark.parametrize("body", [{}, {"into": None}, {"into": "여행"}, {"into": "A" * 32}, {"into": 7}])
def test_a_merge_into_nothing_is_400(ask, make_category, body):
    assert wrong_fields(ask("POST", make_category("맛집"), body, "/merge")) == {"into"}


def test_a_merge_into_itself_is_400_and_into_an_unknown_one_404(merge, make_category, logged):
    source = make_category("맛집")

    assert wrong_fields(merge(source, source)) == {"into"}
    assert fault(merge(source, UNKNOWN_ID)) == (404, "category_not_found")

    assert logged() == []


def test_a_long_merge_is_202_and_the_same_request_shows_its_progress(
    monkeypatch, client, merge, make_category, make_post, in_the_background
):
    monkeypatch.setattr(tasks, "FIRST_BATCH", 2)
    monkeypatch.setattr(tasks, "BATCH_MAX", 2)
    source, into = make_category("맛집"), make_category("여행")
    for _ in range(5):
        make_post(category="맛집")

    begun = merge(source, into)
    in_the_background(iter([False, False, True]).__next__)
    partly, counts = merge(source, into), listed(client)
    in_the_background()
    done = merge(source, into)

    tasks_shown = [response.json["data"] for response in (begun, partly, done)]
    assert [response.status_code for response in (begun, partly, done)] == [202, 202, 200]
    assert [(task["state"], task["done"], task["total"]) for task in tasks_shown] == [
        ("running", 0, 5), ("running", 2, 5), ("done", 5, 5),
    ]  # fmt: skip
    assert len({task["id"] for task in tasks_shown}) == 1
    assert begun.json["message"] != done.json["message"]
    assert counts == {"맛집": 3, "여행": 2}
    assert listed(client) == {"여행": 5}


def test_posts_that_name_a_category_while_it_is_merged_go_to_the_other(
    client, merge, make_category, make_post, write, row, wrong, in_the_background
):
    source, into = make_category("맛집"), make_category("여행")
    stays, moved, elsewhere = make_post(category="맛집"), make_post(category="맛집"), make_post(category="일상")
    merge(source, into)

    created = write("POST", POSTS, **new_post("맛집")).json["data"]
    write("PATCH", f"{POSTS}/{stays}", title="새 제목")
    write("PUT", f"{POSTS}/{moved}", **new_post("맛집"))
    write("PATCH", f"{POSTS}/{elsewhere}", category="맛집")

    assert (created["category"], created["category_id"]) == ("여행", into)
    assert [row(post_id).category_id for post_id in (stays, moved, elsewhere)] == [source, into, into]
    assert listed(client) == {"맛집": 1, "여행": 3, "일상": 0}
    in_the_background()
    assert listed(client) == {"여행": 4, "일상": 0}
    assert row(stays).category == "여행"
    assert wrong() == []


def test_a_merge_into_a_closed_category_leaves_its_posts_editable_and_takes_no_new_ones(
    ask, merge, make_category, make_post, write, in_the_background
):
    source, into = make_category("맛집"), make_category("여행")
    post_id = make_post(category="맛집")
    ask("PATCH", into, {"is_open": False})
    merge(source, into)

    edited, created = write("PUT", f"{POSTS}/{post_id}", **new_post("맛집")), write("POST", POSTS, **new_post("맛집"))

    assert (edited.status_code, edited.json["data"]["category"]) == (200, "여행")
    assert fault(created) == (403, "forbidden")


def test_a_category_that_is_part_of_a_merge_is_left_alone(ask, merge, make_category, make_post, in_the_background):
    source, into, other = (make_category(name) for name in ("맛집", "여행", "일상"))
    make_post(category="맛집")
    merge(source, into)

    refused = [
        merge(source, other),
        merge(into, other),
        merge(other, source),
        ask("PATCH", source, {"position": 1}),
        ask("DELETE", source),
        ask("DELETE", into),
    ]

    assert [fault(response) for response in refused] == [(409, "category_merging")] * 6
    assert merge(other, into).status_code == 202  # a second one into the same
    assert ask("PATCH", into, {"position": 1}).status_code == 200


def test_posts_merged_after_the_target_got_a_new_name_have_that_name(
    client, ask, merge, make_category, make_post, rows, wrong, in_the_background
):
    source, into = make_category("맛집"), make_category("여행")
    make_post(category="맛집"), make_post(category="여행")
    merge(source, into)
    ask("PATCH", into, {"name": "나들이"})

    in_the_background()

    assert rows(select(Post.category, Post.category_id)) == [("나들이", into)] * 2
    assert listed(client) == {"나들이": 2}
    assert wrong() == []


def test_a_second_new_name_during_the_first_is_what_posts_show(ask, make_category, make_post, rows, in_the_background):
    category_id = make_category("여행")
    make_post(category="여행")
    ask("PATCH", category_id, {"name": "나들이"})
    ask("PATCH", category_id, {"name": "소풍"})

    in_the_background()

    assert rows(select(Post.category)) == [("소풍",)]
    assert rows(select(Task.done)) == [(1,)]  # one task for both


# Deleting


@pytest.mark.parametrize("status", ["visible", "hidden", "deleted"])
def test_a_category_with_posts_is_409(client, ask, make_category, make_post, logged, status):
    category_id = make_category("여행")
    make_post(category="여행", status=status)

    response = ask("DELETE", category_id)

    assert fault(response) == (409, "category_in_use")
    assert [*listed(client)] == ["여행"]
    assert logged() == []


def test_an_empty_category_is_deleted_once(client, ask, make_category, make_post, write, logged, rows):
    category_id, post_id = make_category("여행"), make_post(category="여행")
    write("PATCH", f"{POSTS}/{post_id}", category="맛집")

    first, again = ask("DELETE", category_id, {"reason": "빈 카테고리"}), ask("DELETE", category_id)

    assert (first.status_code, first.json["data"]) == (200, {"id": category_id, "status": "deleted"})
    assert fault(again) == (404, "category_not_found")
    assert listed(client) == {"맛집": 1}
    assert rows(select(PostCount.shard).where(PostCount.subject == category_id)) == []
    before = {"name": "여행", "is_open": True, "position": 0}
    assert logged() == [("delete_category", category_id, "빈 카테고리", before, None)]


# Batches and claims


@pytest.fixture
def steps(monkeypatch):
    """Note the posts of each batch of merges, and call a function after each."""
    noted, after, batch = [], {}, tasks._BATCHES["merge"]

    def step(connection, task, place, limit):
        done = batch(connection, task, place, limit)
        noted.append(done.done)
        return done

    monkeypatch.setitem(tasks._BATCHES, "merge", step)
    run = tasks._run_batch

    def run_and_call(claim, place, limit):
        found = run(claim, place, limit)
        after.pop(len(noted), lambda: None)()
        return found

    monkeypatch.setattr(tasks, "_run_batch", run_and_call)
    return noted, after


def test_a_batch_locks_no_more_posts_than_its_limit(monkeypatch, merge, make_category, make_post, steps, wrong):
    monkeypatch.setattr(tasks, "FIRST_BATCH", 3)
    monkeypatch.setattr(tasks, "BATCH_MAX", 5)
    source, into = make_category("맛집"), make_category("여행")
    for status in ("visible", "hidden") * 6:
        make_post(category="맛집", status=status)

    merge(source, into)

    noted, _ = steps
    assert max(noted) <= 5
    assert sum(noted) == 12
    assert wrong() == []


def test_a_slow_batch_is_followed_by_smaller_ones(monkeypatch, merge, make_category, make_post, steps):
    monkeypatch.setattr(tasks, "FIRST_BATCH", 4)
    monkeypatch.setattr(tasks, "BATCH_SECONDS", 0)
    source, into = make_category("맛집"), make_category("여행")
    for _ in range(7):
        make_post(category="맛집")

    merge(source, into)

    noted, _ = steps
    assert [done for done in noted if done] == [4, 1, 1, 1]


def test_a_post_whose_status_changes_behind_the_batches_is_moved_too(
    monkeypatch, merge, make_category, make_post, write, steps, rows, wrong
):
    monkeypatch.setattr(tasks, "FIRST_BATCH", 1)
    monkeypatch.setattr(tasks, "BATCH_MAX", 1)
    source, into = make_category("맛집"), make_category("여행")
    hidden = [make_post(category="맛집", status="hidden") for _ in range(2)]
    make_post(category="맛집")
    noted, after = steps
    # The first batch moves the visible post, the second one of the hidden ones; the other is then made visible.
    after[2] = lambda: write("PATCH", f"{POSTS}/{hidden[1]}", status="visible")

    response = merge(source, into)

    assert noted == [1, 1, 0, 1, 0]
    assert response.json["data"]["done"] == 3
    assert set(rows(select(Post.category_id))) == {(into,)}
    assert wrong() == []


def test_a_task_of_a_process_that_has_ended_is_another_ones_when_its_claim_has_run_out(
    app, merge, make_category, make_post, stored, in_the_background
):
    source, into = make_category("맛집"), make_category("여행")
    make_post(category="맛집")
    task_id = merge(source, into).json["data"]["id"]
    with app.app_context():
        claim = tasks._claim(task_id)  # and the process ends

    in_the_background()
    while_claimed = stored(select(Task.done))
    with app.app_context():
        assert tasks._claim(task_id) is None
        with transaction() as connection:
            past = claim.until - 2 * tasks.LEASE
            connection.execute(update(Task).values(claimed_until=past))
    in_the_background()

    assert (while_claimed, stored(select(Task.done))) == (0, 1)
    assert stored(select(Task.claimed_until)) is None


def test_a_process_whose_claim_another_has_taken_changes_nothing(
    app, merge, make_category, make_post, row, in_the_background
):
    source, into = make_category("맛집"), make_category("여행")
    post_id = make_post(category="맛집")
    task_id = merge(source, into).json["data"]["id"]
    with app.app_context():
        claim = tasks._claim(task_id)

        other = claim._replace(until=claim.until - timedelta(milliseconds=1))

        assert tasks._run_batch(other, None, 100) is None
        assert row(post_id).category_id == source
        assert tasks._run_batch(claim, None, 100) is not None
    assert row(post_id).category_id == into


def test_a_stopped_thread_leaves_its_task_to_others_at_once(
    app, merge, make_category, make_post, stored, in_the_background
):
    source, into = make_category("맛집"), make_category("여행")
    make_post(category="맛집")
    merge(source, into)

    in_the_background(iter([False, True]).__next__)

    assert stored(select(Task.claimed_until)) is None
    assert stored(select(Task.ended_at)) is None
    in_the_background()
    assert stored(select(Task.done)) == 1


def test_tasks_of_another_release_are_left_to_it(app, rows):
    with app.app_context(), transaction() as connection:
        tasks.start_task(connection, kind="of-another-release", subject="a", actor="root")

    with app.app_context():
        services.work_at_tasks(lambda: False)

    assert rows(select(Task.claimed_until, Task.ended_at)) == [(None, None)]


def test_a_failed_batch_is_an_error_whose_transaction_leaves_nothing(
    app, monkeypatch, merge, make_category, make_post, row, wrong, in_the_background
):
    source, into = make_category("맛집"), make_category("여행")
    post_id = make_post(category="맛집")
    merge(source, into)

    def fail(*_arguments):
        batch(*_arguments)
        raise ValueError("a fault of ours")

    batch = tasks._BATCHES["merge"]
    with monkeypatch.context() as patched:
        patched.setitem(tasks._BATCHES, "merge", fail)
        with pytest.raises(ValueError, match="a fault of ours"):
            in_the_background()

    assert row(post_id).category_id == source
    assert wrong() == []


# Cost


@on_mysql
def test_a_batch_finds_its_posts_by_the_index(app, make_category, make_post):
    source, into = make_category("맛집"), make_category("여행")
    for _ in range(30):
        make_post(category="맛집")

    place = {"source": source, "target": into, "name": "여행", "status": "visible", "after": 3, "limit": 10}
    query = category_moves._NEXT.params(place)

    with app.app_context():
        compiled = query.compile(db.engine)
        (step,) = explained(db.engine, str(compiled), compiled.params)

    assert (step.type, step.key) == ("range", "ix_posts_category_status_no")
    assert sorts_or_copies([step]) == []


def test_creating_a_post_reads_its_category_once(write, make_category, count_queries):
    make_category("여행")

    with count_queries() as statements:
        assert write("POST", POSTS, **new_post("여행")).status_code == 201

    read = [statement for statement in statements if "FROM categories" in statement]
    assert len(read) == 1
