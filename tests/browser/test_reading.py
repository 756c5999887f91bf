"""Readers: the list and a post."""

from playwright.sync_api import expect


def test_a_post_opens_from_the_list(board, page, check_accessible):
    title = board.fresh("고양이 사진")
    board.post(title=title, content="본문입니다")

    page.goto("/")
    check_accessible(page)
    page.get_by_role("link", name=title).click()

    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    check_accessible(page)
