// Requests to the API, the session that they carry, and the basket, whose key makes an order count once.

const TIMEOUT_MS = 35_000; // above the gateway's own 29 seconds

/** A request that was refused, or that got no answer: then its code is "network". */
export class Refusal extends Error {
  constructor(status, body = {}, retryAfter = null) {
    super(body.code);
    this.status = status;
    this.code = body.code ?? "other";
    this.details = body.details ?? [];
    this.requestId = body.request_id ?? status;
    this.retryAfterSeconds = Number(retryAfter);
  }

  /** True if it is the session that is not, or no more, good. */
  get endsSession() {
    return this.code === "invalid_session" || this.code === "session_expired";
  }

  /** True if the shop may have acted on the request all the same, or may yet. */
  get isUndecided() {
    return this.status === 0 || this.status >= 500;
  }
}

// The session is kept for one tab, until it closes: a reload does not end it, and no later user of the computer finds
// it. No script but the page's own runs here (Content-Security-Policy), so none can read it.
const kept = (name) => JSON.parse(sessionStorage.getItem(name));
const keep = (name, value) => sessionStorage.setItem(name, JSON.stringify(value));

/** Return the session: sessionId, expiresAt, user; null if nobody is signed in. */
export function session() {
  const found = kept("session");
  return found && Date.parse(found.expiresAt) > Date.now() ? found : null;
}

/** Forget the session and the basket. */
function forget() {
  sessionStorage.removeItem("session");
  sessionStorage.removeItem("basket");
}

/**
 * Send a request.
 *
 * @returns {{body, next}} the answer's body, and the cursor of a list's next page, if there is one.
 * @throws {Refusal}
 */
export async function ask(method, path, { body, key } = {}) {
  const headers = {};
  if (session()) headers.Authorization = `Bearer ${session().sessionId}`;
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  const answer = await answerTo(`/api${path}`, { method, headers, body: body && JSON.stringify(body) });
  if (answer.ok) return { body: answer.body, next: answer.headers.get("X-Next-Cursor") };
  const refusal = new Refusal(answer.status, answer.body, answer.headers.get("Retry-After"));
  if (refusal.endsSession) sessionStorage.removeItem("session");
  throw refusal;
}

async function answerTo(url, options) {
  try {
    const answer = await fetch(url, { ...options, cache: "no-cache", signal: AbortSignal.timeout(TIMEOUT_MS) });
    const body = answer.status === 204 ? null : await answer.json();
    return { ok: answer.ok, status: answer.status, headers: answer.headers, body };
  } catch {
    throw new Refusal(0, { code: "network" }); // no connection, no answer in time, or one that is no JSON
  }
}

/** Sign in, and keep the session. */
export async function signIn(email, password) {
  keep("session", (await ask("POST", "/auth/login", { body: { email, password } })).body);
}

/** End the session here, and at the server if it can be reached. */
export async function signOut() {
  try {
    await ask("POST", "/auth/logout");
  } finally {
    forget();
  }
}

/** Return the basket: its lines, and the idempotency key of the order that it will be. */
export const basket = () => kept("basket") ?? { lines: [], key: null };

/** Keep other lines: another order, so with another key. */
export function fillBasket(lines) {
  keep("basket", { lines, key: crypto.randomUUID() });
}

/**
 * Place an order of what is in the basket, which is empty afterwards.
 *
 * One that gets no decision keeps its key: sent again, it is the same order. One that is refused gets a new one, since
 * the next try is meant as another order.
 */
export async function placeOrder() {
  const { lines, key } = basket();
  const items = lines.map(({ id, quantity }) => ({ product_id: id, quantity }));
  try {
    const order = (await ask("POST", "/orders", { body: { items }, key })).body;
    fillBasket([]);
    return order;
  } catch (refusal) {
    if (!refusal.isUndecided) fillBasket(lines);
    throw refusal;
  }
}
