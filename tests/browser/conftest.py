"""Fixtures: the board with its site on each database, and Chromium on it."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from post.web.site import is_current
from tests.browser import accessibility
from tests.browser.board import Board
from tests.browser.faults import Faults
from tests.chromium import CHROMIUM, FLAGS, NO_CHROMIUM
from tests.conftest import further_database
from tests.servers import (
    HANG_SECONDS,
    PATIENT_WITH_MYSQL,
    PROJECT,
    UNLIMITED,
    find_mysqld,
    free_port,
    private_redis,
    running_service,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

SITE = PROJECT / "site"
DIST = SITE / "dist"
READER = {"locale": "ko-KR", "timezone_id": "Asia/Seoul", "viewport": {"width": 1280, "height": 800}}
# A busy machine is slower than the time for which site/src/components/notices.tsx shows them. A test with a clock of
# its own (``page.clock``) sees them end.
LASTING_NOTICES = """{
  const later = window.setTimeout;
  window.setTimeout = (run, ms, ...rest) => later(run, ms === 8_000 || ms === 20_000 ? 600_000 : ms, ...rest);
}"""
KEPT_USER = "board.user"  # where site/src/session/local.ts keeps the name

# Flows that also run on SQLite without being asked to (``--db sqlite``): the others see the same of both databases,
# whose answers the tests of the API compare.
ON_BOTH = {"test_reading.py", "test_writing.py"}

EMPTY_PAGE = "/empty"
NO_ICON = '<link rel="icon" href="data:,">'  # Chromium asks for /favicon.ico otherwise


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave all of them out of ``--quick``."""
    return True if config.getoption("--quick") else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave SQLite to ``ON_BOTH``, where MySQL runs too: Chromium's time is dear."""
    if config.getoption("--db") is not None or not (os.environ.get("TEST_DATABASE_URL") or find_mysqld()):
        return
    left = {item for item in items if _is_on_sqlite(item) and item.path.name not in ON_BOTH}
    config.hook.pytest_deselected(items=list(left))
    items[:] = [item for item in items if item not in left]


def _is_on_sqlite(item: pytest.Item) -> bool:
    is_here = item.path.parent == Path(__file__).parent
    return is_here and hasattr(item, "callspec") and item.callspec.params.get("database") == "sqlite"


def _lack(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the built site; built anew where its sources are others."""
    if not (SITE / "node_modules").is_dir():
        _lack("no packages of site/ (Node.js 20 and npm, then: make site)")
    lock = os.open(SITE, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # workers that start together: one builds, the others wait
        if not is_current(DIST):
            command = ["node", "scripts/build.mjs"]
            built = subprocess.run(command, cwd=SITE, check=False, timeout=HANG_SECONDS, capture_output=True, text=True)
            assert built.returncode == 0, built.stdout + built.stderr
    finally:
        os.close(lock)
    return DIST


@pytest.fixture(scope="session")
def board(database: str, site: Path, request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Board]:
    """The board on SQLite, then on MySQL or MariaDB with Redis. Tests share it, and use names of their own."""
    folder = tmp_path_factory.mktemp("board")
    if database == "sqlite":
        yield from _running_board(folder, site)
        return
    with further_database(request.getfixturevalue("mysql_server")) as url, private_redis(folder) as redis:
        yield from _running_board(folder, site, DATABASE_URL=url, REDIS_URL=redis.url)


def _running_board(folder: Path, site: Path, **settings: str) -> Iterator[Board]:
    settings = {**UNLIMITED, **PATIENT_WITH_MYSQL, "WEB_CONCURRENCY": "1", "VIEW_FLUSH_SECONDS": "0", **settings}
    port = free_port()
    with running_service(folder, PORT=str(port), SITE_PATH=str(site), **settings):
        yield Board(f"http://localhost:{port}")  # as PUBLIC_URL has it: images are of the page's own origin


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, one for the worker's tests of this folder."""
    from playwright.sync_api import expect, sync_playwright

    if CHROMIUM is None:
        _lack(NO_CHROMIUM)
    expect.set_options(timeout=HANG_SECONDS * 1000 / 4)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def faults() -> Faults:
    """What goes wrong in the test's pages; ``expect`` allows, and requires, some of it."""
    return Faults()


@pytest.fixture
def contexts() -> list[BrowserContext]:
    """The contexts that a test has opened."""
    return []


@pytest.fixture
def open_page(
    browser: Browser, board: Board, faults: Faults, contexts: list[BrowserContext]
) -> Iterator[Callable[..., Page]]:
    """
    Open a page in a context of its own, such as another person's browser.

    It takes Playwright's options of a context, such as ``viewport``, ``locale``, ``color_scheme``, ``reduced_motion``;
    ``width`` is short for a viewport of this width.
    """

    def open_one(*, width: int | None = None, **options: Any) -> Page:
        if width is not None:
            options["viewport"] = {"width": width, "height": 800}
        context = browser.new_context(**{**READER, "base_url": board.url, **options})
        contexts.append(context)
        context.set_default_timeout(HANG_SECONDS * 1000 / 4)
        context.add_init_script(LASTING_NOTICES)
        faults.watch(context)
        return context.new_page()

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """A page of 1,280 × 800 pixels that prefers Korean."""
    return open_page()


@pytest.fixture
def sign_in(board: Board) -> Callable[..., None]:
    """Sign a page's tab in by the local issuer, as the sign-in page does; what it shows is loaded again."""

    def sign(page: Page, name: str, *, admin: bool = False) -> None:
        is_open = page.url.startswith(board.url)
        if not is_open:  # an empty page of the board's origin
            page.route(EMPTY_PAGE, lambda route: route.fulfill(content_type="text/html", body=NO_ICON))
            page.goto(EMPTY_PAGE)
            page.unroute(EMPTY_PAGE)
        page.evaluate(
            "([key, user]) => sessionStorage.setItem(key, JSON.stringify(user))",
            [KEPT_USER, {"username": name, "isAdmin": admin}],
        )
        if is_open:
            page.reload()

    return sign


@pytest.fixture
def check_accessible() -> Callable[[Page], None]:
    """Run axe-core on a page; fail on any violation of WCAG 2.2 AA, or of its best practices."""
    return accessibility.check_accessible


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """End a test by its faults, and keep a screenshot of each page of a test that fails."""
    faults, contexts = pyfuncitem.funcargs.get("faults"), pyfuncitem.funcargs.get("contexts")
    if not isinstance(faults, Faults):
        return (yield)
    try:
        result = yield
        for page in _pages(contexts):
            page.evaluate("1")  # what the browser has sent before is known then
        faults.check()
    except BaseException:
        for page in _pages(contexts):
            _keep_screenshot(pyfuncitem, page)
        pyfuncitem.add_report_section("call", "faults in the browser", "\n".join(faults.seen))
        raise
    return result


def _pages(contexts: list[BrowserContext] | None) -> list[Page]:
    return [page for context in contexts or [] for page in context.pages]


def _keep_screenshot(item: pytest.Function, page: Page) -> None:
    path = item.config._tmp_path_factory.mktemp("failed") / "page.png"
    page.screenshot(path=path, full_page=True)
    item.add_report_section("call", f"screenshot of {page.url}", str(path))
