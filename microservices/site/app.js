// The shop's pages: products, basket, orders, notifications, sign-in. The part after # says which page is shown.

import { Refusal, ask, basket, fillBasket, placeOrder, session, signIn, signOut } from "./api.js";
import { currentLanguage, hasText, money, switchLanguage, text, time } from "./texts.js";

const PAGE_SIZE = 24;
const LINES_MAX = 50;
const QUANTITY_MAX = 1000;

const at = (id) => document.getElementById(id);
let shown = 0; // counts the pages shown: one that arrives late must not take the place of a newer one

/** Make an element; properties that start with "on" are listeners, others attributes, and false ones are left out. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** Tell the reader, and those who hear the page; an error stays until the next action. */
function say(message, place = "status") {
  at("status").textContent = "";
  at("alert").textContent = "";
  at(place).textContent = message;
}

/** Put a refusal into words. */
function wordsOf(refusal) {
  const code = hasText(`error.${refusal.code}`) ? refusal.code : "other";
  if (code === "too_many_attempts") return text("error.too_many_attempts", Math.ceil(refusal.retryAfterSeconds / 60));
  if (code === "insufficient_stock" || code === "product_not_found") return text(`error.${code}`, missing(refusal));
  return text(`error.${code}`, refusal.requestId);
}

/** Name the products for which an order was refused. */
function missing(refusal) {
  const names = new Map(basket().lines.map((line) => [line.id, line.name]));
  const products = refusal.details.map(({ product_id: id, reason, available }) => {
    const name = names.get(id) ?? text("unnamed", id);
    return reason === "insufficient_stock" ? text("left", name, available) : name;
  });
  return products.join(", ");
}

/** Do something, and tell why it was refused if it was; who is signed in no more comes to the page for that. */
async function attempt(action) {
  try {
    await action();
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    if (refusal.endsSession) await go("#/sign-in");
    say(wordsOf(refusal), "alert");
  }
}

/** Do what a control is for; it waits meanwhile, so that a second click does nothing. */
async function act(control, action) {
  if (control.hasAttribute("aria-disabled")) return;
  control.setAttribute("aria-disabled", "true");
  await attempt(action).finally(() => control.removeAttribute("aria-disabled"));
}

function button(label, action, properties = {}) {
  const made = make("button", { type: "button", onclick: () => act(made, action), ...properties }, label);
  return made;
}

// The frame

function drawHeader() {
  const links = [["#/products", text("products")], ["#/basket", text("basket", basket().lines.length)]];
  if (session()) links.push(["#/orders", text("orders")], ["#/notifications", text("notifications")]);
  else links.push(["#/sign-in", text("signIn")]);
  const items = links.map(([href, label]) => make("li", {}, make("a", { href, ...marked(href) }, label)));
  at("header").replaceChildren(
    make("a", { class: "skip", href: "#main", onclick: skip }, text("skip")),
    make("p", { class: "brand" }, text("shop")),
    make("nav", { "aria-label": text("menu") }, make("ul", {}, ...items)),
    make("div", { class: "tools" }, ...tools()),
  );
}

const marked = (href) => (location.hash.split("?")[0] === href ? { "aria-current": "page" } : {});

function skip(event) {
  event.preventDefault(); // the part after # is the page's name
  at("main").focus();
}

function tools() {
  const other = currentLanguage() === "ko" ? "en" : "ko";
  const language = make("button", { type: "button", lang: other, id: "language", onclick: changeLanguage }, text("language"));
  return session() ? [button(text("signOut"), leave, { id: "sign-out" }), language] : [language];
}

async function changeLanguage() {
  switchLanguage();
  say("");
  await showPage();
  at("language").focus();
}

async function leave() {
  try {
    await signOut();
    await go("#/sign-in");
    say(text("signedOut"));
  } catch (refusal) {
    await go("#/sign-in");
    say(text(refusal.isUndecided ? "serverNotReached" : "signedOut"));
  }
}

/** Show another page, and wait for it. */
async function go(hash) {
  if (hash !== location.hash) history.pushState(null, "", hash);
  await showPage();
  at("main").querySelector("h1")?.focus();
}

async function showPage() {
  const number = ++shown;
  const [path, query] = (location.hash || "#/products").split("?");
  const page = PAGES[path] ?? PAGES["#/products"];
  document.documentElement.lang = currentLanguage();
  drawHeader();
  if (page.isOwn && !session()) return go("#/sign-in");
  const heading = make("h1", { tabindex: "-1" }, text(page.title));
  document.title = `${text(page.title)} – ${text("shop")}`;
  at("main").replaceChildren(heading, make("p", { class: "loading" }, text("loading")));
  let content = [];
  await attempt(async () => (content = await page.draw(new URLSearchParams(query))));
  if (number === shown) at("main").replaceChildren(heading, ...content);
}

/** Draw a list, page by page. */
async function list(path, parameters, drawItem, nothing) {
  const items = make("ul", { class: "list" });
  const more = button(text("more"), () => load());
  let cursor = null;
  async function load() {
    const query = new URLSearchParams({ ...parameters, limit: PAGE_SIZE, ...(cursor && { cursor }) });
    const { body, next } = await ask("GET", `${path}?${query}`);
    const drawn = body.map(drawItem);
    items.append(...drawn);
    if (cursor) drawn[0]?.focus();
    cursor = next;
    more.hidden = next === null;
  }
  await load();
  return items.children.length ? [items, more] : [make("p", {}, text(nothing))];
}

const item = (...children) => make("li", { tabindex: "-1" }, ...children);

// Products and the basket

async function drawProducts(query) {
  const name = make("input", { type: "search", id: "q", name: "q", maxlength: 100, value: query.get("q") ?? "" });
  const inStock = make("input", { type: "checkbox", name: "in_stock", value: "true", checked: query.has("in_stock") });
  const form = make(
    "form",
    { role: "search", onsubmit: search },
    make("label", { for: "q" }, text("searchName")),
    name,
    make("label", { class: "check" }, inStock, text("inStock")),
    make("button", {}, text("search")),
  );
  return [form, ...(await list("/products", Object.fromEntries(query), drawProduct, "noProducts"))];
}

function search(event) {
  event.preventDefault();
  const filled = [...new FormData(event.target)].filter(([, value]) => value.trim());
  say("");
  go(`#/products?${new URLSearchParams(filled)}`);
}

function drawProduct(product) {
  const { name, description, price, stock } = product;
  const facts = [make("h2", {}, name), ...(description ? [make("p", {}, description)] : [])];
  const offer = make("p", { class: "price" }, `${money(price)} · ${stock ? text("stock", stock) : text("soldOut")}`);
  return item(...facts, offer, ...(stock ? [orderForm(product)] : []));
}

function orderForm(product) {
  const id = `quantity-${product.id}`;
  const most = Math.min(product.stock, QUANTITY_MAX);
  const quantity = make("input", { type: "number", id, min: 1, max: most, value: 1, required: true });
  const submit = (event) => {
    event.preventDefault();
    addToBasket(product, quantity.valueAsNumber);
  };
  const add = make("button", { "aria-label": text("addNamed", product.name) }, text("add"));
  return make("form", { class: "row", onsubmit: submit }, make("label", { for: id }, text("quantity")), quantity, add);
}

function addToBasket({ id, name, price }, quantity) {
  const { lines } = basket();
  const before = lines.find((line) => line.id === id)?.quantity ?? 0;
  const others = lines.filter((line) => line.id !== id);
  if (others.length >= LINES_MAX || before + quantity > QUANTITY_MAX) return say(text("basketFull"), "alert");
  fillBasket([...others, { id, name, price, quantity: before + quantity }]);
  drawHeader();
  say(text("added", quantity, name));
}

async function drawBasket() {
  const { lines } = basket();
  if (!lines.length) return [make("p", {}, text("emptyBasket"))];
  const total = lines.reduce((sum, line) => sum + Math.round(line.price * 100) * line.quantity, 0) / 100;
  return [
    make("ul", { class: "list" }, ...lines.map(drawLine)),
    make("p", { class: "price" }, text("total", money(total))),
    session()
      ? button(text("placeOrder"), order, { id: "place-order" })
      : make("a", { class: "button", href: "#/sign-in" }, text("signInToOrder")),
  ];
}

function drawLine(line) {
  const remove = async () => {
    fillBasket(basket().lines.filter((one) => one.id !== line.id));
    await go("#/basket");
    say(text("removed", line.name));
  };
  const label = { "aria-label": text("removeNamed", line.name) };
  const price = money((Math.round(line.price * 100) * line.quantity) / 100);
  return item(
    make("h2", {}, text("line", line.quantity, line.name)),
    make("p", { class: "price" }, price),
    button(text("remove"), remove, label),
  );
}

async function order() {
  say("");
  try {
    const placed = await placeOrder();
    await go("#/orders");
    say(text("ordered", money(placed.total)));
  } catch (refusal) {
    if (!refusal.isUndecided) throw refusal;
    say(text("error.undecided"), "alert");
  }
}

// What is the caller's own

async function drawOrders() {
  return [button(text("refresh"), refresh), ...(await list("/orders", {}, drawOrder, "noOrders"))];
}

async function refresh() {
  say("");
  await go(location.hash);
}

function drawOrder(one) {
  const placed = time(one.created_at);
  const lines = one.items.map(({ name, product_id: id, quantity }) =>
    make("li", {}, text("line", quantity, name ?? text("unnamed", id))),
  );
  const drawn = item(
    make("h2", {}, text("orderOf", placed)),
    make("p", {}, text(`status.${one.status}`)),
    make("ul", {}, ...lines),
    ...(one.total === null ? [] : [make("p", { class: "price" }, text("total", money(one.total)))]),
  );
  const cancel = async () => {
    if (!confirm(text("confirmCancel"))) return;
    const { body } = await ask("POST", `/orders/${one.id}/cancel`);
    const after = drawOrder(body);
    drawn.replaceWith(after);
    after.focus();
    say(text("cancelled"));
  };
  if (one.status === "confirmed") drawn.append(button(text("cancel"), cancel, { "aria-label": text("cancelNamed", placed) }));
  return drawn;
}

async function drawNotifications() {
  const content = await list("/notifications", {}, drawNotification, "noNotifications");
  return [button(text("refresh"), refresh), ...content];
}

function drawNotification(one) {
  const title = hasText(`type.${one.type}`) ? text(`type.${one.type}`) : one.title;
  const written = time(one.created_at);
  const body = make("p", { class: "body", lang: "en" });
  const read = () => {
    if (!details.open || body.textContent) return;
    attempt(async () => {
      body.textContent = (await ask("GET", `/notifications/${one.id}`)).body.body;
    });
  };
  const details = make("details", { ontoggle: read }, make("summary", {}, `${title} · ${written}`), body);
  const remove = async () => {
    await ask("DELETE", `/notifications/${one.id}`);
    drawn.remove();
    at("main").querySelector("h1").focus();
    say(text("deleted"));
  };
  const label = { "aria-label": text("deleteNamed", title, written) };
  const drawn = item(details, button(text("delete"), remove, label));
  return drawn;
}

// Accounts

function field(name, properties, hint) {
  const described = [`${name}-error`, ...(hint ? [`${name}-hint`] : [])].join(" ");
  return [
    make("label", { for: name }, text(name)),
    make("input", { id: name, name, required: true, "aria-describedby": described, ...properties }),
    ...(hint ? [make("p", { class: "hint", id: `${name}-hint` }, text(hint))] : []),
    make("p", { class: "error", id: `${name}-error` }),
  ];
}

function accountForm(label, fields, enter, other) {
  const send = make("button", {}, text(label));
  const submit = async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(form));
    await act(send, async () => {
      say("");
      markFields(form, []);
      await enter(given).catch((refusal) => {
        markFields(form, refusal.details ?? []);
        throw refusal;
      });
      await go(basket().lines.length ? "#/basket" : "#/products");
      say(text("signedIn", session().user.name));
    });
  };
  const form = make("form", { class: "account", onsubmit: submit }, ...fields.flat(), send);
  return [form, make("p", {}, make("a", { href: other[0] }, text(other[1])))];
}

function markFields(form, details) {
  const wrong = new Set(details.map((detail) => detail.field));
  for (const input of form.querySelectorAll("input")) {
    input.removeAttribute("aria-invalid");
    at(`${input.name}-error`).textContent = wrong.has(input.name) ? text(`field.${input.name}`) : "";
    if (wrong.has(input.name)) input.setAttribute("aria-invalid", "true");
  }
  form.querySelector("[aria-invalid]")?.focus();
}

const EMAIL = { type: "email", autocomplete: "username", maxlength: 254 };

async function drawSignIn() {
  const password = field("password", { type: "password", autocomplete: "current-password" });
  const enter = ({ email, password: given }) => signIn(email, given);
  return accountForm("signIn", [field("email", EMAIL), password], enter, ["#/register", "noAccount"]);
}

async function drawRegister() {
  const rules = { type: "password", autocomplete: "new-password", minlength: 8, maxlength: 128 };
  const fields = [
    field("name", { autocomplete: "name", maxlength: 100 }),
    field("email", EMAIL),
    field("password", rules, "passwordHint"),
  ];
  const enter = async (given) => {
    await ask("POST", "/auth/register", { body: given });
    await signIn(given.email, given.password);
  };
  return accountForm("register", fields, enter, ["#/sign-in", "haveAccount"]);
}

const PAGES = {
  "#/products": { title: "products", draw: drawProducts },
  "#/basket": { title: "basketTitle", draw: drawBasket },
  "#/orders": { title: "orders", draw: drawOrders, isOwn: true },
  "#/notifications": { title: "notifications", draw: drawNotifications, isOwn: true },
  "#/sign-in": { title: "signIn", draw: drawSignIn },
  "#/register": { title: "register", draw: drawRegister },
};

addEventListener("hashchange", async () => {
  say("");
  await showPage();
  at("main").querySelector("h1")?.focus();
});
showPage();
