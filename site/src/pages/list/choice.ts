/** Choice of a list in the URL of its page, so that it can be shared and gone back to. */

import type { Category, ListChoice, Period, Sort } from "../../api/posts";

const SORTS: readonly string[] = ["latest", "popular"] satisfies Sort[];
const PERIODS: readonly string[] = ["day", "week", "month"] satisfies Period[];

/** All posts, the newest first. */
export const WHOLE_LIST: ListChoice = { category: null, q: null, sort: "latest", period: null, cursor: null };

/** Choice that the query of a URL names; an unknown value is none. */
export function choiceIn(query: URLSearchParams): ListChoice {
  const sort = query.get("sort") ?? "latest";
  const period = query.get("period") ?? "";
  return {
    category: query.get("category")?.trim() || null,
    q: query.get("q")?.trim() || null,
    sort: SORTS.includes(sort) ? (sort as Sort) : "latest",
    period: sort === "popular" && PERIODS.includes(period) ? (period as Period) : null,
    cursor: query.get("cursor") || null,
  };
}

/** Link to the list with some of its choice changed. Another choice starts at its first page. */
export function listLink(choice: ListChoice, change: Partial<ListChoice>): string {
  const { category, q, sort, period, cursor } = { ...choice, cursor: null, ...change };
  const query = new URLSearchParams();
  if (category !== null) query.set("category", category);
  if (q !== null) query.set("q", q);
  if (sort !== "latest") query.set("sort", sort);
  if (sort === "popular" && period !== null) query.set("period", period);
  if (cursor !== null) query.set("cursor", cursor);
  const text = query.toString();
  return text ? `/?${text}` : "/";
}

/** Name of a category in the form that the service compares. */
const keyOf = (name: string): string => name.normalize("NFC").toLowerCase();

/** True if both are names of one category; letter case does not count. */
export function isSameCategory(one: string | null, other: string | null): boolean {
  return one === null || other === null ? one === other : keyOf(one) === keyOf(other);
}

/**
 * Categories with the most posts, and the others; both in the order of the service.
 *
 * @param shown Number of those with the most posts. One that would be alone among the others is shown too.
 */
export function biggestOf(categories: readonly Category[], shown: number): { biggest: Category[]; others: Category[] } {
  if (categories.length <= shown + 1) return { biggest: [...categories], others: [] };
  const chosen = new Set([...categories].sort((one, other) => other.post_count - one.post_count).slice(0, shown));
  return {
    biggest: categories.filter((category) => chosen.has(category)),
    others: categories.filter((category) => !chosen.has(category)),
  };
}
