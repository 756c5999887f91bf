"""Commands on a database with this release's schema; a known failure ends them with one line."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy.exc import SQLAlchemyError

from post import messages
from post.database.faults import is_away
from post.database.schema import require_schema
from post.errors import DatabaseUnavailable, ServiceError


def on_database(command: Callable[..., None]) -> Callable[..., None]:
    """Run a command on a database with this release's schema; a known failure ends it with one line."""

    @with_appcontext
    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        with failures_as_lines():
            require_schema(current_app)
            command(*args, **kwargs)

    return run


@contextmanager
def failures_as_lines() -> Iterator[None]:
    """End the command with one line if the block raises a known failure."""
    try:
        yield
    except ServiceError as exc:
        raise click.ClickException(messages.text(exc.code, "en")) from exc
    except SQLAlchemyError as exc:
        if not is_away(exc):
            raise
        raise click.ClickException(messages.text(DatabaseUnavailable.code, "en")) from exc
