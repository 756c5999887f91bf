/** Tokens of a signed-in user: read for what the pages show, never trusted. The service verifies them. */

export interface User {
  sub: string;
  username: string;
  isAdmin: boolean;
}

export interface Tokens {
  /** Bearer token for the API. */
  token: string;
  /** Time at which it ends, in milliseconds since 1970. */
  endsAt: number;
  user: User;
}

const NAME_CLAIMS = ["nickname", "name", "preferred_username", "cognito:username", "username"] as const;
const ADMIN_GROUP = "admin";

/**
 * Tokens of a JWT that the issuer has just sent.
 *
 * @param jwt Token in its three segments.
 * @param now Time in milliseconds since 1970; the issuer's clock may differ, so the lifetime counts from here.
 */
export function readToken(jwt: string, now: number): Tokens {
  const claims = JSON.parse(decodeSegment(jwt.split(".")[1] ?? "")) as Record<string, unknown>;
  const name = NAME_CLAIMS.map((claim) => claims[claim]).find((value) => typeof value === "string" && value !== "");
  const groups = claims["cognito:groups"];
  const lifetime = Number(claims["exp"]) - Number(claims["iat"]);
  return {
    token: jwt,
    endsAt: now + lifetime * 1000,
    user: {
      sub: String(claims["sub"]),
      username: String(name ?? claims["sub"]),
      isAdmin: Array.isArray(groups) && groups.includes(ADMIN_GROUP),
    },
  };
}

function decodeSegment(segment: string): string {
  const binary = atob(segment.replaceAll("-", "+").replaceAll("_", "/"));
  return new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
}
