"""Posts and categories, changed by who has a shell and no token; in the log by ``shell``."""

from functools import partial
from typing import Any

import click

from post import services
from post.cli.moderation import StoredText, follow_task, moderation, reason_option
from post.cli.on_database import on_database
from post.models import HIDDEN, VISIBLE
from post.services.moderation_log import BY_SHELL
from post.text import name_key, read_line
from post.utils import CATEGORY_MAX_CHARS, Caller, PinScope

SHELL = Caller(user_id=BY_SHELL, username=BY_SHELL, is_admin=True)
CATEGORY_NAME = StoredText("name", partial(read_line, max_chars=CATEGORY_MAX_CHARS, folds_space=True))
_scope_option = click.option(
    "--scope", type=click.Choice(["all", "category"]), default="all", show_default=True, help="Where it is shown."
)


@moderation.command("hide")
@click.argument("post_id")
@reason_option
@on_database
def hide_post(post_id: str, reason: str | None) -> None:
    """Hide a post from all but its author, who cannot show it again."""
    services.edit_post(post_id, editor=SHELL, changes={"status": HIDDEN}, reason=reason)
    click.echo(f"Hid {post_id}.")


@moderation.command("restore")
@click.argument("post_id")
@reason_option
@on_database
def restore_post(post_id: str, reason: str | None) -> None:
    """Show a hidden or deleted post again."""
    services.edit_post(post_id, editor=SHELL, changes={"status": VISIBLE}, reason=reason)
    click.echo(f"Restored {post_id}.")


@moderation.command("delete")
@click.argument("post_id")
@reason_option
@on_database
def delete_post(post_id: str, reason: str | None) -> None:
    """Delete a post softly; `restore` undoes it."""
    services.delete_post(post_id, editor=SHELL, reason=reason)
    click.echo(f"Deleted {post_id}.")


@moderation.command("pin")
@click.argument("post_id")
@_scope_option
@reason_option
@on_database
def pin_post(post_id: str, scope: PinScope, reason: str | None) -> None:
    """Pin a post above the first page of all lists, or of its category's."""
    services.pin_post(post_id, scope=scope, moderator=SHELL, reason=reason)
    click.echo(f"Pinned {post_id}.")


@moderation.command("unpin")
@click.argument("post_id")
@_scope_option
@reason_option
@on_database
def unpin_post(post_id: str, scope: PinScope, reason: str | None) -> None:
    """Take a post's pin away."""
    services.unpin_post(post_id, scope=scope, moderator=SHELL, reason=reason)
    click.echo(f"Unpinned {post_id}.")


@moderation.command("edit-category")
@click.argument("name")
@click.option("--rename", "new_name", type=CATEGORY_NAME, help="Its new name.")
@click.option("--open/--close", "is_open", default=None, help="A closed one takes no new posts.")
@click.option("--position", type=int, help="Its place in the list, before others by name.")
@reason_option
@on_database
def edit_category(name: str, reason: str | None, new_name: str | None, **more: Any) -> None:
    """Rename, close, open or order a category."""
    given = {"name": new_name, **more}
    changes = {field: value for field, value in given.items() if value is not None}
    if not changes:
        raise click.UsageError("say what to change: --rename, --open, --close or --position")
    category = services.edit_category(_category_id(name), changes=changes, actor=BY_SHELL, reason=reason)
    click.echo(f"Changed {category['name']}.")


@moderation.command("merge-category")
@click.argument("name")
@click.argument("into")
@reason_option
@on_database
def merge_category(name: str, into: str, reason: str | None) -> None:
    """Move all posts of a category into another one; where it is cut off, the service goes on."""
    ids = {"into": _category_id(into), "category_id": _category_id(name)}
    moved = follow_task(lambda: services.merge_category(**ids, actor=BY_SHELL, reason=reason))
    click.echo(f"Moved {moved} posts.")


@moderation.command("delete-category")
@click.argument("name")
@reason_option
@on_database
def delete_category(name: str, reason: str | None) -> None:
    """Delete a category without posts."""
    services.delete_category(_category_id(name), actor=BY_SHELL, reason=reason)
    click.echo(f"Deleted {name}.")


def _category_id(name: str) -> str:
    """Return the id of the category of a name, letter case ignored."""
    for category in services.list_categories().value or ():
        if name_key(category["name"]) == name_key(name):
            return str(category["id"])
    raise click.ClickException(f"there is no category {name}")
