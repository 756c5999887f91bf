"""One's own posts: what they are, pages, hiding, and deletions that can be undone."""

import requests
from playwright.sync_api import Locator, Page, expect

from tests.servers import HANG_SECONDS, wait_until


def row(page: Page, title: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_text(title, exact=True))


def press(page: Page, action: str, title: str) -> None:
    page.get_by_role("button", name=f"{action}: {title}").click()


def is_deleted(board, post) -> bool:
    try:
        board.call("GET", f"/posts/{post['id']}", name=post["username"])
    except requests.HTTPError as error:
        return error.response.status_code == 404
    return False


def wait_until_deleted(board, post) -> None:
    wait_until(lambda: is_deleted(board, post), seconds=HANG_SECONDS, what="the post is still there")


def test_my_posts_have_their_state_and_pages(board, page, sign_in, check_accessible):
    name = board.fresh("하나")
    for number in range(19):
        board.post(title=f"오래된 글 {number}", name=name)
    draft, moderated = board.fresh("임시"), board.fresh("문제")
    board.post(title=draft, name=name, status="hidden")
    hidden = board.post(title=moderated, name=name)
    board.call("PATCH", f"/posts/{hidden['id']}", name="ops", admin=True, json={"status": "hidden"})
    sign_in(page, name)

    page.goto("/")
    page.get_by_role("link", name="내 글").click()
    expect(page.get_by_text("글 21개")).to_be_visible()
    expect(row(page, draft)).to_contain_text("나만 보기")
    expect(row(page, moderated)).to_contain_text("관리자가 숨김")
    expect(row(page, moderated).get_by_role("button", name="공개하기")).to_have_count(0)
    check_accessible(page)

    press(page, "공개하기", draft)
    expect(page.get_by_text("글을 공개했습니다.")).to_be_visible()
    expect(page.get_by_role("button", name=f"숨기기: {draft}")).to_be_focused()
    expect(row(page, draft)).not_to_contain_text("나만 보기")

    page.get_by_role("link", name="다음").click()
    expect(row(page, "오래된 글 0")).to_be_visible()
    assert "cursor=" in page.url
    page.get_by_role("link", name="이전").click()
    expect(row(page, draft)).to_be_visible()

    # A refusal is said, and the row shows how it is.
    other = board.post(title=board.fresh("남는"), name=name)
    page.goto("/my")
    expect(row(page, other["title"])).to_be_visible()
    board.call("PATCH", f"/posts/{other['id']}", name="ops", admin=True, json={"status": "hidden"})
    page.get_by_role("link", name=f"수정: {other['title']}").wait_for()
    press(page, "숨기기", other["title"])
    expect(row(page, other["title"])).to_contain_text("관리자가 숨김")


def test_a_deletion_waits_while_it_can_be_undone(board, page, sign_in, check_accessible):
    name = board.fresh("하나")
    category = board.fresh("분류")
    kept, gone, left = (
        board.post(title=board.fresh(word), name=name, category=category) for word in ("남는", "가는", "떠난")
    )
    sign_in(page, name)
    page.goto("/my")

    press(page, "삭제", kept["title"])
    expect(page.get_by_role("button", name=f"되돌리기: {kept['title']}")).to_be_focused()
    expect(row(page, kept["title"]).locator("s")).to_have_text(kept["title"])
    check_accessible(page)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=f"삭제: {kept['title']}")).to_be_focused()
    expect(page.get_by_text("글을 삭제했습니다.")).to_have_count(0)

    # Two at once; they outlive the page, and the list strikes them out.
    press(page, "삭제", gone["title"])
    press(page, "삭제", left["title"])
    expect(page.get_by_text("글을 삭제했습니다.")).to_have_count(2)
    page.get_by_role("link", name="게시판").first.click()
    expect(row(page, gone["title"])).to_contain_text("삭제됨")
    row(page, gone["title"]).get_by_role("link", name=f"분류 {category}").click()
    count = page.get_by_role("navigation", name="분류").get_by_role("link", name=category)
    expect(count).to_contain_text("글 3개")
    assert not is_deleted(board, gone)

    notices = page.get_by_role("status")
    notices.locator(".notice").filter(has_text=gone["title"]).get_by_role("button", name="닫기").click()
    wait_until_deleted(board, gone)
    expect(row(page, gone["title"])).to_have_count(0)
    expect(count).to_contain_text("글 2개")
    assert not is_deleted(board, left)

    page.goto("about:blank")
    wait_until_deleted(board, left)
    assert not is_deleted(board, kept)


def test_a_deletion_is_sent_when_its_notice_has_gone_by_itself(board, page, sign_in):
    name = board.fresh("하나")
    post = board.post(title=board.fresh("지울"), name=name)
    sign_in(page, name)
    page.clock.install()
    page.goto("/my")
    press(page, "삭제", post["title"])
    notice = page.get_by_role("status").filter(has_text="글을 삭제했습니다.")
    expect(notice).to_be_visible()
    assert not is_deleted(board, post)

    page.clock.fast_forward(20_000)

    wait_until_deleted(board, post)
    expect(notice).to_have_count(0)


def test_a_refused_deletion_is_said_and_the_post_is_back(board, page, sign_in, faults):
    name = board.fresh("하나")
    post, last = (board.post(title=board.fresh(word), name=name) for word in ("막힌", "마지막"))
    suspension = f"/admin/users/{post['user_id']}/suspension"
    sign_in(page, name)
    page.goto("/my")
    board.call("PUT", suspension, name="ops", admin=True, json={})

    press(page, "삭제", post["title"])
    faults.expect("status of 403")
    page.get_by_role("status").get_by_role("button", name="닫기").click()
    expect(page.get_by_text("글을 삭제하지 못했습니다. 이용이 정지된 계정입니다.")).to_be_visible()
    expect(page.get_by_role("button", name=f"삭제: {post['title']}")).to_be_visible()

    # A sign-out sends what could still be undone, while the user may.
    board.call("DELETE", suspension, name="ops", admin=True)
    press(page, "삭제", last["title"])
    page.get_by_role("button", name="로그아웃").click()
    expect(page.get_by_role("navigation", name="주 메뉴").get_by_role("link", name="로그인")).to_be_visible()
    wait_until_deleted(board, last)
    expect(row(page, last["title"])).to_have_count(0)
