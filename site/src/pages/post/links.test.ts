import { expect, test } from "vitest";
import { partsOf } from "./links";

const hrefsOf = (text: string) => partsOf(text).flatMap(({ href }) => href ?? []);

test.each([
  ["앞 https://example.com/a 뒤", ["https://example.com/a"]],
  ["https://example.com/guide를 보세요", ["https://example.com/guide"]],
  ["끝: https://example.com/a.", ["https://example.com/a"]],
  ["(https://example.com/a)", ["https://example.com/a"]],
  ["(https://example.com/a).", ["https://example.com/a"]],
  ["https://en.wikipedia.org/wiki/Go_(game)", ["https://en.wikipedia.org/wiki/Go_(game)"]],
  ["HTTP://EXAMPLE.com http://b.test/?q=1&x=%20#y", ["http://example.com/", "http://b.test/?q=1&x=%20#y"]],
  ["<https://example.com/a>", ["https://example.com/a"]],
  ['"https://example.com/a"', ["https://example.com/a"]],
])("the addresses of %s", (text, hrefs) => {
  expect(hrefsOf(text)).toEqual(hrefs);
});

test.each([
  "javascript:alert(1)",
  "data:text/html,x",
  "ftp://example.com",
  "//example.com",
  "www.example.com",
  "https://",
  "https://google.com@evil.test/",
  "https://user:pw@evil.test/",
  "http://[::1",
])("%s is no link", (text) => {
  expect(hrefsOf(text)).toEqual([]);
});

test.each(["", "글", "a https://example.com/x. b\n\thttps://user@x.test (http://y.test)", "https://a.test https://b.test"])(
  "the parts of %j are the text, unchanged",
  (text) => {
    expect(partsOf(text).map((part) => part.text).join("")).toBe(text);
  },
);

test.each([")", "!", "](", "https://"])("an address with a run of %s is read once, not once for each", (run) => {
  const text = `https://a.test/${run.repeat(8_000)} b`;

  expect(hrefsOf(text)).toHaveLength(1);
});
