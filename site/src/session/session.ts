/** The session: who is signed in, and a good token for each request. Tokens are in memory alone. */

import { SignInError, type Arrival, type Choice, type Issuer } from "./issuer";
import type { Tokens, User } from "./tokens";

/** Tokens are replaced this long before they end, so that none ends on its way. */
const MARGIN_MS = 30_000;
/** A sign-out waits no longer for what is to be done before it. */
const LAST_TASKS_MS = 5_000;

/** Reason for which a session ended without a click on "Sign out" in this tab. */
export type Ending = "expired" | "elsewhere";

export type SessionState =
  | { status: "starting"; user: null }
  | { status: "anonymous"; user: null; ended: Ending | null }
  | { status: "signed-in"; user: User };

/** Messages between the tabs of a browser; a `BroadcastChannel`. */
export interface Channel {
  postMessage: (message: unknown) => void;
  onmessage: ((event: MessageEvent) => void) | null;
}

type Listener = () => void;

export class Session {
  /** Null where nobody can sign in. */
  readonly issuer: Issuer | null;
  state: SessionState = { status: "starting", user: null };
  private tokens: Tokens | null = null;
  private renewing: Promise<Tokens | null> | null = null;
  private started: Promise<Arrival | SignInError | null> | null = null;
  private listeners = new Set<Listener>();
  private lastTasks: (() => Promise<void>)[] = [];

  constructor(
    issuer: Issuer | null,
    private channel: Channel,
  ) {
    this.issuer = issuer;
    channel.onmessage = ({ data }: MessageEvent<{ signedOut?: string }>) => {
      // In development each tab may have a user of its own.
      if (data.signedOut !== undefined && data.signedOut === this.state.user?.sub) void this.end("elsewhere");
    };
  }

  /**
   * Resume what an earlier page of this tab had, or complete a sign-in; requests wait for it.
   *
   * @returns The page to go to after the issuer's, the problem with what it sent, or null where there was neither.
   */
  start(): Promise<Arrival | SignInError | null> {
    this.started ??= this.resume();
    return this.started;
  }

  subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  current = (): SessionState => this.state;

  /**
   * A token that is good for the next seconds, or null for nobody.
   *
   * @throws ApiError if it has ended and the issuer cannot be reached.
   */
  async token(): Promise<string | null> {
    await this.start();
    const held = this.tokens;
    if (held === null || held.endsAt - MARGIN_MS > Date.now()) return held?.token ?? null;
    try {
      return await this.renew(held.token);
    } catch (error) {
      if (held.endsAt > Date.now()) return held.token;
      throw error;
    }
  }

  /**
   * Replace a token; requests that need another at the same time share the one that comes.
   *
   * @param old Token that ends, or that the service has refused; if it was replaced already, the newer one is given.
   */
  async renew(old: string): Promise<string | null> {
    if (this.tokens?.token !== old || this.issuer === null) return this.tokens?.token ?? null;
    this.renewing ??= this.issuer.renew().finally(() => {
      this.renewing = null;
    });
    const renewed = await this.renewing;
    // The user may have signed out meanwhile.
    if (this.tokens?.token === old) this.hold(renewed, "expired");
    return this.tokens?.token ?? null;
  }

  async signIn(returnTo: string, choice?: Choice): Promise<void> {
    const tokens = (await this.issuer?.signIn(returnTo, choice)) ?? null;
    if (tokens) this.hold(tokens);
  }

  /** Have a task done with the user's token before they sign out. */
  beforeSignOut(task: () => Promise<void>): void {
    this.lastTasks.push(task);
  }

  /** Do what waits for the user's token, while it is good. */
  async finishTasks(): Promise<void> {
    const done = Promise.allSettled(this.lastTasks.map((task) => task()));
    await Promise.race([done, new Promise((resolve) => setTimeout(resolve, LAST_TASKS_MS))]);
  }

  async signOut(): Promise<void> {
    const sub = this.state.user?.sub;
    await this.finishTasks();
    this.hold(null);
    if (sub !== undefined) this.channel.postMessage({ signedOut: sub });
    await this.issuer?.signOut();
  }

  private async end(ending: Ending): Promise<void> {
    await this.finishTasks();
    this.hold(null, ending);
    await this.issuer?.forget();
  }

  private async resume(): Promise<Arrival | SignInError | null> {
    try {
      const { tokens, arrival = null } = (await this.issuer?.resume()) ?? { tokens: null };
      this.hold(tokens, arrival?.hasEnded ? "expired" : null);
      return arrival;
    } catch (error) {
      this.hold(null); // the page stays readable; the next write asks to sign in
      return error instanceof SignInError ? error : null;
    }
  }

  private hold(tokens: Tokens | null, ended: Ending | null = null): void {
    this.tokens = tokens;
    this.state = tokens ? { status: "signed-in", user: tokens.user } : { status: "anonymous", user: null, ended };
    for (const listener of this.listeners) listener();
  }
}
