"""Admins: reports, posts, the log, categories and users, by what their guide tells them."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.routes import refusal


@pytest.fixture
def admin_page(page, board, sign_in):
    """A page of an admin."""
    sign_in(page, board.fresh("root"), admin=True)
    return page


def act(page, button, *, reason=None, confirm=None, do=None):
    """Press a button that opens a dialog, fill the dialog in, and do it; the dialog's button is the last one."""
    button.click()
    dialog = page.get_by_role("dialog")
    if confirm is not None:
        dialog.get_by_label("확인하려면").fill(str(confirm))
    if reason is not None:
        dialog.get_by_label("사유").fill(reason)
    if do is not None:
        do(dialog)
    dialog.get_by_role("button").last.click()
    expect(dialog).to_be_hidden()


def test_a_wave_of_spam_is_found_and_one_post_brought_back(board, admin_page, check_accessible):
    page, spammer, word = admin_page, board.fresh("spammer"), board.fresh("싼약")
    posts = [board.post(title=f"{word} {number}", name=spammer) for number in range(3)]

    page.goto("/admin/posts")
    page.get_by_role("searchbox", name="제목").fill(word)
    page.get_by_role("button", name="찾기").click()
    expect(page.get_by_role("article")).to_have_count(3)
    check_accessible(page)
    page.get_by_role("link", name=f"{spammer} 관리").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"사용자 {spammer}")

    suspend = page.get_by_role("button", name="이용 정지")
    act(page, suspend, reason="광고", do=lambda dialog: dialog.get_by_label("기간").select_option("7일"))
    expect(page.get_by_text("글을 읽을 수만 있습니다.")).to_be_visible()
    expect(page.get_by_role("button", name="정지 바꾸기")).to_be_focused()
    delete = page.get_by_role("button", name="모든 글 삭제")
    delete.click()
    page.get_by_role("dialog").get_by_role("button", name="모든 글 삭제").click()
    expect(page.get_by_label("확인하려면")).to_be_focused()
    page.keyboard.press("Escape")
    expect(delete).to_be_focused()
    act(page, delete, reason="광고", confirm=3)
    expect(page.get_by_role("status").filter(has_text="글 3개를 삭제했습니다.")).to_be_visible()
    check_accessible(page)

    page.get_by_role("link", name="이 사용자의 글", exact=True).click()
    restore = page.get_by_role("button", name=f"공개하기: {word} 1")
    act(page, restore, reason="실수")
    expect(page.get_by_role("button", name=f"숨기기: {word} 1")).to_be_focused()
    purge = page.get_by_role("button", name=f"완전히 지우기: {word} 2")
    act(page, purge, confirm=posts[2]["No"])
    expect(page.get_by_role("heading", name="완전히 지움")).to_be_focused()
    expect(page.get_by_role("button", name=f"공개하기: {word} 0")).to_be_visible()
    assert board.call("GET", f"/posts/{posts[1]['id']}", name=None)["status"] == "visible"

    page.go_back()
    act(page, page.get_by_role("button", name="정지 해제"))
    expect(page.get_by_text("정지되지 않았습니다.")).to_be_visible()
    page.get_by_role("link", name="이 사용자와 관련된 기록").click()
    expect(page.get_by_role("row")).to_have_count(1 + 8)
    done = page.get_by_role("row").filter(has_text="글 공개")
    expect(done).to_contain_text("상태: 삭제됨 → 공개")
    expect(done).to_contain_text("실수")
    expect(page.get_by_role("row").nth(1)).to_contain_text("정지 해제")
    check_accessible(page)
    page.get_by_label("작업").select_option("이용 정지")
    page.get_by_role("button", name="찾기").click()
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page).to_have_url(re.compile("action=suspend"))


def test_reports_lead_to_a_decision_that_is_undone(board, page, open_page, sign_in, check_accessible, faults):
    title, writer, reader, admin = (board.fresh(word) for word in ("욕설 글", "writer", "reader", "root"))
    post = board.post(title=title, content="나쁜 말", name=writer)
    board.call("POST", f"/posts/{post['id']}/reports", name=board.fresh("other"), json={"reason": "abuse"})

    page.goto(f"/posts/{post['id']}")
    page.get_by_role("button", name="신고").click()
    expect(page.get_by_role("dialog")).to_contain_text("신고하려면 로그인하세요.")
    page.keyboard.press("Escape")
    sign_in(page, reader)
    page.get_by_role("button", name="신고").click()
    page.get_by_role("button", name="신고하기").click()
    expect(page.get_by_role("radio", name="광고·도배")).to_be_focused()
    check_accessible(page)
    page.get_by_role("radio", name="광고·도배").check()
    page.get_by_label("자세한 내용").fill("<b>도배</b>입니다")
    page.get_by_role("button", name="신고하기").click()
    expect(page.get_by_role("status").filter(has_text="신고했습니다")).to_be_visible()
    faults.expect("status of 409")
    page.get_by_role("button", name="신고").click()
    page.get_by_role("radio", name="기타").check()
    page.get_by_role("button", name="신고하기").click()
    expect(page.get_by_role("alert")).to_contain_text("이미 신고한 게시글입니다.")
    expect(page.get_by_role("dialog").get_by_role("button", name="닫기")).to_be_focused()

    desk, other_desk = open_page(), open_page(locale="en-US", color_scheme="dark", width=320)
    for each in (desk, other_desk):
        sign_in(each, admin, admin=True)
        each.goto("/admin/reports")
    card, theirs = (each.get_by_role("article", name=title) for each in (desk, other_desk))
    expect(theirs).to_be_visible()  # before it is decided
    expect(card.get_by_role("listitem")).to_have_count(2)
    expect(card).to_contain_text("<b>도배</b>입니다")
    expect(card).to_contain_text("나쁜 말")
    check_accessible(desk)
    act(desk, desk.get_by_role("button", name=f"글 숨기기: {title}"), reason="욕설")
    expect(desk.get_by_text("글을 숨기고 신고를 처리했습니다.")).to_be_focused()
    desk.get_by_role("button", name=f"되돌리기: {title}").click()
    expect(card).to_contain_text("되돌렸습니다.")
    expect(card).to_contain_text("공개")

    other_desk.get_by_role("button", name=f"Delete the post: {title}").click()
    other_desk.get_by_role("dialog").get_by_role("button", name="Delete the post").click()
    expect(theirs).to_contain_text("The report was resolved before, in another way.")
    check_accessible(other_desk)
    assert other_desk.evaluate("document.documentElement.scrollWidth") <= 320
    desk.get_by_role("link", name="처리함").click()
    expect(desk.get_by_role("article", name=title)).to_contain_text("처리 결과: 숨김")
    assert board.call("GET", f"/posts/{post['id']}", name=None)["status"] == "visible"


def test_a_post_is_moderated_on_its_page(board, admin_page, check_accessible, faults):
    page, title = admin_page, board.fresh("공지")
    category = board.fresh("분류")
    post = board.post(title=title, name="ana", category=category)

    page.goto(f"/posts/{post['id']}")
    panel = page.get_by_role("region", name="관리")
    act(page, panel.get_by_role("button", name="분류에 고정"))
    expect(panel).to_contain_text("이 분류의 첫 페이지에 고정된 글입니다.")
    act(page, panel.get_by_role("button", name="고정 해제"))
    expect(panel.get_by_text("고정된 글입니다.")).to_be_hidden()
    pinned = [board.post(title=f"{title} {number}", category=category) for number in range(10)]
    for each in pinned:
        board.call("PUT", f"/posts/{each['id']}/pin", admin=True, json={"scope": "category"})
    faults.expect("status of 409")
    panel.get_by_role("button", name="분류에 고정").click()
    page.get_by_role("dialog").get_by_role("button", name="분류에 고정").click()
    expect(page.get_by_role("alert")).to_contain_text("고정 게시글은 10개까지입니다.")
    page.keyboard.press("Escape")

    act(page, panel.get_by_role("button", name="숨기기"), reason="확인 중")
    expect(panel).to_contain_text("관리자가 숨긴 글입니다.")
    expect(panel.get_by_role("button", name="공개하기")).to_be_focused()
    act(page, panel.get_by_role("button", name="삭제"))
    expect(panel).to_contain_text("삭제된 글입니다.")
    faults.expect("status of 404")  # of the document: for everybody else there is no such post
    page.reload()
    expect(panel).to_contain_text("삭제된 글입니다.")
    check_accessible(page)
    act(page, panel.get_by_role("button", name="완전히 지우기"), confirm=post["No"])
    expect(page).to_have_url(re.compile(f"/admin/log.post_id={post['id']}"))
    expect(page.get_by_role("row").nth(1)).to_contain_text("글 완전히 지움")
    expect(page.get_by_role("row")).to_have_count(1 + 5)


def test_what_is_typed_in_a_dialog_outlives_the_session(board, page, sign_in, faults):
    post, reader, words = board.post(), board.fresh("reader"), "세 번째 문단을 보세요"
    sign_in(page, reader)
    page.goto(f"/posts/{post['id']}")
    page.get_by_role("button", name="신고").click()
    page.get_by_role("radio", name="기타").check()
    page.get_by_label("자세한 내용").fill(words)

    expired = refusal("token_expired", 401, "만료")
    page.route("**/reports", lambda route: route.fulfill(status=401, json=expired), times=1)
    page.route("**/dev/token", lambda route: route.fulfill(status=400, json=expired), times=1)
    faults.expect("status of 401", "status of 400")
    page.get_by_role("button", name="신고하기").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("navigation", name="주 메뉴").get_by_role("link", name="로그인")).to_be_visible()

    sign_in(page, reader)
    page.get_by_role("button", name="신고").click()
    expect(page.get_by_label("자세한 내용")).to_have_value(words)
    page.get_by_role("button", name="취소").click()
    page.get_by_role("button", name="신고").click()
    expect(page.get_by_label("자세한 내용")).to_have_value("")


def test_categories_are_ordered_merged_and_deleted(board, admin_page, check_accessible, faults):
    page = admin_page
    first, second, empty = (board.fresh(word) for word in ("가행", "나행", "빈"))
    for number in range(3):
        board.post(title=f"글 {number}", category=first)
    board.post(category=second)

    page.goto("/admin/categories")
    page.get_by_role("form", name="분류 만들기").get_by_label("이름").fill(empty)
    page.keyboard.press("Enter")
    row = page.get_by_role("row")
    expect(row.filter(has_text=empty)).to_be_visible()
    names = page.get_by_role("rowheader")
    both = names.filter(has_text=re.compile(f"{first}|{second}"))

    expect(both).to_have_text([first, second])
    up = page.get_by_role("button", name=f"{second} 위로")
    place = names.all_inner_texts().index(second)
    up.click()
    expect(page.get_by_role("status").filter(has_text=f"{second}: {place}번째로 옮겼습니다.")).to_be_visible()
    expect(both).to_have_text([second, first])
    position = page.get_by_label(f"{second} 순서", exact=True)
    position.fill("x")
    position.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("정수를 입력하세요.")
    position.fill("7")
    position.press("Enter")
    expect(names.last).to_have_text(second)
    check_accessible(page)

    act(page, page.get_by_role("button", name=f"닫기: {first}"))
    expect(row.filter(has_text=first)).to_contain_text("닫힘")
    expect(page.get_by_role("button", name=f"열기: {first}")).to_be_focused()
    faults.expect("status of 409")
    page.get_by_role("button", name=f"삭제: {first}").click()
    page.get_by_role("dialog").get_by_role("button", name="삭제").click()
    expect(page.get_by_role("alert")).to_contain_text("게시글이 있는 카테고리입니다.")
    page.keyboard.press("Escape")

    asked = []

    def half_way(route):
        answer = route.fetch()
        asked.append(answer.status)
        if len(asked) > 1:
            return route.fulfill(response=answer)
        body = answer.json()
        body["data"] |= {"state": "running", "done": 1}
        return route.fulfill(response=answer, status=202, json=body)

    page.route("**/merge", half_way)
    page.get_by_role("button", name=f"합치기: {first}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("모두 3개를 옮기고")
    dialog.get_by_role("button", name="합치기").click()
    expect(dialog.get_by_label("합칠 분류")).to_be_focused()
    dialog.get_by_label("합칠 분류").select_option(second)
    check_accessible(page)
    dialog.get_by_role("button", name="합치기").click()
    expect(page.get_by_role("status").filter(has_text=f"글 3개를 {second}(으)로 옮겼습니다.")).to_be_visible()
    assert asked == [200, 200]
    expect(row.filter(has_text=second)).to_contain_text("4")
    expect(row.filter(has_text=first)).to_be_hidden()
    act(page, page.get_by_role("button", name=f"삭제: {empty}"))
    expect(row.filter(has_text=empty)).to_be_hidden()
    page.get_by_role("link", name="기록").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("분류 삭제")
    expect(page.get_by_role("row").nth(2)).to_contain_text(f"합친 곳: {second}")


def test_several_posts_at_once_by_keyboard_on_a_small_screen(board, open_page, sign_in, check_accessible, faults):
    word, admin = board.fresh("묶음"), board.fresh("root")
    posts = [board.post(title=f"{word} {number}") for number in range(3)]
    page = open_page(width=320, color_scheme="dark")
    sign_in(page, admin, admin=True)
    page.goto(f"/admin/posts?q={word}")
    everything = page.get_by_label("이 페이지의 글 모두 선택")
    everything.focus()
    page.keyboard.press("Space")
    board.call("DELETE", f"/posts/{posts[0]['id']}", admin=True)
    board.call("DELETE", f"/admin/posts/{posts[0]['id']}", admin=True)
    faults.expect("status of 404")
    hide = page.get_by_role("button", name="선택한 글 숨기기")
    hide.focus()
    page.keyboard.press("Enter")
    page.keyboard.type("도배")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("2개를 처리했고, 1개는 처리하지 못했습니다.")
    expect(dialog).to_contain_text(f"{word} 0: 게시글을 찾을 수 없습니다.")
    check_accessible(page)
    page.keyboard.press("Enter")
    expect(hide).to_be_focused()
    expect(page.get_by_role("article", name=f"{word} 1")).to_contain_text("관리자가 숨김")
    check_accessible(page)
    for path in ("reports", "posts", "categories", "log"):
        page.goto(f"/admin/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        check_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path


def test_others_are_told_that_the_pages_are_for_admins(board, page, sign_in, check_accessible):
    page.goto("/admin/log")
    expect(page.get_by_role("main")).to_contain_text("로그인하세요")
    expect(page.get_by_role("main").get_by_role("link", name="로그인")).to_have_attribute("href", re.compile("admin"))
    sign_in(page, board.fresh("reader"))
    expect(page.get_by_role("main")).to_contain_text("관리자만 볼 수 있는 페이지입니다.")
    check_accessible(page)
