"""The site, the API and the pool on an origin each, as in production: signing in by the hosted page, and all else."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from config import load_config
from post.web.site import CONTENT_TYPES, content_security_policy, runtime_config
from tests.browser.hosted_page import CLIENT_ID, POOL_ID, REGION, Pool, hosted_page, serving
from tests.browser.routes import refusal
from tests.image_samples import plain_png
from tests.servers import HANG_SECONDS, UNLIMITED, free_port, running_service, wait_until

CODE, REFRESH = "/oauth2/token authorization_code", "/oauth2/token refresh_token"
AUTHORIZE, REVOKE, LOGOUT = "/oauth2/authorize", "/oauth2/revoke", "/logout"


class PoolBoard:
    """A board whose users are a pool's."""

    def __init__(self, url: str, api: str, pool: Pool) -> None:
        self.url, self.api, self.pool = url, api, pool

    def call(self, method: str, path: str, *, name: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.pool.id_token(name)}"}
        url = f"{self.api}/api/v1{path}"
        answer = requests.request(method, url, headers=headers, timeout=HANG_SECONDS, **options)
        answer.raise_for_status()
        return answer.json()["data"]

    def post(self, *, title: str, name: str) -> dict[str, Any]:
        return self.call("POST", "/posts", name=name, json={"title": title, "content": "내용"})

    def asked(self) -> list[str]:
        """Return the pool's paths that were asked for since the last call."""
        asked = list(self.pool.asked)
        del self.pool.asked[: len(asked)]
        return asked


def site_handler(dist: Path, config: str, policy: str) -> type[BaseHTTPRequestHandler]:
    """Return a handler of the built files and of the page, as a bucket behind CloudFront serves them."""
    page = (dist / "index.html").read_text().replace('id="board-config">{}<', f'id="board-config">{config}<')
    assert config in page

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            file = dist / self.path.partition("?")[0].lstrip("/")
            is_file = file.is_file() and file.suffix != ".html"
            body = file.read_bytes() if is_file else page.encode()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPES[file.suffix if is_file else ".html"])
            self.send_header("Content-Length", str(len(body)))
            if not is_file:
                self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    return Handler


@pytest.fixture(scope="module")
def board(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoolBoard]:
    port, site_port = free_port(), free_port()
    origin, api = f"http://localhost:{site_port}", f"http://localhost:{port}"
    with hosted_page(origin) as (pool_url, pool):
        settings = {
            **UNLIMITED,
            "COGNITO_USER_POOL_ID": POOL_ID,
            "COGNITO_REGION": REGION,
            "COGNITO_CLIENT_ID": CLIENT_ID,
            "COGNITO_DOMAIN": pool_url,
            "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": pool_url,
            "AWS_ACCESS_KEY_ID": "AKID-OF-THE-TESTS",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
            "CORS_ORIGINS": origin,
            "PUBLIC_URL": api,  # of the pictures
            "LIKE_REQUIRES_AUTH": "false",  # test_reading.py has likes that need a token
            "PORT": str(port),
            "WEB_CONCURRENCY": "1",
        }
        known = load_config(settings)
        handler = site_handler(
            site, json.dumps(runtime_config(known, api=api)), content_security_policy(known, api=api)
        )
        with running_service(tmp_path_factory.mktemp("service"), **settings), serving(handler, site_port):
            yield PoolBoard(origin, api, pool)


@pytest.fixture
def name(board: PoolBoard) -> Iterator[str]:
    """Name of a user of this test alone."""
    board.asked()
    yield f"하나-{uuid4().hex[:6]}"
    board.pool.age_seconds = 0


def enter(page: Page, name: str) -> None:
    """Sign in at the hosted page."""
    page.get_by_label("Username").fill(name)
    page.get_by_role("button", name="Continue").click()


def sign_in_from(page: Page, path: str, name: str) -> None:
    page.goto(path)
    page.get_by_role("navigation", name="주 메뉴").get_by_role("link", name="로그인").click()
    enter(page, name)
    expect(account_of(page, name)).to_be_visible()


def account_of(page: Page, name: str):
    return page.get_by_role("navigation", name="주 메뉴").get_by_role("link", name=name)


def kept(page: Page) -> str:
    """Return all that the browser keeps for the site."""
    storages = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, history.state])"
    return page.evaluate(storages)


def test_a_sign_in_returns_to_the_same_page_and_a_reload_resumes_it(board, page, name, check_accessible):
    page.goto("/?sort=popular&period=week")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert board.asked() == []  # a reader is sent nowhere

    page.get_by_role("navigation", name="주 메뉴").get_by_role("link", name="로그인").click()
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_text("로그인을 취소했습니다.")).to_be_visible()
    check_accessible(page)
    page.get_by_role("link", name="다시 로그인").click()
    enter(page, name)

    expect(account_of(page, name)).to_be_visible()
    expect(page).to_have_url(board.url + "/?sort=popular&period=week")
    assert board.asked() == [AUTHORIZE, AUTHORIZE, CODE]
    assert not re.search(r"eyJ|verifier|board\.sign-in", kept(page))

    page.goto("/my?cursor=")
    expect(account_of(page, name)).to_be_visible()
    expect(page).to_have_url(board.url + "/my?cursor=")
    page.reload()
    expect(account_of(page, name)).to_be_visible()
    expect(page).to_have_url(board.url + "/my?cursor=")
    assert board.asked() == [AUTHORIZE, CODE] * 2

    # The hosted page's session has ended: the reload says so, and the next one asks nobody.
    board.pool.end_sessions()
    page.reload()
    expect(page.get_by_text("로그인이 만료되었습니다.")).to_be_visible()
    expect(page).to_have_url(board.url + "/my?cursor=")
    page.reload()
    expect(page.get_by_text("로그인이 필요한 페이지입니다.")).to_be_visible()
    assert board.asked() == [AUTHORIZE]


def test_a_token_that_ended_is_renewed_on_the_way_and_a_refused_renewal_is_said(board, page, name, faults):
    post = board.post(title=f"글-{name}", name=name)
    path = f"/posts/{post['id']}"
    board.pool.age_seconds = 4000  # the tokens of this sign-in have ended by the service's clock
    sign_in_from(page, path, name)
    board.asked()
    board.pool.age_seconds = 0

    faults.expect("status of 401")
    page.get_by_role("button", name="숨기기").click()
    expect(page.get_by_text("글을 숨겼습니다.")).to_be_visible()
    assert board.call("GET", path, name=name)["status"] == "hidden"
    assert board.asked() == [REFRESH]  # one, for the write and the reads after it

    # The next renewal is refused, as where an admin has ended the user's sessions.
    board.call("PATCH", path, name=name, json={"status": "visible"})
    board.pool.age_seconds = 4000
    page.reload()
    expect(page.get_by_role("button", name="숨기기")).to_be_visible()
    board.pool.revoke_all()
    faults.expect("status of 400")
    page.get_by_role("button", name="숨기기").click()
    expect(page.get_by_text("로그인이 만료되었습니다. 계속하려면 다시 로그인하세요.")).to_be_visible()
    expect(page.get_by_role("main")).to_be_focused()  # the button has gone
    assert board.call("GET", path, name=name)["status"] == "visible"

    board.pool.age_seconds = 0
    page.get_by_role("status").get_by_role("button", name="로그인").click()
    page.get_by_role("button", name="숨기기").click()
    expect(page.get_by_text("글을 숨겼습니다.")).to_be_visible()


def test_signing_out_ends_the_session_at_the_pool_too(board, page, name):
    sign_in_from(page, "/my", name)
    board.asked()

    page.get_by_role("button", name="로그아웃").click()

    expect(page.get_by_role("navigation", name="주 메뉴").get_by_role("link", name="로그인")).to_be_visible()
    expect(page).to_have_url(board.url + "/")
    assert board.asked() == [REVOKE, LOGOUT]
    assert not board.pool.can_refresh(name)
    page.reload()
    expect(page.get_by_role("navigation", name="주 메뉴").get_by_role("link", name="로그인")).to_be_visible()
    page.get_by_role("navigation", name="주 메뉴").get_by_role("link", name="로그인").click()
    expect(page.get_by_label("Username")).to_be_visible()  # nobody is logged in there


def test_an_answer_that_the_tab_did_not_ask_for_is_not_used(board, page, name, faults, check_accessible):
    page.goto("/signed-in?code=stolen&state=forged")
    expect(page.get_by_text("이 탭에서 시작한 로그인이 아니거나")).to_be_visible()
    check_accessible(page)
    assert board.asked() == []

    # A return to another site is none.
    page.goto("/sign-in?to=%2F%5Cevil.example")
    enter(page, name)
    expect(account_of(page, name)).to_be_visible()
    expect(page).to_have_url(board.url + "/")

    # Back, the browser is at the hosted page, which knows the user and sends them on with a code.
    page.goto("/signed-in?code=stolen&state=forged")
    expect(account_of(page, name)).to_be_visible()
    assert board.asked() == [AUTHORIZE, CODE] * 2


def test_a_code_that_ended_and_a_pool_that_is_away_are_said(board, page, name, faults):
    faults.expect("status of 400", "ERR_FAILED|net::ERR")
    page.route("**/oauth2/token", lambda route: (board.pool.end_codes(), route.continue_()))
    page.goto("/sign-in?to=/my")
    enter(page, name)
    expect(page.get_by_text("로그인 시간이 지났습니다.")).to_be_visible()

    page.unroute("**/oauth2/token")
    page.route("**/oauth2/token", lambda route: route.abort("failed"))
    page.get_by_role("link", name="다시 로그인").click()
    expect(page.get_by_text("서버에 연결할 수 없습니다.")).to_be_visible()

    page.unroute("**/oauth2/token")
    page.get_by_role("link", name="다시 로그인").click()
    expect(account_of(page, name)).to_be_visible()
    expect(page).to_have_url(board.url + "/my")


def test_leaving_the_board_ends_the_account_in_the_pool(board, page, name):
    board.post(title=f"남는 글-{name}", name=name)
    sign_in_from(page, "/account", name)
    board.asked()

    page.get_by_role("button", name="탈퇴하기").click()
    page.get_by_label("확인을 위해").fill("탈퇴")
    with page.expect_event("load"):  # of the page to which the pool sends the browser back
        page.get_by_role("dialog").get_by_role("button", name="탈퇴하기").click()

    expect(page.get_by_role("navigation", name="주 메뉴").get_by_role("link", name="로그인")).to_be_visible()
    wait_until(lambda: LOGOUT in board.pool.asked, seconds=HANG_SECONDS, what="no sign-out")
    assert {"AdminDisableUser", "AdminUserGlobalSignOut"} <= set(board.asked())
    assert not board.pool.can_refresh(name)
    with pytest.raises(requests.HTTPError, match="403"):
        board.post(title="또", name=name)
    expect(page.get_by_role("link", name=f"남는 글-{name}")).to_be_visible()


def test_readers_like_without_a_token_where_the_service_takes_it(board, page, name, faults):
    post = board.post(title=f"글-{name}", name=name)
    for number in range(20):
        board.post(title=f"{number} {name}", name=name)
    like = page.get_by_role("button", name="좋아요")

    page.goto(f"/?q={name}")
    page.get_by_role("link", name="다음").click()  # by a header of the answer, which the page may read
    page.get_by_role("link", name=post["title"]).click()
    busy = refusal("rate_limited", 429, "요청이 많습니다.")
    cors = {"Access-Control-Allow-Origin": "*"}
    faults.expect("status of 429")
    page.route("**/like/status*", lambda route: route.fulfill(status=429, json=busy, headers=cors))
    page.reload()
    like.click()
    expect(page.get_by_text("좋아요를 반영하지 못했습니다. 요청이 많습니다.")).to_be_visible()
    page.unroute("**/like/status*")

    with page.expect_response(lambda answer: answer.request.method == "POST"):
        like.click()
    expect(like).to_have_text("좋아요 1")
    page.reload()
    expect(like).to_have_attribute("aria-pressed", "true")
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        like.click()
    expect(like).to_have_text("좋아요 0")
    page.reload()
    expect(like).to_have_attribute("aria-pressed", "false")
    assert board.call("GET", f"/posts/{post['id']}", name=name)["like_count"] == 0
    assert board.asked() == []

    sign_in_from(page, f"/posts/{post['id']}", name)
    like.click()
    expect(like).to_have_text("좋아요 1")
    wait_until(lambda: board.call("GET", f"/posts/{post['id']}", name=name)["is_liked"], what="the like is not stored")


def test_writers_have_all_of_the_api_from_another_origin(board, page, name, faults):
    title = f"사진-{name}"
    sign_in_from(page, "/", name)
    page.get_by_role("link", name="글쓰기").click()
    page.get_by_label("제목", exact=True).fill(title)
    page.get_by_label("내용").fill("처음 글")
    picture = {"name": "a.png", "mimeType": "image/png", "buffer": plain_png()}
    page.locator("input[type=file]").set_input_files([picture])
    expect(page.get_by_role("listitem").filter(has_text="a.png")).to_contain_text("올렸습니다")
    page.get_by_role("button", name="올리기", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    shown = page.get_by_role("img", name="a.png")
    expect(shown).to_have_js_property("naturalWidth", 96)
    assert shown.evaluate("img => new URL(img.currentSrc).origin") == board.api
    [post] = board.call("GET", "/posts/my", name=name)

    # A refusal's words and seconds; the answer has the service's headers, so that the page may read no others.
    def refuse(route: Route) -> None:
        answer = route.fetch()
        busy = refusal("rate_limited", 429, "요청이 많습니다.")
        route.fulfill(response=answer, status=429, headers={**answer.headers, "retry-after": "7"}, json=busy)

    faults.expect("status of 429", "status of 412")
    page.route(f"**/api/v1/posts/{post['id']}", refuse)
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("요청이 많습니다. 7초 뒤에 다시 시도하세요.")
    page.unroute(f"**/api/v1/posts/{post['id']}")
    page.get_by_role("button", name="다시 시도").click()

    # A lost update is seen by the ETag of the post.
    page.get_by_role("link", name="수정").click()
    page.get_by_label("내용").fill("내가 고친 글")
    board.call("PATCH", f"/posts/{post['id']}", name=name, json={"content": "다른 곳에서 고친 글"})
    page.get_by_role("button", name="저장", exact=True).click()
    expect(page.get_by_role("heading", name="다른 곳에서 이 글을 먼저 수정했습니다")).to_be_visible()
    page.get_by_role("button", name="내 글로 저장").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.get_by_text("내가 고친 글")).to_be_visible()
    assert board.call("GET", f"/posts/{post['id']}", name=name)["content"] == "내가 고친 글"

    # A deletion that can be undone is sent when the page is left, too.
    page.goto("/my")
    page.get_by_role("button", name=f"삭제: {title}").click()
    page.get_by_role("button", name=f"되돌리기: {title}").click()
    page.get_by_role("button", name=f"삭제: {title}").click()
    page.goto("about:blank")
    wait_until(lambda: board.call("GET", "/posts/my", name=name) == [], what="the post is still there")
