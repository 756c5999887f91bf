/** The service's own issuer, in development: it signs a token for any name. */

import { ApiError, errorOf, UNREACHABLE } from "../api/errors";
import { keepIfRoom } from "../storage";
import type { Choice, Issuer } from "./issuer";
import { MARK } from "./marks";
import { readToken, type Tokens } from "./tokens";

/** Issuer at `base`; a name is no secret, so it is kept for this tab and a reload stays signed in. */
export function localIssuer(base: string, storage: Storage): Issuer {
  async function tokensFor({ username, isAdmin }: Choice): Promise<Tokens> {
    const body = JSON.stringify(isAdmin ? { username, groups: ["admin"] } : { username });
    const headers = { "Content-Type": "application/json", "Accept-Language": document.documentElement.lang };
    const response = await fetch(`${base}/dev/token`, { method: "POST", headers, body }).catch(() => {
      throw new ApiError("", { code: UNREACHABLE, status: 0 });
    });
    const answer: unknown = await response.json().catch(() => null);
    if (!response.ok) throw errorOf(response, answer);
    return readToken((answer as { data: { id_token: string } }).data.id_token, Date.now());
  }

  function kept(): Choice | null {
    const text = storage.getItem(MARK);
    return text === null ? null : (JSON.parse(text) as Choice);
  }

  const forget = async (): Promise<void> => storage.removeItem(MARK);

  async function again(): Promise<Tokens | null> {
    const choice = kept();
    if (choice === null) return null;
    try {
      return await tokensFor(choice);
    } catch (error) {
      const isRefusal = error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429;
      if (!isRefusal) throw error;
      await forget();
      return null;
    }
  }

  return {
    asksName: true,
    async resume() {
      return { tokens: await again() };
    },
    renew: again,
    async signIn(_returnTo, choice) {
      if (!choice) return null;
      const tokens = await tokensFor(choice);
      keepIfRoom(storage, MARK, JSON.stringify(choice));
      return tokens;
    },
    forget,
    signOut: forget,
  };
}
