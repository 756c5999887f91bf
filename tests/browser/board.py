"""The board under test: the service with the site, and calls of its API beside the browser's."""

from functools import cache
from typing import Any
from uuid import uuid4

import requests

from tests.servers import HANG_SECONDS

API = "/api/v1"


class Board:
    """A running board; tests share it, so each works on posts, categories and names of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._bearer = cache(self._sign_in)

    def fresh(self, word: str = "이름") -> str:
        """Return a word that no other test has, for a title, a category or a name."""
        return f"{word}-{uuid4().hex[:6]}"

    def call(self, method: str, path: str, *, name: str | None = "ana", admin: bool = False, **options: Any) -> Any:
        """
        Call the API and return the ``data`` of its answer.

        Args:
            method: HTTP's.
            path: Behind ``/api/v1``, such as ``/posts``.
            name: The caller; None for nobody.
            admin: True for a caller who is an admin.
            options: For ``requests.request``, such as ``json``, ``files``, ``params``.

        Raises:
            requests.HTTPError: The answer is a refusal.
        """
        headers = options.pop("headers", {})
        if name is not None:
            headers = {"Authorization": f"Bearer {self._bearer(name, admin)}", **headers}
        answer = requests.request(method, self.url + API + path, headers=headers, timeout=HANG_SECONDS, **options)
        answer.raise_for_status()
        return answer.json()["data"]

    def post(self, *, title: str = "제목", content: str = "내용", name: str = "ana", **fields: Any) -> dict[str, Any]:
        """Create a post and return it."""
        return self.call("POST", "/posts", name=name, json={"title": title, "content": content, **fields})

    def upload(self, post_id: str, *pictures: bytes, name: str = "ana") -> None:
        """Add PNG pictures to a post, in order."""
        for number, picture in enumerate(pictures, 1):
            file = (f"{number}.png", picture, "image/png")
            self.call("POST", f"/posts/{post_id}/media", name=name, files={"file": file})

    def _sign_in(self, name: str, admin: bool) -> str:
        body = {"username": name, "groups": ["admin"] if admin else []}
        answer = requests.post(f"{self.url}/dev/token", json=body, timeout=HANG_SECONDS)
        answer.raise_for_status()
        return answer.json()["data"]["access_token"]
