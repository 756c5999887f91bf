"""Bodies and parameters of products' routes."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, Strict, model_validator
from pydantic_core import PydanticCustomError

from products.errors import ProductNotFound
from shared.errors import Detail, NotFound, ValidationFailed
from shared.paging import read_cursor, read_limit
from shared.people import StrictModel

INTEGER_MAX = 2**31 - 1  # PostgreSQL's INTEGER
NAME_MAX_CHARS = 255
DESCRIPTION_MAX_CHARS = 10_000
REASON_MAX_CHARS = 500
SEARCH_MAX_CHARS = 100
LINES_MAX, QUANTITY_MAX = 50, 1_000
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROLS_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_ID = re.compile(r"[1-9][0-9]{0,9}")


def _number(value: Any) -> Any:
    """JSON's numbers come as int and Decimal; pydantic alone would take text, too."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise PydanticCustomError("number", "Must be a number")
    return value


def _in_cents(price: Decimal) -> Decimal:
    """A number of many zeros, which PostgreSQL would not read, in the form that is stored."""
    return price.quantize(Decimal("0.01"))


def _trimmed_name(text: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= NAME_MAX_CHARS:
        raise PydanticCustomError("name", f"Must have 1 to {NAME_MAX_CHARS} characters")
    if _CONTROLS.search(name):
        raise PydanticCustomError("name", "Must have no control characters")
    return name


def _readable(text: str) -> str:
    if _CONTROLS_BUT_LINES.search(text):
        raise PydanticCustomError("text", "Must have no control characters but ends of lines and tabs")
    return text


Name = Annotated[str, AfterValidator(_trimmed_name)]
Description = Annotated[str, Field(max_length=DESCRIPTION_MAX_CHARS), AfterValidator(_readable)]
Price = Annotated[
    Decimal,
    Strict(False),
    Field(ge=0, le=Decimal("99999999.99"), decimal_places=2),
    BeforeValidator(_number),
    AfterValidator(_in_cents),
]
Id = Annotated[int, Field(ge=1, le=INTEGER_MAX)]


class NewProduct(StrictModel):
    """A product to create."""

    name: Name
    description: Description | None = None
    price: Price
    stock: Annotated[int, Field(ge=0, le=INTEGER_MAX)] = 0


class ProductText(StrictModel):
    """A product's new content, all of it; its stock has a route of its own."""

    name: Name
    description: Description | None
    price: Price


class ProductChange(StrictModel):
    """Those parts of a product that change."""

    name: Name = Field(default="")
    description: Description | None = None
    price: Price = Field(default=Decimal(0))

    @model_validator(mode="after")
    def _names_something(self) -> "ProductChange":
        if not self.model_fields_set:
            raise PydanticCustomError("nothing", "Must name one of name, description and price")
        return self


class StockChange(StrictModel):
    """Units that come, or go where it is negative."""

    delta: Annotated[int, Field(ge=-INTEGER_MAX, le=INTEGER_MAX)]
    reason: Annotated[str, Field(max_length=REASON_MAX_CHARS), AfterValidator(_readable)] | None = None


class Item(StrictModel):
    """One line of an order."""

    product_id: Id
    quantity: Annotated[int, Field(ge=1, le=LINES_MAX * QUANTITY_MAX)]


class Reservation(StrictModel):
    """The lines of an order, each product once."""

    items: Annotated[list[Item], Field(min_length=1, max_length=LINES_MAX)]

    @model_validator(mode="after")
    def _names_each_once(self) -> "Reservation":
        if len({item.product_id for item in self.items}) < len(self.items):
            raise PydanticCustomError("items", "Must name each product once")
        return self


class Place(NamedTuple):
    """The product after which a page begins."""

    created_at: datetime
    id: int


class Listing(NamedTuple):
    """One page of the list: its filters, its size and its place."""

    text: str | None
    in_stock: bool
    limit: int
    after: Place | None


def read_id(text: str) -> int:
    """
    Return a product's id.

    Args:
        text: The path's part.

    Raises:
        ProductNotFound: No product can have it.
    """
    if not _ID.fullmatch(text) or int(text) > INTEGER_MAX:
        raise ProductNotFound
    return int(text)


def read_order_id(text: str) -> str:
    """
    Return an order's id, in its one form.

    Args:
        text: The path's part.

    Raises:
        NotFound: It is no UUID.
    """
    try:
        return str(UUID(text))
    except ValueError as exc:
        raise NotFound from exc


def read_listing(query: Mapping[str, str]) -> Listing:
    """
    Return the page that a query asks for.

    Args:
        query: The request's query.

    Raises:
        ValidationFailed: A parameter is wrong.
    """
    return Listing(_search(query), _flag(query, "in_stock"), read_limit(query), _place(query))


def _search(query: Mapping[str, str]) -> str | None:
    text = query.get("q")
    if text is None:
        return None
    if not 1 <= len(text) <= SEARCH_MAX_CHARS or "\x00" in text:
        raise _wrong("q", f"Must have 1 to {SEARCH_MAX_CHARS} characters")
    return text


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "false")
    if text not in ("true", "false"):
        raise _wrong(name, "Must be true or false")
    return text == "true"


def _place(query: Mapping[str, str]) -> Place | None:
    cursor = read_cursor(query, parts=2)
    if cursor is None:
        return None
    moment, number = cursor
    try:
        place = Place(datetime.fromisoformat(moment), read_id(number))
    except (ValueError, ProductNotFound):
        raise _wrong("cursor", "Not a cursor of this list") from None
    if place.created_at.tzinfo != UTC:
        raise _wrong("cursor", "Not a cursor of this list")
    return place


def _wrong(field: str, message: str) -> ValidationFailed:
    return ValidationFailed(details=[Detail(field=field, message=message)])
