"""A first product to look at, made once: ``python -m products.seed``. It stays deleted if somebody deletes it."""

from decimal import Decimal

from sqlalchemy.dialects.postgresql import insert

from products.models import products, stock_changes
from shared.postgres import Statement, pool, transaction

_SEED = Statement(
    insert(products)
    .values(
        id=1,  # the numbers of others begin with 2
        name="Sample Product 1",
        description="This is a sample product",
        price=Decimal("29.99"),
        stock=100,
    )
    .on_conflict_do_nothing()
)
_NOTE = Statement(insert(stock_changes).values(product_id=1, delta=100, reason="created", account_id="-"))


def seed() -> None:
    """Make the product, unless it has ever been there."""
    with transaction() as connection:
        if _SEED.run(connection).rowcount:
            _NOTE.run(connection)


if __name__ == "__main__":
    seed()
    pool().close()
