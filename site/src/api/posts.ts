/** Queries of posts and categories, and what their answers are called. */

import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { answerOf, bodyOf, type Api } from "./client";
import type { components } from "./schema";

export type Post = components["schemas"]["PostObject"];
export type PostSummary = components["schemas"]["PostSummary"];
export type MediaFile = components["schemas"]["MediaFile"];
export type Category = components["schemas"]["CategoryObject"];
export type Sort = "latest" | "popular";
export type Period = "day" | "week" | "month";

/** Choice of a list, as the URL of the page has it. */
export interface ListChoice {
  category: string | null;
  q: string | null;
  sort: Sort;
  period: Period | null;
  cursor: string | null;
}

/** A page of a list, with the cursors of its neighbours. */
export interface PostPage {
  posts: PostSummary[];
  pinned: PostSummary[];
  total: number;
  totalCapped: boolean;
  next: string | null;
  previous: string | null;
}

export const POSTS_PER_PAGE = 20;

/** Cursor of a neighbouring page in a `Link` header (RFC 8288); null where there is none. */
export function cursorIn(link: string | null, relation: "next" | "prev"): string | null {
  const target = [...(link ?? "").matchAll(/<([^>]*)>;\s*rel="([^"]*)"/g)].find(([, , rel]) => rel === relation)?.[1];
  return target === undefined ? null : new URL(target, "http://board.invalid").searchParams.get("cursor");
}

/** Pages of visible posts; while another page loads, the last one stays. */
export function postPage(api: Api, choice: ListChoice) {
  const query = {
    view: "summary" as const,
    per_page: POSTS_PER_PAGE,
    ...(choice.category !== null && { category: choice.category }),
    ...(choice.q !== null && { q: choice.q }),
    ...(choice.sort !== "latest" && { sort: choice.sort }),
    ...(choice.period !== null && { period: choice.period }),
    ...(choice.cursor !== null && { cursor: choice.cursor }),
  };
  return queryOptions({
    queryKey: ["posts", "list", query],
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }): Promise<PostPage> => {
      const { body, response } = await answerOf(api.GET("/api/v1/posts", { params: { query }, signal }));
      const link = response.headers.get("Link");
      return {
        posts: body.data as PostSummary[],
        pinned: (body.meta.pinned ?? []) as PostSummary[],
        total: body.meta.total,
        totalCapped: body.meta.total_capped ?? false,
        next: body.meta.next_cursor,
        previous: cursorIn(link, "prev"),
      };
    },
  });
}

/** A post with the `ETag` that a write names in `If-Match`. */
export interface VersionedPost {
  post: Post;
  etag: string | null;
}

export function postQuery(api: Api, id: string) {
  return queryOptions({
    queryKey: ["posts", "one", id],
    queryFn: async ({ signal }): Promise<VersionedPost> => {
      const pending = api.GET("/api/v1/posts/{post_id}", { params: { path: { post_id: id } }, signal });
      const { body, response } = await answerOf(pending);
      return { post: body.data, etag: response.headers.get("ETag") };
    },
  });
}

export function categoriesQuery(api: Api) {
  return queryOptions({
    queryKey: ["categories"],
    queryFn: async ({ signal }): Promise<Category[]> => (await bodyOf(api.GET("/api/v1/categories", { signal }))).data,
  });
}
