"""alembic's entry: the tables of products."""

from products.models import metadata
from shared.migrations import run

run(metadata)
