import { expect, test } from "vitest";
import { readToken } from "./tokens";

function jwt(claims: object): string {
  const segment = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${segment({ alg: "RS256" })}.${segment(claims)}.signature`;
}

test("a token's user has the name that the board shows", () => {
  const claims = { sub: "s1", iat: 100, exp: 3700, nickname: "하나", "cognito:username": "u1" };

  expect(readToken(jwt(claims), 5000).user).toEqual({ sub: "s1", username: "하나", isAdmin: false });
});

test("an admin is who has the group", () => {
  expect(readToken(jwt({ sub: "s1", iat: 1, exp: 2, "cognito:groups": ["admin"] }), 0).user.isAdmin).toBe(true);
  expect(readToken(jwt({ sub: "s1", iat: 1, exp: 2, "cognito:groups": "admin" }), 0).user.isAdmin).toBe(false);
});

test("a lifetime counts from now, by this machine's clock", () => {
  expect(readToken(jwt({ sub: "s1", iat: 100, exp: 3700 }), 5000).endsAt).toBe(5000 + 3_600_000);
});
