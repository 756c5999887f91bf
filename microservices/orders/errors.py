"""Refusals of the orders service."""

from shared.errors import BadRequest, Conflict, NotFound, Unavailable


class IdempotencyKeyRequired(BadRequest):
    """The request has no ``Idempotency-Key``."""

    code, text = "idempotency_key_required", "Idempotency-Key header required"


class ProductsUnavailable(Unavailable):
    """The products service has not answered as agreed; the order stays pending."""

    code, text = "products_unavailable", "Products are unavailable; the order will be decided later"


class OrderNotFound(NotFound):
    """There is no such order, or it is another account's."""

    code, text = "order_not_found", "Order not found"


class ProductNotFound(NotFound):
    """The order names a product that is not for sale."""

    code, text = "product_not_found", "Product not found"


class InsufficientStock(Conflict):
    """There is less in stock than ordered; ``details`` has each such product."""

    code, text = "insufficient_stock", "Insufficient stock"


class OrderExpired(Conflict):
    """The products service was away for so long that the order was rejected."""

    code, text = "order_expired", "Order could not be decided in time"


class NotCancellable(Conflict):
    """The order's status, or its age, does not allow that it is cancelled."""

    code, text = "not_cancellable", "Order cannot be cancelled"


class NotFulfillable(Conflict):
    """The order's status does not allow that it is fulfilled."""

    code, text = "not_fulfillable", "Order cannot be fulfilled"
