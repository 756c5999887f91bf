"""The WSGI application of products."""

from products import routes
from shared.web import Service, create_service


def create_app() -> Service:
    """
    Make the application.

    Raises:
        SettingInvalid: A setting is missing or wrong.
    """
    return create_service("products", routes.products, routes.reservations)
