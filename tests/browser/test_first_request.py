"""The list's first request, which a small script sends while the pages' code still loads."""

from urllib.parse import urlencode

from playwright.sync_api import expect

from tests.browser.routes import hold


def test_a_list_is_asked_for_once_and_before_the_pages_code_has_come(board, page, sign_in):
    category = board.fresh("두 낱말")
    title = board.post(title=board.fresh("먼저"), category=category)["title"]
    row = page.get_by_role("link", name=title)
    address = "/?" + urlencode({"category": category, "sort": "popular", "period": "week"})
    asked = []
    page.on("request", lambda request: asked.append(request) if "/api/v1/posts?" in request.url else None)

    held = hold(page, "**/assets/index-*.js", times=1)
    with page.expect_response("**/api/v1/posts?*"):
        page.goto(address, wait_until="commit")
    held[0].continue_()
    expect(row).to_be_visible()

    assert len(asked) == 1

    asked.clear()
    sign_in(page, "bo")
    expect(row).to_be_visible()

    assert ["authorization" in request.headers for request in asked] == [True]
