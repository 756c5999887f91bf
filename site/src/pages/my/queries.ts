/** Queries and changes of the caller's own posts. */

import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { answerOf, bodyOf, type Api } from "../../api/client";
import { POSTS_PER_PAGE } from "../../api/lists";
import { cursorIn, type PostSummary } from "../../api/posts";

interface MyPage {
  posts: PostSummary[];
  total: number;
  next: string | null;
  previous: string | null;
}

/** A page of one's own posts, newest first; the first where `cursor` is null. */
export function myPage(api: Api, cursor: string | null) {
  const query = { view: "summary" as const, per_page: POSTS_PER_PAGE, ...(cursor !== null && { cursor }) };
  return queryOptions({
    queryKey: ["posts", "my", query],
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }): Promise<MyPage> => {
      const { body, response } = await answerOf(api.GET("/api/v1/posts/my", { params: { query }, signal }));
      return {
        posts: body.data as PostSummary[],
        total: body.meta.total,
        next: body.meta.next_cursor,
        previous: cursorIn(response.headers.get("Link"), "prev"),
      };
    },
  });
}

/** Hide a post from others, or show it to them. */
export async function setStatus(api: Api, id: string, status: "visible" | "hidden"): Promise<void> {
  await bodyOf(api.PATCH("/api/v1/posts/{post_id}", { params: { path: { post_id: id } }, body: { status } }));
}
