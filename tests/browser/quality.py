"""Every page's quality, whatever the page shows: its heading and title, its width, and that nothing on it jumps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.accessibility import check_accessible, check_colours

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTHS = (320, 1280, 1600)

WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  const box = ({ x, y, width, height }) => [x, y, width, height].map(Math.round).join(" ");
  for (const { value, hadRecentInput, sources } of list.getEntries()) {
    if (hadRecentInput) continue;
    const moved = sources.map(({ node, previousRect, currentRect }) =>
      `${node?.parentElement?.outerHTML.slice(0, 200)}: ${box(previousRect)} -> ${box(currentRect)}`);
    shifts.push(`${value}\\n  ${moved.join("\\n  ")}`);
  }
}).observe({ type: "layout-shift", buffered: true });
"""

# Each request leaves once what came before it was painted, one at a time: no answer is so early that the page is never
# seen without it. On a narrow screen the newest is sent first, so that answers are seen in both orders.
SLOW_DOWN = """
{
  const send = window.fetch.bind(window);
  const waiting = [];
  const frame = () => new Promise(requestAnimationFrame);
  const painted = async () => (await frame(), await frame());
  const isReversed = innerWidth < 600;
  let isSending = false;
  async function sendAll() {
    isSending = true;
    await painted();
    while (waiting.length > 0) {
      await (isReversed ? waiting.pop() : waiting.shift())();
      await painted();
    }
    isSending = false;
  }
  window.fetch = (...asked) => new Promise((answer) => {
    waiting.push(async () => {
      const pending = send(...asked);
      answer(pending);
      await pending.catch(() => {}); // the page has the error
    });
    if (!isSending) void sendAll();
  });
  window.isAnswered = async () => (await painted(), !isSending);
}
"""


def watch_shifts(page: Page) -> None:
    """Note what jumps on the pages that are loaded from now on."""
    page.add_init_script(WATCH_SHIFTS)


def check_still(page: Page) -> None:
    """Raise AssertionError where something jumped since the page was loaded, but for what a reader's input moved."""
    page.evaluate("new Promise(requestAnimationFrame)")  # the observer hears of a shift after its frame
    shifts = page.evaluate("shifts")
    assert not shifts, f"{page.url} at {page.viewport_size}\n" + "\n".join(shifts)


def check_narrow(page: Page) -> None:
    """Raise AssertionError where the page is wider than its window."""
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.evaluate("innerWidth"), f"{page.url} is {width} pixels wide"


def check_page(page: Page, path: str, shows: str) -> None:
    """
    Load a page at each width, with answers that come one by one, and check all that every page must be.

    Args:
        page: A page for which ``watch_shifts`` was called, and ``SLOW_DOWN`` added.
        path: Its address.
        shows: A text of what comes last, in the content.
    """
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(path)
        expect(page.get_by_role("main")).to_contain_text(shows)
        page.wait_for_function("isAnswered()")
        check_still(page)
        check_narrow(page)
    _check_heading(page)
    for scheme, check in (("dark", check_colours), ("light", check_accessible)):
        page.emulate_media(color_scheme=scheme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            check(page)


def _check_heading(page: Page) -> None:
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_count(1)
    words = heading.text_content()
    title = page.title()
    assert words, page.url
    assert title in ("게시판", f"{words} · 게시판"), f"{page.url}: {title!r}, {words!r}"
