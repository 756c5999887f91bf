"""Tables of the schema ``products``."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB

metadata = MetaData(schema="products")


def _moment(name: str) -> Column[datetime]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


products = Table(
    "products",
    metadata,
    Column("id", Integer, Identity(start=2), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("description", Text),
    Column("price", Numeric(10, 2), nullable=False),
    Column("stock", Integer, nullable=False, server_default="0"),
    _moment("created_at"),
    Column("deleted_at", DateTime(timezone=True)),
    # Of its own, so that an index can leave out what is sold out, and is written only when that changes.
    Column("in_stock", Boolean, Computed("stock > 0", persisted=True), nullable=False),
    CheckConstraint("price >= 0", name="products_price_not_negative"),
    CheckConstraint("stock >= 0", name="products_stock_not_negative"),
)
# Pages go by both columns; equal times are in the order of ids.
_newest_first = (products.c.created_at.desc(), products.c.id.desc())
Index("products_newest_first", *_newest_first, postgresql_where=products.c.deleted_at.is_(None))
Index(
    "products_in_stock_newest_first",
    *_newest_first,
    postgresql_where=products.c.deleted_at.is_(None) & products.c.in_stock,
)

Index(
    "products_name_grams",
    func.products.grams(products.c.name),
    postgresql_using="gin",
    postgresql_with={"fastupdate": "off"},
)

# Every unit that came or went but by an order: stock = their sum, less what orders have reserved.
stock_changes = Table(
    "stock_changes",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("product_id", ForeignKey(products.c.id), nullable=False, index=True),
    Column("delta", Integer, nullable=False),
    Column("reason", String(500)),
    Column("account_id", String(64), nullable=False),
    _moment("created_at"),
)

reservations = Table(
    "reservations",
    metadata,
    Column("order_id", Uuid(as_uuid=False), primary_key=True),
    Column("status", String(16), nullable=False),
    # The request's, to refuse another one of the same order; none where the order was released before it was reserved.
    Column("quantities", JSONB),
    # Products because of which it was rejected, to the letter as they were answered.
    Column("reasons", JSON),
    _moment("created_at"),
    CheckConstraint("status IN ('reserved', 'rejected', 'released')", name="reservations_status_known"),
)

reserved_items = Table(
    "reserved_items",
    metadata,
    Column("order_id", ForeignKey(reservations.c.order_id), primary_key=True),
    Column("product_id", ForeignKey(products.c.id), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price", Numeric(10, 2), nullable=False),
    CheckConstraint("quantity > 0", name="reserved_items_quantity_positive"),
)

# Kept for ever: writes of admins are few, and a late repeat must not count twice either.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("account_id", String(64), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    # One of both, once the transaction that has taken the key commits: the answer, or the code of a refusal.
    Column("answer", LargeBinary),
    Column("refusal", String(32)),
    _moment("created_at"),
)
