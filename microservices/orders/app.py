"""The WSGI application of orders."""

from orders import faults, placing, routes, services
from shared.web import Service, create_service


def create_app() -> Service:
    """
    Make the application.

    Raises:
        SettingInvalid: A setting is missing or wrong.
    """
    faults.check_setting()
    placing.reservations()
    services.cancel_window()
    return create_service("orders", routes.orders)
