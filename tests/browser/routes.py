"""What a page's requests meet before the service: a hold, or a refusal in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from re import Pattern

    from playwright.sync_api import Page, Route


def hold(page: Page, url: str | Pattern[str], **options: Any) -> list[Route]:
    """
    Hold requests until the test lets them go on; ``page.unroute`` lets those pass that come later.

    Args:
        page: The page that sends them.
        url: As for ``page.route``.
        options: For ``page.route``, such as ``times``.

    Returns:
        Those that are held, as they come.
    """
    held: list[Route] = []

    def keep(route: Route) -> None:  # Playwright takes no method of a list
        held.append(route)

    page.route(url, keep, **options)
    return held


def refusal(code: str, status: int, message: str, **error: str) -> dict[str, Any]:
    """Return the body of a refusal, in the form of the service's; ``error`` has more of its fields."""
    return {"success": False, "message": message, "error": {"code": code, "status": status, "details": [], **error}}
