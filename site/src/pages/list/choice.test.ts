import { expect, test } from "vitest";
import { cursorIn, isEdited, type Category, type ListChoice } from "../../api/posts";
import { biggestOf, choiceIn, isSameCategory, listLink, WHOLE_LIST } from "./choice";

const choiceOf = (query: string) => choiceIn(new URLSearchParams(query));

test("an address without a query is the whole list", () => {
  expect(choiceOf("")).toEqual(WHOLE_LIST);
});

test("unknown orders and periods are none", () => {
  expect(choiceOf("sort=best&period=year")).toEqual(WHOLE_LIST);
  expect(choiceOf("sort=popular&period=year")).toEqual({ ...WHOLE_LIST, sort: "popular" });
});

test("a period without the order that takes it is none", () => {
  expect(choiceOf("period=day").period).toBeNull();
});

test("blank words and names are none", () => {
  expect(choiceOf("q=%20&category=+&cursor=")).toEqual(WHOLE_LIST);
});

test.each<ListChoice>([
  WHOLE_LIST,
  { category: "영화·드라마", q: "100% & <b>", sort: "popular", period: "week", cursor: "bmV4dA==" },
  { ...WHOLE_LIST, q: "ㅋ".repeat(101) },
  { ...WHOLE_LIST, sort: "popular" },
])("a link has all of its choice: %o", (choice) => {
  const { searchParams, pathname } = new URL(listLink(choice, { cursor: choice.cursor }), "http://board.test");

  expect(pathname).toBe("/");
  expect(choiceIn(searchParams)).toEqual(choice);
});

test("another choice starts at its first page", () => {
  expect(listLink({ ...WHOLE_LIST, cursor: "abc" }, { sort: "popular" })).toBe("/?sort=popular");
});

test("the newest first has no period", () => {
  expect(listLink({ ...WHOLE_LIST, sort: "popular", period: "day" }, { sort: "latest" })).toBe("/");
});

test("names of categories differ by more than letter case", () => {
  expect(isSameCategory("TRAVEL", "Travel")).toBe(true);
  expect(isSameCategory("여행", "여행".normalize("NFD"))).toBe(true);
  expect(isSameCategory("여행", null)).toBe(false);
  expect(isSameCategory(null, null)).toBe(true);
});

const category = (name: string, post_count: number): Category => ({
  id: name,
  name,
  post_count,
  is_open: true,
  position: 0,
  created_at: "2026-01-01T00:00:00.000Z",
});

test("the biggest categories keep the order of the service", () => {
  const categories = [category("a", 1), category("b", 9), category("c", 0), category("d", 9), category("e", 5)];

  const { biggest, others } = biggestOf(categories, 3);

  expect(biggest.map(({ name }) => name)).toEqual(["b", "d", "e"]);
  expect(others.map(({ name }) => name)).toEqual(["a", "c"]);
});

test("no category is alone behind a button", () => {
  const categories = [category("a", 1), category("b", 9), category("c", 0)];

  expect(biggestOf(categories, 2)).toEqual({ biggest: categories, others: [] });
});

test("a cursor is read from the link of its relation", () => {
  const link = '</api/v1/posts?per_page=2&cursor=bmV4dA%3D%3D>; rel="next", </api/v1/posts?cursor=cHJldg>; rel="prev"';

  expect(cursorIn(link, "next")).toBe("bmV4dA==");
  expect(cursorIn(link, "prev")).toBe("cHJldg");
});

test("a list without a neighbour, or with a numbered one, has no cursor", () => {
  expect(cursorIn(null, "prev")).toBeNull();
  expect(cursorIn('</api/v1/posts?page=2>; rel="next"', "next")).toBeNull();
  expect(cursorIn('</api/v1/posts?cursor=a>; rel="next"', "prev")).toBeNull();
});

test("pictures that follow a new post are no edit", () => {
  const created_at = "2026-01-02T03:04:05.678Z";

  expect(isEdited({ created_at, updated_at: created_at })).toBe(false);
  expect(isEdited({ created_at, updated_at: "2026-01-02T03:14:05.678Z" })).toBe(false);
  expect(isEdited({ created_at, updated_at: "2026-01-02T03:14:05.679Z" })).toBe(true);
});
