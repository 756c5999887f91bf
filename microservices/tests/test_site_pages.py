"""The site in a real browser, in front of the whole platform: by keyboard, in both languages, on a narrow screen."""

import re
import time
from contextlib import closing
from itertools import count
from uuid import uuid4

import pytest

from microservices.local.__main__ import ADMIN
from microservices.tests.callers import PASSWORD, Http, new_email
from microservices.tests.local.test_supervisor import running
from microservices.tests.running import PATIENCE_SECONDS, PROJECT
from tests.chromium import CHROMIUM, FLAGS
from tests.site_packages import npm_packages

pytestmark = pytest.mark.slow
AXE = npm_packages() / "axe-core" / "axe.min.js"
SITE = PROJECT / "microservices" / "site"
NARROW = {"width": 320, "height": 640}
NUMBERS = count(1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """The running platform's address."""
    with running(tmp_path_factory.mktemp("platform")) as run:
        run.wait_until_ready()
        yield f"http://127.0.0.1:{run.first}"


@pytest.fixture(scope="module")
def api(shop):
    return Http(f"{shop}/api")


@pytest.fixture(scope="module")
def admin_token(api):
    return api.log_in(ADMIN["email"], ADMIN["password"]).json["sessionId"]


@pytest.fixture
def product(api, admin_token):
    """Make a product whose name no other has."""

    def make(name="Cup", **fields):
        body = {"name": f"{name} {uuid4().hex[:12]}", "description": "Made of clay", "price": 4.75, "stock": 9} | fields
        created = api("POST", "/products", body, token=admin_token)
        assert created.status == 201, created.text
        return created.json

    return make


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, shop):
    """Open the site in a window of its own; at the end nothing may have complained but refused requests."""
    complaints, contexts = [], []

    def listen(message):
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            complaints.append(message.text)

    def open_it(path="", locale="en-US", **options):
        context = browser.new_context(locale=locale, **options)
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{shop}/{path}")
        page.locator("h1").wait_for()
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def signed_in(api, open_page):
    """Open the site as somebody new; the page, and their token at the API."""

    def open_it(**options):
        email = new_email()
        assert api.register(email).status == 201
        page = open_page("#/sign-in", **options)
        page.locator("#email").fill(email)
        page.locator("#password").fill(PASSWORD)
        page.locator("form button").click()
        page.locator("#sign-out").wait_for()
        return page, api.log_in(email).json["sessionId"]

    return open_it


def hear(page, words, place="status"):
    """Wait until the page says something; it may go on."""
    page.locator(f"#{place}", has_text=re.compile(f"^{re.escape(words)}")).wait_for()


def search(page, words):
    page.locator("#q").fill(words)
    page.locator("#q").press("Enter")
    page.wait_for_url(re.compile(r"q="))
    page.locator(".loading").wait_for(state="detached")


def add_to_basket(page, product, quantity=1):
    page.goto(page.url.split("#")[0] + "#/products")
    search(page, product["name"][-12:])  # the part that no other name has
    page.locator(f"#quantity-{product['id']}").fill(str(quantity))
    page.locator(f"#quantity-{product['id']}").press("Enter")
    page.locator("#status", has_text=product["name"]).wait_for()


def show(page, name):
    page.locator(f"nav a[href='#/{name}']").click()
    page.locator(f"nav a[href='#/{name}'][aria-current]").wait_for()
    page.locator(".loading").wait_for(state="detached")


def orders_of(api, token):
    return api("GET", "/orders", token=token).json


def violations(page):
    """The findings of axe-core, which comes by the debugger: the page's policy does not bind that."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run()")
    assert found["passes"]
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]


class Keyboard:
    """Somebody without a pointer, who hears the names of what has the focus."""

    def __init__(self, page):
        self.page = page

    def name(self):
        return self.page.evaluate(
            """() => {
                const one = document.activeElement;
                const label = one.labels?.[0]?.textContent;
                return (one.getAttribute("aria-label") ?? label ?? one.textContent).trim();
            }"""
        )

    def to(self, name):
        """Go on by Tab to what begins with that name, and see that it shows its focus."""
        for _ in range(80):
            self.page.keyboard.press("Tab")
            if self.name().startswith(name):
                outline = self.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none"
                return self
        raise AssertionError(f"Tab does not lead to {name}")

    def type(self, text):
        self.page.keyboard.type(text)
        return self

    def enter(self):
        self.page.keyboard.press("Enter")


def test_by_keyboard_alone_one_registers_orders_reads_and_signs_out(open_page, product):
    cup = product("Cup", price=4.75, stock=9)
    page, email = open_page(), new_email()
    keys = Keyboard(page)

    keys.to("Sign in").enter()
    page.locator("#email").wait_for()
    keys.to("No account yet?").enter()
    page.locator("#name").wait_for()
    keys.to("Name").type("Ana")
    keys.to("E-mail").type(email)
    keys.to("Password").type(PASSWORD).enter()
    hear(page, "Welcome, Ana.")
    keys.to("Name contains").type(cup["name"]).enter()
    page.locator("h2", has_text=cup["name"]).wait_for()
    keys.to("Quantity")
    page.keyboard.press("ArrowUp")
    keys.to(f"Add to basket: {cup['name']}").enter()
    hear(page, f"In your basket: 2 × {cup['name']}")
    keys.to("Basket (1)").enter()
    page.locator("#place-order").wait_for()
    keys.to("Place order").enter()
    page.locator("h1", has_text="Orders").wait_for()
    hear(page, "Your order is confirmed. Total: 9.50")
    notified(page)
    keys.to("Order confirmed").enter()
    page.locator(".body", has_text=f"2 × {cup['name']}").wait_for()
    keys.to("Delete: Order confirmed").enter()
    hear(page, "The notification is deleted.")
    keys.to("Sign out").enter()
    page.locator("h1", has_text="Sign in").wait_for()
    hear(page, "You are signed out.")


def notified(page):
    """Show the notifications, again until there is one."""
    show(page, "notifications")
    end = time.monotonic() + PATIENCE_SECONDS
    while page.locator("summary").count() == 0:
        assert time.monotonic() < end, "no notification came"
        time.sleep(0.2)
        page.get_by_role("button", name="Refresh").or_(page.get_by_role("button", name="새로 고침")).click()
        page.locator(".loading").wait_for(state="detached")


def test_a_screen_reader_is_told_of_places_names_and_news(open_page, product):
    """The browser's tree for one, as lines of roles and names."""
    cup = product("Cup", stock=9)
    page = open_page()
    search(page, cup["name"])
    page.locator(f"#quantity-{cup['id']}").press("Enter")
    hear(page, "In your basket")

    snapshot = re.sub(r"[\"']", "", page.locator("body").aria_snapshot())
    told = [line.strip().removeprefix("- ") for line in snapshot.splitlines()]

    wanted = [
        "banner", "link Skip to the content", "navigation Main", "link Basket (1)", "button 한국어",
        f"status: In your basket: 1 × {cup['name']}", "alert", "main", "heading Products [level=1]", "search",
        "searchbox Name contains", "checkbox Only what is in stock", "button Search",
        f"heading {cup['name']} [level=2]", "spinbutton Quantity", f"button Add to basket: {cup['name']}",
    ]  # fmt: skip
    places = [next((number for number, line in enumerate(told) if line.startswith(one)), None) for one in wanted]
    assert None not in places, snapshot
    assert places == sorted(places), snapshot


def test_the_first_tab_leads_past_the_menu(open_page):
    page = open_page()

    Keyboard(page).to("Skip to the content").enter()

    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize(
    ("locale", "scheme", "screen"),
    [("en-US", "light", NARROW), ("ko-KR", "dark", NARROW), ("ko-KR", "light", {"width": 1280, "height": 800})],
    ids=["English", "Korean, dark", "Korean, wide"],
)
def test_no_page_has_a_fault_that_axe_finds_or_is_wider_than_its_screen(
    signed_in, open_page, product, locale, scheme, screen
):
    options = {"locale": locale, "color_scheme": scheme, "viewport": screen}
    found, wide = {}, []

    def look(page, name):
        found[name] = violations(page)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(name)

    mug = product("x" * 200, description="아주 긴 설명을 가진 머그잔입니다 " * 5)
    sold_out = product("Bowl", stock=0)
    page, _ = signed_in(**options)
    look(page, "products")
    search(page, sold_out["name"])
    look(page, "sold out")
    show(page, "basket")
    look(page, "empty basket")
    add_to_basket(page, mug, 2)
    look(page, "added")
    show(page, "basket")
    look(page, "basket")
    page.locator("#place-order").click()
    page.locator("#status:not(:empty)").wait_for()
    look(page, "orders")
    notified(page)
    page.locator("summary").first.click()
    page.locator(".body:not(:empty)").wait_for()
    look(page, "notifications")
    stranger = open_page("#/sign-in", **options)
    look(stranger, "sign in")
    stranger.locator("#email").fill(new_email())
    stranger.locator("#password").fill("wrong password")
    stranger.locator("form button").click()
    stranger.locator("#alert:not(:empty)").wait_for()
    look(stranger, "refused")
    stranger.goto(stranger.url.replace("sign-in", "register"))
    stranger.locator("#name").fill("   ")
    stranger.locator("#email").fill(new_email())
    stranger.locator("#password").fill(PASSWORD)
    stranger.locator("form button").click()
    stranger.locator("[aria-invalid]").wait_for()
    look(stranger, "register")

    assert {name: one for name, one in found.items() if one} == {}
    assert wide == []
    assert len(found) == 10


def test_korean_breaks_between_words_and_english_is_a_click_away(open_page):
    page = open_page(locale="ko-KR")
    assert page.locator("h1").inner_text() == "상품"
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).wordBreak") == "keep-all"
    assert page.locator("html").get_attribute("lang") == "ko"

    page.locator("#language").click()
    page.locator("h1", has_text="Products").wait_for()
    page.reload()
    page.locator("h1", has_text="Products").wait_for()

    assert page.locator("html").get_attribute("lang") == "en"
    assert page.title() == "Products – Shop"


def test_both_languages_have_the_same_texts():
    source = (SITE / "texts.js").read_text()
    english, korean = (
        dict(
            re.findall(
                r'^  "?([\w.]+)"?: "(.*)",$', re.search(rf"const {name} = {{(.*?)^}};", source, re.S | re.M)[1], re.M
            )
        )
        for name in ("english", "korean")
    )

    assert len(english) > 80
    assert english.keys() == korean.keys()
    holes = {name: [sorted(re.findall(r"\{\d\}", texts[name])) for texts in (english, korean)] for name in english}
    assert {name: found for name, found in holes.items() if found[0] != found[1]} == {}


def test_every_text_that_is_named_is_there():
    source = (SITE / "app.js").read_text()
    there = set(re.findall(r'^  "?([\w.]+)"?: "', (SITE / "texts.js").read_text(), re.M))

    assert set(re.findall(r'\btext\(\s*"([\w.]+)"', source)) <= there


def test_a_reload_keeps_the_session_and_another_window_has_none(signed_in, open_page):
    page, _ = signed_in()

    page.reload()

    page.locator("#sign-out").wait_for()
    assert open_page().locator("#sign-out").count() == 0
    assert page.evaluate("Object.keys(localStorage).length") == 0
    assert page.evaluate("document.cookie") == ""


def test_signing_out_ends_the_session_at_the_server_and_empties_the_basket(signed_in, api, product):
    page, _ = signed_in()
    token = page.evaluate("JSON.parse(sessionStorage.session).sessionId")
    add_to_basket(page, product())

    page.locator("#sign-out").click()

    hear(page, "You are signed out.")
    assert api("GET", "/auth/verify", token=token).error[:2] == (401, "invalid_session")
    assert page.locator("nav").inner_text().split("\n")[1] == "Basket (0)"
    page.go_back()
    page.locator("h1", has_text="Products").wait_for()
    assert page.locator("#sign-out").count() == 0


def test_a_session_that_ended_elsewhere_leads_to_the_sign_in_and_says_so(signed_in, api):
    page, token = signed_in()
    assert api("POST", "/auth/logout-all", token=token).status == 204

    page.locator("nav a[href='#/orders']").click()

    hear(page, "Your session has ended. Sign in again.", "alert")
    assert page.locator("h1").inner_text() == "Sign in"
    assert page.locator("#sign-out").count() == 0


@pytest.mark.parametrize("name", ["orders", "notifications"])
def test_what_is_ones_own_asks_for_a_sign_in(open_page, name):
    page = open_page(f"#/{name}")

    assert page.locator("h1").inner_text() == "Sign in"


def test_refusals_of_accounts_are_said_in_words(open_page, api):
    email = new_email()
    api.register(email)
    page = open_page("#/sign-in")
    page.locator("#email").fill(email)
    page.locator("#password").fill("wrong password")
    page.locator("form button").click()
    hear(page, "E-mail or password is wrong.", "alert")
    assert page.locator("#email").input_value() == email

    page.get_by_role("link", name="No account yet?").click()
    page.locator("#name").fill("   ")
    page.locator("#email").fill(email)
    page.locator("#password").fill(PASSWORD)
    page.locator("form button").click()
    page.locator("[aria-invalid]").wait_for()
    assert page.evaluate("document.activeElement.id") == "name"
    assert page.locator("#name-error").inner_text() == "It must have 1 to 100 characters."
    page.locator("#name").fill("Ana")
    page.locator("form button").click()
    hear(page, "There is an account with this e-mail already.", "alert")
    assert page.locator("[aria-invalid]").count() == 0


def test_guesses_are_stopped_with_the_time_to_wait(open_page, api):
    page, email = open_page("#/sign-in"), new_email()
    page.locator("#email").fill(email)
    page.locator("#password").fill("wrong password")
    for _ in range(11):
        with page.expect_response("**/auth/login"):
            page.locator("form button").click()

    hear(page, "Too many attempts. Try again in 15 min.", "alert")


def test_an_order_that_is_clicked_twice_is_one(signed_in, api, product):
    page, token = signed_in()
    add_to_basket(page, product(), 2)
    show(page, "basket")

    page.locator("#place-order").dblclick()
    hear(page, "Your order is confirmed.")

    assert len(orders_of(api, token)) == 1
    assert page.locator("nav a[href='#/basket']").inner_text() == "Basket (0)"


def test_an_order_whose_answer_is_lost_is_sent_again_as_the_same(signed_in, api, product):
    page, token = signed_in()
    cup = product()
    add_to_basket(page, cup, 2)
    show(page, "basket")
    keys = []

    def lose(route):
        keys.append(route.request.headers["idempotency-key"])
        assert route.fetch().status == 201
        route.abort()

    page.route("**/api/orders", lose)
    page.locator("#place-order").click()
    hear(page, "No answer came, so the order may yet be confirmed.", "alert")
    page.unroute("**/api/orders")
    page.reload()
    page.locator("#place-order").wait_for()
    with page.expect_request("**/api/orders") as sent:
        page.locator("#place-order").click()
    hear(page, "Your order is confirmed.")

    assert sent.value.headers["idempotency-key"] == keys[0]
    assert len(orders_of(api, token)) == 1
    assert api("GET", f"/products/{cup['id']}").json["stock"] == 7


def test_each_order_that_is_meant_has_a_key_of_its_own(signed_in, api, product):
    page, token = signed_in()
    cup = product()
    for _ in range(2):
        add_to_basket(page, cup)
        show(page, "basket")
        page.locator("#place-order").click()
        page.locator("h1", has_text="Orders").wait_for()
        hear(page, "Your order is confirmed.")

    assert len(orders_of(api, token)) == 2


def test_what_is_not_in_stock_is_named_and_the_rest_can_be_ordered(signed_in, api, admin_token, product):
    page, token = signed_in()
    cup, bowl = product("Cup"), product("Bowl", stock=3)
    add_to_basket(page, cup)
    add_to_basket(page, bowl, 3)
    sold = api("POST", f"/products/{bowl['id']}/stock", {"delta": -2}, token=admin_token)
    assert sold.status == 200
    show(page, "basket")

    page.locator("#place-order").click()
    hear(page, f"There is not enough in stock: {bowl['name']} (in stock: 1)", "alert")
    page.get_by_role("button", name=f"Remove: {bowl['name']}").click()
    hear(page, f"Removed: {bowl['name']}")
    page.locator("#place-order").click()

    hear(page, "Your order is confirmed. Total: 4.75")
    assert [one["status"] for one in orders_of(api, token)] == ["confirmed", "rejected"]


def test_an_order_is_cancelled_once_it_is_confirmed_that_it_shall_be(signed_in, api, product):
    page, token = signed_in()
    add_to_basket(page, product())
    show(page, "basket")
    page.locator("#place-order").click()
    hear(page, "Your order is confirmed.")
    cancel = page.get_by_role("button", name="Cancel order of")

    page.once("dialog", lambda dialog: dialog.dismiss())
    cancel.click()
    assert orders_of(api, token)[0]["status"] == "confirmed"
    page.once("dialog", lambda dialog: dialog.accept())
    cancel.click()
    hear(page, "The order is cancelled.")

    assert orders_of(api, token)[0]["status"] == "cancelled"
    assert page.locator(".list > li > p").first.inner_text() == "Cancelled"
    assert cancel.count() == 0


def test_products_come_page_by_page_and_the_way_back_is_kept(open_page, product):
    name = f"Tile{next(NUMBERS)}{uuid4().hex[:8]}"
    for _ in range(25):
        product(name)
    page = open_page()
    search(page, name)
    assert page.locator(".list > li").count() == 24

    page.get_by_role("button", name="Show more").click()
    page.locator(".list > li").nth(24).wait_for()

    assert page.evaluate("document.activeElement === document.querySelector('.list > li:last-child')")
    assert page.get_by_role("button", name="Show more").is_hidden()
    show(page, "basket")
    page.go_back()
    page.locator(".list > li").first.wait_for()
    assert page.locator("#q").input_value() == name


def test_a_search_without_a_match_and_one_for_stock_alone(open_page, product):
    sold_out = product("Bowl", stock=0)
    page = open_page()
    search(page, sold_out["name"])
    assert "Sold out" in page.locator(".list > li").inner_text()
    assert page.locator("input[type=number]").count() == 0

    page.get_by_label("Only what is in stock").check()
    page.locator("form button").click()

    page.locator("main p", has_text="No product matches.").wait_for()


def test_a_shop_that_is_away_is_said_in_words_and_may_come_back(open_page, product):
    cup, page = product(), open_page("#/basket")
    page.route("**/api/**", lambda route: route.abort())
    page.locator("nav a[href='#/products']").click()
    hear(page, "The shop cannot be reached. Check your connection and try again.", "alert")

    page.unroute("**/api/**")
    page.reload()
    search(page, cup["name"])

    assert page.locator("h2").inner_text() == cup["name"]


def test_names_are_text(open_page, product):
    nasty = product('<img src=x onerror="document.title=1"><b>')
    page = open_page()
    search(page, nasty["name"])

    assert page.locator("h2").inner_text() == nasty["name"]
    assert page.locator("main img").count() == 0
    assert page.title() == "Products – Shop"


@pytest.mark.parametrize("is_bound", [True, False], ids=["by the policy", "without it"])
def test_no_inline_script_runs(browser, shop, is_bound):
    with closing(browser.new_context(bypass_csp=not is_bound)) as context:
        page = context.new_page()
        page.goto(shop)

        page.evaluate(
            """() => {
                const script = document.createElement("script");
                script.textContent = "window.ran = true";
                document.head.append(script);
            }"""
        )

        assert page.evaluate("window.ran === true") is not is_bound
