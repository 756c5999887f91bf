/** Queries of posts and categories, and what their answers are called. */

import { keepPreviousData, queryOptions, type QueryClient } from "@tanstack/react-query";
import { answerOf, bodyOf, type Api } from "./client";
import { listQuery } from "./lists";
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

/** Pictures are uploaded after their post was created, which is no edit that readers are told of. */
const UPLOADS_MS = 10 * 60_000;

/** True if the post was changed after it was written. */
export function isEdited(post: { created_at: string; updated_at: string }): boolean {
  return Date.parse(post.updated_at) - Date.parse(post.created_at) > UPLOADS_MS;
}

/** Cursor of a neighbouring page in a `Link` header (RFC 8288); null where there is none. */
export function cursorIn(link: string | null, relation: "next" | "prev"): string | null {
  const target = [...(link ?? "").matchAll(/<([^>]*)>;\s*rel="([^"]*)"/g)].find(([, , rel]) => rel === relation)?.[1];
  return target === undefined ? null : new URL(target, "http://board.invalid").searchParams.get("cursor");
}

async function readPage(api: Api, choice: ListChoice, signal: AbortSignal): Promise<PostPage> {
  const params = { query: listQuery(choice) };
  const { body, response } = await answerOf(api.GET("/api/v1/posts", { params, signal }));
  return {
    posts: body.data as PostSummary[],
    pinned: (body.meta.pinned ?? []) as PostSummary[],
    total: body.meta.total,
    totalCapped: body.meta.total_capped ?? false,
    next: body.meta.next_cursor,
    previous: cursorIn(response.headers.get("Link"), "prev"),
  };
}

/** Pages of visible posts; while another page loads, the last one stays. */
export function postPage(api: Api, choice: ListChoice) {
  return queryOptions({
    queryKey: ["posts", "list", choice],
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }): Promise<PostPage> => {
      const page = await readPage(api, choice, signal);
      const isFirst = choice.cursor !== null && page.previous === null && page.posts.length > 0;
      // Who comes back to the start by "previous" sees the first page as others do: with the pinned posts.
      return isFirst ? readPage(api, { ...choice, cursor: null }, signal) : page;
    },
  });
}

/** A post with the `ETag` that a write names in `If-Match`. */
export interface VersionedPost {
  post: Post;
  etag: string | null;
}

/** A post. The lists that the cache keeps get its counts, so that going back shows the same. */
export function postQuery(api: Api, id: string) {
  return queryOptions({
    queryKey: ["posts", "one", id],
    queryFn: async ({ client, signal }): Promise<VersionedPost> => {
      const pending = api.GET("/api/v1/posts/{post_id}", { params: { path: { post_id: id } }, signal });
      const { body, response } = await answerOf(pending);
      const { view_count, like_count, comment_count, is_liked } = body.data;
      showCounts(client, id, { view_count, like_count, comment_count, ...(is_liked !== undefined && { is_liked }) });
      return { post: body.data, etag: response.headers.get("ETag") };
    },
  });
}

type Counts = Partial<Pick<Post, "view_count" | "like_count" | "comment_count" | "is_liked">>;

/** Show a post's counts wherever the cache has the post: on its page, in lists and among the pinned. */
export function showCounts(queries: QueryClient, id: string, counts: Counts): void {
  const changed = <T extends { id: string }>(posts: T[]): T[] =>
    posts.map((post) => (post.id === id ? { ...post, ...counts } : post));
  queries.setQueriesData<PostPage>({ queryKey: ["posts", "list"] }, (page) =>
    page && { ...page, posts: changed(page.posts), pinned: changed(page.pinned) },
  );
  queries.setQueryData<VersionedPost>(["posts", "one", id], (found) => found && { ...found, post: { ...found.post, ...counts } });
}

/** Have posts, their lists and the counts of categories read again: a post was written, changed or deleted. */
export async function refreshPosts(queries: QueryClient): Promise<void> {
  void queries.invalidateQueries({ queryKey: ["categories"] });
  await queries.invalidateQueries({ queryKey: ["posts"] });
}

export function categoriesQuery(api: Api) {
  return queryOptions({
    queryKey: ["categories"],
    queryFn: async ({ signal }): Promise<Category[]> => (await bodyOf(api.GET("/api/v1/categories", { signal }))).data,
  });
}
