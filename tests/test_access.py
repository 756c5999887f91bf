"""Every route, by every kind of caller, on a post in every state: one table of what is answered."""

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.test_media import PNG

API = "/api/v1"
CALLERS = ("nobody", "user", "author", "suspended", "deactivated", "admin")
NAMES = {"user": "bo", "author": "ana", "suspended": "sue", "deactivated": "dan", "admin": "root", "nobody": "nobody"}
STATES = ("visible", "draft", "hidden by its author", "hidden by a moderator", "deleted", "purged")

# The answer to each caller, a column a state of the post as in ``STATES``; one column where the post does not matter.
# Errors are an answer's status and the first letters of its code.
SEEN = """
    nobody       {ok}        404 post    404 post    404 post    404 post    404 post
    user         {ok}        404 post    404 post    404 post    404 post    404 post
    author       {ok}        {ok}        {ok}        {ok}        404 post    404 post
    suspended    {ok}        404 post    404 post    404 post    404 post    404 post
    deactivated  {ok}        404 post    404 post    404 post    404 post    404 post
    admin        {ok}        {ok}        {ok}        {ok}        404 post    404 post
"""
SEEN_DELETED = SEEN.replace(
    "admin        {ok}        {ok}        {ok}        {ok}        404 post",
    "admin        {ok}        {ok}        {ok}        {ok}        {ok}",
)
LIKED = """
    nobody       401 token
    user         {ok}        404 post    404 post    404 post    404 post    404 post
    author       {ok}        {ok}        {ok}        {ok}        404 post    404 post
    suspended    403 account_s
    deactivated  403 account_d
    admin        {ok}        {ok}        {ok}        {ok}        404 post    404 post
"""
CHANGED = """
    nobody       401 token
    user         403 forb    404 post    404 post    404 post    404 post    404 post
    author       {ok}        {ok}        {ok}        {ok}        404 post    404 post
    suspended    403 account_s
    deactivated  403 account_d
    admin        {ok}        {ok}        {ok}        {ok}        404 post    404 post
"""
SHOWN = """
    nobody       401 token
    user         403 forb    404 post    404 post    404 post    404 post    404 post
    author       200         200         200         403 mod     404 post    404 post
    suspended    403 account_s
    deactivated  403 account_d
    admin        200         200         200         200         200         404 post
"""
COUNTED = """
    nobody       401 token
    user         403 forb    404 post    404 post    404 post    404 post    404 post
    author       403 forb    403 forb    403 forb    403 forb    404 post    404 post
    suspended    403 account_s
    deactivated  403 account_d
    admin        403 forb    403 forb    403 forb    403 forb    404 post    404 post
"""
ADMINS = """
    nobody       401 token
    user         403 forb
    author       403 forb
    suspended    403 account_s
    deactivated  403 account_d
    admin        {ok}
"""
PURGED = ADMINS.format(ok="409 post_not  409 post_not  409 post_not  409 post_not  200  404 post")
IMAGE = "\n".join(f"{caller}  200  404 media  404 media  404 media  404 media  404 media" for caller in CALLERS)
WRITTEN = """
    nobody       401 token
    user         {ok}
    author       {ok}
    suspended    403 account_s
    deactivated  403 account_d
    admin        {ok}
"""
OWN = WRITTEN.replace("403 account_s", "{ok}").replace("403 account_d", "{ok}")
OPEN = OWN.replace("401 token", "{ok}")
POST = f"{API}/posts/<post_id>"
CHANGE = {"title": "제목", "content": "내용", "category": "일반"}


def upload() -> dict[str, Any]:
    return {"data": {"file": (io.BytesIO(PNG), "a.png")}, "content_type": "multipart/form-data"}


# (route, the request's further arguments, the table, the status that stands for {ok}); ids that are no post's are those
# of the other things that a test has made, by their names in a URL rule.
ROUTES: list[tuple[str, Callable[[], dict[str, Any]], str, str]] = [
    (f"GET {POST}", dict, SEEN_DELETED, "200"),
    (f"PUT {POST}", lambda: {"json": CHANGE}, CHANGED, "200"),
    (f"PATCH {POST}", lambda: {"json": {"title": "다른 제목"}}, CHANGED, "200"),
    (f"PATCH {POST}", lambda: {"json": {"status": "hidden"}}, CHANGED, "200"),
    (f"PATCH {POST}", lambda: {"json": {"status": "visible"}}, SHOWN, "200"),
    (f"DELETE {POST}", dict, CHANGED, "200"),
    (f"POST {POST}/like", dict, LIKED, "200"),
    (f"PUT {POST}/like", dict, LIKED, "200"),
    (f"DELETE {POST}/like", dict, LIKED, "200"),
    (f"GET {POST}/like/status", lambda: {"query_string": {"user_id": "somebody"}}, SEEN, "200"),
    (f"POST {POST}/reports", lambda: {"json": {"reason": "spam"}}, LIKED, "201"),
    (f"POST {POST}/media", upload, CHANGED, "201"),
    (f"DELETE {POST}/media/<media_id>", dict, CHANGED, "200"),
    (f"GET {API}/images/<key>", dict, IMAGE, "200"),
    (f"PUT {POST}/comment-count", lambda: {"json": {"comment_count": 1}}, COUNTED, ""),
    (f"POST {POST}/update-comment-count", dict, SEEN, "202"),
    (
        f"PUT {POST}/pin",
        lambda: {"json": {"scope": "all"}},
        ADMINS,
        "200  404 post  404 post  404 post  404 post  404 post",
    ),
    (f"DELETE {POST}/pin", lambda: {"json": {"scope": "all"}}, ADMINS, "200  200  200  200  200  404 post"),
    (f"DELETE {API}/admin/posts/<post_id>", dict, PURGED, ""),
    (f"GET {API}/posts", dict, OPEN, "200"),
    ("GET /feed.atom", dict, OPEN, "200"),
    (f"GET {API}/posts/my", dict, OWN, "200"),
    (f"GET {API}/posts/media/check-permissions", dict, OWN, "200"),
    (f"POST {API}/posts", lambda: {"json": CHANGE}, WRITTEN, "201"),
    (f"GET {API}/categories", dict, OPEN, "200"),
    (f"POST {API}/categories", lambda: {"json": {"name": "일반"}}, WRITTEN, "409 category_e"),
    (f"PATCH {API}/categories/<category_id>", lambda: {"json": {"position": 1}}, ADMINS, "200"),
    (f"POST {API}/categories/<category_id>/merge", lambda: {"json": {"into": "0" * 32}}, ADMINS, "404 category"),
    (f"DELETE {API}/categories/<category_id>", dict, ADMINS, "409 category_i"),
    (f"GET {API}/admin/posts", dict, ADMINS, "200"),
    (f"GET {API}/admin/reports", dict, ADMINS, "200"),
    (f"POST {API}/admin/reports/<report_id>/resolve", lambda: {"json": {"action": "dismiss"}}, ADMINS, "200"),
    (f"GET {API}/admin/log", dict, ADMINS, "200"),
    (f"GET {API}/admin/users/<sub>", dict, ADMINS, "200"),
    (f"PUT {API}/admin/users/<sub>/suspension", lambda: {"json": {}}, ADMINS, "200"),
    (f"DELETE {API}/admin/users/<sub>/suspension", dict, ADMINS, "200"),
    (f"DELETE {API}/admin/users/<sub>/posts", dict, ADMINS, "200"),
    (f"POST {API}/users/me/deactivate", dict, WRITTEN.replace("403 account_d", "{ok}"), "200"),
]
# Routes that look at nobody.
UNGUARDED = re.compile(r"/(health|dev|$|internal)|/api/(docs|openapi)|/metrics|/static")
# Routes that show a post's image, or need one.
WITH_IMAGE = ("media_id", "<key>")
WITH_REPORT = "report_id"


def parts_of(text: str) -> list[str]:
    return re.split(r" {2,}", text.strip())


def expected_of(rule: str, table: str, ok: str) -> Iterator[tuple[str, str, str]]:
    """Return caller, state and outcome of each field of a table; one state where the route is of no post."""
    states = STATES if "<post_id>" in rule or "<key>" in rule else STATES[:1]
    for line in table.replace("{ok}", ok).strip().splitlines():
        caller, *outcomes = parts_of(line)
        if len(outcomes) == 1:
            outcomes *= len(states)
        yield from ((caller, state, outcome) for state, outcome in zip(states, outcomes, strict=True))


@pytest.fixture
def send(client, as_user):
    def ask(method: str, url: str, who: str, **more: Any) -> Any:
        return client.open(url, method=method, headers=as_user(who), **more)

    return ask


@pytest.fixture
def make(app, send, make_post):
    """Bring a new post of ana's into a state; returns its id and those of what belongs to it."""

    def post_in(state: str, route: str) -> dict[str, str]:
        post_id = make_post(author="ana")
        if state == "draft":
            body = {"title": "제목", "content": "내용", "status": "hidden"}
            post_id = send("POST", f"{API}/posts", "ana", json=body).json["data"]["id"]
        url, ids = f"{API}/posts/{post_id}", {"post_id": post_id}
        if any(name in route for name in WITH_IMAGE):
            [image] = [send("POST", f"{url}/media", "ana", **upload()).json["data"]]
            ids |= {"media_id": image["id"], "key": image["url"].rpartition("/")[2]}
        if WITH_REPORT in route:
            answer = send("POST", f"{url}/reports", "bo", json={"reason": "spam"})
            ids |= {"report_id": answer.json["data"]["id"]}
        steps = {
            "hidden by its author": [("PATCH", url, "ana", {"json": {"status": "hidden"}})],
            "hidden by a moderator": [("PATCH", url, "root", {"json": {"status": "hidden"}})],
            "deleted": [("DELETE", url, "ana", {})],
            "purged": [("DELETE", url, "ana", {}), ("DELETE", f"{API}/admin/posts/{post_id}", "root", {})],
        }
        for method, target, who, more in steps.get(state, []):
            answer = send(method, target, who, **more)
            assert answer.status_code == 200, answer.json
        return ids

    return post_in


@pytest.fixture
def restrict(send, user_id):
    """Suspend sue, and deactivate dan."""

    def set_both() -> None:
        suspended = send("PUT", f"{API}/admin/users/{user_id('sue')}/suspension", "root", json={})
        assert suspended.status_code == 200, suspended.json
        assert send("POST", f"{API}/users/me/deactivate", "dan").status_code == 200

    return set_both


def outcome_of(answer: Any) -> str:
    code = answer.json["error"]["code"] if answer.status_code >= 400 else ""
    return f"{answer.status_code} {code}".strip()


@pytest.mark.parametrize("number", range(len(ROUTES)), ids=lambda number: ROUTES[number][0].replace(API, ""))
def test_a_route_answers_each_caller_as_the_table_says(send, make, restrict, user_id, client, number):
    route, more, table, ok = ROUTES[number]
    method, rule = route.split()
    wrong, made = [], {}
    sub = user_id("zoe")  # a user whom nothing else of the test needs
    for caller, state, expected in expected_of(rule, table, ok):
        restrict()
        if state not in made:
            made[state] = make(state, route)
            category = client.get(f"{API}/categories").json["data"][0]["id"]
        ids = made[state] | {"sub": sub, "category_id": category}
        url = re.sub(r"<(\w+)>", lambda found, ids=ids: ids[found[1]], rule)
        answer = send(method, url, NAMES[caller], **more())
        if "<post_id>" in rule and method != "GET" and answer.status_code < 400:
            del made[state]
        if not outcome_of(answer).startswith(expected):
            wrong.append(f"{caller}, {state}: {outcome_of(answer)} instead of {expected}")
    assert wrong == []


def test_every_route_is_in_the_table(app):
    rules = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if not UNGUARDED.match(rule.rule)
    }
    assert rules == {route for route, *_ in ROUTES}
