/** Runtime configuration: one build serves every environment, so index.html carries what differs. */

export interface Config {
  /** Base URL of the API, without a slash at its end; empty on the service's own origin. */
  api: string;
  /** Cognito's hosted page and the app client's id; null where the site signs nobody in by a pool. */
  cognito: { domain: string; client_id: string } | null;
  /** True where the service signs tokens itself, in development. */
  local_issuer: boolean;
  /** False where the service takes likes of a `user_id` without a token. */
  like_requires_auth: boolean;
}

const DEFAULTS: Config = { api: "", cognito: null, local_issuer: true, like_requires_auth: true };

/** Read the configuration that the server wrote into the page; what is missing has its default. */
export function readConfig(page: Document): Config {
  const text = page.getElementById("board-config")?.textContent ?? "{}";
  return { ...DEFAULTS, ...(JSON.parse(text) as Partial<Config>) };
}
