/** Choice of a list in the URL of its page, so that it can be shared and gone back to. */

import type { ListChoice, Period, Sort } from "../../api/posts";

const SORTS: readonly string[] = ["latest", "popular"] satisfies Sort[];
const PERIODS: readonly string[] = ["day", "week", "month"] satisfies Period[];

/** Choice that the query of a URL names; an unknown value is none. */
export function choiceIn(query: URLSearchParams): ListChoice {
  const sort = query.get("sort") ?? "latest";
  const period = query.get("period") ?? "";
  return {
    category: query.get("category") || null,
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
