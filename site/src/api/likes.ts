/** Likes: of the signed-in user, or of this browser where the service takes likes without a token. */

import { queryOptions } from "@tanstack/react-query";
import { keepIfRoom } from "../storage";
import { bodyOf, type Api } from "./client";
import type { components } from "./schema";

export type LikeStatus = components["schemas"]["LikeStatus"];

const KEPT = "board.reader";
const ID_BYTES = 18; // 36 characters, the longest id of a user

/** That of this page, where the browser keeps none. */
let made: string | null = null;

/** Made-up `user_id` of this browser, for likes without a token; it is kept, so that a like can be taken back. */
export function readerId(storage: Storage): string {
  const kept = storage.getItem(KEPT) ?? made;
  if (kept !== null) return kept;
  // Not `randomUUID`, which pages without TLS lack.
  made = Array.from(crypto.getRandomValues(new Uint8Array(ID_BYTES)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  keepIfRoom(storage, KEPT, made);
  return made;
}

/** State of a reader's like. It is no part of `["posts", …]`: only what the reader does changes it. */
export function likeStatusQuery(api: Api, id: string, reader: string | null) {
  return queryOptions({
    queryKey: ["liked", id, reader],
    enabled: reader !== null,
    queryFn: async ({ signal }): Promise<LikeStatus> => {
      const params = { path: { post_id: id }, query: { user_id: reader ?? "" } };
      return (await bodyOf(api.GET("/api/v1/posts/{post_id}/like/status", { params, signal }))).data;
    },
  });
}

/**
 * Set or unset a like.
 *
 * @param reader Made-up `user_id`, or null for the signed-in user. Without a token a like can only be switched.
 */
export async function setLike(api: Api, id: string, wanted: boolean, reader: string | null): Promise<LikeStatus> {
  const params = { path: { post_id: id } };
  if (reader !== null) return (await bodyOf(api.POST("/api/v1/posts/{post_id}/like", { params, body: { user_id: reader } }))).data;
  if (wanted) return (await bodyOf(api.PUT("/api/v1/posts/{post_id}/like", { params }))).data;
  return (await bodyOf(api.DELETE("/api/v1/posts/{post_id}/like", { params }))).data;
}
