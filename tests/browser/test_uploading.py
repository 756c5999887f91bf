"""Pictures of a post that is being written: by button, drop and paste, each with its progress and its refusal."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.browser.routes import hold, refusal
from tests.image_samples import MAX_BYTES, corners, encoded, plain_png

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

    from tests.browser.board import Board

UPLOADS = re.compile(r"/api/v1/posts/[0-9a-f]{32}/media$")
TRANSFER = """(files) => {
    const transfer = new DataTransfer();
    for (const { name, mimeType, content } of files) {
        const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
        transfer.items.add(new File([bytes], name, { type: mimeType }));
    }
    return transfer;
}"""
PASTE = """(field, transfer) => {
    const event = new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true });
    return !field.dispatchEvent(event);
}"""


def a_file(name: str, content: bytes, mime_type: str = "image/png") -> dict[str, Any]:
    return {"name": name, "mimeType": mime_type, "buffer": content}


def transfer_of(page: Page, *files: dict[str, Any]) -> Any:
    sent = [{**file, "content": base64.b64encode(file["buffer"]).decode(), "buffer": None} for file in files]
    return page.evaluate_handle(TRANSFER, sent)


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem").filter(has_text=name)


def names_of(board: Board, post_id: str, name: str) -> list[str]:
    post = board.call("GET", f"/posts/{post_id}", name=name)
    return sorted(file["file_name"] for file in post["media_files"])


def test_pictures_come_by_button_drop_and_paste_and_are_refused_one_by_one(
    board, page, sign_in, faults, check_accessible
):
    name, title = board.fresh(), board.fresh("사진")
    sign_in(page, name)
    page.goto("/write")
    page.get_by_label("제목", exact=True).fill(title)
    content = page.get_by_label("내용")
    content.fill("사진 세 장")
    faults.expect("status of 400")

    hold(page, "**/media")  # until all are there: they are one batch to who listens
    large = a_file("큰.jpg", b"\xff\xd8\xff" + bytes(MAX_BYTES), "image/jpeg")
    chosen = [a_file("하나.png", plain_png()), a_file("가짜.png", b"no picture"), large]
    page.locator("input[type=file]").set_input_files(chosen)
    page.locator("form").dispatch_event(
        "drop", {"dataTransfer": transfer_of(page, a_file("둘.gif", encoded(corners(), "GIF"), "image/gif"))}
    )
    jpeg = a_file("셋.jpg", encoded(corners(), "JPEG"), "image/jpeg")
    assert content.evaluate(PASTE, transfer_of(page, jpeg))
    page.unroute("**/media")

    for stored in ("하나.png", "둘.gif", "셋.jpg"):
        expect(card(page, stored)).to_contain_text("올렸습니다")
    expect(page.get_by_role("heading", level=1)).to_have_text("글쓰기")  # a draft by now, but new to its author
    expect(card(page, "가짜.png")).to_contain_text("JPEG, PNG, GIF, WebP 이미지가 아닙니다")
    expect(card(page, "가짜.png").get_by_role("button", name="다시 시도")).to_have_count(0)
    expect(card(page, "큰.jpg")).to_contain_text("이미지 파일은 5 MiB 이하여야 합니다")
    expect(page.get_by_role("status").filter(has_text="2장은 올리지 못했습니다")).to_have_count(1)
    [draft] = board.call("GET", "/posts/my", name=name)
    assert (draft["status"], draft["title"]) == ("hidden", title)
    expect(content).to_have_value("사진 세 장")
    check_accessible(page)

    publish = page.get_by_role("button", name="올리기", exact=True)
    publish.click()  # a refused picture is not left out in silence
    expect(page.get_by_role("alert")).to_contain_text("올리지 못한 사진이 있습니다")
    expect(page.get_by_role("button", name="빼기: 가짜.png")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="사진 추가")).to_be_focused()
    page.get_by_role("button", name="빼기: 큰.jpg").click()
    publish.click()

    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    [post] = board.call("GET", "/posts/my", name=name)
    assert (post["id"], post["status"]) == (draft["id"], "visible")
    assert names_of(board, post["id"], name) == sorted(["하나.png", "둘.gif", "셋.jpg"])
    expect(page.get_by_role("main").get_by_role("img")).to_have_count(3)


def test_uploads_that_fail_are_tried_again_and_never_stored_twice(board, page, sign_in, faults):
    name = board.fresh()
    post = board.post(title=board.fresh("재시도"), name=name)
    sign_in(page, name)
    page.goto(f"/posts/{post['id']}/edit")
    pick = page.locator("input[type=file]")
    busy = refusal("overloaded", 503, "요청이 많습니다.")

    faults.expect("status of 503", "ERR_FAILED")
    page.route(UPLOADS, lambda route: route.fulfill(status=503, headers={"Retry-After": "5"}, json=busy), times=1)
    pick.set_input_files([a_file("바쁨.png", plain_png())])
    expect(card(page, "바쁨.png")).to_contain_text("요청이 많습니다. 5초 뒤에 다시 시도하세요.")
    page.get_by_role("button", name="다시 시도: 바쁨.png").click()
    expect(card(page, "바쁨.png")).to_contain_text("올렸습니다")

    def lose_the_answer(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route(UPLOADS, lose_the_answer, times=1)
    pick.set_input_files([a_file("유실.png", plain_png())])
    expect(card(page, "유실.png")).to_contain_text("서버에 연결할 수 없습니다")
    page.get_by_role("button", name="다시 시도: 유실.png").click()
    expect(card(page, "유실.png")).to_contain_text("올렸습니다")

    assert names_of(board, post["id"], name) == sorted(["바쁨.png", "유실.png"])


def test_the_eleventh_picture_has_room_once_another_is_taken_out(board, page, sign_in, check_accessible):
    name, title = board.fresh(), board.fresh("열 장")
    post = board.post(title=title, name=name)
    board.upload(post["id"], *[plain_png()] * 10, name=name)
    sign_in(page, name)
    page.goto(f"/posts/{post['id']}/edit")

    page.get_by_role("button", name="빼기: 3.png", exact=True).click()
    expect(card(page, "3.png")).to_contain_text("저장할 때 지웁니다")
    page.get_by_role("button", name="되돌리기: 3.png").click()
    expect(page.get_by_text("모두 10장까지")).to_be_visible()
    page.locator("input[type=file]").set_input_files([a_file("열하나.png", plain_png())])
    expect(card(page, "열하나.png")).to_contain_text("이미지는 10개까지 올릴 수 있습니다")
    check_accessible(page)
    assert len(names_of(board, post["id"], name)) == 10

    page.get_by_role("button", name="빼기: 7.png").click()
    page.get_by_role("button", name="다시 시도: 열하나.png").click()
    expect(card(page, "열하나.png")).to_contain_text("올렸습니다")
    page.get_by_role("button", name="빼기: 1.png", exact=True).click()
    page.get_by_role("button", name="저장", exact=True).click()

    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    kept = {f"{number}.png" for number in range(1, 11)} - {"7.png", "1.png"}
    assert names_of(board, post["id"], name) == sorted({*kept, "열하나.png"})


def test_publishing_waits_for_the_pictures_and_a_reload_between_loses_no_text(board, page, sign_in):
    name, title = board.fresh(), board.fresh("기다림")
    sign_in(page, name)
    page.goto("/write")
    page.get_by_label("제목", exact=True).fill(title)
    page.get_by_label("내용").fill("사진을 기다리는 글")
    hold(page, UPLOADS)
    page.locator("input[type=file]").set_input_files([a_file(f"{number}.png", plain_png()) for number in range(3)])
    expect(page.get_by_role("progressbar")).to_have_count(2)
    expect(card(page, "2.png")).to_contain_text("기다리는 중")
    expect(page.get_by_role("status").filter(has_text="사진 3장을 올리는 중입니다")).to_have_count(1)
    page.get_by_role("button", name="올리기", exact=True).click()
    expect(page.get_by_text("사진을 모두 올리면 저장합니다")).to_be_visible()

    page.once("dialog", lambda dialog: dialog.accept())  # the browser asks before it drops the uploads
    page.reload()
    page.unroute(UPLOADS)
    expect(page).to_have_url(re.compile(r"/posts/[0-9a-f]{32}/edit$"))
    expect(page.get_by_label("제목", exact=True)).to_have_value(title)
    expect(page.get_by_label("내용")).to_have_value("사진을 기다리는 글")
    [draft] = board.call("GET", "/posts/my", name=name)
    assert (draft["status"], draft["media_count"]) == ("hidden", 0)

    page.locator("input[type=file]").set_input_files([a_file("다시.png", plain_png())])
    page.get_by_role("button", name="올리기", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    [post] = board.call("GET", "/posts/my", name=name)
    assert (post["id"], post["status"], post["media_count"]) == (draft["id"], "visible", 1)
