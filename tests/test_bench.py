"""What the service is measured against answers as the service does."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from bench import limits

POSTS = "/api/v1/posts"


@pytest.fixture
def ask_limits(database_url, user_id, monkeypatch):
    """Ask the limits in a thread of their own, with whose end their connections end."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    caller = {"X-User-Id": user_id("bo"), "X-Username": "bo"}

    def ask(method, path, **options):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(limits.app.test_client().open, path, method=method, headers=caller, **options).result()

    return ask


def page_of(response):
    meta = {name: response.json["meta"][name] for name in ("page", "has_next", "has_prev", "next_cursor")}
    return response.json["data"], meta


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
def test_the_limits_read_what_the_service_reads(client, ask_limits, make_post, row, user_id):
    posts = [make_post(title=f"제목 {number}", like_count=number % 5) for number in range(23)]
    cursor = client.get(POSTS).json["meta"]["next_cursor"]
    queries = ["", "?sort=popular", f"?user_id={user_id('ana')}", f"?category_id={row(posts[0]).category_id}"]
    queries += ["?view=summary", f"?cursor={cursor}", "?sort=popular&period=week"]

    for query in queries:
        assert page_of(ask_limits("GET", POSTS + query)) == page_of(client.get(POSTS + query))
    one = f"{POSTS}/{posts[0]}"
    assert ask_limits("GET", one).json["data"] | {"view_count": 1} == client.get(one).json["data"]


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
def test_the_limits_write_what_the_service_writes(client, ask_limits, make_post, as_user, wrong):
    post_id = make_post()
    like, body = f"{POSTS}/{post_id}/like", {"title": "새 글", "content": "내용", "category": "일반"}

    likes = [ask_limits("POST", like).json["data"], client.post(like, headers=as_user("bo")).json["data"]]
    likes += [ask_limits("POST", like).json["data"]]
    created = [ask_limits("POST", POSTS, json=body), client.post(POSTS, json=body, headers=as_user("bo"))]

    assert [(like["action"], like["like_count"]) for like in likes] == [("added", 1), ("removed", 0), ("added", 1)]
    assert [response.status_code for response in created] == [201, 201]
    new = [response.json["data"] for response in created]
    for post in new:
        assert {post.pop(name) for name in ("id", "No", "created_at", "updated_at")}  # of each its own
    assert new[0] == new[1]
    assert wrong() == []
