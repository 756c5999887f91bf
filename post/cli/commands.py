"""Commands of ``flask``, for operators."""

import functools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import islice

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy import delete, insert, select

from post import services
from post.cli import moderated  # noqa: F401 - adds its commands to the group
from post.cli.demo import DemoPost, Row, demo_categories, demo_posts, demo_users, first_post_id
from post.cli.moderation import moderation
from post.cli.on_database import failures_as_lines, on_database
from post.components import components
from post.database.reads import read
from post.database.schema import prepare_schema, require_schema, schema_lock
from post.database.writes import after_transaction, retried, transaction
from post.models import Category, Like, Post, db
from post.services.derived import derive_new, remove_derived
from post.text import name_key

# One transaction, of about 3 MB; more at once was no faster. PyMySQL joins its rows into statements
# of up to 1 MB (Cursor.max_stmt_length), below a server's max_allowed_packet (16 MB on MariaDB).
BATCH_POSTS = 2000
BATCH_REMOVED = 500  # their rows are locked meanwhile
REPORTED_MAX = 100

# A post's columns about its category, by the category's name in the demo data.
StoredCategories = dict[str, Row]


def register(app: Flask) -> None:
    """Add the commands to an application's ``flask``."""
    for command in (seed_demo, images, users, idempotency, counters, search, moderation):
        app.cli.add_command(command)


@click.group()
def images() -> None:
    """Stored images."""


@images.command("prune")
@click.option(
    "--older-than", "hours", type=click.FloatRange(min=0), default=24, show_default=True, help="Age in hours."
)
@on_database
def prune_images(hours: float) -> None:
    """Remove stored images that no post has; an age of 0 includes uploads in progress."""
    pruned = services.prune_images(older_than=timedelta(hours=hours))
    click.echo(f"Removed {pruned.removed} objects ({pruned.removed_bytes} bytes), left {pruned.kept}.")


@click.group()
def users() -> None:
    """Deactivated accounts."""


@users.command("reactivate")
@click.argument("sub")
@on_database
def reactivate(sub: str) -> None:
    """Reactivate the account of a user, who may then write again."""
    if not services.reactivate_account(sub, directory=components().user_directory):
        raise click.ClickException(f"no account of {sub} is deactivated")
    click.echo(f"Reactivated {sub}.")


@users.command("list-deactivated")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="How many at most.")
@on_database
def list_deactivated(limit: int) -> None:
    """List the deactivated accounts, the latest first: since when, sub, name in the pool."""
    for user in services.list_deactivated(limit=limit):
        click.echo(f"{user.deactivated_at}  {user.user_id}  {user.login}")


@click.group()
def idempotency() -> None:
    """Kept answers to requests with an Idempotency-Key."""


@idempotency.command("prune")
@on_database
def prune_idempotency() -> None:
    """Remove answers older than 24 hours."""
    click.echo(f"Removed {services.prune_idempotency_keys()} answers.")


_repair_option = click.option("--repair", is_flag=True, help="Correct what is wrong; others may write meanwhile.")


@click.group()
def counters() -> None:
    """Kept counts: of lists, likes and images."""


@counters.command("verify")
@_repair_option
@on_database
def verify_counters(*, repair: bool) -> None:
    """Compare every counter with its rows; exit status 1 if one is wrong and not repaired."""
    _report(_find_wrong(services.verify_counters, repair=repair), repair=repair)


@click.group()
def search() -> None:
    """The search's index."""


@search.command("verify")
@_repair_option
@on_database
def verify_search(*, repair: bool) -> None:
    """Compare the search's index with the titles; exit status 1 if a title is wrong and not repaired."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=services.count_posts(), label="Titles", file=sys.stderr, hidden=hidden) as bar:
        verify = functools.partial(services.verify_search, advance=bar.update)
        wrong = _find_wrong(verify, repair=repair)
    _report(wrong, repair=repair)


def _find_wrong(verify: Callable[..., Sequence[services.Mismatch]], *, repair: bool) -> Sequence[services.Mismatch]:
    with schema_lock(db.engine.url):
        return verify(repair=repair)


def _report(wrong: Sequence[services.Mismatch], *, repair: bool) -> None:
    for mismatch in wrong[:REPORTED_MAX]:
        click.echo(f"{mismatch.what} of {mismatch.of}: {mismatch.kept} kept, {mismatch.counted} counted")
    if len(wrong) > REPORTED_MAX:
        click.echo(f"… and {len(wrong) - REPORTED_MAX} more")
    click.echo(f"{len(wrong)} wrong{', repaired' if wrong and repair else ''}.")
    if wrong and not repair:
        raise SystemExit(1)


@click.command("seed-demo")
@click.option("--posts", "count", type=click.IntRange(min=1), default=1000, show_default=True, help="Number of posts.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Another seed, other posts.")
@click.option("--yes", is_flag=True, help="Do it in production too.")
@click.option("--remove", is_flag=True, help="Remove the seed's posts instead, however many there are.")
@with_appcontext
def seed_demo(count: int, seed: int, *, yes: bool, remove: bool) -> None:
    """Fill the board with made-up Korean posts, categories and likes."""
    if remove:
        with failures_as_lines():
            require_schema(current_app)
            _remove(seed)
        return
    if components().settings.is_production and not yes:
        raise click.ClickException("FLASK_ENV is production: repeat with --yes to add made-up posts to this board")
    with failures_as_lines():
        prepare_schema(current_app)
    started = time.perf_counter()
    likes = 0
    categories, new_categories = _prepare(seed)
    with click.progressbar(length=count, label="Posts") as bar:
        for batch in _batches(demo_posts(count, seed), BATCH_POSTS):
            likes += _store(batch, categories)
            bar.update(len(batch))
    seconds = time.perf_counter() - started
    click.echo(f"Added {count} posts, {new_categories} categories and {likes} likes in {seconds:.1f} s.")


def _prepare(seed: int) -> tuple[StoredCategories, int]:
    """Store the missing categories; return all of them, and the number of new ones."""
    names = {name_key(name): name for name in demo_categories()}
    with transaction() as connection:
        if connection.scalar(select(Post.id).where(Post.id == first_post_id(seed))) is not None:
            raise click.ClickException(f"the posts of seed {seed} are here already; choose another with --seed")
        existing = set(connection.scalars(select(Category.name_key)))
        missing = [{"name": name, "name_key": key} for key, name in names.items() if key not in existing]
        if missing:
            connection.execute(insert(Category), missing)
            after_transaction(components().category_cache.forget)
        stored = connection.execute(select(Category).where(Category.name_key.in_(names)))
        columns = {names[row.name_key]: {"category_id": row.id, "category": row.name} for row in stored}
        return columns, len(missing)


def _remove(seed: int) -> None:
    """Remove the posts of a seed with all that belongs to them, and the categories that are then empty."""
    by_demo_user = [Post.user_id.in_(users) for users in _parts(demo_users(seed), BATCH_POSTS)]
    post_ids = [row.id for users in by_demo_user for row in read(select(Post.id).where(users))]
    with click.progressbar(length=len(post_ids), label="Posts") as bar:
        for batch in _parts(post_ids, BATCH_REMOVED):
            _remove_posts(batch)
            bar.update(len(batch))
    click.echo(f"Removed {len(post_ids)} posts and {_remove_empty_categories()} categories.")


@retried
def _remove_posts(post_ids: Sequence[str]) -> None:
    with transaction() as connection:
        connection.execute(select(Post.id).where(Post.id.in_(post_ids)).with_for_update()).all()
        for table in db.metadata.sorted_tables:  # likes and images, also of users who are none of ours
            for column in table.columns:
                if column.references(Post.__table__.c.id):
                    connection.execute(delete(table).where(column.in_(post_ids)))
        remove_derived(connection, post_ids)
        connection.execute(delete(Post).where(Post.id.in_(post_ids)))


@retried
def _remove_empty_categories() -> int:
    keys = [name_key(name) for name in demo_categories()]
    is_used = select(Post.id).where(Post.category_id == Category.id).exists()
    with transaction() as connection:
        removed = connection.execute(delete(Category).where(Category.name_key.in_(keys), ~is_used)).rowcount
        after_transaction(components().category_cache.forget)
    return removed


def _parts(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _batches(posts: Iterator[DemoPost], size: int) -> Iterator[list[DemoPost]]:
    while batch := list(islice(posts, size)):
        yield batch


def _store(batch: Sequence[DemoPost], categories: StoredCategories) -> int:
    """Store posts with their likes in one transaction; return the number of likes."""
    posts = [post.row | categories[post.row["category"]] for post in batch]
    likes = [like for post in batch for like in post.likes]
    with transaction() as connection:
        connection.execute(insert(Post), posts)
        if likes:
            connection.execute(insert(Like), likes)
        derive_new(connection, [post["id"] for post in posts])
    return len(likes)
