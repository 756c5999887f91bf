"""Every page, in dark and light and at three widths: accessible, still, narrow, with a heading that has the focus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.quality import SLOW_DOWN, check_page, watch_shifts
from tests.image_samples import encoded, plain_png, scene

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.board import Board


@pytest.fixture
def slow_page(page: Page) -> Page:
    watch_shifts(page)
    page.add_init_script(SLOW_DOWN)
    return page


def picture(size: tuple[int, int]) -> bytes:
    return encoded(scene((96, 64)).resize(size, Image.Resampling.NEAREST), "PNG")


def pictured(board: Board, name: str, **fields: Any) -> dict[str, Any]:
    """Create a post with a large, a tall and a small picture."""
    post = board.post(title=board.fresh("사진"), content="글\n\n" * 5, name=name, **fields)
    board.upload(post["id"], picture((1200, 800)), picture((300, 500)), plain_png(), name=name)
    return post


def test_every_page_of_readers(board, slow_page, faults):
    page, category = slow_page, board.fresh("분류")
    post = pictured(board, board.fresh(), category=category)
    pinned = board.post(title=board.fresh("공지"), category=category)
    board.call("PUT", f"/posts/{pinned['id']}/pin", admin=True, json={"scope": "category"})
    word = board.fresh("찾는말")
    board.post(title=word)

    check_page(page, "/", "글")
    check_page(page, f"/?category={category}&sort=popular&period=week", post["title"])
    check_page(page, f"/?q={word}", "1개")
    check_page(page, f"/?q={board.fresh('없는말')}", "찾는 제목의 글이 없습니다.")
    check_page(page, f"/posts/{post['id']}", "신고")
    check_page(page, "/sign-in?to=/my", "이름")
    check_page(page, "/my", "로그인이 필요한 페이지입니다.")
    check_page(page, "/admin/reports", "로그인")
    faults.expect("status of 404")
    check_page(page, "/nowhere", "없는 페이지입니다.")
    check_page(page, f"/posts/{'0' * 32}", "없는 글입니다.")


def test_every_page_of_users(board, slow_page, sign_in, faults):
    page, name = slow_page, board.fresh()
    post = pictured(board, name)
    draft = pictured(board, name, status="hidden")
    sign_in(page, name)

    check_page(page, f"/posts/{post['id']}", "숨기기")
    check_page(page, f"/posts/{post['id']}/edit", "3.png")
    check_page(page, "/my", draft["title"])
    check_page(page, "/account", "탈퇴")
    check_page(page, "/write", "사진 추가")
    faults.expect("status of 404")  # of the document, which is for everybody
    check_page(page, f"/posts/{draft['id']}", "글이 공개되면 보입니다")
    check_page(page, f"/posts/{draft['id']}/edit", "3.png")


def test_every_page_of_admins(board, slow_page, sign_in, faults):
    page, name, admin = slow_page, board.fresh(), board.fresh("root")
    post, hidden, deleted = (pictured(board, name) for _ in range(3))
    for each in (post, hidden, deleted):
        board.call("POST", f"/posts/{each['id']}/reports", json={"reason": "spam"})
    change = {"name": admin, "admin": True}
    board.call("PATCH", f"/posts/{hidden['id']}", json={"status": "hidden"}, **change)
    board.call("DELETE", f"/posts/{deleted['id']}", **change)
    sign_in(page, admin, admin=True)

    check_page(page, "/admin/reports", post["title"])
    check_page(page, "/admin/posts", deleted["title"])
    check_page(page, "/admin/categories", "만들기")
    check_page(page, "/admin/log", "삭제")
    check_page(page, f"/admin/users/{post['user_id']}", "정지되지 않았습니다.")
    check_page(page, f"/posts/{post['id']}", "분류에 고정")
    faults.expect("status of 404")
    check_page(page, f"/posts/{deleted['id']}", "글이 공개되면 보입니다")


def test_the_focus_is_never_on_nothing_after_a_link(board, page, sign_in):
    admin, category = board.fresh("root"), board.fresh("분류")
    posts = [board.post(title=board.fresh("글"), name=admin, category=category) for _ in range(21)]
    heading, main = page.get_by_role("heading", level=1), page.get_by_role("main")
    sign_in(page, admin, admin=True)
    page.goto(f"/?category={category}")

    def follow(name: str, words: str) -> None:
        page.get_by_role("link", name=name, exact=True).first.press("Enter")
        expect(heading).to_have_text(words)
        expect(heading).to_be_focused()

    follow(posts[-1]["title"], posts[-1]["title"])
    follow("목록으로", category)
    page.go_forward()
    expect(heading).to_have_text(posts[-1]["title"])
    expect(heading).to_be_focused()
    follow("수정", "글 수정")
    page.get_by_role("button", name="저장", exact=True).click()
    expect(heading).to_have_text(posts[-1]["title"])
    expect(heading).to_be_focused()
    for name, words in (("글쓰기", "글쓰기"), ("내 글", "내 글"), (f"계정 {admin}", "계정"), ("관리", "신고")):
        follow(name, words)
    for name, words in (("글", "모든 글"), ("분류", "분류 관리"), ("기록", "관리 기록")):
        follow(name, words)

    # Within a page that gets another address the focus stays, or goes to what the link has brought.
    page.goto("/")
    main.get_by_role("link", name=f"분류 {category}").first.press("Enter")
    expect(heading).to_have_text(category)
    expect(page.locator(":focus")).to_have_count(1)
    page.get_by_role("link", name="다음").press("Enter")
    expect(main.get_by_role("region", name=category)).to_be_focused()
    page.get_by_role("link", name="인기").press("Enter")
    expect(page.get_by_role("link", name="인기")).to_be_focused()
    page.get_by_role("button", name="로그아웃").press("Enter")
    expect(page.get_by_text("로그아웃했습니다.")).to_be_visible()
    expect(page.locator(":focus")).to_have_count(1)
