"""The smoke test: it passes on a platform that works, leaves nothing behind, and fails on each answer that is wrong."""

import json

import pytest

from microservices.deploy.smoke import SmokeFailed, check
from microservices.local.aws import connect
from tests.servers import answering

PRODUCTS = [
    {"id": 1, "name": "A", "description": "", "price": 1.5, "stock": 3, "created_at": "2026-11-28T08:31:27.000Z"}
]
LOGIN = {"sessionId": "s" * 43, "user": {}}


@pytest.mark.slow
def test_a_platform_that_works_passes_and_keeps_no_account(platform, stand_in, capsys):
    check(platform.removesuffix("/api"))

    said = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in said] == [
        "Register", "Log in", "Products", "Orders", "Notifications", "Site", "Delete the account",
    ]  # fmt: skip
    users = connect("dynamodb", stand_in).scan(TableName="microservices-users")["Items"]
    assert [user for user in users if user["userId"]["S"].startswith("smoke-")] == []


class FakeShop:
    """Right answers, some of them replaced."""

    def __init__(self, **replaced):
        self.replaced, self.asked, self.email = replaced, [], ""

    def __call__(self, method, path, _headers, body):
        name = {"/api/auth/register": "register", "/api/auth/login": "login"}.get(path, path.split("/")[-1] or "site")
        name = "delete" if method == "DELETE" else name
        self.asked.append(name)
        if name == "register":
            self.email = json.loads(body)["email"]
        right = {
            "register": (201, {"message": "User created successfully"}),
            "login": (200, {**LOGIN, "user": {"userId": self.email}}),
            "products": (200, PRODUCTS),
            "orders": (200, []),
            "notifications": (200, []),
            "site": (200, "<html></html>"),
            "delete": (204, None),
        }
        status, answer = self.replaced.get(name, right[name])
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return status, "application/json", b"" if answer is None else text.encode()


WRONG = {
    "register": (409, {"error": "User already exists"}),
    "login": (200, {**LOGIN, "user": {"userId": "another@example.com"}}),
    "products": (200, [{"id": 1}]),
    "orders": (503, {"error": "Service unavailable"}),
    "notifications": (200, [{"id": "of somebody else"}]),
    "site": (200, "index"),
    "delete": (403, {"error": "Forbidden"}),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_wrong_answer_fails_and_the_account_is_deleted_all_the_same(name):
    shop = FakeShop(**{name: WRONG[name]})

    with answering(shop) as url, pytest.raises(SmokeFailed, match=rf" answered {WRONG[name][0]}: "):
        check(url)

    assert shop.asked.count(name) == 1  # nothing is asked until it is right
    assert ("delete" in shop.asked) == (name not in {"register", "login"})


def test_an_answer_of_another_form_fails_with_its_text():
    with answering(FakeShop(register=(201, "<html>"))) as url, pytest.raises(SmokeFailed, match="201: <html>"):
        check(url)


def test_a_rate_that_others_have_used_up_is_waited_for():
    slept, shop = [], FakeShop()
    refusals = [(429, "application/json", b"{}")] * 2

    def busy(method, path, headers, body):
        return refusals.pop() if path == "/api/auth/login" and refusals else shop(method, path, headers, body)

    with answering(busy) as url:
        check(url, slept.append)

    assert slept == [1.0, 1.0]


def test_a_rate_that_stays_used_up_fails():
    slept = []

    with answering(FakeShop(login=(429, {}))) as url, pytest.raises(SmokeFailed, match=r"Log in: .* answered 429"):
        check(url, slept.append)

    assert len(slept) == 4


def test_a_shop_that_nobody_reaches_fails():
    with pytest.raises(SmokeFailed, match="Register: POST /api/auth/register: "):
        check("http://127.0.0.1:9")
