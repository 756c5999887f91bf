/** Runtime configuration: one build serves every environment, so index.html carries what differs. */

export interface Config {
  /** Base URL of the API, without a slash at its end; empty on the service's own origin. */
  api: string;
  /** Cognito's hosted page and the app client's id; null with the local issuer. */
  cognito: { domain: string; client_id: string } | null;
  /** False where the service takes likes of a `user_id` without a token. */
  like_requires_auth: boolean;
}

const DEFAULTS: Config = { api: "", cognito: null, like_requires_auth: true };

/** Read the configuration that the server wrote into the page; what is missing has its default. */
export function readConfig(page: Document): Config {
  const text = page.getElementById("board-config")?.textContent ?? "{}";
  return { ...DEFAULTS, ...(JSON.parse(text) as Partial<Config>) };
}
