"""Moderation for who has a shell and no token. In the log the actor of these commands is ``shell``."""

import csv
import io
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any

import click
import orjson

from post import messages, services
from post.cli.on_database import on_database
from post.models import DELETE, DISMISS, HIDE, OPEN, RESOLVED
from post.paging import PageRequest
from post.services.moderation_log import BY_SHELL
from post.text import TextRefused, read_text, text_problem
from post.utils import ACTIONS, REASON_MAX_CHARS, USER_ID_MAX_CHARS

LOG_COLUMNS = ("No", "created_at", "actor", "action", "post_id", "user_id", "category_id", "reason", "before", "after")
# Spreadsheets take such a cell for a formula (OWASP: "CSV Injection"); the wide signs where the language has them.
_FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


@click.group()
def moderation() -> None:
    """Reports, users, posts, and the log of moderators' actions."""


class Moment(click.ParamType[datetime]):
    """A time in ISO 8601, in UTC where it names no offset."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        """Return the time in UTC, naive."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value} is no time such as 2026-01-31 or 2026-01-31T15:00:00Z", param, ctx)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


class StoredText(click.ParamType[str]):
    """
    A text by the rule of texts.

    Args:
        name: Its kind, in the command's help.
        read: Returns the text as it is stored, or raises ``TextRefused``.
    """

    def __init__(self, name: str, read: Callable[[str], str]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return the text as it is stored."""
        try:
            return self._read(value)
        except TextRefused as refusal:
            self.fail(messages.text(refusal.key, "en", **refusal.params), param, ctx)


class Sub(click.ParamType[str]):
    """A user's ``sub``, by the rule of the API."""

    name = "sub"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return it as it is."""
        if not 1 <= len(value) <= USER_ID_MAX_CHARS or value != value.strip() or text_problem(value):
            self.fail(f"has 1 to {USER_ID_MAX_CHARS} characters, and no spaces around them", param, ctx)
        return str(value)


REASON = StoredText("reason", partial(read_text, max_chars=REASON_MAX_CHARS))
reason_option = click.option("--reason", type=REASON, help="For the log, at most 500 characters.")


@moderation.command("log")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="jsonl", show_default=True)
@click.option("--since", type=Moment(), help="The first row's time, such as 2026-01-31 (UTC).")
@click.option("--actor", help="A moderator's sub, `reports` or `shell`.")
@click.option("--action", type=click.Choice(ACTIONS))
@click.option("--post", "post_id", help="Id of the post.")
@click.option("--user", "user_id", help="The sub of the author, or of the user concerned.")
@on_database
def export_log(form: str, since: datetime | None, **filters: str | None) -> None:
    """Write the log to the standard output in UTF-8, the oldest row first."""
    wanted = {name: value for name, value in filters.items() if value is not None}
    entries = services.export_log(wanted, since=since)
    # Bytes: the terminal's encoding is not that of the file.
    sys.stdout.buffer.writelines(_csv_lines(entries) if form == "csv" else _json_lines(entries))


def _json_lines(entries: Iterator[Mapping[str, Any]]) -> Iterator[bytes]:
    return (orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE) for entry in entries)


def _csv_lines(entries: Iterator[Mapping[str, Any]]) -> Iterator[bytes]:
    line = io.StringIO(newline="")
    writer = csv.writer(line)
    for cells in chain([LOG_COLUMNS], ([_cell(entry[name]) for name in LOG_COLUMNS] for entry in entries)):
        writer.writerow(cells)
        yield line.getvalue().encode()
        line.seek(0)
        line.truncate()


def _cell(value: Any) -> str | int | None:
    """Return a value as a cell that no spreadsheet takes for a formula."""
    if isinstance(value, dict):
        return orjson.dumps(value).decode()
    if isinstance(value, str) and _FORMULA.match(value):
        return f"'{value}"
    return value if value is None or isinstance(value, int) else str(value)


@moderation.command("guard")
@on_database
def guard_log() -> None:
    """Try if the database refuses to change the log; exit status 1 if it does not."""
    missing = services.missing_guards()
    if not missing:
        click.echo("The database refuses UPDATE and DELETE of the moderation log.")
        return
    click.echo(f"The database allows {' and '.join(missing)} of the moderation log. Have its administrator run:")
    for statement in missing.values():
        click.echo(f"{statement};")
    raise SystemExit(1)


@moderation.command("reports")
@click.option("--state", type=click.Choice([OPEN, RESOLVED]), default=OPEN, show_default=True)
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many at most.")
@on_database
def list_reports(state: str, limit: int) -> None:
    """List reports, the newest first: when, id, reason, post, its status and open reports, its title."""
    for report in services.list_reports(PageRequest(per_page=limit), state=state).items:
        post = report["post"]
        facts = (report["created_at"], report["id"], report["reason"], report["post_id"], post["status"])
        click.echo("  ".join([*facts, str(post["report_count"]), post["title"]]))


@moderation.command("resolve")
@click.argument("report_id")
@click.argument("action", type=click.Choice([DISMISS, HIDE, DELETE]))
@reason_option
@on_database
def resolve_report(report_id: str, action: str, reason: str | None) -> None:
    """Decide about a reported post, which resolves all its open reports."""
    report = services.resolve_report(report_id, moderator=BY_SHELL, action=action, reason=reason)
    if report["resolution"] != action:
        raise click.ClickException(f"it was resolved already: {report['resolution']}, by {report['resolved_by']}")
    click.echo(f"Resolved: the post is {report['post']['status']}.")


@moderation.command("suspend")
@click.argument("sub", type=Sub())
@click.option("--until", type=Moment(), help="Its end, such as 2099-01-31T15:00:00Z (UTC); by default there is none.")
@reason_option
@on_database
def suspend_user(sub: str, until: datetime | None, reason: str | None) -> None:
    """Refuse a user's writes, until a time or without end."""
    if until is not None:
        until = until.replace(microsecond=until.microsecond // 1000 * 1000)
        if until <= datetime.now(UTC).replace(tzinfo=None):
            raise click.BadParameter("this time has passed already", param_hint="--until")
    suspension = services.suspend_user(sub, moderator=BY_SHELL, until=until, reason=reason)["suspension"]
    end = "without end" if suspension["until"] is None else f"until {suspension['until']}"
    click.echo(f"Suspended {sub} {end}.")


@moderation.command("unsuspend")
@click.argument("sub", type=Sub())
@reason_option
@on_database
def unsuspend_user(sub: str, reason: str | None) -> None:
    """End a user's suspension."""
    if services.get_user(sub)["suspension"] is None:
        raise click.ClickException(f"{sub} is not suspended")
    services.unsuspend_user(sub, moderator=BY_SHELL, reason=reason)
    click.echo(f"{sub} may write again.")


@moderation.command("delete-posts")
@click.argument("sub", type=Sub())
@reason_option
@on_database
def delete_posts(sub: str, reason: str | None) -> None:
    """Delete all posts of a user softly; where it is cut off, the service goes on, and so does a repeat."""
    deleted = follow_task(lambda: services.delete_posts_of_user(sub, moderator=BY_SHELL, reason=reason))
    click.echo(f"Deleted {deleted} posts; none is left.")


def follow_task(ask: Callable[[], dict[str, Any]]) -> int:
    """
    Show a long action's progress until it is done.

    Args:
        ask: Starts it, or continues it and shows its progress.

    Returns:
        The number of posts that it has changed.
    """
    task = ask()
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=task["total"], label="Posts", file=sys.stderr, hidden=hidden) as bar:
        bar.update(task["done"])
        while task["state"] != "done":
            shown = task["done"]
            task = ask()
            bar.update(task["done"] - shown)
    return int(task["done"])


@moderation.command("purge")
@click.argument("post_id")
@reason_option
@on_database
def purge_post(post_id: str, reason: str | None) -> None:
    """Erase a deleted post for good, with its images."""
    purged = services.purge_post(post_id, moderator=BY_SHELL, reason=reason)
    if not purged["images_removed"]:
        raise click.ClickException("it was erased, but its images are still stored: run this again, or images prune")
    click.echo(f"Erased {post_id} for good.")
