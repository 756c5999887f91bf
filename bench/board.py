"""The board that is measured: the posts, categories, authors, pages, words and users of the requests."""

import re
from collections import Counter
from functools import cached_property
from random import Random
from typing import Any

import orjson
import requests

from bench.databases import BENCH_NAMES, cursor_of, rows_of, wait_until_idle
from bench.wrk import Request, User
from post.cli.demo import demo_posts

API = "/api/v1"
DEEP_PAGE = 5000
DETAIL_POSTS = 2000
USERS = 8
LIKES = 1000
NEW_POSTS = 2000
NEW_CATEGORIES = 4
NEW_POST_BYTES = 1350  # of text; the whole body has about 1.5 KB
NEW_POSTS_SEED = 2026  # not the demo data's
SAMPLE_POSTS = 5000
WORDS = 8  # of each frequency
TIMEOUT_SECONDS = 60


class Board:
    """The board before the clock starts; the same in every run on the same demo data."""

    def __init__(self, service_url: str, database_url: str) -> None:
        self.url = service_url
        self._database_url = database_url
        self._session = requests.Session()

    def get(self, path: str, **headers: str) -> requests.Response:
        """Send a GET request to the service."""
        answer = self._session.get(self.url + path, headers=headers, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        return answer

    def log_in_again(self) -> None:
        """Forget all requests with a token: the local issuer's tokens expire after an hour."""
        for name in ("users", "likes", "new_posts"):
            vars(self).pop(name, None)

    def wait_until_idle(self) -> None:
        """Wait until the database has ended what earlier requests left."""
        with cursor_of(self._database_url) as cursor:
            wait_until_idle(cursor)

    @cached_property
    def users(self) -> list[User]:
        """The users who like and write."""
        return [self._log_in(BENCH_NAMES.replace("%", str(number))) for number in range(1, USERS + 1)]

    def _log_in(self, name: str) -> User:
        answer = self._session.post(f"{self.url}/dev/token", json={"username": name}, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        data = answer.json()["data"]
        return User(name, data["sub"], data["access_token"])

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with cursor_of(self._database_url) as cursor:
            return rows_of(cursor, query, *values)

    @cached_property
    def categories(self) -> list[tuple[str, str]]:
        """Ids and names of the categories, the one with the most posts first."""
        counts = "SELECT category_id, COUNT(*) AS number FROM posts WHERE status = 'visible' GROUP BY category_id"
        rows = self._rows(
            f"SELECT id, name FROM categories JOIN ({counts}) AS counted ON category_id = id ORDER BY number DESC"  # noqa: S608 - all of it is above
        )
        return [(category_id, name) for category_id, name in rows]

    @cached_property
    def author(self) -> str:
        """The id of the author with the most posts."""
        ((user_id, _),) = self._rows(
            "SELECT user_id, COUNT(*) AS number FROM posts WHERE status = 'visible' AND username NOT LIKE %s"
            " GROUP BY user_id ORDER BY number DESC, user_id LIMIT 1",
            BENCH_NAMES,
        )
        return str(user_id)

    @cached_property
    def post_ids(self) -> list[str]:
        """Ids of visible posts, at random."""
        ((last,),) = self._rows("SELECT MAX(`No`) FROM posts WHERE username NOT LIKE %s", BENCH_NAMES)
        chance = _chance()
        numbers = chance.sample(range(1, last + 1), min(last, DETAIL_POSTS * 2))
        rows = self._rows("SELECT id FROM posts WHERE status = 'visible' AND `No` IN %s", numbers)
        ids = [post_id for (post_id,) in rows]
        chance.shuffle(ids)
        return ids[:DETAIL_POSTS]

    @cached_property
    def deep_page(self) -> int:
        """The number of a page far back: ``DEEP_PAGE``, or the last page if there are fewer."""
        return min(DEEP_PAGE, int(self.get(f"{API}/posts").json()["meta"]["pages"]))

    @cached_property
    def shallow_cursor(self) -> str:
        """The cursor behind the first page."""
        return self._cursor_behind(1)

    @cached_property
    def deep_cursor(self) -> str:
        """A cursor far back."""
        return self._cursor_behind(max(1, self.deep_page - 1))

    def _cursor_behind(self, page: int) -> str:
        return str(self.get(f"{API}/posts?page={page}").json()["meta"]["next_cursor"])

    def words(self, pattern: str) -> list[str]:
        """
        Return words of the demo data's titles: rare, middling and frequent ones.

        Args:
            pattern: Of a whole word.
        """
        counts = Counter(
            word for post in _sample() for word in set(re.split(r"\W+", post)) if re.fullmatch(pattern, word)
        )
        ranked = [word for word, _ in sorted(counts.items(), key=lambda item: (item[1], item[0]))]
        middle = len(ranked) // 2 - WORDS // 2
        chosen = [*ranked[:WORDS], *ranked[middle : middle + WORDS], *ranked[-WORDS:]]
        words = list(dict.fromkeys(chosen))
        _chance().shuffle(words)
        return words

    @cached_property
    def likes(self) -> list[Request]:
        """Likes of random posts by several users; the next turn takes each back."""
        choose = _chance().choice
        paths = [f"{API}/posts/{choose(self.post_ids)}/like" for _ in range(LIKES)]
        return [Request(method="POST", path=path, user=choose(self.users)) for path in paths]

    @cached_property
    def new_posts(self) -> list[Request]:
        """Posts to create, each with its own title."""
        return [self._new_post(number, post.row) for number, post in enumerate(demo_posts(NEW_POSTS, NEW_POSTS_SEED))]

    def _new_post(self, number: int, row: dict[str, Any]) -> Request:
        text = (row["content"] + "\n\n") * (NEW_POST_BYTES // len(row["content"].encode()) + 1)
        body = {
            "title": f"{row['title']} {number}",
            "content": text.encode()[:NEW_POST_BYTES].decode(errors="ignore").strip(),
            "category": self.categories[number % NEW_CATEGORIES][1],
        }
        user = self.users[number % len(self.users)]
        return Request(method="POST", path=f"{API}/posts", user=user, body=orjson.dumps(body))


def _chance() -> Random:
    return Random(1)  # noqa: S311 - nothing here is secret


def _sample() -> list[str]:
    return [post.row["title"] for post in demo_posts(SAMPLE_POSTS, 1)]
