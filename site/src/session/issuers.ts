/** The issuer that the configuration names. Its code is loaded for who is signed in, or about to be. */

import { ApiError, UNREACHABLE } from "../api/errors";
import type { Config } from "../config";
import { tabStorage } from "../storage";
import type { Browser } from "./cognito";
import type { Issuer } from "./issuer";
import { CALLBACK, MARK } from "./marks";

/** The issuer; null where nobody can sign in: a pool without its page. */
export function issuerFor(config: Config): Issuer | null {
  const { cognito, api } = config;
  if (cognito !== null) {
    return onDemand(false, async () => (await import("./cognito")).cognitoIssuer(cognito, browser));
  }
  if (!config.local_issuer) return null;
  return onDemand(true, async () => (await import("./local")).localIssuer(api, tabStorage));
}

function onDemand(asksName: boolean, load: () => Promise<Issuer>): Issuer {
  let loaded: Promise<Issuer> | null = null;
  const issuer = (): Promise<Issuer> => {
    loaded ??= load().catch(() => {
      loaded = null; // the next call tries again
      throw new ApiError("", { code: UNREACHABLE, status: 0 });
    });
    return loaded;
  };
  return {
    asksName,
    async resume() {
      const isNeeded = tabStorage.getItem(MARK) !== null || (!asksName && location.pathname === CALLBACK);
      return isNeeded ? (await issuer()).resume() : { tokens: null };
    },
    signIn: async (returnTo, choice) => (await issuer()).signIn(returnTo, choice),
    renew: async () => (await issuer()).renew(),
    forget: async () => (await issuer()).forget(),
    signOut: async () => (await issuer()).signOut(),
  };
}

const browser: Browser = {
  origin: location.origin,
  storage: tabStorage,
  language: () => document.documentElement.lang,
  path: () => location.pathname + location.search + location.hash,
  historyState: () => history.state as unknown,
  leave: (url, isInPlace) => (isInPlace ? location.replace(url) : location.assign(url)),
  rename: (path) => history.replaceState(history.state, "", path),
};
