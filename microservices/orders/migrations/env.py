"""alembic's entry: the tables of orders."""

from orders.models import metadata
from shared.migrations import run

run(metadata)
