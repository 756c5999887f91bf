"""``Idempotency-Key``: a request that is sent again, or many times at once, creates one post."""

import json
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
import requests
from sqlalchemy import create_engine, event, func, insert, select, text, update
from sqlalchemy.pool import NullPool

from post import services
from post.models import Category, IdempotencyKey, Post, db
from post.services.idempotency import LAZY_BATCH
from post.utils import Caller
from tests.answers import fault, wrong_fields
from tests.conftest import at_once
from tests.servers import HANG_SECONDS, PATIENT_WITH_MYSQL, UNLIMITED, running_service

API = "/api/v1"
POSTS = f"{API}/posts"
NEW = {"title": "제목", "content": "내용", "category": "여행"}
CONFLICT = (409, "idempotency_conflict")
KEPT_FOR = timedelta(hours=24)
MINUTE = timedelta(minutes=1)
on_mysql = pytest.mark.parametrize("database", ["mysql"], indirect=True, scope="session")


def with_key(headers: dict[str, str], key: str = "k") -> dict[str, str]:
    return headers | {"Idempotency-Key": key}


def is_replayed(response) -> bool:
    return response.headers.get("Idempotency-Replayed") == "true"


def outcomes(answers: Iterable) -> Counter:
    """How copies of one request came out; those that got the post got the same bytes."""
    seen = Counter()
    bodies = set()
    for answer in answers:
        if answer.status_code == 201:
            bodies.add(answer.data)
            seen["replayed" if is_replayed(answer) else "created"] += 1
        else:
            seen[fault(answer)] += 1
    assert len(bodies) == 1
    return seen


@pytest.fixture
def create(client, as_user):
    """Create a post with a key; returns the answer."""

    def send(who="ana", key="k", *, body=NEW, **headers):
        return client.post(POSTS, json=body, headers=with_key(as_user(who), key) | headers)

    return send


@pytest.fixture
def copies(app, as_user):
    """Calls that send a request with a key, each by a client of its own."""

    def make(number, who="ana", key="k", body=NEW):
        headers = with_key(as_user(who), key)
        return [lambda: app.test_client().post(POSTS, json=body, headers=headers)] * number

    return make


@pytest.fixture
def stored(app):
    """How many rows tables have."""

    def count(*tables):
        with app.app_context():
            return tuple(db.session.scalar(select(func.count()).select_from(table)) for table in tables)

    return count


@pytest.fixture
def grow_old(app):
    """Make the kept answers older."""

    def age(by):
        with app.app_context():
            created_at = datetime.now(UTC).replace(tzinfo=None) - by
            db.session.execute(update(IdempotencyKey).values(created_at=created_at))
            db.session.commit()

    return age


@pytest.fixture
def keep_answers(app, user_id):
    """Store answers of an age, as if requests had got them; returns their keys."""

    def keep(number, *, age, who="ana", name="old"):
        created_at = datetime.now(UTC).replace(tzinfo=None) - age
        row = {"user_id": user_id(who), "request_hash": "0" * 64, "post_id": "0" * 32, "answer": b"{}"}
        keys = [f"{name}-{n}" for n in range(number)]
        with app.app_context():
            # Each a bit younger than the one before, so that their order is certain.
            moments = [created_at + timedelta(milliseconds=n) for n in range(number)]
            rows = [row | {"key": key, "created_at": moment} for key, moment in zip(keys, moments, strict=True)]
            db.session.execute(insert(IdempotencyKey), rows)
            db.session.commit()
        return keys

    return keep


@pytest.fixture
def prune(app):
    """Run ``flask idempotency prune``; returns click's result."""
    return lambda: app.test_cli_runner().invoke(args=["idempotency", "prune"])


# The first answer again


def test_a_repeat_gets_the_first_answer_and_creates_nothing(create, stored):
    first = create()

    again = [create(), create()]

    assert (first.status_code, is_replayed(first)) == (201, False)
    assert [(answer.status_code, is_replayed(answer)) for answer in again] == [(201, True)] * 2
    assert [answer.data for answer in again] == [first.data] * 2
    assert [answer.headers["Location"] for answer in again] == [first.headers["Location"]] * 2
    assert [answer.content_type for answer in again] == ["application/json"] * 2
    assert stored(Post, IdempotencyKey) == (1, 1)


def test_the_first_answer_is_that_of_any_creation(create, client):
    response = create()

    data = response.json["data"]
    assert response.headers["Location"] == f"{POSTS}/{data['id']}"
    assert "Idempotency-Replayed" not in response.headers
    assert (data["title"], data["content"], data["category"], data["username"]) == ("제목", "내용", "여행", "ana")
    assert client.get(response.headers["Location"]).json["data"]["title"] == "제목"


def test_without_a_key_each_request_creates_a_post(client, as_user, stored):
    answers = [client.post(POSTS, json=NEW, headers=as_user("ana")) for _ in range(2)]

    assert [is_replayed(answer) for answer in answers] == [False, False]
    assert stored(Post, IdempotencyKey) == (2, 0)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('"\n' * 32_767 + '"', id="quotes-and-newlines"),
        pytest.param("\\\t\r\n'%_`;--" * 5_957, id="what-SQL-escapes"),
        pytest.param("가" * 21_845, id="Korean"),
        pytest.param("😀" * 16_383, id="emoji"),
    ],
)
def test_the_longest_contents_are_given_again_byte_for_byte(create, content):
    body = NEW | {"content": content}
    first = create(body=body)

    again = create(body=body)

    assert len(first.data) > 65_535
    assert (again.status_code, is_replayed(again)) == (201, True)
    assert again.data == first.data
    assert json.loads(again.data)["data"]["content"] == content


@pytest.mark.parametrize("languages", [("ko", "en"), ("en", "ko")], ids=["Korean-first", "English-first"])
def test_the_message_is_in_the_first_request_s_language(create, languages):
    first, again = (create(**{"Accept-Language": language}) for language in languages)

    assert first.json["message"] == {"ko": "게시글을 작성했습니다.", "en": "The post was created."}[languages[0]]
    assert again.data == first.data


@pytest.mark.parametrize(
    ("method", "body"),
    [
        pytest.param("PATCH", {"title": "새 제목"}, id="edited"),
        pytest.param("PATCH", {"status": "hidden"}, id="hidden"),
        pytest.param("DELETE", None, id="deleted"),
    ],
)
def test_what_became_of_the_post_since_changes_nothing(client, create, as_user, stored, method, body):
    first = create()
    changed = client.open(first.headers["Location"], method=method, json=body, headers=as_user("ana"))

    again = create()

    assert changed.status_code == 200
    assert (again.status_code, is_replayed(again)) == (201, True)
    assert again.data == first.data
    assert stored(Post) == (1,)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        pytest.param(
            '{"title":"제목","content":"내용"}', '{ "content": "내용",\n "title": "제목" }', id="order-and-space"
        ),
        pytest.param('{"title":"제목","content":"내용"}', r'{"title":"\uc81c\ubaa9","content":"내용"}', id="escapes"),
        pytest.param('{"title":"a","content":"b"}', '{"title":"a","content":"b","tags":[1]}', id="unknown-field"),
        pytest.param('{"title":"a","content":"b"}', '{"title":"a","content":"b","category":"일반"}', id="default"),
        pytest.param('{"title":"a","content":"b"}', '{"title":"  a\\n","content":"b"}', id="trimmed"),
        pytest.param(
            '{"title":"각","content":"b"}',
            f'{{"title":"{unicodedata.normalize("NFD", "각")}","content":"b"}}',
            id="NFC",
        ),
    ],
)
def test_another_spelling_of_the_same_json_is_the_same_request(client, as_user, first, again):
    sent = [
        client.post(POSTS, data=data.encode(), content_type=content_type, headers=with_key(as_user("ana")))
        for data, content_type in ((first, "application/json"), (again, "application/json; charset=utf-8"))
    ]

    assert [is_replayed(answer) for answer in sent] == [False, True]
    assert sent[0].data == sent[1].data


def test_the_same_user_with_another_token_is_the_same_user(client, as_user):
    tokens = ("access_token", "id_token")

    sent = [client.post(POSTS, json=NEW, headers=with_key(as_user("ana", token=token))) for token in tokens]

    assert [is_replayed(answer) for answer in sent] == [False, True]


# What is another request


@pytest.mark.parametrize("field", ["title", "content", "category"])
def test_another_body_under_the_same_key_is_a_conflict(create, stored, field):
    first = create()

    other = create(body=NEW | {field: "다른 것"})
    again = create()

    assert fault(other) == CONFLICT
    assert (is_replayed(again), again.data) == (True, first.data)
    assert stored(Post, Category, IdempotencyKey) == (1, 1, 1)


def test_fields_do_not_run_into_one_another(create):
    create(body={"title": "ab", "content": "c"})

    response = create(body={"title": "a", "content": "bc"})

    assert fault(response) == CONFLICT


@pytest.mark.parametrize("key", ["K", "k2", "k k", "kk", "k."])
def test_another_key_is_another_request(create, stored, key):
    create(key="k")

    response = create(key=key)

    assert (response.status_code, is_replayed(response)) == (201, False)
    assert stored(Post) == (2,)


def test_each_user_has_keys_of_their_own(create, stored):
    first = {who: create(who) for who in ("ana", "bo", "root")}

    again = {who: create(who) for who in first}

    assert [is_replayed(answer) for answer in first.values()] == [False] * 3
    assert {who: (is_replayed(again[who]), again[who].data) for who in again} == {
        who: (True, first[who].data) for who in first
    }
    assert stored(Post) == (3,)


@pytest.mark.parametrize(
    "key",
    [
        "a",
        "a" * 64,
        "0d3f8ad0-f27c-4a5c-9be8-f6a3cb0b8a52",
        "two words",
        "".join(map(chr, range(33, 80))),
        "".join(map(chr, range(80, 127))),
    ],
    ids=repr,
)
def test_a_key_is_1_to_64_printable_characters(create, key):
    first, again = create(key=key), create(key=key)

    assert (first.status_code, again.status_code, is_replayed(again)) == (201, 201, True)


@pytest.mark.parametrize(
    "key",
    ["", " ", "a" * 65, "a" * 5000, "é", "키".encode().decode("latin-1"), "a\tb", "a\x7f", "a\x01b", "\xa0"],
    ids=repr,
)
def test_what_is_no_key_is_refused_by_its_name(create, stored, key):
    response = create(key=key)

    assert wrong_fields(response) == {"Idempotency-Key"}
    assert stored(Post, IdempotencyKey) == (0, 0)


def test_the_token_is_checked_before_the_key(client):
    response = client.post(POSTS, json=NEW, headers={"Idempotency-Key": ""})

    assert fault(response) == (401, "token_missing")


@pytest.mark.parametrize("key", ["k", "", "a" * 65], ids=["good", "empty", "long"])
def test_other_routes_ignore_the_key(client, as_user, make_post, stored, key):
    url = f"{POSTS}/{make_post(author='ana')}"
    headers = with_key(as_user("ana"), key)

    named = [client.post(f"{API}/categories", json={"name": name}, headers=headers) for name in ("가", "나")]
    liked = [client.post(f"{url}/like", headers=headers).json["data"]["action"] for _ in range(2)]
    edited = [client.patch(url, json={"title": title}, headers=headers) for title in ("하나", "둘")]
    listed = client.get(POSTS, headers=headers)

    assert [answer.status_code for answer in (*named, *edited, listed)] == [201, 201, 200, 200, 200]
    assert liked == ["added", "removed"]
    assert edited[1].json["data"]["title"] == "둘"
    assert stored(IdempotencyKey) == (0,)


# What failed leaves nothing behind


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param({"json": {"title": "제목"}}, (400, "validation_error"), id="a-field-missing"),
        pytest.param({"data": b"{", "content_type": "application/json"}, (400, "invalid_json"), id="broken"),
        pytest.param({"data": b"{}", "content_type": "text/plain"}, (415, "unsupported_media_type"), id="plain-text"),
    ],
)
def test_the_key_of_a_refused_request_can_be_used_again(client, create, as_user, stored, *, sent, expected):
    refused = client.post(POSTS, headers=with_key(as_user("ana")), **sent)
    after_refusal = stored(IdempotencyKey)

    response = create()

    assert fault(refused) == expected
    assert after_refusal == (0,)
    assert (response.status_code, is_replayed(response)) == (201, False)


def test_a_crash_before_the_commit_leaves_neither_key_nor_post(app, create, user_id, stored):
    def crash(_post):
        raise RuntimeError("the process ends here")

    with app.app_context(), pytest.raises(RuntimeError, match="ends here"):
        services.create_post_once(key="k", author=Caller(user_id("ana"), "ana"), render=crash, **NEW)

    assert stored(Post, Category, IdempotencyKey) == (0, 0, 0)
    assert (create().status_code, is_replayed(create())) == (201, True)


# For 24 hours


def test_an_answer_is_kept_for_24_hours(create, grow_old, stored):
    first = create()
    grow_old(KEPT_FOR - MINUTE)

    again = create()

    assert (is_replayed(again), again.data) == (True, first.data)
    assert stored(Post) == (1,)


@pytest.mark.parametrize("body", [NEW, NEW | {"title": "다른 제목"}], ids=["same-body", "another-body"])
def test_after_24_hours_the_key_is_a_new_one(create, grow_old, stored, body):
    first = create()
    grow_old(KEPT_FOR + MINUTE)

    second = create(body=body)
    again = create(body=body)

    assert (second.status_code, is_replayed(second)) == (201, False)
    assert second.json["data"]["id"] != first.json["data"]["id"]
    assert (is_replayed(again), again.data) == (True, second.data)
    assert stored(Post, IdempotencyKey) == (2, 1)


def test_an_expired_key_is_a_new_one_also_behind_many_older_ones(create, keep_answers, stored):
    keep_answers(60, age=KEPT_FOR * 2)
    [key] = keep_answers(1, age=KEPT_FOR + MINUTE, name="reused")

    first = create(key=key)
    again = create(key=key)

    assert (first.status_code, is_replayed(first)) == (201, False)
    assert (is_replayed(again), again.data) == (True, first.data)
    assert stored(Post) == (1,)


@pytest.mark.parametrize("who", ["ana", "bo"], ids=["own", "another-user-s"])
def test_a_creation_removes_expired_answers(create, keep_answers, stored, who):
    keep_answers(5, age=KEPT_FOR + MINUTE, who=who)
    keep_answers(2, age=KEPT_FOR - MINUTE, who=who, name="young")

    create("ana")

    assert stored(IdempotencyKey) == (3,)


def test_pruning_removes_every_expired_answer_and_reports(keep_answers, prune, stored):
    keep_answers(450, age=KEPT_FOR + MINUTE)
    keep_answers(20, age=KEPT_FOR + MINUTE, who="bo")
    keep_answers(3, age=KEPT_FOR - MINUTE, name="young")

    first, second = prune(), prune()

    assert (first.exit_code, first.output) == (0, "Removed 470 answers.\n")
    assert (second.exit_code, second.output) == (0, "Removed 0 answers.\n")
    assert stored(IdempotencyKey) == (3,)


def test_pruning_leaves_the_posts_and_what_can_be_given_again(create, prune, stored):
    first = create()

    prune()
    again = create()

    assert (is_replayed(again), again.data) == (True, first.data)
    assert stored(Post) == (1,)


# Many at once


def test_50_copies_at_once_create_one_post(copies, stored):
    seen = outcomes(at_once(copies(50)))

    assert seen.pop("created") == 1
    assert seen.keys() <= {"replayed", CONFLICT}
    assert seen.total() == 49
    assert stored(Post, IdempotencyKey) == (1, 1)


def test_a_new_category_and_a_key_at_once_are_made_once(copies, stored):
    bodies = [NEW | {"category": "Travel"}, NEW | {"category": "Food"}] * 10
    calls = [call for n, body in enumerate(bodies) for call in copies(2, key=f"k{n}", body=body)]

    answers = at_once(calls, threads=20)

    assert {answer.status_code for answer in answers} == {201}
    assert Counter(is_replayed(answer) for answer in answers) == {True: 20, False: 20}
    assert stored(Post, Category) == (20, 2)


def test_two_bodies_under_one_key_at_once_create_one_post(copies, stored):
    calls = copies(10) + copies(10, body=NEW | {"title": "다른 제목"})

    seen = outcomes(at_once(calls))

    assert seen.pop("created") == 1
    assert seen.keys() <= {"replayed", CONFLICT}
    assert seen[CONFLICT] >= 10
    assert stored(Post) == (1,)


def test_20_users_with_one_key_at_once_create_20_posts(copies, stored):
    answers = at_once([call for n in range(20) for call in copies(1, f"user{n}")])

    assert {(answer.status_code, is_replayed(answer)) for answer in answers} == {(201, False)}
    assert stored(Post, IdempotencyKey) == (20, 20)


@pytest.mark.parametrize("older", [0, 60], ids=["alone", "behind-many-older-ones"])
def test_20_copies_at_once_under_an_expired_key_create_one_post(copies, keep_answers, stored, older):
    if older:
        keep_answers(older, age=KEPT_FOR * 2, name="older")
    [key] = keep_answers(1, age=KEPT_FOR + MINUTE)

    seen = outcomes(at_once(copies(20, key=key)))

    assert seen.pop("created") == 1
    assert seen.keys() <= {"replayed", CONFLICT}
    assert stored(Post) == (1,)


def test_creations_at_once_remove_expired_answers_and_none_fails(copies, keep_answers, create, stored):
    keep_answers(100, age=KEPT_FOR + MINUTE)
    keep_answers(100, age=KEPT_FOR + MINUTE, who="bo")

    answers = at_once([call for n in range(60) for call in copies(1, key=f"new-{n}")], threads=20)
    for n in range(10):  # what the others had under way was left to them
        create(key=f"later-{n}")

    assert Counter(answer.status_code for answer in answers) == {201: 60}
    assert stored(Post, IdempotencyKey) == (70, 70)


def test_expired_keys_that_are_all_used_again_at_once_each_create_a_post(copies, keep_answers, stored):
    """Each creation removes some expired rows and then wants one that another may be removing."""
    keys = keep_answers(60, age=KEPT_FOR + MINUTE)

    answers = at_once([call for key in reversed(keys) for call in copies(1, key=key)], threads=30)

    assert Counter((answer.status_code, is_replayed(answer)) for answer in answers) == {(201, False): 60}
    assert stored(Post, IdempotencyKey) == (60, 60)


@on_mysql
def test_two_creations_that_each_want_the_key_that_the_other_removes_both_come_through(
    app, copies, keep_answers, stored, caplog
):
    """MySQL ends one of them for the deadlock, and it is run again."""
    keys = keep_answers(2 * LAZY_BATCH, age=KEPT_FOR + MINUTE)
    removed, met, reserving = threading.Event(), threading.Barrier(2, timeout=HANG_SECONDS), set()

    def meet_before_the_first_reservation(_connection, _cursor, statement, *_rest):
        if statement.startswith("INSERT INTO idempotency_keys") and threading.get_ident() not in reserving:
            reserving.add(threading.get_ident())
            removed.set()
            met.wait()

    def second():
        assert removed.wait(HANG_SECONDS)
        return copies(1, key=keys[0])[0]()

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", meet_before_the_first_reservation)
    try:
        answers = at_once([*copies(1, key=keys[-1]), second])
    finally:
        event.remove(engine, "before_cursor_execute", meet_before_the_first_reservation)

    assert [(answer.status_code, is_replayed(answer)) for answer in answers] == [(201, False)] * 2
    assert stored(Post) == (2,)
    assert "write_retried" in caplog.messages


def test_pruning_does_not_disturb_creations_nor_they_it(app, copies, keep_answers, stored):
    keys = keep_answers(600, age=KEPT_FOR + MINUTE)

    def prune():
        with app.app_context():
            return services.prune_idempotency_keys()

    creations = [call for key in keys[-20:] for call in copies(1, key=key)]
    results = at_once([prune, *creations, prune])

    assert {answer.status_code for answer in results[1:-1]} == {201}
    assert stored(Post) == (20,)


def test_50_copies_at_once_on_two_workers_create_one_post(new_mysql_database, tmp_path):
    settings = {"DATABASE_URL": new_mysql_database, "WEB_CONCURRENCY": "2", **UNLIMITED, **PATIENT_WITH_MYSQL}
    with running_service(tmp_path, **settings) as service:
        answer = requests.post(f"{service.url}/dev/token", json={"username": "ana"}, timeout=HANG_SECONDS)
        issued = answer.json()["data"]
        headers = with_key({"Authorization": f"Bearer {issued['access_token']}"})

        def send():
            return requests.post(f"{service.url}{POSTS}", json=NEW, headers=headers, timeout=HANG_SECONDS)

        answers = at_once([send] * 50)
        total = requests.get(f"{service.url}{POSTS}", timeout=HANG_SECONDS).json()["meta"]["total"]

    created = [answer for answer in answers if answer.status_code == 201]
    others = [answer.json()["error"]["code"] for answer in answers if answer.status_code != 201]
    assert len({answer.content for answer in created}) == 1
    assert len({answer.headers["Location"] for answer in created}) == 1
    assert Counter(is_replayed(answer) for answer in created)[False] == 1
    assert set(others) <= {"idempotency_conflict"}
    assert total == 1


# A first request that takes long


@on_mysql
def test_while_the_first_request_takes_long_a_copy_is_a_conflict_and_can_be_retried(
    create, keep_answers, database_url, user_id
):
    """And nobody else waits for it, though there is also something to remove."""
    keep_answers(30, age=KEPT_FOR + MINUTE)
    reserve = text("INSERT INTO idempotency_keys (user_id, `key`, request_hash) VALUES (:sub, 'k', :hash)")
    with create_engine(database_url, poolclass=NullPool).connect() as other:
        other.execute(reserve, {"sub": user_id("ana"), "hash": "0" * 64})

        copy = create()
        others = [create(key="another"), create("bo")]
    retried = create()

    assert fault(copy) == CONFLICT
    assert [answer.status_code for answer in others] == [201, 201]
    assert (retried.status_code, is_replayed(retried)) == (201, False)
