"""
Smoke test of a deployed shop: the document's three requests, and one for each part that these do not touch.

The account is new each time, and deleted at the end.
"""

import json
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import urllib3

from microservices.local.words import say

TRIES = 5
LONGEST_WAIT_SECONDS = 10.0
PRODUCT = {"id", "name", "description", "price", "stock", "created_at"}


class SmokeFailed(Exception):
    """The shop answers otherwise than it should."""


@dataclass(frozen=True)
class Step:
    """One request: its words for people, the status that it must have, and the check of its answer."""

    name: str
    method: str
    path: str
    status: int
    right: Callable[[Any], bool] = lambda _answer: True
    body: dict[str, str] | None = None


class Shop:
    """
    A shop at an address.

    Args:
        url: Its address, without /api.
        sleep: Waits for a number of seconds.
    """

    def __init__(self, url: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._url = url.rstrip("/")
        self._sleep = sleep
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=5, read=30))
        self.token = ""

    def take(self, step: Step) -> Any:
        """
        Take a step.

        Args:
            step: The request.

        Returns:
            The answer: JSON as a tree; a page as text; None without a body.

        Raises:
            SmokeFailed: The status or the answer is another.
        """
        status, text = self._answer(step)
        answer = parsed(text)
        if status != step.status or not is_right(step, answer):
            raise SmokeFailed(f"{step.name}: {step.method} {step.path} answered {status}: {text[:300]}")
        say(f"{step.name}: {status}")
        return answer

    def _answer(self, step: Step) -> tuple[int, str]:
        """Ask, and again a little later where others have used up the rate; nothing else is asked twice."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        body = None if step.body is None else json.dumps(step.body)
        for left in reversed(range(TRIES)):
            try:
                answer = self._pool.request(step.method, self._url + step.path, body=body, headers=headers)
            except urllib3.exceptions.HTTPError as error:
                raise SmokeFailed(f"{step.name}: {step.method} {step.path}: {error}") from error
            if answer.status != 429 or not left:
                break
            self._sleep(min(seconds(answer.headers.get("Retry-After", "")), LONGEST_WAIT_SECONDS))
        return answer.status, answer.data.decode(errors="replace")


def is_right(step: Step, answer: Any) -> bool:
    """Return True for the answer that a step wants; one of another form is not."""
    try:
        return step.right(answer)
    except (KeyError, TypeError):
        return False


def seconds(retry_after: str) -> float:
    """Return the time of a Retry-After; a second where it names none."""
    return float(retry_after) if retry_after.isdecimal() else 1.0


def parsed(text: str) -> Any:
    """Return a body as a tree; a page as its text."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def products(answer: Any) -> bool:
    """Return True for a page of products, each with the document's fields."""
    return isinstance(answer, list) and all(isinstance(one, dict) and set(one) == PRODUCT for one in answer)


def check(url: str, sleep: Callable[[float], None] = time.sleep) -> None:
    """
    Ask a deployed shop as its first customer would.

    Args:
        url: Its address, without /api.
        sleep: Waits for a number of seconds.

    Raises:
        SmokeFailed: An answer is not the one that the document has.
    """
    shop = Shop(url, sleep)
    email, password = f"smoke-{secrets.token_hex(8)}@example.com", secrets.token_urlsafe(24)
    account = {"email": email, "password": password}
    shop.take(
        Step(
            "Register", "POST", "/api/auth/register", 201,
            lambda answer: answer["message"] == "User created successfully",
            {**account, "name": "Smoke Test"},
        )
    )  # fmt: skip
    login = Step("Log in", "POST", "/api/auth/login", 200, lambda answer: answer["user"]["userId"] == email, account)
    shop.token = shop.take(login)["sessionId"]
    try:
        shop.take(Step("Products", "GET", "/api/products", 200, products))
        shop.take(Step("Orders", "GET", "/api/orders", 200, lambda answer: answer == []))
        shop.take(Step("Notifications", "GET", "/api/notifications", 200, lambda answer: answer == []))
        shop.take(Step("Site", "GET", "/", 200, lambda answer: "<html" in str(answer)))
    finally:
        shop.take(Step("Delete the account", "DELETE", f"/api/users/{quote(email, safe='')}", 204))


def main() -> None:
    """Ask the shop at the address that is given; the exit status is 1 if an answer is wrong."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m microservices.deploy.smoke https://ADDRESS")
    try:
        check(sys.argv[1])
    except SmokeFailed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
