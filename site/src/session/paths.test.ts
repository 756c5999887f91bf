import { expect, test } from "vitest";
import { safePath, signInLink } from "./paths";

test.each(["/", "/posts/1?from=%2F#images", "/?q=%ED%95%9C&sort=popular", "/my"])("%s is returned to", (path) => {
  expect(safePath(path)).toBe(path);
});

test.each([
  null,
  "",
  "my",
  "//evil.example",
  "/\\evil.example",
  "\\\\evil.example",
  "/\t/evil.example",
  "/\n\\evil.example",
  " //evil.example",
  "https://evil.example/",
  "javascript:alert(1)",
  "//[",
  "/sign-in?to=/my",
  "/signed-in?code=1",
])("%j is not returned to", (path) => {
  expect(safePath(path)).toBe("/");
});

test.each(["/.//evil.example", "/x/..//evil.example", "/.\\/evil.example"])("%s stays on this site", (path) => {
  expect(safePath(path)).toBe("/evil.example");
});

test("a link to sign in carries the whole path", () => {
  const path = "/?q=a&b#c";
  expect(new URL(signInLink(path), "https://board.example").searchParams.get("to")).toBe(path);
});
