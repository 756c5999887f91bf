"""A page in React on http://localhost:3000, in a real browser, against the service on a port of its own."""

from contextlib import closing
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode

import pytest
import requests

from tests.chromium import CHROMIUM, FLAGS
from tests.servers import HANG_SECONDS, running_in_thread, running_service
from tests.site_packages import SITE, npm_packages
from tests.test_media import PNG
from tests.test_service import token

npm_packages()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_args):
        pass


@pytest.fixture(scope="module")
def site():
    """The port of a server of the site's files, which the browser takes for localhost:3000."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(SITE)))
    with running_in_thread(server):
        yield server.server_port


@pytest.fixture(scope="module")
def browser(site):
    from playwright.sync_api import sync_playwright

    rule = f"--host-resolver-rules=MAP localhost:3000 127.0.0.1:{site}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, rule])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running_service(tmp_path_factory.mktemp("service")) as service:
        yield service


class Board:
    """The API, as another client of the same user calls it."""

    def __init__(self, service):
        self.url = service.url.replace("127.0.0.1", "localhost")
        self.headers = token(service.url)
        created = self.call("POST", "", json={"title": "처음", "content": "내용"})
        self.post_id = created["id"]
        self.call("POST", f"/{self.post_id}/media", files={"file": ("a.png", PNG)})

    def call(self, method, path, **body):
        url = f"{self.url}/api/v1/posts{path}"
        answer = requests.request(method, url, headers=self.headers, timeout=HANG_SECONDS, **body)
        answer.raise_for_status()
        return answer.json()["data"]

    @property
    def title(self):
        return self.call("GET", f"/{self.post_id}")["title"]


@pytest.fixture
def board(service):
    return Board(service)


@pytest.fixture
def page(browser, board):
    """The page of the board's post."""
    bearer = board.headers["Authorization"].removeprefix("Bearer ")
    query = urlencode({"api": board.url, "token": bearer, "post": board.post_id})
    with closing(browser.new_page(locale="ko-KR")) as page:
        page.goto(f"http://localhost:3000/index.html?{query}")
        page.locator("h1").wait_for()
        yield page


def saved(page, title):
    """The status and the shown message of a title that is saved."""
    page.locator("input").fill(title)
    with page.expect_response(lambda response: response.request.method == "PATCH") as answered:
        page.get_by_role("button", name="저장").click()
    page.get_by_role("status").filter(has_text=answered.value.json()["message"]).wait_for()
    return answered.value.status, page.get_by_role("status").inner_text()


def test_it_shows_an_image_by_the_address_that_the_service_gives(page, board):
    image = page.locator("img")
    page.wait_for_function("document.querySelector('img').complete")

    assert image.get_attribute("src").startswith(f"{board.url}/api/v1/images/")
    assert image.evaluate("image => image.naturalWidth") == 8


def test_it_likes_and_reads_how_many_requests_are_left(page, board):
    assert page.get_by_role("button", name="♡ 0").is_visible()

    page.get_by_role("button", name="♡ 0").click()
    page.get_by_role("button", name="♥ 1").wait_for()

    assert 0 < int(page.locator("#left").inner_text()) < 60
    assert board.call("GET", f"/{board.post_id}")["is_liked"] is True


def test_it_edits_what_it_has_read_and_again(page, board):
    for title in ("둘째", "셋째"):
        assert saved(page, title)[0] == 200
        page.locator("h1").filter(has_text=title).wait_for()

    assert board.title == "셋째"


def test_a_lost_update_is_refused_with_words_to_show(page, board):
    board.call("PATCH", f"/{board.post_id}", json={"title": "다른 창에서"})

    status, message = saved(page, "이 창에서")

    assert (status, "먼저 수정" in message) == (412, True)
    assert board.title == "다른 창에서"


def test_the_message_of_a_validation_error_names_its_field(page, board):
    status, message = saved(page, "가" * 201)

    assert (status, message) == (400, "제목: 200자 이하여야 합니다.")
