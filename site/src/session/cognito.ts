/**
 * Cognito's hosted page: authorization code with PKCE (RFC 6749, 7636), without a secret.
 *
 * Tokens are in memory alone. A mark in the tab's storage says that somebody was signed in: after a reload the browser
 * asks Cognito once, without a prompt (OpenID Connect Core, 3.1.2.1), and comes back. Readers without the mark are never
 * sent anywhere.
 */

import { ApiError, UNREACHABLE } from "../api/errors";
import { keepIfRoom } from "../storage";
import { SignInError, type Issuer, type Resumed } from "./issuer";
import { CALLBACK, MARK } from "./marks";
import { safePath } from "./paths";
import { readToken, type Tokens } from "./tokens";

const FLOW = "board.sign-in";
/** Bytes of chance; in base64url a verifier of 64 characters, where RFC 7636 wants 43 to 128. */
const VERIFIER_BYTES = 48;
const STATE_BYTES = 16;
/** `openid` alone gives the id token all attributes that the client may read, the names among them. */
const SCOPE = "openid";
const ANSWER_MS = 20_000;
/** A browser that has not left by then was stopped; the page goes on without a user. */
const LEAVING_MS = 15_000;

/** What the issuer needs of the browser. */
export interface Browser {
  origin: string;
  storage: Storage;
  language: () => string;
  /** Path, query and fragment of the page. */
  path: () => string;
  historyState: () => unknown;
  /** Leave for a URL; `isInPlace` keeps the present page out of the history. */
  leave: (url: string, isInPlace: boolean) => void;
  /** Show another path in the address bar. */
  rename: (path: string) => void;
}

/** A sign-in on its way: kept while the browser is at the issuer's page, and removed at once when it is back. */
interface Flow {
  state: string;
  verifier: string;
  returnTo: string;
  historyState: unknown;
  isSilent: boolean;
}

interface TokenAnswer {
  id_token: string;
  refresh_token?: string;
}

export function cognitoIssuer(pool: { domain: string; client_id: string }, browser: Browser): Issuer {
  const { storage } = browser;
  const redirectUri = browser.origin + CALLBACK;
  let refreshToken: string | null = null;

  async function begin(returnTo: string, { isSilent, isInPlace }: { isSilent: boolean; isInPlace: boolean }): Promise<void> {
    const [state, verifier] = [randomText(STATE_BYTES), randomText(VERIFIER_BYTES)];
    const query = new URLSearchParams({
      response_type: "code",
      client_id: pool.client_id,
      redirect_uri: redirectUri,
      scope: SCOPE,
      state,
      code_challenge_method: "S256",
      code_challenge: await challengeOf(verifier),
      lang: browser.language(),
      ...(isSilent && { prompt: "none" }),
    });
    const flow: Flow = { state, verifier, returnTo, historyState: browser.historyState(), isSilent };
    storage.setItem(FLOW, JSON.stringify(flow));
    browser.leave(`${pool.domain}/oauth2/authorize?${query}`, isInPlace);
  }

  /** Ask once; the mark is gone before, so that no answer leads to another question. */
  async function resumeSilently(path: string): Promise<Resumed> {
    storage.removeItem(MARK);
    await begin(path, { isSilent: true, isInPlace: true });
    return new Promise((resolve) => setTimeout(() => resolve({ tokens: null }), LEAVING_MS));
  }

  async function complete(query: URLSearchParams): Promise<Resumed> {
    const flow = takeFlow(storage);
    browser.rename(CALLBACK); // the code is good once, and not for the history
    const isOurs = flow !== null && query.get("state") === flow.state;
    if (!isOurs) {
      // The back button leads here after a sign-in; whoever is signed in goes on. The code itself is never used.
      if (storage.getItem(MARK) !== null) return resumeSilently(safePath(flow?.returnTo ?? "/"));
      throw new SignInError("mismatch", safePath(flow?.returnTo ?? null));
    }
    const arrival = { path: safePath(flow.returnTo), historyState: flow.historyState, hasEnded: false };
    try {
      return { tokens: await tokensFor(query, flow.verifier, arrival.path), arrival };
    } catch (error) {
      if (!flow.isSilent) throw error;
      return { tokens: null, arrival: { ...arrival, hasEnded: true } };
    }
  }

  async function tokensFor(query: URLSearchParams, verifier: string, returnTo: string): Promise<Tokens> {
    const [error, code] = [query.get("error"), query.get("code")];
    if (error !== null || code === null) {
      const reason = query.get("error_description") ?? error ?? "";
      throw new SignInError(error === "access_denied" ? "denied" : "refused", returnTo, reason);
    }
    const fields = { grant_type: "authorization_code", code, redirect_uri: redirectUri, code_verifier: verifier };
    const answer = await ask(fields).catch(() => {
      throw new SignInError("unreachable", returnTo);
    });
    if (!("error" in answer)) return hold(answer);
    throw new SignInError(answer.error === "invalid_grant" ? "expired" : "refused", returnTo, answer.error);
  }

  function hold(answer: TokenAnswer): Tokens {
    // Cognito sends another refresh token only where rotation is on.
    refreshToken = answer.refresh_token ?? refreshToken;
    keepIfRoom(storage, MARK, "1");
    return readToken(answer.id_token, Date.now());
  }

  /** Tokens, or the issuer's refusal. */
  async function ask(fields: Record<string, string>): Promise<TokenAnswer | { error: string }> {
    const body = new URLSearchParams({ client_id: pool.client_id, ...fields });
    const signal = AbortSignal.timeout(ANSWER_MS);
    let response: Response;
    let answer: unknown;
    try {
      response = await fetch(`${pool.domain}/oauth2/token`, { method: "POST", body, signal });
      answer = await response.json();
    } catch {
      throw new ApiError("", { code: UNREACHABLE, status: 0 });
    }
    if (response.ok) return answer as TokenAnswer;
    if (response.status === 429 || response.status >= 500) throw new ApiError("", { code: UNREACHABLE, status: 0 });
    return { error: String((answer as { error?: unknown } | null)?.error ?? response.status) };
  }

  async function forget(): Promise<void> {
    refreshToken = null;
    storage.removeItem(MARK);
    storage.removeItem(FLOW);
  }

  return {
    asksName: false,
    async resume() {
      const path = browser.path();
      const { pathname, searchParams } = new URL(path, browser.origin);
      if (pathname === CALLBACK) return complete(searchParams);
      return storage.getItem(MARK) === null ? { tokens: null } : resumeSilently(path);
    },
    async signIn(returnTo) {
      await begin(safePath(returnTo), { isSilent: false, isInPlace: true });
      return null;
    },
    async renew() {
      const used = refreshToken;
      if (used === null) return null;
      const answer = await ask({ grant_type: "refresh_token", refresh_token: used });
      if (refreshToken !== used) return null; // the user has signed out meanwhile
      if (!("error" in answer)) return hold(answer);
      await forget();
      return null;
    },
    forget,
    async signOut() {
      const token = refreshToken;
      await forget();
      if (token !== null) {
        const body = new URLSearchParams({ client_id: pool.client_id, token });
        // The token is in no place but this page's memory; to end it at Cognito too is a courtesy that may fail.
        await fetch(`${pool.domain}/oauth2/revoke`, { method: "POST", body, keepalive: true }).catch(() => null);
      }
      const query = new URLSearchParams({ client_id: pool.client_id, logout_uri: `${browser.origin}/` });
      browser.leave(`${pool.domain}/logout?${query}`, false);
    },
  };
}

function takeFlow(storage: Storage): Flow | null {
  const text = storage.getItem(FLOW);
  storage.removeItem(FLOW);
  return text === null ? null : (JSON.parse(text) as Flow);
}

/** Challenge of a verifier: BASE64URL(SHA256(ASCII(verifier))), RFC 7636, 4.2. */
export async function challengeOf(verifier: string): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

/** Text of chance in base64url, all of whose characters RFC 7636 allows in a verifier. */
export function randomText(bytes: number): string {
  return base64url(crypto.getRandomValues(new Uint8Array(bytes)));
}

/** Base64url without padding (RFC 7636, appendix A). */
export function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
