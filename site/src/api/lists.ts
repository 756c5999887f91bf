/** What a list asks the API for. Small, for the first request too. */

import type { ListChoice } from "./posts";

export const POSTS_PER_PAGE = 20;

/** Parameters of a list's request; what is not chosen is not among them. */
export function listQuery({ category, q, sort, period, cursor }: ListChoice) {
  return {
    view: "summary" as const,
    per_page: POSTS_PER_PAGE,
    ...(sort !== "latest" && { sort }),
    ...(period !== null && { period }),
    ...(cursor !== null && { cursor }),
    ...(category !== null && { category }),
    ...(q !== null && { q }),
  };
}
