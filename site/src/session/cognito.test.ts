import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { base64url, challengeOf, cognitoIssuer, randomText, type Browser } from "./cognito";
import { MARK } from "./marks";

const POOL = { domain: "https://pool.example", client_id: "client" };
const ORIGIN = "https://board.example";

/** Storage of one tab. */
function tabStorage(): Storage {
  const kept = new Map<string, string>();
  return {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
    get length() {
      return kept.size;
    },
  } as Storage;
}

/** A tab: pages of it share the storage, and each begins with an empty memory. */
class Tab {
  storage = tabStorage();
  path = "/";
  historyState: unknown = null;
  left: { url: URL; isInPlace: boolean }[] = [];

  open(path: string, historyState: unknown = null) {
    this.path = path;
    this.historyState = historyState;
    const browser: Browser = {
      origin: ORIGIN,
      storage: this.storage,
      language: () => "ko",
      path: () => this.path,
      historyState: () => this.historyState,
      leave: (url, isInPlace) => void this.left.push({ url: new URL(url), isInPlace }),
      rename: (renamed) => void (this.path = renamed),
    };
    return cognitoIssuer(POOL, browser);
  }

  /** URL that the browser has left for. */
  get target(): URL {
    return this.left.at(-1)!.url;
  }

  /** Page to which the issuer sends the browser back. */
  back(answer: Record<string, string>, state = this.target.searchParams.get("state")!) {
    return this.open(`/signed-in?${new URLSearchParams({ ...answer, state })}`);
  }
}

const jwt = (claims: object): string => `x.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;
const ID_TOKEN = jwt({ sub: "s1", iat: 100, exp: 3700, nickname: "하나" });

/** Answers of the token endpoint, in turn; each request's fields are kept. */
function tokenEndpoint(...answers: ({ status: number; body: object } | Error)[]) {
  const asked: { url: string; fields: Record<string, string> }[] = [];
  vi.stubGlobal("fetch", async (url: string, { body }: { body: URLSearchParams }) => {
    asked.push({ url, fields: Object.fromEntries(body) });
    const answer = answers[Math.min(asked.length, answers.length) - 1]!;
    if (answer instanceof Error) throw answer;
    return Response.json(answer.body, { status: answer.status });
  });
  return asked;
}

const GOOD = { status: 200, body: { id_token: ID_TOKEN, refresh_token: "refresh-1" } };

let tab: Tab;

beforeEach(() => {
  tab = new Tab();
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** A user who has signed in: the issuer of the page after it. */
async function signedIn() {
  await tab.open("/my").signIn("/my");
  const issuer = tab.back({ code: "code-1" });
  await issuer.resume();
  return issuer;
}

test("the challenge is that of RFC 7636, appendix B", async () => {
  const bytes = [
    116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37, 77, 105, 214, 191, 240, 91,
    88, 5, 88, 83, 132, 141, 121,
  ];
  const verifier = base64url(Uint8Array.from(bytes));

  expect(verifier).toBe("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
  expect(await challengeOf(verifier)).toBe("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
});

test("base64url is that of RFC 7636, appendix A", () => {
  expect(base64url(Uint8Array.from([3, 236, 255, 224, 193]))).toBe("A-z_4ME");
});

test("a text of chance has the characters of a verifier, and is another each time", () => {
  const texts = Array.from({ length: 100 }, () => randomText(48));

  for (const text of texts) expect(text).toMatch(/^[A-Za-z0-9_-]{64}$/);
  expect(new Set(texts).size).toBe(100);
});

test("signing in asks for a code with the challenge of a verifier that stays here", async () => {
  await tab.open("/posts/1").signIn("/posts/1?a=b");

  const { origin, pathname, searchParams } = tab.target;
  const flow = JSON.parse(tab.storage.getItem("board.sign-in")!) as { verifier: string; state: string };
  expect(origin + pathname).toBe("https://pool.example/oauth2/authorize");
  expect(Object.fromEntries(searchParams)).toEqual({
    response_type: "code",
    client_id: "client",
    redirect_uri: "https://board.example/signed-in",
    scope: "openid",
    state: flow.state,
    code_challenge_method: "S256",
    code_challenge: await challengeOf(flow.verifier),
    lang: "ko",
  });
  expect(tab.target.href).not.toContain(flow.verifier);
});

test("the code is exchanged with the verifier, and the page that was left is returned to", async () => {
  const asked = tokenEndpoint(GOOD);
  await tab.open("/posts/1", { key: "k1" }).signIn("/posts/1#images");
  const { verifier } = JSON.parse(tab.storage.getItem("board.sign-in")!) as { verifier: string };

  const { tokens, arrival } = await tab.back({ code: "code-1" }).resume();

  const fields = {
    client_id: "client",
    grant_type: "authorization_code",
    code: "code-1",
    redirect_uri: "https://board.example/signed-in",
    code_verifier: verifier,
  };
  expect(asked).toEqual([{ url: "https://pool.example/oauth2/token", fields }]);
  expect(tokens).toMatchObject({ token: ID_TOKEN, user: { sub: "s1", username: "하나" } });
  expect(arrival).toEqual({ path: "/posts/1#images", historyState: { key: "k1" }, hasEnded: false });
});

test("nothing of a sign-in stays in the storage but the mark, nor the code in the address", async () => {
  tokenEndpoint(GOOD);
  await signedIn();

  expect([tab.storage.length, tab.storage.getItem(MARK)]).toEqual([1, "1"]);
  expect(tab.path).toBe("/signed-in");
});

test.each([
  ["another state", { code: "code-1" }, "forged"],
  ["no state", { code: "code-1" }, ""],
])("an answer with %s is refused, and its code not used", async (_name, answer, state) => {
  const asked = tokenEndpoint(GOOD);
  await tab.open("/my").signIn("/my");

  await expect(tab.back(answer, state).resume()).rejects.toMatchObject({ code: "mismatch", returnTo: "/my" });
  expect(asked).toEqual([]);
  // Nor is the first state good any more.
  await expect(tab.back(answer).resume()).rejects.toMatchObject({ code: "mismatch" });
});

test("a code that comes without a sign-in of this tab is refused", async () => {
  const asked = tokenEndpoint(GOOD);

  await expect(tab.back({ code: "code-1" }, "any").resume()).rejects.toMatchObject({ code: "mismatch", returnTo: "/" });
  expect(asked).toEqual([]);
});

test("a path of another site in the storage is not returned to", async () => {
  tokenEndpoint(GOOD);
  await tab.open("/").signIn("//evil.example");
  expect((await tab.back({ code: "code-1" }).resume()).arrival).toMatchObject({ path: "/" });
});

test.each([
  ["access_denied", "denied"],
  ["invalid_scope", "refused"],
])("the issuer's %s is %s", async (error, code) => {
  await tab.open("/my").signIn("/my");

  const back = tab.back({ error, error_description: "in words" }).resume();

  await expect(back).rejects.toMatchObject({ code, reason: "in words", returnTo: "/my" });
});

test.each([
  ["a code that ended", { status: 400, body: { error: "invalid_grant" } }, "expired"],
  ["a client that is not known", { status: 400, body: { error: "invalid_client" } }, "refused"],
  ["a fault of the issuer", { status: 503, body: {} }, "unreachable"],
  ["no answer", new TypeError("failed to fetch"), "unreachable"],
])("%s: %o is %s", async (_name, answer, code) => {
  tokenEndpoint(answer);
  await tab.open("/my").signIn("/my");

  await expect(tab.back({ code: "code-1" }).resume()).rejects.toMatchObject({ code, returnTo: "/my" });
  expect(tab.storage.length).toBe(0);
});

test("a reader who never signed in is not sent anywhere", async () => {
  expect(await tab.open("/posts/1").resume()).toEqual({ tokens: null });
  expect(tab.left).toEqual([]);
});

test("after a reload the issuer is asked once without a prompt, and the same page shown", async () => {
  tokenEndpoint(GOOD);
  await signedIn();

  void tab.open("/posts/1?a=b", { key: "k2" }).resume();
  await vi.waitFor(() => expect(tab.left.length).toBe(2));
  expect(tab.target.searchParams.get("prompt")).toBe("none");
  expect(tab.left.at(-1)!.isInPlace).toBe(true);
  const { tokens, arrival } = await tab.back({ code: "code-2" }).resume();

  expect(tokens?.user.sub).toBe("s1");
  expect(arrival).toEqual({ path: "/posts/1?a=b", historyState: { key: "k2" }, hasEnded: false });
  expect(tab.storage.getItem(MARK)).toBe("1");
});

test.each([{ error: "login_required" }, { error: "server_error" }])("a silent %o is a session that ended", async (answer) => {
  tokenEndpoint(GOOD);
  await signedIn();
  void tab.open("/posts/1").resume();
  await vi.waitFor(() => expect(tab.left.length).toBe(2));

  const resumed = await tab.back(answer).resume();

  expect(resumed).toMatchObject({ tokens: null, arrival: { path: "/posts/1", hasEnded: true } });
  expect(await tab.open("/posts/1").resume()).toEqual({ tokens: null });
  expect([tab.left.length, tab.storage.length]).toEqual([2, 0]);
});

test("a browser that does not leave shows the page without a user, and asks no more", async () => {
  tokenEndpoint(GOOD);
  await signedIn();

  vi.useFakeTimers();
  const resumed = tab.open("/posts/1").resume();
  await vi.waitFor(() => expect(tab.left.length).toBe(2));
  await vi.runAllTimersAsync();

  expect(await resumed).toEqual({ tokens: null });
  expect(await tab.open("/posts/1").resume()).toEqual({ tokens: null });
});

test("the back button to a used code resumes without it", async () => {
  const asked = tokenEndpoint(GOOD);
  await signedIn();
  const used = tab.target.searchParams.get("state")!;

  void tab.back({ code: "code-1" }, used).resume();
  await vi.waitFor(() => expect(tab.left.length).toBe(2));

  expect(tab.target.searchParams.get("prompt")).toBe("none");
  expect(asked.length).toBe(1);
});

test("a refresh keeps its token until another comes", async () => {
  const again = { status: 200, body: { id_token: ID_TOKEN } };
  const rotated = { status: 200, body: { id_token: ID_TOKEN, refresh_token: "refresh-2" } };
  const asked = tokenEndpoint(GOOD, again, rotated, again);
  const issuer = await signedIn();

  for (let times = 0; times < 3; times += 1) expect((await issuer.renew())?.token).toBe(ID_TOKEN);

  const used = asked.slice(1).map(({ fields }) => fields);
  const refresh = (token: string) => ({ client_id: "client", grant_type: "refresh_token", refresh_token: token });
  expect(used).toEqual([refresh("refresh-1"), refresh("refresh-1"), refresh("refresh-2")]);
});

test("a refresh that comes after the sign-out leaves no mark and no token", async () => {
  tokenEndpoint(GOOD);
  const issuer = await signedIn();

  const renewed = issuer.renew();
  await issuer.forget();

  expect(await renewed).toBeNull();
  expect(tab.storage.getItem(MARK)).toBeNull();
  expect(await issuer.renew()).toBeNull();
});

test("a refused refresh ends the session, and a later reload asks nobody", async () => {
  tokenEndpoint(GOOD, { status: 400, body: { error: "invalid_grant" } });
  const issuer = await signedIn();

  expect(await issuer.renew()).toBeNull();
  expect(await tab.open("/my").resume()).toEqual({ tokens: null });
});

test.each([new TypeError("failed to fetch"), { status: 500, body: {} }, { status: 429, body: {} }])(
  "a refresh without an answer (%o) may be tried again",
  async (fault) => {
    tokenEndpoint(GOOD, fault, GOOD);
    const issuer = await signedIn();

    await expect(issuer.renew()).rejects.toMatchObject({ code: "unreachable" });
    expect(tab.storage.getItem(MARK)).toBe("1");
    expect((await issuer.renew())?.token).toBe(ID_TOKEN);
  },
);

test("signing out revokes the token and leaves for the issuer's page", async () => {
  const asked = tokenEndpoint(GOOD);
  const issuer = await signedIn();

  await issuer.signOut();

  const revoked = { url: "https://pool.example/oauth2/revoke", fields: { client_id: "client", token: "refresh-1" } };
  expect(asked.at(-1)).toEqual(revoked);
  expect(tab.target.origin + tab.target.pathname).toBe("https://pool.example/logout");
  expect(Object.fromEntries(tab.target.searchParams)).toEqual({ client_id: "client", logout_uri: "https://board.example/" });
  expect(tab.storage.length).toBe(0);
  expect(await issuer.renew()).toBeNull();
});
