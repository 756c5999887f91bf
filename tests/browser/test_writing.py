"""Writers: a new post, its draft in the browser and on the service, and one post however often it is sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.browser.routes import hold, refusal
from tests.image_samples import plain_png

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

    from tests.browser.board import Board

POSTS = re.compile(r"/api/v1/posts$")


def write(page: Page, title: str, content: str, category: str | None = None) -> None:
    page.get_by_label("제목", exact=True).fill(title)
    page.get_by_label("내용").fill(content)
    if category is not None:
        page.get_by_label("분류").fill(category)


def titles_of(board: Board, name: str) -> list[str]:
    return [post["title"] for post in board.call("GET", "/posts/my", name=name)]


def test_a_post_is_written_by_keyboard_alone(board, page, sign_in, check_accessible):
    name, title, category = board.fresh(), board.fresh("고양이"), board.fresh("분류")
    page.goto("/write")
    expect(page).to_have_url(re.compile("/sign-in"))  # and back, once somebody is signed in
    sign_in(page, name)

    page.goto("/write")
    page.get_by_label("제목", exact=True).focus()
    page.keyboard.type(title)
    page.keyboard.press("Enter")  # publishes nothing
    page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type(category)
    page.keyboard.press("Escape")  # closes the list of categories
    page.keyboard.press("Tab")
    page.keyboard.type("첫 줄\n둘째 줄 <b>글자</b>")
    check_accessible(page)
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="올리기")).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    [post] = board.call("GET", "/posts/my", name=name)
    assert (post["status"], post["category"], post["content"]) == ("visible", category, "첫 줄\n둘째 줄 <b>글자</b>")
    page.goto("/write")  # nothing is left to go on with
    expect(page.get_by_label("제목", exact=True)).to_have_value("")


def test_limits_and_refusals_are_said_at_their_field(board, page, sign_in, faults, check_accessible):
    name = board.fresh()
    sign_in(page, name)
    page.goto("/write")
    title, content = page.get_by_label("제목", exact=True), page.get_by_label("내용")
    publish = page.get_by_role("button", name="올리기")

    publish.click()
    expect(title).to_be_focused()
    expect(title).to_have_accessible_description(re.compile("비워 둘 수 없습니다"))
    expect(content).to_have_accessible_description(re.compile("비워 둘 수 없습니다"))
    check_accessible(page)

    title.fill("가" * 185)
    expect(title).to_have_accessible_description(re.compile("185/200자"))
    title.fill("가" * 201)
    expect(title).to_have_accessible_description(re.compile("200자 이하여야 합니다"))
    title.fill("제목")
    content.fill("가" * 21846)  # 65,538 bytes
    expect(content).to_have_accessible_description(re.compile("65,538/65,535바이트"))
    publish.click()
    expect(content).to_be_focused()

    faults.expect("status of 400")
    content.fill("제어 문자 \x01")
    publish.click()
    expect(content).to_be_focused()
    expect(content).to_have_accessible_description(re.compile("제어 문자를 쓸 수 없습니다"))
    faults.expect("status of 403")
    closed = board.call("POST", "/categories", json={"name": board.fresh("닫힘")})
    board.call("PATCH", f"/categories/{closed['id']}", name="root", admin=True, json={"is_open": False})
    write(page, "제목", "글", closed["name"])
    publish.click()
    expect(page.get_by_label("분류")).to_be_focused()
    expect(page.get_by_label("분류")).to_have_accessible_description(re.compile("새 글을 받지 않는 카테고리입니다"))
    assert titles_of(board, name) == []


def test_a_draft_survives_a_reload_and_can_be_discarded_and_taken_back(board, page, sign_in, check_accessible):
    name, title = board.fresh(), board.fresh("쓰던 글")
    sign_in(page, name)
    page.goto("/write")
    write(page, title, "아직 다 쓰지 못한 글")

    page.reload()
    offer = page.get_by_role("region", name="쓰던 글이 있습니다")
    expect(offer).to_contain_text(title)
    check_accessible(page)
    offer.get_by_role("button", name="버리기").click()
    expect(page.get_by_label("제목", exact=True)).to_have_value("")
    page.get_by_role("button", name="되돌리기").click()
    expect(page.get_by_label("제목", exact=True)).to_have_value(title)
    expect(page.get_by_label("내용")).to_be_focused()

    page.reload()
    page.get_by_role("button", name="버리기").click()
    page.get_by_role("link", name="게시판").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("게시판")
    page.get_by_role("button", name="되돌리기").click()  # on another page
    expect(page).to_have_url(re.compile("/write$"))
    expect(page.get_by_label("제목", exact=True)).to_have_value(title)

    sign_in(page, board.fresh())  # another user sees nothing of it
    page.goto("/write")
    expect(page.get_by_label("제목", exact=True)).to_have_value("")
    sign_in(page, name)
    page.goto("/write")
    page.get_by_role("button", name="이어서 쓰기").click()
    page.get_by_role("button", name="올리기").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    assert titles_of(board, name) == [title]


def test_a_draft_on_the_service_is_published_from_its_own_address(board, page, open_page, sign_in, check_accessible):
    name, title = board.fresh(), board.fresh("임시 글")
    sign_in(page, name)
    page.goto("/write")
    page.get_by_label("내용").fill("제목은 아직 없습니다.")
    page.get_by_role("button", name="임시 저장").click()
    expect(page.get_by_text("아직 나만 볼 수 있습니다")).to_be_visible()
    expect(page).to_have_url(re.compile("/posts/[0-9a-f]{32}/edit$"))
    [draft] = board.call("GET", "/posts/my", name=name)
    assert draft["status"] == "hidden"

    page.reload()  # the service has all of it, so nothing is offered
    expect(page.get_by_label("내용")).to_have_value("제목은 아직 없습니다.")
    expect(page.get_by_label("제목", exact=True)).to_have_value("")
    check_accessible(page)
    page.get_by_label("제목", exact=True).fill(title)
    page.get_by_role("button", name="올리기").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    [post] = board.call("GET", "/posts/my", name=name)
    assert (post["id"], post["status"], post["title"]) == (draft["id"], "visible", title)

    other = open_page()
    sign_in(other, board.fresh())
    other.goto(f"/posts/{post['id']}/edit")
    expect(other.get_by_text("작성자와 관리자만 수정할 수 있습니다")).to_be_visible()


def test_a_post_is_published_with_its_pictures_after_its_form_was_left(board, page, sign_in, faults):
    name, title, refused = board.fresh(), board.fresh("먼저 감"), board.fresh("못 감")
    sign_in(page, name)
    page.goto("/write")
    write(page, title, "사진은 나중에")
    hold(page, "**/media")
    files: list[Any] = [{"name": f"{n}.png", "mimeType": "image/png", "buffer": plain_png()} for n in range(3)]
    page.locator("input[type=file]").set_input_files(files)
    page.get_by_role("button", name="올리기").click()
    page.get_by_role("link", name="게시판").click()
    page.unroute("**/media")  # those that are held go on
    expect(page.get_by_text("글을 올렸습니다.")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("link", name=title)).to_be_visible()
    [post] = board.call("GET", "/posts/my", name=name)
    assert (post["title"], post["status"], post["media_count"]) == (title, "visible", 3)

    faults.expect("ERR_FAILED")
    page.get_by_role("link", name="글쓰기").click()
    write(page, refused, "답이 없음")
    held = hold(page, POSTS)
    with page.expect_request(POSTS):
        page.get_by_role("button", name="올리기").click()
    expect(page.get_by_role("button", name="올리는 중…")).to_be_visible()
    page.get_by_role("link", name="내 글").click()
    for creation in held:
        creation.abort()
    page.unroute(POSTS)
    expect(page.get_by_text("글을 저장하지 못했습니다. 서버에 연결할 수 없습니다")).to_be_visible()
    page.get_by_role("button", name="이어서 쓰기").click()
    expect(page.get_by_label("제목", exact=True)).to_have_value(refused)


def test_a_browser_that_keeps_nothing_shows_the_board_and_says_what_it_does_not_keep(board, page):
    refuse = "{ get() { throw new DOMException('denied', 'SecurityError'); } }"
    names = "['localStorage', 'sessionStorage']"
    page.add_init_script(f"for (const name of {names}) Object.defineProperty(window, name, {refuse});")
    name, title = board.fresh(), board.fresh("한 번")
    page.goto("/")
    page.get_by_role("button", name="English").click()
    page.get_by_role("button", name="한국어").click()
    page.get_by_role("link", name="로그인").click()
    page.get_by_label("이름").fill(name)
    page.get_by_role("main").get_by_role("button", name="로그인").click()
    page.get_by_role("link", name="글쓰기").click()
    write(page, title, "창을 닫으면 사라지는 글")
    expect(page.get_by_text("이 브라우저에 글을 보관하지 못했습니다.")).to_be_visible()

    page.get_by_role("button", name="올리기").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)


def test_pressing_twice_creates_one_post(board, page, sign_in):
    name, title = board.fresh(), board.fresh("두 번")
    sign_in(page, name)
    page.goto("/write")
    write(page, title, "한 번만")

    page.get_by_role("button", name="올리기").dblclick()

    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    assert titles_of(board, name) == [title]


def test_a_text_that_was_changed_after_a_lost_answer_is_one_post(board, page, sign_in, faults):
    name, first, last = board.fresh(), board.fresh("첫"), board.fresh("끝")
    keys: list[str | None] = []

    def lose_the_answer(route: Route) -> None:
        keys.append(route.request.headers.get("idempotency-key"))
        route.fetch()
        route.abort()

    sign_in(page, name)
    page.goto("/write")
    write(page, first, "글")
    page.route(POSTS, lose_the_answer, times=1)
    faults.expect("ERR_FAILED")
    page.get_by_role("button", name="올리기").click()
    expect(page.get_by_role("alert")).to_contain_text("서버에 연결할 수 없습니다")
    expect(page.get_by_text("쓴 글은 이 브라우저에 보관했습니다")).to_be_visible()

    page.reload()
    page.get_by_role("button", name="이어서 쓰기").click()
    page.get_by_label("제목", exact=True).fill(last)
    page.route(POSTS, lambda route: (keys.append(route.request.headers.get("idempotency-key")), route.continue_()))
    page.get_by_role("button", name="올리기").click()

    expect(page.get_by_role("heading", level=1)).to_have_text(last)
    assert titles_of(board, name) == [last]
    assert len(keys) == 2
    assert keys[0] == keys[1] is not None


def test_without_a_connection_or_a_service_the_text_stays_and_is_sent_later(board, page, sign_in, faults):
    name, title = board.fresh(), board.fresh("기차에서")
    sign_in(page, name)
    page.goto("/")
    faults.expect("ERR_INTERNET_DISCONNECTED", "Unable to preload CSS|dynamically imported module")
    menu = page.get_by_role("link", name="글쓰기")
    expect(menu).to_be_visible()
    page.context.set_offline(True)
    menu.click()  # its code has not come yet
    expect(page.get_by_role("heading", level=1, name="화면을 표시하지 못했습니다.")).to_be_focused()
    expect(page.get_by_role("main")).to_contain_text("인터넷 연결을 확인하고 새로 고치세요.")
    page.context.set_offline(False)
    page.get_by_role("button", name="새로 고침").click()
    write(page, title, "터널 안에서 쓴 글")
    page.context.set_offline(True)

    page.get_by_role("button", name="임시 저장").click()
    expect(page.get_by_role("alert")).to_contain_text("서버에 연결할 수 없습니다")
    expect(page.get_by_label("제목", exact=True)).to_have_value(title)
    page.context.set_offline(False)
    away = refusal("database_unavailable", 503, "데이터베이스에 연결할 수 없습니다.", request_id="abc")
    page.route(POSTS, lambda route: route.fulfill(status=503, json=away), times=1)
    faults.expect("status of 503")
    page.get_by_role("button", name="올리기").click()
    expect(page.get_by_role("alert")).to_contain_text("데이터베이스에 연결할 수 없습니다.")
    expect(page.get_by_role("alert")).to_contain_text("abc")
    page.get_by_role("button", name="올리기").click()

    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    assert titles_of(board, name) == [title]


def test_a_session_that_ends_while_writing_loses_no_text(board, page, sign_in, faults):
    name, title = board.fresh(), board.fresh("만료")
    sign_in(page, name)
    page.goto("/write")
    write(page, title, "길게 쓴 글")
    expired = refusal("token_expired", 401, "만료")
    page.route(POSTS, lambda route: route.fulfill(status=401, json=expired), times=1)
    page.evaluate("sessionStorage.clear()")  # so that there is no other token
    faults.expect("status of 401")

    page.get_by_role("button", name="올리기").click()
    expect(page.get_by_role("alert")).to_contain_text("로그인이 끝났습니다")
    expect(page.get_by_label("제목", exact=True)).to_have_value(title)
    page.get_by_role("alert").get_by_role("link", name="로그인").click()
    page.get_by_label("이름").fill(name)
    page.get_by_role("main").get_by_role("button", name="로그인").click()

    expect(page).to_have_url(re.compile("/write$"))
    expect(page.get_by_label("제목", exact=True)).to_have_value(title)  # without a question
    page.get_by_role("button", name="올리기").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)


def test_writing_in_english_in_the_dark_on_a_narrow_screen(board, open_page, sign_in, check_accessible):
    name, title = board.fresh(), board.fresh("A very narrow title ")
    page = open_page(width=320, locale="en-US", color_scheme="dark")
    sign_in(page, name)
    page.goto("/write")
    page.get_by_label("Title").fill(title)
    page.get_by_label("Text").fill("word " * 40 + "a" * 200)
    files: list[Any] = [{"name": "a.png", "mimeType": "image/png", "buffer": plain_png()}]
    page.locator("input[type=file]").set_input_files(files)
    expect(page.get_by_role("listitem").filter(has_text="a.png")).to_contain_text("Uploaded")
    check_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title.strip())
