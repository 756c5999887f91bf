"""Alembic's environment: it runs within the application, on its engine."""

from typing import Any

from alembic import context
from flask import current_app

from post.database.schema import schema_connection

target = current_app.extensions["migrate"].db


def drop_empty(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Write no file when the models and the database already agree."""
    if getattr(context.config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives[:] = []
        print("Nothing to change.")


def include_object(_item: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
    """Leave out what serves SQLite alone and no model knows."""
    return not (kind == "table" and name == "post_numbers")


def run() -> None:
    """Run the migrations, each in a transaction where the database can."""
    if context.is_offline_mode():
        context.configure(url=str(target.engine.url), target_metadata=target.metadata, literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
        return
    with schema_connection(target.engine) as connection:
        context.configure(
            connection=connection,
            target_metadata=target.metadata,
            process_revision_directives=drop_empty,
            include_object=include_object,
            transaction_per_migration=True,
            transactional_ddl=connection.dialect.name == "sqlite",  # MySQL commits at each statement
        )
        with context.begin_transaction():
            context.run_migrations()


run()
