"""The account's page: leaving the board."""

import pytest
import requests
from playwright.sync_api import expect


def test_who_leaves_is_signed_out_and_writes_no_more(board, page, sign_in, faults, check_accessible):
    name = board.fresh("하나")
    post = board.post(title=board.fresh("남는 글"), name=name)
    sign_in(page, name)
    page.goto("/account")
    opener = page.get_by_role("button", name="탈퇴하기")
    check_accessible(page)

    opener.click()
    dialog = page.get_by_role("dialog", name="계정 탈퇴")
    expect(dialog).to_contain_text("쓴 글은 지워지지 않고 그대로 남습니다.")
    expect(dialog.get_by_label("확인을 위해")).to_be_focused()
    check_accessible(page)
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()

    opener.click()
    field = dialog.get_by_label("확인을 위해")
    field.fill("네")
    page.keyboard.press("Enter")
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description("‘탈퇴’라고 입력해야 합니다.")

    # The service is away: words, and the dialog stays for another try.
    faults.expect("ERR_FAILED")
    page.route("**/users/me/deactivate", lambda route: route.abort("failed"))
    field.fill("탈퇴")
    dialog.get_by_role("button", name="탈퇴하기").click()
    expect(dialog.get_by_role("alert")).to_contain_text("서버에 연결할 수 없습니다.")
    page.unroute("**/users/me/deactivate")
    dialog.get_by_role("button", name="탈퇴하기").click()

    expect(page.get_by_text("탈퇴했습니다.")).to_be_visible()
    expect(page.get_by_role("navigation", name="주 메뉴").get_by_role("link", name="로그인")).to_be_visible()
    expect(page).to_have_url(f"{board.url}/")
    assert board.call("GET", f"/posts/{post['id']}", name=None)["status"] == "visible"
    with pytest.raises(requests.HTTPError, match="403"):
        board.post(name=name)

    # Their token still reads; a write is refused in words.
    sign_in(page, name)
    page.goto("/my")
    faults.expect("status of 403")
    page.get_by_role("button", name=f"숨기기: {post['title']}").click()
    expect(page.get_by_text("탈퇴한 계정입니다.")).to_be_visible()
