/** Queries and actions of moderators, and what their answers are called. */

import { keepPreviousData, queryOptions, type QueryClient } from "@tanstack/react-query";
import { answerOf, bodyOf, type Api } from "./client";
import { cursorIn, type Post, type PostSummary } from "./posts";
import type { components } from "./schema";

export type AdminPost = components["schemas"]["AdminPostSummary"];
export type LogEntry = components["schemas"]["LogEntryObject"];
export type ListedReport = components["schemas"]["ListedReport"];
export type UserState = components["schemas"]["UserObject"];
export type Task = components["schemas"]["TaskState"];
export type Decision = "dismiss" | "hide" | "delete";
export type ReportReason = ListedReport["reason"];
export type LogAction = LogEntry["action"];
export type Status = AdminPost["status"];
export type PinScope = "all" | "category";

export const ROWS_PER_PAGE = 20;

/** A row that was acted on stays where it is and says so, until the admin opens the list again. */
const STAYS = { refetchOnWindowFocus: false, refetchOnReconnect: false };

/** A page of a list of moderators. */
export interface Page<T> {
  rows: T[];
  total: number;
  totalCapped: boolean;
  next: string | null;
  previous: string | null;
}

interface ListBody<T> {
  data: T[];
  meta: { total: number; total_capped?: true; next_cursor: string | null };
}

type Answered<T> = { body: ListBody<T>; response: Response };

function pageOf<T>({ body, response }: Answered<T>): Page<T> {
  return {
    rows: body.data,
    total: body.meta.total,
    totalCapped: body.meta.total_capped ?? false,
    next: body.meta.next_cursor,
    previous: cursorIn(response.headers.get("Link"), "prev"),
  };
}

/** Values that are there; the API takes no empty ones. */
function given<T extends Record<string, string | null>>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value)) as never;
}

/** Choice of posts in the URL of their page. */
export type PostsChoice = {
  status: Status | null;
  reported: "true" | null;
  q: string | null;
  category: string | null;
  user_id: string | null;
  cursor: string | null;
};

export function adminPosts(api: Api, choice: PostsChoice) {
  const query = { view: "summary" as const, per_page: ROWS_PER_PAGE, ...given(choice) };
  return queryOptions({
    queryKey: ["admin", "posts", query],
    placeholderData: keepPreviousData,
    ...STAYS,
    queryFn: async ({ signal }): Promise<Page<AdminPost>> =>
      pageOf((await answerOf(api.GET("/api/v1/admin/posts", { params: { query }, signal }))) as Answered<AdminPost>),
  });
}

/** Number of posts of a choice. */
export function postTotal(api: Api, choice: { category_id?: string; user_id?: string; reported?: "true" }) {
  const query = { ...choice, view: "summary" as const, per_page: 1 };
  return queryOptions({
    queryKey: ["admin", "total", query],
    queryFn: async ({ signal }) => {
      const { data, meta } = await bodyOf(api.GET("/api/v1/admin/posts", { params: { query }, signal }));
      return { total: meta.total, first: (data[0] ?? null) as AdminPost | null };
    },
  });
}

/** Reports of a state, which stay on their page as `STAYS` has it. */
export function reportPage(api: Api, state: "open" | "resolved", cursor: string | null) {
  const query = { state, per_page: ROWS_PER_PAGE, ...given({ cursor }) };
  return queryOptions({
    queryKey: ["admin", "reports", query],
    ...STAYS,
    queryFn: async ({ signal }): Promise<Page<ListedReport>> =>
      pageOf(await answerOf(api.GET("/api/v1/admin/reports", { params: { query }, signal }))),
  });
}

export function openReports(api: Api) {
  return queryOptions({
    queryKey: ["admin", "open-reports"],
    queryFn: async ({ signal }) => {
      const query = { state: "open", per_page: 1 } as const;
      const { meta } = await bodyOf(api.GET("/api/v1/admin/reports", { params: { query }, signal }));
      return { total: meta.total, capped: meta.total_capped ?? false };
    },
  });
}

/** Choice of rows of the log in the URL of its page. */
export type LogChoice = {
  actor: string | null;
  action: LogAction | null;
  post_id: string | null;
  user_id: string | null;
  cursor: string | null;
};

export function logPage(api: Api, choice: LogChoice) {
  const query = { per_page: ROWS_PER_PAGE, ...given(choice) };
  return queryOptions({
    queryKey: ["admin", "log", query],
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }): Promise<Page<LogEntry>> =>
      pageOf((await answerOf(api.GET("/api/v1/admin/log", { params: { query }, signal }))) as Answered<LogEntry>),
  });
}

export function userQuery(api: Api, sub: string) {
  return queryOptions({
    queryKey: ["admin", "users", sub],
    queryFn: async ({ signal }): Promise<UserState> =>
      (await bodyOf(api.GET("/api/v1/admin/users/{sub}", { params: { path: { sub } }, signal }))).data,
  });
}

/** Scopes in which a visible post is pinned, as far as the lists show them: a pin on all posts covers the other. */
export function pinQuery(api: Api, post: Post) {
  const listed = async (filter: { category_id?: string }, signal: AbortSignal): Promise<boolean> => {
    const query = { ...filter, view: "summary" as const, per_page: 1 };
    const { meta } = await bodyOf(api.GET("/api/v1/posts", { params: { query }, signal }));
    return ((meta.pinned ?? []) as PostSummary[]).some(({ id }) => id === post.id);
  };
  return queryOptions({
    queryKey: ["admin", "pin", post.id],
    queryFn: async ({ signal }): Promise<PinScope | null> => {
      if (await listed({}, signal)) return "all";
      if (post.category_id === null) return null;
      return (await listed({ category_id: post.category_id }, signal)) ? "category" : null;
    },
  });
}

/** Body of an action, whose reason is optional. */
const because = (reason: string): { reason?: string } => (reason.trim() ? { reason: reason.trim() } : {});

const ofPost = (id: string) => ({ params: { path: { post_id: id } } });

/** What an action has made of a post. */
export interface Standing {
  status: Status | "purged";
  hidden_by: "author" | "moderator" | null;
}

export async function setStatus(api: Api, id: string, status: "visible" | "hidden", reason: string): Promise<Standing> {
  const body = { status, ...because(reason) };
  const { data } = await bodyOf(api.PATCH("/api/v1/posts/{post_id}", { ...ofPost(id), body }));
  return { status: data.status, hidden_by: data.hidden_by ?? null };
}

export async function deletePost(api: Api, id: string, reason: string): Promise<Standing> {
  await bodyOf(api.DELETE("/api/v1/posts/{post_id}", { ...ofPost(id), body: because(reason) }));
  return { status: "deleted", hidden_by: null };
}

/** Erase a deleted post; the sentence of the answer says if its images are still to be removed. */
export async function purgePost(api: Api, id: string, reason: string): Promise<{ message: string; complete: boolean }> {
  const pending = api.DELETE("/api/v1/admin/posts/{post_id}", { ...ofPost(id), body: because(reason) });
  const { message, data } = await bodyOf(pending);
  return { message, complete: data.images_removed };
}

export async function pinPost(api: Api, id: string, scope: PinScope, reason: string): Promise<void> {
  await bodyOf(api.PUT("/api/v1/posts/{post_id}/pin", { ...ofPost(id), body: { scope, ...because(reason) } }));
}

/** Take the pins of both scopes away. */
export async function unpinPost(api: Api, id: string, reason: string): Promise<void> {
  await bodyOf(api.DELETE("/api/v1/posts/{post_id}/pin", { ...ofPost(id), body: because(reason) }));
}

export async function reportPost(api: Api, id: string, reason: ReportReason, text: string): Promise<string> {
  const body = { reason, ...(text.trim() && { text: text.trim() }) };
  return (await bodyOf(api.POST("/api/v1/posts/{post_id}/reports", { ...ofPost(id), body }))).message;
}

/** Decide about a report; `refusal` is a sentence where somebody has decided otherwise before. */
export async function resolveReport(
  api: Api,
  id: string,
  action: Decision,
  reason: string,
): Promise<{ report: ListedReport; refusal: string | null }> {
  const options = { params: { path: { report_id: id } }, body: { action, ...because(reason) } };
  const { data, message } = await bodyOf(api.POST("/api/v1/admin/reports/{report_id}/resolve", options));
  return { report: data, refusal: data.resolution === action ? null : message };
}

export async function suspend(api: Api, sub: string, until: string | null, reason: string): Promise<void> {
  const body = { ...(until !== null && { until }), ...because(reason) };
  await bodyOf(api.PUT("/api/v1/admin/users/{sub}/suspension", { params: { path: { sub } }, body }));
}

export async function unsuspend(api: Api, sub: string, reason: string): Promise<void> {
  const options = { params: { path: { sub } }, body: because(reason) };
  await bodyOf(api.DELETE("/api/v1/admin/users/{sub}/suspension", options));
}

/** Begin to delete all posts of a user, or see how far that is. */
export async function deletePostsOf(api: Api, sub: string, reason: string): Promise<Task> {
  const options = { params: { path: { sub } }, body: because(reason) };
  return (await bodyOf(api.DELETE("/api/v1/admin/users/{sub}/posts", options))).data;
}

export interface CategoryChanges {
  name?: string;
  is_open?: boolean;
  position?: number;
}

const ofCategory = (id: string) => ({ params: { path: { category_id: id } } });

export async function createCategory(api: Api, name: string): Promise<void> {
  await bodyOf(api.POST("/api/v1/categories", { body: { name } }));
}

export async function editCategory(api: Api, id: string, changes: CategoryChanges, reason = ""): Promise<void> {
  const body = { ...changes, ...because(reason) };
  await bodyOf(api.PATCH("/api/v1/categories/{category_id}", { ...ofCategory(id), body }));
}

/** Begin to merge a category into another, or see how far that is. */
export async function mergeCategory(api: Api, id: string, into: string, reason: string): Promise<Task> {
  const body = { into, ...because(reason) };
  return (await bodyOf(api.POST("/api/v1/categories/{category_id}/merge", { ...ofCategory(id), body }))).data;
}

export async function deleteCategory(api: Api, id: string, reason: string): Promise<void> {
  await bodyOf(api.DELETE("/api/v1/categories/{category_id}", { ...ofCategory(id), body: because(reason) }));
}

/**
 * Have what a moderator's action has changed read again; rows that stay, when their list is opened again.
 *
 * @param queries All queries.
 * @param postId The post concerned; none for several, or for all of a user or a category.
 * @param isErased True if it is no more, so that its page does not ask for it.
 */
export function forgetAfterAction(queries: QueryClient, postId?: string, isErased = false): void {
  const stale = (...queryKey: string[]) => void queries.invalidateQueries({ queryKey });
  stale("posts", "list");
  stale("posts", "my");
  const one = ["posts", "one", ...(postId === undefined ? [] : [postId])];
  void queries.invalidateQueries({ queryKey: one, refetchType: isErased ? "none" : "active" });
  stale("categories");
  for (const subject of ["open-reports", "total", "log", "users", "pin"]) stale("admin", subject);
  for (const subject of ["posts", "reports"]) {
    void queries.invalidateQueries({ queryKey: ["admin", subject], refetchType: "none" });
  }
}
