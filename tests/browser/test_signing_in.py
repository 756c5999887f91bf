"""Signing in by a name, the menu, and what tabs tell one another."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.quality import check_narrow, check_still, watch_shifts

LONG = "아주긴이름을가진사람의이름은메뉴에서줄임표로끝나야합니다"


def menu(page: Page):
    return page.get_by_role("navigation", name="주 메뉴")


def fill_in(page: Page, name: str, *, admin: bool = False) -> None:
    page.get_by_label("이름", exact=True).fill(name)
    if admin:
        page.get_by_label("관리자로 로그인").check()
    page.keyboard.press("Enter")


def test_a_name_signs_in_and_leads_back(board, page, faults, check_accessible):
    name = board.fresh("하나")
    page.goto("/my")
    page.get_by_role("main").get_by_role("link", name="로그인").click()
    field = page.get_by_label("이름", exact=True)
    expect(page.get_by_role("heading", level=1, name="로그인")).to_be_focused()
    check_accessible(page)

    faults.expect("status of 400")
    fill_in(page, " ")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description("비워 둘 수 없습니다. 눈에 보이는 글자가 있어야 합니다.")
    check_accessible(page)

    fill_in(page, name, admin=True)
    expect(page).to_have_url(f"{board.url}/my")
    expect(menu(page).get_by_role("link", name="내 글")).to_have_attribute("aria-current", "page")
    expect(menu(page).get_by_role("link", name="관리", exact=True)).to_be_visible()
    expect(menu(page).get_by_role("link", name=f"계정 {name}")).to_be_visible()
    assert "eyJ" not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")

    page.reload()
    expect(menu(page).get_by_role("link", name=f"계정 {name}")).to_be_visible()
    page.go_back()  # the form was replaced: there is nothing to sign in to
    expect(page.get_by_role("heading", level=1, name="로그인")).not_to_be_visible()


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example", "https://evil.example", "/sign-in?to=/my"])
def test_a_return_to_elsewhere_leads_to_the_list(board, page, path):
    page.goto("/")
    page.evaluate("path => history.replaceState(null, '', '/sign-in?to=' + encodeURIComponent(path))", path)
    page.reload()

    fill_in(page, board.fresh())

    expect(menu(page)).to_be_visible()
    expect(page).to_have_url(f"{board.url}/")


def test_a_sign_out_is_told_to_the_users_other_tabs(board, page, sign_in):
    name, other = board.fresh("하나"), board.fresh("둘")
    tabs = [page, *(page.context.new_page() for _ in range(3))]
    for tab, user in zip(tabs, (name, name, other, name), strict=True):
        sign_in(tab, user)
        tab.goto("/my")
        expect(menu(tab).get_by_role("link", name=user)).to_be_visible()

    tabs[0].get_by_role("button", name="로그아웃").click()

    expect(tabs[0].get_by_text("로그아웃했습니다.", exact=True)).to_be_visible()
    expect(tabs[0]).to_have_url(f"{board.url}/")
    expect(tabs[1].get_by_text("다른 탭에서 로그아웃했습니다.")).to_be_visible()
    expect(menu(tabs[2]).get_by_role("link", name=other)).to_be_visible()

    tabs[3].get_by_role("status").get_by_role("button", name="닫기").click()
    tabs[3].get_by_role("link", name="게시판").click()
    expect(tabs[3].get_by_role("heading", level=1)).to_be_focused()
    expect(tabs[3].get_by_text("다른 탭에서 로그아웃했습니다.")).not_to_be_visible()  # said once

    tabs[1].get_by_role("status").get_by_role("button", name="로그인").click()
    fill_in(tabs[1], name)
    expect(tabs[1]).to_have_url(f"{board.url}/my")
    expect(tabs[1].get_by_text("다른 탭에서 로그아웃했습니다.")).not_to_be_visible()


def test_the_menu_fits_in_two_lines_and_moves_nothing(board, open_page, sign_in, check_accessible):
    for locale, sign_out in (("ko-KR", "로그아웃"), ("en-US", "Sign out")):
        page = open_page(width=320, locale=locale)
        watch_shifts(page)
        sign_in(page, board.fresh(LONG), admin=True)
        page.goto("/account")
        button = page.get_by_role("button", name=sign_out)
        expect(button).to_be_visible()

        tops = page.evaluate(
            "[...document.querySelectorAll('.bar a, .bar button')].map(one => one.getBoundingClientRect())"
            ".map(box => Math.round((box.top + box.height / 2) / 10))"
        )
        assert len(set(tops)) == 2, tops
        check_narrow(page)
        account = page.locator(".menu .account")
        assert account.evaluate("link => link.scrollWidth > link.clientWidth"), "the name is not cut"
        check_still(page)
        check_accessible(page)

        # By the keyboard, in the order of the screen.
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        for link in page.locator(".bar a, .bar button").all():
            page.keyboard.press("Tab")
            expect(link).to_be_focused()
