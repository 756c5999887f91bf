"""Counts of comments that a thread reads from the Comment Service: a real HTTP server stands in for it."""

import json
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from post.models import db
from post.shared import comment_counter
from post.shared.comment_counter import (
    WAITING_MAX,
    CommentCounter,
    fetch_comment_total,
)
from post.shared.memory import SharedCounters
from tests.answers import UNKNOWN_ID, fault
from tests.servers import HANG_SECONDS, wait_until

POSTS = "/api/v1/posts"


class CommentService:
    """A Comment Service that can hang and fail; keeps what it was asked."""

    def __init__(self):
        self.asked, self.totals, self.fault = [], {}, None
        self.body = None  # in place of a right one
        self.ended = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append((self.path, self.headers.get("Authorization")))
                if outer.fault == "hang":
                    outer.ended.wait(HANG_SECONDS)
                    return
                total = outer.totals.get(self.path.split("/")[4], 0)
                body = outer.body or json.dumps({"success": True, "data": {"comments": [], "total": total}}).encode()
                self.send_response(outer.fault or 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def asked_posts(self):
        return Counter(path.split("/")[4] for path, _ in self.asked)

    def close(self):
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def comments():
    service = CommentService()
    yield service
    service.close()


@contextmanager
def service_with(make_app, url, base_url):
    service = make_app(DATABASE_URL=url, COMMENT_SERVICE_URL=base_url)
    try:
        yield service
    finally:
        with service.app_context():
            db.engine.dispose()


@pytest.fixture
def asking(app, make_app, database_url, comments):
    """A client of a service that asks the stand-in."""
    with service_with(make_app, database_url, comments.url) as service:
        yield service.test_client()


def hint(post_id):
    return f"{POSTS}/{post_id}/update-comment-count"


def wait_for(condition):
    wait_until(condition, what="the counts do not come")


@pytest.mark.parametrize("path", ["/{id}", "", "?view=summary"], ids=["detail", "list", "summaries"])
def test_a_read_has_the_count_read_and_does_not_move_updated_at(asking, comments, make_post, row, path):
    post_id = make_post(comment_count=1)
    before = row(post_id).updated_at
    comments.totals[post_id] = 7

    first = asking.get(f"{POSTS}{path.format(id=post_id)}")
    wait_for(lambda: row(post_id).comment_count == 7)

    data = first.json["data"]
    assert (data[0] if isinstance(data, list) else data)["comment_count"] == 1
    assert asking.get(f"{POSTS}/{post_id}").json["data"]["comment_count"] == 7
    assert row(post_id).updated_at == before
    assert comments.asked == [(f"/api/v1/posts/{post_id}/comments?page=1&size=1", None)]


def test_a_post_is_asked_for_once_a_minute_however_often_it_is_read(asking, comments, make_post):
    post_ids = [make_post() for _ in range(3)]

    for _ in range(10):
        asking.get(POSTS)
        for post_id in post_ids:
            asking.get(f"{POSTS}/{post_id}")
    wait_for(lambda: len(comments.asked) >= 3)
    time.sleep(0.3)

    assert comments.asked_posts == Counter(post_ids)


def test_a_conditional_read_has_the_count_read_too(asking, comments, make_post, client):
    url = f"{POSTS}/{make_post()}"
    tag = client.head(url).headers["ETag"]

    assert asking.head(url, headers={"If-None-Match": tag}).status_code == 304

    wait_for(lambda: len(comments.asked) == 1)


def test_a_hint_is_202_without_a_token_and_believes_nothing(asking, comments, make_post, row):
    post_id = make_post(comment_count=2)
    comments.totals[post_id] = 5

    answer = asking.post(hint(post_id), data=b'{"comment_count": 999', content_type="text/plain")
    wait_for(lambda: row(post_id).comment_count == 5)

    assert answer.status_code == 202
    assert answer.json["data"] == {"id": post_id, "comment_count": 2}


@pytest.mark.parametrize("status", [None, "hidden", "deleted"])
def test_a_hint_about_a_post_that_its_sender_does_not_see_is_404(asking, comments, make_post, status):
    post_id = make_post(status=status) if status else UNKNOWN_ID

    assert fault(asking.post(hint(post_id))) == (404, "post_not_found")
    assert fault(asking.post(hint("null"))) == (400, "invalid_post_id")
    time.sleep(0.2)
    assert comments.asked == []


def test_without_a_comment_service_a_hint_is_202_and_nothing_more(client, make_post):
    assert client.post(hint(make_post())).status_code == 202


WRONG = {
    "no-json": b"<html>",
    "no-object": b"[]",
    "no-data": b"{}",
    "data-null": b'{"data": null}',
    "text": b'{"data": {"total": "7"}}',
    "bool": b'{"data": {"total": true}}',
    "negative": b'{"data": {"total": -1}}',
    "fraction": b'{"data": {"total": 1.5}}',
    "too-large": b'{"data": {"total": 2147483648}}',
    "long": b'{"data": {"total": 7, "x": "' + b"x" * 70_000 + b'"}}',
    "deep": b"[" * 60_000,
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_an_answer_without_a_number_changes_nothing(asking, comments, make_post, row, body):
    post_id = make_post(comment_count=3)
    comments.body = body

    asking.get(f"{POSTS}/{post_id}")
    wait_for(lambda: comments.asked)
    time.sleep(0.2)

    assert row(post_id).comment_count == 3


@pytest.mark.parametrize("fault_", [404, 500, 503, "hang"], ids=str)
def test_while_it_is_away_nobody_waits_and_the_last_count_stays(asking, comments, make_post, fault_, monkeypatch):
    monkeypatch.setattr(comment_counter, "TIMEOUT_SECONDS", HANG_SECONDS)
    post_ids = [make_post(comment_count=4) for _ in range(5)]
    comments.fault = fault_

    shown = [asking.get(f"{POSTS}/{post_id}").json["data"]["comment_count"] for post_id in post_ids]
    listed = asking.get(POSTS)
    hinted = [asking.post(hint(post_id)).status_code for post_id in post_ids]
    asked = len(comments.asked)

    assert (shown, listed.status_code, hinted) == ([4] * 5, 200, [202] * 5)
    assert fault_ != "hang" or asked <= 1  # the thread that asks still waits for its first answer


def test_it_is_asked_again_once_it_is_back(asking, comments, make_post, row):
    first, second = make_post(), make_post()
    comments.fault, comments.totals = 503, {second: 9}
    asking.get(f"{POSTS}/{first}")
    wait_for(lambda: comments.asked)

    comments.fault = None
    asking.get(f"{POSTS}/{second}")

    wait_for(lambda: row(second).comment_count == 9)


def test_an_address_where_nobody_listens_is_survived(app, make_app, database_url, make_post):
    post_id = make_post(comment_count=4)
    with service_with(make_app, database_url, "http://127.0.0.1:9") as service:
        client = service.test_client()
        assert [client.get(f"{POSTS}/{post_id}").json["data"]["comment_count"] for _ in range(3)] == [4] * 3


# The counter by itself, with shorter minutes

MINUTE = 2
ABOUT_A_MINUTE = 1.5  # a fetch is noted a moment after its minute has begun


@pytest.fixture
def asked():
    return []


def counter_of(asked, *, counters=None):
    def fetch(post_id):
        asked.append((post_id, time.monotonic()))
        return 1

    counters = counters or SharedCounters(clock=time.monotonic)
    return CommentCounter(counters, fetch=fetch, write=lambda *_: None, every_seconds=MINUTE)


def test_a_hint_within_the_minute_is_heeded_after_it(asked):
    counter = counter_of(asked)
    counter.refresh(["a"])
    wait_for(lambda: len(asked) == 1)

    for _ in range(5):
        counter.hint("a")
    wait_for(lambda: len(asked) == 2)
    time.sleep(1.2 * MINUTE)

    assert len(asked) == 2
    assert asked[1][1] - asked[0][1] >= ABOUT_A_MINUTE


def test_a_read_within_the_minute_asks_for_nothing_and_one_after_it_does(asked):
    counter = counter_of(asked)
    counter.refresh(["a"])
    wait_for(lambda: len(asked) == 1)
    counter.refresh(["a"])
    time.sleep(1.2 * MINUTE)
    within = len(asked)

    counter.refresh(["a"])
    wait_for(lambda: len(asked) == 2)

    assert within == 1


def test_processes_share_a_minute(asked):
    counters = SharedCounters(clock=time.monotonic)
    one, other = (counter_of(asked, counters=counters) for _ in range(2))
    one.refresh(["a"])
    wait_for(lambda: len(asked) == 1)

    other.refresh(["a"])
    other.hint("b")
    wait_for(lambda: len(asked) == 2)
    other.hint("a")
    wait_for(lambda: len(asked) == 3)

    assert [post_id for post_id, _ in asked] == ["a", "b", "a"]
    assert asked[2][1] - asked[0][1] >= ABOUT_A_MINUTE


def test_the_queue_is_bounded():
    held, asked = threading.Event(), []

    def fetch(post_id):
        asked.append(post_id)
        held.wait(HANG_SECONDS)
        return 1

    counter = CommentCounter(SharedCounters(), fetch=fetch, write=lambda *_: None)
    counter.refresh(["first"])
    wait_for(lambda: asked)
    counter.refresh(str(number) for number in range(WAITING_MAX + 500))
    held.set()
    wait_for(lambda: len(asked) > WAITING_MAX)
    time.sleep(0.2)

    assert len(asked) == WAITING_MAX + 1


def test_a_total_is_fetched_within_limits_of_time(comments):
    comments.fault = "hang"

    with pytest.raises(requests.Timeout):
        fetch_comment_total(comments.url, UNKNOWN_ID)
