"""``flask seed-demo``: its data, and what it leaves in the database."""

import re
from itertools import islice
from statistics import mean

import pytest
from sqlalchemy import event, func, insert, select

from post.cli import commands
from post.cli.demo import REFERENCE, demo_categories, demo_posts, demo_users
from post.models import Category, Like, Post, db
from post.text import name_key, text_problem
from post.utils import USERNAME_MAX_CHARS
from post.validators.fields import TITLE_MAX_CHARS
from tests.test_config import PRODUCTION

UUID7 = re.compile(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}")
HANGUL = re.compile(r"[가-힣]")


@pytest.fixture
def seed_demo(app):
    """Run the command with its options; returns click's result."""
    return lambda *options: app.test_cli_runner().invoke(args=["seed-demo", *map(str, options)])


@pytest.fixture
def counts(rows):
    """Count the rows of each table."""
    return lambda: {
        table.__tablename__: rows(select(func.count()).select_from(table))[0][0] for table in (Post, Category, Like)
    }


@pytest.fixture(scope="module")
def demo():
    return list(demo_posts(2000, 1))


def inserts_so_far(connection):
    cursor = connection.connection.cursor()
    cursor.execute("SHOW SESSION STATUS LIKE 'Com_insert'")
    return int(cursor.fetchone()[1])


def test_it_adds_as_many_posts_as_are_asked_for_and_reports_them(seed_demo, counts):
    result = seed_demo("--posts", 300)

    stored = counts()
    assert result.exit_code == 0, result.output
    assert stored["posts"] == 300
    assert stored["categories"] == len(demo_categories())
    report = f"Added 300 posts, {stored['categories']} categories and {stored['likes']} likes in "
    assert re.search(re.escape(report) + r"\d+\.\d s\.", result.output)


def test_a_thousand_posts_are_added_unless_another_number_is_asked_for(seed_demo, counts):
    seed_demo()

    assert counts()["posts"] == 1000


def test_in_production_it_wants_yes_and_says_so(app, make_app, database_url, counts):
    settings = PRODUCTION | {"DATABASE_URL": database_url}
    runner = make_app(**settings).test_cli_runner()

    refused = runner.invoke(args=["seed-demo", "--posts", "3"])
    before = counts()
    confirmed = runner.invoke(args=["seed-demo", "--posts", "3", "--yes"])

    assert (refused.exit_code, confirmed.exit_code) == (1, 0)
    assert len(refused.output.splitlines()) == 1
    assert "--yes" in refused.output
    assert (before["posts"], before["categories"], counts()["posts"]) == (0, 0, 3)


def test_the_like_count_of_every_post_is_the_number_of_its_likes(seed_demo, rows):
    seed_demo("--posts", 300)

    likes = dict(rows(select(Like.post_id, func.count()).group_by(Like.post_id)))
    posts = rows(select(Post.id, Post.like_count))
    assert likes
    assert {post.id: post.like_count for post in posts if post.like_count} == likes


def test_the_counts_and_the_search_know_every_post(seed_demo, client, rows, wrong, monkeypatch):
    monkeypatch.setattr(commands, "BATCH_POSTS", 70)

    seed_demo("--posts", 300)

    visible = rows(select(Post.title).where(Post.status == "visible"))
    found = client.get("/api/v1/posts", query_string={"q": " "}).json["meta"]["total"]
    assert wrong() == []
    assert client.get("/api/v1/posts").json["meta"]["total"] == len(visible)
    assert found == sum(" " in post.title for post in visible) > 0
    shown = {category["name"]: category["post_count"] for category in client.get("/api/v1/categories").json["data"]}
    assert sum(shown.values()) == len(visible)


def test_they_know_them_beside_the_posts_that_were_there(seed_demo, make_post, wrong):
    for status in ("visible", "hidden", "deleted"):
        make_post(status=status)
    seed_demo("--posts", 40)

    seed_demo("--posts", 30, "--seed", 2)

    assert wrong() == []


def test_no_is_unique_and_rises_with_the_time_of_creation_and_the_id(seed_demo, rows):
    seed_demo("--posts", 300)

    by_no = rows(select(Post.No, Post.created_at, Post.id).order_by(Post.No))
    assert len({post.No for post in by_no}) == 300
    assert by_no == sorted(by_no, key=lambda post: post.created_at)
    assert by_no == sorted(by_no, key=lambda post: post.id)


def test_every_post_has_the_name_of_its_category(seed_demo, rows):
    seed_demo("--posts", 300)

    pairs = rows(select(Post.category, Category.name).outerjoin(Category, Category.id == Post.category_id))
    assert len(pairs) == 300
    assert all(on_post == on_category for on_post, on_category in pairs)


def test_a_category_that_exists_is_used_again_under_the_name_it_has(app, seed_demo, rows):
    name = next(name for name in demo_categories() if name != name_key(name))
    with app.app_context():
        db.session.execute(insert(Category).values(id="c" * 32, name=name.lower(), name_key=name_key(name)))
        db.session.commit()

    result = seed_demo("--posts", 300)

    named = rows(select(Post.category).where(Post.category_id == "c" * 32).distinct())
    assert named == [(name.lower(),)]
    assert f"{len(demo_categories()) - 1} categories" in result.output


def test_what_is_stored_is_what_was_made_up(seed_demo, rows):
    seed_demo("--posts", 50, "--seed", 3)

    columns = ("id", "username", "user_id", "category", "title", "content", "view_count", "status", "created_at")
    made_up = [tuple(post.row[column] for column in columns) for post in demo_posts(50, 3)]
    assert rows(select(*(getattr(Post, column) for column in columns)).order_by(Post.No)) == made_up


@pytest.mark.parametrize("posts", [40, 70], ids=["as many posts", "another number of posts"])
def test_the_same_seed_again_is_refused_and_nothing_is_written(seed_demo, counts, posts):
    seed_demo("--posts", 40, "--seed", 5)
    before = counts()

    result = seed_demo("--posts", posts, "--seed", 5)

    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert "--seed" in result.output
    assert counts() == before


def test_another_seed_adds_posts_to_the_same_categories(seed_demo, counts):
    seed_demo("--posts", 40)
    before = counts()

    result = seed_demo("--posts", 30, "--seed", 2)

    assert result.exit_code == 0, result.output
    assert counts()["posts"] == 70
    assert counts()["categories"] == before["categories"]


def test_it_can_be_removed_with_all_that_belongs_to_it(seed_demo, make_post, client, as_user, counts, rows, wrong):
    own = make_post(title="남는 글", category="자유")
    seed_demo("--posts", 700)
    seed_demo("--posts", 30, "--seed", 2)
    (liked,) = rows(select(Post.id).where(Post.user_id.in_(demo_users(1)), Post.status == "visible").limit(1))[0]
    client.put(f"/api/v1/posts/{liked}/like", headers=as_user("bo"))
    client.put(f"/api/v1/posts/{own}/like", headers=as_user("bo"))

    removed = seed_demo("--remove")
    others = counts()["posts"]
    again = seed_demo("--remove")
    last = seed_demo("--remove", "--seed", 2)

    assert (removed.exit_code, others) == (0, 31), removed.output
    assert removed.output.splitlines()[-1].startswith("Removed 700 posts and ")
    assert again.output.splitlines()[-1] == "Removed 0 posts and 0 categories."
    assert last.output.splitlines()[-1].startswith("Removed 30 posts and ")
    assert [row.id for row in rows(select(Post.id))] == [own]
    assert counts() == {"posts": 1, "categories": 1, "likes": 1}
    assert wrong() == []
    assert seed_demo("--posts", 10).exit_code == 0


@pytest.mark.parametrize("options", [("--posts", 0), ("--seed", -1)], ids=["no posts", "a seed below 0"])
def test_a_number_that_is_too_small_is_refused_by_its_option(seed_demo, counts, options):
    result = seed_demo(*options)

    assert result.exit_code == 2
    assert options[0] in result.output
    assert counts()["categories"] == 0


def test_an_interrupted_run_leaves_whole_batches(seed_demo, counts, rows, wrong, monkeypatch):
    def interrupted(count, seed):
        yield from islice(demo_posts(count, seed), 25)
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "BATCH_POSTS", 10)
    monkeypatch.setattr(commands, "demo_posts", interrupted)

    result = seed_demo("--posts", 100)

    assert result.exit_code == 1
    assert counts()["posts"] == 20
    assert sum(post.like_count for post in rows(select(Post.like_count))) == counts()["likes"]
    assert wrong() == []


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
def test_mysql_is_sent_many_rows_in_a_statement(app, seed_demo, database):
    """Sent one by one, a million posts would take hours."""
    statements = []

    def note_before(connection, *_rest):
        statements.append(-inserts_so_far(connection))

    def note_after(connection, *_rest):
        statements[-1] += inserts_so_far(connection)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note_before)
    event.listen(engine, "after_cursor_execute", note_after)

    seed_demo("--posts", 300)

    event.remove(engine, "before_cursor_execute", note_before)
    event.remove(engine, "after_cursor_execute", note_after)
    assert sum(statements) == 6  # categories, posts, likes; what the search looks up, in two tables; counts


def test_the_same_seed_makes_up_the_same_posts_and_likes(demo):
    again = list(demo_posts(2000, 1))

    assert again == demo


def test_another_seed_makes_up_other_posts(demo):
    other = list(demo_posts(2000, 2))

    assert not {post.row["id"] for post in other} & {post.row["id"] for post in demo}
    assert [post.row["title"] for post in other] != [post.row["title"] for post in demo]


def test_ids_are_uuids_of_version_7_that_rise_and_hold_the_time(demo):
    ids = [post.row["id"] for post in demo]

    assert all(UUID7.fullmatch(id_) for id_ in ids)
    assert ids == sorted(set(ids))
    times_ms = [int(id_[:12], 16) for id_ in ids]
    assert times_ms[-1] - times_ms[0] == (demo[-1].row["created_at"] - demo[0].row["created_at"]).total_seconds() * 1000


def test_no_user_likes_a_post_twice(demo):
    assert all(len({like["user_id"] for like in post.likes}) == len(post.likes) for post in demo)


def test_posts_are_liked_after_they_are_written_and_before_the_reference(demo):
    assert all(
        post.row["created_at"] < like["created_at"] <= REFERENCE and like["post_id"] == post.row["id"]
        for post in demo
        for like in post.likes
    )


def test_posts_are_edited_or_removed_after_they_are_written_if_at_all(demo):
    edited = [post.row for post in demo if post.row["updated_at"] != post.row["created_at"]]

    assert 0.05 < len(edited) / len(demo) < 0.3
    assert all(row["created_at"] < row["updated_at"] <= REFERENCE for row in edited)


def test_titles_and_texts_are_korean_and_may_be_stored(demo):
    text = "".join(post.row["title"] + post.row["content"] for post in demo)

    letters = [char for char in text if char.isalpha()]
    assert sum(bool(HANGUL.match(char)) for char in letters) / len(letters) > 0.95
    assert text_problem(text) is None
    assert not re.search(r"[{}]", text)
    assert max(len(post.row["title"]) for post in demo) <= TITLE_MAX_CHARS
    assert max(len(post.row["username"]) for post in demo) <= USERNAME_MAX_CHARS


def test_texts_have_a_kilobyte_and_a_half_on_average_and_vary(demo):
    sizes = [len(post.row["content"].encode()) for post in demo]

    assert 1300 < mean(sizes) < 1700
    assert min(sizes) < 400
    assert max(sizes) > 3000


def test_a_few_posts_have_most_of_the_likes_and_none_more_likes_than_views(demo):
    likes = sorted((post.row["like_count"] for post in demo), reverse=True)

    assert 1.5 < mean(likes) < 2.5
    assert sum(likes[:200]) > sum(likes) / 2
    assert all(post.row["view_count"] >= post.row["like_count"] for post in demo)


def test_the_default_category_is_used_most_and_the_last_one_least(demo):
    names = demo_categories()
    used = [sum(post.row["category"] == name for post in demo) for name in names]

    assert names[0] == "일반"
    assert used[0] == max(used) > 5 * used[-1] > 0


def test_some_posts_are_hidden_and_some_deleted(demo):
    statuses = [post.row["status"] for post in demo]

    assert set(statuses) == {"visible", "hidden", "deleted"}
    assert statuses.count("visible") > 0.9 * len(demo)
