"""Migrations of one service's schema, run by its owner, one process at a time."""

from pathlib import Path

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, MetaData, NullPool, create_engine, text

from shared import postgres

LOCK_MILLISECONDS = 60_000  # the services' own transactions, which a migration may wait for, end within seconds


def upgrade(folder: Path) -> None:
    """
    Bring a schema to the newest version; a second process waits, and finds nothing left to do.

    Args:
        folder: Folder of the migrations; its parent's name is the schema's.

    Raises:
        OperationalError: The database is away, or another session has kept a lock for a minute.
    """
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    engine = create_engine(
        postgres.url(), poolclass=NullPool, connect_args={"options": f"-c lock_timeout={LOCK_MILLISECONDS}"}
    )
    with engine.connect() as connection:
        # Held by the session, so it outlives the migrations' own transaction; the connection's end frees it.
        connection.execute(text("SELECT pg_advisory_lock(hashtext(:name))"), {"name": folder.parent.name})
        connection.commit()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()


def run(metadata: MetaData) -> None:
    """
    Run the migrations that alembic has chosen, all in one transaction; each service's ``env.py`` calls it.

    Args:
        metadata: The service's tables.
    """
    connection: Connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, version_table_schema=metadata.schema)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
