"""axe-core in a page."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from tests.servers import PROJECT

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = PROJECT / "site" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
RUN = """
async (runOnly) => {
  const { violations } = await axe.run(document, { runOnly, resultTypes: ["violations"] });
  return violations.map(({ id, help, nodes }) =>
    `${id}: ${help}\\n` + nodes.map((node) => `  ${node.html}\\n    ${node.failureSummary}`).join("\\n"));
}
"""


@cache
def _axe() -> str:
    return AXE.read_text()


def check_accessible(page: Page) -> None:
    """Raise AssertionError where axe-core finds a violation of WCAG 2.2 AA, or of its best practices."""
    _check(page, {"type": "tag", "values": RULES})


def check_colours(page: Page) -> None:
    """As ``check_accessible``, of the rules alone that another colour scheme may break."""
    _check(page, {"type": "rule", "values": COLOUR_RULES})


def _check(page: Page, rules: dict[str, Any]) -> None:
    page.locator("h1").first.wait_for(state="attached")  # the code of the page may come later than the frame
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_axe())  # a script element is refused by the page's policy
    violations = page.evaluate(RUN, rules)
    assert not violations, f"{page.url}\n" + "\n".join(violations)
