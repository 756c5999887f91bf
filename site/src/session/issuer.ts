/** The issuer of tokens: Cognito's hosted page, or the service's own in development. */

import type { Tokens } from "./tokens";

export interface Issuer {
  /** True if the site asks for a name itself (`/sign-in`); false where a page of the issuer does. */
  readonly asksName: boolean;
  /** Tokens of a user who was signed in before this page was loaded; null if there is none. */
  resume(): Promise<Tokens | null>;
  /**
   * Sign in.
   *
   * @param returnTo Path to show afterwards.
   * @param choice Name and groups, for the local issuer.
   * @returns Tokens, or null where the browser leaves for the issuer's page.
   */
  signIn(returnTo: string, choice?: { username: string; isAdmin: boolean }): Promise<Tokens | null>;
  /** New tokens in place of ones that end; null if the user must sign in again. */
  renew(): Promise<Tokens | null>;
  /** Forget the user here, and at the issuer. */
  signOut(): Promise<void>;
}
