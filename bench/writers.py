"""
Have many users write at once to one category and one post, and verify every count.

Fifty writers create posts in one category, and edit, move, hide, restore and delete their own. They
also like one post, take the like back, and view it, each time from another address. Before that, wrk
has fifty create posts in turns, all in one category and each in one of their own. Then the service
stops. ``flask counters verify`` and ``flask search verify`` compare the counts and the index with the
posts, and the post's likes and views are counted. The exit status is 1 if a count is wrong, an answer
was an error of the server, or one category takes less than 0.9 of the rate of many.

Run it as ``python bench/writers.py``; DATABASE_URL names the server as for ``bench/run.py``.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random

import orjson
import requests

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import databases
from bench.board import API, TIMEOUT_SECONDS
from bench.measuring import evenly
from bench.processes import Server, Size, running, service_starter
from bench.wrk import Load, Request, User, require_programs, send

CATEGORY, OTHER_CATEGORY = "동시에 쓰기", "옮긴 글"
TEXT = "여럿이 한꺼번에 씁니다. " * 40
NAME = "postdb_bench_writers"
ROUNDS, ROUND_SECONDS = 8, 2  # of creations in one category and in many
OF_MANY_MIN = 0.9

Answers = Counter[tuple[str, int]]


class Writer:
    """A user who sends one write after another."""

    names = (CATEGORY, OTHER_CATEGORY)  # of the categories of their posts, which are created in the first

    def __init__(self, number: int, url: str, shared_post: str) -> None:
        self._number, self._url, self._shared_post = number, url, shared_post
        self._random = Random(number)  # noqa: S311 - nothing here is secret
        self._session = requests.Session()
        self._headers = log_in(url, f"writer-{number}")
        self._own: list[str] = []
        self._views = 0
        self.answers: Answers = Counter()

    def write_until(self, deadline: float) -> Answers:
        """Write until a moment of ``time.monotonic``; returns the number of answers by action and status."""
        names, weights = zip(*WEIGHTS.items(), strict=True)
        while time.monotonic() < deadline:
            name = self._random.choices(names, weights)[0]
            # A writer without a post creates one.
            if name in OF_OWN_POSTS and not self._own:
                name = "create"
            answer = ACTIONS[name](self)
            self.answers[name, answer.status_code] += 1
        return self.answers

    def create(self) -> requests.Response:
        """Create a post."""
        title = f"{self._number}번 글쓴이의 {self._random.randrange(10_000)}번째 제목"
        body = {"title": title, "content": TEXT, "category": self.names[0]}
        answer = self._send("POST", "/posts", body)
        if answer.status_code == 201:
            self._own.append(answer.json()["data"]["id"])
        return answer

    def edit(self) -> requests.Response:
        """Change the title of an own post."""
        return self._change({"title": f"고친 제목 {self._random.randrange(10_000)}"})

    def move(self) -> requests.Response:
        """Move an own post to another category, or back."""
        return self._change({"category": self._random.choice(self.names)})

    def hide(self) -> requests.Response:
        """Hide an own post, or show it again."""
        return self._change({"status": self._random.choice(["hidden", "visible"])})

    def delete(self) -> requests.Response:
        """Delete an own post."""
        post_id = self._own.pop(self._random.randrange(len(self._own)))
        return self._send("DELETE", f"/posts/{post_id}")

    def like(self) -> requests.Response:
        """Like the shared post, or take the like back, by one of the three methods."""
        return self._send(self._random.choice(["POST", "PUT", "DELETE"]), f"/posts/{self._shared_post}/like")

    def view(self) -> requests.Response:
        """View the shared post from a new address."""
        self._views += 1
        address = f"10.{self._number}.{self._views >> 8 & 255}.{self._views & 255}"
        url = f"{self._url}{API}/posts/{self._shared_post}"
        return self._session.get(url, headers={"X-Forwarded-For": address}, timeout=TIMEOUT_SECONDS)

    def _change(self, body: dict[str, str]) -> requests.Response:
        return self._send("PATCH", f"/posts/{self._random.choice(self._own)}", body)

    def _send(self, method: str, path: str, body: dict[str, str] | None = None) -> requests.Response:
        url = f"{self._url}{API}{path}"
        return self._session.request(method, url, json=body, headers=self._headers, timeout=TIMEOUT_SECONDS)


ACTIONS: dict[str, Callable[[Writer], requests.Response]] = {
    "create": Writer.create,
    "edit": Writer.edit,
    "move": Writer.move,
    "hide or restore": Writer.hide,
    "delete": Writer.delete,
    "like or unlike": Writer.like,
    "view": Writer.view,
}
WEIGHTS = {"create": 20, "edit": 8, "move": 8, "hide or restore": 14, "delete": 10, "like or unlike": 20, "view": 20}
OF_OWN_POSTS = {"edit", "move", "hide or restore", "delete"}


def token_of(url: str, name: str) -> str:
    """Return a user's token."""
    answer = requests.post(f"{url}/dev/token", json={"username": name}, timeout=TIMEOUT_SECONDS)
    answer.raise_for_status()
    return str(answer.json()["data"]["access_token"])


def log_in(url: str, name: str) -> dict[str, str]:
    """Return the headers of a user."""
    return {"Authorization": f"Bearer {token_of(url, name)}"}


def new_post(url: str) -> str:
    """Create the shared post; returns its id."""
    body = {"title": "모두가 좋아하는 글", "content": TEXT, "category": CATEGORY}
    headers = log_in(url, "writer-0")
    answer = requests.post(f"{url}{API}/posts", json=body, headers=headers, timeout=TIMEOUT_SECONDS)
    answer.raise_for_status()
    return str(answer.json()["data"]["id"])


def write_at_once(url: str, post_id: str, *, writers: int, seconds: int) -> Answers:
    """Run all writers at once; returns the number of answers by action and status."""
    with ThreadPoolExecutor(writers) as pool:
        all_of_them = list(pool.map(lambda number: Writer(number, url, post_id), range(1, writers + 1)))
        deadline = time.monotonic() + seconds
        return sum(pool.map(lambda writer: writer.write_until(deadline), all_of_them), start=Counter())


def ratio_of_one_category(server: Server, folder: Path, *, writers: int) -> float:
    """Return the rate of posts created in one category, divided by that of each writer's own; prints both."""
    url = server.url
    users = [User(f"bench-{number}", "", token_of(url, f"bench-{number}")) for number in range(writers)]
    one, many = (
        [_creation(user, CATEGORY if is_one else f"글쓴이 {user.name}") for user in users] for is_one in (True, False)
    )
    load, file = Load(1, writers, ROUND_SECONDS), folder / "requests.bin"
    rates: dict[bool, list[float]] = {True: [], False: []}
    for number in range(-1, ROUNDS):  # the first round makes the categories, and warms up
        for is_one in (number % 2 == 0, number % 2 == 1):  # each is the first as often
            posts = one if is_one else many
            rate = evenly(server, partial(send, posts, side="service", url=url, load=load, file=file)).answers.rate
            rates[is_one] += [rate] if number >= 0 else []
    ratio = statistics.median(rates[True]) / statistics.median(rates[False])
    in_one, in_many = ([round(rate) for rate in rates[is_one]] for is_one in (True, False))
    print(f"creations per second: {in_one} in one category, {in_many} in {writers}; of the medians {ratio:.2f}")
    return ratio


def _creation(user: User, category: str) -> Request:
    body = {"title": f"{user.name}의 글", "content": TEXT, "category": category}
    return Request(method="POST", path=f"{API}/posts", user=user, body=orjson.dumps(body))


def show(answers: Answers, seconds: int) -> None:
    """Print the number of answers by action and status."""
    statuses = sorted({status for _, status in answers})
    print("| action |", " | ".join(map(str, statuses)), "|")
    print("| :-- |", " | ".join("--:" for _ in statuses), "|")
    for name in ACTIONS:
        print(f"| {name} |", " | ".join(f"{answers[name, status]:,}" for status in statuses), "|")
    print(f"\n{answers.total():,} answers, {answers.total() / seconds:,.0f} per second")


def wrong_counts(url: str, post_id: str, answers: Answers) -> list[str]:
    """Return the wrong counts of the shared post."""
    with databases.cursor_of(url) as cursor:
        ((likes, views),) = databases.rows_of(cursor, "SELECT like_count, view_count FROM posts WHERE id = %s", post_id)
        ((liked,),) = databases.rows_of(cursor, "SELECT COUNT(*) FROM likes WHERE post_id = %s", post_id)
    pairs = {"likes": (likes, liked), "views": (views, answers["view", 200])}
    print(", ".join(f"{name}: {count} kept, {true} true" for name, (count, true) in pairs.items()))
    return [f"the post's {name}" for name, (count, true) in pairs.items() if count != true]


def run_and_verify(options: argparse.Namespace, url: str, folder: Path) -> list[str]:
    """
    Run the writers, then verify.

    Args:
        options: The command line's.
        url: The database's URL.
        folder: A folder for temporary files.

    Returns:
        A line for each fault.
    """
    databases.prepare(url, folder, posts=options.posts, fresh=True)
    # Views come from many addresses, as through a proxy.
    start = service_starter(folder, url, Size(options.workers, options.threads), TRUSTED_PROXY_HOPS="1")
    with running(start) as service:
        post_id = new_post(service.url)
        ratio = ratio_of_one_category(Server(service), folder, writers=options.writers)
        print(f"{options.writers} writers, {options.seconds} s …", flush=True)
        answers = write_at_once(service.url, post_id, writers=options.writers, seconds=options.seconds)
    show(answers, options.seconds)
    print(f"writes that a deadlock or a lock's timeout had the service repeat: {service.log.count('write_retried')}")
    wrong = [
        f"{name}: {number} answers of status {status}" for (name, status), number in answers.items() if status >= 500
    ]
    wrong += [f"one category: {ratio:.2f} of the rate of many"] if ratio < OF_MANY_MIN else []
    wrong += wrong_counts(url, post_id, answers)
    return wrong + databases.verify(url, folder)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--writers", type=int, default=50, help="number of writers (default: %(default)s)")
    add("--seconds", type=int, default=20, help="default: %(default)s")
    add("--posts", type=int, default=1000, help="number of demo posts (default: %(default)s)")
    add("--database-url", default=os.environ.get("DATABASE_URL") or None, help="a server (default: a private one)")
    add("--workers", type=int, default=2, help="of gunicorn (default: %(default)s)")
    add("--threads", type=int, default=8, help="of each worker (default: %(default)s)")
    return parser.parse_args()


def main() -> int:
    """Run and print; return 1 if there is a fault."""
    options = arguments()
    require_programs()
    with databases.server_of(options.database_url, name=NAME) as url, tempfile.TemporaryDirectory() as folder:
        try:
            wrong = run_and_verify(options, url, Path(folder))
        finally:
            databases.drop(url)
    for line in wrong:
        print(f"wrong: {line}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
