"""The documentation page, in a real browser."""

import os
import shutil

import pytest

from tests.servers import running_service

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

if CHROMIUM is None and os.environ.get("CI") != "true":
    pytest.skip("no Chromium on this machine (Debian: apt install chromium)", allow_module_level=True)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def test_swagger_ui_sends_a_request_under_the_strict_policy(browser, tmp_path):
    with running_service(tmp_path) as service:
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
