"""Migration of the schema ``orders``, by its owner: ``python -m orders.migrate``."""

from pathlib import Path

from shared.migrations import upgrade

if __name__ == "__main__":
    upgrade(Path(__file__).with_name("migrations"))
