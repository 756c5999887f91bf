/** The session: who is signed in, and a good token for each request. Tokens are in memory alone. */

import type { Issuer } from "./issuer";
import type { Tokens, User } from "./tokens";

/** Tokens are replaced this long before they end, so that none ends on its way. */
const MARGIN_MS = 30_000;

export type SessionState = { status: "starting"; user: null } | { status: "anonymous"; user: null } | { status: "signed-in"; user: User };

type Listener = () => void;

export class Session {
  readonly issuer: Issuer;
  private tokens: Tokens | null = null;
  private renewing: Promise<string | null> | null = null;
  private listeners = new Set<Listener>();
  private lastTasks: (() => Promise<void>)[] = [];
  private started: Promise<void> | null = null;
  state: SessionState = { status: "starting", user: null };

  constructor(issuer: Issuer) {
    this.issuer = issuer;
  }

  /** Resume what an earlier page of this tab had; requests wait for it. */
  start(): Promise<void> {
    this.started ??= this.issuer
      .resume()
      .catch(() => null) // the page stays readable; the next write asks to sign in
      .then((tokens) => this.hold(tokens));
    return this.started;
  }

  subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  current = (): SessionState => this.state;

  /** A token that is good for the next seconds, or null for nobody. */
  async token(): Promise<string | null> {
    await this.start();
    if (this.tokens === null) return null;
    if (this.tokens.endsAt - MARGIN_MS > Date.now()) return this.tokens.token;
    return this.renew();
  }

  /** Replace the token; requests that need one at the same time share the one that comes. */
  renew(): Promise<string | null> {
    this.renewing ??= this.issuer
      .renew()
      .then((tokens) => {
        this.hold(tokens);
        return tokens?.token ?? null;
      })
      .finally(() => {
        this.renewing = null;
      });
    return this.renewing;
  }

  async signIn(returnTo: string, choice?: { username: string; isAdmin: boolean }): Promise<void> {
    const tokens = await this.issuer.signIn(returnTo, choice);
    if (tokens) this.hold(tokens);
  }

  /** Have a task done with the user's token before they sign out. */
  beforeSignOut(task: () => Promise<void>): void {
    this.lastTasks.push(task);
  }

  async signOut(): Promise<void> {
    await Promise.allSettled(this.lastTasks.map((task) => task()));
    this.hold(null);
    await this.issuer.signOut();
  }

  private hold(tokens: Tokens | null): void {
    this.tokens = tokens;
    this.state = tokens ? { status: "signed-in", user: tokens.user } : { status: "anonymous", user: null };
    for (const listener of this.listeners) listener();
  }
}
