"""The documentation page, in a real browser."""

import os

import pytest
import requests
from jose import jwt

from tests.chromium import CHROMIUM, FLAGS, NO_CHROMIUM
from tests.servers import HANG_SECONDS, UNLIMITED, running_service
from tests.test_media import PNG
from tests.test_service import token

if CHROMIUM is None and os.environ.get("CI") != "true":
    pytest.skip(NO_CHROMIUM, allow_module_level=True)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running_service(tmp_path_factory.mktemp("service"), **UNLIMITED) as service:
        yield service


def test_swagger_ui_sends_a_request_under_the_strict_policy(browser, service):
    page = browser.new_page(locale="ko-KR")
    complaints, addresses = [], []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: addresses.append(request.url))

    answer = page.goto(f"{service.url}/")
    page.locator("#operations-categories-list_categories").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table").get_by_text("카테고리 목록입니다.").wait_for()
    shown = page.locator(".opblock-summary-path").all_text_contents()

    assert answer.url == f"{service.url}/api/docs"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert complaints == []
    assert {address.split("/", 3)[2] for address in addresses if not address.startswith("data:")} == {
        service.url.removeprefix("http://")
    }
    assert any("/posts/{post_id}/like" in path.replace("\u200b", "") for path in shown)


@pytest.fixture
def docs(browser, service):
    """The documentation page, with ana's token."""
    page = browser.new_page(locale="ko-KR")
    page.goto(f"{service.url}/api/docs")
    page.locator("#operations-system-health").wait_for()
    bearer = token(service.url)["Authorization"].removeprefix("Bearer ")
    page.evaluate("token => ui.preauthorizeApiKey('bearer', token)", bearer)
    yield page
    page.close()


@pytest.fixture
def post_id(service):
    body = {"title": "제목", "content": "내용"}
    created = requests.post(f"{service.url}/api/v1/posts", json=body, headers=token(service.url), timeout=HANG_SECONDS)
    return created.json()["data"]["id"]


def opened(docs, operation):
    block = docs.locator(f"#operations-{operation}")
    block.click()
    return block


def tried(docs, operation, *, post_id=None):
    block = opened(docs, operation)
    block.get_by_role("button", name="Try it out").click()
    if post_id:
        block.get_by_placeholder("post_id").fill(post_id)
    return block


def executed(docs, block):
    """What a request is answered that is sent as Swagger UI has prepared it."""
    with docs.expect_response(lambda response: response.request.method == "POST") as answered:
        block.get_by_role("button", name="Execute").click()
    return answered.value


@pytest.mark.parametrize("operation", ["posts-create_post", "likes-toggle_like", "categories-create_category"])
def test_what_swagger_ui_offers_to_send_is_taken(operation, docs, post_id):
    block = tried(docs, operation, post_id=None if "create" in operation else post_id)

    assert executed(docs, block).ok


def test_the_token_that_swagger_ui_offers_is_no_admins(docs):
    answer = executed(docs, tried(docs, "system-issue_token")).json()

    claims = jwt.get_unverified_claims(answer["data"]["access_token"])
    assert claims["username"] == "alice"
    assert "cognito:groups" not in claims


@pytest.mark.parametrize(("field", "files"), [("file", 1), ("files[]", 2)])
def test_an_upload_has_the_chosen_files_alone(field, files, docs, post_id, tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    block = tried(docs, "media-upload_media", post_id=post_id)
    if files == 2:
        block.get_by_role("button", name="Add string item").click()

    row = block.locator(f"tr[data-property-name='{field}']")
    for number in range(files):
        row.locator("input[type=file]").nth(number).set_input_files(tmp_path / "a.png")
    data = executed(docs, block).json()["data"]

    assert len(data["uploaded_files"] if files == 2 else [data]) == files


def test_the_page_says_where_a_token_comes_from(docs):
    docs.get_by_role("button", name="Authorize").click()

    assert "POST /dev/token" in docs.locator(".info").inner_text()
    assert "POST /dev/token" in docs.locator(".auth-container").inner_text()


def test_an_error_is_shown_by_examples_of_its_own_codes(docs):
    rows = opened(docs, "posts-edit_post").locator("tr.response")
    rows.first.wait_for()
    shown = {row.get_attribute("data-code"): row.inner_text() for row in rows.all()}

    assert '"code": "post_not_found"' in shown["404"]
    assert '"status": 404' in shown["404"]
    assert all('"code": "account_deactivated"' not in text for text in shown.values())
