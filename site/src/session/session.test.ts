import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ApiError, UNREACHABLE } from "../api/errors";
import { SignInError, type Issuer, type Resumed } from "./issuer";
import { Session, type Channel } from "./session";
import type { Tokens } from "./tokens";

const HOUR = 3_600_000;
const USER = { sub: "s1", username: "하나", isAdmin: false };
const AWAY = new ApiError("", { code: UNREACHABLE, status: 0 });

const tokens = (token: string, lifetime = HOUR): Tokens => ({ token, endsAt: Date.now() + lifetime, user: USER });

/** An issuer of which each answer can be set. */
class FakeIssuer implements Issuer {
  readonly asksName = false;
  resumed: Resumed | Error = { tokens: tokens("t1") };
  renewals: (Tokens | null | Error)[] = [];
  renewed = 0;
  forgotten = 0;
  signedOut = 0;

  async resume() {
    if (this.resumed instanceof Error) throw this.resumed;
    return this.resumed;
  }

  async signIn() {
    return tokens("signed-in");
  }

  async renew() {
    this.renewed += 1;
    await Promise.resolve();
    const renewal = this.renewals.shift() ?? null;
    if (renewal instanceof Error) throw renewal;
    return renewal;
  }

  async forget() {
    this.forgotten += 1;
  }

  async signOut() {
    this.signedOut += 1;
  }
}

/** Channels of tabs that hear one another. */
function channels(count: number): Channel[] {
  const all: Channel[] = Array.from({ length: count }, () => ({ postMessage: () => {}, onmessage: null }));
  for (const channel of all) {
    channel.postMessage = (data) => {
      for (const other of all) if (other !== channel) other.onmessage?.({ data } as MessageEvent);
    };
  }
  return all;
}

let issuer: FakeIssuer;
let session: Session;

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  issuer = new FakeIssuer();
  session = new Session(issuer, channels(1)[0]!);
});

afterEach(() => {
  vi.useRealTimers();
});

test("requests wait for the start, and a good token is used as it is", async () => {
  expect(session.state.status).toBe("starting");

  expect(await session.token()).toBe("t1");
  expect(session.state).toEqual({ status: "signed-in", user: USER });
  expect(issuer.renewed).toBe(0);
});

test("a token about to end is replaced before, once for all requests of that time", async () => {
  issuer.renewals = [tokens("t2", 2 * HOUR), tokens("t3", 2 * HOUR)];
  await session.start();
  vi.setSystemTime(HOUR - 29_000);

  const used = await Promise.all(Array.from({ length: 5 }, () => session.token()));

  expect(used).toEqual(Array.from({ length: 5 }, () => "t2"));
  expect(issuer.renewed).toBe(1);
});

test("a refused token is replaced once, by whoever asks and when", async () => {
  issuer.renewals = [tokens("t2"), tokens("t3")];
  await session.start();

  expect(await Promise.all([session.renew("t1"), session.renew("t1")])).toEqual(["t2", "t2"]);
  expect(await session.renew("t1")).toBe("t2"); // a slow answer to an old request
  expect(issuer.renewed).toBe(1);
  expect(await session.renew("t2")).toBe("t3");
});

test("a refused renewal ends the session with its reason", async () => {
  await session.start();

  expect(await session.renew("t1")).toBeNull();
  expect(session.state).toEqual({ status: "anonymous", user: null, ended: "expired" });
  expect(await session.token()).toBeNull();
});

test("an issuer that is away ends nothing: the token is used while it lasts", async () => {
  issuer.renewals = [AWAY, AWAY, tokens("t2", 2 * HOUR)];
  await session.start();

  vi.setSystemTime(HOUR - 10_000);
  expect(await session.token()).toBe("t1");
  vi.setSystemTime(HOUR + 1);
  await expect(session.token()).rejects.toBe(AWAY);
  expect(session.state.status).toBe("signed-in");
  expect(await session.token()).toBe("t2");
});

test("a renewal that comes after the sign-out signs nobody in", async () => {
  issuer.renewals = [tokens("t2")];
  await session.start();

  const renewed = session.renew("t1");
  await session.signOut();

  expect(await renewed).toBeNull();
  expect(session.state.status).toBe("anonymous");
});

test("what waits for the user's token is done before the sign-out, even where some of it fails", async () => {
  await session.start();
  const seen: (string | null)[] = [];
  session.beforeSignOut(async () => {
    throw AWAY;
  });
  session.beforeSignOut(async () => void seen.push(await session.token()));

  await session.signOut();

  expect(seen).toEqual(["t1"]);
  expect(session.state).toEqual({ status: "anonymous", user: null, ended: null });
  expect(issuer.signedOut).toBe(1);
});

test("a sign-out does not wait for an answer that never comes", async () => {
  await session.start();
  session.beforeSignOut(() => new Promise(() => {}));

  const signedOut = session.signOut();
  await vi.advanceTimersByTimeAsync(5_000);
  await signedOut;

  expect(session.state.status).toBe("anonymous");
});

test("a sign-out is told to other tabs of the same user", async () => {
  const [here, there, anothers] = channels(3);
  const issuers = [new FakeIssuer(), new FakeIssuer(), new FakeIssuer()];
  issuers[2]!.resumed = { tokens: { ...tokens("t9"), user: { ...USER, sub: "s9" } } };
  const tabs = [here!, there!, anothers!].map((channel, at) => new Session(issuers[at]!, channel));
  await Promise.all(tabs.map((tab) => tab.start()));

  await tabs[0]!.signOut();
  await vi.waitFor(() => expect(issuers[1]!.forgotten).toBe(1));

  const ended = tabs.map((tab) => (tab.state.status === "anonymous" ? tab.state.ended : tab.state.status));
  expect(ended).toEqual([null, "elsewhere", "signed-in"]);
  expect(issuers.map((each) => each.signedOut)).toEqual([1, 0, 0]);
});

test("the page to go to after the issuer's is known once", async () => {
  const arrival = { path: "/my", historyState: null, hasEnded: true };
  issuer.resumed = { tokens: null, arrival };

  expect(await Promise.all([session.start(), session.start()])).toEqual([arrival, arrival]);
  expect(session.state).toEqual({ status: "anonymous", user: null, ended: "expired" });
});

test.each([
  ["a refused sign-in is said", new SignInError("denied", "/my"), "denied"],
  ["another fault leaves the pages readable", AWAY, undefined],
])("%s", async (_name, fault, code) => {
  issuer.resumed = fault;

  expect(await session.start()).toEqual(code === undefined ? null : fault);
  expect(session.state.status).toBe("anonymous");
  expect(await session.token()).toBeNull();
});

test("where nobody can sign in, everybody is a reader", async () => {
  session = new Session(null, channels(1)[0]!);

  expect(await session.token()).toBeNull();
  await session.signIn("/");
  await session.signOut();
  expect(session.state.status).toBe("anonymous");
});
