"""Readers: the list and its pages, search, a post with pictures, likes, languages, hostile text, no service."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests
from PIL import Image
from playwright.sync_api import expect

from tests.browser.quality import check_narrow, check_still, watch_shifts
from tests.browser.routes import hold, refusal
from tests.image_samples import encoded, plain_png, scene
from tests.servers import HANG_SECONDS, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.browser.board import Board

LIKES = re.compile(r"/api/v1/posts/[0-9a-f]{32}/like$")
SCREEN = 800


def titles(page: Page) -> Locator:
    """Return the titles of the list's rows, in order."""
    return page.get_by_role("article").get_by_role("heading", level=2).get_by_role("link")


def top_of(locator: Locator) -> int:
    return round(locator.evaluate("element => element.getBoundingClientRect().top"))


def test_a_category_and_a_search_narrow_the_list(board, open_page, faults, check_accessible):
    page = open_page(width=320)
    category, word = board.fresh("분류"), board.fresh("고양이")
    for title in ("강아지", f"{word} 사진", "여행"):
        board.post(title=title, category=category)
    board.post(title=f"{word} 밖에서")

    page.goto("/")
    page.get_by_text("분류: 전체").click()
    page.get_by_role("navigation", name="분류").get_by_role("link", name=category).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(category)
    expect(titles(page)).to_have_text(["여행", f"{word} 사진", "강아지"])
    check_accessible(page)

    field = page.get_by_role("textbox", name="제목 검색")
    field.fill(f" {word} ")
    field.press("Enter")
    expect(titles(page)).to_have_text([f"{word} 사진"])
    expect(page).to_have_url(f"{board.url}/?category={quote(category)}&q={quote(word)}")
    page.get_by_text(f"분류: {category}").click()
    page.get_by_role("navigation", name="분류").get_by_role("link", name="전체").click()
    expect(titles(page)).to_have_text([f"{word} 밖에서", f"{word} 사진"])

    field.fill(board.fresh("없는말"))
    field.press("Enter")
    expect(page.get_by_text("찾는 제목의 글이 없습니다.")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="글 0개")).to_be_visible()

    # Words that the service refuses: said at the field, and the list is not that of other words.
    faults.expect("status of 400")
    field.fill("ㅋ" * 101)
    field.press("Enter")
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description(re.compile("100자"))
    expect(page.get_by_role("article")).to_have_count(0)
    check_accessible(page)
    page.go_back()
    page.go_back()
    expect(field).to_have_value(word)
    page.get_by_role("button", name="검색 지우기").click()
    expect(field).to_be_focused()
    expect(page).to_have_url(f"{board.url}/")


def test_orders_periods_and_pinned_posts(board, page):
    category = board.fresh("분류")
    first, _, notice = (board.post(title=title, category=category) for title in ("처음", "다음", "공지글"))
    board.call("PUT", f"/posts/{first['id']}/like")
    board.call("PUT", f"/posts/{notice['id']}/pin", admin=True, json={"scope": "category"})

    page.goto(f"/?category={category}")
    expect(titles(page)).to_have_text(["공지글", "다음", "처음"])
    pinned = page.get_by_role("list", name="공지")
    expect(pinned).to_contain_text("공지글")
    assert top_of(pinned) < top_of(titles(page).first)

    page.get_by_role("link", name="인기").click()
    expect(titles(page)).to_have_text(["처음", "공지글", "다음"])
    periods = page.get_by_role("navigation", name="기간")
    expect(periods.get_by_role("link", name="전체")).to_have_attribute("aria-current", "true")
    with page.expect_request(lambda request: "sort=popular&period=week" in request.url):
        periods.get_by_role("link", name="한 주").click()
    expect(periods.get_by_role("link", name="한 주")).to_have_attribute("aria-current", "true")
    expect(titles(page)).to_have_text(["처음", "공지글", "다음"])
    page.reload()
    expect(periods.get_by_role("link", name="한 주")).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="최신").click()
    expect(titles(page)).to_have_text(["공지글", "다음", "처음"])
    expect(page).to_have_url(f"{board.url}/?category={quote(category)}")


def test_a_page_of_the_list_is_shared_and_gone_back_to(board, page, open_page, faults):
    category = board.fresh("분류")
    for number in range(41):
        board.post(title=f"글 {number}", category=category)

    page.goto(f"/?category={category}")
    page.get_by_role("link", name="다음").click()
    expect(titles(page)).to_have_text([f"글 {number}" for number in range(20, 0, -1)])
    expect(page.get_by_role("region", name=category)).to_be_focused()
    other = open_page(width=320)
    other.goto(page.url)
    expect(titles(other)).to_have_text([f"글 {number}" for number in range(20, 0, -1)])

    # Back by the browser, by the post's link and after a reload: to the same place.
    row = page.get_by_role("link", name="글 5", exact=True)
    row.scroll_into_view_if_needed()
    page.evaluate("scrollBy(0, 40)")
    for back in (page.go_back, page.get_by_role("link", name="목록으로").click, page.go_back):
        place = top_of(row)
        assert 0 < place < SCREEN
        row.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("글 5")
        assert page.evaluate("scrollY") == 0
        back()
        expect(row).to_be_in_viewport()
        assert top_of(row) == place
    page.reload()
    expect(row).to_be_in_viewport()
    assert top_of(row) == place

    page.get_by_role("link", name="다음").click()
    expect(titles(page)).to_have_text(["글 0"])
    for first in ("글 20", "글 40"):
        page.get_by_role("link", name="이전").click()
        expect(titles(page).first).to_have_text(first)
    faults.expect("status of 400")
    page.goto("/?cursor=broken")
    expect(page.get_by_role("alert")).to_contain_text("첫 페이지부터 보세요.")
    page.get_by_role("link", name="첫 페이지로").click()
    expect(titles(page).first).to_be_visible()


def test_a_post_shows_its_pictures_small_then_whole_and_nothing_jumps(board, page, check_accessible):
    title = board.fresh("사진")
    post = board.post(title=title, content="본문입니다")
    board.upload(post["id"], encoded(scene().resize((1200, 800), Image.Resampling.NEAREST), "PNG"), plain_png())
    watch_shifts(page)
    page.goto(f"/?q={title}")
    expect(page.locator(".thumbnail")).to_have_js_property("complete", value=True)
    whole = board.call("GET", f"/posts/{post['id']}")["media_files"][0]["url"]
    held = hold(page, f"**{whole.removeprefix(board.url)}")

    titles(page).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    picture = page.get_by_role("img", name="사진 1/2: 1.png")
    expect(page.locator(".picture-first").first).to_have_js_property("naturalWidth", 480)
    before = picture.bounding_box()
    assert before is not None
    assert round(before["width"] / before["height"], 2) == 1.5
    foot = top_of(page.get_by_role("button", name="좋아요"))
    check_accessible(page)
    for route in held:
        route.continue_()
    expect(page.locator(".picture-first")).to_have_count(0)

    expect(picture).to_have_js_property("currentSrc", whole)
    assert picture.bounding_box() == before
    assert top_of(page.get_by_role("button", name="좋아요")) == foot
    expect(page.get_by_role("img", name="사진 2/2: 2.png")).to_be_visible()
    expect(page.get_by_role("link", name="사진 1/2")).to_have_attribute("href", whole)
    check_still(page)


def test_a_like_shows_at_once_and_a_refusal_takes_it_back(board, page, sign_in, faults):
    post, name = board.post(title=board.fresh("좋은 글")), board.fresh()
    like = page.get_by_role("button", name="좋아요")
    # Nobody: to the sign-in and back to the post.
    page.goto(f"/posts/{post['id']}")
    like.click()
    expect(page.get_by_text("좋아요를 누르려면 로그인하세요.")).to_be_visible()
    page.get_by_role("main").get_by_role("link", name="로그인").click()
    page.get_by_label("이름", exact=True).fill(name)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{board.url}/posts/{post['id']}")
    expect(like).to_have_attribute("aria-pressed", "false")

    held = hold(page, LIKES, times=1)
    with page.expect_request(LIKES):
        like.click()
    expect(like).to_have_attribute("aria-pressed", "true")
    expect(like).to_have_text("좋아요 1")
    assert board.call("GET", f"/posts/{post['id']}")["like_count"] == 0
    like.click()  # before the answer: what counts is the last press
    like.click()
    with page.expect_response(LIKES):
        held[0].continue_()
    page.get_by_role("link", name="목록으로").click()
    row = page.get_by_role("article").filter(has_text=post["title"])
    expect(row).to_contain_text("좋아요 1")
    assert board.call("GET", f"/posts/{post['id']}", name=name)["is_liked"] is True

    faults.expect("status of 409")
    row.get_by_role("link", name=post["title"]).click()
    page.route(LIKES, lambda route: route.fulfill(status=409, json=refusal("conflict", 409, "지금은 안 됩니다.")))
    like.click()
    expect(page.get_by_text("좋아요를 반영하지 못했습니다. 지금은 안 됩니다.")).to_be_visible()
    expect(like).to_have_attribute("aria-pressed", "true")
    expect(like).to_have_text("좋아요 1")
    page.unroute(LIKES)

    # A press is of the post that is shown, also where another post's answer is still on its way.
    first, second = (board.post(title=board.fresh(word)) for word in ("앞", "뒤"))
    heading = page.get_by_role("heading", level=1)
    page.goto("/")
    page.get_by_role("link", name=first["title"]).click()
    expect(heading).to_have_text(first["title"])
    page.get_by_role("link", name="게시판").click()
    page.get_by_role("link", name=second["title"]).click()
    expect(heading).to_have_text(second["title"])
    held = hold(page, LIKES, times=1)
    with page.expect_request(LIKES):
        like.click()
    page.evaluate("history.go(-2)")
    expect(heading).to_have_text(first["title"])
    with page.expect_response(LIKES):
        like.click()
    held[0].continue_()
    for post in (first, second):
        path = f"/posts/{post['id']}"
        wait_until(lambda path=path: board.call("GET", path, name=name)["is_liked"], what="the like is not stored")


def comment(board: Board, post: dict[str, Any], count: int) -> None:
    """Set the number of comments, as the Comment Service does."""
    body = {"username": "comments", "scope": "post-service/comments.write"}
    token = requests.post(f"{board.url}/dev/token", json=body, timeout=HANG_SECONDS).json()["data"]["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    board.call("PUT", f"/posts/{post['id']}/comment-count", name=None, headers=headers, json={"comment_count": count})


def test_counts_and_dates_are_said_in_the_readers_language(board, page, open_page):
    title = board.fresh("센 글")
    post = board.post(title=title, content="세어 보세요")
    comment(board, post, 1234)
    page.clock.set_fixed_time(post["created_at"].replace("Z", "+00:00"))

    page.goto(f"/?q={title}")
    row = page.get_by_role("article")
    expect(row).to_contain_text("조회 0")
    expect(row).to_contain_text("댓글 1,234")
    expect(row.locator("time")).to_have_text("방금")
    titles(page).click()
    expect(page.get_by_text("조회 1", exact=True)).to_be_attached()
    page.go_back()
    expect(row).to_contain_text("조회 1")

    page.get_by_role("button", name="English").click()
    expect(row).to_contain_text("1,234 comments")
    expect(row).to_contain_text("1 view")
    expect(row.locator("time")).to_have_text("just now")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Results for “{title}”")
    expect(page).to_have_title(f"Results for “{title}” · Board")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("button", name="English")).to_have_attribute("aria-pressed", "true")

    english = open_page(locale="en-GB")
    english.clock.set_fixed_time(post["created_at"].replace("Z", "+00:00"))
    english.goto(f"/posts/{post['id']}")
    expect(english.get_by_role("button", name="Like")).to_be_visible()
    english.get_by_role("button", name="한국어").click()
    expect(english.get_by_role("button", name="좋아요")).to_be_visible()


HOSTILE = {
    "html": '<img src=x onerror="window.isRun = true"><script>window.isRun = true</script>',
    "right to left": "مرحبا بالعالم هذا عنوان طويل جدا \u202e 123 abc",
    "one word": "W" * 200,
}


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_shown_as_text_within_its_place(board, open_page, words, check_accessible):
    page, mark = open_page(width=320), board.fresh("")
    name, title = (words + mark)[-100:], (mark + words)[:200]
    post = board.post(
        title=title, content=f"{words}\n{words} javascript:alert(1) https://board.example/{words}", name=name
    )
    board.post(title=f"뒤의 글 {mark}", name=name)
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))

    page.goto(f"/?q={quote(mark)}")
    expect(titles(page).last).to_have_text(post["title"])
    check_narrow(page)
    check_accessible(page)
    titles(page).last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(post["title"])
    expect(page.locator(".post-text")).to_contain_text(post["content"].split("\n")[0])
    assert page.locator(".post-text a").evaluate_all("links => links.every(({ protocol }) => protocol === 'https:')")
    check_narrow(page)
    check_accessible(page)
    page.goto(f"/?q={quote(words[:100])}&category={quote(words[:50])}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(words[:50])
    check_narrow(page)
    assert page.evaluate("window.isRun") is None


def test_a_service_that_is_away_is_said_and_tried_again(board, page, faults, check_accessible):
    title = board.fresh("멀리")
    board.post(title=title)
    faults.expect("status of 429", "ERR_INTERNET_DISCONNECTED")
    busy = refusal("rate_limited", 429, "요청이 많습니다.")
    page.route(
        re.compile(r"/api/v1/posts\?"),
        lambda route: route.fulfill(status=429, headers={"Retry-After": "5"}, json=busy),
        times=1,
    )

    page.goto(f"/?q={title}")
    expect(page.get_by_role("alert")).to_contain_text("요청이 많습니다. 5초 뒤에 다시 시도하세요.")
    check_accessible(page)
    page.get_by_role("button", name="다시 시도").press("Enter")
    expect(titles(page)).to_have_text([title])
    expect(page.get_by_role("alert")).to_have_count(0)

    page.context.set_offline(True)
    titles(page).press("Enter")
    expect(page.get_by_role("alert")).to_contain_text(
        "서버에 연결할 수 없습니다. 인터넷 연결을 확인하고 다시 시도하세요."
    )
    check_accessible(page)
    page.get_by_role("button", name="다시 시도").press("Enter")
    expect(page.locator(":focus")).to_have_count(1)
    expect(page.get_by_role("button", name="다시 시도")).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("button", name="다시 시도").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
