"""Refusals of products."""

from shared.errors import Conflict, NotFound


class ProductNotFound(NotFound):
    """There is no such product, or it is deleted."""

    code, text = "product_not_found", "Product not found"


class InsufficientStock(Conflict):
    """There are fewer units than shall go."""

    code, text = "insufficient_stock", "Insufficient stock"


class StockTooLarge(Conflict):
    """There would be more units than PostgreSQL's INTEGER counts, with those that orders hold."""

    code, text = "stock_too_large", "Stock would be above 2147483647"


REMEMBERED = {refusal.code: refusal for refusal in (InsufficientStock, StockTooLarge)}
