"""What is kept of posts agrees with their rows, whatever is done to them; what does not is found and set right."""

import itertools
import random
import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from sqlalchemy import delete, func, insert, select, text, update

from post import services
from post.cli import commands
from post.models import Category, Like, Media, Post, PostCount, SearchGram, SearchTitle, db
from post.services.derived import BLOCK_NUMBERS
from post.services.search_index import grams_of, search_key
from post.utils import new_id
from tests.test_media import PNG, multipart

POSTS = "/api/v1/posts"
COUNT_SCOPES = ["all", "category", "author", "block", "day"]
AUTHORS = ["ana", "bo", "cy"]
CATEGORIES = ["Travel", "TRAVEL", "여행", "일반"]
TITLES = ["a", "Ab", "abAB", "제목", "제목 제목", "ẞß İ", "100%", "😀😀"]
NEEDLES = ["a", "B", "ab", "aba", "목", "제목", "목 제", "ß", "İ", "%", "0%", "😀", "nowhere"]


@pytest.fixture
def execute(app):
    """Change rows as nobody of this release does."""

    def run(*statements):
        with app.app_context():
            for statement in statements:
                db.session.execute(statement)
            db.session.commit()

    return run


@pytest.fixture
def verify(app):
    """Run a verification as it is run at a terminal; returns click's result."""
    return lambda what, *options: app.test_cli_runner().invoke(args=[what, "verify", *options])


@pytest.fixture
def kept(rows):
    """Every count that is kept and is not 0."""

    def read():
        columns = (PostCount.scope, PostCount.subject, PostCount.shard, PostCount.visible, PostCount.hidden)
        counts = rows(select(*columns).where((PostCount.visible != 0) | (PostCount.hidden != 0)))
        return set(counts), set(rows(select(Post.id, Post.like_count, Post.media_count)))

    return read


@pytest.fixture
def searchable(rows):
    """What the search looks up, and what it should: the folded titles of visible posts, and their pairs."""

    def read():
        titles = dict(rows(select(SearchTitle.No, SearchTitle.title_key)))
        posts = rows(select(Post.No, Post.title).where(Post.status == "visible"))
        right = {number: search_key(title) for number, title in posts}
        grams = {(gram, number) for number, key in right.items() for gram in grams_of(key)}
        return (titles, set(rows(select(SearchGram.gram, SearchGram.No)))), (right, grams)

    return read


@pytest.fixture
def next_block(app, make_post, row):
    """Have the next post but one begin a block of numbers."""

    def skip():
        number = row(make_post(author="nobody-else")).No
        last = (number // BLOCK_NUMBERS + 1) * BLOCK_NUMBERS - 2
        with app.app_context():
            if db.engine.dialect.name == "mysql":
                db.session.execute(text(f"ALTER TABLE posts AUTO_INCREMENT = {last + 1}"))
            else:
                db.session.execute(text(f"INSERT INTO post_numbers (No) VALUES ({last})"))
                db.session.execute(text("DELETE FROM post_numbers"))
            db.session.commit()

    return skip


# Any sequence of changes


@dataclass
class Known:
    """What a post should be."""

    author: str
    category: str
    title: str
    status: str = "visible"
    likers: set = field(default_factory=set)
    images: list = field(default_factory=list)


class Board:
    """Changes posts at random through the API, and keeps by itself what must come of it."""

    def __init__(self, app, as_user, seed):
        self.client, self.chance = app.test_client(), random.Random(seed)
        self.headers = {name: as_user(name) for name in (*AUTHORS, "root")}
        self.posts, self.categories = {}, {}
        self.changes = [
            *[self.create, self.retitle, self.recategorize, self.hide, self.show, self.delete, self.restore] * 4,
            *[self.toggle_like, self.toggle_like, self.add_image, self.remove_image],
        ]

    def change(self):
        """Do something; what cannot be done now is left."""
        self.chance.choice(self.changes)()

    def create(self):
        author, title = self.chance.choice(AUTHORS), self.chance.choice(TITLES)
        body = {"title": title, "content": "내용", "category": self.chance.choice(CATEGORIES)}
        post = self._send("POST", POSTS, author, 201, json=body)
        self.posts[post["id"]] = Known(author, self._category(post), title)

    def retitle(self):
        for url, post in self._some("visible", "hidden"):
            post.title = self.chance.choice(TITLES)
            self._send("PATCH", url, post.author, json={"title": post.title})

    def recategorize(self):
        for url, post in self._some("visible", "hidden"):
            body = {"title": post.title, "content": "새 내용", "category": self.chance.choice(CATEGORIES)}
            post.category = self._category(self._send("PUT", url, post.author, json=body))

    def hide(self):
        self._set_status("hidden", "visible", "hidden")

    def show(self):
        self._set_status("visible", "visible", "hidden")

    def restore(self):
        self._set_status("visible", "deleted", who="root")

    def delete(self):
        for url, post in self._some("visible", "hidden"):
            self._send("DELETE", url, self.chance.choice([post.author, "root"]))
            post.status = "deleted"

    def toggle_like(self):
        for url, post in self._some("visible"):
            user = self.chance.choice(AUTHORS)
            self._send("POST", f"{url}/like", user)
            post.likers ^= {user}

    def add_image(self):
        for url, post in self._some("visible", "hidden"):
            part = multipart(('name="file"; filename="a.png"', PNG))
            post.images.append(self._send("POST", f"{url}/media", post.author, 201, **part)["id"])

    def remove_image(self):
        for url, post in self._some("visible", "hidden"):
            if post.images:
                self._send("DELETE", f"{url}/media/{post.images.pop()}", post.author)

    def _some(self, *statuses):
        ids = [id_ for id_, post in self.posts.items() if post.status in statuses]
        return [(f"{POSTS}/{id_}", self.posts[id_]) for id_ in self.chance.sample(ids, k=min(1, len(ids)))]

    def _set_status(self, status, *before, who=None):
        for url, post in self._some(*before):
            self._send("PATCH", url, who or post.author, json={"status": status})
            post.status = status

    def _category(self, post):
        return self.categories.setdefault(post["category"], post["category_id"])

    def _send(self, method, url, who, status=200, **body):
        answer = self.client.open(url, method=method, headers=self.headers[who], **body)
        assert answer.status_code == status, answer.json
        return answer.json["data"]

    def having(self, *statuses, **conditions):
        """How many posts of some statuses are as they should be."""
        return sum(
            post.status in statuses and all(getattr(post, name) == value for name, value in conditions.items())
            for post in self.posts.values()
        )


@pytest.fixture
def assert_told(client, as_user, user_id, rows):
    """Compare what the API tells with what a board knows."""

    headers = {name: as_user(name) for name in ("nobody", *AUTHORS)}

    def total(who="nobody", url=POSTS, **query):
        return client.get(url, query_string={"per_page": 1, **query}, headers=headers[who]).json["meta"]["total"]

    def compare(board):
        assert total() == board.having("visible")
        for name, id_ in board.categories.items():
            expected = board.having("visible", category=id_)
            assert total(category_id=id_) == total(category=name.upper()) == expected
        for author in AUTHORS:
            assert total(user_id=user_id(author)) == board.having("visible", author=author)
            assert total(author, f"{POSTS}/my") == board.having("visible", "hidden", author=author)
        for author, (name, id_) in itertools.product(AUTHORS, board.categories.items()):
            expected = board.having("visible", author=author, category=id_)
            assert total(user_id=user_id(author), category=name) == expected
        for needle in NEEDLES:
            titles = [search_key(post.title) for post in board.posts.values() if post.status == "visible"]
            assert total(q=needle) == sum(search_key(needle) in title for title in titles), needle
        shown = {category["id"]: category["post_count"] for category in client.get("/api/v1/categories").json["data"]}
        assert shown == {id_: board.having("visible", category=id_) for id_ in board.categories.values()}
        stored = {id_: counts for id_, *counts in rows(select(Post.id, Post.like_count, Post.media_count))}
        assert stored == {id_: [len(post.likers), len(post.images)] for id_, post in board.posts.items()}

    return compare


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_after_any_changes_what_is_kept_is_what_is_there(seed, app, as_user, next_block, execute, assert_told, wrong):
    next_block()
    execute(*(delete(table) for table in (SearchGram, SearchTitle, PostCount, Post, Category)))
    board = Board(app, as_user, seed)

    for _ in range(3):
        for _ in range(50):
            board.change()

        assert_told(board)
        assert wrong() == []

    assert {post.status for post in board.posts.values()} == {"visible", "hidden", "deleted"}
    assert any(post.likers for post in board.posts.values())
    assert any(post.images for post in board.posts.values())


def test_a_block_of_numbers_is_counted_by_itself(make_post, next_block, rows):
    next_block()

    for _ in range(4):
        make_post(author="ana")

    counted = rows(
        select(PostCount.subject, func.sum(PostCount.visible))
        .where(PostCount.scope == "block")
        .group_by(PostCount.subject)
    )
    blocks = Counter(number // BLOCK_NUMBERS for (number,) in rows(select(Post.No)))
    assert len(blocks) > 1
    assert {int(subject): visible for subject, visible in counted} == blocks


# Counters that are wrong


@pytest.fixture
def posts(make_post, execute):
    """Four posts, the first with likes and an image, beside a hidden and a deleted one; returns their ids."""
    ids = [make_post(author=author, category=category) for author in ("ana", "bo") for category in ("가", "나")]
    for status in ("hidden", "deleted"):
        make_post(author="ana", category="가", status=status)
    execute(
        insert(Like).values([{"id": new_id(), "post_id": ids[0], "user_id": user} for user in AUTHORS]),
        insert(Media).values(image_of(ids[0])),
        update(Post).where(Post.id == ids[0]).values(like_count=3, media_count=1),
    )
    return ids


def image_of(post_id):
    image = {"object_key": "a" + post_id, "thumbnail_key": "b" + post_id, "file_name": "a.png"}
    return image | {
        "id": new_id(),
        "post_id": post_id,
        "content_type": "image/png",
        "file_size": 1,
        "width": 1,
        "height": 1,
    }


def of_one(scope, rows, *columns):
    """The condition for one row of a scope, of a subject with posts of the wanted kinds."""
    key = (PostCount.subject, PostCount.shard)
    subject, shard = rows(select(*key).where(PostCount.scope == scope, *(column > 0 for column in columns)))[0]
    return (PostCount.scope == scope) & (PostCount.subject == subject) & (PostCount.shard == shard)


def gone(scope):
    """A row of a subject that no post has."""
    subjects = {"all": "", "category": "f" * 32, "author": "gone", "block": "99", "day": "999"}
    return {"scope": scope, "subject": subjects[scope], "shard": 99, "visible": 2, "hidden": 1}


# What is done to a scope's counts.
DAMAGE = {
    "a-visible-post-too-many": lambda scope, rows: (
        update(PostCount).where(of_one(scope, rows, PostCount.visible)).values(visible=PostCount.visible + 1)
    ),
    "a-visible-post-too-few": lambda scope, rows: (
        update(PostCount).where(of_one(scope, rows, PostCount.visible)).values(visible=PostCount.visible - 1)
    ),
    "hidden-posts-below-0": lambda scope, rows: (
        update(PostCount).where(of_one(scope, rows, PostCount.visible)).values(hidden=-7)
    ),
    "a-visible-post-taken-for-a-hidden-one": lambda scope, rows: (
        update(PostCount)
        .where(of_one(scope, rows, PostCount.visible))
        .values(visible=PostCount.visible - 1, hidden=PostCount.hidden + 1)
    ),
    "no-row": lambda scope, rows: delete(PostCount).where(of_one(scope, rows, PostCount.hidden)),
    "a-row-of-nothing": lambda scope, _rows: insert(PostCount).values(gone(scope)),
}


@pytest.mark.parametrize("scope", COUNT_SCOPES)
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_wrong_count_is_found_and_set_right(scope, damage, posts, rows, execute, verify, kept, wrong):
    right = kept()
    execute(damage(scope, rows))

    verified, repaired = verify("counters"), verify("counters", "--repair")

    line, *rest = verified.output.splitlines()
    told = re.fullmatch(rf"{scope} of (\S*)/(\d+): (\S+) kept, (\S+) counted", line)
    assert (verified.exit_code, rest) == (1, ["1 wrong."])
    assert told[3] != told[4]
    assert (repaired.exit_code, repaired.output.splitlines()) == (0, [line, "1 wrong, repaired."])
    assert kept() == right
    assert wrong() == []


def test_where_nothing_is_wrong_a_verification_says_so(posts, verify):
    verified = [verify(what, *options) for what in ("counters", "search") for options in ([], ["--repair"])]

    assert [(result.exit_code, result.output) for result in verified] == [(0, "0 wrong.\n")] * 4


@pytest.mark.parametrize(
    ("column", "off"),
    [("like_count", 1), ("like_count", -3), ("media_count", 1), ("media_count", -1)],
    ids=str,
)
def test_a_wrong_count_of_a_posts_own_is_found_and_set_right(column, off, posts, row, execute, verify, kept, wrong):
    right, before = kept(), row(posts[0])
    counter = getattr(Post, column)
    execute(update(Post).where(Post.id == posts[0]).values({counter: counter + off, Post.updated_at: Post.updated_at}))

    verified, repaired = verify("counters"), verify("counters", "--repair")

    line = f"{column} of {posts[0]}: {getattr(before, column) + off} kept, {getattr(before, column)} counted"
    assert (verified.exit_code, verified.output.splitlines()) == (1, [line, "1 wrong."])
    assert (repaired.exit_code, repaired.output.splitlines()) == (0, [line, "1 wrong, repaired."])
    assert kept() == right
    assert row(posts[0]).updated_at == before.updated_at  # nobody has edited it
    assert wrong() == []


def test_likes_and_images_of_nobodys_counting_are_found(posts, execute, verify, row):
    like = {"id": new_id(), "post_id": posts[1], "user_id": "ana"}
    execute(insert(Like).values(like), insert(Media).values(image_of(posts[1])))

    verified = verify("counters")
    verify("counters", "--repair")

    lines = {f"{name} of {posts[1]}: 0 kept, 1 counted" for name in ("like_count", "media_count")}
    assert set(verified.output.splitlines()) == {*lines, "2 wrong."}
    assert (row(posts[1]).like_count, row(posts[1]).media_count) == (1, 1)


def test_all_counts_that_are_lost_are_counted_again(posts, execute, verify, kept):
    right = kept()
    execute(delete(PostCount))

    repaired = verify("counters", "--repair")

    assert repaired.exit_code == 0
    assert kept() == right


def test_many_wrong_counts_are_told_in_few_lines(posts, execute, verify, monkeypatch):
    monkeypatch.setattr(commands, "REPORTED_MAX", 2)
    execute(update(Post).values({Post.like_count: Post.like_count + 1, Post.updated_at: Post.updated_at}))

    verified = verify("counters")

    assert verified.exit_code == 1
    assert verified.output.splitlines()[2:] == ["… and 4 more", "6 wrong."]


# A search that is wrong


def this_title(row, post_id):
    return SearchTitle.No == row(post_id).No


def these_grams(row, post_id):
    return SearchGram.No == row(post_id).No


# What is done to the search and the posts: by an older release, or by nobody that is known.
LOST = {
    "an-older-release-wrote-it": lambda row, id_: [
        delete(SearchTitle).where(this_title(row, id_)),
        delete(SearchGram).where(these_grams(row, id_)),
    ],
    "an-older-release-edited-it": lambda _row, id_: [update(Post).where(Post.id == id_).values(title="Neu")],
    "an-older-release-hid-it": lambda _row, id_: [update(Post).where(Post.id == id_).values(status="hidden")],
    "an-older-release-deleted-it": lambda _row, id_: [update(Post).where(Post.id == id_).values(status="deleted")],
    "its-title-is-lost": lambda row, id_: [delete(SearchTitle).where(this_title(row, id_))],
    "its-title-is-another": lambda row, id_: [update(SearchTitle).where(this_title(row, id_)).values(title_key="x")],
    "its-pairs-are-lost": lambda row, id_: [delete(SearchGram).where(these_grams(row, id_))],
    "one-of-its-pairs-is-lost": lambda row, id_: [
        delete(SearchGram).where(these_grams(row, id_), SearchGram.gram == grams_of("제목")[0])
    ],
    "it-has-a-pair-too-many": lambda row, id_: [insert(SearchGram).values(gram=grams_of("xy")[0], No=row(id_).No)],
}


@pytest.mark.parametrize("damage", LOST.values(), ids=LOST)
def test_what_is_wrong_with_a_title_is_found_and_set_right(damage, posts, row, execute, verify, searchable):
    execute(*damage(row, posts[0]))
    kept, right = searchable()

    verified, repaired = verify("search"), verify("search", "--repair")

    assert kept != right
    assert (verified.exit_code, repaired.exit_code) == (1, 0)
    assert re.fullmatch(rf"(search of {posts[0]}: [^\n]+\n)+\d+ wrong\.\n", verified.output)
    assert repaired.output == verified.output.replace(" wrong.", " wrong, repaired.")
    kept, right = searchable()
    assert kept == right
    assert verify("search").output == "0 wrong.\n"


def test_a_number_that_no_post_has_is_not_found(posts, execute, verify, searchable, client):
    number = 2_000_000_000
    execute(
        insert(SearchTitle).values(No=number, title_key="xy"),
        *(insert(SearchGram).values(gram=gram, No=number) for gram in grams_of("xy")),
    )

    verified, repaired = verify("search"), verify("search", "--repair")

    assert (verified.exit_code, repaired.exit_code) == (1, 0)
    kept, right = searchable()
    assert kept == right
    assert client.get(POSTS, query_string={"q": "xy"}).json["meta"]["total"] == 0


def test_more_titles_than_are_compared_at_a_time_are_compared(make_post, execute, verify, monkeypatch, row):
    monkeypatch.setattr(services.verification, "SEARCH_BATCH", 2)
    ids = [make_post() for _ in range(5)]
    execute(*LOST["an-older-release-wrote-it"](row, ids[2]), *LOST["an-older-release-edited-it"](row, ids[4]))

    verified = verify("search")

    assert [line[:42] for line in verified.output.splitlines()[:-1]] == [f"search of {id_}" for id_ in (ids[2], ids[4])]


# An older release beside this one


def test_after_an_older_release_wrote_too_both_repairs_set_all_right(posts, app, execute, verify, row, client, wrong):
    first, second, third, _ = posts
    new = {"id": "e" * 32, "username": "ana", "user_id": "ana", "title": "Older", "content": "내용"}
    keep = {Post.updated_at: Post.updated_at}
    execute(
        insert(Post).values(new | {"category_id": row(first).category_id, "category": "가"}),
        update(Post).where(Post.id == first).values({Post.title: "Neu", **keep}),
        update(Post).where(Post.id == second).values({Post.status: "deleted", **keep}),
        update(Post).where(Post.id == third).values({Post.category_id: row(second).category_id, **keep}),
        delete(Media).where(Media.post_id == first),
    )

    verified = [verify(what).exit_code for what in ("counters", "search")]
    repaired = [verify(what, "--repair").exit_code for what in ("counters", "search")]

    assert (verified, repaired) == ([1, 1], [0, 0])
    assert wrong() == []
    assert client.get(POSTS).json["meta"]["total"] == 4
    assert client.get(POSTS, query_string={"q": "OLDER"}).json["meta"]["total"] == 1
    counted = {one["name"]: one["post_count"] for one in client.get("/api/v1/categories").json["data"]}
    assert counted == {"가": 2, "나": 2}
    assert client.get(f"{POSTS}/{first}").json["data"]["media_count"] == 0


# Repairs while others write


class Writers:
    """Threads that change posts at random until they are told to stop; each has posts of its own, and likes all."""

    def __init__(self, app, as_user, ids, count):
        self._app, self._as_user, self._ids = app, as_user, ids
        self._stopped, self.statuses, self.created = threading.Event(), Counter(), Counter()
        self._pool = ThreadPoolExecutor(count)
        self._done = [self._pool.submit(self._write, f"user{number}", number) for number in range(count)]

    def stop(self):
        self._stopped.set()
        self._pool.shutdown()
        for done in self._done:
            done.result()

    def _write(self, name, seed):
        client, chance, own = self._app.test_client(), random.Random(seed), []
        while not self._stopped.is_set():
            url = chance.choice(self._ids)
            method, url, body = chance.choice(
                [
                    ("POST", POSTS, {"title": chance.choice(TITLES), "content": "내용", "category": "가"}),
                    ("POST", f"{POSTS}/{url}/like", {}),
                    *[("PATCH", post, {"status": chance.choice(["visible", "hidden"])}) for post in own[-2:]],
                    *[("PATCH", post, {"title": chance.choice(TITLES), "category": "나"}) for post in own[-2:]],
                    *[("DELETE", post, None) for post in own[-1:]],
                ]
            )
            answer = client.open(url, method=method, json=body, headers=self._as_user(name))
            self.statuses[answer.status_code] += 1
            if answer.status_code == 201:
                own.append(answer.headers["Location"])
                self.created[name] += 1


def test_a_repair_while_eight_write_loses_nothing(app, make_post, as_user, execute, verify, rows, wrong):
    ids = [make_post(title=title, category=category) for title in TITLES for category in ("가", "나")]
    numbers = [number for (number,) in rows(select(Post.No).where(Post.id.in_(ids[:4])))]
    writers = Writers(app, as_user, ids, 8)
    try:
        execute(
            update(PostCount).where(PostCount.scope != "author").values(visible=PostCount.visible + 5),
            delete(PostCount).where(PostCount.scope == "author"),
            update(Post).where(Post.id.in_(ids)).values(like_count=Post.like_count + 2, media_count=1),
            delete(SearchTitle).where(SearchTitle.No.in_(numbers)),
            delete(SearchGram).where(SearchGram.No.in_(numbers)),
            update(Post).where(Post.id.in_(ids[4:8])).values(title="Neu"),
        )

        repairs = [verify(what, "--repair") for what in ("counters", "search", "counters", "search")]
    finally:
        writers.stop()

    assert [repair.exit_code for repair in repairs] == [0] * 4, [repair.output for repair in repairs]
    assert set(writers.statuses) <= {200, 201, 404}
    assert wrong() == []
    assert rows(select(func.count()).select_from(Post)) == [(len(ids) + writers.created.total(),)]
    assert "0 wrong." in verify("counters").output
