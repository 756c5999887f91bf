/** The issuer of tokens: Cognito's hosted page, or the service's own in development. */

import type { Tokens } from "./tokens";

/** State at the start of a page. */
export interface Resumed {
  /** Tokens of a user who is signed in; null for nobody. */
  tokens: Tokens | null;
  /** The page to go to, where the browser has just come back from the issuer's. */
  arrival?: Arrival;
}

/** A page that the browser left for the issuer's, and the state of its entry in the history. */
export interface Arrival {
  path: string;
  historyState: unknown;
  /** True if the user was signed in before, and the issuer has ended that. */
  hasEnded: boolean;
}

export interface Choice {
  username: string;
  isAdmin: boolean;
}

export interface Issuer {
  /** True if the site asks for a name itself (`/sign-in`); false where a page of the issuer does. */
  readonly asksName: boolean;
  /** The user of an earlier page of this tab, or the one whom the issuer has just sent back. */
  resume(): Promise<Resumed>;
  /**
   * Sign in.
   *
   * @param returnTo Path to show afterwards.
   * @param choice Name and groups, for the local issuer.
   * @returns Tokens, or null where the browser leaves for the issuer's page.
   */
  signIn(returnTo: string, choice?: Choice): Promise<Tokens | null>;
  /**
   * New tokens in place of ones that end; null if the user must sign in again.
   *
   * @throws ApiError if the issuer cannot be reached: the user stays signed in.
   */
  renew(): Promise<Tokens | null>;
  /** Forget the user in this tab. */
  forget(): Promise<void>;
  /** End the user's session at the issuer; the browser may leave for its page. */
  signOut(): Promise<void>;
}

/** A sign-in that the issuer has refused, or that did not begin in this tab. */
export class SignInError extends Error {
  /**
   * @param code `denied` by the user; `expired`, as codes end after minutes; `mismatch`: begun elsewhere, or used up.
   * @param returnTo Path for another try.
   * @param reason The issuer's own words.
   */
  constructor(
    readonly code: "denied" | "expired" | "mismatch" | "refused" | "unreachable",
    readonly returnTo: string,
    readonly reason = "",
  ) {
    super(`sign-in ${code}`);
    this.name = "SignInError";
  }
}
