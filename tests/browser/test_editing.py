"""Authors: a post edited, also by two at once; hidden, shown and deleted, with an undo."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.image_samples import plain_png

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.board import Board

LINES = "\n".join(f"줄 {number}" for number in range(1, 10))


def content_of(board: Board, post: dict[str, Any]) -> str:
    content: str = board.call("GET", f"/posts/{post['id']}")["content"]
    return content


def save(page: Page) -> None:
    page.get_by_role("button", name="저장", exact=True).click()


def test_a_post_is_edited_with_a_picture_and_a_reload_between(board, page, sign_in, faults):
    name, title = board.fresh(), board.fresh("고칠 글")
    post = board.post(title=title, content="처음 글", name=name)
    sign_in(page, name)
    page.goto(f"/posts/{post['id']}")
    page.get_by_role("link", name="수정").click()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.get_by_label("내용").fill("고친 글")

    page.reload()
    expect(page.get_by_role("region", name="저장하지 않은 수정이 있습니다")).to_contain_text("고친 글")
    page.get_by_role("button", name="이어서 쓰기").click()
    picture = {"name": "a.png", "mimeType": "image/png", "buffer": plain_png()}
    page.locator("input[type=file]").set_input_files([picture])  # changes the post's version, and is no conflict
    expect(page.get_by_role("listitem").filter(has_text="a.png")).to_contain_text("올렸습니다")
    save(page)

    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.get_by_text("고친 글")).to_be_visible()
    assert content_of(board, post) == "고친 글"


def test_a_lost_update_is_shown_as_both_texts(board, open_page, sign_in, faults, check_accessible):
    name = board.fresh()
    post = board.post(title=board.fresh("함께"), content=LINES, name=name)
    first, second = open_page(), open_page(width=320, color_scheme="dark")
    for page in (first, second):
        sign_in(page, name)
        page.goto(f"/posts/{post['id']}/edit")
        expect(page.get_by_label("내용")).to_have_value(LINES)
    faults.expect("status of 412")

    first.get_by_label("내용").fill(LINES.replace("줄 9", "먼저 고친 줄"))
    save(first)
    expect(first.get_by_role("heading", level=1)).to_have_text(post["title"])
    expect(first.get_by_text("먼저 고친 줄")).to_be_visible()
    second.get_by_label("내용").fill(LINES.replace("줄 9", "나중에 고친 줄"))
    save(second)

    expect(second.get_by_role("heading", name="다른 곳에서 이 글을 먼저 수정했습니다")).to_be_focused()
    theirs, mine = (second.get_by_role("region", name=side) for side in ("먼저 저장된 글", "내가 쓴 글"))
    expect(theirs.get_by_role("mark")).to_have_text(["다름: 먼저 고친 줄"])
    expect(mine.get_by_role("mark")).to_have_text(["다름: 나중에 고친 줄"])
    expect(mine).to_contain_text("같은 줄")  # those far from the difference are folded
    check_accessible(second)
    assert second.evaluate("document.documentElement.scrollWidth <= innerWidth")
    boxes = [side.bounding_box() for side in (theirs, mine)]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
    assert "먼저 고친 줄" in content_of(board, post)

    second.get_by_role("button", name="저장된 글 받기").click()
    expect(second.get_by_label("내용")).to_have_value(re.compile("먼저 고친 줄"))
    second.get_by_role("button", name="되돌리기").click()
    expect(second.get_by_label("내용")).to_have_value(re.compile("나중에 고친 줄"))
    save(second)
    expect(second.get_by_role("heading", level=1)).to_have_text(post["title"])
    expect(second.get_by_text("나중에 고친 줄")).to_be_visible()
    assert "나중에 고친 줄" in content_of(board, post)


def test_after_a_lost_update_one_goes_on_with_the_own_text_or_saves_it(board, page, sign_in, faults):
    name = board.fresh()
    post = board.post(title=board.fresh("함께"), content="처음", name=name)
    sign_in(page, name)
    faults.expect("status of 412")
    content = page.get_by_label("내용")

    page.goto(f"/posts/{post['id']}/edit")
    content.fill("내 글")
    board.call("PATCH", f"/posts/{post['id']}", name=name, json={"content": "남의 글"})
    save(page)
    page.get_by_role("button", name="내 글 계속 고치기").click()
    expect(content).to_be_focused()
    page.get_by_text("먼저 저장된 글 보기").click()
    expect(page.get_by_role("region", name="먼저 저장된 글")).to_contain_text("남의 글")
    content.fill("내 글과 남의 글")
    board.call("PATCH", f"/posts/{post['id']}", name=name, json={"content": "남의 새 글"})
    save(page)

    page.get_by_role("button", name="내 글로 저장").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(post["title"])
    expect(page.get_by_text("내 글과 남의 글")).to_be_visible()
    assert content_of(board, post) == "내 글과 남의 글"


def test_a_post_that_was_deleted_meanwhile_becomes_a_new_one(board, page, sign_in, faults):
    name, title = board.fresh(), board.fresh("삭제된")
    post = board.post(title=title, content="처음", name=name)
    sign_in(page, name)
    page.goto(f"/posts/{post['id']}/edit")
    page.get_by_label("내용").fill("오래 고친 글")
    board.call("DELETE", f"/posts/{post['id']}", name=name)
    faults.expect("status of 404")

    page.reload()
    expect(page.get_by_role("region", name="저장하지 않은 수정이 있습니다")).to_contain_text("이 글은 삭제되었습니다")
    page.get_by_role("button", name="버리기").click()
    expect(page.get_by_role("alert")).to_contain_text("게시글을 찾을 수 없습니다")
    page.get_by_role("button", name="되돌리기").click()
    expect(page.get_by_label("내용")).to_have_value("오래 고친 글")
    save(page)
    expect(page.get_by_role("alert")).to_contain_text("이 글은 삭제되었습니다")
    page.get_by_role("button", name="새 글로 올리기").click()
    expect(page).to_have_url(re.compile("/write$"))
    page.get_by_role("button", name="올리기", exact=True).click()

    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    [new] = board.call("GET", "/posts/my", name=name)
    assert (new["content"], new["status"]) == ("오래 고친 글", "visible")
    assert new["id"] != post["id"]


def test_an_author_hides_shows_and_deletes_with_an_undo(board, page, sign_in, check_accessible):
    name, title = board.fresh(), board.fresh("내 글")
    post = board.post(title=title, name=name)
    sign_in(page, name)
    page.goto(f"/posts/{post['id']}")

    def status() -> list[str]:
        return [mine["status"] for mine in board.call("GET", "/posts/my", name=name)]

    page.get_by_role("button", name="숨기기").click()
    expect(page.get_by_role("status").filter(has_text="이제 나만 볼 수 있습니다")).to_be_visible()
    assert status() == ["hidden"]
    page.get_by_role("button", name="공개하기").press("Enter")
    expect(page.get_by_role("button", name="숨기기")).to_be_focused()
    assert status() == ["visible"]
    check_accessible(page)

    page.get_by_role("button", name="삭제").click()
    expect(page).to_have_url(re.compile("/$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("게시판")
    page.get_by_role("button", name="되돌리기").click()
    page.goto(f"/posts/{post['id']}")
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    assert status() == ["visible"]
    page.get_by_role("button", name="삭제").click()
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as deleted:
        page.get_by_role("button", name="닫기").click()
    assert deleted.value.ok
    assert status() == []
